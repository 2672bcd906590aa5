//! The state that all concurrency tables of a job share: marks that wait, and who is present by each set of timeouts.

use std::collections::{BTreeMap, BTreeSet};

use super::mark::MarksPartial;
use super::pending::Pending;
use super::query::ConcurrencyQuery;
use super::resolve::{Presence, WindowRows};
use super::shard::Seen;
use super::state::{ConcurrencyState, Kept};
use super::timeouts::ConcurrencyOptions;
use super::unclosed::UnclosedWindow;
use crate::error::{Error, Result};
use crate::types::{MICROS_PER_DAY, Micros};

/// The state that all concurrency tables of a job share.
///
/// [`Self::add`] takes buckets of marks from shards in any order; [`Self::advance`] resolves every bucket that the watermark
/// has passed, in order, and gives the windows that are complete. Marks are the same whatever the timeouts; they are played once for
/// each set of timeouts that queries ask for.
#[derive(Debug)]
pub struct Concurrency {
    // properties: constant
    bucket_size: Micros,
    dimensions: Vec<String>,
    /// The timeouts of queries that set none.
    job: ConcurrencyOptions,
    /// By query: its timeouts, and its place among the queries that have them.
    places: Vec<(ConcurrencyOptions, usize)>,
    // state: mutable
    pending: Pending,
    presences: BTreeMap<ConcurrencyOptions, Presence>,
}

impl Concurrency {
    /// The state for `queries` in a job with these timeouts.
    ///
    /// # Errors
    /// A window is not a multiple of the finest one: its end would fall inside a bucket.
    pub fn try_new(queries: &[ConcurrencyQuery], job: ConcurrencyOptions) -> Result<Self> {
        let bucket_size = Self::finest_window(queries)?;
        let dimensions = Self::dimension_names(queries);
        let mut sets: BTreeMap<ConcurrencyOptions, Vec<(usize, ConcurrencyQuery)>> = BTreeMap::new();
        let mut places = Vec::new();
        for (i, query) in queries.iter().enumerate() {
            let options = query.timeouts.over(&job);
            let same = sets.entry(options).or_default();
            places.push((options, same.len()));
            same.push((i, query.clone()));
        }
        let presence = |(options, queries)| (options, Presence::new(queries, options, bucket_size, &dimensions));
        let presences = sets.into_iter().map(presence).collect();
        Ok(Self { bucket_size, job, places, pending: Pending::default(), presences, dimensions })
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

    /// A copy of the state.
    pub fn state(&self) -> ConcurrencyState {
        ConcurrencyState {
            bucket_size: self.bucket_size,
            dimensions: self.dimensions.clone(),
            pending: self.pending.clone(),
            presences: self.presences.iter().map(|(options, presence)| (*options, presence.state())).collect(),
        }
    }

    /// Goes on from a copy. A query that it is not of begins with who is present; its first window may be one in part. So does a set
    /// of timeouts that it is not of, with nobody present before the oldest marks that wait.
    ///
    /// # Errors
    /// As [`Concurrency::try_new`]; internal if the copy is of another finest window, or without a dimension that is asked for.
    pub fn restore(queries: &[ConcurrencyQuery], job: ConcurrencyOptions, mut state: ConcurrencyState) -> Result<Self> {
        let mut restored = Self::try_new(queries, job)?;
        if state.bucket_size != restored.bucket_size {
            return Err(Error::internal("a state of other concurrency queries"));
        }
        let kept = Kept::try_new(&state.dimensions, &restored.dimensions)?;
        let Pending { marks, seen } = state.pending;
        let marks = marks.into_iter().map(|(bucket, marks)| (bucket, kept.of_marks(marks))).collect();
        restored.pending = Pending { marks, seen };
        for (options, presence) in &mut restored.presences {
            if let Some(state) = state.presences.remove(options) {
                presence.restore(state, &kept)?;
            }
        }
        Ok(restored)
    }

    /// Notes which buckets have events, as soon as a shard has read them.
    pub fn saw(&mut self, seen: &[Seen]) {
        self.pending.saw(seen);
    }

    /// Takes a shard's marks of one bucket.
    pub fn add(&mut self, partial: MarksPartial) {
        self.pending.add(partial);
    }

    /// Resolves every bucket that ends at or before `watermark`; gives the windows that became complete, in order.
    pub fn advance(&mut self, watermark: Micros) -> Result<Vec<WindowRows>> {
        self.pending.sort_until(watermark.saturating_sub(self.bucket_size));
        let mut out = Vec::new();
        for presence in self.presences.values_mut() {
            out.extend(presence.advance(watermark, &self.pending)?);
        }
        out.sort_by_key(|w| (w.window_end, w.query));
        if let Some(cursor) = self.presences.values().map(Presence::cursor).min().flatten() {
            self.pending.resolved_before(cursor);
        }
        if let Some(oldest) = self.presences.values().filter_map(Presence::oldest_start).min() {
            self.pending.forget_before(oldest);
        }
        Ok(out)
    }

    /// The windows of a query that end by it were given, or have no rows; none before anything was resolved, when all that are complete
    /// have none.
    pub fn given_until(&self, query: usize) -> Option<Micros> {
        self.of_query(query).and_then(|(presence, place)| presence.given_until(place))
    }

    /// Who is shown to be present: by the job's own timeouts, if some query counts by them.
    fn shown(&self) -> Option<&Presence> {
        self.presences.get(&self.job).or_else(|| self.presences.values().next())
    }

    /// Sessions present and streams active, as far as resolved; by the job's own timeouts, if some query counts by them. None before
    /// anything was resolved: nobody knows who is present.
    pub fn present(&self) -> Option<(i64, i64)> {
        self.shown().and_then(Presence::present)
    }

    /// Touches that came after their session was closed, by the timeouts of a query.
    pub fn ignored_touches(&self, query: usize) -> u64 {
        self.of_query(query).map_or(0, |(presence, _)| presence.ignored_touches())
    }

    /// Ends of a query's windows that have seen events and are not given yet, and the groups of the one that is being counted.
    pub fn open_windows(&self, query: usize) -> (BTreeSet<Micros>, usize) {
        let of_query = self.of_query(query);
        of_query.map(|(presence, place)| presence.open_windows(place, &self.pending)).unwrap_or_default()
    }

    /// A query's window that is not complete, as far as presence is resolved. None before anything was; see [`UnclosedWindow`].
    ///
    /// # Errors
    /// Internal if its rows do not fit the query's columns.
    pub fn unclosed(&self, query: usize) -> Result<Option<UnclosedWindow>> {
        self.of_query(query).map_or(Ok(None), |(presence, place)| presence.unclosed(place))
    }

    fn of_query(&self, query: usize) -> Option<(&Presence, usize)> {
        let (options, place) = self.places.get(query)?;
        Some((self.presences.get(options)?, *place))
    }

    /// Sessions and streams remembered, by each set of timeouts.
    pub fn remembered(&self) -> (usize, usize) {
        let each = self.presences.values().map(Presence::remembered);
        each.fold((0, 0), |(sessions, streams), more| (sessions + more.0, streams + more.1))
    }

    /// Memory of sessions, streams, what they count under, and the marks that wait, in bytes.
    pub fn bytes(&self) -> usize {
        self.pending.bytes() + self.presences.values().map(Presence::bytes).sum::<usize>()
    }
}
