//! What a backfill is asked, tells while it runs, and gives.

use std::path::PathBuf;

use crate::engine::counters::Counters;
use crate::engine::tables::{TableOptions, TableSummary};
use crate::error::{Error, Result};
use crate::sink::lake::ReplaceSummary;
use crate::types::{MICROS_PER_HOUR, Micros, floor_to, format_micros};

/// What a backfill is asked.
#[derive(Debug, Clone)]
pub struct BackfillOptions {
    /// Which hours are written.
    pub range: Range,
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
                    .hint(format!("hours are replaced whole: give {hour} or the next one")));
            }
        }
        Ok(Self { from, to })
    }

    /// Whether `t` is inside.
    pub fn contains(&self, t: Micros) -> bool {
        self.from.is_none_or(|from| t >= from) && self.to.is_none_or(|to| t < to)
    }

    /// The hours that are replaced, given first and last event: those of the range, as far as it says, else of the events.
    pub fn hours(&self, events: Option<(Micros, Micros)>) -> Vec<Micros> {
        let first = self.from.or(events.map(|(first, _)| first));
        let end = self.to.or(events.map(|(_, last)| last.saturating_add(1)));
        let (Some(first), Some(end)) = (first, end) else { return vec![] };
        let mut hours = Vec::new();
        let mut hour = floor_to(first, MICROS_PER_HOUR);
        while hour < end {
            hours.push(hour);
            hour += MICROS_PER_HOUR;
        }
        hours
    }
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
    fn hours_cover_the_events_unless_the_range_says() {
        let all = Range::default();
        assert_eq!(all.hours(Some((HOUR + 5, 3 * HOUR))), [HOUR, 2 * HOUR, 3 * HOUR]);
        assert_eq!(all.hours(Some((HOUR + 5, 3 * HOUR - 1))), [HOUR, 2 * HOUR]);
        assert!(all.hours(None).is_empty());
        let range = Range { from: Some(0), to: Some(2 * HOUR) };
        assert_eq!(range.hours(Some((HOUR, 9 * HOUR))), [0, HOUR]);
        assert_eq!(range.hours(None), [0, HOUR]);
    }
}
