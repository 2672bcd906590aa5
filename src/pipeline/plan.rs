//! A compiled query: small bounded runs of its plans, for ever.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::{ExecutionPlan, displayable, execution_plan::reset_plan_states};

use super::file::Header;
use super::fingerprint::Fingerprint;
use super::lookup::{LookupTable, fresh_joins, joins_of};
use super::output::Output;
use super::selection::selection_of;
use super::stream_table::with_row_number;
use super::window_plan::WindowPlan;
use crate::error::{Error, Result};
use crate::operator::batch_scan::{BatchScanExec, BatchSlot};
use crate::operator::concurrency::{ConcurrencyExec, ConcurrencyQuery};
use crate::operator::lookup_join::{LookupIndex, LookupSlot, LookupUse};
use crate::operator::window::{
    GroupColumn, LatenessRule, ShardWindows, TextCodes, WindowAggregateExec, WindowSpec, Windowing,
};
use crate::types::{MetricMapping, Micros};

/// What a windowed node of a query computes.
#[derive(Debug, Clone)]
pub enum Node {
    /// A windowed aggregate: shards run [`ContinuousPlan::shard_plans`].
    Window(Arc<WindowAggregateExec>),
    /// A question to the shared concurrency state.
    Concurrency(ConcurrencyQuery),
    /// A windowed aggregate over the rows of complete windows: where shards meet, its input runs over each of them.
    Cascade(Arc<Cascade>),
}

/// A windowed aggregate over windows.
#[derive(Debug)]
pub struct Cascade {
    template: Arc<WindowAggregateExec>,
    input: WindowPlan,
}

impl Cascade {
    /// `input` is what the template reads, cut at its windowed nodes.
    pub(super) fn new(template: Arc<WindowAggregateExec>, input: WindowPlan) -> Self {
        // Windows are added in the order of time; with their rows in the order of keys a sum of floats is the same in every replay.
        let goes_by_order = input.goes_by_order || template.spec().goes_by_order();
        Self { template, input: WindowPlan { goes_by_order, ..input } }
    }

    pub(super) fn template(&self) -> &WindowAggregateExec {
        &self.template
    }

    /// What it computes.
    pub fn spec(&self) -> &Arc<WindowSpec> {
        self.template.spec()
    }

    /// What it reads.
    pub fn input(&self) -> &WindowPlan {
        &self.input
    }
}

impl Node {
    /// The specification of a windowed aggregate.
    pub fn window(&self) -> Option<&Arc<WindowSpec>> {
        match self {
            Node::Window(template) => Some(template.spec()),
            Node::Cascade(cascade) => Some(cascade.spec()),
            Node::Concurrency(_) => None,
        }
    }

    /// Positions of the columns that tell the rows of one window apart.
    pub(super) fn keys(&self) -> Vec<usize> {
        let of_spec = |spec: &WindowSpec| {
            let groups = spec.group.iter().enumerate();
            groups.filter(|(_, g)| matches!(g, GroupColumn::Key(_))).map(|(i, _)| i).collect()
        };
        match self {
            Node::Window(template) => of_spec(template.spec()),
            Node::Cascade(cascade) => of_spec(cascade.spec()),
            Node::Concurrency(query) => (0..query.partition_by.len()).collect(),
        }
    }
}

/// A windowed node, and where its complete windows are read: by the rest of the query, or by another one.
#[derive(Debug, Clone)]
pub struct StatefulNode {
    /// What it computes.
    pub node: Node,
    pub(super) slot: BatchSlot,
    pub(super) schema: SchemaRef,
}

impl StatefulNode {
    /// What is joined below it.
    pub(super) fn lookup_uses(&self) -> Result<Vec<LookupUse>> {
        match &self.node {
            Node::Window(w) => Ok(joins_of(w.input())?.into_iter().map(|(wanted, _)| wanted).collect()),
            Node::Cascade(cascade) => Ok(cascade.input.joins.iter().map(|(wanted, _)| wanted.clone()).collect()),
            Node::Concurrency(_) => Ok(vec![]),
        }
    }

