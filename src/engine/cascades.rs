//! All windows of one pipeline where shards meet: those that the rest of its query reads, and below them those of which they are made.
//!
//! ```text
//!  partials of shards ─► windows of 1 min ─► panes of 1 h ─► windows of 1 h ─► panes of 1 day ─► windows of 1 day ─► the rest
//!                        PipelineWindows     CascadePanes    PipelineWindows   CascadePanes      PipelineWindows
//! ```
//!
//! A window that is complete is added to the pane that it is in, in the order of time, and a pane is handed on when all windows up to
//! its end are complete. So what comes out is a function of the windows' rows, and of nothing else.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use serde::{Deserialize, Serialize};

use super::board::OpenWindows;
use super::pipeline_windows::{PipelineWindows, PipelineWindowsState, WindowRows};
use crate::error::{Error, Result};
use crate::operator::memory::StateMemory;
use crate::operator::window::{CascadePanes, Partial};
use crate::pipeline::{Cascade, ContinuousPlan, WindowPlan};
use crate::types::Micros;

/// The windows of one pipeline.
#[derive(Debug)]
pub(super) struct Cascades {
    rest: PipelineWindows,
    /// The aggregates over windows. What one reads is behind it.
    levels: Vec<Level>,
    /// By node of the query: who reads its windows, and its place among what that reads.
    places: Vec<(Reader, usize)>,
}

/// Who reads windows.
#[derive(Debug, Clone, Copy)]
enum Reader {
    Rest,
    /// The aggregate of this level.
    Level(usize),
}

/// One aggregate over windows: those that it reads, and the panes that they are added to.
#[derive(Debug)]
struct Level {
    /// The aggregate's number in the query.
    node: usize,
    cascade: Arc<Cascade>,
    input: PipelineWindows,
    /// Of windows as they were first.
    on_time: CascadePanes,
    /// Of windows with their rows within the allowed lateness; only where there is one.
    settled: Option<CascadePanes>,
    /// Ends of the panes in which there is a window that those have changed.
    revised: BTreeSet<Micros>,
}

/// What a [`Cascades`] remembers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct CascadesState {
    rest: PipelineWindowsState,
    levels: Vec<LevelState>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct LevelState {
    input: PipelineWindowsState,
    on_time: Vec<Partial>,
    settled: Vec<Partial>,
    revised: BTreeSet<Micros>,
}

impl CascadesState {
    /// Windows of the table that end by it are out as revision 0, and those whose allowed lateness does as revision 1.
    pub(super) fn closed(&self) -> Option<Micros> {
        self.rest.closed
    }

    /// How many windows wait.
    pub(super) fn open(&self) -> usize {
        self.rest.open + self.levels.iter().map(|level| level.input.open).sum::<usize>()
    }
}

impl Cascades {
    /// Nothing yet.
    ///
    /// # Errors
    /// As [`PipelineWindows::try_new`].
    pub(super) fn try_new(plan: &ContinuousPlan, memory: &StateMemory) -> Result<Self> {
        let revises = plan.allowed_lateness() > 0;
        let level = |(node, cascade): (usize, &Arc<Cascade>)| {
            let panes = || CascadePanes::try_new(Arc::clone(cascade.spec()));
            Ok(Level {
                node,
                cascade: Arc::clone(cascade),
                input: PipelineWindows::try_new(plan, Some(Arc::clone(cascade)), memory)?,
                on_time: panes()?,
                settled: revises.then(panes).transpose()?,
                revised: BTreeSet::new(),
            })
        };
        let levels: Vec<Level> = plan.cascades().map(level).collect::<Result<_>>()?;
        let rest = std::iter::once((Reader::Rest, plan.rest()));
        let readers: Vec<(Reader, &WindowPlan)> =
            rest.chain(plan.cascades().zip(0..).map(|((_, cascade), i)| (Reader::Level(i), cascade.input()))).collect();
        let place = |node| {
            let of_reader = |(reader, read): &(Reader, &WindowPlan)| {
                read.nodes.iter().position(|n| *n == node).map(|place| (*reader, place))
            };
            readers.iter().find_map(of_reader).ok_or_else(|| Error::internal("a node that nobody reads"))
        };
        let places = (0..plan.nodes.len()).map(place).collect::<Result<_>>()?;
        Ok(Self { rest: PipelineWindows::try_new(plan, None, memory)?, levels, places })
    }

    /// Goes on from the state of the same pipeline.
    ///
    /// # Errors
    /// Internal if the state is of another one.
    pub(super) fn resume(plan: &ContinuousPlan, state: CascadesState, memory: &StateMemory) -> Result<Self> {
        let mut windows = Self::try_new(plan, memory)?;
        if windows.levels.len() != state.levels.len() {
            return Err(Error::internal("a state of another pipeline"));
        }
        windows.rest = PipelineWindows::resume(plan, None, state.rest, memory)?;
        for (level, state) in windows.levels.iter_mut().zip(state.levels) {
            let reader = Some(Arc::clone(&level.cascade));
            level.input = PipelineWindows::resume(plan, reader, state.input, memory)?;
            level.on_time.resume(&state.on_time)?;
            level.revised = state.revised;
            if let Some(settled) = &mut level.settled {
                settled.resume(&state.settled)?;
            }
        }
        Ok(windows)
    }

