//! From a pipeline file to a plan that runs for ever, in small bounded runs.

use std::sync::{Arc, Mutex};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::execution::TaskContext;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::{ExecutionPlan, displayable, execution_plan::reset_plan_states};
use datafusion::prelude::SessionConfig;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use xxhash_rust::xxh3::xxh3_64;

use super::analyze::WindowedAggregates;
use super::dialect::StreamDialect;
use super::file::{Header, PipelineFile};
use super::functions::{self, Function};
use super::output::Output;
use super::physical::WindowQueryPlanner;
use super::places::Places;
use super::refusal::{refuse, refuse_at};
use super::stream_table::{StreamTable, with_row_number};
use super::table_functions::{WindowTableFunctions, tumble_form};
use super::ties::{by_keys, goes_by_order};
use super::unrepeatable::refuse_unrepeatable;
use super::{depth, metric};
use crate::error::{Error, Result};
use crate::limits::PLAN_BATCH_ROWS_MAX;
use crate::operator::batch_scan::{BatchScanExec, BatchSlot};
use crate::operator::concurrency::{ConcurrencyExec, ConcurrencyQuery};
use crate::operator::window::{GroupColumn, LatenessRule, ShardWindows, WindowAggregateExec, WindowSpec};
use crate::schema::{Contract, Kind};
use crate::types::{MetricMapping, Micros};

/// Compiles pipelines over one event stream.
pub struct Compiler {
    state: SessionState,
    /// How a query over the stream begins, for those that do not.
    tumble_form: String,
}

/// What a windowed node of a query computes.
#[derive(Debug, Clone)]
pub enum Node {
    /// A windowed aggregate: shards run [`ContinuousPlan::shard_plans`].
    Window(Arc<WindowAggregateExec>),
    /// A question to the shared concurrency state.
    Concurrency(ConcurrencyQuery),
}

impl Node {
    /// The specification of a windowed aggregate.
    pub fn window(&self) -> Option<&Arc<WindowSpec>> {
        match self {
            Node::Window(template) => Some(template.spec()),
            Node::Concurrency(_) => None,
        }
    }

    /// Positions of the columns that tell the rows of one window apart.
    fn keys(&self) -> Vec<usize> {
        match self {
            Node::Window(template) => {
                let groups = template.spec().group.iter().enumerate();
                groups.filter(|(_, g)| matches!(g, GroupColumn::Key(_))).map(|(i, _)| i).collect()
            }
            Node::Concurrency(query) => (0..query.partition_by.len()).collect(),
        }
    }
}

/// A windowed node, and where the rest of the query reads its complete windows.
#[derive(Debug, Clone)]
pub struct StatefulNode {
    /// What it computes.
    pub node: Node,
    slot: BatchSlot,
    schema: SchemaRef,
}

