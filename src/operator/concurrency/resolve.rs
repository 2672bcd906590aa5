//! Where shards meet: marks of closed buckets become presence, presence becomes windows.

use std::collections::BTreeSet;

use arrow::record_batch::RecordBatch;
use hashbrown::HashMap;

use super::activity::{Stream, StreamTimeouts};
use super::expiry::tuple_bytes;
use super::groups::Steps;
use super::mark::IdHash;
use super::partial::MarksPartial;
use super::pending::Pending;
use super::query::ConcurrencyQuery;
use super::rows::QueryWindows;
use super::session::{Session, SessionTimeouts};
use super::session_index::SessionIndex;
use super::slab::Slab;
use super::timeouts::ConcurrencyOptions;
use super::viewers::Viewers;
use super::wheel::{NEVER, Wheel};
use crate::error::Result;
use crate::types::{MICROS_PER_DAY, Micros, floor_to};

/// Windows in a silence longer than this are not filled with zeros.
pub(super) const GAP_FILL_MAX: Micros = MICROS_PER_DAY;

/// The rows of one complete window of one query.
#[derive(Debug)]
pub struct WindowRows {
    /// Index of the query.
    pub query: usize,
    /// End of the window.
    pub window_end: Micros,
    /// Rows with the query's columns.
    pub rows: RecordBatch,
}

/// Who is present by one set of timeouts, and the windows of the queries that count by it.
///
/// [`Self::advance`] resolves every bucket that the watermark has passed, in order, and gives the windows that are complete. A window is
/// given when an event at or after its start is known: a silent stream of events is not extrapolated, and a replay gives the same windows.
#[derive(Debug)]
pub(super) struct Presence {
    // properties: constant
    pub(super) bucket_size: Micros,
    pub(super) sessions_timeouts: SessionTimeouts,
    pub(super) streams_timeouts: StreamTimeouts,
    /// By query: its place among all of the job's.
    numbers: Vec<usize>,
    // state: mutable
    pub(super) cursor: Option<Micros>,
    pub(super) streams: Slab<Stream>,
    pub(super) stream_index: HashMap<IdHash, u32>,
    pub(super) stream_wheel: Wheel,
    /// Streams that may be forgotten at the end of this bucket.
    pub(super) silent_streams: Vec<u32>,
    pub(super) sessions: Slab<Session>,
    pub(super) session_index: SessionIndex,
    pub(super) session_wheel: Wheel,
    pub(super) viewers: Viewers,
    pub(super) dimensions: Dimensions,
    pub(super) active_streams: Steps,
    pub(super) present_sessions: i64,
    pub(super) queries: Vec<QueryWindows>,
    ignored_touches: u64,
}

/// Interned tuples of dimension values; 0 is the tuple of nulls.
#[derive(Debug, Default)]
pub(super) struct Dimensions {
    pub values: Vec<Box<[Option<Box<str>>]>>,
    pub index: HashMap<Box<[Option<Box<str>>]>, u32>,
    /// How many there were when it was last looked which are used.
    pub left: usize,
    /// Memory of all of them.
    pub tuple_bytes: usize,
}

impl Presence {
    /// Nobody yet. The `queries` have these timeouts, and come with their places among all of the job's; `dimension_names` are the
    /// columns that marks have.
    pub(super) fn new(
        queries: Vec<(usize, ConcurrencyQuery)>,
        options: ConcurrencyOptions,
        bucket_size: Micros,
        dimension_names: &[String],
    ) -> Self {
        let (numbers, queries): (_, Vec<ConcurrencyQuery>) = queries.into_iter().unzip();
        Self {
            bucket_size,
            sessions_timeouts: SessionTimeouts { lease: options.session_timeout, retention: options.closed_retention },
            streams_timeouts: StreamTimeouts {
                unannounced: options.stream_timeout,
                announced: options.announced_timeout,
            },
            numbers,
            queries: queries.into_iter().map(|q| QueryWindows::new(q, dimension_names)).collect(),
            dimensions: Dimensions::with_nulls(dimension_names.len()),
            cursor: None,
            streams: Slab::new(),
            stream_index: HashMap::new(),
            stream_wheel: Wheel::default(),
            silent_streams: Vec::new(),
            sessions: Slab::new(),
            session_index: SessionIndex::default(),
            session_wheel: Wheel::default(),
            viewers: Viewers::default(),
            active_streams: Steps::default(),
            present_sessions: 0,
            ignored_touches: 0,
        }
    }

