//! What every AWS service needs alike: one credentials chain, pauses between tries, and buckets opened with it.

mod access;
mod backoff;
mod bucket;
mod credentials;
mod sdk;

pub use access::{Access, is_loopback};
pub use backoff::{Backoff, Pauses};
pub use bucket::BucketOptions;
pub use sdk::{Service, sdk_defaults};
