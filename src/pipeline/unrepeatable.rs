//! Functions whose result does not follow from the event alone.

use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};

use super::refusal::{at_span, refusal, span_of};

/// Refuses `now()`, `random()` and their like anywhere in a query: a replay of the same events must give the same rows.
pub(super) fn refuse_unrepeatable(plan: &LogicalPlan) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|e| match e {
                Expr::ScalarFunction(f) if f.func.signature().volatility != Volatility::Immutable => {
                    let reason = format!("{}() does not give the same result when the events are read again", f.name());
                    let remedy = "use the event's own times: live tables and a backfill must agree";
                    Err(at_span(refusal(reason, remedy), span_of([expr])))
                }
                _ => Ok(TreeNodeRecursion::Continue),
            })
        })
    })
    .map(drop)
}
