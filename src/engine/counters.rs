//! What became of every event: nothing vanishes.
//!
//! ```text
//!  read          = kept + duplicates + dead letters
//!  per pipeline:  kept = in windows + late + ignored touches + filtered
//! ```
//!
//! A row that is late for some of its windows is in the others: it is one of those in windows, and counted apart besides.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use super::judge::JudgeCounts;

/// What became of the kept events in one pipeline.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PipelineCounts {
    /// Rows that entered a window.
    pub in_windows: u64,
    /// Rows that were late for every window they belong to.
    pub late: u64,
    /// Of the rows that entered a window, those that were late for another one that they belong to.
    pub partly_late: u64,
    /// Touches of closed sessions (concurrency only).
    pub ignored_touches: u64,
    /// Rows that the query does not ask for.
    pub filtered: u64,
}

impl PipelineCounts {
    /// All of them. Those that are partly late are in windows.
    pub fn total(&self) -> u64 {
        self.in_windows + self.late + self.ignored_touches + self.filtered
    }
}

impl AddAssign for PipelineCounts {
    fn add_assign(&mut self, other: Self) {
        self.in_windows += other.in_windows;
        self.late += other.late;
        self.partly_late += other.partly_late;
        self.ignored_touches += other.ignored_touches;
        self.filtered += other.filtered;
    }
}

/// Totals of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Events read: rows and dead letters.
    pub read: u64,
    /// Rows that went on.
    pub kept: u64,
    /// Rows dropped as duplicates.
    pub duplicates: u64,
    /// Events and records that became dead letters.
    pub dead_letters: u64,
    /// Event times shifted by the client's own clock.
    pub shifted: u64,
    /// Event times set to arrival.
    pub clamped: u64,
    /// By pipeline.
    pub pipelines: BTreeMap<String, PipelineCounts>,
}

impl Counters {
    /// Adds one shard's reading and judging. `undecodable`: dead letters of the decoder.
    pub fn add_shard(&mut self, events_read: u64, undecodable: u64, judged: &JudgeCounts) {
        self.read += events_read;
        self.kept += judged.kept;
        self.duplicates += judged.duplicates;
        self.dead_letters += undecodable + judged.too_old;
        self.shifted += judged.shifted;
        self.clamped += judged.clamped;
    }

    /// Adds another worker's totals.
    pub fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.kept += other.kept;
        self.duplicates += other.duplicates;
        self.dead_letters += other.dead_letters;
        self.shifted += other.shifted;
        self.clamped += other.clamped;
        other.pipelines.iter().for_each(|(name, counts)| self.add_pipeline(name, *counts));
    }

    /// Adds a pipeline's share.
    pub fn add_pipeline(&mut self, name: &str, counts: PipelineCounts) {
        *self.pipelines.entry(name.to_owned()).or_default() += counts;
    }

    /// Moves touches that turned out to be ignored out of the rows in windows.
    pub fn ignore_touches(&mut self, name: &str, ignored: u64) {
        let counts = self.pipelines.entry(name.to_owned()).or_default();
        let moved = ignored.min(counts.in_windows);
        counts.in_windows -= moved;
        counts.ignored_touches += moved;
    }

    /// The equations that do not hold, in words; empty if all do.
    pub fn contradictions(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let accounted = self.kept + self.duplicates + self.dead_letters;
        if self.read != accounted {
            wrong.push(format!(
                "read {} but kept {} + duplicates {} + dead letters {} = {accounted}",
                self.read, self.kept, self.duplicates, self.dead_letters
            ));
        }
        for (name, counts) in &self.pipelines {
            if counts.partly_late > counts.in_windows {
                wrong.push(format!("{name}: more rows partly late than in windows: {counts:?}"));
            }
            if counts.total() != self.kept {
                wrong.push(format!("{name}: kept {} but accounts for {}: {counts:?}", self.kept, counts.total()));
            }
        }
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_event_is_a_contradiction() {
        let mut c = Counters::default();
        c.add_shard(10, 1, &JudgeCounts { kept: 7, duplicates: 2, ..JudgeCounts::default() });
        c.add_pipeline("p", PipelineCounts { in_windows: 6, filtered: 1, ..PipelineCounts::default() });
        assert!(c.contradictions().is_empty());
        c.add_pipeline("q", PipelineCounts { in_windows: 6, ..PipelineCounts::default() });
        c.read += 1;
        assert_eq!(c.contradictions().len(), 2);
    }
}