    /// How its windows lie.
    pub fn windowing(&self) -> Windowing {
        match &self.node {
            Node::Window(w) => w.spec().windowing,
            Node::Cascade(cascade) => cascade.spec().windowing,
            Node::Concurrency(q) => Windowing::tumbling(q.size),
        }
    }
}

/// A query that runs for ever: windowed nodes, and the rest over complete windows.
pub struct ContinuousPlan {
    /// The output table.
    pub name: String,
    /// `file:line` of its (first) window function.
    pub place: String,
    /// The file's header.
    pub header: Header,
    /// The windowed nodes, in plan order: those of the stream, then those over windows, of which what one reads is behind it.
    pub nodes: Vec<StatefulNode>,
    /// What its state depends on: the states of two queries fit each other if these are equal.
    pub fingerprint: Fingerprint,
    /// The metrics that the header makes of the rows.
    pub metrics: Vec<MetricMapping>,
    /// The lookup tables that it joins, each once.
    pub lookups: Vec<Arc<LookupTable>>,
    pub(super) rest: WindowPlan,
    pub(super) output: Output,
    pub(super) context: Arc<TaskContext>,
}

/// One shard's copy of the plan below a windowed aggregate.
pub struct ShardPlan {
    plan: Arc<dyn ExecutionPlan>,
    slots: Vec<BatchSlot>,
    joins: Vec<(LookupUse, LookupSlot)>,
    context: Arc<TaskContext>,
    /// The panes that it updates.
    pub windows: Arc<Mutex<ShardWindows>>,
}

impl ContinuousPlan {
    /// How the windows of the table lie.
    pub fn windowing(&self) -> Windowing {
        self.windowing_of(&self.rest)
    }

    /// How the windows lie that a plan reads.
    pub fn windowing_of(&self, plan: &WindowPlan) -> Windowing {
        self.nodes_of(plan).next().map_or(Windowing::tumbling(0), StatefulNode::windowing)
    }

    /// The nodes that a plan reads.
    pub(super) fn nodes_of(&self, plan: &WindowPlan) -> impl Iterator<Item = &StatefulNode> {
        plan.nodes.iter().filter_map(|i| self.nodes.get(*i))
    }

    /// How long before a window that a plan reads the first event may be that is in it: windows that hop, and that it is made of, begin
    /// before it.
    pub fn reach_of(&self, plan: &WindowPlan) -> Micros {
        let of_node = |node: &StatefulNode| match &node.node {
            Node::Cascade(cascade) => {
                let Windowing { size, slide, .. } = self.windowing_of(&cascade.input);
                size - slide + self.reach_of(&cascade.input)
            }
            Node::Window(_) | Node::Concurrency(_) => 0,
        };
        self.nodes_of(plan).map(of_node).max().unwrap_or(0)
    }

    /// The windowed aggregates over windows, by number. What one reads of them has a higher number.
    pub fn cascades(&self) -> impl Iterator<Item = (usize, &Arc<Cascade>)> {
        self.nodes.iter().enumerate().filter_map(|(i, node)| match &node.node {
            Node::Cascade(cascade) => Some((i, cascade)),
            Node::Window(_) | Node::Concurrency(_) => None,
        })
    }

