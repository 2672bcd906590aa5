//! What is known of a row of a plan, and what follows from it.

use std::collections::BTreeSet;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::TreeNode;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator};

use crate::pipeline::marks::unaliased;
use crate::pipeline::selection::widens;
use crate::pipeline::subqueries::subquery_of;

/// What is known of a row of a plan, by the positions of its columns.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    pub columns: BTreeSet<usize>,
    /// Pairs of which the first value is known that is there: `COALESCE(a, b)`.
    pub merged: BTreeSet<(usize, usize)>,
    /// What else is computed of the row and known.
    pub computed: Vec<Expr>,
}

impl Known {
    pub(super) fn of(columns: impl IntoIterator<Item = usize>) -> Self {
        Self { columns: columns.into_iter().collect(), ..Self::default() }
    }

    /// What is known of the first columns of a row.
    pub(super) fn within(&self, columns: usize) -> Self {
        Self {
            columns: self.columns.range(..columns).copied().collect(),
            merged: self.merged.iter().filter(|(_, b)| *b < columns).copied().collect(),
            computed: vec![],
        }
    }
}

/// The position of the column that an expression is, if a value of it is one of the column.
pub(super) fn column_of(expr: &Expr, input: &LogicalPlan) -> Option<usize> {
    match unaliased(expr) {
        Expr::Column(column) => input.schema().maybe_index_of_column(column),
        Expr::Cast(cast) => {
            let from = cast.expr.get_type(input.schema().as_ref()).ok()?;
            column_of(&cast.expr, input).filter(|_| keeps_values(&from, cast.field.data_type()))
        }
        _ => None,
    }
}

/// Whether two values of one type are two of the other, or none, if they are cast to it.
fn keeps_values(from: &DataType, to: &DataType) -> bool {
    let digits = |precision: u8, scale: i8| i16::from(precision) - i16::from(scale);
    match to {
        // As many digits as the greatest integer has.
        DataType::Decimal128(precision, scale) if from.is_integer() => digits(*precision, *scale) >= 20,
        to => widens(from, to) || (from.is_integer() && matches!(to, DataType::Int64 | DataType::UInt64)),
    }
}

/// What is known of the input's row if that is known of the row that `exprs` make of it.
pub(super) fn known_below(exprs: &[Expr], input: &LogicalPlan, known: &Known) -> Known {
    let mut below = Known::default();
    for expr in known.columns.iter().filter_map(|i| exprs.get(*i)) {
        below.columns.extend(column_of(expr, input));
        if let Some((a, b)) = merged_of(expr, input) {
            below.merged.insert((a.min(b), a.max(b)));
        }
        below.computed.push(unaliased(expr).clone());
    }
    below
}

/// The two columns that an expression takes the first value of.
fn merged_of(expr: &Expr, input: &LogicalPlan) -> Option<(usize, usize)> {
    match unaliased(expr) {
        Expr::ScalarFunction(call) if call.name() == "coalesce" => match call.args.as_slice() {
            [a, b] => Some((column_of(a, input)?, column_of(b, input)?)),
            _ => None,
        },
        _ => None,
    }
}

/// The two sides of an equality, and whether NULL equals NULL in it.
pub(super) fn equality(condition: &Expr) -> Option<(&Expr, &Expr, bool)> {
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => Some((left, right, false)),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::IsNotDistinctFrom, right }) => Some((left, right, true)),
        _ => None,
    }
}

/// Whether a sub-query is in an expression, which may look at columns that the expression does not name.
pub(super) fn has_subquery(expr: &Expr) -> bool {
    expr.exists(|part| Ok(subquery_of(part).is_some())).unwrap_or(true)
}
