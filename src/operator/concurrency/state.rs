//! The shared state as something that can be put away and taken up again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::activity::Stream;
use super::groups::Steps;
use super::mark::MarksPartial;
use super::query::ConcurrencyQuery;
use super::resolve::{Concurrency, ConcurrencyOptions, Dimensions, Slab};
use super::rows::QueryState;
use super::session::Session;
use super::wheel::Wheel;
use crate::error::{Error, Result};
use crate::types::Micros;

/// Everything that a [`Concurrency`] remembers: sessions, streams, marks that wait, windows that are open or held back.
///
/// What can be derived (indices by key) is left out. It fits the queries that it was taken from, in their order.
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
    queries: Vec<QueryState>,
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
            queries: self.queries.iter().map(super::rows::QueryWindows::state).collect(),
        }
    }

    /// Goes on from a copy of the state of the same queries.
    ///
    /// # Errors
    /// As [`Concurrency::try_new`]; internal if the copy is of other queries.
    pub fn restore(queries: &[ConcurrencyQuery], options: ConcurrencyOptions, state: ConcurrencyState) -> Result<Self> {
        let mut restored = Self::try_new(queries, options)?;
        if restored.queries.len() != state.queries.len() || state.dimensions.is_empty() {
            return Err(Error::internal("a state of other concurrency queries"));
        }
        restored.queries.iter_mut().zip(state.queries).for_each(|(query, state)| query.restore(state));
        Ok(Self {
            cursor: state.cursor,
            pending: state.pending,
            seen: state.seen,
            stream_index: state.streams.iter().map(|(i, s)| (s.key, i)).collect(),
            streams: state.streams,
            stream_wheel: state.stream_wheel,
            silent_streams: state.silent_streams,
            session_index: state.sessions.iter().map(|(i, s)| (s.key, i)).collect(),
            sessions: state.sessions,
            session_wheel: state.session_wheel,
            dimensions: Dimensions::restored(state.dimensions),
            active_streams: state.active_streams,
            present_sessions: state.present_sessions,
            ..restored
        })
    }
}