    /// Names of the stream's columns that its windowed aggregates take from a batch.
    pub fn stream_columns(&self) -> Result<BTreeSet<String>> {
        let mut read = BTreeSet::new();
        for node in &self.nodes {
            let Node::Window(template) = &node.node else { continue };
            template.input().apply(|plan| {
                if let Some(scan) = plan.downcast_ref::<BatchScanExec>() {
                    read.extend(scan.schema().fields().iter().map(|f| f.name().clone()));
                }
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        Ok(read)
    }

    /// Whether it asks the state that all tables of `CONCURRENCY` share.
    pub fn reads_concurrency(&self) -> bool {
        self.nodes.iter().any(|n| matches!(n.node, Node::Concurrency(_)))
    }

    /// Whether it aggregates rows of the stream in windows.
    pub fn aggregates_stream(&self) -> bool {
        self.nodes.iter().any(|n| matches!(n.node, Node::Window(_)))
    }

    /// What it asks that state.
    pub fn concurrency_queries(&self) -> impl Iterator<Item = &ConcurrencyQuery> {
        self.nodes.iter().filter_map(|n| match &n.node {
            Node::Concurrency(query) => Some(query),
            Node::Window(_) | Node::Cascade(_) => None,
        })
    }

    /// How long after its end a window still takes rows.
    pub fn allowed_lateness(&self) -> Micros {
        i64::from(self.header.allowed_lateness_secs) * crate::types::MICROS_PER_SEC
    }

    /// How far its watermark is behind the high time of a shard, in a job whose own is `of_job` behind.
    pub fn watermark_delay(&self, of_job: Micros) -> Micros {
        let own = self.header.watermark_delay_secs;
        own.map_or(of_job, |secs| i64::from(secs) * crate::types::MICROS_PER_SEC)
    }

    /// Schema of the table: the query's columns with `revision` (`Int32`) after `window_end`; times are timestamps in
    /// microseconds, UTC.
    pub fn schema(&self) -> &SchemaRef {
        self.output.schema()
    }

    /// A shard's own copies of the plans below the windowed aggregates, by node; `None` for concurrency. Those over windows, which are
    /// behind the others, have none. All plans of a shard, of whatever table, best share `codes`.
    pub fn shard_plans(&self, rule: LatenessRule, codes: &Arc<TextCodes>) -> Result<Vec<Option<ShardPlan>>> {
        self.nodes
            .iter()
            .filter_map(|n| match &n.node {
                Node::Window(template) => {
                    Some(ShardPlan::try_new(template, rule, codes, Arc::clone(&self.context)).map(Some))
                }
                Node::Concurrency(_) => Some(Ok(None)),
                Node::Cascade(_) => None,
            })
            .collect()
    }

    /// The windowed aggregates' specifications, by node; `None` for concurrency.
    pub fn window_spec(&self, node: usize) -> Option<&Arc<WindowSpec>> {
        self.nodes.get(node)?.node.window()
    }

    /// Every index of a lookup table that the query asks for, above and below its windows; some may come twice.
    pub fn lookup_uses(&self) -> Result<Vec<LookupUse>> {
        let mut all: Vec<LookupUse> = self.rest.joins.iter().map(|(wanted, _)| wanted.clone()).collect();
        for node in &self.nodes {
            all.extend(node.lookup_uses()?);
        }
        Ok(all)
    }

    /// Has what runs over complete windows join these versions from now on.
    pub fn put_lookups(&self, version: impl Fn(&LookupUse) -> Result<Arc<LookupIndex>>) -> Result<()> {
        self.cascades().try_for_each(|(_, cascade)| put_all(&cascade.input.joins, &version))?;
        put_all(&self.rest.joins, &version)
    }

    /// Runs the rest of the query over one complete window: for each node that it reads its rows (`None`: it has none in this window).
    /// The result is sorted by the window and the header's keys, and has the table's schema.
    pub async fn finish(&self, rows: Vec<Option<RecordBatch>>, revision: i32) -> Result<RecordBatch> {
        let batches = self.run_rest(rows).await?;
        self.output.finish(&batches, revision)
    }

    pub(super) async fn run_rest(
        &self,
        rows: Vec<Option<RecordBatch>>,
    ) -> datafusion::common::Result<Vec<RecordBatch>> {
        self.rest.run(&self.nodes, rows, &self.context).await
    }

    /// Runs what a windowed aggregate over windows reads, over one complete window of these: the rows that it adds to its own.
    pub async fn feed(&self, cascade: &Cascade, rows: Vec<Option<RecordBatch>>) -> Result<RecordBatch> {
        let batches = cascade.input.run(&self.nodes, rows, &self.context).await?;
        Ok(concat_batches(&cascade.input.plan.schema(), &batches)?)
    }

    /// The plan over the complete windows of the table.
    pub fn rest(&self) -> &WindowPlan {
        &self.rest
    }

    /// Whether the rest of the query looks at each row by itself, so that it may run over the rows of several windows at once.
    pub fn goes_row_by_row(&self) -> bool {
        !self.rest.goes_by_order
    }

    /// Positions of the header's keys in the table's schema.
    pub fn key_columns(&self) -> &[usize] {
        self.output.key_columns()
    }

    /// What a leaf of a plan over complete windows reads: a windowed node, if it is one's complete windows.
    pub(super) fn node_of(&self, leaf: &dyn ExecutionPlan) -> Option<&Node> {
        let scan = leaf.downcast_ref::<BatchScanExec>().map(BatchScanExec::slot);
        let slot = scan.or_else(|| leaf.downcast_ref::<ConcurrencyExec>().map(ConcurrencyExec::slot))?;
        self.nodes.iter().find(|node| node.slot.is(slot)).map(|node| &node.node)
    }

    /// The plan over complete windows, as text.
    pub fn describe(&self) -> String {
        displayable(self.rest.plan.as_ref()).indent(false).to_string()
    }
}

impl std::fmt::Debug for ContinuousPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ContinuousPlan").field("name", &self.name).field("nodes", &self.nodes).finish_non_exhaustive()
    }
}

impl ShardPlan {
    fn try_new(
        template: &WindowAggregateExec,
        rule: LatenessRule,
        codes: &Arc<TextCodes>,
        context: Arc<TaskContext>,
    ) -> Result<Self> {
        let mut slots = Vec::new();
        let input = Arc::clone(template.input()).transform_up(|node| match node.downcast_ref::<BatchScanExec>() {
            Some(scan) => {
                let scan = scan.fresh();
                slots.push(scan.slot().clone());
                Ok(Transformed::yes(Arc::new(scan) as _))
            }
            None => Ok(Transformed::no(node)),
        })?;
        let input = fresh_joins(input.data)?;
        let joins = joins_of(&input)?;
        let (input, selection) = selection_of(input, template.spec())?;
        let (exec, windows) = template.for_shard(input, selection, rule, codes)?;
        Ok(Self { plan: Arc::new(exec), slots, joins, context, windows })
    }

