//! The client side of Kinesis Data Streams: reads shards, and puts records. The only place that uses the service's SDK.
//!
//! ```text
//!  KinesisSource::connect ─► list_shards ─► shard_reader(shard, resume after) ─► next() ─► ReadBatch
//!                                                              ▲                   │
//!                            Pace: < 5 calls/s, 2 MiB/s ───────┘                   └─ Backoff: throttling, 5xx, timeouts
//! ```
//!
//! What the service is like, and what follows from it:
//!
//! * A shard gives 5 calls and 2 MiB a second to all its readers together. A reader stays under both by itself ([`ShardReader`]), and
//!   when it is throttled all the same, because it is not the only one, it backs off with full jitter.
//! * A reply without records may still have data ahead; `millis_behind_latest` tells, and then the next poll comes soon.
//! * An iterator lives five minutes. An expired one is replaced by one after the last record read.
//! * The position is a sequence number and moves over every record, whatever is in it.
//! * A reader ends, with `None`, only when its shard is closed and drained.
//!
//! The SDK's own retries are off: here they are bounded by [`limits`](crate::limits), counted in [`KinesisCounters`] and seeded.

mod call;
mod client;
mod counters;
mod fault;
mod options;
mod pace;
mod producer;
mod reader;
mod shards;
#[cfg(test)]
mod tests;

pub use crate::aws::Access;
pub use client::KinesisSource;
pub use counters::{KinesisCounters, KinesisCounts};
pub use options::{KinesisOptions, StartPosition};
pub use producer::{Producer, PutRecord};
pub use reader::ShardReader;
pub use shards::ShardInfo;
