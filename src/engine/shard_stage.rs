//! The windowed operators over one shard's batches.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::record_batch::RecordBatch;
use serde::{Deserialize, Serialize};

use super::board::OpenWindows;
use super::counters::PipelineCounts;
use super::pipelines::Pipelines;
use super::watermarks::Progress;
use crate::error::{Error, Result};
use crate::limits::PLAN_BATCH_ROWS_MAX;
use crate::operator::concurrency::{Concurrency, MarksPartial, MarksState, Seen, ShardMarks};
use crate::operator::memory::StateReservation;
use crate::operator::window::{Partial, ShardWindows, TextCodes, UpdateCounts, WindowsState, rows_by_number};
use crate::pipeline::{ShardPlan, number_rows};
use crate::types::Micros;

/// All pipelines' state in one shard. No lock of it is shared with another shard.
///
/// A backfill runs the same stage over slices of the input instead of shards: given the verdicts on lateness, any split gives
/// the same result.
pub struct ShardStage {
    pipelines: Arc<Pipelines>,
    /// By pipeline, then node.
    plans: Vec<Vec<Option<ShardPlan>>>,
    marks: Option<ShardMarks>,
    /// Of queries with several windowed nodes: what became of the rows, each counted once.
    joined: Vec<Option<UpdateCounts>>,
    rows_seen: u64,
    progress: Progress,
    /// By pipeline, and then of the marks: what they take of the job's memory.
    memory: Vec<StateReservation>,
}

/// What a [`ShardStage`] remembers: its open windows and marks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StageState {
    /// By the pipeline's table, then node; none where the node is no windowed aggregate.
    windows: BTreeMap<String, Vec<Option<WindowsState>>>,
    marks: Option<MarksState>,
}

/// What processing a batch brought to light.
#[derive(Debug, Default)]
pub struct Processed {
    /// Late rows, whole, by pipeline.
    pub late: Vec<(usize, RecordBatch)>,
    /// Which concurrency buckets saw events.
    pub seen: Vec<Seen>,
}

/// What a shard hands over when its watermark passes.
#[derive(Debug, Default)]
pub struct ShardPartials {
    /// (pipeline, node, partial).
    pub windows: Vec<(usize, usize, Partial)>,
    /// Buckets of marks.
    pub marks: Vec<MarksPartial>,
}

impl StageState {
    /// Whether a window of some pipeline is open; those of concurrency are where shards meet.
    pub(super) fn has_open_windows(&self) -> bool {
        self.windows.values().flatten().flatten().any(|windows| windows.open() > 0)
    }

    /// Gives up the windows of a table.
    pub(super) fn forget(&mut self, table: &str) {
        self.windows.remove(table);
    }

    /// Gives up the marks of sessions.
    pub(super) fn forget_marks(&mut self) {
        self.marks = None;
    }

    /// The marks of sessions, if there are any.
    pub(super) fn marks(&mut self) -> Option<&mut MarksState> {
        self.marks.as_mut()
    }
}

impl ShardStage {
    /// A stage without state.
    pub fn try_new(pipelines: Arc<Pipelines>) -> Result<Self> {
        let codes = Arc::new(TextCodes::default());
        let plans = pipelines.plans.iter().map(|p| p.shard_plans(pipelines.rule(p), &codes));
        let plans: Vec<Vec<Option<ShardPlan>>> = plans.collect::<Result<_>>()?;
        let marks = if pipelines.queries.is_empty() {
            None
        } else {
            Some(ShardMarks::try_new(
                &pipelines.contract.events_schema(),
                Concurrency::finest_window(&pipelines.queries)?,
                pipelines.base_rule(),
                &Concurrency::dimension_names(&pipelines.queries),
            )?)
        };
        let joined = plans.iter().map(|nodes| (nodes.len() > 1).then(UpdateCounts::default)).collect();
        for plan in plans.iter().filter(|nodes| nodes.len() > 1).flatten().flatten() {
            lock(&plan.windows).remember_rows();
        }
        let names = pipelines.plans.iter().map(|plan| format!("open windows of {}", plan.name));
        let names = names.chain(["marks of sessions in open windows".to_owned()]);
        let memory = names.map(|name| pipelines.memory.reserve(name)).collect();
        Ok(Self { pipelines, plans, marks, joined, rows_seen: 0, progress: Progress::default(), memory })
    }

