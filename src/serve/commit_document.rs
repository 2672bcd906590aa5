//! The commits of a job in the answer of `/api/status`.

use serde::Serialize;

use crate::engine::board::CommitStatus;
use crate::types::{MICROS_PER_SEC, format_micros};

/// Commits of a job that is committed while it runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CommitDocument {
    /// The pause between two of them.
    pub interval_secs: f64,
    /// When the last one stood; before the first one, when the job began to read.
    pub last_at: String,
    /// Its number, as `headcount checkpoint list` shows it; null before the first one.
    pub number: Option<u64>,
    /// Commits since the start.
    pub commits: u64,
    /// Tries that failed: the next one made up for each.
    pub failures: u64,
    /// Why the last try failed; null if it did not.
    pub failing: Option<String>,
    /// For how long no shard was read at the last cut.
    pub stood_secs: f64,
    /// Committed files that could not be moved into their tables yet.
    pub unmoved_files: usize,
    /// Committed files that were gone before they were moved: their rows are lost.
    pub lost_files: u64,
}

impl CommitDocument {
    pub(super) fn of(status: &CommitStatus) -> Self {
        Self {
            interval_secs: status.interval as f64 / MICROS_PER_SEC as f64,
            last_at: format_micros(status.last),
            number: status.number,
            commits: status.commits,
            failures: status.failures,
            failing: status.failing.clone(),
            stood_secs: status.stood as f64 / MICROS_PER_SEC as f64,
            unmoved_files: status.unmoved,
            lost_files: status.lost,
        }
    }
}
