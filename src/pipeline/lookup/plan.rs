//! From the logical node to the operator, and the operators of a plan.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;

use super::node::LookupJoin;
use crate::operator::lookup_join::{LookupJoinExec, LookupJoinSpec, LookupSlot, LookupUse};

/// Plans an expression over a schema.
type ToPhysical<'a> = &'a dyn Fn(&Expr, &DFSchema) -> Result<Arc<dyn PhysicalExpr>>;

/// The operator of a node.
pub(in crate::pipeline) fn plan_join(
    node: &LookupJoin,
    input: &Arc<dyn ExecutionPlan>,
    physical: ToPhysical<'_>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let schema: SchemaRef = Arc::clone(node.schema.inner());
    let spec = LookupJoinSpec {
        wanted: node.table.wanted(),
        keys: node.keys.iter().map(|key| physical(key, node.input.schema())).collect::<Result<_>>()?,
        keeps_all: node.table.keeps_all,
        filter: node.filter.as_ref().map(|filter| physical(filter, &node.schema)).transpose()?,
        schema,
        table_columns: node.table.columns.fields().len(),
    };
    Ok(Arc::new(LookupJoinExec::try_new(Arc::new(spec), Arc::clone(input), None)?))
}

/// The joins of a plan: what they want, and where it is put.
pub(in crate::pipeline) fn joins_of(plan: &Arc<dyn ExecutionPlan>) -> Result<Vec<(LookupUse, LookupSlot)>> {
    let mut joins = Vec::new();
    plan.apply(|node| {
        if let Some(join) = node.downcast_ref::<LookupJoinExec>() {
            joins.push((join.spec().wanted.clone(), join.slot().clone()));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(joins)
}

/// The plan with joins of its own, for another copy of it.
pub(in crate::pipeline) fn fresh_joins(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let fresh = plan.transform_up(|node| match node.downcast_ref::<LookupJoinExec>() {
        Some(join) => Ok(Transformed::yes(Arc::new(join.fresh()) as _)),
        None => Ok(Transformed::no(node)),
    })?;
    Ok(fresh.data)
}
