//! Columns that are aggregated: late rows change them, so that a remedy does not take them for keys.

use datafusion::logical_expr::{Distinct, Expr, LogicalPlan};

use crate::pipeline::lookup::LookupJoin;
use crate::pipeline::nodes::{Concurrency, WindowAggregate};

/// Whether column `i` of a plan is aggregated, or computed of what is.
pub(super) fn is_aggregated(plan: &LogicalPlan, i: usize) -> bool {
    match plan {
        LogicalPlan::Projection(p) => p.expr.get(i).is_some_and(|expr| is_computed_of_such(expr, &p.input)),
        LogicalPlan::SubqueryAlias(s) => is_aggregated(&s.input, i),
        LogicalPlan::Filter(f) => is_aggregated(&f.input, i),
        LogicalPlan::Sort(s) => is_aggregated(&s.input, i),
        LogicalPlan::Limit(l) => is_aggregated(&l.input, i),
        LogicalPlan::Distinct(Distinct::All(input)) => is_aggregated(input, i),
        LogicalPlan::Distinct(Distinct::On(on)) => {
            on.select_expr.get(i).is_some_and(|expr| is_computed_of_such(expr, &on.input))
        }
        LogicalPlan::Aggregate(a) => i + a.aggr_expr.len() >= a.schema.fields().len(),
        LogicalPlan::Window(w) => i < w.input.schema().fields().len() && is_aggregated(&w.input, i),
        LogicalPlan::Union(union) => union.inputs.iter().any(|input| is_aggregated(input, i)),
        LogicalPlan::Join(join) => match i.checked_sub(join.left.schema().fields().len()) {
            None => is_aggregated(&join.left, i),
            Some(i) => is_aggregated(&join.right, i),
        },
        LogicalPlan::Extension(e) => {
            let node = e.node.as_any();
            if let Some(window) = node.downcast_ref::<WindowAggregate>() {
                return i >= window.group.len();
            }
            if let Some(concurrency) = node.downcast_ref::<Concurrency>() {
                return i >= concurrency.query.partition_by.len();
            }
            let join = node.downcast_ref::<LookupJoin>();
            join.is_some_and(|join| i < join.input.schema().fields().len() && is_aggregated(&join.input, i))
        }
        _ => false,
    }
}

fn is_computed_of_such(expr: &Expr, input: &LogicalPlan) -> bool {
    let columns = expr.column_refs().into_iter().filter_map(|column| input.schema().maybe_index_of_column(column));
    columns.into_iter().any(|i| is_aggregated(input, i))
}
