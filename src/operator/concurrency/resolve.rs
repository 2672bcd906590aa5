//! Where shards meet: marks of closed buckets become presence, presence becomes windows.

use std::collections::{BTreeMap, BTreeSet};

use arrow::record_batch::RecordBatch;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::activity::{Stream, StreamTimeouts};
use super::groups::Steps;
use super::mark::MarksPartial;
use super::query::ConcurrencyQuery;
use super::rows::QueryWindows;
use super::session::{Session, SessionTimeouts};
use super::shard::Seen;
use super::wheel::{NEVER, Wheel};
use crate::error::{Error, Result};
use crate::types::{MICROS_PER_DAY, Micros, floor_to};

/// Windows in a silence longer than this are not filled with zeros.
pub(super) const GAP_FILL_MAX: Micros = MICROS_PER_DAY;

/// The timeouts of presence and activity, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConcurrencyOptions {
    /// How long a touch holds a session present.
    pub session_timeout: Micros,
    /// How long a closure holds without touches; how far back a stream's end reaches.
    pub closed_retention: Micros,
    /// How long a stream that was never announced stays active after its last event.
    pub stream_timeout: Micros,
    /// How long an announced stream stays active after its last event.
    pub announced_timeout: Micros,
}

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

/// The state that all concurrency tables of a worker share.
///
/// [`Self::add`] takes buckets of marks from shards in any order; [`Self::advance`] resolves every bucket that the watermark
/// has passed, in order, and gives the windows that are complete. A window is given when an event at or after its start is
/// known: a silent stream of events is not extrapolated, and a replay gives the same windows.
#[derive(Debug)]
pub struct Concurrency {
    // properties: constant
    pub(super) bucket_size: Micros,
    pub(super) sessions_timeouts: SessionTimeouts,
    pub(super) streams_timeouts: StreamTimeouts,
    // state: mutable
    pub(super) pending: BTreeMap<Micros, MarksPartial>,
    pub(super) seen: BTreeMap<Micros, (Micros, Micros)>,
    pub(super) cursor: Option<Micros>,
    pub(super) streams: Slab<Stream>,
    pub(super) stream_index: HashMap<u128, u32>,
    pub(super) stream_wheel: Wheel,
    /// Streams that may be forgotten at the end of this bucket.
    pub(super) silent_streams: Vec<u32>,
    pub(super) sessions: Slab<Session>,
    pub(super) session_index: HashMap<u128, u32>,
    pub(super) session_wheel: Wheel,
    pub(super) dimensions: Dimensions,
    pub(super) active_streams: Steps,
    pub(super) present_sessions: i64,
    pub(super) queries: Vec<QueryWindows>,
    pub(super) ignored_touches: u64,
}

/// Interned tuples of dimension values; 0 is the tuple of nulls.
#[derive(Debug, Default)]
pub(super) struct Dimensions {
    pub values: Vec<Box<[Option<Box<str>>]>>,
    pub index: HashMap<Box<[Option<Box<str>>]>, u32>,
}

/// Slots that are used again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Slab<T> {
    slots: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }

    pub(super) fn insert(&mut self, value: T) -> u32 {
        match self.free.pop() {
            Some(i) => {
                self.slots[i as usize] = Some(value);
                i
            }
            None => {
                self.slots.push(Some(value));
                (self.slots.len() - 1) as u32
            }
        }
    }

    fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Option<T>>() + self.free.capacity() * size_of::<u32>()
    }

    pub(super) fn get_mut(&mut self, i: u32) -> Option<&mut T> {
        self.slots.get_mut(i as usize).and_then(Option::as_mut)
    }

    pub(super) fn get(&self, i: u32) -> Option<&T> {
        self.slots.get(i as usize).and_then(Option::as_ref)
    }

    pub(super) fn remove(&mut self, i: u32) -> Option<T> {
        let value = self.slots.get_mut(i as usize).and_then(Option::take);
        if value.is_some() {
            self.free.push(i);
        }
        value
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// The numbers in use, and what is there.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..).zip(&self.slots).filter_map(|(i, slot)| Some((i, slot.as_ref()?)))
    }
}

impl Concurrency {
    /// The state for `queries`.
    ///
    /// # Errors
    /// A window is not a multiple of the finest one: its end would fall inside a bucket.
    pub fn try_new(queries: &[ConcurrencyQuery], options: ConcurrencyOptions) -> Result<Self> {
        let finest = Self::finest_window(queries)?;
        let dimension_names = Self::dimension_names(queries);
        Ok(Self {
            bucket_size: finest,
            sessions_timeouts: SessionTimeouts { lease: options.session_timeout, retention: options.closed_retention },
            streams_timeouts: StreamTimeouts {
                unannounced: options.stream_timeout,
                announced: options.announced_timeout,
            },
            queries: queries.iter().map(|q| QueryWindows::new(q.clone(), &dimension_names)).collect(),
            dimensions: Dimensions::with_nulls(dimension_names.len()),
            pending: BTreeMap::new(),
            seen: BTreeMap::new(),
            cursor: None,
            streams: Slab::new(),
            stream_index: HashMap::new(),
            stream_wheel: Wheel::default(),
            silent_streams: Vec::new(),
            sessions: Slab::new(),
            session_index: HashMap::new(),
            session_wheel: Wheel::default(),
            active_streams: Steps::default(),
            present_sessions: 0,
            ignored_touches: 0,
        })
    }

