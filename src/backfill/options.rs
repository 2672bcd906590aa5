//! What a backfill is asked, tells while it runs, and gives.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::engine::counters::Counters;
use crate::engine::tables::{TableOptions, TableSummary};
use crate::error::{Error, Result};
use crate::limits::BACKFILL_HOURS_MAX;
use crate::operator::window::Windowing;
use crate::sink::lake::ReplaceSummary;
use crate::types::{MICROS_PER_HOUR, Micros, floor_to, format_micros};

/// What a backfill is asked.
#[derive(Debug, Clone)]
pub struct BackfillOptions {
    /// Which hours are written.
    pub range: Range,
    /// Whether raw events, late rows and dead letters are written too; if not, those of the lake stay as they are.
    pub raw: bool,
    /// Workers in each pass; one a core.
    pub workers: usize,
    /// Bytes of rows that wait in memory between the passes; what is over goes to disk.
    pub memory_bytes_max: usize,
    /// Where that is; the system's folder for temporary files by default.
    pub spill_dir: Option<PathBuf>,
    /// When files are closed.
    pub tables: TableOptions,
    /// The start of all files' names, and the name of the staging folder.
    pub prefix: String,
}

/// Half-open range of whole hours of event time, open where it is `None`.
///
/// Events outside of it are read all the same: a session that began before reaches in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Range {
    /// The first hour.
    pub from: Option<Micros>,
    /// The first hour that is not written any more.
    pub to: Option<Micros>,
}

impl Range {
    /// A range of whole hours.
    ///
    /// # Errors
    /// User, if a bound is not a whole hour: part of an hour cannot be replaced.
    pub fn try_new(from: Option<Micros>, to: Option<Micros>) -> Result<Self> {
        for (name, bound) in [("--from", from), ("--to", to)] {
            if let Some(t) = bound.filter(|t| t.rem_euclid(MICROS_PER_HOUR) != 0) {
                let hour = format_micros(floor_to(t, MICROS_PER_HOUR));
                return Err(Error::user(format!("{} is not a whole hour", format_micros(t)))
                    .at(name)
                    .hint(format!("only whole hours can be asked for: give {hour} or the next one")));
            }
        }
        Ok(Self { from, to })
    }

    /// Whether `t` is inside.
    pub fn contains(&self, t: Micros) -> bool {
        self.from.is_none_or(|from| t >= from) && self.to.is_none_or(|to| t < to)
    }

    /// The hours that are replaced, given the hours that hold events: all of the range where it says from when and until when,
    /// else those with events in it. So an event that is days off replaces its own hour, and none in between.
    ///
    /// # Errors
    /// User, if that is more than [`BACKFILL_HOURS_MAX`].
    pub fn hours(&self, events: &BTreeSet<Micros>) -> Result<Vec<Micros>> {
        let too_many = |hours: i64| {
            Error::user(format!("{hours} hours would be replaced, more than {BACKFILL_HOURS_MAX}"))
                .at("--from, --to")
                .hint("give a shorter range, or several backfills")
        };
        let (Some(from), Some(to)) = (self.from, self.to) else {
            let hours: Vec<Micros> = events.iter().copied().filter(|h| self.contains(*h)).collect();
            return if hours.len() > BACKFILL_HOURS_MAX { Err(too_many(hours.len() as i64)) } else { Ok(hours) };
        };
        let count = (to - from) / MICROS_PER_HOUR;
        if count > BACKFILL_HOURS_MAX as i64 {
            return Err(too_many(count));
        }
        Ok((0..count).map(|i| from + i * MICROS_PER_HOUR).collect())
    }
}

/// The hours in which windows begin that hold events of these hours.
pub(super) fn hours_of_windows(events: &BTreeSet<Micros>, windowing: Windowing, reach: Micros) -> BTreeSet<Micros> {
    if windowing.session {
        // Each begins with an event.
        return events.clone();
    }
    let mut hours = BTreeSet::new();
    for hour in events {
        let first = windowing.pane_end(*hour).saturating_sub(windowing.size);
        let latest = hour.saturating_add(MICROS_PER_HOUR - 1).saturating_add(reach);
        let last = windowing.pane_end(latest).saturating_sub(windowing.slide);
        // Where several begin in an hour, one is enough.
        let step = windowing.slide.max(MICROS_PER_HOUR);
        let starts =
            std::iter::successors(Some(first), |start| start.checked_add(step)).take_while(|start| *start < last);
        hours.extend(starts.chain([last]).map(|start| floor_to(start, MICROS_PER_HOUR)));
    }
    hours
}

