//! A query's rows in their order, one at a time.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, make_comparator};
use arrow::compute::{SortOptions, cast};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int32Type, SchemaRef, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use arrow::row::{Row, RowConverter, Rows, SortField};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::error::{Error, Result};
use crate::query::ResultRows;

/// By how much of the greater one two floats of 64 bits may differ, and be the same: the sum of a million numbers changes by less when they
/// are added in another order.
const SAME_F64: f64 = 1e-9;

/// The same of floats of 32 bits, of which each is known to less than that only.
const SAME_F32: f64 = 1e-6;

/// What is next to nothing: a sum of numbers that cancel each other out comes to this or to 0.
const NOTHING: f64 = 1e-12;

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

    /// The row's value in a column of integers or of times.
    ///
    /// # Errors
    /// Internal, behind the last row, and in a column of another type.
    pub(super) fn integer(&self, column: usize) -> Result<Option<i64>> {
        let array = self.column(column)?;
        if array.is_null(self.at) {
            return Ok(None);
        }
        let times = array.as_primitive_opt::<TimestampMicrosecondType>().map(|times| times.value(self.at));
        let value = times.or_else(|| Some(array.as_primitive_opt::<Int32Type>()?.value(self.at).into()));
        value.map(Some).ok_or_else(|| Error::internal("a column of neither integers nor times"))
    }

    /// Whether the row has the value in a column that a row of the same schema has: floats as far as the order tells in which they were added
    /// up, everything else exactly.
    ///
    /// # Errors
    /// Internal, behind the last row.
    pub(super) fn has_same(&self, other: &Sorted<'_>, column: usize) -> Result<bool> {
        let (have, want) = (self.column(column)?, other.column(column)?);
        if have.is_null(self.at) || want.is_null(other.at) {
            return Ok(have.is_null(self.at) == want.is_null(other.at));
        }
        let f64_at = |array: &ArrayRef, at| array.as_primitive_opt::<Float64Type>().map(|values| values.value(at));
        let f32_at = |array: &ArrayRef, at| array.as_primitive_opt::<Float32Type>().map(|v| f64::from(v.value(at)));
        let float_at = match have.data_type() {
            DataType::Float64 => Some((f64_at(have, self.at), f64_at(want, other.at), SAME_F64)),
            DataType::Float32 => Some((f32_at(have, self.at), f32_at(want, other.at), SAME_F32)),
            _ => None,
        };
        if let Some((Some(have), Some(want), share)) = float_at {
            return Ok(are_same(have, want, share));
        }
        let order = make_comparator(have, want, SortOptions::default())?;
        Ok(order(self.at, other.at).is_eq())
    }

    fn column(&self, column: usize) -> Result<&ArrayRef> {
        let array = self.batch.as_ref().and_then(|batch| batch.columns.get(column));
        array.ok_or_else(|| Error::internal("a value behind the last row"))
    }

    /// The row's value in a column, as text; nothing for NULL.
    ///
    /// # Errors
    /// Internal, behind the last row.
    pub(super) fn text(&self, column: usize) -> Result<Option<String>> {
        let array = self.column(column)?;
        let options = FormatOptions::default().with_timestamp_tz_format(Some("%Y-%m-%dT%H:%M:%S%.fZ"));
        let formatter = ArrayFormatter::try_new(array, &options)?;
        Ok((!array.is_null(self.at)).then(|| formatter.value(self.at).to_string()))
    }
}

/// Whether two floats are one sum, added up in two orders.
fn are_same(a: f64, b: f64, share: f64) -> bool {
    a == b
        || (a.is_nan() && b.is_nan())
        || (a - b).abs() <= NOTHING + share * a.abs().max(b.abs()) && (a - b).is_finite()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_an_addition_is_no_difference_and_anything_else_is() {
        let same = |a, b| are_same(a, b, SAME_F64);
        assert!(same(0.1 + 0.2, 0.3) && same(0.1 + 0.2 - 0.3, 0.0) && same(1e300, 1e300 * (1.0 + 1e-12)));
        assert!(same(f64::NAN, f64::NAN) && same(f64::INFINITY, f64::INFINITY) && same(0.0, -0.0));
        for (a, b) in [
            (1.0, 1.000_001),
            (1e6, 1e6 + 0.01),
            (0.0, 1e-9),
            (1.0, -1.0),
            (f64::NAN, 0.0),
            (f64::INFINITY, f64::MAX),
            (f64::INFINITY, f64::NEG_INFINITY),
        ] {
            assert!(!same(a, b) && !same(b, a), "{a} {b}");
        }
        assert!(are_same(f64::from(0.1_f32 + 0.2_f32), f64::from(0.3_f32), SAME_F32));
    }
}
