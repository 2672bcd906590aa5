//! Rows of one complete window to metric data.

use std::sync::Arc;

use arrow::array::{Array, AsArray, Float64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use arrow::record_batch::RecordBatch;

use super::counters::Dropped;
use crate::limits::{CLOUDWATCH_DIMENSION_VALUE_CHARS_MAX, CLOUDWATCH_VALUE_EXPONENT_MAX};
use crate::types::{MICROS_PER_SEC, MetricMapping, MetricStatistic, Micros, is_metric_text};

/// A window's time is this long before its end: the last millisecond of it.
const BEFORE_END: Micros = 1_000;

/// Names and values, in the header's order.
pub(super) type Dimensions = Arc<[(String, String)]>;

/// One metric at one time, as CloudWatch takes it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Datum {
    pub(super) metric: Arc<str>,
    pub(super) unit: &'static str,
    pub(super) dimensions: Dimensions,
    /// The window's time.
    pub(super) time: Micros,
    pub(super) sample: Sample,
}

/// What a datum says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Sample {
    Value(f64),
    Set { count: f64, sum: f64, minimum: f64, maximum: f64 },
}

/// The window that rows are of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) end: Micros,
    pub(super) size: Micros,
}

impl Datum {
    /// More bytes than it takes in a request: names of members, tags and numbers are under 250.
    pub(super) fn bytes_max(&self) -> usize {
        let dimensions = self.dimensions.iter().map(|(name, value)| 24 + name.len() + value.len());
        250 + self.metric.len() + self.unit.len() + dimensions.sum::<usize>()
    }
}

/// The data that one metric makes of the rows of a window, one a row, and those that CloudWatch would refuse, by reason.
pub(super) fn data(mapping: &MetricMapping, window: Window, rows: &RecordBatch) -> Vec<Result<Datum, Dropped>> {
    let metric: Arc<str> = mapping.metric.as_str().into();
    let seconds = window.size as f64 / MICROS_PER_SEC as f64;
    let samples: Vec<Option<Sample>> = match mapping.statistic {
        MetricStatistic::Sample(value) => {
            let values = numbers(rows, value);
            (0..rows.num_rows()).map(|i| number(values.as_ref(), i).map(Sample::Value)).collect()
        }
        MetricStatistic::Weighted { typical, minimum, maximum } => {
            let columns = [typical, minimum, maximum].map(|c| numbers(rows, c));
            let sample = |i: usize| {
                let [typical, minimum, maximum] = columns.each_ref().map(|c| number(c.as_ref(), i));
                let sum = typical.map(|t| t * seconds).filter(|s| in_range(*s))?;
                Some(Sample::Set { count: seconds, sum, minimum: minimum?, maximum: maximum? })
            };
            (0..rows.num_rows()).map(sample).collect()
        }
    };
    let datum = |(i, sample): (usize, Option<Sample>)| {
        Ok(Datum {
            metric: Arc::clone(&metric),
            unit: mapping.unit,
            dimensions: dimensions(mapping, rows, i).ok_or(Dropped::BadDimension)?,
            time: window.end - BEFORE_END,
            sample: sample.ok_or(Dropped::NotANumber)?,
        })
    };
    samples.into_iter().enumerate().map(datum).collect()
}

/// A column as floats; `None` if it is not there or no number, which the check of the header rules out.
fn numbers(rows: &RecordBatch, column: usize) -> Option<Float64Array> {
    let column = rows.columns().get(column)?;
    let floats = cast(column, &DataType::Float64).ok()?;
    floats.as_primitive_opt::<Float64Type>().cloned()
}

fn number(values: Option<&Float64Array>, row: usize) -> Option<f64> {
    let values = values.filter(|v| v.is_valid(row))?;
    Some(values.value(row)).filter(|v| in_range(*v))
}

/// Whether CloudWatch takes the number; not so NaN, which compares with nothing.
fn in_range(value: f64) -> bool {
    value.abs() <= 2f64.powi(CLOUDWATCH_VALUE_EXPONENT_MAX)
}

