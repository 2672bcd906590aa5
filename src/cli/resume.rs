//! What earlier runs left in the lake, and how a run takes it up and goes on with it.

use std::sync::Arc;

use super::out::say;
use crate::clock::Clock;
use crate::config::{Config, OnChangedPipeline, SourceKind};
use crate::engine::Pipelines;
use crate::engine::changes::{self, Changes};
use crate::engine::checkpoint::Checkpoint;
use crate::engine::commits::{CommitOptions, Committed, Committer};
use crate::engine::job_state::JobState;
use crate::engine::left_out::{FromRows, put_back};
use crate::engine::lookups::LookupHistory;
use crate::engine::take_over::{Found, Looked, Numbered, TakeOver};
use crate::error::Result;
use crate::sink::lake::{CheckpointStore, Lake, Move, Uncommitted};
use crate::types::format_micros;

/// The state of one application in one lake.
pub(super) struct Saved {
    lake: Lake,
    store: CheckpointStore,
    history: LookupHistory,
    stream: String,
    enabled: bool,
    on_changed: OnChangedPipeline,
    /// Files of this run before they count; none if they do at once.
    pub files: Option<Uncommitted>,
    run: String,
    clock: Arc<dyn Clock>,
    /// The number of the checkpoint that the run went on from, or took over by; 0 if there was none.
    last: u64,
    generation: u64,
    predecessor: String,
    /// Files of the last commit that are not at their places yet.
    unmoved: Vec<Move>,
    read_before: u64,
}

impl Saved {
    /// That of a run whose files' names begin with `run`.
    ///
    /// A stream of our own dies with the process, so there is nothing to read again after a crash: its files count as soon as they are
    /// complete. So do those of a run that keeps no state.
    pub(super) fn new(config: &Config, lake: &Lake, run: &str, clock: &Arc<dyn Clock>) -> Self {
        let commits = config.run.checkpoints && config.source.kind == SourceKind::Kinesis;
        Self {
            lake: lake.clone(),
            store: CheckpointStore::new(lake, &config.run.application),
            history: LookupHistory::new(lake, &config.run.application),
            stream: stream_of(config),
            enabled: config.run.checkpoints,
            on_changed: config.run.on_changed_pipeline,
            files: commits.then(|| Uncommitted::new(lake, &config.run.application, run)),
            run: run.to_owned(),
            clock: Arc::clone(clock),
            last: 0,
            generation: 0,
            predecessor: String::new(),
            unmoved: Vec::new(),
            read_before: 0,
        }
    }

    /// What a start would go on from, if anything is wanted: it fits, and the versions of lookup tables that it names are in use. Nobody is
    /// shut out yet.
    ///
    /// # Errors
    /// As [`TakeOver::look`], [`changes::fit`] and [`LookupHistory::put_back`], at the object's place.
    pub(super) async fn look(&self, pipelines: &Pipelines) -> Result<Looked> {
        if !self.enabled {
            return Ok(Looked::default());
        }
        let mut looked = self.taking_over(pipelines).look().await?;
        if let Some(checkpoint) = &mut looked.checkpoint {
            self.fit(checkpoint, pipelines).await?;
        }
        Ok(looked)
    }

