//! Windows that are read together, by the rest of a query or by a windowed aggregate over windows, where shards meet: partials in, rows
//! of complete windows out.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use serde::{Deserialize, Serialize};

use super::board::OpenWindows;
use super::revision::changed_rows;
use super::session_windows::PipelineSessions;
use crate::error::{Error, Result};
use crate::operator::memory::{StateMemory, StateReservation};
use crate::operator::window::{PaneKey, Partial, WindowMerge, WindowSpec};
use crate::pipeline::{Cascade, ContinuousPlan, WindowPlan};
use crate::types::arrow_bytes::StoredBatch;
use crate::types::{Micros, floor_to};

/// Rows of one complete window.
#[derive(Debug)]
pub(super) struct WindowRows {
    /// End of the window.
    pub end: Micros,
    /// 0, or 1 for what the allowed lateness changed.
    pub revision: i32,
    /// Rows with the schema of the table, or of what an aggregate over windows reads.
    pub rows: RecordBatch,
}

/// What a [`PipelineWindows`] remembers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct PipelineWindowsState {
    /// By node: what windows still need as revision 0, and as revision 1.
    nodes: Vec<(Vec<Partial>, Vec<Partial>)>,
    /// Windows that end by it are out as revision 0.
    pub closed: Option<Micros>,
    to_revise: BTreeSet<Micros>,
    emitted: BTreeMap<Micros, StoredBatch>,
    /// By end of the window, then node.
    presence: BTreeMap<Micros, Vec<Option<StoredBatch>>>,
    /// How many windows wait.
    pub open: usize,
}

/// The windows that one plan reads and that are not complete, and those that may be revised.
#[derive(Debug)]
pub(super) struct PipelineWindows {
    /// The aggregate over windows that reads them; none if the rest of the query does.
    reader: Option<Arc<Cascade>>,
    /// By place among the nodes that are read together.
    nodes: Vec<Option<NodeWindows>>,
    /// Instead of them, where windows are sessions.
    sessions: Option<PipelineSessions>,
    /// Windows that end by it are out as revision 0.
    closed: Option<Micros>,
    /// Ends of the windows that have rows within the allowed lateness.
    to_revise: BTreeSet<Micros>,
    /// By end of the window: revision 0 of those that may be revised.
    emitted: BTreeMap<Micros, StoredBatch>,
    /// By end of the window, then node: the rows of `CONCURRENCY`, until no more rows of the other nodes can come to them.
    presence: BTreeMap<Micros, Vec<Option<StoredBatch>>>,
    /// For an aggregate over windows: windows that no late row can change any more, since the last look.
    settled: Vec<WindowRows>,
}

/// One windowed aggregate's partials.
#[derive(Debug)]
struct NodeWindows {
    on_time: WindowMerge,
    /// Those within the allowed lateness too; only where there is one.
    revised: Option<WindowMerge>,
}

impl PipelineWindows {
    /// Nothing yet.
    ///
    /// # Errors
    /// If keys of sessions have a type that cannot be compared.
    pub(super) fn try_new(plan: &ContinuousPlan, reader: Option<Arc<Cascade>>, memory: &StateMemory) -> Result<Self> {
        let revises = plan.allowed_lateness() > 0;
        let merge = |spec: &Arc<WindowSpec>, first: fn(&PaneKey) -> Micros| {
            WindowMerge::new(Arc::clone(spec), first, reserve_merging(plan, memory))
        };
        let node = |i: &usize| {
            let spec = plan.window_spec(*i)?;
            Some(NodeWindows {
                on_time: merge(spec, |pane| pane.first_on_time),
                revised: revises.then(|| merge(spec, |pane| pane.first_window)),
            })
        };
        let sessions = PipelineSessions::try_new(plan, memory)?;
        let nodes = if sessions.is_none() { &*read_by(plan, reader.as_ref()).nodes } else { &[] };
        Ok(Self {
            nodes: nodes.iter().map(node).collect(),
            reader,
            sessions,
            closed: None,
            to_revise: BTreeSet::new(),
            emitted: BTreeMap::new(),
            presence: BTreeMap::new(),
            settled: Vec::new(),
        })
    }

