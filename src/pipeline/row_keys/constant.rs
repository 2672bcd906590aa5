//! Columns that have one value in all rows of a window, and columns that are never NULL.

use datafusion::common::ScalarValue;
use datafusion::common::tree_node::TreeNode;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Distinct, Expr, JoinType, LogicalPlan, Operator};

use super::known::{column_of, equality, has_subquery};
use crate::pipeline::bound::Bound;
use crate::pipeline::lookup::LookupJoin;
use crate::pipeline::marks::unaliased;
use crate::pipeline::nodes::{Concurrency, WindowAggregate};

/// The one value that a column has in a window.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Constant {
    /// A bound of the window.
    Bound(Bound),
    /// This one.
    Literal(ScalarValue),
    /// What is computed of such.
    Other,
}

/// The value of column `i` of a plan over one window, if it has one only.
pub(super) fn constant(plan: &LogicalPlan, i: usize) -> Option<Constant> {
    match plan {
        LogicalPlan::Projection(p) => constant_expr(p.expr.get(i)?, &p.input),
        LogicalPlan::SubqueryAlias(s) => constant(&s.input, i),
        LogicalPlan::Sort(s) => constant(&s.input, i),
        LogicalPlan::Limit(l) => constant(&l.input, i),
        LogicalPlan::Distinct(Distinct::All(input)) => constant(input, i),
        LogicalPlan::Filter(f) => {
            let equals = |condition: &&Expr| {
                equality(condition).is_some_and(|(a, b, _)| {
                    let one = |a: &Expr, b: &Expr| {
                        column_of(a, &f.input) == Some(i) && matches!(unaliased(b), Expr::Literal(..))
                    };
                    one(a, b) || one(b, a)
                })
            };
            let fixed = || split_conjunction(&f.predicate).iter().any(equals).then_some(Constant::Other);
            constant(&f.input, i).or_else(fixed)
        }
        LogicalPlan::Aggregate(a) => match a.group_expr.get(i)? {
            Expr::GroupingSet(_) => None,
            _ if a.group_expr.iter().any(|e| matches!(e, Expr::GroupingSet(_))) => None,
            expr => constant_expr(expr, &a.input),
        },
        LogicalPlan::Window(w) if i < w.input.schema().fields().len() => constant(&w.input, i),
        LogicalPlan::Union(union) => {
            let mut values = union.inputs.iter().map(|input| constant(input, i));
            let first = values.next()??;
            (first != Constant::Other && values.all(|value| value.as_ref() == Some(&first))).then_some(first)
        }
        LogicalPlan::Join(join) => {
            let left = join.left.schema().fields().len();
            match join.join_type {
                JoinType::Inner if i < left => constant(&join.left, i),
                JoinType::Inner => constant(&join.right, i - left),
                JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark if i < left => {
                    constant(&join.left, i)
                }
                JoinType::Right if i >= left => constant(&join.right, i - left),
                JoinType::RightSemi | JoinType::RightAnti => constant(&join.right, i),
                _ => None,
            }
        }
        LogicalPlan::Extension(e) => {
            let node = e.node.as_any();
            if let Some(window) = node.downcast_ref::<WindowAggregate>() {
                // Only its own bounds: those of the windows that these are made of are several.
                return window.bounds.get(i).copied().flatten().map(Constant::Bound);
            }
            if node.is::<Concurrency>() {
                return Bound::from_field(plan.schema().field(i)).map(|(bound, _)| Constant::Bound(bound));
            }
            let join = node.downcast_ref::<LookupJoin>()?;
            (i < join.input.schema().fields().len()).then(|| constant(&join.input, i)).flatten()
        }
        _ => None,
    }
}

/// The same of an expression over the rows of `input`.
pub(super) fn constant_expr(expr: &Expr, input: &LogicalPlan) -> Option<Constant> {
    let expr = unaliased(expr);
    match expr {
        Expr::Column(column) => return constant(input, input.schema().maybe_index_of_column(column)?),
        Expr::Literal(value, _) => return Some(Constant::Literal(value.clone())),
        Expr::Cast(cast) => {
            if let Some(Constant::Literal(value)) = constant_expr(&cast.expr, input) {
                return value.cast_to(cast.field.data_type()).ok().map(Constant::Literal);
            }
        }
        Expr::ScalarFunction(call) if call.name() == "coalesce" => {
            if let Some(bound) = of_either_side(&call.args, input) {
                return Some(bound);
            }
        }
        _ => {}
    }
    let may_vary = |part: &Expr| {
        matches!(part, Expr::AggregateFunction(_) | Expr::WindowFunction(_) | Expr::OuterReferenceColumn(..))
            || matches!(part, Expr::Unnest(_) | Expr::GroupingSet(_) | Expr::Placeholder(_) | Expr::ScalarVariable(..))
    };
    let varies = has_subquery(expr) || expr.exists(|part| Ok(may_vary(part))).unwrap_or(true);
    let of_constants = expr.column_refs().into_iter().all(|column| {
        let i = input.schema().maybe_index_of_column(column);
        i.is_some_and(|i| constant(input, i).is_some())
    });
    (!varies && of_constants).then_some(Constant::Other)
}

