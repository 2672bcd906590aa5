//! What a shard's copy of a plan leaves to its windowed aggregate: the filter right below it.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion::common::Result;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{
    BinaryExpr, CaseExpr, CastExpr, Column, InListExpr, IsNotNullExpr, IsNullExpr, Literal, NotExpr,
};
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;

use super::bound::is_bound;
use crate::operator::window::{Selection, WindowSpec};

/// The plan below the filter that `input` ends with, with a projection above it or without, and the two as a selection; all of `input`
/// if it does not end with a filter.
pub(super) fn selection_of(
    input: Arc<dyn ExecutionPlan>,
    spec: &WindowSpec,
) -> Result<(Arc<dyn ExecutionPlan>, Option<Selection>)> {
    let projection = input.downcast_ref::<ProjectionExec>();
    let below = projection.map_or(&input, ProjectionExec::input);
    let Some(filter) = below.downcast_ref::<FilterExec>().filter(|filter| filter.fetch().is_none()) else {
        return Ok((input, None));
    };
    let projected = |p: &ProjectionExec| (p.expr().iter().map(|e| Arc::clone(&e.expr)).collect::<Vec<_>>(), p.schema());
    let projection = projection.map(projected);
    let (filtered, seen) = (filter.schema(), input.schema());
    let below_is_total = projection.iter().flat_map(|(all, _)| all).all(|e| is_total(e, &filtered));
    let mut others = spec.keys.iter().chain(spec.filters.iter().flatten());
    let selection = Selection {
        predicate: Arc::clone(filter.predicate()),
        columns: filter.projection().as_ref().map(|columns| columns.to_vec()),
        projection,
        is_total: below_is_total && spec.total.iter().all(|total| *total) && others.all(|e| is_total(e, &seen)),
    };
    Ok((Arc::clone(filter.input()), Some(selection)))
}

/// Whether an expression has a value for each row that its input may have: nothing fails, as a division by 0 or a CAST may.
pub(super) fn is_total(expression: &Arc<dyn PhysicalExpr>, input: &Schema) -> bool {
    let itself = if let Some(binary) = expression.downcast_ref::<BinaryExpr>() {
        let of_numbers = || [binary.left(), binary.right()].into_iter().all(|side| wraps_around(side, input));
        match binary.op() {
            Operator::Eq | Operator::NotEq | Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq => true,
            Operator::And | Operator::Or | Operator::IsDistinctFrom | Operator::IsNotDistinctFrom => true,
            Operator::Plus | Operator::Minus | Operator::Multiply => of_numbers(),
            _ => false,
        }
    } else if let Some(cast) = expression.downcast_ref::<CastExpr>() {
        cast.expr().data_type(input).is_ok_and(|from| widens(&from, cast.cast_type()))
    } else if let Some(function) = expression.downcast_ref::<ScalarFunctionExpr>() {
        is_bound(function.fun())
    } else {
        let e = expression.as_ref();
        e.is::<Column>()
            || e.is::<Literal>()
            || e.is::<InListExpr>()
            || e.is::<IsNullExpr>()
            || e.is::<IsNotNullExpr>()
            || e.is::<NotExpr>()
            || e.is::<CaseExpr>()
    };
    itself && expression.children().into_iter().all(|part| is_total(part, input))
}

/// Whether arithmetic on values of this type wraps around.
fn wraps_around(expression: &Arc<dyn PhysicalExpr>, input: &Schema) -> bool {
    expression.data_type(input).is_ok_and(|t| t.is_integer() || t.is_floating())
}

/// Whether every number of one type is a number of the other.
pub(super) fn widens(from: &DataType, to: &DataType) -> bool {
    use DataType::{Float32, Float64, Int8, Int16, Int32, Int64};
    from == to
        || matches!(
            (from, to),
            (Int8, Int16 | Int32 | Int64)
                | (Int16, Int32 | Int64)
                | (Int32, Int64)
                | (Int8 | Int16 | Int32 | Int64 | Float32, Float64)
        )
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Field;
    use datafusion::physical_expr::expressions::{binary, cast, col, is_null, lit};

    use super::*;

    #[test]
    fn what_can_fail_is_not_evaluated_on_rows_that_are_not_selected() {
        let fields = [("n", DataType::Int64), ("i", DataType::Int32), ("t", DataType::Utf8)];
        let schema = Schema::new(fields.map(|(name, t)| Field::new(name, t, true)).to_vec());
        let c = |name: &str| col(name, &schema).unwrap();
        let op = |a, op, b| binary(a, op, b, &schema).unwrap();
        let total = [
            op(c("n"), Operator::Multiply, cast(c("i"), &schema, DataType::Int64).unwrap()),
            op(is_null(c("t")).unwrap(), Operator::Or, op(c("t"), Operator::Eq, lit("x"))),
        ];
        for expression in total {
            assert!(is_total(&expression, &schema), "{expression}");
        }
        let failing = [
            op(c("n"), Operator::Divide, c("n")),
            op(lit(1_i64), Operator::Eq, op(c("n"), Operator::Modulo, lit(2_i64))),
            cast(c("t"), &schema, DataType::Int64).unwrap(),
            cast(c("n"), &schema, DataType::Int32).unwrap(),
        ];
        for expression in failing {
            assert!(!is_total(&expression, &schema), "{expression}");
        }
    }
}
