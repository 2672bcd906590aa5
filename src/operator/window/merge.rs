//! Where shards meet: partials of one window become its rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, TimestampMicrosecondArray};
use arrow::record_batch::RecordBatch;
use datafusion::common::Result;

use super::pane::{Pane, Partial};
use super::spec::{GroupColumn, WindowSpec};
use crate::types::Micros;

/// `window_time` is the window's last representable millisecond, as in Flink SQL.
const WINDOW_TIME_BEFORE_END: Micros = 1_000;

/// Merges the partials of the window that ends at `window_end` into the operator's result.
///
/// The order of `partials` does not matter for counts, sums of integers, minima, maxima, distinct counts and percentiles; the
/// order of the rows is not defined.
pub fn merge_partials(spec: &WindowSpec, window_end: Micros, partials: &[Partial]) -> Result<RecordBatch> {
    let mut pane = Pane::try_new(spec)?;
    for partial in partials {
        pane.merge(partial)?;
    }
    let rows = pane.groups();
    let (keys, values) = pane.into_rows()?;
    let constant =
        |t: Micros| -> ArrayRef { Arc::new(TimestampMicrosecondArray::from_value(t, rows).with_timezone("UTC")) };
    let mut columns: Vec<ArrayRef> = spec
        .group
        .iter()
        .map(|c| match c {
            GroupColumn::WindowStart => constant(window_end - spec.size),
            GroupColumn::WindowEnd => constant(window_end),
            GroupColumn::WindowTime => constant(window_end - WINDOW_TIME_BEFORE_END),
            GroupColumn::Key(i) => Arc::clone(&keys[*i]),
        })
        .collect();
    columns.extend(values);
    Ok(RecordBatch::try_new(Arc::clone(&spec.output), columns)?)
}
