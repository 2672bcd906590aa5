//! What earlier runs left in the lake, and how a run takes it up and goes on with it.

use std::sync::Arc;

use super::out::say;
use crate::clock::Clock;
use crate::config::{Config, OnChangedPipeline, SourceKind};
use crate::engine::Pipelines;
use crate::engine::changes;
use crate::engine::checkpoint::{Checkpoint, Header, Summary, read_header};
use crate::engine::commits::{CommitOptions, Committed, Committer};
use crate::engine::event_ids;
use crate::engine::job_state::JobState;
use crate::engine::lookups::LookupHistory;
use crate::error::{Error, Result};
use crate::limits::TAKE_OVER_TRIES_MAX;
use crate::sink::lake::{CheckpointStore, Lake, Put, Uncommitted};
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
            read_before: 0,
        }
    }

    /// The last state, if there is one and it is wanted. From now on whoever went on from it before is shut out.
    ///
    /// # Errors
    /// As [`Checkpoint::from_bytes`] and [`changes::fit`], at the object's place: then nothing has changed.
    pub(super) async fn load(&mut self, pipelines: &Pipelines) -> Result<Option<Checkpoint>> {
        if !self.enabled {
            return Ok(None);
        }
        let Some((number, mut checkpoint)) = self.take_over(pipelines).await? else { return Ok(None) };
        let at = |e: crate::Error| e.at(self.store.place(number));
        if let Some(files) = &self.files {
            files.complete(&checkpoint.header.files).await?;
        }
        self.remove_leftovers().await?;
        let changes = changes::fit(&mut checkpoint, pipelines, &self.stream, self.on_changed).map_err(at)?;
        say!("going on from checkpoint {number}, written at {}", format_micros(checkpoint.header.written_at));
        changes.log(&checkpoint.state, pipelines);
        self.history.put_back(&pipelines.lookups, &checkpoint.header.lookups).await?;
        self.read_ids(&mut checkpoint.state, pipelines).await?;
        self.read_before = checkpoint.header.summary.events_read;
        Ok(Some(checkpoint))
    }

    /// The state to go on from, and its number, once this run is the one that goes on from it.
    async fn take_over(&mut self, pipelines: &Pipelines) -> Result<Option<(u64, Checkpoint)>> {
        for _ in 0..TAKE_OVER_TRIES_MAX {
            let found = find(&self.store).await?;
            let checkpoint = found.checkpoint;
            if let Some((number, checkpoint)) = &checkpoint {
                let at = |e: crate::Error| e.at(self.store.place(*number));
                // Who is refused takes nothing over.
                changes::fit(&mut checkpoint.clone(), pipelines, &self.stream, self.on_changed).map_err(at)?;
            }
            (self.last, self.generation) = (found.last, found.generation);
            if self.files.is_none() {
                return Ok(checkpoint);
            }
            let new = || Header::new(pipelines, &self.stream, self.clock.now(), Summary::default());
            let of = checkpoint.as_ref();
            let header = Header {
                written_at: self.clock.now(),
                program: env!("CARGO_PKG_VERSION").to_owned(),
                generation: found.generation + 1,
                run: self.run.clone(),
                goes_on_from: Some(of.map_or(0, |(number, _)| *number)),
                ..of.map_or_else(new, |(_, checkpoint)| checkpoint.header.clone())
            };
            let claim = Checkpoint { header, state: JobState::default(), source: Vec::new() };
            if let Put::Done(number) = self.store.put(self.last, claim.to_bytes()?.into()).await? {
                (self.last, self.generation) = (number, found.generation + 1);
                tracing::info!(generation = self.generation, "this process goes on with the application");
                if of.is_none() {
                    self.remove_leftovers().await?;
                }
                return Ok(checkpoint);
            }
        }
        Err(Error::external("other processes take the same application over at the same time")
            .at(self.store.folder())
            .hint("run one process for an application, or give each its own run.application"))
    }

    /// Files that runs left that were cut short before a commit named them: what is in them is read again.
    async fn remove_leftovers(&self) -> Result<()> {
        let Some(files) = &self.files else { return Ok(()) };
        let removed = files.remove_leftovers().await?;
        if removed > 0 {
            say!("{removed} files that an earlier run had not committed were removed: their records are read again");
        }
        Ok(())
    }

    /// Who commits this run; none if it keeps no state.
    pub(super) fn committer(&self, pipelines: &Arc<Pipelines>) -> Option<Committer> {
        let options = CommitOptions {
            stream: self.stream.clone(),
            run: self.run.clone(),
            last: self.last,
            generation: self.generation,
            read_before: self.read_before,
        };
        let (store, files) = (self.store.clone(), self.files.clone());
        self.enabled.then(|| Committer::new(pipelines, store, files, options, &self.clock))
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

    async fn read_ids(&self, state: &mut JobState, pipelines: &Pipelines) -> Result<()> {
        let horizon = pipelines.options.judge.dedupe_horizon;
        let ids = event_ids::put_back(state, &self.lake, &pipelines.contract, horizon).await?;
        if ids.found < ids.left_out {
            tracing::warn!(
                found = ids.found,
                of = ids.left_out,
                files = ids.files,
                "rows of the last run are gone from the lake: events that were in them would be kept if they came again"
            );
        } else if ids.left_out > 0 {
            say!(
                "{} event ids remembered, from {} files of {}",
                ids.found,
                ids.files,
                pipelines.contract.stream_name()
            );
        }
        Ok(())
    }
}

/// The last commit that has a state, and the last number of all.
pub(super) struct Found {
    pub last: u64,
    pub generation: u64,
    pub checkpoint: Option<(u64, Checkpoint)>,
}

/// What a start would go on from.
///
/// # Errors
/// External or transient if the lake cannot be read; as [`Checkpoint::from_bytes`], at the object's place.
pub(super) async fn find(store: &CheckpointStore) -> Result<Found> {
    let none = Found { last: 0, generation: 0, checkpoint: None };
    let Some(last) = store.list().await?.pop() else { return Ok(none) };
    let gone = |number| Error::external("the checkpoint was removed meanwhile").at(store.place(number));
    let bytes = store.read(last.number).await?.ok_or_else(|| gone(last.number))?;
    let header = read_header(&bytes).map_err(|e| e.at(store.place(last.number)))?;
    let (number, bytes) = match header.goes_on_from {
        None => (last.number, bytes),
        Some(0) => return Ok(Found { last: last.number, generation: header.generation, checkpoint: None }),
        Some(number) => (number, store.read(number).await?.ok_or_else(|| gone(number))?),
    };
    let checkpoint = Checkpoint::from_bytes(&bytes).map_err(|e| e.at(store.place(number)))?;
    Ok(Found { last: last.number, generation: header.generation, checkpoint: Some((number, checkpoint)) })
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