    /// Takes the state out, to be put away.
    pub(super) fn suspend(&mut self) -> Result<CascadesState> {
        let of_level = |level: &mut Level| {
            Ok(LevelState {
                input: level.input.state(),
                on_time: level.on_time.suspend()?,
                settled: level.settled.as_mut().map(CascadePanes::suspend).transpose()?.unwrap_or_default(),
                revised: std::mem::take(&mut level.revised),
            })
        };
        let levels = self.levels.iter_mut().map(of_level).collect::<Result<_>>()?;
        Ok(CascadesState { rest: self.rest.state(), levels })
    }

    /// A copy of the state.
    pub(super) fn state(&mut self) -> Result<CascadesState> {
        let state = self.suspend()?;
        for (level, state) in self.levels.iter_mut().zip(&state.levels) {
            level.on_time.resume(&state.on_time)?;
            level.revised.clone_from(&state.revised);
            if let Some(settled) = &mut level.settled {
                settled.resume(&state.settled)?;
            }
        }
        Ok(state)
    }

    /// Takes a shard's partial in.
    ///
    /// # Errors
    /// Internal if the pipeline has no such node.
    pub(super) fn add(&mut self, node: usize, partial: Partial) -> Result<()> {
        let (windows, place) = self.reader(node)?;
        windows.add(place, partial)
    }

    /// Takes the rows of a complete window of `CONCURRENCY` in, for a node that asks for it.
    ///
    /// # Errors
    /// Internal if the pipeline has no such node.
    pub(super) fn add_presence(&mut self, node: usize, end: Micros, rows: RecordBatch) -> Result<()> {
        let (windows, place) = self.reader(node)?;
        windows.add_presence(place, end, rows);
        Ok(())
    }

    fn reader(&mut self, node: usize) -> Result<(&mut PipelineWindows, usize)> {
        let place = self.places.get(node).copied();
        reader(place, &mut self.rest, &mut self.levels).ok_or_else(|| Error::internal("windows of no node"))
    }

    /// The rows of the table's windows that are complete at the watermark `until`, but for those that depend on rows before `floor`; and
    /// whether any window was added to longer ones.
    pub(super) async fn close(
        &mut self,
        plan: &ContinuousPlan,
        until: Micros,
        floor: Option<Micros>,
    ) -> Result<(Vec<WindowRows>, bool)> {
        let mut added = false;
        for i in (0..self.levels.len()).rev() {
            let (above, level) = self.levels.split_at_mut(i);
            let Some(level) = level.first_mut() else { continue };
            let to = reader(self.places.get(level.node).copied(), &mut self.rest, above);
            let to = to.ok_or_else(|| Error::internal("windows of no node"))?;
            added |= level.close(plan, until, floor, to).await?;
        }
        Ok((self.rest.close(plan, until, floor).await?, added))
    }

    /// Memory that it holds, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let of_level = |level: &Level| {
            let settled = level.settled.as_ref().map_or(0, CascadePanes::bytes);
            level.input.bytes() + level.on_time.bytes() + settled
        };
        self.rest.bytes() + self.levels.iter().map(of_level).sum::<usize>()
    }

    /// Windows, of every size, that are not complete.
    pub(super) fn open(&self) -> OpenWindows {
        let mut open = self.rest.open();
        for level in &self.levels {
            let below = level.input.open();
            open.ends.extend(below.ends.into_iter().chain(level.on_time.ends()));
            open.groups += below.groups + level.on_time.groups();
        }
        open
    }
}

impl Level {
    /// Adds what is complete up to `until` to the panes, and hands the panes on that are. Whether there was anything.
    async fn close(
        &mut self,
        plan: &ContinuousPlan,
        until: Micros,
        floor: Option<Micros>,
        (to, place): (&mut PipelineWindows, usize),
    ) -> Result<bool> {
        let complete = self.input.close(plan, until, floor).await?;
        let mut added = !complete.is_empty();
        for window in complete {
            self.on_time.update(window.end, &window.rows)?;
        }
        for pane in self.on_time.close(until)? {
            to.add_on_time(place, pane)?;
        }
        let Some(settled) = &mut self.settled else { return Ok(added) };
        for window in self.input.take_settled() {
            if window.revision > 0 {
                self.revised.insert(settled.pane_end(window.end));
            }
            settled.update(window.end, &window.rows)?;
            added = true;
        }
        let last = until.saturating_sub(plan.allowed_lateness());
        for pane in settled.close(last)? {
            to.add_settled(place, pane)?;
        }
        while let Some(end) = self.revised.first().copied().filter(|end| *end <= last) {
            self.revised.remove(&end);
            to.note_revised(place, end)?;
        }
        Ok(added)
    }
}

/// The windows at a place, and the place among them.
fn reader<'w>(
    place: Option<(Reader, usize)>,
    rest: &'w mut PipelineWindows,
    levels: &'w mut [Level],
) -> Option<(&'w mut PipelineWindows, usize)> {
    match place? {
        (Reader::Rest, place) => Some((rest, place)),
        (Reader::Level(i), place) => levels.get_mut(i).map(|level| (&mut level.input, place)),
    }
}
