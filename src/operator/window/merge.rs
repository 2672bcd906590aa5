//! Where shards meet: partials of one window become its rows, or one partial.

use std::sync::Arc;

use arrow::array::{ArrayRef, TimestampMicrosecondArray};
use arrow::record_batch::RecordBatch;
use datafusion::common::{Result, internal_err};

use super::pane::{Pane, Partial};
use super::spec::{GroupColumn, WindowSpec};
use super::windowing::PaneKey;
use crate::types::Micros;

/// `window_time` is the window's last representable millisecond, as in Flink SQL.
const WINDOW_TIME_BEFORE_END: Micros = 1_000;

/// Merges `partials`, all that there are of the window that ends at `window_end`, into the operator's result.
///
/// The order of `partials` does not matter for counts, sums of integers, minima, maxima, distinct counts and percentiles; the
/// order of the rows is not defined.
pub fn merge_partials<'p>(
    spec: &WindowSpec,
    window_end: Micros,
    partials: impl IntoIterator<Item = &'p Partial>,
) -> Result<RecordBatch> {
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
            GroupColumn::WindowStart => constant(window_end - spec.windowing.size),
            GroupColumn::WindowEnd => constant(window_end),
            GroupColumn::WindowTime => constant(window_end - WINDOW_TIME_BEFORE_END),
            GroupColumn::Key(i) => Arc::clone(&keys[*i]),
        })
        .collect();
    columns.extend(values);
    Ok(RecordBatch::try_new(Arc::clone(&spec.output), columns)?)
}

/// Merges partials of neighbouring panes into one, of the last of them.
pub(super) fn merge_to_partial(spec: &WindowSpec, partials: &[&Partial]) -> Result<Partial> {
    let mut pane = Pane::try_new(spec)?;
    for partial in partials {
        pane.merge(partial)?;
    }
    let last = partials.iter().map(|p| p.pane).reduce(|a, b| PaneKey {
        end: a.end.max(b.end),
        first_window: a.first_window.max(b.first_window),
        first_on_time: a.first_on_time.max(b.first_on_time),
    });
    match last {
        Some(key) => pane.into_partial(key),
        None => internal_err!("a merge of no partials"),
    }
}
