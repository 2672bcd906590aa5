//! A window that is not complete, for whoever asks how many are watching now.

use arrow::record_batch::RecordBatch;

use super::query::ConcurrencyQuery;
use super::resolve::Presence;
use crate::error::Result;
use crate::types::Micros;

/// What is known of a query's window that holds the last instant before [`Self::as_of`].
///
/// ```text
///      window_start            as_of          watermark      window_end
///  ─────────┼────────────────────┼───────────────┼───────────────┼──────►
///           ├── resolved: rows ──┤ less than one bucket
/// ```
///
/// No shard can add to what lies before `as_of`, so that what is said of these instants stays. That presence ends after `as_of`, and what
/// the rest of the window brings, is not known. Of the finest window `as_of` is always an end: the window is the one just closed.
#[derive(Debug, Clone, PartialEq)]
pub struct UnclosedWindow {
    /// Whose window it is.
    pub query: ConcurrencyQuery,
    /// Start of the window.
    pub window_start: Micros,
    /// Where the window ends when it is complete.
    pub window_end: Micros,
    /// The instant up to which presence is resolved.
    pub as_of: Micros,
    /// Rows with the query's columns, over `[window_start, as_of)`: `viewers_current` is the number just before `as_of`. Only
    /// `window_end` and `window_time` are those of the whole window.
    pub rows: RecordBatch,
}

impl Presence {
    /// A query's window as far as it is resolved; changes nothing. None before anything is resolved, where that window was closed by
    /// another run, and where a long silence was passed over just before.
    pub(super) fn unclosed(&self, query: usize) -> Result<Option<UnclosedWindow>> {
        let (Some(as_of), Some(windows)) = (self.cursor, self.queries.get(query)) else { return Ok(None) };
        let window = windows.unclosed(as_of, &self.streams, &self.dimensions)?;
        Ok(window.map(|(window_start, rows)| UnclosedWindow {
            query: windows.query().clone(),
            window_start,
            window_end: window_start.saturating_add(windows.size()),
            as_of,
            rows,
        }))
    }
}
