//! One query's windows: which group a session counts in, and the rows of a window.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use serde::{Deserialize, Serialize};

use super::activity::Stream;
use super::bucket::Resolved;
use super::groups::{GroupDelta, GroupStats, Groups, StepStats, Steps};
use super::numbering::Numbering;
use super::query::ConcurrencyQuery;
use super::resolve::{Dimensions, GAP_FILL_MAX};
use super::session::{Delta, by_number_and_time};
use super::slab::Slab;
use super::viewers::Viewers;
use crate::error::Result;
use crate::types::{MICROS_PER_MINUTE, Micros, arrow_bytes, floor_to};

/// Where a partition column's value comes from.
#[derive(Debug, Clone, Copy)]
enum Part {
    Stream,
    Dimension(usize),
}

impl Part {
    fn dimension(self, tuple: u32, dimensions: &Dimensions) -> Option<&str> {
        match self {
            Part::Stream => None,
            Part::Dimension(i) => dimensions.value(tuple, i),
        }
    }
}

/// The windows of one query.
#[derive(Debug)]
pub(super) struct QueryWindows {
    // properties: constant
    query: ConcurrencyQuery,
    schema: SchemaRef,
    parts: Vec<Part>,
    // state: mutable
    groups: Groups,
    active: Steps,
    /// Group numbers, where the stream's own number does not do.
    numbering: Numbering,
    finished: VecDeque<Finished>,
    /// Memory of these.
    finished_bytes: usize,
    /// The window that was closed last: its start and its rows. Another run does without until it has closed one itself.
    closed: Option<(Micros, RecordBatch)>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Finished {
    start: Micros,
    present: bool,
    #[serde(with = "arrow_bytes")]
    rows: RecordBatch,
}

impl Finished {
    fn bytes(&self) -> usize {
        self.rows.get_array_memory_size()
    }
}

/// What a query's windows remember.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct QueryState {
    groups: Groups,
    active: Steps,
    numbering: Numbering,
    finished: VecDeque<Finished>,
}

impl QueryWindows {
    pub(super) fn new(query: ConcurrencyQuery, dimension_names: &[String]) -> Self {
        let parts = query
            .partition_by
            .iter()
            .map(|name| match dimension_names.iter().position(|d| d == name) {
                Some(i) => Part::Dimension(i),
                None => Part::Stream,
            })
            .collect();
        Self {
            schema: Arc::new(Schema::new(query.fields())),
            parts,
            groups: Groups::new(query.size, 0),
            active: Steps::default(),
            numbering: Numbering::default(),
            finished: VecDeque::new(),
            finished_bytes: 0,
            closed: None,
            query,
        }
    }

    /// A copy of everything that changes.
    pub(super) fn state(&self) -> QueryState {
        QueryState {
            groups: self.groups.clone(),
            active: self.active,
            numbering: self.numbering.clone(),
            finished: self.finished.clone(),
        }
    }

    /// Goes on from a copy.
    pub(super) fn restore(&mut self, state: QueryState) {
        let QueryState { groups, active, numbering, finished } = state;
        (self.groups, self.active, self.numbering, self.finished) = (groups, active, numbering, finished);
        self.finished_bytes = self.finished.iter().map(Finished::bytes).sum();
    }

    pub(super) fn query(&self) -> &ConcurrencyQuery {
        &self.query
    }

    pub(super) fn size(&self) -> Micros {
        self.query.size
    }

    /// Start of the window that is open.
    pub(super) fn window_start(&self) -> Micros {
        self.groups.window_start()
    }

    pub(super) fn window_end(&self) -> Micros {
        self.groups.window_end()
    }

    /// How many groups the open window has so far.
    pub(super) fn groups(&self) -> usize {
        self.groups.len()
    }

    /// Whether the windows that are not given yet have no rows, and get none while nobody is present. (Without a partition each may have
    /// a row of zeros.)
    pub(super) fn has_no_groups(&self) -> bool {
        !self.parts.is_empty() && self.finished.is_empty() && self.groups.len() == 0
    }

    /// No more windows than that were ever held back together.
    #[cfg(test)]
    pub(super) fn held_at_most(&self) -> usize {
        self.finished.capacity()
    }

