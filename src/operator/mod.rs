//! Windowed operators: DataFusion physical operators whose state outlives a run, and that state.
//!
//! A continuous query is cut where rows become windows:
//!
//! ```text
//!   per shard, per batch                     where shards meet, per closed window
//!   BatchScanExec ─► filter ─► project ─►    partials of all shards ─► merged groups ─► BatchScanExec ─► rest of the query
//!                    WindowAggregateExec
//!                    (updates panes)
//! ```
//!
//! * [`batch_scan`]: the leaf that is refilled before each run;
//! * [`window`]: aggregates of event-time windows: panes in a shard, partials, merged groups;
//! * [`concurrency`]: how many sessions are present at each instant: marks in a shard, sessions and streams where they meet;
//! * [`lookup_join`]: rows joined with a table in memory, of which a version is put in before each run;
//! * [`memory`]: how much of it all of them may take together;
//! * [`percentile`]: the exact nearest-rank percentile.
//!
//! Architecture invariant: nothing here knows SQL, Kinesis, files or the wall clock.

pub mod batch_scan;
pub mod concurrency;
pub mod lookup_join;
pub mod memory;
pub mod percentile;
pub mod window;
