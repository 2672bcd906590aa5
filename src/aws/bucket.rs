//! S3 buckets, for the lake and for inputs alike.

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};

use super::credentials::SdkCredentials;
use crate::error::{Error, Result};

/// How to reach a bucket. Credentials are those of the AWS SDK's default chain, as for every other service.
#[derive(Debug, Clone, Default)]
pub struct BucketOptions {
    /// AWS region of the bucket; without it `AWS_REGION` of the environment counts.
    pub region: Option<String>,
    /// Another S3 endpoint than AWS's own: an emulator, a private gateway. Plain `http` is spoken only to an endpoint given here.
    pub endpoint_url: Option<String>,
}

impl BucketOptions {
    /// Opens `bucket`. Nothing is asked of it, nor are credentials looked for, until it is used. `place` is what the user wrote.
    ///
    /// # Errors
    /// User, if the options cannot be those of a bucket.
    pub fn open(&self, bucket: &str, place: &str) -> Result<Arc<dyn ObjectStore>> {
        if bucket.is_empty() {
            return Err(Error::user("the URL names no bucket").at(place).hint("write s3://bucket/prefix"));
        }
        let credentials = Arc::new(SdkCredentials::new(self.region.clone()));
        let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket).with_credentials(credentials);
        if let Some(region) = &self.region {
            builder = builder.with_region(region);
        }
        if let Some(endpoint) = &self.endpoint_url {
            // The second because AWS_ENDPOINT_URL_S3 of the environment would count before the first.
            builder = builder.with_endpoint(endpoint).with_config(AmazonS3ConfigKey::S3Endpoint, endpoint);
        }
        builder = builder.with_allow_http(self.endpoint_url.as_ref().is_some_and(|e| e.starts_with("http://")));
        let unusable = |e| Error::user("the bucket cannot be reached as configured").at(place).because(e);
        Ok(Arc::new(builder.build().map_err(unusable)?))
    }
}
