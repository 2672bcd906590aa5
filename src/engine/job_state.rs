//! Everything that a job remembers, as something that can be put away and taken up again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::combine::CombineState;
use super::intake::IntakeState;
use super::shard_stage::StageState;
use crate::types::{ShardId, ShardPosition};

/// The state of a job between two reads: a cut through all of its parts. What a shard has read before its position is in this
/// state or in the tables, each row once.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct JobState {
    /// By shard.
    pub shards: BTreeMap<ShardId, ShardState>,
    /// The place where they meet; none before anything was read.
    pub combine: Option<CombineState>,
}

impl JobState {
    /// Windows of the pipelines that are open in shards or wait where they meet. (One that is open in several shards counts in each.)
    pub fn open_windows(&self) -> usize {
        let in_shards = self.shards.values().filter_map(|s| s.work.as_ref()).map(|w| w.stage.open_windows());
        in_shards.sum::<usize>() + self.combine.as_ref().map_or(0, CombineState::open_windows)
    }

    /// Forgets everything but the positions.
    pub fn keep_positions(&mut self) {
        self.combine = None;
        self.shards.values_mut().for_each(|s| s.work = None);
    }
}

/// Where a shard stands.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ShardState {
    /// Where to read on; none if it was to be read from its tip and nothing was.
    pub position: Option<ShardPosition>,
    /// It was closed, and everything in it was read.
    pub drained: bool,
    /// What is remembered of it; none if it was drained, or if only positions are kept.
    pub(super) work: Option<ShardWork>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct ShardWork {
    pub intake: IntakeState,
    pub stage: StageState,
}

impl ShardState {
    pub(super) fn suspended(position: Option<ShardPosition>, intake: IntakeState, stage: StageState) -> Self {
        Self { position, drained: false, work: Some(ShardWork { intake, stage }) }
    }

    pub(super) fn drained(position: Option<ShardPosition>) -> Self {
        Self { position, drained: true, work: None }
    }
}
