//! Commits of a job: a cut's state, and the files that go with it, become the lake's in one step.
//!
//! ```text
//!  cut ─► files that nobody reads yet ─┐
//!      └► state ───────────────────────┴─► one record, put under the next number ─► the files move to their places
//! ```
//!
//! The record is the step. Without it the next start goes on from the one before and reads again; with it the files count, and whoever
//! starts next moves those that have not been moved. A commit that fails is made up for by the next one, which is of a later cut and
//! names its files too.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::board::Status;
use super::checkpoint::{Checkpoint, Header, Summary, read_header};
use super::front::RESET;
use super::job_state::JobState;
use super::left_out::leave_out;
use super::lookups::LookupHistory;
use super::pipelines::Pipelines;
use crate::clock::Clock;
use crate::error::{Error, Result, Retry};
use crate::limits::CHECKPOINT_WRITE_SECS_MAX;
use crate::sink::lake::{CheckpointStore, Move, Moved, Put, Uncommitted};

/// Pause before a last commit is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// Whose commits they are.
pub struct CommitOptions {
    /// The stream whose positions count, in words.
    pub stream: String,
    /// The start of the names of the run's files.
    pub run: String,
    /// The number that the run went on from, or took the application over by; 0 if there was none.
    pub last: u64,
    /// How often the application was taken over.
    pub generation: u64,
    /// The run that was taken over from; empty if there was none.
    pub predecessor: String,
    /// Files that the commit before names and that are not at their places yet.
    pub unmoved: Vec<Move>,
    /// Events that earlier runs have read.
    pub read_before: u64,
}

/// Writes the commits of one run.
pub struct Committer {
    // Properties.
    pipelines: Arc<Pipelines>,
    store: CheckpointStore,
    /// None if its files are where they are read as soon as they are complete.
    files: Option<Uncommitted>,
    /// Where the versions of lookup tables are that commits name; none if they are kept otherwise.
    lookups: Option<LookupHistory>,
    clock: Arc<dyn Clock>,
    options: CommitOptions,
    // State.
    /// Files that no commit names yet.
    pending: Vec<Move>,
    /// Files that a commit names and that may not be at their places yet.
    unpublished: Vec<Move>,
    /// Files of its commits that are gone.
    lost: u64,
    shut_out: bool,
}

/// What a commit is of.
#[derive(Clone)]
pub struct CommitOf {
    /// The job at a cut.
    state: JobState,
    /// What the source remembers besides positions.
    source: Vec<u8>,
    /// What it says of itself, as if the job had begun with this run.
    summary: Summary,
}

impl CommitOf {
    /// The state of a job whose status is `status`, and what its source remembers besides positions.
    pub fn new(state: JobState, source: Vec<u8>, status: &Status) -> Self {
        let summary = Summary::of(&state, status, status.counters().read);
        Self { state, source, summary }
    }
}

/// What was committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The commit's number.
    pub number: u64,
    /// Its size.
    pub bytes: usize,
    /// Files that it names.
    pub files: usize,
    /// Where it is.
    pub place: String,
}

impl std::fmt::Debug for Committer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Committer").field("last", &self.options.last).finish_non_exhaustive()
    }
}

impl Committer {
    /// Commits of a run that has read nothing yet.
    pub fn new(
        pipelines: &Arc<Pipelines>,
        store: CheckpointStore,
        files: Option<Uncommitted>,
        mut options: CommitOptions,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        let (pipelines, clock) = (Arc::clone(pipelines), Arc::clone(clock));
        let (pending, unpublished) = (Vec::new(), std::mem::take(&mut options.unmoved));
        let (lookups, lost, shut_out) = (None, 0, false);
        Self { pipelines, store, files, lookups, clock, options, pending, unpublished, lost, shut_out }
    }

    /// Has the versions of lookup tables that commits name kept in `history`.
    pub fn with_lookups(self, history: LookupHistory) -> Self {
        Self { lookups: Some(history), ..self }
    }

    /// Takes the files in that were finished up to a cut, and by no cut before.
    pub fn take_files(&mut self, finished: Vec<Move>) {
        self.pending.extend(finished);
    }

    /// Files that a commit names and that are not at their places yet.
    pub fn unmoved(&self) -> usize {
        self.unpublished.len()
    }

    /// Files that a commit of this run named and that were found nowhere when they were to be moved: their rows are lost.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Whether another process has taken over.
    pub fn is_shut_out(&self) -> bool {
        self.shut_out
    }