    /// The finest window of `queries`: the size of the buckets, and the window that lateness is judged by.
    ///
    /// # Errors
    /// There is no query, or a window is not a multiple of the finest one.
    pub fn finest_window(queries: &[ConcurrencyQuery]) -> Result<Micros> {
        let Some(finest) = queries.iter().map(|q| q.size).min() else {
            return Err(Error::internal("concurrency without a query"));
        };
        if finest > MICROS_PER_DAY {
            return Err(Error::user("the finest concurrency window is longer than a day")
                .hint("add a table with a window of a day or less: presence is resolved in steps of the finest one"));
        }
        match queries.iter().find(|q| q.size % finest != 0) {
            Some(odd) => Err(Error::user(format!(
                "a concurrency window of {} s is no multiple of the finest one in use, {} s",
                odd.size as f64 / 1e6,
                finest as f64 / 1e6
            ))
            .hint("all concurrency tables share one state: make every window a multiple of the finest")),
            None => Ok(finest),
        }
    }

    /// The event columns that some query counts by, besides the stream.
    pub fn dimension_names(queries: &[ConcurrencyQuery]) -> Vec<String> {
        let mut names: Vec<String> =
            queries.iter().flat_map(|q| &q.partition_by).filter(|n| *n != "stream_id").cloned().collect();
        names.sort();
        names.dedup();
        names
    }

    /// Notes which buckets have events, as soon as a shard has read them.
    pub fn saw(&mut self, seen: &[Seen]) {
        for s in seen {
            let known = self.seen.entry(s.bucket).or_insert((s.first, s.last));
            *known = (known.0.min(s.first), known.1.max(s.last));
        }
    }

    /// Takes a shard's marks of one bucket.
    pub fn add(&mut self, partial: MarksPartial) {
        match self.pending.get_mut(&partial.bucket) {
            Some(known) => known.absorb(partial),
            None => {
                self.pending.insert(partial.bucket, partial);
            }
        }
    }

    /// Resolves every bucket that ends at or before `watermark`; gives the windows that became complete, in order.
    pub fn advance(&mut self, watermark: Micros) -> Result<Vec<WindowRows>> {
        if self.cursor.is_none() {
            let Some((&first, _)) = self.seen.first_key_value() else { return Ok(vec![]) };
            if first.saturating_add(self.bucket_size) > watermark {
                return Ok(vec![]);
            }
            self.begin(first);
        }
        while let Some(bucket) = self.cursor {
            if bucket.saturating_add(self.bucket_size) > watermark || bucket >= self.last_window_end() {
                break;
            }
            if let Some(target) = self.silence_until(bucket, watermark) {
                self.jump(target);
                continue;
            }
            let marks = self.pending.remove(&bucket).unwrap_or_else(|| MarksPartial::new(bucket));
            self.resolve_bucket(bucket, marks)?;
            self.cursor = Some(bucket + self.bucket_size);
        }
        Ok(self.give(watermark))
    }

    fn begin(&mut self, first: Micros) {
        self.cursor = Some(first);
        for query in &mut self.queries {
            query.begin(first);
        }
    }

    fn resolve_bucket(&mut self, bucket: Micros, marks: MarksPartial) -> Result<()> {
        let resolved = self.play_bucket(bucket, marks);
        self.ignored_touches += resolved.ignored_touches;
        self.present_sessions += resolved.deltas.iter().map(|d| i64::from(d.change)).sum::<i64>();
        self.active_streams.value += resolved.activity.iter().map(|(_, change)| i64::from(*change)).sum::<i64>();
        let end = bucket + self.bucket_size;
        for query in &mut self.queries {
            query.apply(&resolved, &self.dimensions);
            if query.window_end() == end {
                query.finish(&self.streams, &self.dimensions)?;
            }
        }
        self.drop_forgotten(bucket);
        Ok(())
    }

    /// The end of the last window of any query that holds the latest event: nothing is extrapolated beyond it.
    fn last_window_end(&self) -> Micros {
        let Some(latest) = self.latest_event() else { return NEVER };
        self.queries.iter().map(|q| floor_to(latest, q.size()).saturating_add(q.size())).max().unwrap_or(NEVER)
    }

    fn latest_event(&self) -> Option<Micros> {
        self.seen.last_key_value().map(|(_, (_, last))| *last)
    }

