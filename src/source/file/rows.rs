//! A Parquet file as batches of the events schema, of [`FILE_BATCH_ROWS`] rows.

use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use futures::StreamExt;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderBuilder, ParquetRecordBatchReaderBuilder};
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use parquet::basic::CompressionCodec;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use tokio::runtime::Handle;

use super::adapt::Adapter;
use super::input::{InputFile, Place, Progress};
use crate::aws::ObjectRanges;
use crate::error::{Error, Result};
use crate::limits::FILE_BATCH_ROWS;
use crate::types::ShardId;

type Cause = Box<dyn std::error::Error + Send + Sync>;
type Batches = Box<dyn Iterator<Item = Result<RecordBatch, Cause>> + Send>;

/// Reads rows. Only for threads that may block.
pub(super) struct RowReader {
    // Properties.
    adapter: Adapter,
    name: String,
    bytes: u64,
    rows: u64,
    progress: Progress,
    // State.
    batches: Batches,
    rows_read: u64,
    bytes_told: u64,
}

impl RowReader {
    pub(super) fn open(file: &InputFile, events: SchemaRef, shard: ShardId, progress: Progress) -> Result<Self> {
        caught(|| Self::begin(file, events, shard, progress)).unwrap_or_else(|e| Err(unreadable(&file.name, e)))
    }

    fn begin(file: &InputFile, events: SchemaRef, shard: ShardId, progress: Progress) -> Result<Self> {
        let unreadable = |e: ParquetError| unreadable(&file.name, e.into());
        let (adapter, rows, batches): (_, _, Batches) = match &file.place {
            Place::Local(path) => {
                let opened = File::open(path)
                    .map_err(|e: io::Error| Error::external("cannot open the file").at(&file.name).because(e))?;
                let builder = ParquetRecordBatchReaderBuilder::try_new(opened).map_err(unreadable)?;
                let (adapter, rows, builder) = prepare(builder, file, events, shard)?;
                let batches = builder.build().map_err(unreadable)?;
                (adapter, rows, Box::new(batches.map(|b| b.map_err(Into::into))))
            }
            Place::Remote(store, path) => {
                let handle = Handle::current();
                let ranges = ObjectRanges { store: store.clone(), path: path.clone(), bytes: file.bytes };
                let builder = handle.block_on(ParquetRecordBatchStreamBuilder::new(ranges)).map_err(unreadable)?;
                let (adapter, rows, builder) = prepare(builder, file, events, shard)?;
                let mut batches = builder.build().map_err(unreadable)?;
                let next = move || handle.block_on(batches.next()).map(|b| b.map_err(Into::into));
                (adapter, rows, Box::new(std::iter::from_fn(next)))
            }
        };
        let (name, bytes) = (file.name.clone(), file.bytes);
        Ok(Self { adapter, name, bytes, rows, progress, batches, rows_read: 0, bytes_told: 0 })
    }

    /// The next rows, none at the end of the file. `lines` counts the shard's rows.
    pub(super) fn next(&mut self, lines: &mut u64) -> Result<Option<RecordBatch>> {
        let Some(batch) = caught(|| self.batches.next()).unwrap_or_else(|e| Some(Err(e))) else {
            self.tell(self.bytes);
            return Ok(None);
        };
        let batch = batch.map_err(|e| {
            let message = format!("the Parquet file is damaged behind row {}", self.rows_read);
            Error::external(message).at(&self.name).hint("fetch it again, or leave it out").because(e)
        })?;
        let adapted = self.adapter.adapt(&batch, *lines + 1)?;
        *lines += batch.num_rows() as u64;
        self.rows_read += batch.num_rows() as u64;
        // Columns are read ahead in pieces of unknown size: rows tell better how far this is.
        let share = u128::from(self.bytes) * u128::from(self.rows_read) / u128::from(self.rows.max(1));
        self.tell(u64::try_from(share).unwrap_or(self.bytes));
        Ok(Some(adapted))
    }

    fn tell(&mut self, bytes: u64) {
        self.progress.add(bytes.saturating_sub(self.bytes_told));
        self.bytes_told = self.bytes_told.max(bytes);
    }
}

fn unreadable(name: &str, cause: Cause) -> Error {
    Error::external("not a readable Parquet file").at(name).hint("fetch it again, or leave it out").because(cause)
}

/// What `read` gives, or an error where it panics: the Parquet reader trusts numbers of a file, and over some that are damaged it does.
fn caught<T>(read: impl FnOnce() -> T) -> Result<T, Cause> {
    catch_unwind(AssertUnwindSafe(read)).map_err(|_| "the Parquet reader gave it up".into())
}

/// Checks the file's schema, counts its rows, and has only the columns read that are needed.
fn prepare<T>(
    builder: ArrowReaderBuilder<T>,
    file: &InputFile,
    events: SchemaRef,
    shard: ShardId,
) -> Result<(Adapter, u64, ArrowReaderBuilder<T>)> {
    let adapter = Adapter::new(&file.name, builder.schema(), events.clone(), shard)?;
    let rows = u64::try_from(builder.metadata().file_metadata().num_rows()).unwrap_or(0);
    let needed = builder.schema().fields().iter().enumerate();
    let needed: Vec<usize> = needed.filter(|(_, f)| events.field_with_name(f.name()).is_ok()).map(|(i, _)| i).collect();
    let mask = ProjectionMask::roots(builder.parquet_schema(), needed);
    codecs_are_built_in(builder.metadata(), &mask).map_err(|e| e.at(&file.name))?;
    Ok((adapter, rows, builder.with_projection(mask).with_batch_size(FILE_BATCH_ROWS)))
}

/// Refuses columns that the Parquet reader was not built to decompress: over them it would break off as if the file were damaged.
fn codecs_are_built_in(file: &ParquetMetaData, needed: &ProjectionMask) -> Result<()> {
    for (i, column) in file.row_groups().iter().flat_map(|group| group.columns().iter().enumerate()) {
        match column.compression_codec() {
            _ if !needed.leaf_included(i) => {}
            CompressionCodec::UNCOMPRESSED | CompressionCodec::ZSTD => {}
            codec => {
                let message = format!("column {} is compressed with {codec:?}", column.column_path().parts().join("."));
                return Err(Error::user(message).hint(REWRITE));
            }
        }
    }
    Ok(())
}

/// What becomes of a file in a codec that is not built in.
const REWRITE: &str = "only Zstandard and no compression can be read: rewrite the file, for instance by DuckDB: COPY 'it.parquet' TO 'new.parquet' (COMPRESSION zstd)";