    /// Goes on from the state of the same pipeline.
    ///
    /// # Errors
    /// Internal if the state is of another one.
    pub(super) fn resume(
        plan: &ContinuousPlan,
        reader: Option<Arc<Cascade>>,
        mut state: PipelineWindowsState,
        memory: &StateMemory,
    ) -> Result<Self> {
        let mut windows = Self::try_new(plan, reader, memory)?;
        if let Some(sessions) = &mut windows.sessions {
            for (node, (partials, _)) in state.nodes.into_iter().enumerate() {
                partials.into_iter().try_for_each(|partial| sessions.add(node, partial))?;
            }
            sessions.forget(state.closed)?;
            return Ok(Self { closed: state.closed, ..windows });
        }
        if windows.nodes.len() != state.nodes.len() {
            return Err(Error::internal("a state of another pipeline"));
        }
        for (node, (on_time, revised)) in windows.nodes.iter_mut().zip(std::mem::take(&mut state.nodes)) {
            match node {
                Some(node) => {
                    on_time.into_iter().for_each(|p| node.on_time.add(p));
                    if let Some(all) = &mut node.revised {
                        revised.into_iter().for_each(|p| all.add(p));
                    }
                }
                None if on_time.is_empty() && revised.is_empty() => {}
                None => return Err(Error::internal("a state of another pipeline")),
            }
        }
        let PipelineWindowsState { closed, to_revise, emitted, presence, .. } = state;
        Ok(Self { closed, to_revise, emitted, presence, ..windows })
    }

    /// A copy of the state.
    pub(super) fn state(&self) -> PipelineWindowsState {
        let partials = |merge: &WindowMerge| merge.partials_left().cloned().collect();
        let of_node = |node: &Option<NodeWindows>| match node {
            Some(node) => (partials(&node.on_time), node.revised.as_ref().map(partials).unwrap_or_default()),
            None => Default::default(),
        };
        PipelineWindowsState {
            nodes: match &self.sessions {
                Some(sessions) => sessions.partials_left().map(|left| (left, vec![])).collect(),
                None => self.nodes.iter().map(of_node).collect(),
            },
            closed: self.closed,
            to_revise: self.to_revise.clone(),
            emitted: self.emitted.clone(),
            presence: self.presence.clone(),
            open: self.open().count(),
        }
    }

    /// Takes a shard's partial in.
    ///
    /// # Errors
    /// Internal if the pipeline has no such node.
    pub(super) fn add(&mut self, node: usize, partial: Partial) -> Result<()> {
        if let Some(sessions) = &mut self.sessions {
            return sessions.add(node, partial);
        }
        let node = self.aggregate(node)?;
        let windowing = node.on_time.spec().windowing;
        let pane = partial.pane;
        let revised = node.revised.as_mut().map(|revised| revised.add(partial.clone()));
        if pane.first_on_time < windowing.first_without(pane.end) {
            node.on_time.add(partial);
        }
        if revised.is_some() {
            self.to_revise
                .extend(windowing.ends(pane.end, pane.first_window).take_while(|end| *end < pane.first_on_time));
        }
        Ok(())
    }

    /// Takes the rows of a complete window of `CONCURRENCY` in, for a node that asks for it.
    pub(super) fn add_presence(&mut self, node: usize, end: Micros, rows: RecordBatch) {
        let nodes = self.nodes.len();
        let of_window = self.presence.entry(end).or_insert_with(|| vec![None; nodes]);
        if let Some(place) = of_window.get_mut(node) {
            *place = Some(StoredBatch(rows));
        }
    }

    /// The end of the first window that is not out and has rows of `CONCURRENCY`.
    fn next_presence(&self) -> Option<Micros> {
        let after = self.closed.map_or(Bound::Unbounded, Bound::Excluded);
        self.presence.range((after, Bound::Unbounded)).next().map(|(end, _)| *end)
    }

    /// Takes a pane of an aggregate over windows in, as it is without the rows within the allowed lateness.
    ///
    /// # Errors
    /// Internal if there is no such node.
    pub(super) fn add_on_time(&mut self, node: usize, partial: Partial) -> Result<()> {
        self.aggregate(node).map(|node| node.on_time.add(partial))
    }

    /// Takes the same pane in as it is with them.
    ///
    /// # Errors
    /// Internal if there is no such node.
    pub(super) fn add_settled(&mut self, node: usize, partial: Partial) -> Result<()> {
        self.aggregate(node).map(|node| node.revised.iter_mut().for_each(|all| all.add(partial.clone())))
    }

    /// Notes that rows within the allowed lateness have changed the pane of an aggregate over windows that ends at `pane_end`.
    ///
    /// # Errors
    /// Internal if there is no such node.
    pub(super) fn note_revised(&mut self, node: usize, pane_end: Micros) -> Result<()> {
        let windowing = self.aggregate(node)?.on_time.spec().windowing;
        self.to_revise.extend(windowing.ends(pane_end, pane_end));
        Ok(())
    }

