//! What a stopped run leaves in the lake, and where the next one takes it up.

use crate::clock::Clock;
use crate::config::{Config, SourceKind};
use crate::engine::Pipelines;
use crate::engine::board::Status;
use crate::engine::checkpoint::{Checkpoint, Header, Summary};
use crate::engine::job_state::JobState;
use crate::error::Result;
use crate::sink::lake::{CheckpointStore, Lake};
use crate::types::{ShardPosition, format_micros};

/// The state of one application in one lake.
pub(super) struct Saved {
    store: CheckpointStore,
    stream: String,
    enabled: bool,
}

impl Saved {
    pub(super) fn new(config: &Config, lake: &Lake) -> Self {
        Self {
            store: CheckpointStore::new(lake, &config.run.application),
            stream: stream_of(config),
            enabled: config.run.checkpoints,
        }
    }

    /// The last state, if there is one and it is wanted.
    ///
    /// # Errors
    /// As [`Checkpoint::from_bytes`] and [`Header::check`], at the object's place.
    pub(super) async fn load(&self, pipelines: &Pipelines) -> Result<Option<Checkpoint>> {
        if !self.enabled {
            return Ok(None);
        }
        let Some(last) = self.store.list().await?.pop() else { return Ok(None) };
        let Some(bytes) = self.store.read(last.number).await? else { return Ok(None) };
        let at = |e: crate::Error| e.at(self.store.place(last.number));
        let checkpoint = Checkpoint::from_bytes(&bytes).map_err(at)?;
        if checkpoint.state.combine.is_some() {
            checkpoint.header.check(pipelines, &self.stream).map_err(at)?;
        }
        println!(
            "going on from checkpoint {}, written at {}",
            last.number,
            format_micros(checkpoint.header.written_at)
        );
        Ok(Some(checkpoint))
    }

    /// Writes the state of a job that has stopped.
    ///
    /// # Errors
    /// External or transient if the lake fails: the next start reads again what this run has read.
    pub(super) async fn save(
        &self,
        pipelines: &Pipelines,
        (state, source): (JobState, Vec<u8>),
        status: &Status,
        clock: &dyn Clock,
    ) -> Result<()> {
        if !self.enabled {
            return Ok(());
        }
        let (sessions, streams) = state.combine.as_ref().map_or((0, 0), |c| c.remembered());
        let summary = Summary {
            positions: state.shards.iter().map(|(s, at)| (s.to_string(), words(at.position.as_ref()))).collect(),
            watermark: status.combine.watermark,
            events_read: status.counters().read,
            open_windows: state.open_windows() as u64,
            sessions: sessions as u64,
            streams: streams as u64,
        };
        let header = Header::new(pipelines, &self.stream, clock.now(), summary);
        let bytes = Checkpoint { header, state, source }.to_bytes()?;
        let size = bytes.len();
        let number = self.store.write(bytes).await?;
        println!("checkpoint {number}: {:.1} MB at {}", size as f64 / 1e6, self.store.place(number));
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

fn words(position: Option<&ShardPosition>) -> String {
    match position {
        None => "at its tip".to_owned(),
        Some(ShardPosition::Oldest) => "at its oldest record".to_owned(),
        Some(ShardPosition::At(t)) => format!("at {}", format_micros(*t)),
        Some(ShardPosition::After(number)) => format!("after {number}"),
    }
}
