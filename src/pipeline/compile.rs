//! From a pipeline file to a plan that runs for ever, in small bounded runs.

use std::sync::{Arc, Mutex};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::execution::{FunctionRegistry, TaskContext};
use datafusion::physical_plan::{ExecutionPlan, displayable, execution_plan::reset_plan_states};
use datafusion::prelude::SessionConfig;
use datafusion::sql::parser::{DFParserBuilder, Statement};
use xxhash_rust::xxh3::xxh3_64;

use super::analyze::WindowedAggregates;
use super::dialect::StreamDialect;
use super::file::{Header, PipelineFile};
use super::lookup::{LookupJoins, LookupProvider, LookupTable, fresh_joins, joins_of, known};
use super::output::Output;
use super::physical::WindowQueryPlanner;
use super::refusal::{refuse, refuse_at};
use super::stream_table::{StreamTable, with_row_number};
use super::table_functions::{WindowTableFunctions, tumble_form};
use super::unrepeatable::refuse_unrepeatable;
use super::{depth, metric};
use crate::error::{Error, Result};
use crate::limits::PLAN_BATCH_ROWS_MAX;
use crate::operator::batch_scan::{BatchScanExec, BatchSlot};
use crate::operator::concurrency::{ConcurrencyExec, ConcurrencyQuery};
use crate::operator::lookup_join::{LookupIndex, LookupSlot, LookupUse};
use crate::operator::percentile::percentile;
use crate::operator::window::{LatenessRule, ShardWindows, WindowAggregateExec, WindowSpec, Windowing};
use crate::schema::{Contract, Kind};
use crate::types::{MetricMapping, Micros};

/// Compiles pipelines over one event stream.
pub struct Compiler {
    state: SessionState,
    /// How a query over the stream begins, for those that do not.
    tumble_form: String,
    lookups: Vec<Arc<LookupTable>>,
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
    /// What is joined below it.
    fn lookup_uses(&self) -> Result<Vec<LookupUse>> {
        match &self.node {
            Node::Window(w) => Ok(joins_of(w.input())?.into_iter().map(|(wanted, _)| wanted).collect()),
            Node::Concurrency(_) => Ok(vec![]),
        }
    }

    /// How its windows lie.
    pub fn windowing(&self) -> Windowing {
        match &self.node {
            Node::Window(w) => w.spec().windowing,
            Node::Concurrency(q) => Windowing::tumbling(q.size),
        }
    }
}

/// A query that runs for ever: windowed nodes, and the rest over complete windows.
pub struct ContinuousPlan {
    /// The output table.
    pub name: String,
    /// The file's header.
    pub header: Header,
    /// The windowed nodes, in plan order.
    pub nodes: Vec<StatefulNode>,
    /// Tells queries apart whose states do not fit each other: a hash of the query as parsed, and of the allowed lateness.
    pub fingerprint: u64,
    /// The metrics that the header makes of the rows.
    pub metrics: Vec<MetricMapping>,
    /// The lookup tables that it joins, each once.
    pub lookups: Vec<Arc<LookupTable>>,
    rest: Arc<dyn ExecutionPlan>,
    rest_joins: Vec<(LookupUse, LookupSlot)>,
    output: Output,
    context: Arc<TaskContext>,
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

impl Compiler {
    /// A compiler for queries over the stream of `contract` alone.
    ///
    /// # Errors
    /// Internal, if DataFusion does not take the product's functions.
    pub fn new(contract: &Contract) -> Result<Self> {
        Self::with_lookups(contract, &[])
    }

    /// A compiler for queries over the stream of `contract` that may join `lookups`.
    ///
    /// # Errors
    /// A user error if a lookup table has the stream's name, or a column by which the stream's rows are judged.
    pub fn with_lookups(contract: &Contract, lookups: &[Arc<LookupTable>]) -> Result<Self> {
        let mut config = SessionConfig::new().with_target_partitions(1).with_batch_size(PLAN_BATCH_ROWS_MAX);
        let options = config.options_mut();
        options.sql_parser.map_string_types_to_utf8view = false;
        options.sql_parser.collect_spans = true;
        // A reused plan must not remember the last run: dynamic filters would.
        options.optimizer.enable_dynamic_filter_pushdown = false;
        let stream = contract.stream_name();
        let table = Arc::new(StreamTable::new(stream, &contract.events_schema()));
        let dimensions = contract.fields().iter().filter(|f| f.kind == Kind::String).map(|f| f.name.clone()).collect();
        let functions = WindowTableFunctions::new(stream, table.clone(), contract.time_field(), dimensions);
        let mut state = SessionStateBuilder::new()
            .with_config(config)
            .with_default_features()
            .with_analyzer_rule(Arc::new(LookupJoins))
            .with_analyzer_rule(Arc::new(WindowedAggregates))
            .with_query_planner(Arc::new(WindowQueryPlanner))
            .build();
        state.register_udaf(percentile())?;
        state.register_relation_planner(Arc::new(functions))?;
        state.schema_for_ref(stream)?.register_table(stream.to_owned(), table)?;
        for lookup in lookups {
            lookup.check(stream)?;
            let name = lookup.name.to_string();
            let provider = Arc::new(LookupProvider(Arc::clone(lookup)));
            state.schema_for_ref(name.as_str())?.register_table(name, provider)?;
        }
        Ok(Self { state, tumble_form: tumble_form(stream, contract.time_field()), lookups: lookups.to_vec() })
    }

