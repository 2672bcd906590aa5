//! What it takes to publish.

use std::time::Duration;

use url::Url;

use crate::aws::{Access, is_loopback};
use crate::error::{Error, Result};
use crate::limits::CLOUDWATCH_NAME_CHARS_MAX;
use crate::types::is_metric_name;

/// How finely CloudWatch stores the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageResolution {
    /// By the second, for three hours: alarms and graphs of 10 seconds.
    Second,
    /// By the minute.
    Minute,
}

/// Where metrics go, and how hard it is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudWatchOptions {
    /// The namespace of the metrics.
    pub namespace: String,
    /// AWS region; `None` takes it from the environment or the profile.
    pub region: Option<String>,
    /// Another endpoint than the region's own.
    pub endpoint_url: Option<String>,
    /// Whose credentials to use.
    pub access: Access,
    /// How finely CloudWatch stores them.
    pub resolution: StorageResolution,
    /// How long data wait for others to share a call with.
    pub flush: Duration,
    /// The retry budget: data that CloudWatch has not taken after this long are dropped.
    pub retry: Duration,
    /// Metrics with dimensions that may differ, over the life of the process: CloudWatch bills each.
    pub series_max: usize,
    /// Seed of the jitter of pauses.
    pub jitter_seed: u64,
}

impl CloudWatchOptions {
    /// The namespace in the default region and with the default credentials.
    pub fn new(namespace: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            region: None,
            endpoint_url: None,
            access: Access::DefaultChain,
            resolution: StorageResolution::Minute,
            flush: Duration::from_secs(2),
            retry: Duration::from_secs(300),
            series_max: 100,
            jitter_seed: 0,
        }
    }

    /// The namespace on an emulator of this machine.
    pub fn loopback(namespace: impl Into<String>, endpoint_url: impl Into<String>) -> Self {
        Self {
            region: Some("us-east-1".to_owned()),
            endpoint_url: Some(endpoint_url.into()),
            access: Access::Loopback,
            ..Self::new(namespace)
        }
    }

    pub(super) fn validate(&self) -> Result<()> {
        let refuse = |message: &str, hint: &str| {
            Err(Error::user(message).at(format!("CloudWatch namespace `{}`", self.namespace)).hint(hint))
        };
        if !is_metric_name(&self.namespace, CLOUDWATCH_NAME_CHARS_MAX) || self.namespace.starts_with("AWS/") {
            return refuse("the namespace cannot be one of CloudWatch", "write one like Custom/Streaming");
        }
        let url = match self.endpoint_url.as_deref().map(Url::parse) {
            None => None,
            Some(Ok(url)) if matches!(url.scheme(), "http" | "https") && url.has_host() => Some(url),
            Some(_) => return refuse("the endpoint is no http or https URL", "write it like http://127.0.0.1:4566"),
        };
        if self.access == Access::Loopback && !url.is_some_and(|url| is_loopback(&url)) {
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
        CloudWatchOptions::loopback("a", "http://127.0.0.1:1").validate().unwrap();
        for endpoint in ["https://monitoring.eu-west-2.amazonaws.com", "http://localhost.example.org", "127.0.0.1:1"] {
            assert_eq!(CloudWatchOptions::loopback("a", endpoint).validate().unwrap_err().exit_code(), 2);
        }
    }

    #[test]
    fn namespaces_of_the_services_are_refused() {
        CloudWatchOptions::new("Custom/Streaming").validate().unwrap();
        for bad in ["", ":a", "AWS/Kinesis"] {
            assert!(CloudWatchOptions::new(bad).validate().is_err(), "{bad:?}");
        }
    }
}