    /// Memory of the windows that are not given yet, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.finished_bytes
    }

    /// The first window is the one that holds the first event.
    pub(super) fn begin(&mut self, first: Micros) {
        let start = floor_to(first, self.query.size);
        self.groups = Groups::new(self.query.size, start);
        self.active = Steps::begin_at(0, start);
    }

    /// Begins at `cursor`, with who is `present` then (sorted by stream) and so many streams active.
    pub(super) fn join(
        &mut self,
        cursor: Micros,
        present: Vec<Delta>,
        active: i64,
        dimensions: &Dimensions,
        viewers: &mut Viewers,
    ) {
        self.begin(cursor);
        self.active = Steps::begin_at(active, self.window_start());
        self.apply(&Resolved { deltas: present, ..Resolved::default() }, dimensions, viewers);
    }

    /// Goes on at a later window; nobody is present.
    pub(super) fn jump(&mut self, target: Micros) {
        self.groups.jump(target);
        self.active = Steps::begin_at(self.active.value, target);
    }

    /// The start of the oldest window that is not given yet.
    pub(super) fn oldest_start(&self) -> Micros {
        self.finished.front().map_or(self.groups.window_start(), |f| f.start)
    }

    pub(super) fn apply(&mut self, resolved: &Resolved, dimensions: &Dimensions, viewers: &mut Viewers) {
        let by_stream = self.query.by_stream();
        let mut deltas: Vec<GroupDelta> = resolved
            .deltas
            .iter()
            .map(|d| GroupDelta {
                group: if by_stream { d.stream } else { self.group_of(d.stream, d.dimensions, dimensions) },
                time: d.time,
                change: d.change,
                viewer: d.viewer,
            })
            .collect();
        if !by_stream {
            // By stream they are in order already.
            deltas.sort_unstable_by_key(|d| by_number_and_time(d.group, d.time));
        }
        self.groups.apply(&deltas, viewers);
        for at_instant in resolved.activity.chunk_by(|a, b| a.0 == b.0) {
            if let Some((t, _)) = at_instant.first() {
                self.active.change(*t, at_instant.iter().map(|(_, c)| i64::from(*c)).sum());
            }
        }
    }

    fn group_of(&mut self, stream: u32, tuple: u32, dimensions: &Dimensions) -> u32 {
        if self.parts.is_empty() {
            return 0;
        }
        let stream = if self.parts.iter().any(|p| matches!(p, Part::Stream)) { stream } else { 0 };
        let values = || self.parts.iter().map(|p| p.dimension(tuple, dimensions).map(Box::from)).collect();
        self.numbering.number(stream, tuple, values)
    }

    /// Whether most groups that have a number are gone.
    pub(super) fn is_mostly_gone(&self) -> bool {
        self.numbering.is_mostly_gone(self.groups.len())
    }

    /// Forgets the groups that nobody is or was counted in in the open window.
    pub(super) fn forget_groups(&mut self) {
        if !self.query.by_stream() && !self.parts.is_empty() {
            let new = self.numbering.forget(|group| self.groups.contains(group));
            self.groups.renumber(|group| new.get(group as usize).copied().flatten());
        }
    }

    /// The tuples that groups are told by.
    pub(super) fn tuples(&self) -> impl Iterator<Item = u32> {
        self.numbering.tuples()
    }

    /// Tuples have other numbers.
    pub(super) fn retuple(&mut self, new: impl Fn(u32) -> u32) {
        self.numbering.retuple(new);
    }

    /// The viewers that it counts, each once for each of its groups.
    pub(super) fn viewers(&self) -> impl Iterator<Item = u32> {
        self.groups.viewers()
    }

    /// Memory of the groups, in bytes.
    pub(super) fn group_bytes(&self) -> usize {
        self.groups.bytes() + self.numbering.bytes()
    }

    /// Closes the current window and keeps its rows until they may be given.
    pub(super) fn finish(
        &mut self,
        streams: &Slab<Stream>,
        dimensions: &Dimensions,
        viewers: &mut Viewers,
    ) -> Result<()> {
        let (start, end) = (self.groups.window_start(), self.groups.window_end());
        let rows = self.groups.finish(viewers);
        let active = self.active.finish(end);
        let present = rows.iter().any(|r| r.steps.max > 0);
        let batch = self.batch((start, end), &self.counted(rows), active, streams, dimensions)?;
        if batch.num_rows() > 0 {
            let finished = Finished { start, present, rows: batch.clone() };
            self.finished_bytes += finished.bytes();
            self.finished.push_back(finished);
        }
        self.closed = Some((start, batch));
        Ok(())
    }

    /// The window that holds the last instant before `as_of`, up to which presence is resolved: its start, and its rows as they would be
    /// if it ended there. None where that window was closed by another run, or passed over in a silence.
    pub(super) fn unclosed(
        &self,
        as_of: Micros,
        streams: &Slab<Stream>,
        dimensions: &Dimensions,
    ) -> Result<Option<(Micros, RecordBatch)>> {
        let start = self.groups.window_start();
        if start >= as_of {
            let just_closed = |(start, _): &&(Micros, RecordBatch)| start.saturating_add(self.query.size) == as_of;
            return Ok(self.closed.as_ref().filter(just_closed).cloned());
        }
        let rows = self.counted(self.groups.stats(as_of));
        let batch = self.batch((start, as_of), &rows, self.active.stats(as_of), streams, dimensions)?;
        Ok(Some((start, batch)))
    }

    /// The groups that have a row: those in which somebody was present; without partition the one there is, be it empty.
    fn counted(&self, mut rows: Vec<GroupStats>) -> Vec<GroupStats> {
        if self.parts.is_empty() {
            let none = StepStats { min: 0, max: 0, current: 0, integral: 0 };
            rows.truncate(1);
            if rows.is_empty() {
                rows.push(GroupStats { group: 0, steps: none, unique: 0 });
            }
        } else {
            rows.retain(|r| r.steps.max > 0);
        }
        rows
    }

    /// Rows of the window that begins at `start`, over the part of it that ends at `until`.
    fn batch(
        &self,
        (start, until): (Micros, Micros),
        rows: &[GroupStats],
        active: StepStats,
        streams: &Slab<Stream>,
        dimensions: &Dimensions,
    ) -> Result<RecordBatch> {
        let (size, part) = (self.query.size, until - start);
        let member = |r: &GroupStats| match self.query.by_stream() {
            true => (r.group, 0),
            false => self.numbering.member(r.group),
        };
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        for part in &self.parts {
            let values: StringArray = rows
                .iter()
                .map(|r| match part {
                    Part::Stream => streams.get(member(r).0).map(|s| &*s.id),
                    Part::Dimension(i) => dimensions.value(member(r).1, *i),
                })
                .collect();
            columns.push(Arc::new(values));
        }
        if self.query.by_stream() {
            let channels: StringArray = rows.iter().map(|r| streams.get(r.group).and_then(Stream::channel)).collect();
            columns.push(Arc::new(channels));
        }
        for t in [start, start + size, start + size - 1_000] {
            columns.push(Arc::new(TimestampMicrosecondArray::from_value(t, rows.len()).with_timezone("UTC")));
        }
        let count =
            |f: &dyn Fn(&GroupStats) -> i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values(rows.iter().map(f))) };
        let number = |f: &dyn Fn(&GroupStats) -> f64| -> ArrayRef {
            Arc::new(Float64Array::from_iter_values(rows.iter().map(f)))
        };
        if self.parts.is_empty() {
            columns.push(count(&|_| active.current));
            columns.push(count(&|_| active.min));
            columns.push(number(&|_| active.integral as f64 / part as f64));
            columns.push(count(&|_| active.max));
        }
        columns.push(count(&|r| r.steps.min));
        columns.push(number(&|r| r.steps.integral as f64 / part as f64));
        columns.push(count(&|r| r.steps.max));
        columns.push(count(&|r| r.steps.current));
        columns.push(count(&|r| r.unique));
        columns.push(number(&|r| r.steps.integral as f64 / MICROS_PER_MINUTE as f64));
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), columns)?)
    }

    /// Takes out the windows that start at or before the latest event. Of those without presence or events, the ones in a
    /// silence of more than [`GAP_FILL_MAX`] are dropped; while that is not known, they and all after them are held.
    pub(super) fn give(
        &mut self,
        latest: Micros,
        watermark: Micros,
        seen: &BTreeMap<Micros, (Micros, Micros)>,
    ) -> Vec<(Micros, RecordBatch)> {
        let mut out = Vec::new();
        while let Some(front) = self.finished.front() {
            let (start, end) = (front.start, front.start + self.query.size);
            if start > latest {
                break;
            }
            let keep = front.present || seen.range(start..end).next().is_some() || {
                let before = seen.range(..start).next_back().map(|(_, (_, last))| *last);
                let after = seen.range(end..).next().map(|(_, (first, _))| *first);
                match (before, after) {
                    (Some(b), Some(a)) if a - b <= GAP_FILL_MAX => true,
                    // An event of the window that the watermark is in may still come.
                    (Some(b), _) if floor_to(watermark, self.query.size) <= b.saturating_add(GAP_FILL_MAX) => break,
                    _ => false,
                }
            };
            let Some(window) = self.finished.pop_front() else { break };
            self.finished_bytes = self.finished_bytes.saturating_sub(window.bytes());
            if keep {
                out.push((end, window.rows));
            }
        }
        out
    }
}

impl Dimensions {
    pub(super) fn value(&self, tuple: u32, column: usize) -> Option<&str> {
        self.values.get(tuple as usize)?.get(column)?.as_deref()
    }
}