    fn aggregate(&mut self, node: usize) -> Result<&mut NodeWindows> {
        let node = self.nodes.get_mut(node).and_then(Option::as_mut);
        node.ok_or_else(|| Error::internal("a partial of no node"))
    }

    /// Windows that no late row can change any more, each once: as they were written, or of revision 1 if late rows have changed them.
    pub(super) fn take_settled(&mut self) -> Vec<WindowRows> {
        std::mem::take(&mut self.settled)
    }

    /// What reads the rows of a complete window.
    async fn finish(
        &self,
        plan: &ContinuousPlan,
        rows: Vec<Option<RecordBatch>>,
        revision: i32,
    ) -> Result<RecordBatch> {
        match &self.reader {
            Some(cascade) => plan.feed(cascade, rows).await,
            None => plan.finish(rows, revision).await,
        }
    }

    /// The rows of all windows that are complete at `watermark`, but for those that begin before `floor`: revision 0 of those that end
    /// by it, then revision 1 of those whose allowed lateness does.
    pub(super) async fn close(
        &mut self,
        plan: &ContinuousPlan,
        watermark: Micros,
        floor: Option<Micros>,
    ) -> Result<Vec<WindowRows>> {
        if let Some(sessions) = &mut self.sessions {
            self.closed = self.closed.max(Some(watermark));
            return sessions.close(plan, watermark, floor).await;
        }
        let read = read_by(plan, self.reader.as_ref());
        let windowing = plan.windowing_of(read);
        let begins_before_end = windowing.size.saturating_add(plan.reach_of(read));
        let give_up = |end| is_given_up(floor, end, begins_before_end);
        let mut out = Vec::new();
        while let Some(end) = self.next_end().filter(|end| *end <= watermark) {
            self.closed = Some(end);
            if give_up(end) {
                self.nodes.iter_mut().flatten().for_each(|node| node.on_time.skip(end));
                continue;
            }
            let rows = self.merged(end, |node| Some(&mut node.on_time))?;
            if rows.iter().all(Option::is_none) {
                continue;
            }
            let rows = self.finish(plan, rows, 0).await?;
            if plan.allowed_lateness() > 0 {
                self.emitted.insert(end, StoredBatch(rows.clone()));
            }
            out.push(WindowRows { end, revision: 0, rows });
        }
        // As far as windows could have been, had there been rows.
        let slide = windowing.slide;
        if watermark < Micros::MAX && slide > 0 {
            self.closed = self.closed.max(Some(floor_to(watermark, slide)));
        }
        self.revise(plan, watermark, give_up, &mut out).await?;
        Ok(out)
    }

    async fn revise(
        &mut self,
        plan: &ContinuousPlan,
        watermark: Micros,
        give_up: impl Fn(Micros) -> bool,
        out: &mut Vec<WindowRows>,
    ) -> Result<()> {
        let last = watermark.saturating_sub(plan.allowed_lateness());
        if self.reader.is_some() {
            self.settle(plan, last, &give_up).await?;
        }
        while let Some(end) = self.to_revise.first().copied().filter(|end| *end <= last) {
            self.to_revise.remove(&end);
            if give_up(end) {
                continue;
            }
            let rows = match (self.revised(plan, end).await?, self.emitted.get(&end)) {
                (Some(revised), Some(StoredBatch(emitted))) => changed_rows(emitted, &revised, plan.key_columns())?,
                (Some(revised), None) => revised,
                // All that it had is gone.
                (None, Some(StoredBatch(emitted))) => changed_rows(emitted, &emitted.slice(0, 0), plan.key_columns())?,
                (None, None) => continue,
            };
            out.push(WindowRows { end, revision: 1, rows });
        }
        self.nodes.iter_mut().flatten().filter_map(|node| node.revised.as_mut()).for_each(|merge| merge.skip(last));
        let next = last.checked_add(1);
        self.emitted = next.map(|next| self.emitted.split_off(&next)).unwrap_or_default();
        self.presence = next.map(|next| self.presence.split_off(&next)).unwrap_or_default();
        Ok(())
    }

    /// What a window comes to with the rows within the allowed lateness; none if no node has a row in it, as with revision 0.
    async fn revised(&mut self, plan: &ContinuousPlan, end: Micros) -> Result<Option<RecordBatch>> {
        let rows = self.merged(end, |node| node.revised.as_mut())?;
        if rows.iter().all(Option::is_none) {
            return Ok(None);
        }
        self.finish(plan, rows, 1).await.map(Some)
    }

