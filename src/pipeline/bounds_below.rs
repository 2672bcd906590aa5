//! What stands below the aggregate of windows that overlap, or are not known yet, may hand their bounds on and not look at them.
//!
//! A row is looked at once: for all windows of `HOP` that it is in, and long before its session has an end. Until then its bounds are
//! those of its first window, or of what the row alone makes.

use arrow::datatypes::Field;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, ExprSchema, Result};
use datafusion::logical_expr::logical_plan::{Aggregate, Subquery};
use datafusion::logical_expr::{Expr, LogicalPlan};

use super::bound::{Bound, Windows};
use super::lookup::LookupJoin;
use super::marks::unaliased;
use super::refusal::{STANDS_IN_EXPRESSION, at_span, refusal};
use super::subqueries::subquery_of;

/// Refuses an aggregate over `windows` where an expression or a condition below it looks at one of their bounds.
pub(super) fn check(aggregate: &Aggregate, windows: Windows) -> Result<()> {
    let looks = Looks { windows };
    let mut found = looks.at_any(&aggregate.group_expr, aggregate.input.schema(), true);
    found = found.or_else(|| looks.at_any(&aggregate.aggr_expr, aggregate.input.schema(), false));
    aggregate.input.apply(|node| {
        found = found.take().or_else(|| looks.of_node(node));
        Ok(if found.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    let Some(column) = found else { return Ok(()) };
    let why = match windows.windowing.session {
        true => "a session has its bounds when it is over",
        false => "windows that hop share their rows",
    };
    let reason = format!("{}{STANDS_IN_EXPRESSION} below the aggregate, and {why}", column.name);
    let remedy =
        format!("GROUP BY {} as it is, and use it in an expression or a condition above the aggregate", column.name);
    Err(at_span(refusal(reason, remedy), column.spans.first()))
}

/// Looks for expressions that look at bounds of these windows.
struct Looks {
    windows: Windows,
}

impl Looks {
    fn of_node(&self, node: &LogicalPlan) -> Option<Column> {
        if let LogicalPlan::Extension(e) = node
            && let Some(join) = e.node.as_any().downcast_ref::<LookupJoin>()
        {
            // What it compares it looks at, be it a column as it is.
            let keys = self.at_any(&join.keys, join.input.schema(), false);
            return keys.or_else(|| self.at_any(&join.filter, &join.schema, false));
        }
        let hands_on = matches!(node, LogicalPlan::Projection(_));
        self.at_any(&node.expressions(), node.inputs().first()?.schema(), hands_on)
    }

    /// The first bound that one of `exprs` looks at; if they hand columns on, not one that is a column as it is.
    fn at_any<'e>(
        &self,
        exprs: impl IntoIterator<Item = &'e Expr>,
        schema: &DFSchema,
        hand_on: bool,
    ) -> Option<Column> {
        let looking = exprs.into_iter().filter(|e| !(hand_on && matches!(unaliased(e), Expr::Column(_))));
        looking.into_iter().find_map(|e| self.at(e, schema))
    }

    fn at(&self, expr: &Expr, schema: &DFSchema) -> Option<Column> {
        let is_bound = |field: &Field| Bound::from_field(field).is_some_and(|(_, of)| of == self.windows);
        let outer = |subquery: &Subquery| {
            subquery.outer_ref_columns.iter().find_map(|column| match column {
                Expr::OuterReferenceColumn(field, column) if is_bound(field) => Some(column.clone()),
                _ => None,
            })
        };
        let mut found = None;
        // Visiting a tree fails only where the visitor does.
        let _ = expr.apply(|part| {
            found = match part {
                Expr::Column(column) if schema.field_from_column(column).is_ok_and(|f| is_bound(f)) => {
                    Some(column.clone())
                }
                // A sub-query has the columns of the row that it is about for itself.
                part => subquery_of(part).and_then(outer),
            };
            Ok(if found.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        });
        found
    }
}
