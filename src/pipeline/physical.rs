//! From logical nodes to operators.

use std::sync::Arc;

use arrow::datatypes::Schema;
use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, Result, internal_err};
use datafusion::execution::context::QueryPlanner;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNode};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::{LoweredAggregate, LoweredAggregateBuilder};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, ExtensionPlanner, PhysicalPlanner};

use super::bound::Bound;
use super::lookup::{LookupJoin, plan_join};
use super::nodes::{Concurrency, WindowAggregate};
use super::selection::is_total;
use crate::operator::concurrency::ConcurrencyExec;
use crate::operator::window::{GroupColumn, RowColumns, WindowAggregateExec, WindowSpec, arguments};

/// DataFusion's physical planner with this product's operators.
#[derive(Debug)]
pub(super) struct WindowQueryPlanner;

#[async_trait]
impl QueryPlanner for WindowQueryPlanner {
    async fn create_physical_plan(&self, plan: &LogicalPlan, session: &dyn Session) -> Result<Arc<dyn ExecutionPlan>> {
        let planner = DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(WindowOperators)]);
        planner.create_physical_plan(plan, session).await
    }
}

#[derive(Debug)]
struct WindowOperators;

#[async_trait]
impl ExtensionPlanner for WindowOperators {
    async fn plan_extension(
        &self,
        planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _logical_inputs: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        session: &dyn Session,
        planning_ctx: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        if let Some(node) = node.as_any().downcast_ref::<Concurrency>() {
            let schema = Arc::clone(node.schema.inner());
            return Ok(Some(Arc::new(ConcurrencyExec::try_new(node.query.clone(), schema)?)));
        }
        let [input] = physical_inputs else { return internal_err!("a node of this project has one input") };
        if let Some(node) = node.as_any().downcast_ref::<LookupJoin>() {
            let physical =
                |expr: &Expr, schema: &DFSchema| planner.create_physical_expr(expr, schema, session, planning_ctx);
            return plan_join(node, input, &physical).map(Some);
        }
        let Some(node) = node.as_any().downcast_ref::<WindowAggregate>() else { return Ok(None) };
        let physical = |expr: &Expr| planner.create_physical_expr(expr, node.input.schema(), session, planning_ctx);
        let spec = window_spec(node, &input.schema(), session, planning_ctx, &physical)?;
        Ok(Some(Arc::new(WindowAggregateExec::new(Arc::new(spec), Arc::clone(input)))))
    }
}

fn window_spec(
    node: &WindowAggregate,
    input: &Schema,
    session: &dyn Session,
    planning_ctx: &PhysicalPlanningContext,
    physical: &dyn Fn(&Expr) -> Result<Arc<dyn PhysicalExpr>>,
) -> Result<WindowSpec> {
    let logical: &DFSchema = node.input.schema();
    let mut group = Vec::new();
    let mut keys = Vec::new();
    let mut session_keys = Vec::new();
    for (place, (expr, bound)) in node.group.iter().zip(&node.bounds).enumerate() {
        group.push(match bound {
            Some(Bound::Start) => GroupColumn::WindowStart,
            Some(Bound::End) => GroupColumn::WindowEnd,
            Some(Bound::Time) => GroupColumn::WindowTime,
            // A bound of windows that these are made of is a key.
            None => {
                keys.push((physical(expr)?, expr.schema_name().to_string()));
                if node.session_keys.contains(&place) {
                    session_keys.push(keys.len() - 1);
                }
                GroupColumn::Key(keys.len() - 1)
            }
        });
    }
    let mut aggregates = Vec::new();
    let mut filters = Vec::new();
    for expr in &node.aggregates {
        let LoweredAggregate { aggregate, filter, .. } =
            LoweredAggregateBuilder::new(expr, logical, input, session.execution_props(), planning_ctx).build()?;
        aggregates.push(aggregate);
        filters.push(filter);
    }
    let rows = match node.carried.as_slice() {
        [] => None,
        [window_end, number, high_time] => Some(RowColumns {
            window_end: index_of(window_end, logical)?,
            number: index_of(number, logical)?,
            high_time: index_of(high_time, logical)?,
        }),
        _ => return internal_err!("WindowAggregate carries three columns or none"),
    };
    Ok(WindowSpec {
        windowing: node.windows.windowing,
        group,
        key_schema: WindowSpec::key_schema(&keys, input)?,
        keys: keys.into_iter().map(|(k, _)| k).collect(),
        total: aggregates.iter().map(|a| arguments(a).all(|e| is_total(&e, input))).collect(),
        aggregates,
        filters,
        session_keys,
        rows,
        output: Arc::clone(node.schema.inner()),
    })
}

fn index_of(expr: &Expr, schema: &DFSchema) -> Result<usize> {
    match expr {
        Expr::Column(c) => schema.index_of_column(c),
        other => internal_err!("a carried column became {other}"),
    }
}
