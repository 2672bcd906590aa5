//! The function behind `window_start`, `window_end` and `window_time`.
//!
//! Its result carries, in the field's metadata, which bound it is and of which windows, on which level. Metadata travels with the column through
//! projections, aliases and sub-queries: that is how the analyzer knows a window column, whatever it is called by then.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, PrimitiveArray};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit, TimestampMicrosecondType};
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::operator::window::Windowing;
use crate::types::Micros;

pub(super) const BOUND_KEY: &str = "headcount.window_bound";
const SIZE_KEY: &str = "headcount.window_size_micros";
const SLIDE_KEY: &str = "headcount.window_slide_micros";
const SESSION_KEY: &str = "headcount.window_session";
const LEVEL_KEY: &str = "headcount.window_level";

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

/// The windows that a column bounds. Where windows are made of windows, columns of both may be in one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Windows {
    /// How they lie.
    pub windowing: Windowing,
    /// 0 if they are of the stream's rows; else one more than the windows have whose rows they are of.
    pub level: u8,
}

impl Windows {
    /// Windows of the stream's rows.
    pub(super) fn of_stream(windowing: Windowing) -> Self {
        Self { windowing, level: 0 }
    }
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

    /// This bound of the first window that holds `t`.
    fn of(self, t: Micros, windowing: Windowing) -> Micros {
        let end = windowing.pane_end(t);
        match self {
            Bound::Start => end.saturating_sub(windowing.size),
            Bound::End => end,
            Bound::Time => end.saturating_sub(1_000),
        }
    }

    /// This bound of the first window that holds each of `times`.
    fn of_all(self, times: &[Micros], windowing: Windowing) -> Vec<Micros> {
        if windowing.session {
            return times.iter().map(|t| self.of(*t, windowing)).collect();
        }
        // A division for each pane, not for each row: neighbouring rows mostly share one.
        let (mut pane, mut bound) = (0..0, 0);
        let of = |t: &Micros| {
            if !pane.contains(t) {
                let end = windowing.pane_end(*t);
                (pane, bound) = (end.saturating_sub(windowing.slide)..end, self.of(*t, windowing));
            }
            bound
        };
        times.iter().map(of).collect()
    }

    /// The field of a column with this bound.
    pub(super) fn field(self, windows: Windows) -> Field {
        let Windows { windowing, level } = windows;
        let metadata = [
            (BOUND_KEY, self.column().to_owned()),
            (SIZE_KEY, windowing.size.to_string()),
            (SLIDE_KEY, windowing.slide.to_string()),
            (SESSION_KEY, windowing.session.to_string()),
            (LEVEL_KEY, level.to_string()),
        ];
        let metadata: HashMap<_, _> = metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        Field::new(self.column(), timestamp(), true).with_metadata(metadata)
    }

    /// What a field's metadata says: which bound, and of which windows. A column of another type has been made of one.
    pub(super) fn from_field(field: &Field) -> Option<(Bound, Windows)> {
        let name = field.metadata().get(BOUND_KEY).filter(|_| *field.data_type() == timestamp())?;
        let micros = |key: &str| field.metadata().get(key)?.parse().ok();
        let session = field.metadata().get(SESSION_KEY)?.parse().ok()?;
        let windowing = Windowing { size: micros(SIZE_KEY)?, slide: micros(SLIDE_KEY)?, session };
        let windows = Windows { windowing, level: field.metadata().get(LEVEL_KEY)?.parse().ok()? };
        Bound::ALL.into_iter().find(|b| b.column() == name).map(|b| (b, windows))
    }
}

/// Timestamps of the whole product: microseconds, UTC.
pub(super) fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// `bound` of the first window that holds `time`: of the only one, if windows do not overlap.
pub(super) fn bound_of_time(bound: Bound, windows: Windows, time: Expr) -> Expr {
    let signature = Signature::exact(vec![timestamp()], Volatility::Immutable);
    ScalarUDF::from(BoundOfTime { bound, windows, signature }).call(vec![time]).alias(bound.column())
}

/// The windows that an expression computes a bound of.
pub(super) fn windows_put_by(expr: &Expr) -> Option<Windows> {
    match expr {
        Expr::Alias(alias) => windows_put_by(&alias.expr),
        Expr::ScalarFunction(call) => call.func.inner().downcast_ref::<BoundOfTime>().map(|bound| bound.windows),
        _ => None,
    }
}