/// Where a backfill is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Reading and judging: bytes of files.
    Read,
    /// Computing and writing: rows.
    Write,
}

/// Is told how a backfill gets on, many times a second.
pub trait Watch: Send + Sync {
    /// A stage begins, of `total` bytes or rows.
    fn begin(&self, stage: Stage, total: u64);

    /// So much of it is done; `events` so far.
    fn done(&self, amount: u64, events: u64);
}

/// What a backfill did.
#[derive(Debug)]
pub struct BackfillSummary {
    /// What became of every event.
    pub counters: Counters,
    /// First and last event time.
    pub events: Option<(Micros, Micros)>,
    /// The hours that hold events.
    pub hours: BTreeSet<Micros>,
    /// By table.
    pub tables: Vec<TableSummary>,
    /// What was replaced.
    pub replaced: ReplaceSummary,
    /// Bytes that waited on disk between the passes.
    pub spilled_bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Micros = MICROS_PER_HOUR;

    #[test]
    fn only_whole_hours() {
        assert!(Range::try_new(Some(HOUR), Some(3 * HOUR)).is_ok());
        let e = Range::try_new(None, Some(HOUR + 1)).unwrap_err();
        assert_eq!((e.exit_code(), e.place()), (2, Some("--to")));
    }

    #[test]
    fn windows_begin_in_hours_before_those_of_their_events() {
        let hours = |size: Micros, slide: Micros, events: &[i64]| -> Vec<i64> {
            let events = events.iter().map(|h| h * HOUR).collect();
            hours_of_windows(&events, Windowing::hopping(size, slide), 0).into_iter().map(|t| t / HOUR).collect()
        };
        assert_eq!(hours(HOUR / 60, HOUR / 60, &[10, 12]), [10, 12]);
        assert_eq!(hours(HOUR, HOUR, &[10]), [10]);
        assert_eq!(hours(HOUR, HOUR / 360, &[10, 14]), [9, 10, 13, 14]);
        assert_eq!(hours(3 * HOUR, HOUR / 2, &[10]), [7, 8, 9, 10]);
        // 10:00 is in the window of 7 minutes that began at 9:55.
        assert_eq!(hours(HOUR * 7 / 60, HOUR * 7 / 60, &[10]), [9, 10]);
        assert_eq!(hours(24 * HOUR, 24 * HOUR, &[10, 30]), [0, 24]);
        assert_eq!(hours(24 * HOUR, 12 * HOUR, &[10, 13]), [-12, 0, 12]);
        let events = BTreeSet::from([10 * HOUR, 13 * HOUR]);
        assert_eq!(
            hours_of_windows(&events, Windowing::sessions(5 * HOUR), 0),
            events,
            "a session begins with an event"
        );
        // 10:59 is in the windows of half an hour that end until 11:29, and those are in the hour that begins at 11:00.
        let reached = hours_of_windows(&BTreeSet::from([10 * HOUR]), Windowing::tumbling(HOUR), HOUR / 2 - HOUR / 60);
        assert_eq!(reached, BTreeSet::from([10 * HOUR, 11 * HOUR]));
    }

    #[test]
    fn hours_with_events_are_replaced_unless_the_range_says() {
        let events = BTreeSet::from([HOUR, 2 * HOUR, 900 * HOUR]);
        assert_eq!(Range::default().hours(&events).unwrap(), [HOUR, 2 * HOUR, 900 * HOUR]);
        assert_eq!(Range { from: Some(2 * HOUR), to: None }.hours(&events).unwrap(), [2 * HOUR, 900 * HOUR]);
        let range = Range { from: Some(0), to: Some(3 * HOUR) };
        assert_eq!(range.hours(&events).unwrap(), [0, HOUR, 2 * HOUR]);
        assert_eq!(range.hours(&BTreeSet::new()).unwrap().len(), 3);
        let century = Range { from: Some(0), to: Some(876_600 * HOUR) };
        assert_eq!(century.hours(&events).unwrap_err().exit_code(), 2);
    }
}
