//! What all clients of the AWS SDK share: defaults, TLS, the chain of credentials.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_sdk_kinesis::config::ProvideCredentials;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

use super::access::{Access, loopback_credentials, without_user_info};
use crate::error::{Error, Result};

/// The SDK's configuration, to be completed and loaded. Without `region` the environment or the profile says it.
///
/// TLS is rustls over `ring`, as for the lake: one set of cryptography to build, none of it by CMake.
pub fn sdk_defaults(region: Option<&str>) -> ConfigLoader {
    let https = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let loader = aws_config::defaults(BehaviorVersion::latest()).http_client(https);
    match region {
        Some(region) => loader.region(Region::new(region.to_owned())),
        None => loader,
    }
}

/// A service to connect to, and how.
#[derive(Debug)]
pub struct Service<'a> {
    /// What is asked, for messages: "stream `user-events`".
    pub what: String,
    /// AWS region; `None` takes it from the environment or the profile.
    pub region: Option<&'a str>,
    /// What to do about a missing region.
    pub region_hint: &'static str,
    /// Another endpoint than the region's own.
    pub endpoint_url: Option<&'a str>,
    /// Whose credentials to use.
    pub access: Access,
    /// One try may last this long, in seconds.
    pub try_secs_max: u64,
}

impl Service<'_> {
    /// Finds region and credentials; the SDK's configuration, and the place (service, region, endpoint) for messages. Nothing is asked of
    /// the service itself. The client makes no tries of its own: callers bound and count them.
    ///
    /// # Errors
    /// A user's error without a region, or without credentials.
    pub async fn config(self) -> Result<(SdkConfig, String)> {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(5))
            .operation_attempt_timeout(Duration::from_secs(self.try_secs_max))
            .build();
        let mut loader = sdk_defaults(self.region).retry_config(RetryConfig::disabled()).timeout_config(timeouts);
        if let Some(endpoint) = self.endpoint_url {
            loader = loader.endpoint_url(endpoint);
        }
        if self.access == Access::Loopback {
            loader = loader.credentials_provider(loopback_credentials());
        }
        let config = loader.load().await;
        let region = config.region().map_or_else(|| "no region".to_owned(), ToString::to_string);
        let mut place = format!("{} in {region}", self.what);
        if let Some(endpoint) = self.endpoint_url {
            place.push_str(" at ");
            place.push_str(&without_user_info(endpoint));
        }
        if config.region().is_none() {
            return Err(Error::user("no AWS region is set").at(place).hint(self.region_hint));
        }
        if let Some(provider) = config.credentials_provider() {
            provider.provide_credentials().await.map_err(|e| {
                Error::user("no AWS credentials were found")
                    .at(&place)
                    .hint("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or give the machine a role")
                    .because(e)
            })?;
        }
        Ok((config, place))
    }
}