    /// Compiles one pipeline.
    ///
    /// # Errors
    /// A user error with `file:line`, the reason and the remedy, if the query is wrong or cannot run for ever.
    pub async fn compile(&self, file: &PipelineFile) -> Result<ContinuousPlan> {
        let statement = parse(file)?;
        let mut words = format!("{statement}; {}", file.header.allowed_lateness_secs);
        let logical =
            self.state.statement_to_plan(statement).await.map_err(|e| known(refuse(file, &e), &self.lookups))?;
        refuse_unrepeatable(&logical).map_err(|e| refuse(file, &e))?;
        let optimized = self.state.optimize(&logical).map_err(|e| refuse(file, &e))?;
        let physical = self
            .state
            .query_planner()
            .create_physical_plan(&optimized, &self.state)
            .await
            .map_err(|e| refuse(file, &e))?;
        let output = Output::try_new(file, &physical.schema())?;
        let mut nodes = Vec::new();
        let rest = cut(physical, &mut nodes)?;
        for node in &nodes {
            if let Node::Window(window) = &node.node {
                window.check().map_err(|e| refuse(file, &e))?;
            }
        }
        if nodes.is_empty() {
            return Err(refuse_at(file, 1, "the query does not read the stream through a window")
                .hint(format!("begin with FROM TABLE({})", self.tumble_form)));
        }
        let rest_joins = joins_of(&rest)?;
        let lookups = self.lookups_of(&nodes, &rest_joins)?;
        for lookup in &lookups {
            // Their columns may be keys of groups that are open.
            words.push_str(&format!("; {} {:?}", lookup.name, lookup.schema.fields()));
        }
        let plan = ContinuousPlan {
            name: file.name.clone(),
            header: file.header.clone(),
            nodes,
            fingerprint: xxh3_64(words.as_bytes()),
            metrics: metric::check(file, &output)?,
            lookups,
            rest,
            rest_joins,
            output,
            context: self.state.task_ctx(),
        };
        plan.check_windows(file)?;
        Ok(plan)
    }
}

impl Compiler {
    /// The lookup tables that the halves of a query join, in the order of the configuration.
    fn lookups_of(&self, nodes: &[StatefulNode], rest: &[(LookupUse, LookupSlot)]) -> Result<Vec<Arc<LookupTable>>> {
        let mut joined: Vec<LookupUse> = rest.iter().map(|(wanted, _)| wanted.clone()).collect();
        for node in nodes {
            joined.extend(node.lookup_uses()?);
        }
        let is_joined = |t: &&Arc<LookupTable>| joined.iter().any(|wanted| wanted.table == t.name);
        Ok(self.lookups.iter().filter(is_joined).cloned().collect())
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

impl ContinuousPlan {
    fn check_windows(&self, file: &PipelineFile) -> Result<()> {
        let windowing = self.windowing();
        if self.nodes.iter().any(|n| n.windowing() != windowing) {
            return Err(refuse_at(file, 1, "the query combines windows of different sizes or slides")
                .hint("use one size and slide in one file, or two files"));
        }
        let concurrent = self.nodes.iter().any(|n| matches!(n.node, Node::Concurrency(_)));
        if concurrent && self.nodes.len() > 1 {
            return Err(refuse_at(file, 1, "CONCURRENCY cannot be joined with another windowed result yet")
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

    /// How the query's windows lie.
    pub fn windowing(&self) -> Windowing {
        self.nodes.first().map_or(Windowing::tumbling(0), StatefulNode::windowing)
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

    /// Every index of a lookup table that the query asks for, above and below its windows; some may come twice.
    pub fn lookup_uses(&self) -> Result<Vec<LookupUse>> {
        let mut all: Vec<LookupUse> = self.rest_joins.iter().map(|(wanted, _)| wanted.clone()).collect();
        for node in &self.nodes {
            all.extend(node.lookup_uses()?);
        }
        Ok(all)
    }

    /// Has the rest of the query join these versions from now on.
    pub fn put_lookups(&self, version: impl Fn(&LookupUse) -> Result<Arc<LookupIndex>>) -> Result<()> {
        put_all(&self.rest_joins, version)
    }

    /// Runs the rest of the query over one complete window: for each node its rows (`None`: it has none in this window).
    /// The result is sorted by the window and the header's keys, and has the table's schema.
    pub async fn finish(&self, rows: Vec<Option<RecordBatch>>, revision: i32) -> Result<RecordBatch> {
        for (node, rows) in self.nodes.iter().zip(rows) {
            node.slot.put(vec![rows.unwrap_or_else(|| RecordBatch::new_empty(Arc::clone(&node.schema)))]);
        }
        let plan = reset_plan_states(Arc::clone(&self.rest))?;
        let batches = datafusion::physical_plan::collect(plan, Arc::clone(&self.context)).await?;
        self.output.finish(&batches, revision)
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
        let input = fresh_joins(input.data)?;
        let joins = joins_of(&input)?;
        let (exec, windows) = template.for_shard(input, rule);
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
