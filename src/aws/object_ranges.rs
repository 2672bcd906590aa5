//! A Parquet object in a store, read by ranges.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};

/// Ranges of an object, for Parquet's reader: of an input, and of a file of the lake.
pub(crate) struct ObjectRanges {
    /// Where the object is.
    pub(crate) store: Arc<dyn ObjectStore>,
    /// Its path there.
    pub(crate) path: Path,
    /// Its size.
    pub(crate) bytes: u64,
}

impl ObjectRanges {
    async fn range(&self, range: Range<u64>) -> Result<Bytes, ParquetError> {
        self.store.get_range(&self.path, range).await.map_err(|e| ParquetError::External(Box::new(e)))
    }
}

impl AsyncFileReader for ObjectRanges {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes, ParquetError>> {
        self.range(range).boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>, ParquetError>> {
        async move {
            let got = self.store.get_ranges(&self.path, &ranges).await;
            got.map_err(|e| ParquetError::External(Box::new(e)))
        }
        .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        _: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>, ParquetError>> {
        async move {
            let bytes = self.bytes;
            let metadata = ParquetMetaDataReader::new().load_and_finish(self, bytes).await?;
            Ok(Arc::new(metadata))
        }
        .boxed()
    }
}
