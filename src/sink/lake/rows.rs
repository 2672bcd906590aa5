//! Reading a file of the lake batch by batch.

use std::pin::Pin;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::StreamExt;
use object_store::ObjectStore;
use object_store::path::Path;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use parquet::arrow::async_reader::{ParquetRecordBatchStream, ParquetRecordBatchStreamBuilder};
use parquet::bloom_filter::Sbbf;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::statistics::Statistics;

use super::listing::LakeFile;
use super::location::Lake;
use crate::aws::ObjectRanges;
use crate::error::{Error, Result};
use crate::types::Micros;

/// The rows of one file: a row group's columns in memory, encoded, and one batch of them decoded.
pub struct LakeRows {
    place: String,
    batches: Pin<Box<ParquetRecordBatchStream<ObjectRanges>>>,
}

/// A file whose footer was read.
pub struct OpenFile {
    store: Arc<dyn ObjectStore>,
    path: Path,
    place: String,
    bytes: u64,
    footer: ArrowReaderMetadata,
}

impl Lake {
    /// Opens a file of a table for reading: all its columns, or some, in the file's order; `batch_rows` rows at a time.
    ///
    /// # Errors
    /// External if the file cannot be read, or is gone; user if a column is not in it.
    pub async fn rows(&self, file: &LakeFile, columns: Option<&[&str]>, batch_rows: usize) -> Result<LakeRows> {
        let open = self.open_file(file).await?;
        if let Some(missing) = columns.into_iter().flatten().find(|name| !open.has(name)) {
            return Err(Error::user(format!("the file has no column {missing}")).at(open.place));
        }
        let all = 0..open.metadata().num_row_groups();
        open.rows(columns, all.collect(), batch_rows)
    }

    /// As [`Lake::rows`], without parts of the file in which every row has a `time` before `since`; other such rows do come. A column that
    /// the file does not have, as it is older than that, does not come.
    ///
    /// # Errors
    /// External if the file cannot be read, or is gone.
    pub async fn rows_since(
        &self,
        file: &LakeFile,
        columns: &[&str],
        (time, since): (&str, Micros),
        batch_rows: usize,
    ) -> Result<LakeRows> {
        let open = self.open_file(file).await?;
        let columns: Vec<&str> = columns.iter().copied().filter(|name| open.has(name)).collect();
        let groups = open.metadata().row_groups().iter().enumerate();
        let groups = groups.filter(|(_, group)| may_reach(group, time, since)).map(|(i, _)| i).collect();
        open.rows(Some(&columns), groups, batch_rows)
    }

    /// Reads a file's footer, so that parts of it can be chosen.
    ///
    /// # Errors
    /// External if the file cannot be read, or is gone.
    pub async fn open_file(&self, file: &LakeFile) -> Result<OpenFile> {
        let (store, path, place) = (self.store.clone(), self.object(&file.path), self.place(&file.path));
        let mut ranges = ObjectRanges { store: store.clone(), path: path.clone(), bytes: file.bytes };
        let footer = ArrowReaderMetadata::load_async(&mut ranges, ArrowReaderOptions::default()).await;
        let footer = footer.map_err(|e| unreadable(&place, e))?;
        Ok(OpenFile { store, path, place, bytes: file.bytes, footer })
    }
}

fn unreadable(place: &str, e: ParquetError) -> Error {
    let error = Error::external("not a readable Parquet file").at(place).because(e);
    error.hint("see whether something else has just replaced it, then run again")
}

impl OpenFile {
    /// The file as the user sees it: `<lake>/<path>`.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Its columns, without those that its path spells out.
    pub fn schema(&self) -> &SchemaRef {
        self.footer.schema()
    }

    fn has(&self, column: &str) -> bool {
        self.schema().field_with_name(column).is_ok()
    }

    /// Its footer.
    pub fn metadata(&self) -> &Arc<ParquetMetaData> {
        self.footer.metadata()
    }

    /// The rows of some of its row groups: all columns, or those of `columns` that it has, in the file's order; `batch_rows` rows at a
    /// time.
    ///
    /// # Errors
    /// External if the file is damaged.
    pub fn rows(&self, columns: Option<&[&str]>, groups: Vec<usize>, batch_rows: usize) -> Result<LakeRows> {
        let mut builder = self.builder();
        if let Some(names) = columns {
            let mask = ProjectionMask::columns(builder.parquet_schema(), names.iter().copied());
            builder = builder.with_projection(mask);
        }
        let rows = builder.with_row_groups(groups).with_batch_size(batch_rows).build();
        Ok(LakeRows { batches: Box::pin(rows.map_err(|e| unreadable(&self.place, e))?), place: self.place.clone() })
    }

    /// The bloom filter of a column in a row group, if it has one.
    ///
    /// # Errors
    /// External if it cannot be read.
    pub async fn bloom_filter(&self, group: usize, column: usize) -> Result<Option<Sbbf>> {
        let filter = self.builder().get_row_group_column_bloom_filter(group, column).await;
        filter.map_err(|e| unreadable(&self.place, e))
    }

    fn builder(&self) -> ParquetRecordBatchStreamBuilder<ObjectRanges> {
        let ranges = ObjectRanges { store: self.store.clone(), path: self.path.clone(), bytes: self.bytes };
        ParquetRecordBatchStreamBuilder::new_with_metadata(ranges, self.footer.clone())
    }
}

/// Whether a row of the group may have no `time`, or one from `since` on.
fn may_reach(group: &RowGroupMetaData, time: &str, since: Micros) -> bool {
    let column = group.columns().iter().find(|column| column.column_path().string() == time);
    match column.and_then(|column| column.statistics()) {
        Some(Statistics::Int64(times)) if times.null_count_opt() == Some(0) => {
            times.max_opt().is_none_or(|max| *max >= since)
        }
        _ => true,
    }
}

impl LakeRows {
    /// The next rows; none at the end of the file.
    ///
    /// # Errors
    /// External if the file is damaged or cannot be read on.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>> {
        let next = self.batches.next().await.transpose();
        next.map_err(|e| Error::external("a Parquet file broke off").at(self.place.clone()).because(e))
    }

    /// The file as the user sees it: `<lake>/<path>`.
    pub fn place(&self) -> &str {
        &self.place
    }
}
