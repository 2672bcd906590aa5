//! Sub-queries in expressions: `IN (SELECT …)`, `EXISTS (…)`, `(SELECT MAX(…) …)`.
//!
//! Above the windows they are joins of complete windows, as DataFusion makes of them. What is refused:
//!
//! * rows of the stream: a shard would see those of the same read only, and above the windows there are none;
//! * complete windows below a window: when a row is read, they are not complete;
//! * one that stands for a value and may have several rows.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, Span};
use datafusion::logical_expr::expr::{Exists, InSubquery, SetComparison};
use datafusion::logical_expr::logical_plan::Subquery;
use datafusion::logical_expr::{Expr, LogicalPlan};

use super::analyze::bound_of;
use super::cascade::{Rows, is_windowed, windows_of};
use super::refusal::{at_span, refusal, span_of};
use super::ties::key_columns;

const ABOVE: &str =
    "aggregate by windows in the sub-query too (GROUP BY window_start, window_end, …), and compare above the windows";

/// A sub-query in an expression.
struct Found<'e> {
    subquery: &'e Subquery,
    /// Whether it stands for a value, which a column would be otherwise.
    is_value: bool,
    /// Where it is.
    span: Option<Span>,
}

/// Refuses sub-queries in `plan`, whose windowed nodes are in place, that cannot be answered window by window.
pub(super) fn check(plan: &LogicalPlan) -> Result<()> {
    each(plan, |found| {
        let reason = match Rows::of(&found.subquery.subquery) {
            Rows::Complete => None,
            Rows::Stream => Some("a sub-query over rows of the stream would never finish"),
            Rows::Cascading => Some("a sub-query puts windows into longer ones and does not aggregate them"),
        };
        if let Some(reason) = reason {
            return Err(at_span(refusal(reason, ABOVE), found.span));
        }
        if found.is_value && !has_one_row(&found.subquery.subquery)? {
            let reason = "a sub-query that stands for one value may give several rows";
            let remedy = "let it aggregate: (SELECT MAX(…) FROM … GROUP BY window_start, window_end)";
            return Err(at_span(refusal(reason, remedy), found.span));
        }
        Ok(())
    })
}

/// Refuses what a shard could not answer for a windowed aggregate of `exprs` (its groups and aggregates) over `input`.
pub(super) fn check_below<'e>(input: &LogicalPlan, exprs: impl IntoIterator<Item = &'e Expr>) -> Result<()> {
    check_in(exprs)?;
    each(input, |found| {
        if found.subquery.subquery.exists(|p| Ok(matches!(p, LogicalPlan::Extension(e) if is_windowed(e))))? {
            let reason = "rows of the stream cannot be compared with the result of a window, which is not complete yet";
            return Err(at_span(refusal(reason, ABOVE), found.span));
        }
        Ok(())
    })
}

/// Refuses sub-queries in the groups and aggregates of a windowed aggregate.
pub(super) fn check_in<'e>(exprs: impl IntoIterator<Item = &'e Expr>) -> Result<()> {
    match exprs.into_iter().flat_map(in_expr).next() {
        Some(found) => {
            let reason = "a sub-query inside an aggregate or a GROUP BY over the stream is not supported";
            let remedy =
                "give its result to the rows first, as a column of a sub-query in FROM or a condition in WHERE";
            Err(at_span(refusal(reason, remedy), found.span))
        }
        None => Ok(()),
    }
}

/// Calls `f` for each sub-query in an expression of `plan`, those in sub-queries included.
fn each(plan: &LogicalPlan, mut f: impl FnMut(Found<'_>) -> Result<()>) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            in_expr(expr).into_iter().try_for_each(&mut f)?;
            Ok(TreeNodeRecursion::Continue)
        })
    })
    .map(drop)
}

/// The sub-query that an expression is, its parts aside.
pub(super) fn subquery_of(expr: &Expr) -> Option<&Subquery> {
    match expr {
        Expr::Exists(Exists { subquery, .. })
        | Expr::InSubquery(InSubquery { subquery, .. })
        | Expr::SetComparison(SetComparison { subquery, .. })
        | Expr::ScalarSubquery(subquery) => Some(subquery),
        _ => None,
    }
}

fn in_expr(expr: &Expr) -> Vec<Found<'_>> {
    let mut all = Vec::new();
    // Visiting a tree fails only where the visitor does.
    let _ = expr.apply(|e| {
        let Some(subquery) = subquery_of(e) else { return Ok(TreeNodeRecursion::Continue) };
        let (is_value, compared) = match e {
            Expr::InSubquery(InSubquery { expr, .. }) | Expr::SetComparison(SetComparison { expr, .. }) => {
                (false, Some(expr.as_ref()))
            }
            other => (matches!(other, Expr::ScalarSubquery(_)), None),
        };
        let span = span_of(compared).or_else(|| subquery.spans.first()).or_else(|| first_inside(&subquery.subquery));
        all.push(Found { subquery, is_value, span });
        Ok(TreeNodeRecursion::Continue)
    });
    all
}

/// Where the first column stands that `plan` names, from its top down.
fn first_inside(plan: &LogicalPlan) -> Option<Span> {
    let mut first: Option<Span> = None;
    // Visiting a tree fails only where the visitor does.
    let _ = plan.apply(|node| {
        first = span_of(&node.expressions());
        Ok(if first.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    first
}

/// Whether `plan` has at most one row in each window.
fn has_one_row(plan: &LogicalPlan) -> Result<bool> {
    if plan.max_rows().is_some_and(|rows| rows <= 1) {
        return Ok(true);
    }
    match plan {
        LogicalPlan::Projection(p) => has_one_row(&p.input),
        LogicalPlan::SubqueryAlias(s) => has_one_row(&s.input),
        LogicalPlan::Filter(f) => has_one_row(&f.input),
        LogicalPlan::Sort(s) => has_one_row(&s.input),
        // Its windows are all the same one.
        LogicalPlan::Aggregate(a) => {
            let schema = a.input.schema();
            let below = windows_of(&a.input);
            a.group_expr.iter().try_fold(true, |only, e| {
                Ok(only && bound_of(e, schema)?.is_some_and(|(_, windows)| below.contains(&windows)))
            })
        }
        LogicalPlan::Extension(e) if is_windowed(e) => Ok(key_columns(plan).is_empty()),
        _ => Ok(false),
    }
}
