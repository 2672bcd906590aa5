//! A shard's open windows.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{Array, AsArray, TimestampMicrosecondArray, UInt32Array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::take;
use arrow::datatypes::{TimestampMicrosecondType, UInt32Type};
use arrow::record_batch::RecordBatch;
use datafusion::common::{Result, internal_err};
use serde::{Deserialize, Serialize};

use super::inputs::InputPlan;
use super::lateness::LatenessRule;
use super::pane::{Pane, Partial, pane_of};
use super::selection::Selection;
use super::session::{Claim, SessionPanes};
use super::spec::{RowColumns, WindowSpec};
use super::text_codes::TextCodes;
use super::windowing::PaneKey;
use crate::types::Micros;

/// What became of the rows that reached the operator.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UpdateCounts {
    /// Rows that entered a window.
    pub in_windows: u64,
    /// Rows that were late for all of their windows.
    pub late: u64,
    /// Of the rows that entered a window, those that were late for another one.
    pub partly_late: u64,
}

/// Rows of the last batch, by their number.
#[derive(Debug, Default)]
pub struct RowNumbers {
    /// Those that were late for all of their windows.
    pub late: Vec<u32>,
    /// Those that entered a window; empty unless [`ShardWindows::remember_rows`] was called.
    pub taken: Vec<u32>,
    /// Those of `taken` that were late for another window.
    pub partly_late: Vec<u32>,
}

/// What a [`ShardWindows`] remembers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WindowsState {
    panes: Vec<Partial>,
}

impl WindowsState {
    /// Panes that are open: a window's, or a slide's where windows overlap; of sessions, those of some time together.
    pub fn open(&self) -> usize {
        self.panes.len()
    }
}

/// The panes of one windowed aggregate in one shard.
///
/// A slide of time is kept once for its rows that were on time, and once more for each set of windows that rows were late for: late
/// for the first windows, or, with `allowed_lateness`, for revision 0 of them.
pub struct ShardWindows {
    // properties: constant
    spec: Arc<WindowSpec>,
    columns: RowColumns,
    selection: Option<Selection>,
    inputs: InputPlan,
    rule: LatenessRule,
    remember_rows: bool,
    // state: mutable
    /// By the watermark at which no more rows can come.
    panes: BTreeMap<(Micros, PaneKey), Pane>,
    /// Instead of panes, where windows are sessions.
    sessions: Option<SessionPanes>,
    /// What the last pane held that was handed over with rows that were on time: about what the next one will.
    held: Vec<usize>,
    rows: RowNumbers,
    counts: UpdateCounts,
}

impl std::fmt::Debug for ShardWindows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ShardWindows").field("panes", &self.panes.len()).field("counts", &self.counts).finish()
    }
}

impl ShardWindows {
    /// No windows yet. `selection` is of the batches that [`Self::update`] is given; `None`: they are as `spec` sees them.
    ///
    /// # Errors
    /// If keys of sessions have a type that cannot be compared; internal if the rows are not the stream's.
    pub fn try_new(
        spec: Arc<WindowSpec>,
        selection: Option<Selection>,
        rule: LatenessRule,
        codes: &Arc<TextCodes>,
    ) -> Result<Self> {
        let Some(columns) = spec.rows else {
            return internal_err!("a shard was given an aggregate over windows");
        };
        let sessions = spec.windowing.session.then(|| SessionPanes::try_new(Arc::clone(&spec))).transpose()?;
        Ok(Self {
            selection: selection.map(|selection| selection.prepared(codes)).transpose()?,
            inputs: InputPlan::try_new(&spec, codes)?,
            columns,
            sessions,
            spec,
            rule,
            remember_rows: false,
            panes: BTreeMap::new(),
            held: Vec::new(),
            rows: RowNumbers::default(),
            counts: UpdateCounts::default(),
        })
    }

