//! A shard's side of concurrency: events become marks, in buckets of the finest window.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, TimeUnit};
use arrow::record_batch::RecordBatch;
use serde::{Deserialize, Serialize};

use super::events::{ColumnIndices, Events};
use super::known_streams::KnownStreams;
use super::open_bucket::OpenBucket;
use super::partial::MarksPartial;
use super::state::Kept;
use crate::error::{Error, Result};
use crate::operator::window::LatenessRule;
use crate::types::{Micros, floor_to};

/// What became of the rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkCounts {
    /// Events of a stream that were taken.
    pub in_windows: u64,
    /// Events of a stream that were late.
    pub late: u64,
    /// Events without a stream.
    pub filtered: u64,
}

/// What became of the rows of one batch, by their numbers.
#[derive(Debug, Default)]
pub struct Marked {
    /// Of a stream, and taken.
    pub taken: Vec<u32>,
    /// Of a stream, and late.
    pub late: Vec<u32>,
    /// The buckets that saw events.
    pub seen: Vec<Seen>,
}

/// First and last event time of one bucket of one shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Start of the bucket.
    pub bucket: Micros,
    /// Earliest accepted event in it, as far as known.
    pub first: Micros,
    /// Latest accepted event in it, as far as known.
    pub last: Micros,
}

/// The columns that marks are made of, besides the dimensions that some query counts by.
const COLUMNS: [&str; 10] = [
    "event_time",
    "shard_high_time",
    "event_type",
    "event_id",
    "stream_id",
    "channel_id",
    "session_id",
    "previous_session_id",
    "viewer_id",
    "player_state",
];

/// Marks of one shard by bucket.
#[derive(Debug)]
pub struct ShardMarks {
    // properties: constant
    bucket_size: Micros,
    rule: LatenessRule,
    columns: ColumnIndices,
    dimensions: Vec<String>,
    // state: mutable
    buckets: BTreeMap<Micros, OpenBucket>,
    streams: KnownStreams,
    counts: MarkCounts,
}

/// What a [`ShardMarks`] remembers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MarksState {
    /// The columns of the marks that some query counted by.
    dimensions: Vec<String>,
    buckets: Vec<MarksPartial>,
}

impl MarksState {
    /// Takes all of them out.
    pub(super) fn take(&mut self) -> Vec<MarksPartial> {
        std::mem::take(&mut self.buckets)
    }
}

impl ShardMarks {
    /// The columns that are read where sessions are counted by `dimensions`.
    pub fn columns(dimensions: &[String]) -> Vec<String> {
        let fixed = COLUMNS.iter().map(|name| (*name).to_owned());
        fixed.chain(dimensions.iter().filter(|d| !COLUMNS.contains(&d.as_str())).cloned()).collect()
    }

    /// An empty collection. `bucket_size` is the finest window in use; `dimensions` are the columns that some query counts by.
    ///
    /// # Errors
    /// The events have no such column: concurrency needs the contract's columns of streams and sessions.
    pub fn try_new(events: &Schema, bucket_size: Micros, rule: LatenessRule, dimensions: &[String]) -> Result<Self> {
        let index = |name: &str| {
            let index = events.index_of(name).map_err(|_| {
                Error::user(format!("CONCURRENCY needs the column {name}, which the event schema does not have"))
                    .hint("add it to the schema, or count with TUMBLE")
            })?;
            let time = name == "event_time" || name == "shard_high_time";
            let fits = match events.field(index).data_type() {
                DataType::Timestamp(TimeUnit::Microsecond, _) => time,
                DataType::Utf8 => !time,
                _ => false,
            };
            if fits {
                return Ok(index);
            }
            let wanted = if time { "a time" } else { "text" };
            Err(Error::user(format!(
                "CONCURRENCY needs the column {name} to be {wanted}, which in the event schema it is not"
            ))
            .hint("change its type in the schema, or count with TUMBLE"))
        };
        let mut fixed = [0; COLUMNS.len()];
        for (place, name) in fixed.iter_mut().zip(COLUMNS) {
            *place = index(name)?;
        }
        let [
            event_time,
            high_time,
            event_type,
            event_id,
            stream_id,
            channel_id,
            session_id,
            previous_session_id,
            viewer_id,
            player_state,
        ] = fixed;
        let columns = ColumnIndices {
            event_time,
            high_time,
            event_type,
            event_id,
            stream_id,
            channel_id,
            session_id,
            previous_session_id,
            viewer_id,
            player_state,
            dimensions: dimensions.iter().map(|d| index(d)).collect::<Result<_>>()?,
        };
        Ok(Self {
            bucket_size,
            rule,
            columns,
            dimensions: dimensions.to_vec(),
            buckets: BTreeMap::new(),
            streams: KnownStreams::default(),
            counts: MarkCounts::default(),
        })
    }

