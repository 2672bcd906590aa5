//! Where events come from.
//!
//! Every source ends in the same two words: a [`Record`](crate::types::Record), the bytes as they came, and a
//! [`ReadBatch`](crate::types::ReadBatch), some records of one shard in shard order. Nothing here looks inside a record;
//! that is `decode`'s work.
//!
//! ```text
//!  simulator ──► Feeder ──PutRecords──► embedded Kinesis ──┐        (a laptop)
//!                                                          ├─GetRecords─► kinesis::ShardReader ──► ReadBatch
//!                               Amazon Kinesis ────────────┘        (production)
//!  simulator ──► write_files ──► shardId-….ndjson          (input of a backfill)
//! ```
//!
//! * [`simulator`]: a seeded live-streaming platform. It plays viewers, streams and their faults in virtual time.
//! * [`kinesis`]: the client side of Kinesis Data Streams, and the only place that uses its SDK.
//! * [`mod@file`]: event files, local or in a bucket, as the input of a backfill.
//! * [`lookup`]: tables that queries may join, local or in a bucket.
//! * [`embedded`]: a Kinesis inside this process, for a first run without any account, and the feeder that fills it.

#[cfg(feature = "embedded")]
pub mod embedded;
pub mod file;
pub mod kinesis;
pub mod lookup;
pub mod simulator;
