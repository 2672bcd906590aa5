//! What it takes to reach a stream.

use std::time::Duration;

use url::Url;

use crate::aws::{Access, Pauses, is_loopback};
use crate::error::{Error, Result};
use crate::limits;
use crate::types::Micros;

/// Where to begin in a shard that has no saved position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartPosition {
    /// With the oldest record that the stream still keeps.
    TrimHorizon,
    /// With the first record put from now on.
    Latest,
    /// With the first record that arrived at this time or later, in UTC microseconds; the service resolves milliseconds.
    AtTimestamp(Micros),
}

/// Which stream to read, where it is and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KinesisOptions {
    /// The stream's name.
    pub stream_name: String,
    /// AWS region; `None` takes it from the environment or the profile.
    pub region: Option<String>,
    /// Another endpoint than the region's own, such as that of an emulator.
    pub endpoint_url: Option<String>,
    /// Whose credentials to use.
    pub access: Access,
    /// Where shards without a saved position begin.
    pub start: StartPosition,
    /// Time between two polls of a shard that is caught up. While there is more to read, polls come as fast as the service allows.
    pub poll_interval: Duration,
    /// Records that one read asks for at most, 1 to 10,000.
    pub records_per_read: i32,
    /// Tries of one call before its error is handed on, at least 1.
    pub tries: u32,
    /// Seed of the jitter of pauses.
    pub jitter_seed: u64,
}

impl KinesisOptions {
    /// The stream of this name in the default region and with the default credentials, from its oldest record on.
    pub fn new(stream_name: impl Into<String>) -> Self {
        Self {
            stream_name: stream_name.into(),
            region: None,
            endpoint_url: None,
            access: Access::DefaultChain,
            start: StartPosition::TrimHorizon,
            poll_interval: Duration::from_millis(250),
            records_per_read: limits::GET_RECORDS_LIMIT_MAX,
            tries: limits::KINESIS_TRIES_MAX,
            jitter_seed: 0,
        }
    }

    /// The stream of this name on an emulator of this machine, such as the embedded Kinesis.
    pub fn loopback(stream_name: impl Into<String>, endpoint_url: impl Into<String>) -> Self {
        Self {
            region: Some("us-east-1".to_owned()),
            endpoint_url: Some(endpoint_url.into()),
            access: Access::Loopback,
            ..Self::new(stream_name)
        }
    }

    /// The pauses between the tries of a call, none shorter than `floor`.
    pub(super) fn pauses(&self, floor: Duration) -> Pauses {
        Pauses {
            millis_min: limits::KINESIS_BACKOFF_MILLIS_MIN,
            millis_max: limits::KINESIS_BACKOFF_MILLIS_MAX,
            floor,
            tries: self.tries,
        }
    }

    pub(super) fn validate(&self) -> Result<()> {
        let refuse = |message: &str, hint: &str| {
            Err(Error::user(message).at(format!("stream `{}`", self.stream_name)).hint(hint))
        };
        if self.stream_name.is_empty() {
            return refuse("the stream has no name", "name the Kinesis stream");
        }
        if !(1..=limits::GET_RECORDS_LIMIT_MAX).contains(&self.records_per_read) {
            return refuse("impossible number of records per read", "choose between 1 and 10000");
        }
        let loopback = match &self.endpoint_url {
            None => false,
            Some(text) => match Url::parse(text) {
                Ok(url) if matches!(url.scheme(), "http" | "https") && url.host().is_some() => is_loopback(&url),
                _ => return refuse("the endpoint is no http or https URL", "write it like http://127.0.0.1:4567"),
            },
        };
        if self.access == Access::Loopback && !loopback {
            return refuse(
                "made-up credentials are for emulators on this machine only",
                "use the default credentials, or an endpoint on 127.0.0.1",
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_credentials_never_leave_the_machine() {
        for endpoint in ["http://127.0.0.1:4567", "http://localhost:4567", "http://[::1]:4567"] {
            KinesisOptions::loopback("s", endpoint).validate().unwrap();
        }
        for endpoint in ["https://kinesis.eu-west-1.amazonaws.com", "http://localhost.example.org", "http://10.0.0.1"] {
            assert_eq!(KinesisOptions::loopback("s", endpoint).validate().unwrap_err().exit_code(), 2);
        }
        let none = KinesisOptions { endpoint_url: None, ..KinesisOptions::loopback("s", "") };
        assert!(none.validate().is_err());
    }

    #[test]
    fn nonsense_is_refused_with_a_remedy() {
        let e = KinesisOptions::loopback("s", "127.0.0.1:4567").validate().unwrap_err();
        assert!(e.remedy().unwrap().contains("http://"), "{e}");
        assert!(KinesisOptions::new("").validate().is_err());
        assert!(KinesisOptions { records_per_read: 10_001, ..KinesisOptions::new("s") }.validate().is_err());
        KinesisOptions::new("s").validate().unwrap();
    }
}
