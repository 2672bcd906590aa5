//! Where shards meet: partials of all shards become complete windows, and those the rows of tables.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use serde::{Deserialize, Serialize};

use super::board::{CombineStatus, OpenWindows};
use super::cascades::{Cascades, CascadesState};
use super::inquiry::Unclosed;
use super::pipeline_windows::is_given_up;
use super::pipelines::Pipelines;
use super::shard_stage::ShardPartials;
use super::watermarks::Progress;
use crate::error::{Error, Result};
use crate::operator::concurrency::{Concurrency, ConcurrencyQuery, ConcurrencyState, Seen, UnclosedWindow};
use crate::operator::memory::StateReservation;
use crate::operator::window::Partial;
use crate::pipeline::{ContinuousPlan, Node, StatefulNode};
use crate::types::{Micros, ShardId};

/// News of one shard. Messages of a shard must come in the order of its reads.
#[derive(Debug)]
pub struct ShardMessage {
    /// The shard.
    pub shard: ShardId,
    /// Buckets that saw events.
    pub seen: Vec<Seen>,
    /// What the shard closed.
    pub partials: ShardPartials,
    /// Its watermark now; `None` before anything is known.
    pub watermark: Option<Micros>,
}

/// Rows of one complete window for one table; of sessions, of several.
#[derive(Debug, PartialEq)]
pub struct Emission {
    /// Index of the pipeline.
    pub pipeline: usize,
    /// End of the window; the last one's, if there are several.
    pub window_end: Micros,
    /// 0, or 1 for what the allowed lateness changed.
    pub revision: i32,
    /// Rows with the table's schema.
    pub rows: RecordBatch,
}

/// What a [`Combine`] remembers: windows that wait for shards or for late rows, watermarks, presence.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CombineState {
    concurrency: Option<ConcurrencyState>,
    /// By the pipeline's table.
    windows: BTreeMap<String, CascadesState>,
    /// By shard. Watermarks depend on delays, which another run may have others of.
    high_times: BTreeMap<ShardId, Option<Micros>>,
    /// The lowest that the job has gone by.
    high_time: Option<Micros>,
    /// Windows that end by it are out, of some table.
    out: Option<Micros>,
}

/// Merges what shards hand over; owns the state that needs all shards.
pub struct Combine {
    pipelines: Arc<Pipelines>,
    concurrency: Option<Concurrency>,
    /// By pipeline.
    windows: Vec<Cascades>,
    watermarks: HashMap<ShardId, Option<Micros>>,
    watermark: Option<Micros>,
    progress: Progress,
    /// By pipeline: its windows that begin before are given up.
    floors: Vec<Option<Micros>>,
    /// By pipeline, and then of presence: what they take of the job's memory.
    memory: Vec<StateReservation>,
}

impl CombineState {
    /// The lowest high time of the shards: by it was decided which windows are out.
    pub fn high_time(&self) -> Option<Micros> {
        self.high_time
    }

    /// Windows that end by it may be out; no window that ends later is, of any table.
    pub fn out(&self) -> Option<Micros> {
        self.out
    }

    /// Windows of a table that end by it are out as revision 0, and those whose allowed lateness does as revision 1.
    pub(super) fn closed(&self, table: &str) -> Option<Micros> {
        self.windows.get(table)?.closed()
    }

    /// Sessions and streams remembered.
    pub fn remembered(&self) -> (usize, usize) {
        self.concurrency.as_ref().map_or((0, 0), ConcurrencyState::remembered)
    }

    /// Whether windows wait; those of concurrency, which are known by who is present, aside.
    pub(super) fn has_open_windows(&self) -> bool {
        self.windows.values().any(|windows| windows.open() > 0)
    }

    /// Gives up the windows of a table that wait.
    pub(super) fn forget(&mut self, table: &str) {
        self.windows.remove(table);
    }

    /// Gives up who is present.
    pub(super) fn forget_presence(&mut self) {
        self.concurrency = None;
    }

    /// What all tables of concurrency share, if there are any.
    pub(super) fn concurrency(&mut self) -> Option<&mut ConcurrencyState> {
        self.concurrency.as_mut()
    }
}

