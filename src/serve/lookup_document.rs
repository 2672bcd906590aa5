//! A lookup table in the answer of `/api/status`.

use serde::Serialize;

use crate::engine::board::LookupStatus;
use crate::types::format_micros;

/// One lookup table.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LookupDocument {
    /// Its name.
    pub table: String,
    /// The version in use: a hash of its content, as a checkpoint names it.
    pub version: String,
    /// Its rows.
    pub rows: usize,
    /// When it came into use.
    pub loaded_at: String,
    /// Versions that came into use since the start.
    pub reloads: u64,
    /// Looks at the table that failed.
    pub failures: u64,
    /// Why the last look failed; null if it did not.
    pub failing: Option<String>,
}

impl LookupDocument {
    pub(super) fn of(table: &str, status: &LookupStatus) -> Self {
        Self {
            table: table.to_owned(),
            version: status.version.clone(),
            rows: status.rows,
            loaded_at: format_micros(status.loaded_at),
            reloads: status.reloads,
            failures: status.failures,
            failing: status.failing.clone(),
        }
    }
}