    /// Takes watermarks for this.
    pub fn going_by(self, progress: Progress) -> Self {
        Self { progress, ..self }
    }

    /// Takes the state out, to be put away.
    pub fn suspend(&mut self) -> Result<StageState> {
        let windows_of = |plan: &Option<ShardPlan>| plan.as_ref().map(|p| lock(&p.windows).suspend()).transpose();
        let mut windows = BTreeMap::new();
        for (plan, nodes) in self.pipelines.plans.iter().zip(&self.plans) {
            windows.insert(plan.name.clone(), nodes.iter().map(windows_of).collect::<Result<_, _>>()?);
        }
        let marks = self.marks.as_ref().map(ShardMarks::state);
        Ok(StageState { windows, marks })
    }

    /// A copy of the state, between two reads.
    pub fn state(&mut self) -> Result<StageState> {
        let state = self.suspend()?;
        for (pipeline, nodes) in self.pipelines.plans.iter().zip(&self.plans) {
            resume_nodes(nodes, state.windows.get(&pipeline.name).into_iter().flatten().cloned())?;
        }
        Ok(state)
    }

    /// A stage that goes on from a state. Pipelines that it is not of begin without windows.
    ///
    /// # Errors
    /// Internal if the state is of pipelines that are not there, or were others.
    pub fn resume(pipelines: Arc<Pipelines>, mut state: StageState) -> Result<Self> {
        let mut stage = Self::try_new(pipelines)?;
        for (pipeline, nodes) in stage.pipelines.plans.iter().zip(&stage.plans) {
            let Some(given) = state.windows.remove(&pipeline.name) else { continue };
            if !nodes.iter().map(Option::is_some).eq(given.iter().map(Option::is_some)) {
                return Err(Error::internal(format!("a shard's state is of another pipeline than {}", pipeline.name)));
            }
            resume_nodes(nodes, given)?;
        }
        match (&mut stage.marks, state.marks) {
            (Some(marks), Some(state)) => marks.restore(state)?,
            (_, None) => {}
            (None, Some(_)) => return Err(Error::internal("a shard's state has marks that nobody asks for")),
        }
        if let Some(table) = state.windows.keys().next() {
            return Err(Error::internal(format!("a shard's state is of the pipeline {table}, which is not there")));
        }
        stage.hold()?;
        Ok(stage)
    }

    /// Runs every pipeline over a batch of judged events: a read's, which joins one version of each lookup table.
    pub async fn process(&mut self, events: &RecordBatch) -> Result<Processed> {
        let mut out = Processed::default();
        for plan in self.plans.iter().flatten().flatten() {
            plan.put_lookups(|wanted| self.pipelines.lookups.index(wanted))?;
        }
        let mut offset = 0;
        while offset < events.num_rows() {
            let rows = PLAN_BATCH_ROWS_MAX.min(events.num_rows() - offset);
            self.process_slice(&events.slice(offset, rows), &mut out).await?;
            offset += rows;
        }
        self.hold()?;
        Ok(out)
    }

    /// Accounts for the memory that the state takes now.
    fn hold(&mut self) -> Result<()> {
        let windows = |nodes: &Vec<Option<ShardPlan>>| -> usize {
            nodes.iter().flatten().map(|plan| lock(&plan.windows).bytes()).sum()
        };
        let marks = self.marks.as_ref().map_or(0, ShardMarks::bytes);
        let bytes = self.plans.iter().map(windows).chain([marks]);
        self.memory.iter_mut().zip(bytes).try_for_each(|(memory, bytes)| Ok(memory.hold(bytes)?))
    }

