//! The line that `run` prints every few seconds.

use std::sync::Arc;

use super::progress::{Stopwatch, thousands};
use crate::clock::Clock;
use crate::engine::board::{Board, Status};
use crate::types::{MICROS_PER_SEC, Micros, floor_to, format_micros};

/// Makes the status line.
pub(super) struct StatusLine {
    board: Arc<Board>,
    clock: Arc<dyn Clock>,
    last: (Stopwatch, u64),
}

impl StatusLine {
    /// The line of a job that has read nothing yet.
    pub(super) fn new(board: &Arc<Board>, clock: &Arc<dyn Clock>) -> Self {
        Self { board: Arc::clone(board), clock: Arc::clone(clock), last: (Stopwatch::start(), 0) }
    }

    /// The line of this moment; its rate is that since the line before.
    pub(super) fn next(&mut self) -> String {
        let status = self.board.status();
        let read = status.counters().read;
        let (since, before) = self.last;
        let rate = read.saturating_sub(before) as f64 / since.secs().max(1e-3);
        self.last = (Stopwatch::start(), read);
        line(self.clock.now(), rate, &status)
    }
}

fn line(now: Micros, rate: f64, status: &Status) -> String {
    let lag = status.lag_millis().map_or_else(|| "-".to_owned(), |ms| format!("{:.1} s", ms as f64 / 1e3));
    let watermark = status.combine.watermark.map_or_else(|| "-".to_owned(), time_of_day);
    let (viewers, streams) = match status.combine.presence {
        Some((viewers, streams)) => (count(viewers), count(streams)),
        None => ("-".to_owned(), "-".to_owned()),
    };
    let overdue = status.commits.as_ref().and_then(|commits| commits.overdue(now));
    let uncommitted = overdue.map_or_else(String::new, |since| format!("  no commit for {} s", since / MICROS_PER_SEC));
    format!(
        "{}  {:>7} events/s  lag {lag}  watermark {watermark}  concurrent viewers {viewers}  active streams {streams}{uncommitted}",
        time_of_day(now),
        thousands(rate as u64)
    )
}

fn count(n: i64) -> String {
    thousands(n.unsigned_abs())
}

/// `19:04:05Z`
fn time_of_day(t: Micros) -> String {
    let text = format_micros(floor_to(t, MICROS_PER_SEC));
    text.split_once('T').map_or(text.clone(), |(_, time)| time.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::board::{CombineStatus, CommitStatus, ShardStatus};

    #[test]
    fn a_line_says_rate_lag_watermark_viewers_and_streams() {
        let combine = CombineStatus {
            watermark: Some(1_767_290_400_500_000),
            presence: Some((1_234, 5)),
            ..CombineStatus::default()
        };
        let mut status = Status { combine, ..Status::default() };
        status.shards.insert("s".into(), ShardStatus { lag_millis: Some(1_500), ..ShardStatus::default() });
        let text = line(1_767_290_435_000_000, 2_000.4, &status);
        let expected =
            "18:00:35Z    2,000 events/s  lag 1.5 s  watermark 18:00:00Z  concurrent viewers 1,234  active streams 5";
        assert_eq!(text, expected);
        let last = 1_767_290_300_000_000;
        status.commits = Some(CommitStatus { interval: 60 * MICROS_PER_SEC, last, ..CommitStatus::default() });
        assert_eq!(line(last + 180 * MICROS_PER_SEC, 2_000.4, &status).matches("no commit").count(), 0);
        assert!(line(last + 181 * MICROS_PER_SEC, 2_000.4, &status).ends_with("active streams 5  no commit for 181 s"));
        assert!(line(0, 0.0, &Status::default()).contains("watermark -"));
    }
}
