//! The task of a live job that commits it on an interval.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, MissedTickBehavior};

use super::board::{Board, CommitStatus};
use super::commits::{CommitOf, Committer};
use super::cut::{Cuts, MetState, ask, job_state};
use super::job_state::JobState;
use super::live::{HOUSEKEEPING, Part};
use super::shard_task::{Message, ToRaw};
use crate::clock::Clock;
use crate::error::Result;
use crate::limits::{FIRST_COMMIT_SECS, SUCCESSOR_LOOK_SECS};
use crate::operator::memory::StateMemory;
use crate::types::Micros;

/// Has cuts taken and commits them, until all shards have ended.
pub(super) struct Committing {
    pub cuts: Cuts,
    pub committer: Committer,
    pub interval: Duration,
    pub raw: Sender<ToRaw>,
    pub combine: Sender<Message>,
    /// What of the job's state does not change while it runs.
    pub begun: JobState,
    pub board: Arc<Board>,
    pub clock: Arc<dyn Clock>,
    /// What the state of the job may take.
    pub memory: MemoryWatch,
}

/// Whether memory has become scarce.
pub(super) struct MemoryWatch {
    memory: StateMemory,
    was_nearly_full: bool,
}

impl MemoryWatch {
    pub(super) fn of(memory: &StateMemory) -> Self {
        Self { memory: memory.clone(), was_nearly_full: false }
    }

    /// Whether it has since the last look.
    fn is_newly_scarce(&mut self) -> bool {
        let was = std::mem::replace(&mut self.was_nearly_full, self.memory.is_nearly_full());
        self.was_nearly_full && !was
    }
}

impl Committing {
    /// The first commit comes soon, so that of two runs that take over from each other again and again each gets something done.
    ///
    /// # Errors
    /// If another process has taken over. A commit that fails otherwise is made up for by the next.
    pub(super) async fn run(mut self) -> Result<Part> {
        let first = self.interval.min(Duration::from_secs(FIRST_COMMIT_SECS));
        let mut tick = tokio::time::interval_at(Instant::now() + first, self.interval);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut status =
            CommitStatus { interval: micros(self.interval), last: self.clock.now(), ..CommitStatus::default() };
        let mut look = tokio::time::interval(Duration::from_secs(SUCCESSOR_LOOK_SECS));
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut weigh = tokio::time::interval(HOUSEKEEPING);
        weigh.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            status.unmoved = self.committer.unmoved();
            self.board.commits(status.clone());
            tokio::select! {
                biased;
                () = self.cuts.ended() => break,
                _ = tick.tick() => {}
                _ = look.tick() => {
                    self.look().await?;
                    continue;
                }
                _ = weigh.tick() => {
                    if !self.memory.is_newly_scarce() {
                        continue;
                    }
                    // If it runs out, the job ends, and what was read since the last commit is read again.
                    tracing::warn!("seven eighths of run.memory_mib_max are taken: a commit is made before there is no more");
                }
            }
            // None: a task has failed, and the job with it.
            let Some((cut, stood)) = self.cut().await else { break };
            status.stood = micros(stood);
            let begun = Instant::now();
            match self.committer.commit(cut).await {
                Ok(done) => {
                    tracing::info!(
                        number = done.number,
                        files = done.files,
                        bytes = done.bytes,
                        stood_millis = stood.as_millis() as u64,
                        wrote_millis = begun.elapsed().as_millis() as u64,
                        "committed"
                    );
                    status.commits += 1;
                    (status.last, status.number) = (self.clock.now(), Some(done.number));
                    (status.failing, status.lost) = (None, self.committer.lost());
                }
                Err(e) if self.committer.is_shut_out() => return Err(e),
                Err(e) => {
                    tracing::error!(error = %e, "a commit failed: the next one makes up for it");
                    status.failures += 1;
                    status.failing = Some(e.to_string());
                }
            }
        }
        Ok(Part::Commits(Box::new(self.committer)))
    }

    /// # Errors
    /// If another process has taken over.
    async fn look(&mut self) -> Result<()> {
        match self.committer.look().await {
            Err(e) if !self.committer.is_shut_out() => {
                tracing::debug!(error = %e, "whether another process has taken over is not known: the next look tells");
                Ok(())
            }
            done => done,
        }
    }

    /// A cut, and for how long shards stood still.
    async fn cut(&mut self) -> Option<(CommitOf, Duration)> {
        let begun = Instant::now();
        let shards = self.cuts.stand().await?;
        // Of shards it is as of the cut now; of the place where they meet, that comes with its state.
        let mut status = self.board.status();
        let (raw, met) = tokio::join!(ask(&self.raw, ToRaw::Cut), ask(&self.combine, Message::Cut));
        self.cuts.release();
        let stood = begun.elapsed();
        let (raw, met) = tokio::try_join!(raw?, met?).ok()?;
        let MetState { combine, gathered, status: combined, files } = met;
        self.committer.take_files(raw);
        self.committer.take_files(files);
        status.combine = combined;
        tracing::debug!("commit cut");
        let state = job_state(shards, combine, gathered, &self.begun);
        Some((CommitOf::new(state, Vec::new(), &status), stood))
    }
}

fn micros(duration: Duration) -> Micros {
    Micros::try_from(duration.as_micros()).unwrap_or(Micros::MAX)
}