    /// Finds the windows up to `last` that no late row can change any more.
    async fn settle(&mut self, plan: &ContinuousPlan, last: Micros, give_up: &impl Fn(Micros) -> bool) -> Result<()> {
        if plan.allowed_lateness() == 0 {
            return Ok(());
        }
        let ends: BTreeSet<Micros> = self.emitted.keys().chain(&self.to_revise).copied().collect();
        for end in ends.into_iter().take_while(|end| *end <= last) {
            let (revised, emitted) = (self.to_revise.remove(&end), self.emitted.remove(&end));
            if give_up(end) {
                continue;
            }
            if revised {
                // Of nothing there is none, unless it was something first.
                let rows = match (self.revised(plan, end).await?, &emitted) {
                    (Some(rows), _) => rows,
                    (None, Some(StoredBatch(emitted))) => emitted.slice(0, 0),
                    (None, None) => continue,
                };
                self.settled.push(WindowRows { end, revision: 1, rows });
            } else if let Some(StoredBatch(rows)) = emitted {
                self.settled.push(WindowRows { end, revision: 0, rows });
            }
        }
        Ok(())
    }

    fn next_end(&self) -> Option<Micros> {
        let of_nodes = self.nodes.iter().flatten().filter_map(|node| node.on_time.next_end(self.closed));
        of_nodes.chain(self.next_presence()).min()
    }

    /// Each node's rows of one window.
    fn merged(
        &mut self,
        end: Micros,
        merge: impl Fn(&mut NodeWindows) -> Option<&mut WindowMerge>,
    ) -> Result<Vec<Option<RecordBatch>>> {
        let mut rows = Vec::new();
        let presence = self.presence.get(&end);
        for (i, node) in self.nodes.iter_mut().enumerate() {
            rows.push(match node.as_mut().and_then(&merge) {
                Some(merge) => merge.window(end)?,
                None => presence.and_then(|nodes| Some(nodes.get(i)?.as_ref()?.0.clone())),
            });
        }
        Ok(rows)
    }

    /// Memory that it holds, in bytes. (What is on time and what may be revised are mostly the same arrays.)
    pub(super) fn bytes(&self) -> usize {
        if let Some(sessions) = &self.sessions {
            return sessions.bytes();
        }
        let of_node = |node: &NodeWindows| match &node.revised {
            Some(revised) => node.on_time.bytes().max(revised.bytes()),
            None => node.on_time.bytes(),
        };
        let presence = self.presence.values().flatten().flatten();
        let stored = self.emitted.values().chain(presence).map(|StoredBatch(rows)| rows.get_array_memory_size());
        self.nodes.iter().flatten().map(of_node).sum::<usize>() + stored.sum::<usize>()
    }

    /// Windows that shards have begun to hand over and that are not complete.
    pub(super) fn open(&self) -> OpenWindows {
        if let Some(sessions) = &self.sessions {
            return sessions.open();
        }
        let waiting = self.emitted.keys().chain(self.presence.keys());
        let mut open = OpenWindows { ends: waiting.copied().collect(), ..OpenWindows::default() };
        for node in self.nodes.iter().flatten() {
            let windowing = node.on_time.spec().windowing;
            let after =
                |first: Micros| self.closed.map_or(first, |closed| first.max(closed.saturating_add(windowing.slide)));
            // What may be revised holds what is on time too.
            for partial in node.revised.as_ref().unwrap_or(&node.on_time).partials_left() {
                open.groups += partial.groups;
                open.ends.extend(windowing.ends(partial.pane.end, after(partial.pane.first_window)));
            }
        }
        open.ends.extend(&self.to_revise);
        open
    }
}

/// The plan that reads windows.
fn read_by<'p>(plan: &'p ContinuousPlan, reader: Option<&'p Arc<Cascade>>) -> &'p WindowPlan {
    reader.map_or(plan.rest(), |cascade| cascade.input())
}

/// What the merging of a pipeline's windows takes of the job's memory.
pub(super) fn reserve_merging(plan: &ContinuousPlan, memory: &StateMemory) -> StateReservation {
    memory.reserve(format!("windows of {} that are merged", plan.name))
}

/// Whether a window begins before `floor`.
pub(super) fn is_given_up(floor: Option<Micros>, window_end: Micros, size: Micros) -> bool {
    floor.is_some_and(|floor| window_end.saturating_sub(size) < floor)
}