    /// Takes the application over; the state to go on from, if there is one. From now on whoever went on from it before is shut out. Without
    /// one, shards begin where `begin` says, for this run and for those that follow.
    ///
    /// # Errors
    /// As [`look`](Self::look), if there is another state than that which was looked at.
    pub(super) async fn take_over(
        &mut self,
        pipelines: &Pipelines,
        looked: Looked,
        begin: &JobState,
    ) -> Result<Option<Numbered>> {
        if !self.enabled {
            return Ok(None);
        }
        let found = self.taking_over(pipelines).run(looked, Some(begin)).await?;
        let Found { last, generation, checkpoint, predecessor, leftovers, unmoved } = found;
        (self.last, self.generation, self.predecessor, self.unmoved) = (last, generation, predecessor, unmoved);
        self.history.written_by(&self.run, last);
        if leftovers > 0 {
            say!("{leftovers} files that an earlier run had not committed were removed: their records are read again");
        }
        let Some(mut checkpoint) = checkpoint else { return Ok(None) };
        // Once more does no harm to what was looked at.
        let changes = self.fit(&mut checkpoint, pipelines).await?;
        let (number, Checkpoint { header, state, .. }) = &mut checkpoint;
        say!("going on from checkpoint {number}, written at {}", format_micros(header.outline.written_at));
        changes.log(state, pipelines);
        self.put_back(state, pipelines).await?;
        self.read_before = header.summary.events_read;
        Ok(Some(checkpoint))
    }

    fn taking_over<'a>(&'a self, pipelines: &'a Pipelines) -> TakeOver<'a> {
        TakeOver {
            store: &self.store,
            files: self.files.as_ref(),
            run: &self.run,
            pipelines,
            stream: &self.stream,
            on_changed: self.on_changed,
            clock: Arc::clone(&self.clock),
        }
    }

    async fn fit(&self, (number, checkpoint): &mut Numbered, pipelines: &Pipelines) -> Result<Changes> {
        let at = |e: crate::Error| e.at(self.store.place(*number));
        let changes = changes::fit(checkpoint, pipelines, &self.stream, self.on_changed).map_err(at)?;
        self.history.put_back(&pipelines.lookups, &checkpoint.header.lookups).await?;
        Ok(changes)
    }

    /// Who commits this run; none if it keeps no state.
    pub(super) fn committer(&self, pipelines: &Arc<Pipelines>) -> Option<Committer> {
        let options = CommitOptions {
            stream: self.stream.clone(),
            run: self.run.clone(),
            last: self.last,
            generation: self.generation,
            predecessor: self.predecessor.clone(),
            unmoved: self.unmoved.clone(),
            read_before: self.read_before,
        };
        let (store, files) = (self.store.clone(), self.files.clone());
        let committer = || Committer::new(pipelines, store, files, options, &self.clock);
        self.enabled.then(|| committer().with_lookups(self.history.clone()))
    }

    /// Where versions of lookup tables are kept, once those in use are there; none if no checkpoint will name them.
    ///
    /// # Errors
    /// External or transient if the lake fails.
    pub(super) async fn keep_lookups(&self, pipelines: &Pipelines) -> Result<Option<LookupHistory>> {
        if !self.enabled {
            return Ok(None);
        }
        self.history.keep_current(&pipelines.lookups).await?;
        Ok(Some(self.history.clone()))
    }

    /// Puts back what the state is without.
    async fn put_back(&self, state: &mut JobState, pipelines: &Pipelines) -> Result<()> {
        let back = put_back(state, &self.lake, pipelines, &self.unmoved).await?;
        let table = pipelines.contract.stream_name();
        for (what, so, FromRows { left_out, found, files }) in [
            ("event ids", "events that were in them would be kept if they came again", back.ids),
            ("events of open CONCURRENCY windows", "nobody was present by them", back.marks),
        ] {
            if found < left_out {
                tracing::warn!(found, of = left_out, files, "{what}: rows of the last run are gone from {table}: {so}");
            } else if left_out > 0 {
                say!("{found} {what} remembered, from {files} files of {table}");
            }
        }
        Ok(())
    }
}

/// Says what the last commit of a run was.
pub(super) fn say_committed(committed: &Committed) {
    say!("checkpoint {}: {:.1} MB at {}", committed.number, committed.bytes as f64 / 1e6, committed.place);
}

/// The stream whose positions count, in words.
fn stream_of(config: &Config) -> String {
    match config.source.kind {
        SourceKind::Embedded => format!("embedded {}", config.source.stream_name),
        SourceKind::Kinesis => format!("{} in {}", config.source.stream_name, config.source.region),
    }
}