    /// Resolves every bucket that ends at or before `watermark`; gives the windows that became complete, in order.
    /// The marks of these must be in order.
    pub(super) fn advance(&mut self, watermark: Micros, pending: &Pending) -> Result<Vec<WindowRows>> {
        if self.cursor.is_none() {
            let Some((&first, _)) = pending.seen.first_key_value() else { return Ok(vec![]) };
            if first.saturating_add(self.bucket_size) > watermark {
                return Ok(vec![]);
            }
            self.begin(first);
        }
        let mut out = Vec::new();
        while let Some(bucket) = self.cursor {
            if bucket.saturating_add(self.bucket_size) > watermark || bucket >= self.last_window_end(pending) {
                break;
            }
            if let Some(target) = self.silence_until(bucket, watermark, pending) {
                self.jump(target);
                continue;
            }
            let none = MarksPartial::new(bucket);
            self.resolve_bucket(bucket, pending.marks.get(&bucket).unwrap_or(&none))?;
            self.cursor = Some(bucket + self.bucket_size);
            // In a long silence in which a stream stays announced most windows are dropped again: they need not all be there first.
            self.give(watermark, pending, &mut out);
        }
        self.give(watermark, pending, &mut out);
        Ok(out)
    }

    fn begin(&mut self, first: Micros) {
        self.cursor = Some(first);
        for query in &mut self.queries {
            query.begin(first);
        }
    }

    fn resolve_bucket(&mut self, bucket: Micros, marks: &MarksPartial) -> Result<()> {
        let resolved = self.play_bucket(bucket, marks);
        self.ignored_touches += resolved.ignored_touches;
        self.present_sessions += resolved.deltas.iter().map(|d| i64::from(d.change)).sum::<i64>();
        self.active_streams.value += resolved.activity.iter().map(|(_, change)| i64::from(*change)).sum::<i64>();
        let end = bucket + self.bucket_size;
        for query in &mut self.queries {
            query.apply(&resolved, &self.dimensions, &mut self.viewers);
            if query.window_end() == end {
                query.finish(&self.streams, &self.dimensions, &mut self.viewers)?;
            }
        }
        self.drop_forgotten(bucket);
        Ok(())
    }

    /// The end of the last window of any query that holds the latest event: nothing is extrapolated beyond it.
    fn last_window_end(&self, pending: &Pending) -> Micros {
        let Some(latest) = pending.latest_event() else { return NEVER };
        self.queries.iter().map(|q| floor_to(latest, q.size()).saturating_add(q.size())).max().unwrap_or(NEVER)
    }

    /// In a silence too long to be filled, with nobody present and nothing active: where to go on.
    fn silence_until(&self, bucket: Micros, watermark: Micros, pending: &Pending) -> Option<Micros> {
        if self.present_sessions != 0 || self.active_streams.value != 0 || pending.marks.contains_key(&bucket) {
            return None;
        }
        let (_, (_, before)) = pending.seen.range(..bucket).next_back()?;
        let (_, (next, _)) = pending.seen.range(bucket..).next()?;
        let silent = next - before > GAP_FILL_MAX && watermark >= before.saturating_add(GAP_FILL_MAX);
        let step = self.queries.iter().map(QueryWindows::size).try_fold(1, common_multiple)?;
        // A shard that is behind may bring an earlier event still, but none of what the watermark has passed.
        let target = floor_to((*next).min(watermark), step);
        (silent && bucket % step == 0 && target > bucket).then_some(target)
    }

    fn jump(&mut self, target: Micros) {
        self.cursor = Some(target);
        for query in &mut self.queries {
            query.jump(target);
        }
    }

