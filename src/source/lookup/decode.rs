//! Bytes of a file as rows.

use std::io::{Cursor, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::compute::{CastOptions, cast_with_options, concat_batches};
use arrow::csv::reader::{Format, ReaderBuilder as CsvReader};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::json::ReaderBuilder as JsonReader;
use arrow::json::reader::infer_json_schema;
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::files::too_large;
use crate::config::LookupFormat;
use crate::error::{Error, Result};
use crate::limits::{FILE_BATCH_ROWS, LOOKUP_BYTES_MAX};

/// A file that is in memory, not compressed as a whole.
pub(super) struct Loaded {
    pub name: String,
    pub format: LookupFormat,
    bytes: Bytes,
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

impl Loaded {
    /// Decompresses what its first bytes show to be compressed.
    pub(super) fn try_new(name: String, format: LookupFormat, bytes: Bytes) -> Result<Self> {
        let damaged = |e: std::io::Error| Error::external("damaged: it cannot be decompressed").at(&name).because(e);
        let opened = opened(&bytes).map_err(damaged)?;
        if opened.as_ref().is_some_and(|opened| opened.len() > LOOKUP_BYTES_MAX) {
            return Err(too_large(&name));
        }
        Ok(Self { name, format, bytes: opened.map_or(bytes, Bytes::from) })
    }

    /// The columns that it has, of the types that it has them in.
    pub(super) fn schema(&self) -> Result<Schema> {
        let schema = self.caught(|| {
            Ok(match self.format {
                LookupFormat::Parquet => {
                    ParquetRecordBatchReaderBuilder::try_new(self.bytes.clone())?.schema().as_ref().clone()
                }
                LookupFormat::Csv => csv_format().infer_schema(Cursor::new(&self.bytes), None)?.0,
                LookupFormat::Ndjson => {
                    let (schema, _) = infer_json_schema(Cursor::new(&self.bytes), None)?;
                    // They come in no order.
                    let mut fields: Vec<Arc<Field>> = schema.fields().iter().cloned().collect();
                    fields.sort_by(|a, b| a.name().cmp(b.name()));
                    Schema::new(fields)
                }
            })
        })?;
        match schema.fields().is_empty() {
            true => Err(Error::user("there are no columns in it").at(&self.name).hint("give it at least one row")),
            false => Ok(schema),
        }
    }

    /// Its rows, with the columns of `table`.
    pub(super) fn rows(&self, table: &SchemaRef) -> Result<RecordBatch> {
        let batches = match self.format {
            LookupFormat::Ndjson => self.caught(|| {
                let reader = JsonReader::new(Arc::clone(table)).with_coerce_primitive(true);
                let reader = reader.with_batch_size(FILE_BATCH_ROWS).build(Cursor::new(&self.bytes))?;
                self.bounded(reader.map(|batch| batch.map_err(Into::into)))
            })?,
            LookupFormat::Csv => {
                let header = self.caught(|| Ok(csv_format().infer_schema(Cursor::new(&self.bytes), Some(0))?.0))?;
                let wanted = self.positions(table, &header)?;
                let typed = |field: &Arc<Field>| match table.field_with_name(field.name()) {
                    Ok(field) => Arc::new(field.clone()),
                    Err(_) => Arc::new(Field::new(field.name(), DataType::Utf8, true)),
                };
                let of_file = Arc::new(Schema::new(header.fields().iter().map(typed).collect::<Vec<_>>()));
                self.caught(|| {
                    let reader = CsvReader::new(of_file).with_format(csv_format()).with_projection(wanted.clone());
                    let reader = reader.with_batch_size(FILE_BATCH_ROWS).build(Cursor::new(&self.bytes))?;
                    self.bounded(reader.map(|batch| batch.map_err(Into::into)))
                })?
            }
            LookupFormat::Parquet => {
                let wanted = self.positions(table, &self.schema()?)?;
                self.caught(|| {
                    let builder = ParquetRecordBatchReaderBuilder::try_new(self.bytes.clone())?;
                    let mask = ProjectionMask::roots(builder.parquet_schema(), wanted.iter().copied());
                    let reader = builder.with_projection(mask).with_batch_size(FILE_BATCH_ROWS).build()?;
                    self.bounded(reader.map(|batch| batch.map_err(Into::into)))
                })?
            }
        };
        let cast = batches.iter().map(|batch| self.cast(batch, table)).collect::<Result<Vec<_>>>()?;
        Ok(concat_batches(table, &cast)?)
    }

    /// All batches, unless they are too much.
    fn bounded(&self, batches: impl Iterator<Item = Result<RecordBatch, Cause>>) -> Result<Vec<RecordBatch>, Cause> {
        let mut all = Vec::new();
        let mut bytes = 0;
        for batch in batches {
            let batch = batch?;
            bytes += batch.get_array_memory_size();
            if bytes > LOOKUP_BYTES_MAX {
                return Err(Box::new(too_large(&self.name)));
            }
            all.push(batch);
        }
        Ok(all)
    }

    /// Where the table's columns are in a file that has these.
    fn positions(&self, table: &Schema, of_file: &Schema) -> Result<Vec<usize>> {
        let position = |field: &Arc<Field>| {
            of_file.index_of(field.name()).map_err(|_| {
                let has: Vec<&str> = of_file.fields().iter().map(|f| f.name().as_str()).collect();
                Error::user(format!("the column {} is not in it", field.name()))
                    .at(&self.name)
                    .hint(format!("it has {}; give every file of the table the same columns", has.join(", ")))
            })
        };
        table.fields().iter().map(position).collect()
    }

    fn cast(&self, batch: &RecordBatch, table: &SchemaRef) -> Result<RecordBatch> {
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        let column = |field: &Arc<Field>| -> Result<ArrayRef> {
            let Some(column) = batch.column_by_name(field.name()) else {
                return Ok(new_null_array(field.data_type(), batch.num_rows()));
            };
            cast_with_options(column, field.data_type(), &strict).map_err(|e| {
                Error::user(format!("the column {} does not have the type {}", field.name(), field.data_type()))
                    .at(&self.name)
                    .hint("correct the values, or the type in the configuration")
                    .because(e)
            })
        };
        let columns = table.fields().iter().map(column).collect::<Result<Vec<_>>>()?;
        Ok(RecordBatch::try_new(Arc::clone(table), columns)?)
    }

    /// What a reader gives; its error, or its panic over damage, in our words.
    fn caught<T>(&self, read: impl FnOnce() -> Result<T, Cause>) -> Result<T> {
        let kind = match self.format {
            LookupFormat::Parquet => "Parquet",
            LookupFormat::Csv => "CSV with a line of names",
            LookupFormat::Ndjson => "NDJSON",
        };
        let unreadable = |why: String| {
            Error::user(format!("it cannot be read as {kind}: {why}"))
                .at(&self.name)
                .hint("correct it, or say format and columns in the configuration")
        };
        match catch_unwind(AssertUnwindSafe(read)) {
            Ok(Ok(read)) => Ok(read),
            Ok(Err(e)) => Err(match e.downcast::<Error>() {
                Ok(ours) => *ours,
                Err(e) => unreadable(in_words(e.as_ref())).because(e),
            }),
            Err(_) => Err(unreadable("it is damaged".to_owned())),
        }
    }
}

/// What is in compressed bytes, up to just over what may be; none if they are not compressed.
fn opened(bytes: &[u8]) -> std::io::Result<Option<Vec<u8>>> {
    let reader: Box<dyn Read> = match bytes {
        [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(bytes)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::stream::read::Decoder::with_buffer(bytes)?),
        _ => return Ok(None),
    };
    let mut opened = Vec::new();
    reader.take(LOOKUP_BYTES_MAX as u64 + 1).read_to_end(&mut opened)?;
    Ok(Some(opened))
}

fn csv_format() -> Format {
    Format::default().with_header(true)
}

/// The first line, without the layer that names the library's kind of error.
fn in_words(e: &(dyn std::error::Error + Send + Sync + 'static)) -> String {
    let text = match e.downcast_ref::<ArrowError>() {
        Some(ArrowError::ParseError(text) | ArrowError::CsvError(text) | ArrowError::JsonError(text)) => text.clone(),
        _ => e.to_string(),
    };
    text.lines().next().unwrap_or_default().trim_end_matches('.').to_owned()
}
