//! What a source reads from a shard, before anything is known about the bytes.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Micros, format_micros};

/// The name of a shard: `shardId-000000000003`, or what stands for it in a backfill.
pub type ShardId = Arc<str>;

/// One Kinesis record, or one line or value of an event file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The payload, as it came.
    pub data: Bytes,
    /// Kinesis sequence number in decimal digits (up to 56 of them), or the number of the line or value in a file, from 1.
    pub sequence_number: Arc<str>,
    /// When the stream took the record. Absent where the input does not say.
    pub arrival_time: Option<Micros>,
}

/// Where reading a shard goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ShardPosition {
    /// With the oldest record that the stream holds.
    Oldest,
    /// With the first record that arrived at or after this instant.
    At(Micros),
    /// With the record after this sequence number.
    After(Arc<str>),
}

impl std::fmt::Display for ShardPosition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Oldest => f.write_str("its oldest record"),
            Self::At(t) => f.write_str(&format_micros(*t)),
            Self::After(number) => write!(f, "after {number}"),
        }
    }
}

/// Records of one shard, in shard order, as one read gave them. It may be empty.
#[derive(Debug, Clone)]
pub struct ReadBatch {
    /// The shard that was read.
    pub shard: ShardId,
    /// What came, in shard order.
    pub records: Vec<Record>,
    /// How far the read was behind the tip of the shard, in milliseconds; 0 with no records means caught up.
    pub millis_behind_latest: Option<i64>,
    /// When the read was asked for, on this machine's clock.
    pub polled_at: Option<Micros>,
}

impl ReadBatch {
    /// Whether the shard had nothing left to give when it was asked.
    pub fn caught_up_and_empty(&self) -> bool {
        self.records.is_empty() && self.millis_behind_latest == Some(0)
    }
}
