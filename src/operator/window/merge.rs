//! Where shards meet: partials of one window become its rows, or one partial.

use std::sync::Arc;

use arrow::array::{ArrayRef, TimestampMicrosecondArray};
use arrow::record_batch::RecordBatch;
use datafusion::common::{Result, internal_err};

use super::pane::{Pane, Partial};
use super::spec::{GroupColumn, WindowSpec};
use super::windowing::PaneKey;
use crate::operator::memory::StateReservation;
use crate::types::Micros;

/// `window_time` is the window's last representable millisecond, as in Flink SQL.
const WINDOW_TIME_BEFORE_END: Micros = 1_000;

/// What a merge takes of the job's memory: what is merged, beside what is kept of earlier merges.
pub(super) struct MergeMemory<'m> {
    pub memory: &'m mut StateReservation,
    /// In bytes.
    pub kept: usize,
}

impl MergeMemory<'_> {
    /// Accounts for what is merged so far, before more is merged.
    ///
    /// # Errors
    /// The pool's, if that is more than there is.
    pub(super) fn hold(&mut self, pane: &Pane) -> Result<()> {
        self.memory.hold(self.kept + pane.bytes())
    }
}

/// Merges `partials`, all that there are of the window that ends at `window_end`, into the operator's result.
///
/// The order of `partials` does not matter for counts, sums of integers, minima, maxima, distinct counts and percentiles; the
/// order of the rows is not defined.
pub(super) fn merge_partials(
    spec: &WindowSpec,
    window_end: Micros,
    partials: &[&Partial],
    memory: MergeMemory<'_>,
) -> Result<RecordBatch> {
    let mut pane = Pane::try_new(spec)?;
    pane.expect_all(partials);
    merge_all(&mut pane, partials, memory)?;
    let rows = pane.groups();
    let (keys, values) = pane.into_rows()?;
    let bounds = (vec![window_end - spec.windowing.size; rows], vec![window_end; rows]);
    result_rows(spec, bounds, &keys, values)
}

fn merge_all(pane: &mut Pane, partials: &[&Partial], mut memory: MergeMemory<'_>) -> Result<()> {
    memory.hold(pane)?;
    for partial in partials {
        pane.merge(partial)?;
        memory.hold(pane)?;
    }
    Ok(())
}

/// The operator's result: of each row the window's start and end, the keys, and the values of the aggregates.
pub(super) fn result_rows(
    spec: &WindowSpec,
    (starts, ends): (Vec<Micros>, Vec<Micros>),
    keys: &[ArrayRef],
    values: Vec<ArrayRef>,
) -> Result<RecordBatch> {
    let times = |times: Vec<Micros>| TimestampMicrosecondArray::from(times).with_timezone("UTC");
    let (starts, ends) = (times(starts), times(ends));
    let last_instants = || -> TimestampMicrosecondArray { ends.unary(|end: Micros| end - WINDOW_TIME_BEFORE_END) };
    let mut columns: Vec<ArrayRef> = spec
        .group
        .iter()
        .map(|c| match c {
            GroupColumn::WindowStart => Arc::new(starts.clone()) as ArrayRef,
            GroupColumn::WindowEnd => Arc::new(ends.clone()),
            GroupColumn::WindowTime => Arc::new(last_instants().with_timezone("UTC")),
            GroupColumn::Key(i) => Arc::clone(&keys[*i]),
        })
        .collect();
    columns.extend(values);
    Ok(RecordBatch::try_new(Arc::clone(&spec.output), columns)?)
}

/// Merges partials of neighbouring panes into one, of the last of them.
pub(super) fn merge_to_partial(spec: &WindowSpec, partials: &[&Partial], memory: MergeMemory<'_>) -> Result<Partial> {
    let mut pane = Pane::try_new(spec)?;
    merge_all(&mut pane, partials, memory)?;
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