    /// Joins these versions from the next batch on.
    pub fn put_lookups(&self, version: impl Fn(&LookupUse) -> Result<Arc<LookupIndex>>) -> Result<()> {
        put_all(&self.joins, version)
    }

    /// Runs the plan over one batch, which must have the stream's schema with [`super::ROW_NUMBER`] at its end.
    pub async fn run(&mut self, batch: &RecordBatch) -> Result<()> {
        for slot in &self.slots {
            slot.put(vec![batch.clone()]);
        }
        // Metrics and filters of the last run would pile up.
        self.plan = reset_plan_states(Arc::clone(&self.plan))?;
        let none = datafusion::physical_plan::collect(Arc::clone(&self.plan), Arc::clone(&self.context)).await?;
        if none.iter().any(|b| b.num_rows() > 0) {
            return Err(Error::internal("a windowed operator emitted rows in a shard"));
        }
        Ok(())
    }
}

fn put_all(joins: &[(LookupUse, LookupSlot)], version: impl Fn(&LookupUse) -> Result<Arc<LookupIndex>>) -> Result<()> {
    for (wanted, slot) in joins {
        slot.put(version(wanted)?);
    }
    Ok(())
}

/// Adds the row number that [`ShardPlan::run`] needs.
pub fn number_rows(events: &RecordBatch) -> Result<RecordBatch> {
    let rows = u32::try_from(events.num_rows()).map_err(|_| Error::internal("a batch of over 4 billion rows"))?;
    let mut columns = events.columns().to_vec();
    columns.push(Arc::new(arrow::array::UInt32Array::from_iter_values(0..rows)));
    Ok(RecordBatch::try_new(with_row_number(&events.schema()), columns)?)
}
