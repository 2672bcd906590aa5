//! Backfills: the same SQL as a live run, over event files. So far: the time-partitioned buffer that keeps memory bounded.

pub mod buffer;
mod spill;

pub use buffer::{Bucket, Buckets, MergedBucket, TimeBuckets, merge_buckets};