    /// Adds a batch of the operator's input to the panes of its rows; rows that are late are remembered by their number.
    pub fn update(&mut self, batch: &RecordBatch) -> Result<()> {
        let (batch, selected) = match &self.selection {
            Some(selection) => &selection.select(batch)?,
            None => &(batch.clone(), None),
        };
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let ends = batch.column(self.columns.window_end).as_primitive::<TimestampMicrosecondType>();
        let highs = batch.column(self.columns.high_time).as_primitive::<TimestampMicrosecondType>();
        if self.sessions.is_some() {
            return self.update_sessions(batch, selected.as_ref(), ends, highs);
        }
        let judged = match selected {
            Some(selected) => self.judge(selected.set_indices(), ends, highs),
            None => self.judge(0..batch.num_rows(), ends, highs),
        };
        self.note(batch, &judged);
        let inputs = self.inputs.over(batch.clone());
        for (key, numbers) in &judged.panes {
            let place = (self.closes_at(key), *key);
            let new = || {
                let mut pane = Pane::try_new(&self.spec)?;
                if !key.is_partly_late() {
                    pane.expect(&self.held);
                }
                Ok(pane)
            };
            pane_of(&mut self.panes, place, new)?.update(&inputs.of_pane(numbers))?;
        }
        Ok(())
    }

    fn judge(
        &self,
        rows: impl Iterator<Item = usize>,
        ends: &TimestampMicrosecondArray,
        highs: &TimestampMicrosecondArray,
    ) -> RowsByPane {
        let mut out = RowsByPane::default();
        let mut places: HashMap<PaneKey, usize> = HashMap::new();
        // No row of the batch is judged by a later watermark. (What stands where there is no high time can only make it too late.)
        let latest = self.rule.watermark(highs.values().iter().copied().max());
        // The last row's pane, if that is on time: its end and its place, and whether all rows of it are on time.
        let mut last = None;
        for i in rows {
            let end = ends.value(i);
            let high = || (!highs.is_null(i)).then(|| highs.value(i));
            // Neighbouring rows mostly share a pane: try the last one before searching.
            if let Some((last_end, place, all_on_time)) = last
                && end == last_end
                && (all_on_time || self.rule.watermark(high()).is_none_or(|watermark| watermark < end))
            {
                let (_, numbers): &mut (PaneKey, Vec<u32>) = &mut out.panes[place];
                numbers.push(i as u32);
                continue;
            }
            let Some(key) = self.rule.admit(self.spec.windowing, end, high()) else {
                out.late.push(i as u32);
                continue;
            };
            let place = *places.entry(key).or_insert_with(|| {
                out.panes.push((key, Vec::new()));
                out.panes.len() - 1
            });
            out.panes[place].1.push(i as u32);
            let all_on_time = latest.is_none_or(|watermark| watermark < end);
            last = (key == PaneKey::on_time(end)).then_some((end, place, all_on_time));
        }
        out
    }

    fn update_sessions(
        &mut self,
        batch: &RecordBatch,
        selected: Option<&BooleanBuffer>,
        ends: &TimestampMicrosecondArray,
        highs: &TimestampMicrosecondArray,
    ) -> Result<()> {
        let gap = self.spec.windowing.size;
        let mut late = Vec::new();
        let (mut taken, mut claims) = (Vec::new(), Vec::new());
        for (i, (end, high)) in ends.values().iter().zip(highs).enumerate() {
            if selected.is_some_and(|selected| !selected.value(i)) {
                continue;
            }
            match self.rule.watermark(high) {
                Some(watermark) if *end <= watermark => late.push(i as u32),
                watermark => {
                    taken.push(i as u32);
                    claims.push(Claim::of_row(end.saturating_sub(gap), watermark, gap));
                }
            }
        }
        let judged = RowsByPane { panes: vec![(PaneKey::on_time(Micros::MIN), taken)], late };
        self.note(batch, &judged);
        let (Some(sessions), Some((_, taken))) = (&mut self.sessions, judged.panes.first()) else { return Ok(()) };
        if taken.is_empty() { Ok(()) } else { sessions.update(&self.inputs.over(batch.clone()), taken, &claims) }
    }

    fn note(&mut self, batch: &RecordBatch, judged: &RowsByPane) {
        let numbers = batch.column(self.columns.number).as_primitive::<UInt32Type>();
        let number = |i: &u32| numbers.value(*i as usize);
        for (key, rows) in &judged.panes {
            self.counts.in_windows += rows.len() as u64;
            if key.is_partly_late() {
                self.counts.partly_late += rows.len() as u64;
            }
            if self.remember_rows {
                self.rows.taken.extend(rows.iter().map(number));
                if key.is_partly_late() {
                    self.rows.partly_late.extend(rows.iter().map(number));
                }
            }
        }
        self.counts.late += judged.late.len() as u64;
        self.rows.late.extend(judged.late.iter().map(number));
    }

