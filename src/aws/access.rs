//! Who asks a service, and where: credentials, and addresses of emulators.

use std::net::IpAddr;

use aws_sdk_kinesis::config::Credentials;
use url::{Host, Url};

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Credentials from the environment, profile files, web identity, container or instance metadata, in the SDK's usual order.
    DefaultChain,
    /// Made-up credentials, for an emulator that asks for none. Only with an `endpoint_url` on a loopback address.
    Loopback,
}

/// Made-up credentials for [`Access::Loopback`].
pub(super) fn loopback_credentials() -> Credentials {
    Credentials::new("loopback", "loopback", None, None, "headcount")
}

/// Whether an address is one of this machine only.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => IpAddr::V4(ip).is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// An endpoint as a message may show it: a user name and password in a URL have no place there.
pub(super) fn without_user_info(endpoint: &str) -> String {
    match Url::parse(endpoint) {
        Ok(mut url) => {
            // These two fail only for URLs without a host, which have no user either.
            let _ = url.set_username("");
            let _ = url.set_password(None);
            url.as_str().trim_end_matches('/').to_owned()
        }
        Err(_) => "its endpoint".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_reaches_a_message() {
        assert_eq!(without_user_info("http://me:secret@127.0.0.1:4567/"), "http://127.0.0.1:4567");
    }
}
