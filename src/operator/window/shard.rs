//! A shard's open windows.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, TimestampMicrosecondArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{TimestampMicrosecondType, UInt32Type};
use arrow::record_batch::RecordBatch;
use datafusion::common::Result;
use serde::{Deserialize, Serialize};

use super::inputs::InputPlan;
use super::lateness::{LatenessRule, Verdict};
use super::pane::{Pane, Partial};
use super::spec::WindowSpec;
use crate::types::Micros;

/// What became of the rows that reached the operator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UpdateCounts {
    /// Rows that entered a window.
    pub in_windows: u64,
    /// Rows that were late.
    pub late: u64,
}

/// What a [`ShardWindows`] remembers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WindowsState {
    panes: Vec<Partial>,
}

impl WindowsState {
    /// Windows that are open.
    pub fn open(&self) -> usize {
        self.panes.len()
    }
}

/// The panes of one windowed aggregate in one shard, by end of window.
///
/// A pane is kept twice where `allowed_lateness` is set: rows on time make revision 0, rows within the allowed lateness are
/// merged over it in revision 1.
pub struct ShardWindows {
    // properties: constant
    spec: Arc<WindowSpec>,
    inputs: InputPlan,
    rule: LatenessRule,
    // state: mutable
    panes: BTreeMap<(Micros, bool), Pane>,
    late_rows: Vec<u32>,
    /// Rows of the last batch that entered a window, by their number; kept only if asked for.
    taken_rows: Option<Vec<u32>>,
    counts: UpdateCounts,
}

impl std::fmt::Debug for ShardWindows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShardWindows").field("panes", &self.panes.len()).field("counts", &self.counts).finish()
    }
}

impl ShardWindows {
    /// No windows yet.
    pub fn new(spec: Arc<WindowSpec>, rule: LatenessRule) -> Self {
        Self {
            inputs: InputPlan::new(&spec),
            spec,
            rule,
            panes: BTreeMap::new(),
            late_rows: Vec::new(),
            taken_rows: None,
            counts: UpdateCounts::default(),
        }
    }

    /// Adds a batch of the operator's input to the panes of its rows; rows that are late are remembered by their number.
    pub fn update(&mut self, batch: &RecordBatch) -> Result<()> {
        let rows = batch.num_rows();
        if rows == 0 {
            return Ok(());
        }
        let ends = batch.column(self.spec.window_end_index).as_primitive::<TimestampMicrosecondType>();
        let highs = batch.column(self.spec.high_time_index).as_primitive::<TimestampMicrosecondType>();
        let panes_of_rows = self.judge(ends, highs);
        if let Some(taken) = &mut self.taken_rows {
            let numbers = batch.column(self.spec.row_index).as_primitive::<UInt32Type>();
            let rows = panes_of_rows.panes.iter().flat_map(|(_, rows)| rows);
            taken.extend(rows.map(|&i| numbers.value(i as usize)));
        }
        let inputs = self.inputs.evaluate(batch)?;
        match panes_of_rows.panes.as_slice() {
            // The common case by far: all rows of a batch in one window.
            [(key, chosen)] if chosen.len() == rows => pane(&mut self.panes, &self.spec, *key)?.update(&inputs)?,
            panes => {
                for (key, chosen) in panes {
                    pane(&mut self.panes, &self.spec, *key)?.update(&inputs.take(chosen)?)?;
                }
            }
        }
        if !panes_of_rows.late.is_empty() {
            let numbers = batch.column(self.spec.row_index).as_primitive::<UInt32Type>();
            self.late_rows.extend(panes_of_rows.late.iter().map(|&i| numbers.value(i as usize)));
        }
        Ok(())
    }

