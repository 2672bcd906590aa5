//! Windows in part that wait between the passes.
//!
//! Where no raw rows are written and all that queries ask for are windows of time, rows need not wait for those of other shards: a reader puts
//! them into windows as it reads, and hands over windows in part, as a shard of a live job does. They are a fraction of the rows. When the
//! same window comes up once more, as a file of another shard is read or a row is late, it is another part of it.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{Field, Int64Type, Schema, SchemaRef};

use super::buffer::{MergedBucket, TimeBuckets, compact, merge_buckets};
use crate::engine::counters::PipelineCounts;
use crate::engine::{Pipelines, Progress, ShardPartials, ShardStage};
use crate::error::{Error, Result};
use crate::operator::window::{PaneKey, Partial};
use crate::types::Micros;

/// Columns that say of which pane a group is.
const PANE_COLUMNS: usize = 3;

/// What one reader makes of its rows.
pub(super) struct PartialWindows {
    stage: ShardStage,
    /// Rows that come in order are in windows that end within so much of the latest.
    open: Micros,
    nodes: Vec<Waiting>,
}

/// Parts of the windows of one node of a pipeline: a row for each group.
pub(super) struct Waiting {
    pipeline: usize,
    node: usize,
    buckets: TimeBuckets,
    /// None before the first one.
    columns: Option<Columns>,
}

/// The columns of the rows that wait.
#[derive(Clone)]
struct Columns {
    schema: SchemaRef,
    keys: usize,
    /// How many columns the state of each aggregate has.
    states: Vec<usize>,
}

impl PartialWindows {
    /// Whether windows can be put together so: a session's rows are not told apart from another's of the same key before all are there, and who is
    /// present is counted from marks, which are as many as rows.
    pub(super) fn suit(pipelines: &Pipelines) -> bool {
        pipelines.queries.is_empty() && pipelines.plans.iter().all(|plan| !plan.windowing().session)
    }

    /// None yet. `memory_bytes_max` is what they may take in memory when they are complete; what is over goes to a file in `spill_dir`.
    pub(super) fn try_new(
        pipelines: &Arc<Pipelines>,
        bucket: Micros,
        memory_bytes_max: usize,
        spill_dir: Option<&PathBuf>,
    ) -> Result<Self> {
        let nodes = pipelines.plans.iter().enumerate();
        let nodes: Vec<_> = nodes.flat_map(|(i, plan)| (0..plan.nodes.len()).map(move |node| (i, node))).collect();
        let share = memory_bytes_max / nodes.len().max(1);
        let waiting = |(pipeline, node)| {
            let buckets = TimeBuckets::new(bucket, share, spill_dir.cloned());
            Waiting { pipeline, node, buckets, columns: None }
        };
        let delays = pipelines.plans.iter().map(|plan| pipelines.watermark_delay(plan));
        Ok(Self {
            stage: ShardStage::try_new(Arc::clone(pipelines))?.going_by(Progress::RowsGiven),
            open: delays.max().unwrap_or(0),
            nodes: nodes.into_iter().map(waiting).collect(),
        })
    }

    /// Takes judged rows in; `high` is the high time of their shard. Rows that are late go nowhere else, as raw rows do not.
    pub(super) async fn take(&mut self, events: &RecordBatch, high: Option<Micros>) -> Result<()> {
        self.stage.process(events).await?;
        match high {
            Some(high) => self.close(high.saturating_sub(self.open)),
            None => Ok(()),
        }
    }

    /// A shard is read to its end.
    pub(super) fn end_shard(&mut self) -> Result<()> {
        self.close(Micros::MAX)
    }

    fn close(&mut self, watermark: Micros) -> Result<()> {
        for (pipeline, node, partial) in self.stage.close(watermark)?.windows {
            let place = self.nodes.iter_mut().find(|waiting| (waiting.pipeline, waiting.node) == (pipeline, node));
            place.ok_or_else(|| Error::internal("a window of no query"))?.push(&partial)?;
        }
        Ok(())
    }

