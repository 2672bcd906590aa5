//! Reading a file of the lake batch by batch.

use std::pin::Pin;

use arrow::array::RecordBatch;
use futures::StreamExt;
use parquet::arrow::ProjectionMask;
use parquet::arrow::async_reader::{ParquetRecordBatchStream, ParquetRecordBatchStreamBuilder};
use parquet::file::metadata::RowGroupMetaData;
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

impl Lake {
    /// Opens a file of a table for reading: all its columns, or some, in the file's order; `batch_rows` rows at a time.
    ///
    /// # Errors
    /// External if the file cannot be read, or is gone; user if a column is not in it.
    pub async fn rows(&self, file: &LakeFile, columns: Option<&[&str]>, batch_rows: usize) -> Result<LakeRows> {
        self.open_rows(file, columns, batch_rows, |_| true).await
    }

    /// As [`Lake::rows`], without parts of the file in which every row has a `time` before `since`; other such rows do come.
    ///
    /// # Errors
    /// As [`Lake::rows`].
    pub async fn rows_since(
        &self,
        file: &LakeFile,
        columns: &[&str],
        (time, since): (&str, Micros),
        batch_rows: usize,
    ) -> Result<LakeRows> {
        self.open_rows(file, Some(columns), batch_rows, |group| may_reach(group, time, since)).await
    }

    async fn open_rows(
        &self,
        file: &LakeFile,
        columns: Option<&[&str]>,
        batch_rows: usize,
        wanted: impl Fn(&RowGroupMetaData) -> bool,
    ) -> Result<LakeRows> {
        let place = self.place(&file.path);
        let ranges = ObjectRanges { store: self.store.clone(), path: self.object(&file.path), bytes: file.bytes };
        let unreadable = |e| {
            let error = Error::external("not a readable Parquet file").at(place.clone()).because(e);
            error.hint("see whether something else has just replaced it, then run again")
        };
        let mut builder = ParquetRecordBatchStreamBuilder::new(ranges).await.map_err(unreadable)?;
        if let Some(names) = columns {
            let has = |name: &&&str| builder.schema().field_with_name(name).is_ok();
            if let Some(missing) = names.iter().find(|name| !has(name)) {
                return Err(Error::user(format!("the file has no column {missing}")).at(place));
            }
            let mask = ProjectionMask::columns(builder.parquet_schema(), names.iter().copied());
            builder = builder.with_projection(mask);
        }
        let groups = builder.metadata().row_groups().iter().enumerate();
        let groups = groups.filter(|(_, group)| wanted(group)).map(|(i, _)| i).collect();
        let rows = builder.with_row_groups(groups).with_batch_size(batch_rows);
        Ok(LakeRows { batches: Box::pin(rows.build().map_err(unreadable)?), place })
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
