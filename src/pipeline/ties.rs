//! Ties: rows that an `ORDER BY` leaves equal come in the order of the keys of their window's rows.
//!
//! Where shards meet, rows come in no order of their own. A number in a row or a limit must not depend on that: a replay has to choose
//! the same rows. So the keys are added to what an operator orders by, and where the rest of a query goes by an order at all, the
//! windows' rows are sorted by them first. `RANK` and its like are the same for equal rows: nothing is added to theirs.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::compute::{SortColumn, lexsort_to_indices, take_record_batch};
use arrow::datatypes::{DataType, Field};
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::expr::{AggregateFunctionParams, Sort as SortExpr, WindowFunction};
use datafusion::logical_expr::logical_plan::{DistinctOn, Limit, Sort, Window};
use datafusion::logical_expr::{Distinct, Expr, ExprSchemable, LogicalPlan, WindowFrameUnits};
use datafusion::physical_plan::ExecutionPlan;

use super::bound::{Bound, Windows};
use super::cascade::windows_of;
use super::nodes::{Concurrency, WindowAggregate};

/// Functions `OVER (…)` that tell equal rows apart by their place, whatever the frame.
const BY_PLACE: [&str; 4] = ["row_number", "ntile", "lag", "lead"];

/// Functions `OVER (…)` that do not.
const BY_RANK: [&str; 4] = ["rank", "dense_rank", "percent_rank", "cume_dist"];

/// Adds the keys to the order of `node`, a plan above complete windows.
pub(super) fn break_by_keys(node: LogicalPlan) -> Transformed<LogicalPlan> {
    match node {
        LogicalPlan::Sort(sort) => {
            let expr = with_keys(sort.expr, &key_columns(&sort.input));
            Transformed::yes(LogicalPlan::Sort(Sort { expr, ..sort }))
        }
        LogicalPlan::Limit(limit) if !is_sorted(&limit.input) => {
            let keys = key_columns(&limit.input);
            if keys.is_empty() {
                return Transformed::no(LogicalPlan::Limit(limit));
            }
            let sort = Sort { expr: with_keys(vec![], &keys), input: limit.input, fetch: None };
            Transformed::yes(LogicalPlan::Limit(Limit { input: Arc::new(LogicalPlan::Sort(sort)), ..limit }))
        }
        LogicalPlan::Window(window) => over(window),
        LogicalPlan::Distinct(Distinct::On(on)) => {
            let keys = key_columns(&on.input);
            let first = || on.on_expr.iter().map(|e| e.clone().sort(true, false)).collect();
            let sort_expr = Some(with_keys(on.sort_expr.clone().unwrap_or_else(first), &keys));
            Transformed::yes(LogicalPlan::Distinct(Distinct::On(DistinctOn { sort_expr, ..on })))
        }
        other => Transformed::no(other),
    }
}

/// Lets an aggregate with an `ORDER BY` go by its arguments where that leaves rows equal, so that it takes the same ones however they
/// come.
pub(super) fn break_by_arguments(expr: Expr, input: &DFSchema) -> Expr {
    let name = expr.schema_name().to_string();
    let Expr::AggregateFunction(mut call) = expr else { return expr };
    if call.params.order_by.is_empty() || call.params.distinct || call.func.supports_within_group_clause() {
        return Expr::AggregateFunction(call);
    }
    let AggregateFunctionParams { args, order_by, .. } = &mut call.params;
    let is_sortable = |e: &&Expr| e.get_type(input).is_ok_and(|t| !t.is_nested() && t != DataType::Null);
    let ties: Vec<Expr> =
        args.iter().filter(|e| !matches!(e, Expr::Literal(..))).filter(is_sortable).cloned().collect();
    let known = order_by.len();
    for tie in ties {
        if !order_by.iter().any(|by| by.expr == tie) {
            order_by.push(tie.sort(true, false));
        }
    }
    let changed = order_by.len() > known;
    let call = Expr::AggregateFunction(call);
    // What is above knows it by its name.
    if changed { call.alias(name) } else { call }
}

/// The columns of `plan` that tell the rows of one window apart, as far as they are still there.
pub(super) fn key_columns(plan: &LogicalPlan) -> Vec<Column> {
    keys(plan).into_iter().map(|i| Column::from(plan.schema().qualified_field(i))).collect()
}