/// The bound that `COALESCE` takes of one side of a `FULL JOIN` or of the other: a row has one of them.
fn of_either_side(args: &[Expr], input: &LogicalPlan) -> Option<Constant> {
    let mut plan = input;
    while let LogicalPlan::Filter(f) = plan {
        plan = &f.input;
    }
    let LogicalPlan::Join(join) = plan else { return None };
    let left = join.left.schema().fields().len();
    let [a, b] = args else { return None };
    let (a, b) = (column_of(a, plan)?, column_of(b, plan)?);
    if join.join_type != JoinType::Full || a.max(b) < left || a.min(b) >= left {
        return None;
    }
    match (constant(&join.left, a.min(b))?, constant(&join.right, a.max(b) - left)?) {
        (Constant::Bound(a), Constant::Bound(b)) if a == b => Some(Constant::Bound(a)),
        _ => None,
    }
}

/// Whether column `i` of a plan has a value in every row.
pub(super) fn never_null(plan: &LogicalPlan, i: usize) -> bool {
    if plan.schema().fields().get(i).is_some_and(|field| !field.is_nullable()) {
        return true;
    }
    let of = |expr: Option<&Expr>, input: &LogicalPlan| expr.is_some_and(|expr| has_value(expr, input));
    match plan {
        LogicalPlan::Projection(p) => of(p.expr.get(i), &p.input),
        LogicalPlan::SubqueryAlias(s) => never_null(&s.input, i),
        LogicalPlan::Sort(s) => never_null(&s.input, i),
        LogicalPlan::Limit(l) => never_null(&l.input, i),
        LogicalPlan::Distinct(Distinct::All(input)) => never_null(input, i),
        LogicalPlan::Filter(f) => {
            let is_it = |expr: &Expr| column_of(expr, &f.input) == Some(i);
            let keeps_values = |condition: &&Expr| match condition {
                Expr::IsNotNull(expr) => is_it(expr),
                Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                    let compares =
                        [Operator::Eq, Operator::NotEq, Operator::Lt, Operator::LtEq, Operator::Gt, Operator::GtEq];
                    compares.contains(op) && (is_it(left) || is_it(right))
                }
                Expr::Like(like) => is_it(&like.expr),
                Expr::InList(list) => is_it(&list.expr),
                _ => false,
            };
            split_conjunction(&f.predicate).iter().any(keeps_values) || never_null(&f.input, i)
        }
        LogicalPlan::Aggregate(a) if !a.group_expr.iter().any(|e| matches!(e, Expr::GroupingSet(_))) => {
            of(a.group_expr.get(i), &a.input)
        }
        LogicalPlan::Window(w) => i < w.input.schema().fields().len() && never_null(&w.input, i),
        LogicalPlan::Union(union) => union.inputs.iter().all(|input| never_null(input, i)),
        LogicalPlan::Join(join) => {
            let left = join.left.schema().fields().len();
            match join.join_type {
                JoinType::Inner | JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti if i < left => {
                    never_null(&join.left, i)
                }
                JoinType::Inner | JoinType::Right if i >= left => never_null(&join.right, i - left),
                _ => false,
            }
        }
        LogicalPlan::Extension(e) => {
            let node = e.node.as_any();
            if let Some(window) = node.downcast_ref::<WindowAggregate>() {
                return matches!(window.bounds.get(i), Some(Some(_))) || of(window.group.get(i), &window.input);
            }
            if let Some(concurrency) = node.downcast_ref::<Concurrency>() {
                // Sessions without a stream are not counted.
                return concurrency.query.partition_by.get(i).is_some_and(|column| column == "stream_id");
            }
            let Some(join) = node.downcast_ref::<LookupJoin>() else { return false };
            let is_key = || !join.table.keeps_all && join.keys.iter().any(|key| column_of(key, &join.input) == Some(i));
            i < join.input.schema().fields().len() && (is_key() || never_null(&join.input, i))
        }
        _ => false,
    }
}

fn has_value(expr: &Expr, input: &LogicalPlan) -> bool {
    match unaliased(expr) {
        Expr::Literal(value, _) => !value.is_null(),
        Expr::ScalarFunction(call) if call.name() == "coalesce" => call.args.iter().any(|arg| has_value(arg, input)),
        other => column_of(other, input).is_some_and(|i| never_null(input, i)),
    }
}
