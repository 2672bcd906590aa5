//! The function behind `window_start`, `window_end` and `window_time`.
//!
//! Its result carries, in the field's metadata, which bound it is and of which size. Metadata travels with the column through
//! projections, aliases and sub-queries: that is how the analyzer knows a window column, whatever it is called by then.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, PrimitiveArray};
use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit, TimestampMicrosecondType};
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::types::{Micros, floor_to};

const BOUND_KEY: &str = "headcount.window_bound";
const SIZE_KEY: &str = "headcount.window_size_micros";

/// Which bound of a window a column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Bound {
    /// The first instant.
    Start,
    /// The first instant after it.
    End,
    /// Its last millisecond.
    Time,
}

impl Bound {
    pub(super) const ALL: [Bound; 3] = [Bound::Start, Bound::End, Bound::Time];

    /// The column's name, as in Flink SQL.
    pub(super) fn column(self) -> &'static str {
        match self {
            Bound::Start => "window_start",
            Bound::End => "window_end",
            Bound::Time => "window_time",
        }
    }

    fn of(self, t: Micros, size: Micros) -> Micros {
        let start = floor_to(t, size);
        match self {
            Bound::Start => start,
            Bound::End => start.saturating_add(size),
            Bound::Time => start.saturating_add(size - 1_000),
        }
    }

    /// The field of a column with this bound of windows of `size`.
    pub(super) fn field(self, size: Micros) -> Field {
        let metadata =
            HashMap::from([(BOUND_KEY.to_owned(), self.column().to_owned()), (SIZE_KEY.to_owned(), size.to_string())]);
        Field::new(self.column(), timestamp(), true).with_metadata(metadata)
    }

    /// What a field's metadata says: which bound, and the window's size.
    pub(super) fn from_field(field: &Field) -> Option<(Bound, Micros)> {
        let name = field.metadata().get(BOUND_KEY)?;
        let size = field.metadata().get(SIZE_KEY)?.parse().ok()?;
        Bound::ALL.into_iter().find(|b| b.column() == name).map(|b| (b, size))
    }
}

/// Timestamps of the whole product: microseconds, UTC.
pub(super) fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// `bound` of the tumbling window of `size` that holds `time`.
pub(super) fn tumble(bound: Bound, size: Micros, time: Expr) -> Expr {
    let signature = Signature::exact(vec![timestamp()], Volatility::Immutable);
    ScalarUDF::from(TumbleBound { bound, size, signature }).call(vec![time]).alias(bound.column())
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct TumbleBound {
    bound: Bound,
    size: Micros,
    signature: Signature,
}

impl ScalarUDFImpl for TumbleBound {
    fn name(&self) -> &str {
        match self.bound {
            Bound::Start => "tumble_start",
            Bound::End => "tumble_end",
            Bound::Time => "tumble_time",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(timestamp())
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(self.bound.field(self.size)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let of = |t| self.bound.of(t, self.size);
        match args.args.first() {
            Some(ColumnarValue::Array(times)) => {
                if times.data_type() != &timestamp() {
                    return plan_err!("a window's time column must be a timestamp in microseconds, UTC");
                }
                let bounds: PrimitiveArray<TimestampMicrosecondType> =
                    times.as_primitive::<TimestampMicrosecondType>().unary(of);
                Ok(ColumnarValue::Array(Arc::new(bounds.with_timezone("UTC"))))
            }
            Some(ColumnarValue::Scalar(ScalarValue::TimestampMicrosecond(t, tz))) => {
                Ok(ColumnarValue::Scalar(ScalarValue::TimestampMicrosecond(t.map(of), tz.clone())))
            }
            other => internal_err!("a window bound of {other:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_half_open_and_aligned_to_the_epoch() {
        assert_eq!(Bound::Start.of(59, 60), 0);
        assert_eq!(Bound::Start.of(60, 60), 60);
        assert_eq!(Bound::End.of(60, 60), 120);
        assert_eq!(Bound::Start.of(-1, 60), -60);
        assert_eq!(Bound::Time.of(0, 60_000_000), 59_999_000);
    }

    #[test]
    fn the_field_tells_bound_and_size() {
        let field = Bound::End.field(60);
        assert_eq!(Bound::from_field(&field), Some((Bound::End, 60)));
        assert_eq!(Bound::from_field(&Field::new("window_end", timestamp(), true)), None);
    }
}