impl Combine {
    /// Nothing yet.
    pub fn try_new(pipelines: Arc<Pipelines>) -> Result<Self> {
        let names = pipelines.plans.iter().map(|plan| format!("windows of {} that wait for shards", plan.name));
        let names = names.chain(["sessions and streams".to_owned()]);
        Ok(Self {
            memory: names.map(|name| pipelines.memory.reserve(name)).collect(),
            concurrency: pipelines.concurrency()?,
            windows: pipelines
                .plans
                .iter()
                .map(|plan| Cascades::try_new(plan, &pipelines.memory))
                .collect::<Result<_>>()?,
            watermarks: HashMap::new(),
            watermark: None,
            progress: Progress::default(),
            floors: vec![None; pipelines.plans.len()],
            pipelines,
        })
    }

    /// Takes watermarks for this.
    pub fn going_by(self, progress: Progress) -> Self {
        Self { progress, ..self }
    }

    /// Gives up the windows of each pipeline that begin before its floor.
    pub fn give_up_before(&mut self, floor: impl Fn(&ContinuousPlan) -> Option<Micros>) {
        self.floors = self.pipelines.plans.iter().map(floor).collect();
    }

    /// Takes the state out, to be put away.
    pub fn suspend(&mut self) -> Result<CombineState> {
        self.state_by(Cascades::suspend)
    }

    /// A copy of the state, between two messages.
    pub fn state(&mut self) -> Result<CombineState> {
        self.state_by(Cascades::state)
    }

    fn state_by(&mut self, state: impl Fn(&mut Cascades) -> Result<CascadesState>) -> Result<CombineState> {
        let names = self.pipelines.plans.iter().map(|p| p.name.clone());
        let windows = names.zip(&mut self.windows).map(|(name, windows)| Ok((name, state(windows)?)));
        let (delay, lead) = (self.pipelines.options.watermark_delay, self.pipelines.lead());
        let high_time = |watermark: Micros| watermark.saturating_add(delay);
        Ok(CombineState {
            windows: windows.collect::<Result<_>>()?,
            concurrency: self.concurrency.as_ref().map(Concurrency::state),
            high_times: self.watermarks.iter().map(|(shard, w)| (Arc::clone(shard), w.map(high_time))).collect(),
            high_time: self.watermark.map(high_time),
            out: self.watermark.map(|watermark| watermark.saturating_add(lead)),
        })
    }

    /// Goes on from a state. Pipelines that it is not of begin without windows.
    ///
    /// # Errors
    /// Internal if the state is of pipelines that are not there, or were others.
    pub fn resume(pipelines: Arc<Pipelines>, mut state: CombineState) -> Result<Self> {
        let mut combine = Self::try_new(pipelines)?;
        match (combine.concurrency.is_some(), state.concurrency) {
            (true, Some(concurrency)) => {
                let (queries, options) = (&combine.pipelines.queries, combine.pipelines.options.concurrency);
                combine.concurrency = Some(Concurrency::restore(queries, options, concurrency)?);
            }
            (_, None) => {}
            (false, Some(_)) => return Err(Error::internal("a state of sessions that nobody asks for")),
        }
        for (plan, windows) in combine.pipelines.plans.iter().zip(&mut combine.windows) {
            if let Some(state) = state.windows.remove(&plan.name) {
                *windows = Cascades::resume(plan, state, &combine.pipelines.memory)?;
            }
        }
        if let Some(table) = state.windows.keys().next() {
            return Err(Error::internal(format!("a state of the pipeline {table}, which is not there")));
        }
        let delay = combine.pipelines.options.watermark_delay;
        // The end of all input stays that.
        let watermark = |high_time: Micros| match high_time {
            Micros::MAX => high_time,
            _ => high_time.saturating_sub(delay),
        };
        combine.watermarks = state.high_times.into_iter().map(|(shard, high)| (shard, high.map(watermark))).collect();
        combine.watermark = state.high_time.map(watermark);
        combine.hold()?;
        Ok(combine)
    }

    /// A shard takes part: no window closes before its watermark has passed.
    pub fn join(&mut self, shard: ShardId) {
        self.watermarks.entry(shard).or_default();
    }

    /// Takes a shard's news in; gives the windows that became complete.
    pub async fn handle(&mut self, message: ShardMessage) -> Result<Vec<Emission>> {
        if let Some(concurrency) = &mut self.concurrency {
            concurrency.saw(&message.seen);
            message.partials.marks.into_iter().try_for_each(|marks| concurrency.add(marks))?;
        }
        for (pipeline, node, partial) in message.partials.windows {
            self.add(pipeline, node, partial)?;
        }
        let known = self.watermarks.entry(message.shard).or_default();
        *known = (*known).max(message.watermark);
        self.advance().await
    }

