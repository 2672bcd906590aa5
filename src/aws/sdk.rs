//! What all clients of the AWS SDK share: defaults, TLS, the chain of credentials.

use aws_config::{BehaviorVersion, ConfigLoader, Region};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

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
