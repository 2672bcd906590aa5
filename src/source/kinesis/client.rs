//! The connection to one stream.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_kinesis::Client;

use super::call::Caller;
use super::counters::KinesisCounters;
use super::options::KinesisOptions;
use super::producer::Producer;
use super::reader::ShardReader;
use super::shards::ShardInfo;
use crate::aws::{Backoff, Service};
use crate::clock::Clock;
use crate::error::Result;
use crate::limits;
use crate::telemetry::{LastTrouble, metrics as names};
use crate::types::{ShardId, ShardPosition};

/// What readers and producers of one stream share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) options: KinesisOptions,
    pub(super) place: String,
    pub(super) counters: Arc<KinesisCounters>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) trouble: LastTrouble,
}

impl Shared {
    pub(super) fn caller(&self) -> Caller<'_> {
        Caller(self)
    }
}

/// One Kinesis stream, to read from and to put to. Cheap to clone.
#[derive(Debug, Clone)]
pub struct KinesisSource {
    shared: Arc<Shared>,
}

impl KinesisSource {
    /// Finds region and credentials. Nothing is asked of the stream itself yet.
    ///
    /// # Errors
    /// A user's error for impossible options, without a region, or without credentials.
    pub async fn connect(options: KinesisOptions, clock: Arc<dyn Clock>) -> Result<Self> {
        options.validate()?;
        let service = Service {
            what: format!("stream `{}`", options.stream_name),
            region: options.region.as_deref(),
            region_hint: "set `region` for the stream, or AWS_REGION in the environment",
            endpoint_url: options.endpoint_url.as_deref(),
            access: options.access,
            try_secs_max: limits::KINESIS_TRY_SECS_MAX,
        };
        let (config, place) = service.config().await?;
        let client = Client::new(&config);
        // So that a rate can be taken of the first one.
        metrics::counter!(names::RETRIES_TOTAL, "service" => "kinesis").increment(0);
        let (counters, trouble) = (Arc::default(), LastTrouble::default());
        Ok(Self { shared: Arc::new(Shared { client, options, place, counters, clock, trouble }) })
    }

    /// All shards that the stream still knows, open and closed, in its order.
    ///
    /// # Errors
    /// A user's error when the stream is missing or access is denied; a transient one when the service does not answer.
    pub async fn list_shards(&self) -> Result<Vec<ShardInfo>> {
        let shared = &self.shared;
        let mut backoff = Backoff::new(shared.options.jitter_seed, shared.options.pauses(Duration::ZERO));
        let mut shards = Vec::new();
        let mut token: Option<String> = None;
        loop {
            // The service refuses a stream name next to a token. No page size: emulators page badly.
            let request = match token.take() {
                Some(token) => shared.client.list_shards().next_token(token),
                None => shared.client.list_shards().stream_name(&shared.options.stream_name),
            };
            let reply = shared.caller().call("ListShards", &mut backoff, || request.clone().send()).await?;
            shards.extend(reply.shards().iter().map(ShardInfo::from_sdk));
            match reply.next_token {
                Some(next) if !next.is_empty() => token = Some(next),
                _ => return Ok(shards),
            }
        }
    }

    /// A reader of this shard, from `from` on; without it, where the options say.
    pub fn shard_reader(&self, shard: ShardId, from: Option<ShardPosition>) -> ShardReader {
        ShardReader::new(Arc::clone(&self.shared), shard, from, self.shared.options.start)
    }

    /// Something to put records with.
    pub fn producer(&self) -> Producer {
        Producer::new(Arc::clone(&self.shared))
    }

    /// Counts of all readers and producers of this source.
    pub fn counters(&self) -> Arc<KinesisCounters> {
        Arc::clone(&self.shared.counters)
    }

    /// The last failure of a call that was made again.
    pub fn trouble(&self) -> LastTrouble {
        self.shared.trouble.clone()
    }

    /// Stream, region and endpoint, for messages.
    pub fn place(&self) -> &str {
        &self.shared.place
    }
}
