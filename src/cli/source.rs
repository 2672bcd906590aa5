//! Where `run` reads: a Kinesis stream of AWS, or an embedded one that the simulator fills.

use std::sync::Arc;
use std::time::Duration;

use futures::{TryStreamExt, stream};

use super::out::say;
use crate::clock::Clock;
use crate::config::{Config, SourceKind, Start};
use crate::engine::job_state::{JobState, ShardState};
use crate::error::{Error, Result};
use crate::limits::SHARD_OPENS_MAX;
use crate::source::kinesis::{KinesisOptions, KinesisSource, ShardReader, StartPosition};
use crate::telemetry::LastTrouble;
use crate::types::{ShardId, ShardPosition};

/// A source of records, and what fills it if it is ours.
pub(super) struct Feeding {
    source: KinesisSource,
    #[cfg(feature = "embedded")]
    embedded: Option<embedded::Platform>,
}

impl Feeding {
    /// Connects to the configured stream; starts the embedded one first, if that is it. `saved` is what an earlier one left.
    pub(super) async fn start(config: &Config, saved: &[u8], clock: &Arc<dyn Clock>) -> Result<Self> {
        match config.source.kind {
            SourceKind::Kinesis => {
                let source = KinesisSource::connect(aws_options(config), Arc::clone(clock)).await?;
                Ok(Self {
                    source,
                    #[cfg(feature = "embedded")]
                    embedded: None,
                })
            }
            #[cfg(feature = "embedded")]
            SourceKind::Embedded => {
                let (platform, source) = embedded::Platform::start(config, saved, clock).await?;
                Ok(Self { source, embedded: Some(platform) })
            }
            #[cfg(not(feature = "embedded"))]
            SourceKind::Embedded => Err(Error::user("this build has no embedded Kinesis")
                .at("config key source.kind")
                .hint("set it to \"kinesis\", or build with the feature `embedded`")),
        }
    }

    /// The shards that there are.
    ///
    /// # Errors
    /// As [`KinesisSource::list_shards`]; external if there are none.
    pub(super) async fn list(&self) -> Result<Vec<ShardId>> {
        let shards = self.source.list_shards().await?;
        if shards.is_empty() {
            return Err(Error::external("the stream has no shards").at(self.place()));
        }
        Ok(shards.into_iter().map(|shard| shard.id).collect())
    }

    /// A reader of each shard, from where the state says. A shard that the state does not know came from a split or a merge: it is
    /// read from its beginning. Without a state, the configuration says.
    pub(super) fn readers(&self, shards: &[ShardId], state: Option<&JobState>) -> Vec<ShardReader> {
        let readers = shards.iter().filter_map(|id| {
            let position = match state.map(|state| state.shards.get(id)) {
                None => None,
                Some(Some(known)) if known.drained => return None,
                Some(Some(known)) => known.position.clone(),
                Some(None) => Some(ShardPosition::Oldest),
            };
            Some(self.source.shard_reader(ShardId::clone(id), position))
        });
        readers.collect()
    }

    /// Has the service say that it knows where each reader begins, which is where the first start of an application is said to have begun.
    ///
    /// # Errors
    /// As [`ShardReader::open`].
    pub(super) async fn open(&self, readers: &mut [ShardReader]) -> Result<()> {
        let opening = stream::iter(readers.iter_mut().map(Ok));
        opening.try_for_each_concurrent(SHARD_OPENS_MAX, |reader| reader.open()).await
    }

    /// Makes a state that another run has left one of these shards.
    pub(super) fn settle(&self, state: &mut JobState, shards: &[ShardId]) {
        if self.is_new() {
            // The stream begins anew with every process; the last one was read to its end.
            state.shards.values_mut().for_each(ShardState::begin_anew);
        }
        // What the stream has forgotten need not be remembered as read.
        state.shards.retain(|id, s| !s.drained || shards.contains(id));
    }

    /// Whether the stream is our own, and so as young as this process.
    pub(super) fn is_new(&self) -> bool {
        #[cfg(feature = "embedded")]
        return self.embedded.is_some();
        #[cfg(not(feature = "embedded"))]
        false
    }

    /// The last failure of a call that was made again.
    pub(super) fn trouble(&self) -> LastTrouble {
        self.source.trouble()
    }

