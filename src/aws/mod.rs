//! What every AWS service needs alike: one credentials chain, pauses between tries, buckets opened with it, and
//! Parquet objects read by ranges.

mod access;
mod backoff;
mod bucket;
mod credentials;
mod object_ranges;
mod sdk;

pub use access::{Access, is_loopback};
pub use backoff::{Backoff, Pauses};
pub use bucket::BucketOptions;
pub(crate) use object_ranges::ObjectRanges;
pub use sdk::{Service, sdk_defaults};
