//! Everything that a job remembers, as something that can be put away and taken up again.

use std::collections::BTreeMap;

use arrow::array::AsArray;
use arrow::datatypes::Int32Type;
use serde::{Deserialize, Serialize};

use super::combine::CombineState;
use super::intake::IntakeState;
use super::pipelines::Pipelines;
use super::shard_stage::StageState;
use crate::error::{Error, Result};
use crate::operator::concurrency::{ConcurrencyOptions, ConcurrencyState, MarksState};
use crate::pipeline::ContinuousPlan;
use crate::schema::{REVISION, WINDOW_END};
use crate::sink::lake::time_values;
use crate::types::arrow_bytes::StoredBatch;
use crate::types::{Micros, ShardId, ShardPosition};

/// The state of a job between two reads: a cut through all of its parts. What a shard has read before its position is in this
/// state or in the tables, each row once.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct JobState {
    /// By shard.
    pub shards: BTreeMap<ShardId, ShardState>,
    /// The place where they meet; none before anything was read, and if only positions are kept.
    pub combine: Option<CombineState>,
    /// The latest event that earlier runs have read ends here, also of shards that are forgotten by now.
    pub(super) reached: Option<Micros>,
    /// Which windows are given up.
    pub floors: Floors,
    /// By table: rows of complete windows that wait for their file. After an orderly stop there are none.
    pub(super) gathered: BTreeMap<String, Vec<StoredBatch>>,
}

/// Windows that begin before these instants are given up: some of their rows were read by a run whose windows were.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Floors {
    /// Of all tables.
    pub all: Option<Micros>,
    /// Of the tables of `CONCURRENCY`, by their timeouts: before it, not everybody who is present was heard of.
    pub presence: BTreeMap<ConcurrencyOptions, Micros>,
    /// By table.
    pub tables: BTreeMap<String, Micros>,
}

impl Floors {
    /// That of one table.
    pub fn of(&self, plan: &ContinuousPlan, pipelines: &Pipelines) -> Option<Micros> {
        let presence = pipelines.timeouts_of(plan).iter().filter_map(|set| self.presence.get(set)).max().copied();
        self.all.max(presence).max(self.tables.get(&plan.name).copied())
    }
}

impl JobState {
    /// That of a job which has read nothing, and begins at these positions.
    pub fn beginning(positions: impl IntoIterator<Item = (ShardId, Option<ShardPosition>)>) -> Self {
        let unread = |position| ShardState { position, drained: false, work: None, last_event: None };
        let shards = positions.into_iter().map(|(shard, position)| (shard, unread(position)));
        Self { shards: shards.collect(), ..Self::default() }
    }

    /// Whether some window is open in a shard, or waits where shards meet. How many are, a job's
    /// [`Status`](super::board::Status::open_windows) says: a state does not know which panes are of one window.
    pub fn has_open_windows(&self) -> bool {
        let mut stages = self.shards.values().filter_map(|s| s.work.as_ref()?.stage.as_ref());
        stages.any(StageState::has_open_windows) || self.combine.as_ref().is_some_and(CombineState::has_open_windows)
    }

    /// All rows of windows that begin here or later are yet to be read, and no such window is out; none if nothing was read.
    pub fn reached(&self) -> Option<Micros> {
        let events = self.shards.values().filter_map(ShardState::last_event).map(|last| last.saturating_add(1));
        let out = self.combine.as_ref().and_then(CombineState::out);
        events.chain(out).chain(self.floors.all).chain(self.reached).max()
    }

    /// Up to where the windows of a table are in its files: revision 0 of those that end by it, and revision 1 of those whose allowed
    /// lateness does. None if none of them need be.
    ///
    /// # Errors
    /// Internal if rows that wait for their file are none of windows.
    pub fn written_until(&self, plan: &ContinuousPlan) -> Result<Option<Micros>> {
        let Some(mut until) = self.combine.as_ref().and_then(|combine| combine.closed(&plan.name)) else {
            return Ok(None);
        };
        for StoredBatch(rows) in self.gathered.get(&plan.name).into_iter().flatten() {
            let revisions = rows.column_by_name(REVISION).and_then(|c| c.as_primitive_opt::<Int32Type>());
            let revisions = revisions.ok_or_else(|| Error::internal("rows of a window without a revision"))?;
            for (end, revision) in time_values(rows, WINDOW_END, None)?.into_iter().zip(revisions.values()) {
                let later = if *revision > 0 { plan.allowed_lateness() } else { 0 };
                until = until.min(end.saturating_add(later).saturating_sub(1));
            }
        }
        Ok(Some(until))
    }

    /// Gives up the windows that are open, and with them who is present. What stays is where shards are read on, and by what their
    /// events are judged: which ids came, and how far the events have come. So no event is kept twice, and no window comes a
    /// second time, or with a part of its rows.
    pub fn keep_positions(&mut self) {
        self.floors.all = self.reached();
        self.combine = None;
        self.shards.values_mut().filter_map(|s| s.work.as_mut()).for_each(|work| work.stage = None);
    }

    /// Gives up the open windows of a table.
    pub(super) fn forget(&mut self, table: &str) {
        self.stages().for_each(|stage| stage.forget(table));
        self.combine.iter_mut().for_each(|combine| combine.forget(table));
        self.floors.tables.remove(table);
    }

    /// Gives up who is present.
    pub(super) fn forget_presence(&mut self) {
        self.stages().for_each(StageState::forget_marks);
        self.combine.iter_mut().for_each(CombineState::forget_presence);
        self.floors.presence.clear();
    }

    /// What all tables of concurrency share, where shards meet, and what of it is in shards still.
    pub(super) fn presence(&mut self) -> Option<(&mut ConcurrencyState, impl Iterator<Item = &mut MarksState>)> {
        let stages = self.shards.values_mut().filter_map(|s| s.work.as_mut()?.stage.as_mut());
        Some((self.combine.as_mut()?.concurrency()?, stages.filter_map(StageState::marks)))
    }

    fn stages(&mut self) -> impl Iterator<Item = &mut StageState> {
        self.shards.values_mut().filter_map(|s| s.work.as_mut()?.stage.as_mut())
    }
}

/// Where a shard stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ShardState {
    /// Where to read on; none if it was to be read from its tip and nothing was.
    pub position: Option<ShardPosition>,
    /// It was closed, and everything in it was read.
    pub drained: bool,
    /// What is remembered of it; none if it was drained, or nothing was read of it yet.
    pub(super) work: Option<ShardWork>,
    /// Of a drained shard, the latest event time accepted.
    last_event: Option<Micros>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ShardWork {
    pub intake: IntakeState,
    /// None if its windows were given up.
    pub stage: Option<StageState>,
}

impl ShardState {
    pub(super) fn suspended(position: Option<ShardPosition>, intake: IntakeState, stage: StageState) -> Self {
        let work = Some(ShardWork { intake, stage: Some(stage) });
        Self { position, drained: false, work, last_event: None }
    }

    /// It is another stream's shard of the same name: to be read from its beginning, judged by nothing of before but the ids.
    pub fn begin_anew(&mut self) {
        self.position = Some(ShardPosition::Oldest);
        self.drained = false;
    }

    pub(super) fn drained(position: Option<ShardPosition>, last_event: Option<Micros>) -> Self {
        Self { position, drained: true, work: None, last_event }
    }

    /// The latest event time accepted.
    pub(super) fn last_event(&self) -> Option<Micros> {
        self.work.as_ref().map_or(self.last_event, |work| work.intake.max_event_time())
    }
}
