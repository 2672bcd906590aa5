//! What a stopped run leaves in the lake, and where the next one takes it up.

use super::out::say;
use std::time::Duration;

use crate::clock::Clock;
use crate::config::{Config, OnChangedPipeline, SourceKind};
use crate::engine::Pipelines;
use crate::engine::board::Status;
use crate::engine::changes;
use crate::engine::checkpoint::{Checkpoint, Header, Summary};
use crate::engine::event_ids;
use crate::engine::job_state::JobState;
use crate::engine::lookups::LookupHistory;
use crate::error::{Error, Result};
use crate::limits::CHECKPOINT_WRITE_SECS_MAX;
use crate::sink::lake::{CheckpointStore, Lake};
use crate::types::format_micros;

/// The state of one application in one lake.
pub(super) struct Saved {
    lake: Lake,
    store: CheckpointStore,
    history: LookupHistory,
    stream: String,
    enabled: bool,
    on_changed: OnChangedPipeline,
    /// The number of the checkpoint that the run went on from; 0 if there was none.
    last: u64,
}

impl Saved {
    pub(super) fn new(config: &Config, lake: &Lake) -> Self {
        Self {
            lake: lake.clone(),
            store: CheckpointStore::new(lake, &config.run.application),
            history: LookupHistory::new(lake, &config.run.application),
            stream: stream_of(config),
            enabled: config.run.checkpoints,
            on_changed: config.run.on_changed_pipeline,
            last: 0,
        }
    }

    /// The last state, if there is one and it is wanted.
    ///
    /// # Errors
    /// As [`Checkpoint::from_bytes`] and [`changes::fit`], at the object's place.
    pub(super) async fn load(&mut self, pipelines: &Pipelines) -> Result<Option<Checkpoint>> {
        if !self.enabled {
            return Ok(None);
        }
        let Some(last) = self.store.list().await?.pop() else { return Ok(None) };
        self.last = last.number;
        let Some(bytes) = self.store.read(last.number).await? else { return Ok(None) };
        let at = |e: crate::Error| e.at(self.store.place(last.number));
        let mut checkpoint = Checkpoint::from_bytes(&bytes).map_err(at)?;
        let changes = changes::fit(&mut checkpoint, pipelines, &self.stream, self.on_changed).map_err(at)?;
        say!("going on from checkpoint {}, written at {}", last.number, format_micros(checkpoint.header.written_at));
        changes.log(&checkpoint.state, pipelines);
        self.history.put_back(&pipelines.lookups, &checkpoint.header.lookups).await?;
        self.read_ids(&mut checkpoint.state, pipelines).await?;
        Ok(Some(checkpoint))
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

    /// Writes the state of a job that has stopped, with its last status, after all its runs read so many events.
    ///
    /// # Errors
    /// External or transient if the lake fails: the next start reads again what this run has read.
    pub(super) async fn save(
        &self,
        pipelines: &Pipelines,
        (mut state, source): (JobState, Vec<u8>),
        status: &Status,
        events_read: u64,
        clock: &dyn Clock,
    ) -> Result<()> {
        if !self.enabled {
            return Ok(());
        }
        let summary = Summary::of(&state, status, events_read);
        event_ids::leave_out(&mut state);
        let header = Header::new(pipelines, &self.stream, clock.now(), summary);
        let checkpoint = Checkpoint { header, state, source };
        let bytes = tokio::task::spawn_blocking(move || checkpoint.to_bytes())
            .await
            .map_err(|e| Error::internal("the writing of a checkpoint broke off").because(e))??;
        let size = bytes.len();
        let write =
            tokio::time::timeout(Duration::from_secs(CHECKPOINT_WRITE_SECS_MAX), self.store.write(self.last, bytes));
        let number = write.await.map_err(|_| {
            Error::external(format!(
                "the checkpoint was not written within {CHECKPOINT_WRITE_SECS_MAX} s: the next start goes on from the one before, and \
                 reads and writes again what this run has"
            ))
            .at(self.store.place(self.last + 1))
        })??;
        say!("checkpoint {number}: {:.1} MB at {}", size as f64 / 1e6, self.store.place(number));
        Ok(())
    }
}

/// The stream whose positions count, in words.
fn stream_of(config: &Config) -> String {
    match config.source.kind {
        SourceKind::Embedded => format!("embedded {}", config.source.stream_name),
        SourceKind::Kinesis => format!("{} in {}", config.source.stream_name, config.source.region),
    }
}