    /// A shard was drained: it holds the others back no more.
    pub async fn leave(&mut self, shard: &ShardId) -> Result<Vec<Emission>> {
        self.watermarks.remove(shard);
        if self.watermarks.is_empty() { Ok(vec![]) } else { self.advance().await }
    }

    /// The end of all input: every window up to the one that holds the latest event is complete.
    pub async fn finish(&mut self) -> Result<Vec<Emission>> {
        self.watermarks.clear();
        self.watermark = Some(Micros::MAX);
        self.emit(Micros::MAX).await
    }

    fn add(&mut self, pipeline: usize, node: usize, partial: Partial) -> Result<()> {
        let (Some(plan), Some(windows)) = (self.pipelines.plans.get(pipeline), self.windows.get_mut(pipeline)) else {
            return Err(Error::internal("a partial of no pipeline"));
        };
        // Its last window begins where the pane does. When a session begins is known when it is over.
        let windowing = plan.nodes.get(node).map_or(plan.windowing(), StatefulNode::windowing);
        let floor = self.floors.get(pipeline).copied().flatten();
        if !windowing.session && is_given_up(floor, partial.pane.end, windowing.slide) {
            return Ok(());
        }
        let Some(memory) = self.memory.get_mut(pipeline) else {
            return Err(Error::internal("a pipeline without memory"));
        };
        if windowing.session {
            // Sessions that go on are merged from time to time, and take less then.
            windows.add(node, partial)?;
            return Ok(memory.hold(windows.bytes())?);
        }
        memory.take(partial.bytes())?;
        windows.add(node, partial)
    }

    /// Accounts for the memory that the state takes now.
    fn hold(&mut self) -> Result<()> {
        let presence = self.concurrency.as_ref().map_or(0, Concurrency::bytes);
        let bytes = self.windows.iter().map(Cascades::bytes).chain([presence]);
        self.memory.iter_mut().zip(bytes).try_for_each(|(memory, bytes)| Ok(memory.hold(bytes)?))
    }

    async fn advance(&mut self) -> Result<Vec<Emission>> {
        let Some(lowest) = self.watermarks.values().min().copied().flatten() else { return Ok(vec![]) };
        if self.watermark.is_some_and(|w| lowest <= w) {
            return Ok(vec![]);
        }
        self.watermark = Some(lowest);
        self.emit(lowest).await
    }

    async fn emit(&mut self, watermark: Micros) -> Result<Vec<Emission>> {
        let mut out = Vec::new();
        for plan in &self.pipelines.plans {
            plan.put_lookups(|wanted| self.pipelines.lookups.index(wanted))?;
        }
        let mut changed = self.count_presence(watermark)?;
        let of_pipelines = self.pipelines.plans.iter().zip(&self.floors);
        for (i, ((plan, floor), windows)) in of_pipelines.zip(&mut self.windows).enumerate() {
            let of_table = self.progress.of_table(&self.pipelines, plan, watermark);
            let until = complete_until(plan, of_table, &self.pipelines, self.concurrency.as_ref());
            let (complete, added) = windows.close(plan, until, *floor).await?;
            changed |= added;
            for complete in complete {
                push(&mut out, i, complete.end, complete.revision, complete.rows);
            }
        }
        if changed || !out.is_empty() {
            self.hold()?;
        }
        Ok(out)
    }

    /// Resolves presence up to `watermark` and gives its complete windows to the nodes that ask for them. Whether there were any.
    fn count_presence(&mut self, watermark: Micros) -> Result<bool> {
        let Some(concurrency) = &mut self.concurrency else { return Ok(false) };
        let complete = concurrency.advance(watermark)?;
        for window in &complete {
            let query = self.pipelines.queries.get(window.query);
            for (plan, windows) in self.pipelines.plans.iter().zip(&mut self.windows) {
                let asks = |node: &StatefulNode| matches!(&node.node, Node::Concurrency(q) if Some(q) == query);
                for (node, _) in plan.nodes.iter().enumerate().filter(|(_, node)| asks(node)) {
                    windows.add_presence(node, window.window_end, window.rows.clone())?;
                }
            }
        }
        Ok(!complete.is_empty())
    }

    /// The pipeline watermark: the lowest of its shards'.
    pub fn watermark(&self) -> Option<Micros> {
        self.watermark
    }

