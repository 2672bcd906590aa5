//! Marks: what a shard hands over about streams and sessions.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::error::ArrowError;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use xxhash_rust::xxh3::{xxh3_128, xxh3_128_with_seed};

use crate::types::{Micros, arrow_bytes};

/// What an event says about its stream or session. The order is the rank of marks at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum MarkKind {
    /// `stream.ended`.
    StreamEnded,
    /// `stream.started`.
    StreamStarted,
    /// `view.started`: a touch that lifts closures.
    Started,
    /// `view.heartbeat`, `view.resumed`: a touch.
    Touch,
    /// A heartbeat of a paused or ended player: a sign that the session was there, no touch. Ranks with heartbeats.
    Seen,
    /// `view.paused`: cuts the lease.
    Paused,
    /// `view.ended`, or a touch of the session that replaced this one: cuts the lease and closes.
    Ended,
    /// Any other event of the stream: shows that the stream is alive.
    Event,
}

impl MarkKind {
    pub(super) fn rank(self) -> u8 {
        match self {
            MarkKind::StreamEnded => 0,
            MarkKind::StreamStarted => 1,
            MarkKind::Started => 2,
            MarkKind::Touch | MarkKind::Seen => 3,
            MarkKind::Paused => 4,
            MarkKind::Ended => 5,
            MarkKind::Event => 6,
        }
    }
}

/// 128-bit hash of an identifier; 0 stands for none. With a billion ids the chance of any collision is below 10⁻²⁰.
pub(super) type IdHash = u128;

/// An [`IdHash`] that need not lie at a multiple of sixteen: structs of it have no holes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PackedHash([u8; 16]);

impl PackedHash {
    /// No identifier.
    pub(super) const NONE: Self = Self([0; 16]);

    #[inline]
    pub(super) fn get(self) -> IdHash {
        u128::from_le_bytes(self.0)
    }

    /// Eight bytes of it: it is a hash already.
    #[inline]
    pub(super) fn short(self) -> u64 {
        self.get() as u64
    }

    #[inline]
    pub(super) fn is_none(self) -> bool {
        self == Self::NONE
    }
}

impl From<IdHash> for PackedHash {
    #[inline]
    fn from(hash: IdHash) -> Self {
        Self(hash.to_le_bytes())
    }
}

#[inline]
pub(super) fn hash_id(id: &[u8]) -> IdHash {
    xxh3_128(id).max(1)
}

/// A session is (stream, session id): the same id in another stream is another session. Of the stream's hash 64 bits go into it: they tell
/// streams apart that have sessions of one id, as a million of them do but for a chance below 10⁻⁷; sessions of different ids are told apart by
/// all 128 bits.
#[inline]
pub(super) fn hash_session(stream: IdHash, session: &[u8]) -> IdHash {
    xxh3_128_with_seed(session, stream as u64).max(1)
}

/// One mark. `source` and `row` find its strings in the partial's [`MarkColumns`].
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Mark {
    /// None: a mark of the stream itself.
    pub session: PackedHash,
    /// None: the event does not say it, or nobody asks.
    pub viewer: PackedHash,
    pub time: Micros,
    /// Its place among the partial's streams.
    pub stream: u32,
    pub source: u32,
    pub row: u32,
    pub kind: MarkKind,
    /// Not an event by itself: the end of a session that another session's touch brought.
    pub derived: bool,
    /// Whether the event says the stream's channel.
    pub names_channel: bool,
}

/// The strings behind the marks of one batch, one row a mark's event.
#[derive(Debug, Clone)]
pub(super) struct MarkColumns {
    pub event_id: StringArray,
    pub stream_id: StringArray,
    pub channel_id: StringArray,
    /// The dimensions in the order of [`super::ShardMarks`]'s list.
    pub dimensions: Vec<StringArray>,
}

impl MarkColumns {
    /// Memory that they hold, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let ids = [&self.event_id, &self.stream_id, &self.channel_id];
        ids.into_iter().chain(&self.dimensions).map(|column| column.get_array_memory_size()).sum()
    }

    /// The same rows with the dimensions at these places only.
    pub(super) fn with_dimensions(&self, places: &[usize]) -> Self {
        Self {
            event_id: self.event_id.clone(),
            stream_id: self.stream_id.clone(),
            channel_id: self.channel_id.clone(),
            dimensions: places.iter().filter_map(|i| self.dimensions.get(*i).cloned()).collect(),
        }
    }

    fn to_batch(&self) -> Result<RecordBatch, ArrowError> {
        let columns = [&self.event_id, &self.stream_id, &self.channel_id].into_iter().chain(&self.dimensions);
        RecordBatch::try_from_iter_with_nullable(
            columns.enumerate().map(|(i, c)| (i.to_string(), Arc::new(c.clone()) as ArrayRef, true)),
        )
    }

    fn from_batch(batch: &RecordBatch) -> Option<Self> {
        let mut columns = batch.columns().iter().map(|c| c.as_string_opt::<i32>().cloned());
        Some(Self {
            event_id: columns.next()??,
            stream_id: columns.next()??,
            channel_id: columns.next()??,
            dimensions: columns.collect::<Option<_>>()?,
        })
    }
}

impl Serialize for MarkColumns {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        arrow_bytes::serialize(&self.to_batch().map_err(serde::ser::Error::custom)?, serializer)
    }
}

impl<'de> Deserialize<'de> for MarkColumns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let batch = arrow_bytes::deserialize(deserializer)?;
        Self::from_batch(&batch).ok_or_else(|| serde::de::Error::custom("the columns of marks are texts"))
    }
}

#[inline]
pub(super) fn text(column: &StringArray, row: u32) -> Option<&str> {
    (!column.is_null(row as usize)).then(|| column.value(row as usize))
}

/// Whether `(time, id)` is greater than what is known, comparing times first.
pub(super) fn is_later(time: Micros, id: &str, known: Option<(Micros, &str)>) -> bool {
    known.is_none_or(|(t, k)| time.cmp(&t).then_with(|| id.cmp(k)) == Ordering::Greater)
}