/// `None` if a value is one that CloudWatch refuses. An absent one is not left out: that would be another metric.
fn dimensions(mapping: &MetricMapping, rows: &RecordBatch, row: usize) -> Option<Dimensions> {
    let value = |(name, column): &(String, usize)| {
        let values = rows.columns().get(*column)?.as_string_opt::<i32>()?;
        let value = values.is_valid(row).then(|| values.value(row))?;
        let fits = is_metric_text(value, CLOUDWATCH_DIMENSION_VALUE_CHARS_MAX);
        fits.then(|| (name.clone(), value.to_owned()))
    };
    mapping.dimensions.iter().map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int64Array, StringArray};

    const WINDOW: Window = Window { end: 60 * MICROS_PER_SEC, size: 10 * MICROS_PER_SEC };

    fn rows(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap()
    }

    fn mapping(statistic: MetricStatistic, dimensions: &[(&str, usize)]) -> MetricMapping {
        let dimensions = dimensions.iter().map(|(n, c)| ((*n).to_owned(), *c)).collect();
        MetricMapping { metric: "m".to_owned(), unit: "Count", statistic, dimensions }
    }

    #[test]
    fn a_statistic_set_weighs_as_much_as_its_window() {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("avg", Arc::new(Float64Array::from(vec![1.25]))),
            ("min", Arc::new(Int64Array::from(vec![0]))),
            ("max", Arc::new(Int64Array::from(vec![3]))),
        ];
        let weighted = mapping(MetricStatistic::Weighted { typical: 0, minimum: 1, maximum: 2 }, &[]);
        let found = data(&weighted, WINDOW, &rows(columns));
        let [Ok(datum)] = found.as_slice() else { panic!("{found:?}") };
        assert_eq!(datum.sample, Sample::Set { count: 10.0, sum: 12.5, minimum: 0.0, maximum: 3.0 });
        assert_eq!((datum.time, datum.unit, &*datum.metric), (59_999_000, "Count", "m"));
    }

    #[test]
    fn what_cloudwatch_would_refuse_is_told_apart() {
        let long = "x".repeat(1_025);
        let columns: Vec<(&str, ArrayRef)> = vec![
            (
                "v",
                Arc::new(Float64Array::from(vec![
                    Some(1.0),
                    None,
                    Some(f64::NAN),
                    Some(f64::NEG_INFINITY),
                    Some(1e109),
                    Some(2.0),
                    Some(2.0),
                    Some(2.0),
                    Some(2.0),
                ])),
            ),
            (
                "d",
                Arc::new(StringArray::from(vec![
                    Some("GB"),
                    Some("GB"),
                    Some("GB"),
                    Some("GB"),
                    Some("GB"),
                    None,
                    Some(" "),
                    Some("Zürich"),
                    Some(&*long),
                ])),
            ),
        ];
        let found = data(&mapping(MetricStatistic::Sample(0), &[("d", 1)]), WINDOW, &rows(columns));
        let codes: Vec<&str> = found.iter().map(|d| d.as_ref().map_or_else(|e| e.code(), |_| "good")).collect();
        assert_eq!(codes[..5], ["good", "not_a_number", "not_a_number", "not_a_number", "not_a_number"]);
        assert_eq!(codes[5..], ["bad_dimension"; 4]);
        let Ok(good) = &found[0] else { panic!("{found:?}") };
        assert_eq!((good.sample, &*good.dimensions), (Sample::Value(1.0), &[("d".to_owned(), "GB".to_owned())][..]));
    }

    #[test]
    fn large_integers_are_numbers() {
        let columns: Vec<(&str, ArrayRef)> = vec![("v", Arc::new(Int64Array::from(vec![1 << 40])))];
        let found = data(&mapping(MetricStatistic::Sample(0), &[]), WINDOW, &rows(columns));
        assert_eq!(found[0].as_ref().unwrap().sample, Sample::Value(1_099_511_627_776.0));
    }
}
