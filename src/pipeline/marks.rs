//! Marks of columns, in the metadata of their fields: which bound of which windows a column is, and which key of sessions.
//!
//! A mark is of the column as it is. DataFusion hands the metadata on to what some expressions make of a column: a cast, `FIRST_VALUE`,
//! `LAG`. The day of a `window_end` is none, whatever type it is cast to then: so what is computed loses its marks here, before anything
//! goes by them.

use std::collections::BTreeMap;

use arrow::datatypes::Field;
use datafusion::common::metadata::FieldMetadata;
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::expr::Alias;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, Union};
use datafusion::optimizer::AnalyzerRule;

use super::{bound, session_keys};

/// Whether an expression is a column as it is, or a bound of a call of a window function: these have marks.
pub(super) fn may_be_marked(expr: &Expr) -> bool {
    match unaliased(expr) {
        Expr::ScalarFunction(call) => bound::is_bound(&call.func),
        other => matches!(other, Expr::Column(_)),
    }
}

/// The expression under whatever names.
pub(super) fn unaliased(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => unaliased(&alias.expr),
        other => other,
    }
}

/// Takes the marks off what is computed.
#[derive(Debug)]
pub(super) struct MarksOfColumns;

impl AnalyzerRule for MarksOfColumns {
    fn name(&self) -> &str {
        "marks_of_columns"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let mut found = false;
        plan.apply_with_subqueries(|node| {
            found = found || computes_marked(node);
            Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
        })?;
        if !found {
            return Ok(plan);
        }
        let plain = plan.transform_up_with_subqueries(|node| {
            let node = match node {
                LogicalPlan::Union(union) => LogicalPlan::Union(Union::try_new(union.inputs)?),
                other => other.recompute_schema()?,
            };
            if !computes_marked(&node) {
                return Ok(Transformed::yes(node));
            }
            let inputs = node.inputs().into_iter().map(|input| input.schema().clone()).collect::<Vec<_>>();
            let node = node.map_expressions(|expr| match inputs.as_slice() {
                [input] if is_marked(&expr, input) => Ok(Transformed::yes(unmarked(expr))),
                _ => Ok(Transformed::no(expr)),
            })?;
            node.data.recompute_schema().map(Transformed::yes)
        })?;
        Ok(plain.data)
    }
}

/// Whether a node has a column that is computed and marked.
fn computes_marked(node: &LogicalPlan) -> bool {
    let makes_columns = matches!(node, LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_) | LogicalPlan::Window(_));
    match node.inputs().as_slice() {
        [input] if makes_columns => node.expressions().iter().any(|expr| is_marked(expr, input.schema())),
        _ => false,
    }
}

/// Whether an expression has marks that it may not have.
fn is_marked(expr: &Expr, input: &DFSchema) -> bool {
    let marked = |field: &Field| MARKS.iter().any(|mark| field.metadata().get(*mark).is_some_and(|m| !m.is_empty()));
    !may_be_marked(expr)
        && !matches!(expr, Expr::GroupingSet(_))
        && expr.to_field(input).is_ok_and(|(_, field)| marked(&field))
}

const MARKS: [&str; 2] = [bound::BOUND_KEY, session_keys::KEY];

/// The same under its name, without marks: metadata of an alias stands before that of what it is of.
fn unmarked(expr: Expr) -> Expr {
    let none = MARKS.map(|mark| (mark.to_owned(), String::new()));
    let none = FieldMetadata::new(BTreeMap::from(none));
    match expr {
        Expr::Alias(Alias { expr, relation, name, .. }) => {
            expr.alias_qualified_with_metadata(relation, name, Some(none))
        }
        other => {
            let name = other.schema_name().to_string();
            other.alias_with_metadata(name, Some(none))
        }
    }
}