    /// What is to be known about it now, but for its open windows.
    pub fn status(&self) -> CombineStatus {
        CombineStatus {
            watermark: self.watermark,
            presence: self.concurrency.as_ref().and_then(Concurrency::present),
            remembered: self.concurrency.as_ref().map_or((0, 0), Concurrency::remembered),
            ignored_touches: self.ignored_touches(),
            state_bytes: (self.pipelines.memory.bytes(), self.pipelines.memory.bytes_max()),
            open: Vec::new(),
        }
    }

    /// By pipeline, the windows that shards have begun to hand over and that are not complete. It looks at every partial that waits, and at
    /// each window of it.
    pub fn open_windows(&self) -> Vec<OpenWindows> {
        (0..self.windows.len()).map(|pipeline| self.open_windows_of(pipeline)).collect()
    }

    /// A table's windows that are not complete, as far as presence is resolved: one for each `CONCURRENCY` of its query, and none before
    /// anything is resolved. Asking changes nothing.
    ///
    /// # Errors
    /// A user error if there is no such table, or it has no `CONCURRENCY`.
    pub fn unclosed(&self, table: &str) -> Result<Vec<Unclosed>> {
        let plans = &self.pipelines.plans;
        let asked = plans.iter().zip(&self.floors).find(|(plan, _)| plan.name == table && plan.reads_concurrency());
        let (Some((plan, floor)), Some(concurrency)) = (asked, &self.concurrency) else {
            let count = plans.iter().filter(|plan| plan.reads_concurrency()).map(|plan| plan.name.as_str());
            let count = count.collect::<Vec<_>>().join(", ");
            return Err(
                Error::user(format!("no table {table} that counts presence")).hint(format!("those that do: {count}"))
            );
        };
        let mut queries: Vec<usize> = Vec::new();
        let numbers =
            plan.concurrency_queries().filter_map(|q| self.pipelines.queries.iter().position(|known| known == q));
        numbers.for_each(|number| {
            if !queries.contains(&number) {
                queries.push(number)
            }
        });
        let windows = queries.into_iter().filter_map(|query| concurrency.unclosed(query).transpose());
        let of_table =
            |window: UnclosedWindow| Unclosed { given_up: floor.is_some_and(|f| window.window_start < f), window };
        windows.map(|window| window.map(of_table)).collect()
    }

    /// Touches of closed sessions so far, by pipeline: those that count for it nowhere.
    pub fn ignored_touches(&self) -> Vec<u64> {
        let of_plan = |plan| {
            let query = self.pipelines.ignoring_query(plan)?;
            self.concurrency.as_ref().map(|concurrency| concurrency.ignored_touches(query))
        };
        self.pipelines.plans.iter().map(|plan| of_plan(plan).unwrap_or(0)).collect()
    }

    fn open_windows_of(&self, pipeline: usize) -> OpenWindows {
        let mut open = self.windows.get(pipeline).map(Cascades::open).unwrap_or_default();
        let nodes = self.pipelines.plans.get(pipeline).map_or(&[][..], |p| &p.nodes);
        for node in nodes {
            let Node::Concurrency(asked) = &node.node else { continue };
            let query = self.pipelines.queries.iter().position(|q| q == asked);
            if let (Some(query), Some(concurrency)) = (query, &self.concurrency) {
                let (ends, groups) = concurrency.open_windows(query);
                open.ends.extend(ends);
                open.groups += groups;
            }
        }
        open
    }
}

/// Up to where the windows of a pipeline are complete at `watermark`: those of `CONCURRENCY` may be held back until it is known whether
/// they are to be given, and the others of the same query with them.
fn complete_until(
    plan: &ContinuousPlan,
    watermark: Micros,
    pipelines: &Pipelines,
    concurrency: Option<&Concurrency>,
) -> Micros {
    if watermark == Micros::MAX {
        return watermark;
    }
    let query = |asked: &ConcurrencyQuery| pipelines.queries.iter().position(|q| q == asked);
    let given = |asked| concurrency?.given_until(query(asked)?, watermark);
    plan.concurrency_queries().filter_map(given).fold(watermark, Micros::min)
}

fn push(out: &mut Vec<Emission>, pipeline: usize, window_end: Micros, revision: i32, rows: RecordBatch) {
    if rows.num_rows() > 0 {
        out.push(Emission { pipeline, window_end, revision, rows });
    }
}