    /// The stream, for messages.
    pub(super) fn place(&self) -> &str {
        self.source.place()
    }

    /// Stops the simulator; what it leaves for the next one. None if the stream is not ours, and so never ends.
    pub(super) async fn stop_feeding(&mut self) -> Result<Option<Vec<u8>>> {
        #[cfg(feature = "embedded")]
        if let Some(platform) = &mut self.embedded {
            return platform.stop_feeding().await.map(Some);
        }
        Ok(None)
    }

    /// Ends the embedded Kinesis.
    pub(super) async fn shutdown(self) {
        #[cfg(feature = "embedded")]
        if let Some(platform) = self.embedded {
            platform.shutdown().await;
        }
    }
}

fn aws_options(config: &Config) -> KinesisOptions {
    KinesisOptions {
        region: Some(config.source.region.clone()),
        endpoint_url: config.source.endpoint_url.clone(),
        start: match config.source.start {
            Start::TrimHorizon => StartPosition::TrimHorizon,
            Start::Latest => StartPosition::Latest,
            Start::At(t) => StartPosition::AtTimestamp(t),
        },
        poll_interval: poll_interval(config),
        ..KinesisOptions::new(&config.source.stream_name)
    }
}

fn poll_interval(config: &Config) -> Duration {
    Duration::from_micros(config.source.poll_interval.unsigned_abs())
}

#[cfg(feature = "embedded")]
mod embedded {
    //! The embedded Kinesis and the simulator that fills it.

    use tokio::task::JoinHandle;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::source::embedded::{EmbeddedKinesis, EmbeddedOptions, FeedCounts, Feeder, FeederState};
    use crate::source::simulator::SimulatorConfig;

    pub(super) struct Platform {
        server: EmbeddedKinesis,
        feeder: Option<JoinHandle<Result<(FeedCounts, FeederState)>>>,
        stop: CancellationToken,
    }

    impl Platform {
        pub(super) async fn start(
            config: &Config,
            saved: &[u8],
            clock: &Arc<dyn Clock>,
        ) -> Result<(Self, KinesisSource)> {
            let server = EmbeddedKinesis::start(EmbeddedOptions {
                port: config.embedded.port,
                shards: config.embedded.shards,
                stream_name: config.source.stream_name.clone(),
                retain: Duration::from_micros(config.embedded.retain.unsigned_abs()),
                ..EmbeddedOptions::default()
            })
            .await?;
            let options = KinesisOptions {
                poll_interval: poll_interval(config),
                ..KinesisOptions::loopback(server.stream_name(), server.endpoint_url())
            };
            say!("embedded Kinesis at {}", server.endpoint_url());
            let source = KinesisSource::connect(options, Arc::clone(clock)).await?;
            let rate = u32::try_from(config.embedded.events_per_sec).unwrap_or(u32::MAX);
            let platform =
                SimulatorConfig { seed: config.embedded.seed, events_per_sec: rate, ..SimulatorConfig::default() };
            let (producer, clock) = (source.producer(), Arc::clone(clock));
            let feeder = match postcard::from_bytes(saved) {
                Ok(state) => Feeder::resume(platform, state, producer, clock)?,
                // Nothing was saved.
                Err(_) => Feeder::new(platform, producer, clock)?,
            };
            let stop = CancellationToken::new();
            let feeder = Some(tokio::spawn(feeder.run(stop.clone())));
            Ok((Self { server, feeder, stop }, source))
        }

        pub(super) async fn stop_feeding(&mut self) -> Result<Vec<u8>> {
            self.stop.cancel();
            let Some(feeder) = self.feeder.take() else { return Ok(Vec::new()) };
            let (fed, state) = feeder.await.map_err(|e| Error::internal("the simulator broke off").because(e))??;
            tracing::debug!(?fed, "the simulator has stopped");
            if fed.skipped + fed.failed > 0 {
                say!("the simulator left out {} records: the stream was too slow", fed.skipped + fed.failed);
            }
            postcard::to_stdvec(&state)
                .map_err(|e| Error::internal("the simulator's state cannot be written").because(e))
        }

        pub(super) async fn shutdown(self) {
            self.server.shutdown().await;
        }
    }
}
