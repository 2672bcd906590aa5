//! Everything that a job remembers, as something that can be put away and taken up again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::combine::CombineState;
use super::intake::IntakeState;
use super::shard_stage::StageState;
use crate::types::{Micros, ShardId, ShardPosition};

/// The state of a job between two reads: a cut through all of its parts. What a shard has read before its position is in this
/// state or in the tables, each row once.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct JobState {
    /// By shard.
    pub shards: BTreeMap<ShardId, ShardState>,
    /// The place where they meet; none before anything was read, and if only positions are kept.
    pub combine: Option<CombineState>,
    /// Windows that begin before this instant are given up: some of their rows were read by a run whose windows were.
    pub floor: Option<Micros>,
}

impl JobState {
    /// Windows of the pipelines that are open in shards or wait where they meet. (One that is open in several shards counts in each.)
    pub fn open_windows(&self) -> usize {
        let stages = self.shards.values().filter_map(|s| s.work.as_ref()?.stage.as_ref());
        let in_shards = stages.map(StageState::open_windows);
        in_shards.sum::<usize>() + self.combine.as_ref().map_or(0, CombineState::open_windows)
    }

    /// Gives up the windows that are open, and with them who is present. What stays is where shards are read on, and by what their
    /// events are judged: which ids came, and how far the events have come. So no event is kept twice, and no window comes a
    /// second time, or with a part of its rows.
    pub fn keep_positions(&mut self) {
        let events = self.shards.values().filter_map(|s| s.work.as_ref()?.intake.max_event_time());
        let begun = events.map(|last| last.saturating_add(1));
        self.floor = begun.chain(self.combine.as_ref().and_then(CombineState::watermark)).chain(self.floor).max();
        self.combine = None;
        self.shards.values_mut().filter_map(|s| s.work.as_mut()).for_each(|work| work.stage = None);
    }
}

/// Where a shard stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ShardState {
    /// Where to read on; none if it was to be read from its tip and nothing was.
    pub position: Option<ShardPosition>,
    /// It was closed, and everything in it was read.
    pub drained: bool,
    /// What is remembered of it; none if it was drained.
    pub(super) work: Option<ShardWork>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ShardWork {
    pub intake: IntakeState,
    /// None if its windows were given up.
    pub stage: Option<StageState>,
}

impl ShardState {
    pub(super) fn suspended(position: Option<ShardPosition>, intake: IntakeState, stage: StageState) -> Self {
        Self { position, drained: false, work: Some(ShardWork { intake, stage: Some(stage) }) }
    }

    /// It is another stream's shard of the same name: to be read from its beginning, judged by nothing of before but the ids.
    pub fn begin_anew(&mut self) {
        self.position = Some(ShardPosition::Oldest);
        self.drained = false;
    }

    pub(super) fn drained(position: Option<ShardPosition>) -> Self {
        Self { position, drained: true, work: None }
    }
}
