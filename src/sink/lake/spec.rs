//! What a table is like, and when one of its files is full.

use crate::types::{MICROS_PER_MINUTE, Micros};

/// The table of what could not be used.
pub const DEAD_LETTERS: &str = "_dead_letters";

/// The folder of the tables of late rows.
pub const LATE: &str = "_late";

/// The path below the lake of the table of rows that were late for `table`.
pub fn late_table(table: &str) -> String {
    format!("{LATE}/{table}")
}

/// The table whose late rows are at `path` below the lake; none if no late rows are there.
pub fn table_of_late(path: &str) -> Option<&str> {
    path.strip_prefix(LATE)?.strip_prefix('/')
}

/// How a table is partitioned, named and encoded. Build it with [`TableSpec::new`] and change what differs.
#[derive(Debug, Clone)]
pub struct TableSpec {
    /// The table's path below the lake: `user_events`, `_late/revenue`, `_dead_letters`.
    pub name: String,
    /// The column whose hour is the partition: Timestamp(Microsecond).
    pub time_column: String,
    /// Whether that column may be null; the clock's time, or what the writer is told, then stands in for it. Otherwise a null is a bug.
    pub time_may_be_null: bool,
    /// The column that tells where a row's span of time ends, if rows have one (`window_end`): used to see when a gathered file is full.
    pub end_column: Option<String>,
    /// Of rows with such a span, how much the next one shares with it, in microseconds: size − slide of windows that hop, else 0.
    pub overlap: Micros,
    /// Whether spans come in the order of their ends, and begin in any hour: sessions do.
    pub by_end: bool,
    /// Start of every file's name. Unique to one run and shard, and sorting by time: a file of that name is replaced.
    pub file_prefix: String,
    /// Columns, besides times, that queries prune by: they get minima and maxima.
    pub pruning_columns: Vec<String>,
    /// Columns whose values hardly repeat: no dictionary is tried, and text is stored back to back.
    pub unique_columns: Vec<String>,
    /// Columns that queries look single values up by: they get a bloom filter.
    pub lookup_columns: Vec<String>,
    /// Columns that rows are sorted by within a gathered file, ascending, nulls first.
    pub sort_columns: Vec<String>,
    /// Version of the event contract or of the query, written into every file as `headcount.schema_version`.
    pub schema_version: String,
}

impl TableSpec {
    /// A table partitioned by `time_column`, with this product's usual columns: ids and payloads are unique, `stream_id` prunes.
    ///
    /// `session_id` repeats with every heartbeat, so a dictionary pays (it saved 9 bytes a row on synthetic events, 20 heartbeats a session) and a
    /// bloom filter is small (2 bytes a session). One of `event_id` costs 1.3 bytes a row, about 5 % of a file: left to who needs it.
    pub fn new(name: impl Into<String>, time_column: impl Into<String>, file_prefix: impl Into<String>) -> Self {
        let names = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect();
        Self {
            name: name.into(),
            time_column: time_column.into(),
            time_may_be_null: false,
            end_column: None,
            overlap: 0,
            by_end: false,
            file_prefix: file_prefix.into(),
            pruning_columns: names(&["stream_id"]),
            unique_columns: names(&["event_id", "sequence_number", "data", "message"]),
            lookup_columns: names(&["session_id"]),
            sort_columns: Vec::new(),
            schema_version: "1".to_owned(),
        }
    }

    /// A table of finished windows: partitioned by `window_start`, rows sorted by `sort_columns`. The bounds of `revision` tell a reader
    /// which files hold no row that replaces another.
    pub fn windows(name: impl Into<String>, file_prefix: impl Into<String>, sort_columns: Vec<String>) -> Self {
        let end_column = Some("window_end".to_owned());
        let mut spec = Self { end_column, sort_columns, ..Self::new(name, "window_start", file_prefix) };
        spec.pruning_columns.push("revision".to_owned());
        spec
    }

    /// The dead letters: partitioned by `ingest_time`; who writes them says where those stand that came without one.
    pub fn dead_letters(file_prefix: impl Into<String>) -> Self {
        Self { time_may_be_null: true, ..Self::new(DEAD_LETTERS, "ingest_time", file_prefix) }
    }

    /// The rows that were late for every window of a pipeline, partitioned by `event_time`.
    pub fn late(pipeline: &str, file_prefix: impl Into<String>) -> Self {
        Self::new(late_table(pipeline), "event_time", file_prefix)
    }
}

/// When a file is closed and the next one begun: whichever comes first.
#[derive(Debug, Clone, Copy)]
pub struct RollPolicy {
    /// Size of the file, encoded, in bytes.
    pub bytes_max: u64,
    /// Time since the file's first row, by the injected clock, in microseconds.
    pub age_max: Micros,
}

impl Default for RollPolicy {
    /// 256 MB, a size that query engines like, or five minutes, after which fresh rows should be seen.
    fn default() -> Self {
        Self { bytes_max: 256 * 1024 * 1024, age_max: 5 * MICROS_PER_MINUTE }
    }
}
