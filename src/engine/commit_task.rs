//! The task of a live job that commits it on an interval.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, MissedTickBehavior};

use super::board::Board;
use super::commits::{CommitOf, Committer};
use super::cut::{Cuts, ask, job_state};
use super::job_state::JobState;
use super::live::Part;
use super::shard_task::{Message, ToRaw};
use crate::error::Result;
use crate::limits::{FIRST_COMMIT_SECS, SUCCESSOR_LOOK_SECS};

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
        let mut look = tokio::time::interval(Duration::from_secs(SUCCESSOR_LOOK_SECS));
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = self.cuts.ended() => break,
                _ = tick.tick() => {}
                _ = look.tick() => {
                    self.look().await?;
                    continue;
                }
            }
            let begun = Instant::now();
            // None: a task has failed, and the job with it.
            let Some(cut) = self.cut().await else { break };
            let (stood_millis, begun) = (begun.elapsed().as_millis() as u64, Instant::now());
            match self.committer.commit(cut).await {
                Ok(done) => {
                    let wrote_millis = begun.elapsed().as_millis() as u64;
                    tracing::info!(
                        number = done.number,
                        files = done.files,
                        bytes = done.bytes,
                        stood_millis,
                        wrote_millis,
                        "committed"
                    );
                }
                Err(e) if self.committer.is_shut_out() => return Err(e),
                Err(e) => tracing::error!(error = %e, "a commit failed: the next one makes up for it"),
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

    async fn cut(&mut self) -> Option<CommitOf> {
        let shards = self.cuts.stand().await?;
        let ((), met) = tokio::try_join!(async { ask(&self.raw, ToRaw::Cut).await.ok_or(()) }, async {
            ask(&self.combine, Message::Cut).await.ok_or(())
        },)
        .ok()?;
        self.committer.take_files();
        let status = self.board.status();
        self.cuts.release();
        tracing::debug!("commit cut");
        let state = job_state(shards, met, &self.begun);
        Some(CommitOf::new(state, Vec::new(), &status))
    }
}