fn keys(plan: &LogicalPlan) -> BTreeSet<usize> {
    let inputs = plan.inputs();
    match plan {
        LogicalPlan::Extension(e) => {
            let node = e.node.as_any();
            if let Some(window) = node.downcast_ref::<WindowAggregate>() {
                return (0..window.group.len()).filter(|i| !matches!(window.bounds.get(*i), Some(Some(_)))).collect();
            }
            match node.downcast_ref::<Concurrency>() {
                Some(concurrency) => (0..concurrency.query.partition_by.len()).collect(),
                // A join with a lookup table, whose rows are as many as those of its input.
                None => inputs.first().map(|input| keys(input)).unwrap_or_default(),
            }
        }
        LogicalPlan::Projection(p) => {
            let below = keys(&p.input);
            let is_key = |e: &Expr| match e.clone().unalias() {
                Expr::Column(c) => p.input.schema().maybe_index_of_column(&c).is_some_and(|i| below.contains(&i)),
                _ => false,
            };
            p.expr.iter().enumerate().filter(|(_, e)| is_key(e)).map(|(i, _)| i).collect()
        }
        LogicalPlan::Aggregate(a) => {
            let below = windows_of(&a.input);
            let groups = a.schema.fields().len().saturating_sub(a.aggr_expr.len());
            (0..groups).filter(|i| !is_bound(a.schema.field(*i), &below)).collect()
        }
        LogicalPlan::Join(join) => {
            let left = join.left.schema().fields().len();
            let columns = plan.schema().fields().len();
            let right = keys(&join.right).into_iter().map(|i| i + left);
            keys(&join.left).into_iter().chain(right).filter(|i| *i < columns).collect()
        }
        // Columns of the input come first, in its order.
        _ => inputs.first().map(|input| keys(input)).unwrap_or_default(),
    }
}

/// Whether a column is the same for all rows of one of these windows.
fn is_bound(field: &Field, windows: &[Windows]) -> bool {
    Bound::from_field(field).is_some_and(|(_, of)| windows.contains(&of))
}

/// `order`, then those of `keys` that are not in it.
fn with_keys(mut order: Vec<SortExpr>, keys: &[Column]) -> Vec<SortExpr> {
    for key in keys {
        let key = Expr::Column(key.clone());
        if !order.iter().any(|by| by.expr == key) {
            order.push(key.sort(true, false));
        }
    }
    order
}

/// Whether rows come from `plan` in an order that somebody asked for.
fn is_sorted(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Sort(_) => true,
        LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) | LogicalPlan::Filter(_) | LogicalPlan::Limit(_) => {
            plan.inputs().into_iter().all(is_sorted)
        }
        _ => false,
    }
}

fn over(window: Window) -> Transformed<LogicalPlan> {
    let keys = key_columns(&window.input);
    let mut changed = false;
    let mut with_keys_too = |expr: Expr| {
        let name = expr.schema_name().to_string();
        let Expr::WindowFunction(mut call) = expr else { return expr };
        // Rows of one part are equal in what parts them.
        let parts = &call.params.partition_by;
        let keys: Vec<Column> =
            keys.iter().filter(|key| !parts.contains(&Expr::Column((*key).clone()))).cloned().collect();
        if keys.is_empty() || !goes_by_place(&call) {
            return Expr::WindowFunction(call);
        }
        changed = true;
        call.params.order_by = with_keys(std::mem::take(&mut call.params.order_by), &keys);
        // What is above knows it by its name.
        Expr::WindowFunction(call).alias(name)
    };
    let window_expr = window.window_expr.into_iter().map(&mut with_keys_too).collect();
    let window = LogicalPlan::Window(Window { window_expr, ..window });
    if changed { Transformed::yes(window) } else { Transformed::no(window) }
}

/// Whether equal rows get different values by their place.
fn goes_by_place(call: &WindowFunction) -> bool {
    let name = call.fun.name();
    if BY_PLACE.contains(&name) {
        return true;
    }
    // A frame of rows cuts through equal ones; one of values takes all of them, and more columns would change it.
    !BY_RANK.contains(&name) && call.params.window_frame.units == WindowFrameUnits::Rows
}

/// Whether an operator of `plan` may give another result if rows come in another order.
pub(super) fn goes_by_order(plan: &dyn ExecutionPlan) -> bool {
    let is_rowwise = plan.children().is_empty() || ["ProjectionExec", "FilterExec"].contains(&plan.name());
    !is_rowwise || plan.children().into_iter().any(|child| goes_by_order(child.as_ref()))
}

/// Rows in the order of their keys: where shards meet they come in none.
pub(super) fn by_keys(rows: &RecordBatch, keys: &[usize]) -> Result<RecordBatch> {
    if keys.is_empty() || rows.num_rows() < 2 {
        return Ok(rows.clone());
    }
    let by: Vec<SortColumn> =
        keys.iter().map(|i| SortColumn { values: Arc::clone(rows.column(*i)), options: None }).collect();
    Ok(take_record_batch(rows, &lexsort_to_indices(&by, None)?)?)
}