/// Whether a function is that of a bound. It has a value for each time.
pub(super) fn is_bound(function: &ScalarUDF) -> bool {
    function.inner().is::<BoundOfTime>()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct BoundOfTime {
    bound: Bound,
    windows: Windows,
    signature: Signature,
}

impl ScalarUDFImpl for BoundOfTime {
    fn name(&self) -> &str {
        let windowing = self.windows.windowing;
        match (self.bound, windowing.overlap()) {
            (Bound::Start, _) if windowing.session => "session_start",
            (Bound::End, _) if windowing.session => "session_end",
            (Bound::Time, _) if windowing.session => "session_time",
            (Bound::Start, false) => "tumble_start",
            (Bound::End, false) => "tumble_end",
            (Bound::Time, false) => "tumble_time",
            (Bound::Start, true) => "hop_start",
            (Bound::End, true) => "hop_end",
            (Bound::Time, true) => "hop_time",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(timestamp())
    }

    fn return_field_from_args(&self, _args: ReturnFieldArgs) -> Result<FieldRef> {
        Ok(Arc::new(self.bound.field(self.windows)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.first() {
            Some(ColumnarValue::Array(times)) => {
                if times.data_type() != &timestamp() {
                    return plan_err!("a window's time column must be a timestamp in microseconds, UTC");
                }
                let times = times.as_primitive::<TimestampMicrosecondType>();
                let bounds = ScalarBuffer::from(self.bound.of_all(times.values(), self.windows.windowing));
                let bounds = PrimitiveArray::<TimestampMicrosecondType>::try_new(bounds, times.nulls().cloned())?;
                Ok(ColumnarValue::Array(Arc::new(bounds.with_timezone("UTC"))))
            }
            Some(ColumnarValue::Scalar(ScalarValue::TimestampMicrosecond(t, tz))) => {
                let bound = t.map(|t| self.bound.of(t, self.windows.windowing));
                Ok(ColumnarValue::Scalar(ScalarValue::TimestampMicrosecond(bound, tz.clone())))
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
        let minute = Windowing::tumbling(60);
        assert_eq!(Bound::Start.of(59, minute), 0);
        assert_eq!(Bound::Start.of(60, minute), 60);
        assert_eq!(Bound::End.of(60, minute), 120);
        assert_eq!(Bound::Start.of(-1, minute), -60);
        assert_eq!(Bound::Time.of(0, Windowing::tumbling(60_000_000)), 59_999_000);
    }

    #[test]
    fn of_windows_that_overlap_the_first_that_holds_the_time() {
        let hop = Windowing::hopping(60, 20);
        assert_eq!((Bound::Start.of(59, hop), Bound::End.of(59, hop)), (0, 60));
        assert_eq!((Bound::Start.of(60, hop), Bound::End.of(60, hop)), (20, 80));
    }

    #[test]
    fn a_session_is_bounded_by_what_its_row_alone_makes() {
        let session = Windowing::sessions(60);
        assert_eq!((Bound::Start.of(59, session), Bound::End.of(59, session)), (59, 119));
        let session = Windows::of_stream(session);
        assert_eq!(Bound::from_field(&Bound::Start.field(session)), Some((Bound::Start, session)));
    }

    #[test]
    fn all_bounds_are_the_bounds_of_each() {
        let times = [0, 59, 60, -1, 60, 0, -60, -61, 119, Micros::MAX, Micros::MIN, 1];
        let windowings = [Windowing::tumbling(60), Windowing::hopping(60, 20), Windowing::sessions(60)];
        for (bound, windowing) in Bound::ALL.into_iter().zip(windowings) {
            let each: Vec<Micros> = times.iter().map(|t| bound.of(*t, windowing)).collect();
            assert_eq!(bound.of_all(&times, windowing), each);
        }
    }

    #[test]
    fn the_field_tells_bound_and_windows() {
        let hop = Windows { windowing: Windowing::hopping(60, 20), level: 1 };
        assert_eq!(Bound::from_field(&Bound::End.field(hop)), Some((Bound::End, hop)));
        assert_eq!(Bound::from_field(&Field::new("window_end", timestamp(), true)), None);
        assert_eq!(Bound::from_field(&Bound::End.field(hop).with_data_type(DataType::Date32)), None, "a day of it");
    }
}