    /// The watermark from which on no row can enter this pane any more: the one at which a row of this time is late for the pane's
    /// first window, or no more on time for the first that it was on time for.
    fn closes_at(&self, key: &PaneKey) -> Micros {
        let late = key.first_window.saturating_add(self.rule.allowed_lateness);
        let on_time = key.first_on_time < self.spec.windowing.first_without(key.end);
        if on_time { late.min(key.first_on_time) } else { late }
    }

    /// Hands over every pane that can take no more rows of this shard once its watermark is `watermark`. That is in time for every
    /// window that has it: none of them, nor a revision that it makes, is out before.
    ///
    /// Of sessions, all that may belong to some that end by `watermark`: of others it is a part.
    pub fn close(&mut self, watermark: Micros) -> Result<Vec<Partial>> {
        if let Some(sessions) = &mut self.sessions {
            return sessions.close(watermark);
        }
        let open = match watermark.checked_add(1) {
            Some(next) => self.panes.split_off(&(next, PaneKey::on_time(Micros::MIN))),
            None => BTreeMap::new(),
        };
        let closed = std::mem::replace(&mut self.panes, open);
        if let Some((_, pane)) = closed.iter().rev().find(|((_, key), _)| !key.is_partly_late()) {
            self.held = pane.held();
        }
        closed.into_iter().map(|((_, key), pane)| pane.into_partial(key)).collect()
    }

    /// Takes everything out: it can be put away, and taken up again by [`Self::resume`].
    pub fn suspend(&mut self) -> Result<WindowsState> {
        Ok(WindowsState { panes: self.close(Micros::MAX)? })
    }

    /// Goes on from where another left off.
    pub fn resume(&mut self, state: WindowsState) -> Result<()> {
        if let Some(sessions) = &mut self.sessions {
            sessions.resume(state.panes);
            return Ok(());
        }
        for partial in &state.panes {
            self.pane(partial.pane)?.merge(partial)?;
        }
        Ok(())
    }

    /// From now on remembers which rows of a batch entered a window: a query with several windowed nodes asks.
    pub fn remember_rows(&mut self) {
        self.remember_rows = true;
    }

    /// What became of rows of the last batch; empties the lists.
    pub fn take_rows(&mut self) -> RowNumbers {
        std::mem::take(&mut self.rows)
    }

    /// Totals since the start.
    pub fn counts(&self) -> UpdateCounts {
        self.counts
    }

    /// Ends of the windows that have a pane; an end may come several times. None of sessions: those are told where shards meet.
    pub fn open_ends(&self) -> impl Iterator<Item = Micros> + '_ {
        self.panes.keys().flat_map(|(_, key)| self.spec.windowing.ends(key.end, key.first_window))
    }

    /// Memory of all panes, in bytes.
    pub fn bytes(&self) -> usize {
        let of_sessions = self.sessions.as_ref().map_or(0, SessionPanes::bytes);
        self.panes.values().map(Pane::bytes).sum::<usize>() + of_sessions
    }

    /// The groups in all panes.
    pub fn open_groups(&self) -> usize {
        let of_sessions = self.sessions.as_ref().map_or(0, SessionPanes::groups);
        self.panes.values().map(Pane::groups).sum::<usize>() + of_sessions
    }

    fn pane(&mut self, key: PaneKey) -> Result<&mut Pane> {
        let key = (self.closes_at(&key), key);
        pane_of(&mut self.panes, key, || Pane::try_new(&self.spec))
    }
}

/// Rows of a batch, by their place in it.
#[derive(Default)]
struct RowsByPane {
    panes: Vec<(PaneKey, Vec<u32>)>,
    late: Vec<u32>,
}

/// Rows of `batch` by their numbers.
pub fn rows_by_number(batch: &RecordBatch, numbers: &[u32]) -> Result<RecordBatch> {
    let indices = UInt32Array::from(numbers.to_vec());
    let columns = batch.columns().iter().map(|c| Ok(take(c, &indices, None)?)).collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(batch.schema(), columns)?)
}
