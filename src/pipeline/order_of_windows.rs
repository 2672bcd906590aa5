//! Functions `OVER` an order of windows: what compares one window with the one before.
//!
//! What a query does with complete windows it does with each of them by itself, so that no window waits for another. All rows of one have the same
//! bounds: in the order of these nothing comes before, and a sum goes over all of the window, where who wrote it means something else.

use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, Window};

use super::bound::{Bound, Windows};
use super::refusal::{at_span, refusal, span_of};

/// Refuses them, where the order is that of `own`, the windows that the table's rows are of.
pub(super) fn refuse(query: &LogicalPlan, own: &[Windows]) -> Result<()> {
    query
        .apply_with_subqueries(|node| {
            let LogicalPlan::Window(window) = node else { return Ok(TreeNodeRecursion::Continue) };
            window.window_expr.iter().try_for_each(|expr| refuse_in(expr, window, own))?;
            Ok(TreeNodeRecursion::Continue)
        })
        .map(drop)
}

fn refuse_in(expr: &Expr, window: &Window, own: &[Windows]) -> Result<()> {
    let schema = window.input.schema();
    let bound = |e: &Expr| {
        let (_, field) = e.to_field(schema).ok()?;
        Bound::from_field(&field).filter(|(_, windows)| own.contains(windows)).map(|(bound, _)| bound)
    };
    expr.apply(|e| {
        let Expr::WindowFunction(function) = e else { return Ok(TreeNodeRecursion::Continue) };
        let by = &function.params.order_by;
        let Some(first) = by.first().and_then(|sort| bound(&sort.expr)) else { return Ok(TreeNodeRecursion::Continue) };
        if !by.iter().all(|sort| bound(&sort.expr).is_some()) {
            return Ok(TreeNodeRecursion::Continue);
        }
        let name = first.column();
        let reason = format!(
            "{}(…) OVER (… ORDER BY {name}): rows are ordered within one window, where all have the same {name}",
            function.fun.name()
        );
        let remedy = "order by a column in which the rows of one window differ; compare windows with each other where the lake is queried";
        Err(at_span(refusal(reason, remedy), span_of([expr]).or_else(|| span_of(by.iter().map(|sort| &sort.expr)))))
    })
    .map(drop)
}