    fn judge(&mut self, ends: &TimestampMicrosecondArray, highs: &TimestampMicrosecondArray) -> RowsByPane {
        let mut out = RowsByPane::default();
        let mut last = usize::MAX;
        for i in 0..ends.len() {
            let end = ends.value(i);
            let high = (!highs.is_null(i)).then(|| highs.value(i));
            let key = match self.rule.judge(end, high) {
                Verdict::OnTime => (end, false),
                Verdict::Revises => (end, true),
                Verdict::Late => {
                    out.late.push(i as u32);
                    continue;
                }
            };
            // Neighbouring rows mostly share a window: try the last one before searching.
            if out.panes.get(last).is_none_or(|(k, _)| *k != key) {
                last = out.panes.iter().position(|(k, _)| *k == key).unwrap_or_else(|| {
                    out.panes.push((key, Vec::new()));
                    out.panes.len() - 1
                });
            }
            out.panes[last].1.push(i as u32);
        }
        self.counts.late += out.late.len() as u64;
        self.counts.in_windows += (ends.len() - out.late.len()) as u64;
        out
    }

    /// Hands over every pane that can take no more rows of this shard: its window's end (for revision 1: its end and the
    /// allowed lateness) is not after `watermark`.
    pub fn close(&mut self, watermark: Micros) -> Result<Vec<Partial>> {
        let mut closed = Vec::new();
        let done: Vec<_> = self
            .panes
            .keys()
            .take_while(|(end, _)| *end <= watermark)
            .filter(|(end, revises)| !revises || end.saturating_add(self.rule.allowed_lateness) <= watermark)
            .copied()
            .collect();
        for key in done {
            if let Some(pane) = self.panes.remove(&key) {
                closed.push(pane.into_partial(key.0, key.1)?);
            }
        }
        Ok(closed)
    }

    /// Takes everything out: it can be put away, and taken up again by [`Self::resume`].
    pub fn suspend(&mut self) -> Result<WindowsState> {
        Ok(WindowsState { panes: self.close(Micros::MAX)? })
    }

    /// Goes on from where another left off.
    pub fn resume(&mut self, state: WindowsState) -> Result<()> {
        for partial in &state.panes {
            pane(&mut self.panes, &self.spec, (partial.window_end, partial.revises))?.merge(partial)?;
        }
        Ok(())
    }

    /// Numbers, within the last batch, of the rows that were late; empties the list.
    pub fn take_late_rows(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.late_rows)
    }

    /// From now on remembers which rows of a batch entered a window: a query with several windowed nodes asks.
    pub fn remember_taken_rows(&mut self) {
        self.taken_rows = Some(Vec::new());
    }

    /// Numbers, within the last batch, of the rows that entered a window; empties the list.
    pub fn take_taken_rows(&mut self) -> Vec<u32> {
        self.taken_rows.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Totals since the start.
    pub fn counts(&self) -> UpdateCounts {
        self.counts
    }

    /// Ends of the windows that have a pane, in order.
    pub fn open_ends(&self) -> impl Iterator<Item = Micros> + '_ {
        self.panes.keys().map(|(end, _)| *end)
    }

    /// The groups in all panes.
    pub fn open_groups(&self) -> usize {
        self.panes.values().map(Pane::groups).sum()
    }
}

fn pane<'p>(
    panes: &'p mut BTreeMap<(Micros, bool), Pane>,
    spec: &WindowSpec,
    key: (Micros, bool),
) -> Result<&'p mut Pane> {
    use std::collections::btree_map::Entry;
    Ok(match panes.entry(key) {
        Entry::Occupied(e) => e.into_mut(),
        Entry::Vacant(e) => e.insert(Pane::try_new(spec)?),
    })
}

#[derive(Default)]
struct RowsByPane {
    panes: Vec<((Micros, bool), Vec<u32>)>,
    late: Vec<u32>,
}

/// Rows of `batch` by their numbers.
pub fn rows_by_number(batch: &RecordBatch, numbers: &[u32]) -> Result<RecordBatch> {
    let indices = UInt32Array::from(numbers.to_vec());
    let columns = batch.columns().iter().map(|c| Ok(take(c, &indices, None)?)).collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(batch.schema(), columns)?)
}
