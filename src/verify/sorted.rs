//! A query's rows in their order, one at a time.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::compute::cast;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use arrow::row::{Row, RowConverter, Rows, SortField};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::error::{Error, Result};
use crate::query::ResultRows;

/// Makes bytes of rows that are ordered as the rows are: nulls first.
pub(super) struct Encoder {
    schema: SchemaRef,
    /// How many of the first columns are the key.
    key: usize,
    keys: RowConverter,
    values: RowConverter,
}

impl Encoder {
    /// For rows of `schema`, whose first `key` columns are the key.
    pub(super) fn new(schema: SchemaRef, key: usize) -> Result<Self> {
        let fields: Vec<SortField> = schema.fields().iter().map(|f| SortField::new(f.data_type().clone())).collect();
        let (keys, values) = fields.split_at(key.min(fields.len()));
        Ok(Self { keys: RowConverter::new(keys.to_vec())?, values: RowConverter::new(values.to_vec())?, schema, key })
    }

    /// The batch in the types of the schema, and its rows' keys and values.
    fn encode(&self, batch: &RecordBatch) -> Result<Encoded> {
        let fields = self.schema.fields().iter();
        let columns: Vec<ArrayRef> =
            fields.zip(batch.columns()).map(|(f, c)| cast(c, f.data_type())).collect::<Result<_, _>>()?;
        let (keys, values) = columns.split_at(self.key.min(columns.len()));
        let (keys, values) = (self.keys.convert_columns(keys)?, self.values.convert_columns(values)?);
        Ok(Encoded { columns, keys, values })
    }
}

struct Encoded {
    columns: Vec<ArrayRef>,
    keys: Rows,
    values: Rows,
}

/// The rows of a query that orders them.
pub(super) struct Sorted<'q> {
    encoder: Arc<Encoder>,
    rows: ResultRows<'q>,
    batch: Option<Encoded>,
    at: usize,
}

impl<'q> Sorted<'q> {
    /// At the first row of `rows`.
    ///
    /// # Errors
    /// As [`ResultRows::next`].
    pub(super) async fn begin(encoder: Arc<Encoder>, rows: ResultRows<'q>) -> Result<Self> {
        let mut sorted = Self { encoder, rows, batch: None, at: 0 };
        sorted.fill().await?;
        Ok(sorted)
    }

    /// Goes on to the next row.
    ///
    /// # Errors
    /// As [`ResultRows::next`].
    pub(super) async fn next(&mut self) -> Result<()> {
        self.at += 1;
        self.fill().await
    }

    async fn fill(&mut self) -> Result<()> {
        while self.batch.as_ref().is_none_or(|batch| self.at >= batch.keys.num_rows()) {
            let Some(rows) = self.rows.next().await? else {
                self.batch = None;
                return Ok(());
            };
            self.batch = Some(self.encoder.encode(&rows)?);
            self.at = 0;
        }
        Ok(())
    }

    /// Key and values of the row; `None` behind the last.
    pub(super) fn row(&self) -> Option<(Row<'_>, Row<'_>)> {
        self.batch.as_ref().map(|batch| (batch.keys.row(self.at), batch.values.row(self.at)))
    }

    /// The row's value in a column, as text; nothing for NULL.
    ///
    /// # Errors
    /// Internal, behind the last row.
    pub(super) fn text(&self, column: usize) -> Result<Option<String>> {
        let array = self.batch.as_ref().and_then(|batch| batch.columns.get(column));
        let array = array.ok_or_else(|| Error::internal("a value behind the last row"))?;
        let options = FormatOptions::default().with_timestamp_tz_format(Some("%Y-%m-%dT%H:%M:%S%.fZ"));
        let formatter = ArrayFormatter::try_new(array, &options)?;
        Ok((!array.is_null(self.at)).then(|| formatter.value(self.at).to_string()))
    }
}
