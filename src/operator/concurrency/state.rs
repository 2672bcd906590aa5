//! The shared state as something that can be put away and taken up again.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::activity::Stream;
use super::groups::Steps;
use super::left_out::LeftOutMarks;
use super::partial::MarksPartial;
use super::pending::Pending;
use super::query::ConcurrencyQuery;
use super::resolve::{Dimensions, Presence};
use super::rows::{QueryState, QueryWindows};
use super::session::{Delta, Session};
use super::session_index::SessionIndex;
use super::slab::Slab;
use super::timeouts::ConcurrencyOptions;
use super::viewers::{Viewer, Viewers};
use super::wheel::Wheel;
use crate::error::{Error, Result};
use crate::types::Micros;

/// Everything that a [`Concurrency`](super::Concurrency) remembers: marks that wait, and by each set of timeouts who is present.
///
/// It fits queries of the same finest window that count by no other dimensions.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConcurrencyState {
    pub(super) bucket_size: Micros,
    pub(super) dimensions: Vec<String>,
    pub(super) pending: Pending,
    pub(super) presences: BTreeMap<ConcurrencyOptions, PresenceState>,
    pub(super) left_out: Option<LeftOutMarks>,
}

/// Everything that a [`Presence`] remembers: sessions, streams, windows that are open or held back. What can be derived (indices by key)
/// is left out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct PresenceState {
    cursor: Option<Micros>,
    streams: Slab<Stream>,
    stream_wheel: Wheel,
    silent_streams: Vec<u32>,
    sessions: Slab<Session>,
    session_wheel: Wheel,
    viewers: Slab<Viewer>,
    dimensions: Vec<Box<[Option<Box<str>>]>>,
    active_streams: Steps,
    present_sessions: i64,
    queries: Vec<(ConcurrencyQuery, QueryState)>,
}

impl ConcurrencyState {
    /// Sessions and streams remembered.
    pub fn remembered(&self) -> (usize, usize) {
        let each = self.presences.values().map(|p| (p.sessions.len(), p.streams.len()));
        each.fold((0, 0), |(sessions, streams), more| (sessions + more.0, streams + more.1))
    }

    /// Forgets the dimensions that are not `asked` for.
    ///
    /// # Errors
    /// Internal if it is without one that is.
    pub(super) fn keep_dimensions(&mut self, asked: &[String]) -> Result<()> {
        if self.dimensions == asked {
            return Ok(());
        }
        let kept = Kept::try_new(&self.dimensions, asked)?;
        for presence in self.presences.values_mut() {
            presence.dimensions.iter_mut().for_each(|tuple| *tuple = kept.of_tuple(tuple));
        }
        let marks = std::mem::take(&mut self.pending.marks);
        self.pending.marks = marks.into_iter().map(|(bucket, marks)| (bucket, kept.of_marks(marks))).collect();
        self.dimensions = asked.to_vec();
        Ok(())
    }
}

impl Presence {
    /// A copy of the state.
    pub(super) fn state(&self) -> PresenceState {
        PresenceState {
            cursor: self.cursor,
            streams: self.streams.clone(),
            stream_wheel: self.stream_wheel.clone(),
            silent_streams: self.silent_streams.clone(),
            sessions: self.sessions.clone(),
            session_wheel: self.session_wheel.clone(),
            viewers: self.viewers.state(),
            dimensions: self.dimensions.values.clone(),
            active_streams: self.active_streams,
            present_sessions: self.present_sessions,
            queries: self.queries.iter().map(|q| (q.query().clone(), q.state())).collect(),
        }
    }

    /// Goes on from a copy of the same timeouts and dimensions. A query that it is not of begins with who is present; its first window may be one in
    /// part.
    ///
    /// # Errors
    /// Internal if the copy is not whole.
    pub(super) fn restore(&mut self, state: PresenceState) -> Result<()> {
        if state.dimensions.is_empty() {
            return Err(Error::internal("a state of sessions without their dimensions"));
        }
        let mut known: BTreeMap<_, _> = state.queries.into_iter().collect();
        let mut new = Vec::new();
        for (i, query) in self.queries.iter_mut().enumerate() {
            match known.remove(query.query()) {
                Some(state) => query.restore(state),
                None => new.push(i),
            }
        }
        self.cursor = state.cursor;
        self.stream_index = state.streams.iter().map(|(i, s)| (s.key, i)).collect();
        self.streams = state.streams;
        self.stream_wheel = state.stream_wheel;
        self.silent_streams = state.silent_streams;
        self.session_index = SessionIndex::of(&state.sessions);
        self.sessions = state.sessions;
        self.session_wheel = state.session_wheel;
        let of_sessions = self.sessions.iter().map(|(_, session)| session.viewer);
        let of_queries = self.queries.iter().flat_map(QueryWindows::viewers);
        self.viewers = Viewers::restored(state.viewers, of_sessions.chain(of_queries));
        self.dimensions = Dimensions::restored(state.dimensions);
        self.active_streams = state.active_streams;
        self.present_sessions = state.present_sessions;
        new.into_iter().for_each(|query| self.join(query));
        Ok(())
    }

    /// A query begins where the others are.
    fn join(&mut self, query: usize) {
        let Some(cursor) = self.cursor else { return };
        let mut present: Vec<Delta> = self.sessions.iter().filter_map(|(_, s)| s.present_at(cursor)).collect();
        present.sort_unstable_by_key(|delta| delta.stream);
        if let Some(query) = self.queries.get_mut(query) {
            query.join(cursor, present, self.active_streams.value, &self.dimensions, &mut self.viewers);
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
