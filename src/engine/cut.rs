//! A cut through a running job: where every shard stands, and all that follows from what was read up to there.
//!
//! ```text
//!  cut             shards                          writer of raw rows         where shards meet
//!   │ requested ──► between two reads: state, wait       │                          │
//!   │◄───────────── where it stands                      │                          │
//!   │ all of them: what they have sent is in the queues, and nothing comes after it │
//!   ├─ a mark ──────────────────────────────────────────►│                          │
//!   ├─ a mark ───────────────────────────────────────────┼─────────────────────────►│
//!   │ released ───► read on                              │ files are finished       │ state, rows that wait for a file
//!   │◄── those files ────────────────────────────────────┴── those that are ready ──┘
//! ```
//!
//! While shards wait nobody reads; it is for as long as a read takes, and for the queues to take a mark. Queues keep their order: what shards
//! send from then on is behind the marks, and in the files of the next cut. So files are finished, and the commit is written, beside the
//! reading.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::board::CombineStatus;
use super::combine::CombineState;
use super::job_state::{JobState, ShardState};
use crate::error::{Error, Result};
use crate::sink::lake::Move;
use crate::types::ShardId;
use crate::types::arrow_bytes::StoredBatch;

/// Where one shard stands.
struct Standing {
    shard: ShardId,
    state: Box<ShardState>,
    /// It is read no more.
    ended: bool,
}

/// A shard's part in cuts.
#[derive(Clone)]
pub(super) struct ShardSide {
    requested: watch::Receiver<u64>,
    released: watch::Receiver<u64>,
    standings: Sender<Standing>,
}

/// What the place where shards meet has at a cut.
pub(super) struct MetState {
    pub combine: CombineState,
    pub gathered: BTreeMap<String, Vec<StoredBatch>>,
    /// What it says of itself there.
    pub status: CombineStatus,
    /// Files of windows that were finished since the cut before.
    pub files: Vec<Move>,
}

/// Who asks for cuts.
pub(super) struct Cuts {
    requested: watch::Sender<u64>,
    released: watch::Sender<u64>,
    standings: Receiver<Standing>,
    reading: BTreeSet<ShardId>,
    ended: BTreeMap<ShardId, ShardState>,
}

/// Both sides of the cuts of a job that begins to read `shards`.
pub(super) fn cuts(shards: BTreeSet<ShardId>) -> (Cuts, ShardSide) {
    let (requested, requests) = watch::channel(0);
    let (released, releases) = watch::channel(0);
    // Nobody has to wait to tell where it stands: each shard does so once a cut, and once at its end.
    let (sender, standings) = channel(2 * shards.len().max(1));
    let side = ShardSide { requested: requests, released: releases, standings: sender };
    (Cuts { requested, released, standings, reading: shards, ended: BTreeMap::new() }, side)
}

impl ShardSide {
    /// Waits until a cut is asked for. May be dropped at any point of its wait.
    pub(super) async fn requested(&mut self) -> u64 {
        match self.requested.changed().await {
            Ok(()) => *self.requested.borrow_and_update(),
            // Nobody asks any more.
            Err(_) => std::future::pending().await,
        }
    }

    /// Tells where the shard stands, and waits until it may read on, or `stop`.
    pub(super) async fn stand(
        &mut self,
        cut: u64,
        shard: &ShardId,
        state: ShardState,
        stop: &CancellationToken,
    ) -> Result<()> {
        self.tell(shard, state, false).await?;
        tokio::select! {
            // If nobody asks any more, nobody holds the job up.
            _ = self.released.wait_for(|released| *released >= cut) => {}
            () = stop.cancelled() => {}
        }
        Ok(())
    }

    /// Tells that the shard is read no more.
    pub(super) async fn end(&self, shard: &ShardId, state: ShardState) -> Result<()> {
        self.tell(shard, state, true).await
    }

    async fn tell(&self, shard: &ShardId, state: ShardState, ended: bool) -> Result<()> {
        let standing = Standing { shard: ShardId::clone(shard), state: Box::new(state), ended };
        self.standings.send(standing).await.map_err(|_| Error::internal("the task of commits ended before the others"))
    }
}

impl Cuts {
    /// Waits until no shard is read any more. May be dropped at any point of its wait.
    pub(super) async fn ended(&mut self) {
        while !self.reading.is_empty() {
            let Some(standing) = self.standings.recv().await else { return };
            self.note(standing);
        }
    }

    /// Has every shard stand still and tell where; none if a task has failed. [`Self::release`] lets them read on.
    pub(super) async fn stand(&mut self) -> Option<BTreeMap<ShardId, ShardState>> {
        self.requested.send_modify(|cut| *cut += 1);
        let mut states = BTreeMap::new();
        while states.len() < self.reading.len() {
            let standing = self.standings.recv().await?;
            if let Some((shard, state)) = self.note(standing) {
                states.insert(shard, state);
            }
            // One that stood and was stopped then has ended.
            states.retain(|shard, _| self.reading.contains(shard));
        }
        states.extend(self.ended.clone());
        Some(states)
    }

    /// Lets shards read on.
    pub(super) fn release(&self) {
        self.released.send_replace(*self.requested.borrow());
    }

    fn note(&mut self, Standing { shard, state, ended }: Standing) -> Option<(ShardId, ShardState)> {
        if !ended {
            return Some((shard, *state));
        }
        self.reading.remove(&shard);
        self.ended.insert(shard, *state);
        None
    }
}

/// Asks a task that does one message after the other. What it will say is as of all that was sent to it before; none if it has ended.
pub(super) async fn ask<M, T>(
    to: &Sender<M>,
    message: impl FnOnce(oneshot::Sender<T>) -> M,
) -> Option<oneshot::Receiver<T>> {
    let (reply, answer) = oneshot::channel();
    to.send(message(reply)).await.ok()?;
    Some(answer)
}

/// The state of a job at a cut. What is not in the shards' is as it was.
pub(super) fn job_state(
    shards: BTreeMap<ShardId, ShardState>,
    combine: CombineState,
    gathered: BTreeMap<String, Vec<StoredBatch>>,
    begun: &JobState,
) -> JobState {
    let state = JobState { shards, combine: Some(combine), gathered, ..JobState::default() };
    let reached = state.reached().max(begun.reached);
    JobState { reached, floors: begun.floors.clone(), ..state }
}
