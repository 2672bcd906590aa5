//! From a pipeline file to a plan that runs for ever, in small bounded runs.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionConfig;
use datafusion::sql::parser::{DFParserBuilder, Statement};

use super::analyze::WindowedAggregates;
use super::cascade::windows_of;
use super::dialect::StreamDialect;
use super::file::PipelineFile;
use super::fingerprint::fingerprint;
use super::functions::{self, Function};
use super::lookup::{LookupJoins, LookupProvider, LookupTable, known};
use super::marks::MarksOfColumns;
use super::output::Output;
use super::physical::WindowQueryPlanner;
use super::places::Places;
use super::plan::{Cascade, ContinuousPlan, Node, StatefulNode};
use super::refusal::{refuse, refuse_at};
use super::stream_table::StreamTable;
use super::table_functions::{WindowTableFunctions, tumble_form};
use super::unrepeatable::refuse_unrepeatable;
use super::window_plan::WindowPlan;
use super::{depth, metric, order_of_windows, row_keys, table_bounds};
use crate::error::{Error, Result};
use crate::limits::PLAN_BATCH_ROWS_MAX;
use crate::operator::batch_scan::BatchScanExec;
use crate::operator::concurrency::ConcurrencyExec;
use crate::operator::lookup_join::{LookupSlot, LookupUse};
use crate::operator::memory::StateMemory;
use crate::operator::window::WindowAggregateExec;
use crate::schema::{Contract, Kind};

/// Compiles pipelines over one event stream.
pub struct Compiler {
    state: SessionState,
    /// How a query over the stream begins, for those that do not.
    tumble_form: String,
    lookups: Vec<Arc<LookupTable>>,
    memory: StateMemory,
}

impl Compiler {
    /// A compiler for queries over the stream of `contract` alone, with all memory that there is.
    ///
    /// # Errors
    /// Internal, if DataFusion does not take the product's functions.
    pub fn new(contract: &Contract) -> Result<Self> {
        Self::with_lookups(contract, &[], StateMemory::new(usize::MAX))
    }

    /// A compiler for queries over the stream of `contract` that may join `lookups`, and together take `memory` when they run.
    ///
    /// # Errors
    /// A user error if a lookup table has the stream's name, or a column by which the stream's rows are judged.
    pub fn with_lookups(contract: &Contract, lookups: &[Arc<LookupTable>], memory: StateMemory) -> Result<Self> {
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
        let runtime = RuntimeEnvBuilder::new().with_memory_pool(memory.pool()).build_arc()?;
        let mut state = SessionStateBuilder::new()
            .with_config(config)
            .with_runtime_env(runtime)
            .with_default_features()
            .with_analyzer_rule(Arc::new(MarksOfColumns))
            .with_analyzer_rule(Arc::new(LookupJoins))
            .with_analyzer_rule(Arc::new(WindowedAggregates))
            .with_query_planner(Arc::new(WindowQueryPlanner))
            .build();
        functions::register_own(&mut state)?;
        state.register_relation_planner(Arc::new(functions))?;
        state.schema_for_ref(stream)?.register_table(stream.to_owned(), table)?;
        for lookup in lookups {
            lookup.check(stream)?;
            let name = lookup.name.to_string();
            let provider = Arc::new(LookupProvider(Arc::clone(lookup)));
            state.schema_for_ref(name.as_str())?.register_table(name, provider)?;
        }
        Ok(Self { state, tumble_form: tumble_form(stream, contract.time_field()), lookups: lookups.to_vec(), memory })
    }

