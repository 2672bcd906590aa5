//! Where shards meet: the panes of a windowed aggregate over complete windows.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use datafusion::common::Result;

use super::inputs::InputPlan;
use super::pane::{Pane, Partial, pane_of};
use super::spec::WindowSpec;
use super::windowing::PaneKey;
use crate::types::Micros;

/// The panes that windows are being added to, one after the other.
///
/// ```text
///  windows of 1 min that end at  11:58 11:59 12:00 12:01
///                                   │     │     │     └────► pane of the hour that ends at 13:00
///                                   └─────┴─────┴──────────► pane of the hour that ends at 12:00
/// ```
///
/// All rows of a window are in one pane: a pane is a whole number of the slides at which windows end.
pub struct CascadePanes {
    // properties: constant
    spec: Arc<WindowSpec>,
    inputs: InputPlan,
    // state: mutable
    /// By their ends.
    panes: BTreeMap<Micros, Pane>,
}

impl std::fmt::Debug for CascadePanes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CascadePanes").field("panes", &self.panes.keys()).finish_non_exhaustive()
    }
}

impl CascadePanes {
    /// No panes yet.
    ///
    /// # Errors
    /// If an expression cannot be made anew of its parts.
    pub fn try_new(spec: Arc<WindowSpec>) -> Result<Self> {
        Ok(Self { inputs: InputPlan::try_new(&spec, &Arc::default())?, spec, panes: BTreeMap::new() })
    }

    /// The end of the pane that a window belongs to which ends at `window_end`.
    pub fn pane_end(&self, window_end: Micros) -> Micros {
        self.spec.windowing.pane_end(window_end.saturating_sub(1))
    }

    /// Adds all rows of the window that ends at `window_end`. Windows come in the order of their ends, each at most once.
    pub fn update(&mut self, window_end: Micros, rows: &RecordBatch) -> Result<()> {
        let all: Vec<u32> = (0..).take(rows.num_rows()).collect();
        if all.is_empty() {
            return Ok(());
        }
        let (end, inputs) = (self.pane_end(window_end), self.inputs.over(rows.clone()));
        pane_of(&mut self.panes, end, || Pane::try_new(&self.spec))?.update(&inputs.of_pane(&all))
    }

    /// Hands over the panes that end by `closed`: all windows up to it have been added.
    pub fn close(&mut self, closed: Micros) -> Result<Vec<Partial>> {
        let open = match closed.checked_add(1) {
            Some(next) => self.panes.split_off(&next),
            None => BTreeMap::new(),
        };
        let complete = std::mem::replace(&mut self.panes, open);
        complete.into_iter().map(|(end, pane)| pane.into_partial(PaneKey::on_time(end))).collect()
    }

    /// Takes everything out, to be put away.
    pub fn suspend(&mut self) -> Result<Vec<Partial>> {
        self.close(Micros::MAX)
    }

    /// Goes on from what another took out.
    pub fn resume(&mut self, panes: &[Partial]) -> Result<()> {
        panes.iter().try_for_each(|partial| {
            pane_of(&mut self.panes, partial.pane.end, || Pane::try_new(&self.spec))?.merge(partial)
        })
    }

    /// Ends of the panes.
    pub fn ends(&self) -> impl Iterator<Item = Micros> {
        self.panes.keys().copied()
    }

    /// The groups in all panes.
    pub fn groups(&self) -> usize {
        self.panes.values().map(Pane::groups).sum()
    }

    /// Memory that it holds, in bytes.
    pub fn bytes(&self) -> usize {
        self.panes.values().map(Pane::bytes).sum()
    }
}
