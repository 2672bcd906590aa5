//! One pipeline's sessions where shards meet: partials in, rows of sessions that are over out.

use std::collections::BTreeMap;

use arrow::array::UInt32Array;
use arrow::compute::take_record_batch;
use arrow::record_batch::RecordBatch;

use super::board::OpenWindows;
use super::pipeline_windows::{WindowRows, reserve_merging};
use crate::error::{Error, Result};
use crate::operator::memory::StateMemory;
use crate::operator::window::{ClosedSessions, Partial, SessionMerge};
use crate::pipeline::ContinuousPlan;
use crate::types::Micros;

/// The sessions of one pipeline that are not over.
#[derive(Debug)]
pub(super) struct PipelineSessions {
    nodes: Vec<SessionMerge>,
    gap: Micros,
}

/// By node, of one window, the numbers of its rows.
type RowsOfWindow = Vec<Vec<u32>>;

impl PipelineSessions {
    /// Nothing yet; `None` if the pipeline's windows are no sessions.
    pub(super) fn try_new(plan: &ContinuousPlan, memory: &StateMemory) -> Result<Option<Self>> {
        if !plan.windowing().session {
            return Ok(None);
        }
        let specs = (0..plan.nodes.len()).filter_map(|i| plan.window_spec(i));
        let nodes = specs.map(|spec| Ok(SessionMerge::try_new(spec.clone(), reserve_merging(plan, memory))?));
        let nodes = nodes.collect::<Result<_>>()?;
        Ok(Some(Self { nodes, gap: plan.windowing().size }))
    }

    /// Takes a shard's partial in.
    ///
    /// # Errors
    /// Internal if the pipeline has no such node.
    pub(super) fn add(&mut self, node: usize, partial: Partial) -> Result<()> {
        match self.nodes.get_mut(node) {
            Some(node) => Ok(node.add(partial)?),
            None => Err(Error::internal("a partial of no node")),
        }
    }

    /// What is left, by node.
    pub(super) fn partials_left(&self) -> impl Iterator<Item = Vec<Partial>> {
        self.nodes.iter().map(|node| node.partials_left().cloned().collect())
    }

    /// Drops the sessions that were out at `closed` already.
    pub(super) fn forget(&mut self, closed: Option<Micros>) -> Result<()> {
        let Some(closed) = closed else { return Ok(()) };
        self.nodes.iter_mut().try_for_each(|node| Ok(node.close(closed, |_| true).map(drop)?))
    }

    /// The rows of the sessions that are over at `watermark`. Those are given up of which rows before `floor` may be missing: one that
    /// begins within the gap after it may have begun before.
    pub(super) async fn close(
        &mut self,
        plan: &ContinuousPlan,
        watermark: Micros,
        floor: Option<Micros>,
    ) -> Result<Vec<WindowRows>> {
        let give_up = |start: Micros| floor.is_some_and(|floor| start.saturating_sub(self.gap) < floor);
        let closed =
            self.nodes.iter_mut().map(|node| Ok(node.close(watermark, give_up)?)).collect::<Result<Vec<_>>>()?;
        if let ([Some(sessions)], true) = (closed.as_slice(), plan.goes_row_by_row()) {
            // What looks at each row by itself need not run for each session by itself.
            let end = sessions.bounds.iter().map(|(_, end)| *end).max().unwrap_or(watermark);
            let rows = plan.finish(vec![Some(sessions.rows.clone())], 0).await?;
            return Ok(vec![WindowRows { end, revision: 0, rows }]);
        }
        let mut out = Vec::new();
        for ((end, _), rows) in by_window(&closed) {
            let rows =
                closed.iter().zip(rows).map(|(node, rows)| chosen(node.as_ref(), rows)).collect::<Result<_>>()?;
            out.push(WindowRows { end, revision: 0, rows: plan.finish(rows, 0).await? });
        }
        Ok(out)
    }

    /// Memory that it holds, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.nodes.iter().map(SessionMerge::bytes).sum()
    }

    /// Sessions that are not over.
    pub(super) fn open(&self) -> OpenWindows {
        OpenWindows {
            sessions: self.nodes.iter().map(SessionMerge::open_sessions).sum(),
            groups: self.nodes.iter().map(SessionMerge::groups).sum(),
            ..OpenWindows::default()
        }
    }
}

/// The windows of sessions that are over, by end and start: sessions of several keys may have the same.
fn by_window(closed: &[Option<ClosedSessions>]) -> BTreeMap<(Micros, Micros), RowsOfWindow> {
    let mut windows: BTreeMap<(Micros, Micros), RowsOfWindow> = BTreeMap::new();
    for (node, sessions) in closed.iter().enumerate() {
        let bounds = sessions.as_ref().map_or(&[][..], |sessions| &sessions.bounds);
        for ((start, end), row) in bounds.iter().zip(0..) {
            let rows = windows.entry((*end, *start)).or_insert_with(|| vec![vec![]; closed.len()]);
            rows[node].push(row);
        }
    }
    windows
}

fn chosen(node: Option<&ClosedSessions>, rows: Vec<u32>) -> Result<Option<RecordBatch>> {
    match node {
        Some(sessions) if !rows.is_empty() => Ok(Some(take_record_batch(&sessions.rows, &UInt32Array::from(rows))?)),
        _ => Ok(None),
    }
}
