//! The connection to one stream.

use std::sync::Arc;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::config::ProvideCredentials;

use super::call::Caller;
use super::counters::KinesisCounters;
use super::options::KinesisOptions;
use super::producer::Producer;
use super::reader::ShardReader;
use super::shards::ShardInfo;
use crate::aws::{Access, Backoff, loopback_credentials, sdk_defaults, without_user_info};
use crate::clock::Clock;
use crate::error::{Error, Result};
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
        let config = load_config(&options).await?;
        let region = config.region().map_or_else(|| "no region".to_owned(), ToString::to_string);
        let mut place = format!("stream `{}` in {region}", options.stream_name);
        if let Some(endpoint) = &options.endpoint_url {
            place.push_str(" at ");
            place.push_str(&without_user_info(endpoint));
        }
        if config.region().is_none() {
            return Err(Error::user("no AWS region is set")
                .at(place)
                .hint("set `region` for the stream, or AWS_REGION in the environment"));
        }
        if let Some(provider) = config.credentials_provider() {
            provider.provide_credentials().await.map_err(|e| {
                Error::user("no AWS credentials were found")
                    .at(&place)
                    .hint("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or give the machine a role")
                    .because(e)
            })?;
        }
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

async fn load_config(options: &KinesisOptions) -> Result<aws_config::SdkConfig> {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .operation_attempt_timeout(Duration::from_secs(limits::KINESIS_TRY_SECS_MAX))
        .build();
    let mut loader = sdk_defaults(options.region.as_deref())
        // Tries are made, bounded and counted here.
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts);
    if let Some(endpoint) = &options.endpoint_url {
        loader = loader.endpoint_url(endpoint);
    }
    if options.access == Access::Loopback {
        loader = loader.credentials_provider(loopback_credentials());
    }
    Ok(loader.load().await)
}