    /// Takes a batch of events in.
    pub fn update(&mut self, events: &RecordBatch) -> Result<Marked> {
        let events = Events::new(events, &self.columns);
        let Marked { mut taken, mut late, mut seen } = Marked::default();
        taken.reserve(events.times.len());
        let mut bucket = Micros::MIN;
        for (row, &time) in events.times.iter().enumerate() {
            // Rows come roughly in the order of time: the bucket is nearly always that of the one before.
            if !self.is_in(bucket, time) {
                bucket = floor_to(time, self.bucket_size);
            }
            let in_time = self.is_in_time(bucket, events.high(row));
            match (events.stream_id.is_null(row), in_time) {
                (true, _) => self.counts.filtered += 1,
                (false, false) => {
                    self.counts.late += 1;
                    late.push(row as u32);
                }
                (false, true) => {
                    self.counts.in_windows += 1;
                    taken.push(row as u32);
                }
            }
            if in_time {
                note(&mut seen, bucket, time);
            }
        }
        if !taken.is_empty() {
            self.collect(&events, &taken)?;
        }
        Ok(Marked { taken, late, seen })
    }

    #[inline]
    fn is_in(&self, bucket: Micros, time: Micros) -> bool {
        time >= bucket && time.saturating_sub(bucket) < self.bucket_size
    }

    /// The rule of lateness, for the one window that is the bucket.
    #[inline]
    fn is_in_time(&self, bucket: Micros, high: Option<Micros>) -> bool {
        let end = bucket.saturating_add(self.bucket_size);
        let watermark = self.rule.watermark(high);
        watermark.is_none_or(|watermark| end > watermark.saturating_sub(self.rule.allowed_lateness))
    }

    fn collect(&mut self, events: &Events<'_>, taken: &[u32]) -> Result<()> {
        // Where nearly all rows are of streams, sharing the columns costs no copy and little memory.
        let share = taken.len() * 4 >= events.times.len() * 3;
        let strings = Arc::new(if share { events.strings() } else { events.take_strings(taken)? });
        let time_of = |row: u32| events.times.get(row as usize).copied().unwrap_or_default();
        let mut rest = taken;
        while let Some(first) = rest.first() {
            let bucket = floor_to(time_of(*first), self.bucket_size);
            let of_bucket = bucket..bucket.saturating_add(self.bucket_size);
            let many = rest.iter().skip(1).take_while(|row| of_bucket.contains(&time_of(**row))).count() + 1;
            let place = taken.len() - rest.len();
            let (rows, later) = rest.split_at(many);
            let open = self.buckets.entry(bucket).or_insert_with(|| OpenBucket::of(MarksPartial::new(bucket)));
            let source = open.source(&strings, many);
            for (place, &row) in (place as u32..).zip(rows) {
                open.push(events, row as usize, (source, if share { row } else { place }), &mut self.streams);
            }
            rest = later;
        }
        Ok(())
    }

    /// Hands over every bucket that can take no more marks of this shard: its end is not after `watermark`.
    pub fn close(&mut self, watermark: Micros) -> Vec<MarksPartial> {
        let mut closed = Vec::new();
        while let Some(first) = self.buckets.first_entry() {
            if first.key().saturating_add(self.bucket_size) > watermark {
                break;
            }
            let mut marks = first.remove().into_marks();
            // Where lateness is ignored a bucket may be opened again, with other places.
            self.streams.forget_places();
            marks.sort();
            closed.push(marks);
        }
        closed
    }

    /// A copy of what waits.
    pub fn state(&self) -> MarksState {
        MarksState {
            dimensions: self.dimensions.clone(),
            buckets: self.buckets.values().map(|open| open.marks().clone()).collect(),
        }
    }

    /// Goes on from a copy, of buckets of the same size.
    ///
    /// # Errors
    /// Internal if it is without a dimension that some query counts by.
    pub fn restore(&mut self, state: MarksState) -> Result<()> {
        let kept = Kept::try_new(&state.dimensions, &self.dimensions)?;
        let buckets = state.buckets.into_iter().map(|marks| (marks.bucket, OpenBucket::of(kept.of_marks(marks))));
        self.buckets = buckets.collect();
        self.streams.forget_places();
        Ok(())
    }

    /// Memory of the open buckets, in bytes.
    pub fn bytes(&self) -> usize {
        self.buckets.values().map(OpenBucket::bytes).sum()
    }

    /// Totals since the start.
    pub fn counts(&self) -> MarkCounts {
        self.counts
    }
}

fn note(seen: &mut Vec<Seen>, bucket: Micros, time: Micros) {
    // Rows come roughly in time order, so the bucket is nearly always the last one.
    match seen.iter_mut().rev().find(|s| s.bucket == bucket) {
        Some(s) => {
            s.first = s.first.min(time);
            s.last = s.last.max(time);
        }
        None => seen.push(Seen { bucket, first: time, last: time }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::window::{Lateness, Windowing};

    #[test]
    fn in_time_is_what_the_rule_of_lateness_admits_to_a_window_of_one_bucket() {
        let events = crate::schema::Contract::shipped().unwrap().events_schema();
        for (lateness, allowed_lateness) in [(Lateness::Judge, 0), (Lateness::Judge, 25), (Lateness::Ignore, 0)] {
            let rule = LatenessRule { lateness, watermark_delay: 30, allowed_lateness };
            let marks = ShardMarks::try_new(&events, 10, rule, &[]).unwrap();
            for high in (0..200).map(Some).chain([None, Some(Micros::MIN), Some(Micros::MAX)]) {
                let admitted = rule.admit(Windowing::tumbling(10), 110, high).is_some();
                assert_eq!(marks.is_in_time(100, high), admitted, "{rule:?} {high:?}");
            }
        }
    }
}