    /// Takes the finished windows out, as far as it is known whether they are to be given.
    fn give(&mut self, watermark: Micros, pending: &Pending, out: &mut Vec<WindowRows>) {
        let Some(latest) = pending.latest_event() else { return };
        for (query, windows) in self.numbers.iter().zip(&mut self.queries) {
            let given = windows.give(latest, watermark, &pending.seen).into_iter();
            out.extend(given.map(|(window_end, rows)| WindowRows { query: *query, window_end, rows }));
        }
    }

    /// Every bucket before it is resolved; none before the first is.
    pub(super) fn cursor(&self) -> Option<Micros> {
        self.cursor
    }

    /// The start of the oldest window that is still held back: what it may ask about are its own buckets, and the last event before it.
    /// None before the first window is known.
    pub(super) fn oldest_start(&self) -> Option<Micros> {
        self.cursor.and_then(|_| self.queries.iter().map(QueryWindows::oldest_start).min())
    }

    /// The windows of a query that end by it were given, or have no rows, whatever comes when `watermark` has passed; none before the first
    /// window is known.
    pub(super) fn given_until(&self, query: usize, watermark: Micros, pending: &Pending) -> Option<Micros> {
        let windows = self.cursor.and_then(|_| self.queries.get(query))?;
        let oldest = windows.oldest_start();
        // With nobody present and no event known, nobody will be before the watermark: what comes is in time for a window that ends later.
        let nobody = self.present_sessions == 0 && windows.has_no_groups();
        let silent = pending.seen.range(oldest..).next().is_none();
        Some(if nobody && silent { oldest.max(floor_to(watermark, windows.size())) } else { oldest })
    }

    /// Sessions present and streams active, as far as resolved; none before anything was.
    pub(super) fn present(&self) -> Option<(i64, i64)> {
        self.cursor.map(|_| (self.present_sessions, self.active_streams.value))
    }

    /// Touches that came after their session was closed.
    pub(super) fn ignored_touches(&self) -> u64 {
        self.ignored_touches
    }

    /// Ends of a query's windows that have seen events and are not given yet, and the groups of the one that is being counted.
    pub(super) fn open_windows(&self, query: usize, pending: &Pending) -> (BTreeSet<Micros>, usize) {
        let Some(windows) = self.queries.get(query) else { return Default::default() };
        let from = self.cursor.map_or(Micros::MIN, |_| windows.oldest_start());
        let end = |bucket: &Micros| floor_to(*bucket, windows.size()).saturating_add(windows.size());
        let ends: BTreeSet<Micros> = pending.seen.range(from..).map(|(bucket, _)| end(bucket)).collect();
        // Who is present when no window is open will be a group of the next one, if there is one.
        let groups = if ends.is_empty() { 0 } else { windows.groups() };
        (ends, groups)
    }

    /// Sessions and streams remembered.
    pub(super) fn remembered(&self) -> (usize, usize) {
        (self.sessions.len(), self.streams.len())
    }

    /// Memory of sessions and streams, of what they count under, and of windows that are held back, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let index = |index: &HashMap<IdHash, u32>| index.capacity() * (size_of::<(IdHash, u32)>() + 1);
        let indices = self.session_index.bytes() + index(&self.stream_index);
        let windows: usize = self.queries.iter().map(QueryWindows::bytes).sum();
        let entries = self.sessions.bytes() + self.streams.bytes() + self.viewers.bytes();
        entries + indices + self.counted_bytes() + windows
    }
}

impl Dimensions {
    /// The tuples of `values`, at their places.
    pub(super) fn restored(values: Vec<Box<[Option<Box<str>>]>>) -> Self {
        let index = (0..).zip(&values).map(|(i, tuple)| (tuple.clone(), i)).collect();
        let tuple_bytes = values.iter().map(|tuple| tuple_bytes(tuple)).sum();
        Self { index, left: values.len(), tuple_bytes, values }
    }

    fn with_nulls(columns: usize) -> Self {
        Self::restored(vec![vec![None; columns].into()])
    }
}

fn common_multiple(a: Micros, b: Micros) -> Option<Micros> {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    (a / x).checked_mul(b)
}