impl StatefulNode {
    /// Size of its windows.
    pub fn size(&self) -> Micros {
        match &self.node {
            Node::Window(w) => w.spec().size,
            Node::Concurrency(q) => q.size,
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
    /// The windowed nodes, in plan order.
    pub nodes: Vec<StatefulNode>,
    /// Tells queries apart whose states do not fit each other: a hash of the query as parsed, and of the allowed lateness.
    pub fingerprint: u64,
    /// The metrics that the header makes of the rows.
    pub metrics: Vec<MetricMapping>,
    rest: Arc<dyn ExecutionPlan>,
    /// Whether the result may depend on the order of the nodes' rows.
    goes_by_order: bool,
    output: Output,
    context: Arc<TaskContext>,
}

/// One shard's copy of the plan below a windowed aggregate.
pub struct ShardPlan {
    plan: Arc<dyn ExecutionPlan>,
    slots: Vec<BatchSlot>,
    context: Arc<TaskContext>,
    /// The panes that it updates.
    pub windows: Arc<Mutex<ShardWindows>>,
}

impl Compiler {
    /// A compiler for queries over the stream of `contract`.
    pub fn new(contract: &Contract) -> Result<Self> {
        let mut config = SessionConfig::new().with_target_partitions(1).with_batch_size(PLAN_BATCH_ROWS_MAX);
        let options = config.options_mut();
        options.sql_parser.map_string_types_to_utf8view = false;
        options.sql_parser.collect_spans = true;
        // A reused plan must not remember the last run: dynamic filters would.
        options.optimizer.enable_dynamic_filter_pushdown = false;
        // As joins they are part of the plan that is cut; as operators they would all be at its top, out of the shards' reach.
        options.optimizer.enable_physical_uncorrelated_scalar_subquery = false;
        let stream = contract.stream_name();
        let table = Arc::new(StreamTable::new(stream, &contract.events_schema()));
        let dimensions = contract.fields().iter().filter(|f| f.kind == Kind::String).map(|f| f.name.clone()).collect();
        let functions = WindowTableFunctions::new(stream, table.clone(), contract.time_field(), dimensions);
        let mut state = SessionStateBuilder::new()
            .with_config(config)
            .with_default_features()
            .with_analyzer_rule(Arc::new(WindowedAggregates))
            .with_query_planner(Arc::new(WindowQueryPlanner))
            .build();
        functions::register_own(&mut state)?;
        state.register_relation_planner(Arc::new(functions))?;
        state.schema_for_ref(stream)?.register_table(stream.to_owned(), table)?;
        Ok(Self { state, tumble_form: tumble_form(stream, contract.time_field()) })
    }

    /// Adds a function of one's own, which every query compiled from now on may call.
    ///
    /// # Errors
    /// A user error if there is a function of its name already.
    pub fn register(&mut self, function: impl Into<Function>) -> Result<()> {
        functions::register(&mut self.state, function.into())
    }

    /// Compiles one pipeline.
    ///
    /// # Errors
    /// A user error with `file:line`, the reason and the remedy, if the query is wrong or cannot run for ever.
    pub async fn compile(&self, file: &PipelineFile) -> Result<ContinuousPlan> {
        let statement = parse(file)?;
        let places = Places::of(&statement);
        let words = format!("{statement}; {}", file.header.allowed_lateness_secs);
        let fingerprint = xxh3_64(words.as_bytes());
        let logical = self.state.statement_to_plan(statement).await.map_err(|e| refuse(file, &e))?;
        refuse_unrepeatable(&logical).map_err(|e| refuse(file, &e))?;
        let optimized = self.state.optimize(&logical).map_err(|e| refuse(file, &e))?;
        let physical = self
            .state
            .query_planner()
            .create_physical_plan(&optimized, &self.state)
            .await
            .map_err(|e| refuse(file, &e))?;
        let output = Output::try_new(file, &places, &physical.schema())?;
        let mut nodes = Vec::new();
        let rest = cut(physical, &mut nodes)?;
        for node in &nodes {
            if let Node::Window(window) = &node.node {
                window.check().map_err(|e| refuse(file, &e))?;
            }
        }
        if nodes.is_empty() {
            return Err(Error::user("the query does not read the stream through a window")
                .at(places.from(file))
                .hint(format!("begin with FROM TABLE({})", self.tumble_form)));
        }
        let plan = ContinuousPlan {
            name: file.name.clone(),
            place: places.window(file),
            header: file.header.clone(),
            fingerprint,
            metrics: metric::check(file, &output)?,
            goes_by_order: goes_by_order(rest.as_ref()),
            nodes,
            rest,
            output,
            context: self.state.task_ctx(),
        };
        plan.check_windows(file, &places)?;
        plan.check_leaves()?;
        // What DataFusion finds out only when it runs is found out now.
        check_aggregates(&plan.rest).map_err(|e| refuse(file, &e))?;
        plan.run_rest(plan.nodes.iter().map(|_| None).collect()).await.map_err(|e| refuse(file, &e))?;
        Ok(plan)
    }
}

fn parse(file: &PipelineFile) -> Result<Statement> {
    let dialect = StreamDialect::default();
    depth::check(file, &dialect)?;
    let mut statements = DFParserBuilder::new(file.sql.as_str())
        .with_dialect(&dialect)
        .build()
        .and_then(|mut p| p.parse_statements())
        .map_err(|e| refuse(file, &e))?;
    match (statements.pop_front(), statements.is_empty()) {
        (Some(statement @ Statement::Statement(_)), true) if is_query(&statement) => Ok(statement),
        _ => Err(refuse_at(file, 1, "a pipeline is exactly one SELECT").hint("one file, one query, one table")),
    }
}

fn is_query(statement: &Statement) -> bool {
    use datafusion::logical_expr::sqlparser::ast::Statement as Sql;
    matches!(statement, Statement::Statement(s) if matches!(s.as_ref(), Sql::Query(_)))
}

/// Replaces each windowed node by a source of its complete windows.
fn cut(plan: Arc<dyn ExecutionPlan>, nodes: &mut Vec<StatefulNode>) -> Result<Arc<dyn ExecutionPlan>> {
    let cut = plan.transform_down(|node| {
        if let Some(window) = node.downcast_ref::<WindowAggregateExec>() {
            let scan = BatchScanExec::try_new("complete windows", node.schema(), None)?;
            let template = WindowAggregateExec::new(Arc::clone(window.spec()), Arc::clone(window.input()));
            nodes.push(StatefulNode {
                node: Node::Window(Arc::new(template)),
                slot: scan.slot().clone(),
                schema: node.schema(),
            });
            return Ok(Transformed::yes(Arc::new(scan) as _));
        }
        if let Some(concurrency) = node.downcast_ref::<ConcurrencyExec>() {
            nodes.push(StatefulNode {
                node: Node::Concurrency(concurrency.query().clone()),
                slot: concurrency.slot().clone(),
                schema: node.schema(),
            });
        }
        Ok(Transformed::no(node))
    })?;
    Ok(cut.data)
}

/// Whether accumulators can be made of the aggregates above the windows: some find out about their arguments only then.
fn check_aggregates(rest: &Arc<dyn ExecutionPlan>) -> datafusion::common::Result<()> {
    rest.apply(|node| {
        let aggregates = node.downcast_ref::<AggregateExec>().map(AggregateExec::aggr_expr).unwrap_or_default();
        let mut rowwise = aggregates.iter().filter(|a| !a.groups_accumulator_supported());
        rowwise.try_for_each(|a| a.create_accumulator().map(drop))?;
        Ok(TreeNodeRecursion::Continue)
    })
    .map(drop)
}

impl ContinuousPlan {
    fn check_windows(&self, file: &PipelineFile, places: &Places) -> Result<()> {
        let size = self.window_size();
        if self.nodes.iter().any(|n| n.size() != size) {
            return Err(Error::user("the query combines windows of different sizes")
                .at(places.other_size(file))
                .hint("use one size in one file, or two files"));
        }
        let concurrent = self.nodes.iter().any(|n| matches!(n.node, Node::Concurrency(_)));
        if concurrent && self.nodes.len() > 1 {
            return Err(Error::user("CONCURRENCY cannot be joined with another windowed result yet")
                .at(places.second_window(file))
                .hint("write two tables and join them in the lake"));
        }
        if concurrent && self.header.allowed_lateness_secs > 0 {
            let reason =
                "concurrency tables take no allowed_lateness_secs: one late mark would change every window after it";
            return Err(Error::user(reason)
                .at(file.at_key("allowed_lateness_secs"))
                .hint("remove the key, or raise time.watermark_delay_secs"));
        }
        Ok(())
    }

    /// Rows of the stream come to no operator above the windows, and complete windows to none below: such a query would be silently
    /// empty.
    fn check_leaves(&self) -> Result<()> {
        let stray = |plan: &Arc<dyn ExecutionPlan>, is_stray: &dyn Fn(&dyn ExecutionPlan) -> bool| {
            plan.exists(|node| Ok(is_stray(node.as_ref())))
        };
        let above =
            |node: &dyn ExecutionPlan| node.downcast_ref::<BatchScanExec>().is_some() && self.node_of(node).is_none();
        let below = |node: &dyn ExecutionPlan| {
            node.downcast_ref::<WindowAggregateExec>().is_some() || node.downcast_ref::<ConcurrencyExec>().is_some()
        };
        let mut strays = stray(&self.rest, &above)?;
        for node in &self.nodes {
            if let Node::Window(window) = &node.node {
                strays |= stray(window.input(), &below)?;
            }
        }
        if strays { Err(Error::internal("the query was cut at the wrong place").at(&self.place)) } else { Ok(()) }
    }

    /// Size of the query's windows.
    pub fn window_size(&self) -> Micros {
        self.nodes.first().map_or(0, StatefulNode::size)
    }

    /// How long after its end a window still takes rows.
    pub fn allowed_lateness(&self) -> Micros {
        i64::from(self.header.allowed_lateness_secs) * crate::types::MICROS_PER_SEC
    }

    /// Schema of the table: the query's columns with `revision` (`Int32`) after `window_end`; times are timestamps in
    /// microseconds, UTC.
    pub fn schema(&self) -> &SchemaRef {
        self.output.schema()
    }

    /// A shard's own copies of the plans below the windowed aggregates, by node; `None` for concurrency.
    pub fn shard_plans(&self, rule: LatenessRule) -> Result<Vec<Option<ShardPlan>>> {
        self.nodes
            .iter()
            .map(|n| match &n.node {
                Node::Window(template) => ShardPlan::try_new(template, rule, Arc::clone(&self.context)).map(Some),
                Node::Concurrency(_) => Ok(None),
            })
            .collect()
    }

    /// The windowed aggregates' specifications, by node; `None` for concurrency.
    pub fn window_spec(&self, node: usize) -> Option<&Arc<WindowSpec>> {
        self.nodes.get(node)?.node.window()
    }

    /// Runs the rest of the query over one complete window: for each node its rows (`None`: it has none in this window).
    /// The result is sorted by the window and the header's keys, and has the table's schema.
    pub async fn finish(&self, rows: Vec<Option<RecordBatch>>, revision: i32) -> Result<RecordBatch> {
        let batches = self.run_rest(rows).await?;
        self.output.finish(&batches, revision)
    }

    async fn run_rest(&self, rows: Vec<Option<RecordBatch>>) -> datafusion::common::Result<Vec<RecordBatch>> {
        for (node, rows) in self.nodes.iter().zip(rows) {
            let rows = match rows {
                Some(rows) if self.goes_by_order => by_keys(&rows, &node.node.keys())?,
                Some(rows) => rows,
                None => RecordBatch::new_empty(Arc::clone(&node.schema)),
            };
            node.slot.put(vec![rows]);
        }
        let plan = reset_plan_states(Arc::clone(&self.rest))?;
        datafusion::physical_plan::collect(plan, Arc::clone(&self.context)).await
    }

    /// Positions of the header's keys in the table's schema.
    pub fn key_columns(&self) -> &[usize] {
        self.output.key_columns()
    }

    /// The plan over complete windows.
    pub(super) fn rest(&self) -> &dyn ExecutionPlan {
        self.rest.as_ref()
    }

    /// What a leaf of [`Self::rest`] reads: a windowed node, if it is one's complete windows.
    pub(super) fn node_of(&self, leaf: &dyn ExecutionPlan) -> Option<&Node> {
        let scan = leaf.downcast_ref::<BatchScanExec>().map(BatchScanExec::slot);
        let slot = scan.or_else(|| leaf.downcast_ref::<ConcurrencyExec>().map(ConcurrencyExec::slot))?;
        self.nodes.iter().find(|node| node.slot.is(slot)).map(|node| &node.node)
    }

    /// The plan over complete windows, as text.
    pub fn describe(&self) -> String {
        displayable(self.rest.as_ref()).indent(false).to_string()
    }
}

impl std::fmt::Debug for ContinuousPlan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ContinuousPlan").field("name", &self.name).field("nodes", &self.nodes).finish_non_exhaustive()
    }
}

