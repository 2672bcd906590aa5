//! A lookup table that was read for the first time.

use std::sync::Arc;

use crate::aws::BucketOptions;
use crate::config::Lookup;
use crate::error::Result;
use crate::pipeline::LookupTable;
use crate::source::lookup::{LookupContent, LookupSource};

/// A table's columns, its rows, and where they came from.
#[derive(Debug, Clone)]
pub struct LoadedLookup {
    /// The table as queries see it.
    pub table: Arc<LookupTable>,
    /// What was read.
    pub content: LookupContent,
    pub(super) source: Arc<LookupSource>,
}

impl LoadedLookup {
    /// Reads the table that `config` describes.
    ///
    /// # Errors
    /// As [`LookupSource::open`] and [`LookupSource::read`].
    pub async fn load(config: &Lookup, buckets: &BucketOptions) -> Result<Self> {
        let source = LookupSource::open(config, buckets)?;
        let content = source.read(None).await?;
        let table = LookupTable {
            name: config.name.as_str().into(),
            schema: content.rows.schema(),
            place: config.location.clone(),
            refresh: config.refresh,
        };
        Ok(Self { table: Arc::new(table), content, source: Arc::new(source) })
    }
}