    /// What its queries may take together when they run.
    pub fn memory(&self) -> &StateMemory {
        &self.memory
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
        let words = statement.to_string();
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
        let output = Output::try_new(file, &places, &physical.schema())?;
        let mut nodes = Vec::new();
        let rest = cut_all(physical, &mut nodes)?;
        for node in &nodes {
            match &node.node {
                Node::Window(window) => window.check(),
                Node::Cascade(cascade) => cascade.template().check(),
                Node::Concurrency(_) => Ok(()),
            }
            .map_err(|e| refuse(file, &e))?;
        }
        if nodes.is_empty() {
            return Err(Error::user("the query does not read the stream through a window")
                .at(places.from(file))
                .hint(format!("begin with FROM TABLE({})", self.tumble_form)));
        }
        let lookups = self.lookups_of(&nodes, &rest.joins)?;
        let plan = ContinuousPlan {
            name: file.name.clone(),
            place: places.window(file),
            header: file.header.clone(),
            fingerprint: fingerprint(&words, file.header.allowed_lateness_secs, &nodes, &lookups)?,
            metrics: metric::check(file, &output)?,
            lookups,
            nodes,
            rest,
            output,
            context: self.state.task_ctx(),
        };
        plan.check(file, &places, &logical).await?;
        if file.header.allowed_lateness_secs > 0 {
            let analyzed =
                self.state.analyzer().execute_and_check(logical.clone(), self.state.config_options(), |_, _| {});
            row_keys::check(&analyzed.map_err(|e| refuse(file, &e))?, file)?;
        }
        let own = windows_of(&optimized);
        table_bounds::check(&logical, &own, file, &places)?;
        order_of_windows::refuse(&logical, &own).map_err(|e| refuse(file, &e))?;
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

/// Cuts a plan at its windowed nodes, and what those read that are over windows, down to the stream.
fn cut_all(plan: Arc<dyn ExecutionPlan>, nodes: &mut Vec<StatefulNode>) -> Result<WindowPlan> {
    let mut over_windows = Vec::new();
    let mut rest = cut(plan, nodes, &mut over_windows)?;
    let mut inputs = Vec::new();
    // Those that are found on the way are at the end of the list.
    while let Some((_, window)) = over_windows.get(inputs.len()).cloned() {
        inputs.push(cut(Arc::clone(window.input()), nodes, &mut over_windows)?);
    }
    // What shards run comes first: to them the others are not there.
    let is_over_windows = |node: &usize| over_windows.iter().any(|(number, _)| number == node);
    let mut order: Vec<usize> = (0..nodes.len()).collect();
    order.sort_by_key(is_over_windows);
    let renumber = |read: &mut WindowPlan| {
        let number = |old: &mut usize| *old = order.iter().position(|node| node == old).unwrap_or(*old);
        read.nodes.iter_mut().for_each(number);
    };
    renumber(&mut rest);
    for ((number, window), mut input) in over_windows.iter().zip(inputs) {
        renumber(&mut input);
        if let Some(node) = nodes.get_mut(*number) {
            node.node = Node::Cascade(Arc::new(Cascade::new(Arc::clone(window), input)));
        }
    }
    *nodes = order.iter().filter_map(|number| nodes.get(*number).cloned()).collect();
    Ok(rest)
}

/// Replaces each windowed node at the top of a plan by a source of its complete windows. Those that are over windows themselves are
/// noted with their numbers.
fn cut(
    plan: Arc<dyn ExecutionPlan>,
    nodes: &mut Vec<StatefulNode>,
    over_windows: &mut Vec<(usize, Arc<WindowAggregateExec>)>,
) -> Result<WindowPlan> {
    let first = nodes.len();
    let cut = plan.transform_down(|node| {
        if let Some(window) = node.downcast_ref::<WindowAggregateExec>() {
            let scan = BatchScanExec::try_new("complete windows", node.schema(), None)?;
            let template = Arc::new(WindowAggregateExec::new(Arc::clone(window.spec()), Arc::clone(window.input())));
            if window.spec().rows.is_none() {
                over_windows.push((nodes.len(), Arc::clone(&template)));
            }
            nodes.push(StatefulNode { node: Node::Window(template), slot: scan.slot().clone(), schema: node.schema() });
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
    WindowPlan::try_new(cut.data, (first..nodes.len()).collect())
}

#[cfg(test)]
mod tests {
    use datafusion::physical_plan::displayable;

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
