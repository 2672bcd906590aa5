//! Functions whose result does not follow from the event alone.

use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan, Signature, Volatility, WindowFunctionDefinition};

use super::refusal::{at_span, refusal, span_of};

/// Refuses `now()`, `random()` and their like anywhere in a query: a replay of the same events must give the same rows.
pub(super) fn refuse_unrepeatable(plan: &LogicalPlan) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|e| {
                let Some((name, signature)) = called(e) else { return Ok(TreeNodeRecursion::Continue) };
                if signature.volatility == Volatility::Immutable {
                    return Ok(TreeNodeRecursion::Continue);
                }
                let reason = format!("{name}() does not give the same result when the events are read again");
                let remedy = "use the event's own times: live tables and a backfill must agree";
                Err(at_span(refusal(reason, remedy), span_of([expr])))
            })
        })
    })
    .map(drop)
}

/// The function that an expression calls, of rows, of groups or `OVER (…)`: its name, and what it says of itself.
fn called(expr: &Expr) -> Option<(&str, &Signature)> {
    match expr {
        Expr::ScalarFunction(f) => Some((f.name(), f.func.signature())),
        Expr::AggregateFunction(f) => Some((f.func.name(), f.func.signature())),
        Expr::WindowFunction(f) => Some(match &f.fun {
            WindowFunctionDefinition::AggregateUDF(fun) => (fun.name(), fun.signature()),
            WindowFunctionDefinition::WindowUDF(fun) => (fun.name(), fun.signature()),
        }),
        _ => None,
    }
}