    async fn process_slice(&mut self, events: &RecordBatch, out: &mut Processed) -> Result<()> {
        self.rows_seen += events.num_rows() as u64;
        let marked = self.marks.as_mut().map(|marks| marks.update(events)).transpose()?.unwrap_or_default();
        out.seen.extend(marked.seen);
        // Where presence is all that is asked for, nobody asks for numbers.
        let asked = self.plans.iter().flatten().any(Option::is_some);
        let numbered = if asked { number_rows(events)? } else { events.clone() };
        for (i, nodes) in self.plans.iter_mut().enumerate() {
            let (mut late, mut taken, mut partly_late) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
            for plan in nodes.iter_mut().flatten() {
                plan.run(&numbered).await?;
                let rows = lock(&plan.windows).take_rows();
                late.extend(rows.late);
                taken.extend(rows.taken);
                partly_late.extend(rows.partly_late);
            }
            if nodes.iter().any(Option::is_none) {
                late.extend(&marked.late);
                // Where presence is all that the query asks for, no row is late in one of its parts and taken in another.
                if nodes.iter().any(Option::is_some) {
                    taken.extend(&marked.taken);
                }
            }
            // Late is who is late for every window of the query.
            let late: Vec<u32> = late.difference(&taken).copied().collect();
            if let Some(counts) = self.joined.get_mut(i).and_then(Option::as_mut) {
                counts.in_windows += taken.len() as u64;
                counts.late += late.len() as u64;
                counts.partly_late += partly_late.len() as u64;
            }
            if !late.is_empty() {
                out.late.push((i, rows_by_number(events, &late)?));
            }
        }
        Ok(())
    }

    /// Hands over what can take no more rows of this shard, whose watermark is `watermark`: by the job's delay, where it is of high times.
    pub fn close(&mut self, watermark: Micros) -> Result<ShardPartials> {
        let mut out = ShardPartials::default();
        for (i, (pipeline, nodes)) in self.pipelines.plans.iter().zip(&self.plans).enumerate() {
            let watermark = self.progress.of_table(&self.pipelines, pipeline, watermark);
            for (n, plan) in nodes.iter().enumerate() {
                let Some(plan) = plan else { continue };
                out.windows.extend(lock(&plan.windows).close(watermark)?.into_iter().map(|p| (i, n, p)));
            }
        }
        if let Some(marks) = &mut self.marks {
            out.marks = marks.close(watermark);
        }
        if !(out.windows.is_empty() && out.marks.is_empty()) {
            self.hold()?;
        }
        Ok(out)
    }

    /// What became of the rows, by pipeline; touches that turn out to be ignored are still counted as in windows.
    pub fn counts(&self) -> Vec<PipelineCounts> {
        let marks = self.marks.as_ref().map(ShardMarks::counts).unwrap_or_default();
        self.plans
            .iter()
            .zip(&self.joined)
            .map(|(nodes, joined)| match nodes.iter().flatten().next() {
                Some(plan) => {
                    let counts = joined.unwrap_or_else(|| lock(&plan.windows).counts());
                    PipelineCounts {
                        in_windows: counts.in_windows,
                        late: counts.late,
                        partly_late: counts.partly_late,
                        ignored_touches: 0,
                        filtered: self.rows_seen - counts.in_windows - counts.late,
                    }
                }
                None => PipelineCounts {
                    in_windows: marks.in_windows,
                    late: marks.late,
                    partly_late: 0,
                    ignored_touches: 0,
                    filtered: marks.filtered,
                },
            })
            .collect()
    }

    /// The open windows of each pipeline. Those of concurrency are open where shards meet.
    pub fn open_windows(&self) -> Vec<OpenWindows> {
        let of_pipeline = |nodes: &Vec<Option<ShardPlan>>| {
            let mut open = OpenWindows::default();
            for plan in nodes.iter().flatten() {
                let windows = lock(&plan.windows);
                open.ends.extend(windows.open_ends());
                open.groups += windows.open_groups();
            }
            open
        };
        self.plans.iter().map(of_pipeline).collect()
    }
}

/// Has the windowed nodes of a pipeline go on from what was taken out of them.
fn resume_nodes(nodes: &[Option<ShardPlan>], windows: impl IntoIterator<Item = Option<WindowsState>>) -> Result<()> {
    for (plan, windows) in nodes.iter().zip(windows) {
        if let (Some(plan), Some(windows)) = (plan, windows) {
            lock(&plan.windows).resume(windows)?;
        }
    }
    Ok(())
}

/// A panic while the lock was held has ended the task already; the state is not used again.
fn lock(windows: &Mutex<ShardWindows>) -> MutexGuard<'_, ShardWindows> {
    windows.lock().unwrap_or_else(PoisonError::into_inner)
}