    /// Commits a cut, whose files were taken in.
    ///
    /// # Errors
    /// External or transient if the store fails: nothing is lost, and the next commit makes up for this one.
    /// [`Domain::Successor`](crate::error::Domain) if another process has taken over: see [`is_shut_out`](Self::is_shut_out).
    pub async fn commit(&mut self, of: CommitOf) -> Result<Committed> {
        let mut checkpoint = self.checkpoint(of);
        if let Some(history) = &self.lookups {
            checkpoint.header.lookups = history.name(&self.pipelines.lookups).await?;
        }
        let (number, bytes) = loop {
            checkpoint.header.outline.files = self.unpublished.iter().chain(&self.pending).cloned().collect();
            let (encoded, bytes) = encode(checkpoint).await?;
            checkpoint = encoded;
            let size = bytes.len();
            match self.store.put(self.options.last, bytes).await? {
                Put::Done(number) => break (number, size),
                Put::Taken => self.own_earlier().await?,
            }
        };
        tracing::debug!(number, bytes, files = checkpoint.header.outline.files.len(), "commit recorded");
        self.options.last = number;
        if let Some(history) = &self.lookups {
            history.named(&checkpoint.header.lookups);
        }
        let fresh = std::mem::take(&mut self.pending);
        let committed =
            Committed { number, bytes, files: checkpoint.header.outline.files.len(), place: self.store.place(number) };
        self.publish(fresh).await;
        tracing::debug!(number, "commit published");
        if let Err(e) = self.store.remove_old(number).await {
            tracing::warn!(error = %e, "old checkpoints were not removed: the next commit tries again");
        }
        Ok(committed)
    }

    /// Commits the state of a job that has ended, trying again for a while.
    ///
    /// # Errors
    /// As [`commit`](Self::commit): the next start goes on from the commit before.
    pub async fn finish(&mut self, of: CommitOf) -> Result<Committed> {
        let place = self.store.place(self.options.last + 1);
        let trying = async {
            loop {
                match self.commit(of.clone()).await {
                    Err(e) if !self.shut_out && e.retry() == Retry::BackOff => {
                        tracing::warn!(error = %e, "the last commit failed, and is tried again");
                        tokio::time::sleep(RETRY).await;
                    }
                    done => return done,
                }
            }
        };
        let done = tokio::time::timeout(Duration::from_secs(CHECKPOINT_WRITE_SECS_MAX), trying).await;
        let done = done.map_err(|_| {
            Error::external(format!(
                "the checkpoint was not written within {CHECKPOINT_WRITE_SECS_MAX} s: the next start goes on from the one before"
            ))
            .at(place)
        })??;
        if !self.unpublished.is_empty() {
            tracing::warn!(
                files = self.unpublished.len(),
                "committed files are not at their places: the next start moves them"
            );
        } else if let Some(files) = &self.files
            && let Err(e) = files.close(&self.options.predecessor).await
        {
            tracing::warn!(error = %e, "files that no commit names were not removed: the next start does it");
        }
        Ok(done)
    }

    fn checkpoint(&self, of: CommitOf) -> Checkpoint {
        let CommitOf { mut state, source, mut summary } = of;
        summary.events_read += self.options.read_before;
        leave_out(&mut state);
        let mut header = Header::new(&self.pipelines, &self.options.stream, self.clock.now(), summary);
        header.outline.generation = self.options.generation;
        header.outline.run.clone_from(&self.options.run);
        header.outline.predecessor.clone_from(&self.options.predecessor);
        Checkpoint { header, state, source }
    }

    /// Looks whether another process has taken over: cheaper than a commit, and so done more often.
    ///
    /// # Errors
    /// External or transient if the store fails, which says nothing. [`Domain::Successor`](crate::error::Domain) if one has: see
    /// [`is_shut_out`](Self::is_shut_out).
    pub async fn look(&mut self) -> Result<()> {
        match self.store.last().await? {
            Some(known) if known.number == self.options.last => Ok(()),
            None if self.options.last == 0 => Ok(()),
            _ => self.own_earlier().await,
        }
    }

    /// There is another record than this run's last: by an earlier try of its own, of which the store gave no word, or by who has taken over.
    async fn own_earlier(&mut self) -> Result<()> {
        let number = self.options.last + 1;
        let there = self.store.read(number).await?;
        let outline = there.map(|bytes| read_header(&bytes)).transpose().ok().flatten().map(|header| header.outline);
        match outline {
            Some(outline) if outline.run == self.options.run => {
                self.options.last = number;
                self.pending.retain(|file| !outline.files.contains(file));
                self.unpublished = outline.files;
                Ok(())
            }
            outline => {
                self.shut_out = true;
                Err(match outline {
                    Some(outline) if outline.run == RESET => self.store.reset(number),
                    _ => self.store.taken(number),
                })
            }
        }
    }

    /// Moves the files of the commit to their places. What is left to do is done after the next commit, or by the next start.
    async fn publish(&mut self, fresh: Vec<Move>) {
        let Some(files) = &self.files else { return };
        self.unpublished.extend(fresh);
        let Moved { left, error, gone } = files.publish(&self.unpublished).await;
        if let Some(e) = error {
            tracing::warn!(error = %e, files = left.len(), "committed files were not moved into their tables: the next commit tries again");
        }
        for file in &gone {
            tracing::error!(
                file = file.from,
                "a committed file is gone before it was moved into its table: its rows are lost"
            );
        }
        self.lost += gone.len() as u64;
        self.unpublished = left;
    }
}

/// The bytes of a checkpoint, and the checkpoint again.
async fn encode(checkpoint: Checkpoint) -> Result<(Checkpoint, Bytes)> {
    let encode = move || checkpoint.to_bytes().map(|bytes| (checkpoint, bytes.into()));
    let done = tokio::task::spawn_blocking(encode).await;
    done.map_err(|e| Error::internal("the writing of a checkpoint broke off").because(e))?
}
