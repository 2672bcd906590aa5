//! What every AWS service needs alike: one credentials chain, and buckets opened with it.

mod bucket;
mod credentials;
mod sdk;

pub use bucket::BucketOptions;
pub use sdk::sdk_defaults;
