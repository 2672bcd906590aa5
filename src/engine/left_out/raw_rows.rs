//! Rows of the raw table.

use arrow::array::RecordBatch;
use futures::{StreamExt, TryStreamExt, stream};

use crate::error::{Error, Result};
use crate::limits::{LEFT_OUT_BATCH_ROWS, LEFT_OUT_FILES_MAX};
use crate::sink::lake::{Lake, Move};
use crate::types::Micros;

/// The raw table in the lake.
pub(super) struct RawRows<'a> {
    pub lake: &'a Lake,
    pub table: &'a str,
    /// Files that a commit names and that are not at their places yet.
    pub unmoved: &'a [Move],
}

impl RawRows<'_> {
    /// Gives `take` these columns of all rows of some hours of event time, in no order, but for parts of files in which every row has a `time`
    /// before `since`; other such rows do come. How many files there are.
    ///
    /// # Errors
    /// External or transient if the lake cannot be read; those of `take`.
    pub(super) async fn read(
        &self,
        mut hours: Vec<Micros>,
        columns: &[&str],
        (time, since): (&str, Micros),
        mut take: impl FnMut(&RecordBatch) -> Result<()>,
    ) -> Result<u64> {
        hours.sort_unstable();
        hours.dedup();
        let mut files = self.lake.waiting(self.table, self.unmoved).await?;
        files.retain(|file| hours.contains(&file.hour));
        for hour in hours {
            files.extend(self.lake.list_hour(self.table, hour).await?);
        }
        let count = files.len() as u64;
        let read = |file| async move {
            let mut rows = self.lake.rows_since(&file, columns, (time, since), LEFT_OUT_BATCH_ROWS).await?;
            let mut batches = Vec::new();
            while let Some(batch) = rows.next().await? {
                batches.push(batch);
            }
            Ok::<_, Error>(batches)
        };
        let mut reads = stream::iter(files).map(read).buffer_unordered(LEFT_OUT_FILES_MAX);
        while let Some(batches) = reads.try_next().await? {
            batches.iter().try_for_each(&mut take)?;
        }
        Ok(count)
    }
}
