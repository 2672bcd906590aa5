//! The shared state as something that can be put away and taken up again.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::activity::Stream;
use super::groups::Steps;
use super::mark::MarksPartial;
use super::query::ConcurrencyQuery;
use super::resolve::{Concurrency, ConcurrencyOptions, Dimensions, Slab};
use super::rows::QueryState;
use super::session::{Delta, Session};
use super::wheel::Wheel;
use crate::error::{Error, Result};
use crate::types::Micros;

/// Everything that a [`Concurrency`] remembers: sessions, streams, marks that wait, windows that are open or held back.
///
/// What can be derived (indices by key) is left out. It fits queries of the same finest window that count by no other dimensions, and
/// the same timeouts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConcurrencyState {
    cursor: Option<Micros>,
    pending: BTreeMap<Micros, MarksPartial>,
    seen: BTreeMap<Micros, (Micros, Micros)>,
    streams: Slab<Stream>,
    stream_wheel: Wheel,
    silent_streams: Vec<u32>,
    sessions: Slab<Session>,
    session_wheel: Wheel,
    dimensions: Vec<Box<[Option<Box<str>>]>>,
    active_streams: Steps,
    present_sessions: i64,
    queries: Vec<(ConcurrencyQuery, QueryState)>,
}

impl ConcurrencyState {
    /// Sessions and streams remembered.
    pub fn remembered(&self) -> (usize, usize) {
        (self.sessions.len(), self.streams.len())
    }
}

impl Concurrency {
    /// A copy of the state.
    pub fn state(&self) -> ConcurrencyState {
        ConcurrencyState {
            cursor: self.cursor,
            pending: self.pending.clone(),
            seen: self.seen.clone(),
            streams: self.streams.clone(),
            stream_wheel: self.stream_wheel.clone(),
            silent_streams: self.silent_streams.clone(),
            sessions: self.sessions.clone(),
            session_wheel: self.session_wheel.clone(),
            dimensions: self.dimensions.values.clone(),
            active_streams: self.active_streams,
            present_sessions: self.present_sessions,
            queries: self.queries.iter().map(|q| (q.query().clone(), q.state())).collect(),
        }
    }

    /// Goes on from a copy. A query that it is not of begins with who is present; its first window may be one in part.
    ///
    /// # Errors
    /// As [`Concurrency::try_new`]; internal if the copy is of another finest window, or without a dimension that is asked for.
    pub fn restore(queries: &[ConcurrencyQuery], options: ConcurrencyOptions, state: ConcurrencyState) -> Result<Self> {
        let mut restored = Self::try_new(queries, options)?;
        let mut known: BTreeMap<_, _> = state.queries.into_iter().collect();
        let asked: Vec<ConcurrencyQuery> = known.keys().cloned().collect();
        if Self::finest_window(&asked)? != restored.bucket_size || state.dimensions.is_empty() {
            return Err(Error::internal("a state of other concurrency queries"));
        }
        let kept = Kept::try_new(&Self::dimension_names(&asked), &Self::dimension_names(queries))?;
        let mut new = Vec::new();
        for (i, query) in restored.queries.iter_mut().enumerate() {
            match known.remove(query.query()) {
                Some(state) => query.restore(state),
                None => new.push(i),
            }
        }
        let mut restored = Self {
            cursor: state.cursor,
            pending: state.pending.into_iter().map(|(bucket, marks)| (bucket, kept.of_marks(marks))).collect(),
            seen: state.seen,
            stream_index: state.streams.iter().map(|(i, s)| (s.key, i)).collect(),
            streams: state.streams,
            stream_wheel: state.stream_wheel,
            silent_streams: state.silent_streams,
            session_index: state.sessions.iter().map(|(i, s)| (s.key, i)).collect(),
            sessions: state.sessions,
            session_wheel: state.session_wheel,
            dimensions: Dimensions::restored(state.dimensions.iter().map(|tuple| kept.of_tuple(tuple)).collect()),
            active_streams: state.active_streams,
            present_sessions: state.present_sessions,
            ..restored
        };
        new.into_iter().for_each(|query| restored.join(query));
        Ok(restored)
    }

    /// A query begins where the others are.
    fn join(&mut self, query: usize) {
        let Some(cursor) = self.cursor else { return };
        let mut present: Vec<Delta> = self.sessions.iter().filter_map(|(_, s)| s.present_at(cursor)).collect();
        present.sort_unstable_by_key(|delta| delta.stream);
        if let Some(query) = self.queries.get_mut(query) {
            query.join(cursor, present, self.active_streams.value, &self.dimensions);
        }
    }
}

/// Which of the dimensions that a state has are asked for still, by their places in it.
pub(super) struct Kept {
    places: Vec<usize>,
    all: bool,
}

impl Kept {
    /// Those of `known` that are `asked` for, in their order.
    ///
    /// # Errors
    /// Internal if one that is asked for is not known.
    pub(super) fn try_new(known: &[String], asked: &[String]) -> Result<Self> {
        let place = |name: &String| {
            let place = known.iter().position(|k| k == name);
            place.ok_or_else(|| Error::internal(format!("a state without the dimension {name}")))
        };
        Ok(Self { places: asked.iter().map(place).collect::<Result<_>>()?, all: known == asked })
    }

    /// Tuples that become equal stay apart: groups are told by their values.
    fn of_tuple(&self, tuple: &[Option<Box<str>>]) -> Box<[Option<Box<str>>]> {
        self.places.iter().map(|i| tuple.get(*i).cloned().flatten()).collect()
    }

    pub(super) fn of_marks(&self, mut marks: MarksPartial) -> MarksPartial {
        if !self.all {
            marks.sources.iter_mut().for_each(|source| *source = Arc::new(source.with_dimensions(&self.places)));
        }
        marks
    }
}
