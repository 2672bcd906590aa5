//! A shard's side of concurrency: events become marks, in buckets of the finest window.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, StringArray, TimestampMicrosecondArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Schema, TimeUnit, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use serde::{Deserialize, Serialize};

use super::mark::{IdHash, Mark, MarkColumns, MarkKind, MarksPartial, hash_id, hash_session, text};
use super::state::Kept;
use crate::error::{Error, Result};
use crate::operator::window::{LatenessRule, Windowing};
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
    buckets: BTreeMap<Micros, MarksPartial>,
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

#[derive(Debug)]
struct ColumnIndices {
    event_time: usize,
    high_time: usize,
    event_type: usize,
    event_id: usize,
    stream_id: usize,
    channel_id: usize,
    session_id: usize,
    previous_session_id: usize,
    viewer_id: usize,
    player_state: usize,
    dimensions: Vec<usize>,
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
            counts: MarkCounts::default(),
        })
    }

    /// Takes a batch of events in.
    pub fn update(&mut self, events: &RecordBatch) -> Result<Marked> {
        let view = EventView::new(events, &self.columns);
        let Marked { mut taken, mut late, mut seen } = Marked::default();
        taken.reserve(events.num_rows());
        let windowing = Windowing::tumbling(self.bucket_size);
        for row in 0..events.num_rows() {
            let time = view.times.value(row);
            let bucket = floor_to(time, self.bucket_size);
            let high = (!view.highs.is_null(row)).then(|| view.highs.value(row));
            let in_time = self.rule.admit(windowing, bucket + self.bucket_size, high).is_some();
            let of_stream = !view.stream_id.is_null(row);
            match (of_stream, in_time) {
                (false, _) => self.counts.filtered += 1,
                (true, false) => {
                    self.counts.late += 1;
                    late.push(row as u32);
                }
                (true, true) => {
                    self.counts.in_windows += 1;
                    taken.push(row as u32);
                }
            }
            if in_time {
                note(&mut seen, bucket, time);
            }
        }
        if !taken.is_empty() {
            self.collect(&view, &taken)?;
        }
        Ok(Marked { taken, late, seen })
    }

    fn collect(&mut self, view: &EventView<'_>, taken: &[u32]) -> Result<()> {
        // Where nearly all rows are of streams, sharing the columns costs no copy and little memory.
        let share = taken.len() * 4 >= view.times.len() * 3;
        let source = Arc::new(if share { view.strings() } else { view.take_strings(taken)? });
        for (i, &row) in (0..).zip(taken) {
            let time = view.times.value(row as usize);
            let bucket = floor_to(time, self.bucket_size);
            let partial = self.buckets.entry(bucket).or_insert_with(|| MarksPartial::new(bucket));
            if !partial.sources.last().is_some_and(|s| Arc::ptr_eq(s, &source)) {
                partial.sources.push(Arc::clone(&source));
            }
            let at = Place { time, source: (partial.sources.len() - 1) as u32, row: if share { row } else { i } };
            push_marks(view, row as usize, at, &mut partial.marks);
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
            let mut marks = first.remove();
            marks.sort();
            closed.push(marks);
        }
        closed
    }

    /// A copy of what waits.
    pub fn state(&self) -> MarksState {
        MarksState { dimensions: self.dimensions.clone(), buckets: self.buckets.values().cloned().collect() }
    }

    /// Goes on from a copy, of buckets of the same size.
    ///
    /// # Errors
    /// Internal if it is without a dimension that some query counts by.
    pub fn restore(&mut self, state: MarksState) -> Result<()> {
        let kept = Kept::try_new(&state.dimensions, &self.dimensions)?;
        self.buckets = state.buckets.into_iter().map(|b| (b.bucket, kept.of_marks(b))).collect();
        Ok(())
    }

    /// Memory of the open buckets, in bytes.
    pub fn bytes(&self) -> usize {
        self.buckets.values().map(MarksPartial::bytes).sum()
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

#[derive(Clone, Copy)]
struct Place {
    time: Micros,
    source: u32,
    row: u32,
}

/// The mark or marks of one event: its own, and the end of the session that it replaces.
fn push_marks(view: &EventView<'_>, row: usize, at: Place, out: &mut Vec<Mark>) {
    let Some(stream) = text(view.stream_id, row as u32).map(hash_id) else { return };
    let session_id = text(view.session_id, row as u32);
    let kind = kind_of(view.event_type.value(row), text(view.player_state, row as u32), session_id.is_some());
    let of_session = !matches!(kind, MarkKind::StreamEnded | MarkKind::StreamStarted | MarkKind::Event);
    let session = if of_session { session_id.map_or(0, |s| hash_session(stream, s)) } else { 0 };
    let mark = Mark {
        stream,
        session,
        viewer: text(view.viewer_id, row as u32).map_or(0, hash_id),
        time: at.time,
        source: at.source,
        row: at.row,
        kind,
        derived: false,
    };
    out.push(mark);
    if matches!(kind, MarkKind::Started | MarkKind::Touch)
        && let Some(previous) = text(view.previous_session_id, row as u32)
    {
        let replaced: IdHash = hash_session(stream, previous);
        if replaced != session {
            out.push(Mark { session: replaced, kind: MarkKind::Ended, derived: true, ..mark });
        }
    }
}

fn kind_of(event_type: &str, player_state: Option<&str>, has_session: bool) -> MarkKind {
    match event_type {
        "stream.ended" => MarkKind::StreamEnded,
        "stream.started" => MarkKind::StreamStarted,
        _ if !has_session => MarkKind::Event,
        "view.heartbeat" if matches!(player_state, Some("paused" | "ended")) => MarkKind::Seen,
        "view.heartbeat" | "view.resumed" => MarkKind::Touch,
        "view.started" => MarkKind::Started,
        "view.paused" => MarkKind::Paused,
        "view.ended" => MarkKind::Ended,
        _ => MarkKind::Event,
    }
}

struct EventView<'a> {
    times: &'a TimestampMicrosecondArray,
    highs: &'a TimestampMicrosecondArray,
    event_type: &'a StringArray,
    event_id: &'a StringArray,
    stream_id: &'a StringArray,
    channel_id: &'a StringArray,
    session_id: &'a StringArray,
    previous_session_id: &'a StringArray,
    viewer_id: &'a StringArray,
    player_state: &'a StringArray,
    dimensions: Vec<&'a StringArray>,
}