    /// In a silence too long to be filled, with nobody present and nothing active: where to go on.
    fn silence_until(&self, bucket: Micros, watermark: Micros) -> Option<Micros> {
        if self.present_sessions != 0 || self.active_streams.value != 0 || self.pending.contains_key(&bucket) {
            return None;
        }
        let (_, (_, before)) = self.seen.range(..bucket).next_back()?;
        let (_, (next, _)) = self.seen.range(bucket..).next()?;
        let silent = next - before > GAP_FILL_MAX && watermark >= before.saturating_add(GAP_FILL_MAX);
        let step = self.queries.iter().map(QueryWindows::size).try_fold(1, common_multiple)?;
        let target = floor_to(*next, step);
        (silent && bucket % step == 0 && target > bucket).then_some(target)
    }

    fn jump(&mut self, target: Micros) {
        self.cursor = Some(target);
        for query in &mut self.queries {
            query.jump(target);
        }
    }

    /// Takes the finished windows out, as far as it is known whether they are to be given.
    fn give(&mut self, watermark: Micros) -> Vec<WindowRows> {
        let Some(latest) = self.latest_event() else { return vec![] };
        let mut out = Vec::new();
        for (i, query) in self.queries.iter_mut().enumerate() {
            out.extend(query.give(latest, watermark, &self.seen).into_iter().map(|(window_end, rows)| WindowRows {
                query: i,
                window_end,
                rows,
            }));
        }
        out.sort_by_key(|w| (w.window_end, w.query));
        self.prune_seen();
        out
    }

    /// Keeps what the oldest window still held back may ask about: its own buckets, and the last event before it.
    fn prune_seen(&mut self) {
        let Some(oldest) = self.queries.iter().map(QueryWindows::oldest_start).min() else { return };
        if let Some((&before, _)) = self.seen.range(..oldest).next_back() {
            self.seen = self.seen.split_off(&before);
        }
    }

    /// The windows of a query that end by it were given, or have no rows; none before anything was resolved, when all that are complete
    /// have none. In a silence it is behind the watermark: whether windows are given depends on whether there is another event.
    pub fn given_until(&self, query: usize) -> Option<Micros> {
        self.cursor.and_then(|_| self.queries.get(query)).map(QueryWindows::oldest_start)
    }

    /// Whether anything was resolved: before, nobody knows who is present.
    pub fn has_begun(&self) -> bool {
        self.cursor.is_some()
    }

    /// Sessions present, as far as resolved.
    pub fn present_sessions(&self) -> i64 {
        self.present_sessions
    }

    /// Streams active, as far as resolved.
    pub fn active_streams(&self) -> i64 {
        self.active_streams.value
    }

    /// Touches that came after their session was closed.
    pub fn ignored_touches(&self) -> u64 {
        self.ignored_touches
    }

    /// Ends of a query's windows that have seen events and are not given yet, and the groups of the one that is being counted.
    pub fn open_windows(&self, query: usize) -> (BTreeSet<Micros>, usize) {
        let Some(windows) = self.queries.get(query) else { return Default::default() };
        let from = self.cursor.map_or(Micros::MIN, |_| windows.oldest_start());
        let end = |bucket: &Micros| floor_to(*bucket, windows.size()).saturating_add(windows.size());
        let ends: BTreeSet<Micros> = self.seen.range(from..).map(|(bucket, _)| end(bucket)).collect();
        // Who is present when no window is open will be a group of the next one, if there is one.
        let groups = if ends.is_empty() { 0 } else { windows.groups() };
        (ends, groups)
    }

    /// Sessions and streams remembered.
    pub fn remembered(&self) -> (usize, usize) {
        (self.sessions.len(), self.streams.len())
    }

    /// Memory of sessions, streams and the marks that wait, in bytes; what each query has open beside them is less.
    pub fn bytes(&self) -> usize {
        let index = |index: &HashMap<u128, u32>| index.capacity() * (size_of::<(u128, u32)>() + 1);
        let marks: usize = self.pending.values().map(MarksPartial::bytes).sum();
        self.sessions.bytes() + self.streams.bytes() + index(&self.session_index) + index(&self.stream_index) + marks
    }
}

impl Dimensions {
    /// The tuples of `values`, at their places.
    pub(super) fn restored(values: Vec<Box<[Option<Box<str>>]>>) -> Self {
        Self { index: (0..).zip(&values).map(|(i, tuple)| (tuple.clone(), i)).collect(), values }
    }

    fn with_nulls(columns: usize) -> Self {
        let nulls: Box<[Option<Box<str>>]> = vec![None; columns].into();
        Self { index: HashMap::from_iter([(nulls.clone(), 0)]), values: vec![nulls] }
    }
}

fn common_multiple(a: Micros, b: Micros) -> Option<Micros> {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    (a / x).checked_mul(b)
}