impl ShardPlan {
    fn try_new(template: &WindowAggregateExec, rule: LatenessRule, context: Arc<TaskContext>) -> Result<Self> {
        let mut slots = Vec::new();
        let input = Arc::clone(template.input()).transform_up(|node| match node.downcast_ref::<BatchScanExec>() {
            Some(scan) => {
                let scan = scan.fresh();
                slots.push(scan.slot().clone());
                Ok(Transformed::yes(Arc::new(scan) as _))
            }
            None => Ok(Transformed::no(node)),
        })?;
        let (exec, windows) = template.for_shard(input.data, rule);
        Ok(Self { plan: Arc::new(exec), slots, context, windows })
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

/// Adds the row number that [`ShardPlan::run`] needs.
pub fn number_rows(events: &RecordBatch) -> Result<RecordBatch> {
    let rows = u32::try_from(events.num_rows()).map_err(|_| Error::internal("a batch of over 4 billion rows"))?;
    let mut columns = events.columns().to_vec();
    columns.push(Arc::new(arrow::array::UInt32Array::from_iter_values(0..rows)));
    Ok(RecordBatch::try_new(with_row_number(&events.schema()), columns)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn shipped_pipelines_compile() {
        let compiler = Compiler::new(&Contract::shipped().unwrap()).unwrap();
        for file in PipelineFile::shipped() {
            let file = file.unwrap();
            let plan = compiler.compile(&file).await.unwrap_or_else(|e| panic!("{}", e.report()));
            println!("{}\n{}", plan.name, plan.describe());
            for n in &plan.nodes {
                if let Node::Window(w) = &n.node {
                    println!("{}", displayable(w.as_ref()).indent(false));
                }
            }
            println!("{:?}", plan.schema().fields().iter().map(|f| (f.name(), f.data_type())).collect::<Vec<_>>());
        }
    }
}