impl<'a> EventView<'a> {
    fn new(events: &'a RecordBatch, c: &ColumnIndices) -> Self {
        let time = |i: usize| events.column(i).as_primitive::<TimestampMicrosecondType>();
        let string = |i: usize| events.column(i).as_string::<i32>();
        Self {
            times: time(c.event_time),
            highs: time(c.high_time),
            event_type: string(c.event_type),
            event_id: string(c.event_id),
            stream_id: string(c.stream_id),
            channel_id: string(c.channel_id),
            session_id: string(c.session_id),
            previous_session_id: string(c.previous_session_id),
            viewer_id: string(c.viewer_id),
            player_state: string(c.player_state),
            dimensions: c.dimensions.iter().map(|&i| string(i)).collect(),
        }
    }

    /// The strings that marks need.
    fn strings(&self) -> MarkColumns {
        MarkColumns {
            event_id: self.event_id.clone(),
            stream_id: self.stream_id.clone(),
            channel_id: self.channel_id.clone(),
            dimensions: self.dimensions.iter().map(|d| (*d).clone()).collect(),
        }
    }

    /// As [`Self::strings`], of some rows.
    fn take_strings(&self, rows: &[u32]) -> Result<MarkColumns> {
        let indices = UInt32Array::from(rows.to_vec());
        let pick = |column: &StringArray| -> Result<StringArray> {
            Ok(take(column, &indices, None)?.as_string::<i32>().clone())
        };
        Ok(MarkColumns {
            event_id: pick(self.event_id)?,
            stream_id: pick(self.stream_id)?,
            channel_id: pick(self.channel_id)?,
            dimensions: self.dimensions.iter().map(|d| pick(d)).collect::<Result<_>>()?,
        })
    }
}
