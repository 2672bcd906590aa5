//! The state that all concurrency tables of a job share: marks that wait, and who is present by each set of timeouts.

use std::collections::{BTreeMap, BTreeSet};

use super::partial::MarksPartial;
use super::pending::Pending;
use super::query::ConcurrencyQuery;
use super::resolve::{Presence, WindowRows};
use super::shard::Seen;
use super::state::ConcurrencyState;
use super::timeouts::ConcurrencyOptions;
use super::unclosed::UnclosedWindow;
use crate::error::{Error, Result};
use crate::types::{MICROS_PER_DAY, Micros, format_micros};

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
            left_out: None,
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
        if state.left_out.is_some() {
            return Err(Error::internal("a state whose marks were left out and not put back"));
        }
        state.keep_dimensions(&restored.dimensions)?;
        restored.pending = state.pending;
        for (options, presence) in &mut restored.presences {
            if let Some(state) = state.presences.remove(options) {
                presence.restore(state)?;
            }
        }
        Ok(restored)
    }

    /// Notes which buckets have events, as soon as a shard has read them.
    pub fn saw(&mut self, seen: &[Seen]) {
        self.pending.saw(seen);
    }

    /// Takes a shard's marks of one bucket.
    ///
    /// # Errors
    /// Internal if the bucket was resolved already: a shard hands none over that the watermark of all has passed, as its own holds that back.
    pub fn add(&mut self, partial: MarksPartial) -> Result<()> {
        let cursor = self.presences.values().filter_map(Presence::cursor).max();
        match cursor.filter(|cursor| partial.bucket < *cursor) {
            Some(cursor) => Err(Error::internal(format!(
                "marks of {} came when everything before {} was resolved",
                format_micros(partial.bucket),
                format_micros(cursor)
            ))),
            None => {
                self.pending.add(partial);
                Ok(())
            }
        }
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

    /// The windows of a query that end by it were given, or have no rows, after [`Self::advance`] to `watermark`; none before anything was
    /// resolved, when all that are complete have none.
    pub fn given_until(&self, query: usize, watermark: Micros) -> Option<Micros> {
        let (presence, place) = self.of_query(query)?;
        presence.given_until(place, watermark, &self.pending)
    }

    /// Who is shown to be present: by the job's own timeouts, or, if no query counts by them, by the set with the shortest session timeout.
    /// A figure that some table has is better than one that is none's.
    fn shown(&self) -> Option<&Presence> {
        self.presences.get(&self.job).or_else(|| self.presences.values().next())
    }

    /// Sessions present and streams active, as far as resolved, by the timeouts that `shown` chooses. None before anything was
    /// resolved: nobody knows who is present.
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

    /// Memory of sessions, streams, what they count under, the marks that wait and windows that are held back, in bytes.
    pub fn bytes(&self) -> usize {
        self.pending.bytes() + self.presences.values().map(Presence::bytes).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::StringArray;

    use super::super::mark::{Mark, MarkColumns, MarkKind, PackedHash, hash_id, hash_session};
    use super::super::partial::MarkedStream;
    use super::super::rows::QueryWindows;
    use super::super::timeouts::OwnTimeouts;
    use super::*;
    use crate::types::floor_to;

    const HOUR: Micros = MICROS_PER_DAY / 24;
    const MINUTE: Micros = HOUR / 60;

    const JOB: ConcurrencyOptions = ConcurrencyOptions {
        session_timeout: MINUTE,
        closed_retention: 10 * MINUTE,
        stream_timeout: 2 * MINUTE,
        announced_timeout: 48 * HOUR,
    };

    fn query(size: Micros, session: Option<Micros>, announced: Option<Micros>) -> ConcurrencyQuery {
        ConcurrencyQuery { size, partition_by: vec![], timeouts: OwnTimeouts::new([session, None, None, announced]) }
    }

    /// One event of the stream `s` at 0: of the session `A`, or of nobody's.
    fn marks(kind: MarkKind, session: bool) -> MarksPartial {
        marks_at(0, kind, session)
    }

    /// The same at the beginning of a bucket.
    fn marks_at(time: Micros, kind: MarkKind, session: bool) -> MarksPartial {
        let text = |value: &str| StringArray::from(vec![value]);
        let columns = MarkColumns {
            event_id: text("e"),
            stream_id: text("s"),
            channel_id: StringArray::from(vec![None::<&str>]),
            dimensions: vec![],
        };
        let stream = hash_id(b"s");
        let session = if session { hash_session(stream, b"A").into() } else { PackedHash::NONE };
        let mut marks = MarksPartial::new(time);
        marks.sources.push(Arc::new(columns));
        marks.streams.push(MarkedStream { hash: stream.into(), source: 0, row: 0 });
        let viewer = PackedHash::NONE;
        marks.marks.push(Mark {
            stream: 0,
            session,
            viewer,
            time,
            source: 0,
            row: 0,
            kind,
            derived: false,
            names_channel: false,
        });
        marks
    }

    fn saw(times: &[Micros], size: Micros) -> Vec<Seen> {
        times.iter().map(|t| Seen { bucket: floor_to(*t, size), first: *t, last: *t }).collect()
    }

    #[test]
    fn windows_of_a_silence_are_dropped_one_by_one() {
        let year = 365 * MICROS_PER_DAY;
        let mut concurrency = Concurrency::try_new(&[query(HOUR, None, Some(year))], JOB).unwrap();
        // Announced, and active for two months without an event.
        concurrency.saw(&saw(&[0, 60 * MICROS_PER_DAY], HOUR));
        concurrency.add(marks(MarkKind::StreamStarted, false)).unwrap();
        let given = concurrency.advance(60 * MICROS_PER_DAY + HOUR).unwrap();
        assert_eq!(given.iter().map(|w| w.window_end / HOUR).collect::<Vec<_>>(), [1, 60 * 24 + 1]);
        let held =
            concurrency.presences.values().flat_map(|presence| &presence.queries).map(QueryWindows::held_at_most);
        assert!(held.max().unwrap() < 24, "two months of windows were there at once");
    }

    #[test]
    fn windows_that_are_held_back_take_memory() {
        let mut concurrency = Concurrency::try_new(&[query(MINUTE, None, None)], JOB).unwrap();
        // A shard is ahead of the others, by so much that the windows between may be a silence.
        concurrency.saw(&saw(&[0, 30 * HOUR], MINUTE));
        concurrency.add(marks(MarkKind::StreamStarted, false)).unwrap();
        assert_eq!(concurrency.advance(MINUTE).unwrap().len(), 1);
        let before = concurrency.bytes();
        assert_eq!(concurrency.advance(10 * HOUR).unwrap().len(), 0);
        let held = concurrency.bytes() - before;
        assert!(held > 599 * 100, "{held} bytes for 599 windows");
        let mut restored = Concurrency::restore(&[query(MINUTE, None, None)], JOB, concurrency.state()).unwrap();
        assert!(restored.bytes() > 599 * 100, "{} bytes after a stop", restored.bytes());
        assert_eq!(restored.advance(25 * HOUR).unwrap().len(), 0);
        assert!(restored.bytes() < before + 50_000, "{} bytes of nothing", restored.bytes());
    }

    #[test]
    fn marks_of_what_is_resolved_do_not_vanish_without_a_word() {
        let mut concurrency = Concurrency::try_new(&[query(MINUTE, None, None)], JOB).unwrap();
        concurrency.saw(&saw(&[0, 5 * MINUTE], MINUTE));
        concurrency.add(marks(MarkKind::Touch, true)).unwrap();
        assert_eq!(concurrency.advance(3 * MINUTE).unwrap().len(), 3);
        for late in [0, 2 * MINUTE] {
            let e = concurrency.add(marks_at(late, MarkKind::Touch, true)).unwrap_err();
            assert!(e.message().contains("was resolved"), "{e}");
        }
        concurrency.add(marks_at(3 * MINUTE, MarkKind::Touch, true)).unwrap();
        let mut restored = Concurrency::restore(&[query(MINUTE, None, None)], JOB, concurrency.state()).unwrap();
        assert!(restored.add(marks_at(2 * MINUTE, MarkKind::Touch, true)).is_err());
        restored.add(marks_at(3 * MINUTE, MarkKind::Touch, true)).unwrap();
    }

    #[test]
    fn a_silence_ends_with_the_event_of_a_shard_that_is_behind() {
        // Two shards: one has read on to 30 h, the other is at 25 h, and its next event is one of 26 h.
        let mut concurrency = Concurrency::try_new(&[query(MINUTE, None, None)], JOB).unwrap();
        concurrency.saw(&saw(&[0, 30 * HOUR], MINUTE));
        concurrency.add(marks(MarkKind::Touch, true)).unwrap();
        let mut given = concurrency.advance(25 * HOUR).unwrap();
        concurrency.saw(&saw(&[26 * HOUR], MINUTE));
        concurrency.add(marks_at(26 * HOUR, MarkKind::Touch, true)).unwrap();
        concurrency.add(marks_at(30 * HOUR, MarkKind::Touch, true)).unwrap();
        given.extend(concurrency.advance(31 * HOUR).unwrap());
        let given: Vec<_> = given.iter().map(|w| w.window_end / MINUTE).collect();
        // Nobody is present from 0:01 on, and nothing of 24 h and more is filled; from 26 h on all is.
        assert_eq!(given.first(), Some(&1));
        let (first, rest) = given[1..].split_first().unwrap();
        assert_eq!((*first, rest.last()), (26 * 60 + 1, Some(&(30 * 60 + 1))), "{given:?}");
    }

    #[test]
    fn the_timeouts_of_the_job_are_shown_or_the_shortest() {
        let present = |queries: &[ConcurrencyQuery]| {
            let mut concurrency = Concurrency::try_new(queries, JOB).unwrap();
            concurrency.saw(&saw(&[0, 10 * MINUTE], MINUTE));
            concurrency.add(marks(MarkKind::Touch, true)).unwrap();
            concurrency.advance(3 * MINUTE).unwrap();
            concurrency.present().map(|(sessions, _)| sessions)
        };
        let (longer, longest) = (query(MINUTE, Some(2 * MINUTE), None), query(MINUTE, Some(9 * MINUTE), None));
        assert_eq!(present(&[query(MINUTE, None, None), longest.clone()]), Some(0));
        assert_eq!(present(&[longest.clone(), longer.clone()]), Some(0));
        assert_eq!(present(&[longest]), Some(1));
    }
}