    /// What waits, and what became of the rows.
    pub(super) fn into_waiting(self) -> (Vec<Waiting>, Vec<PipelineCounts>) {
        let counts = self.stage.counts();
        (self.nodes.into_iter().filter(|waiting| waiting.columns.is_some()).collect(), counts)
    }
}

impl Waiting {
    /// Bytes that were put on disk.
    pub(super) fn spilled_bytes(&self) -> u64 {
        self.buckets.spilled_bytes()
    }

    /// Groups that wait.
    pub(super) fn groups(&self) -> u64 {
        self.buckets.rows()
    }

    fn push(&mut self, partial: &Partial) -> Result<()> {
        let PaneKey { end, first_window, first_on_time } = partial.pane;
        let time = |t: Micros| Arc::new(Int64Array::from_value(t, partial.groups)) as ArrayRef;
        let arrays = [end, first_window, first_on_time].map(time).into_iter();
        let arrays: Vec<ArrayRef> =
            arrays.chain(partial.keys.iter().chain(partial.states.iter().flatten()).cloned()).collect();
        let columns = self.columns.get_or_insert_with(|| Columns::of(partial, &arrays));
        let rows = RecordBatch::try_new(Arc::clone(&columns.schema), arrays)?;
        // In the bucket at whose end the pane is complete.
        self.buckets.push(rows, &vec![Some(end.saturating_sub(1)); partial.groups])
    }
}

impl Columns {
    fn of(partial: &Partial, arrays: &[ArrayRef]) -> Self {
        let field = |(i, array): (usize, &ArrayRef)| Field::new(i.to_string(), array.data_type().clone(), true);
        let schema = Arc::new(Schema::new(arrays.iter().enumerate().map(field).collect::<Vec<_>>()));
        Self { schema, keys: partial.keys.len(), states: partial.states.iter().map(Vec::len).collect() }
    }

    /// The partials that rows are of.
    fn partials(&self, rows: &RecordBatch) -> Result<Vec<Partial>> {
        let times = |i: usize| rows.columns().get(i).and_then(|column| column.as_primitive_opt::<Int64Type>());
        let (Some(ends), Some(windows), Some(on_time)) = (times(0), times(1), times(2)) else {
            return Err(Error::internal("windows in part without their time"));
        };
        let pane = |row: usize| PaneKey {
            end: ends.value(row),
            first_window: windows.value(row),
            first_on_time: on_time.value(row),
        };
        let mut partials = Vec::new();
        let mut from = 0;
        for row in 1..=rows.num_rows() {
            if row == rows.num_rows() || pane(row) != pane(from) {
                // What is accounted for it is what it holds.
                let part = compact(rows.slice(from, row - from))?;
                let mut columns = part.columns().iter().skip(PANE_COLUMNS).cloned();
                let keys = columns.by_ref().take(self.keys).collect();
                let states = self.states.iter().map(|n| columns.by_ref().take(*n).collect()).collect();
                partials.push(Partial { pane: pane(from), groups: row - from, keys, states });
                from = row;
            }
        }
        Ok(partials)
    }
}

/// Parts of windows in the order of time: for each bucket of it its start, and all that end in it.
pub(super) fn in_time_order(waiting: Vec<Waiting>) -> impl Iterator<Item = Result<(Micros, ShardPartials)>> {
    let mut buffers = Vec::new();
    let mut of = Vec::new();
    for Waiting { pipeline, node, buckets, columns } in waiting {
        buffers.push(buckets);
        of.push((pipeline, node, columns));
    }
    merge_buckets(buffers).map(move |MergedBucket { start, parts }| {
        let mut partials = ShardPartials::default();
        for (i, bucket) in parts {
            let (pipeline, node, Some(columns)) = &of[i] else {
                return Err(Error::internal("windows in part of no form"));
            };
            for rows in bucket {
                let of_node = columns.partials(&rows?)?.into_iter();
                partials.windows.extend(of_node.map(|partial| (*pipeline, *node, partial)));
            }
        }
        Ok((start, partials))
    })
}
