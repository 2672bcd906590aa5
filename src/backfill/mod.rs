//! Backfills: the same SQL as a live run, over event files.
//!
//! ```text
//!  first pass, a worker a core                 second pass, in time order
//!  files ─► Intake (decode, judge) ─► buckets ─► ShardStage ×n ─► Combine ─► rows ─┐
//!             │ shard by shard        of time    └─► raw events ───────────────────┤─► staged files ─► one replacement
//!             └─► dead letters ────────────────────────────────────────────────────┘
//! ```
//!
//! The verdict on each event depends on its shard's order alone, so it is passed while the files are read, one shard at a time.
//! After that any order will do: rows are put into buckets of event time (on disk, where they do not fit into memory), and the
//! windows are computed bucket by bucket. So memory holds one bucket's state, not a day's, however the files are sorted.
//!
//! Where raw rows are not written, only the columns that queries read are kept in the buckets (`columns`). And if they ask for windows of time
//! alone, rows do not wait at all: the workers of the first pass have a `ShardStage` each, and windows in part wait (`partials`).
//!
//! * [`run`]: a whole backfill; * [`BackfillOptions`], [`BackfillSummary`], [`Stage`];
//! * [`buffer`]: rows by time, with spilling.

mod ahead;
pub mod buffer;
mod columns;
mod job;
mod options;
mod partials;
mod read;
mod spill;
mod windows;

pub use buffer::{Bucket, Buckets, MergedBucket, TimeBuckets, merge_buckets};
pub use job::run;
pub use options::{BackfillOptions, BackfillSummary, Range, Stage, Watch};
