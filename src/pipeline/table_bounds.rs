//! Whether a table's `window_start` and `window_end` are the bounds of its own windows.
//!
//! The table is partitioned by them, revised by them, and read by them. Where windows are made of windows, or bounds are keys, a query may
//! select others under these names:
//!
//! ```text
//!  SELECT minute AS window_start, window_end, …        minute is the start of the windows below: refused
//!    WindowAggregate of 1 h: GROUP BY window_start, window_end, minute
//!      TUMBLE of 1 h over SELECT window_start AS minute, window_time, …
//! ```
//!
//! What is chosen from several columns, or joined up from several queries, is looked at one by one, down to the window functions.

use arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::common::tree_node::TreeNode;
use datafusion::logical_expr::utils::grouping_set_to_exprlist;
use datafusion::logical_expr::{Distinct, Expr, ExprSchemable, JoinType, LogicalPlan};

use super::bound::{Bound, Windows, is_bound};
use super::file::PipelineFile;
use super::places::Places;
use crate::error::{Error, Result};
use crate::types::format_span;

/// Functions that choose one of their arguments.
const CHOOSING: [&str; 6] = ["coalesce", "greatest", "ifnull", "least", "nvl", "nvl2"];
/// Aggregates, and functions over rows, that choose one of the values of their argument.
const CHOOSING_ROWS: [&str; 4] = ["min", "max", "first_value", "last_value"];

/// What a column holds that is no bound of the table's windows as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Other {
    Bound(Bound, Windows),
    /// Something that was computed, or has nothing to do with windows.
    Expression,
}

/// Refuses a query whose result has other columns as `window_start` or `window_end` than those of `own`, the windows that the table's
/// rows are of.
pub(super) fn check(query: &LogicalPlan, own: &[Windows], file: &PipelineFile, places: &Places) -> Result<()> {
    let columns = query.schema().fields();
    for bound in [Bound::Start, Bound::End] {
        let name = bound.column();
        let Some(i) = columns.iter().position(|field| field.name() == name) else { continue };
        let Err(other) = (Wanted { bound, own }).column(query, i) else { continue };
        let of_table = own.first().map_or_else(String::new, |windows| described(*windows));
        let (reason, remedy) = match other {
            Other::Bound(other, windows) if own.contains(&windows) => {
                let reason = format!("{name} is the {} of the table's {of_table}", other.column());
                (reason, format!("select {name} under this name, and the other under another one"))
            }
            Other::Bound(other, windows) => {
                let whose = if other == bound { "that".to_owned() } else { format!("the {}", other.column()) };
                let reason =
                    format!("{name} is {whose} of {}, and the table's rows are of {of_table}", described(windows));
                let remedy = format!("select the {name} of the outermost windows; this one needs another name (AS)");
                (reason, remedy)
            }
            Other::Expression => (
                format!("{name} is computed: the table is partitioned by that of its {of_table}"),
                format!("select {name} as it is; what is computed needs another name (AS)"),
            ),
        };
        return Err(Error::user(reason).at(places.column(file, i, columns.len(), name)).hint(remedy));
    }
    Ok(())
}

fn described(windows: Windows) -> String {
    let (size, slide) = (format_span(windows.windowing.size), format_span(windows.windowing.slide));
    match windows.windowing {
        windowing if windowing.session => format!("sessions with a gap of {size}"),
        windowing if windowing.overlap() => format!("windows of {size} every {slide}"),
        _ => format!("windows of {size}"),
    }
}

/// The bound that a column should be.
#[derive(Clone, Copy)]
struct Wanted<'w> {
    bound: Bound,
    own: &'w [Windows],
}

impl Wanted<'_> {
    /// Column `i` of a plan.
    fn column(self, plan: &LogicalPlan, i: usize) -> Result<(), Other> {
        let expr_of = |exprs: &[Expr], input| exprs.get(i).map_or(Err(Other::Expression), |e| self.expr(e, input));
        match plan {
            LogicalPlan::Projection(p) => expr_of(&p.expr, &p.input),
            LogicalPlan::SubqueryAlias(s) => self.column(&s.input, i),
            LogicalPlan::Filter(f) => self.column(&f.input, i),
            LogicalPlan::Sort(s) => self.column(&s.input, i),
            LogicalPlan::Limit(l) => self.column(&l.input, i),
            LogicalPlan::Distinct(Distinct::All(input)) => self.column(input, i),
            LogicalPlan::Distinct(Distinct::On(on)) => expr_of(&on.select_expr, &on.input),
            LogicalPlan::Union(union) => union.inputs.iter().try_for_each(|input| self.column(input, i)),
            LogicalPlan::Aggregate(a) => {
                // Sets of keys have a column more, which says of which set a row is.
                let keys = grouping_set_to_exprlist(&a.group_expr).unwrap_or_default();
                let aggregate = (i + a.aggr_expr.len()).checked_sub(a.schema.fields().len());
                let expr = aggregate.map_or_else(|| keys.get(i).copied(), |aggregate| a.aggr_expr.get(aggregate));
                expr.map_or(Err(Other::Expression), |e| self.expr(e, &a.input))
            }
            LogicalPlan::Window(w) => match i.checked_sub(w.input.schema().fields().len()) {
                Some(function) => {
                    w.window_expr.get(function).map_or(Err(Other::Expression), |e| self.expr(e, &w.input))
                }
                None => self.column(&w.input, i),
            },
            LogicalPlan::Join(join) => match i.checked_sub(join.left.schema().fields().len()) {
                None if !matches!(join.join_type, JoinType::RightSemi | JoinType::RightAnti) => {
                    self.column(&join.left, i)
                }
                Some(right) if right < join.right.schema().fields().len() => self.column(&join.right, right),
                _ => Err(Other::Expression),
            },
            LogicalPlan::Extension(_) => self.marked(plan.schema().field(i)),
            _ => Err(Other::Expression),
        }
    }

    /// A column that is computed by a window function.
    fn marked(self, field: &Field) -> Result<(), Other> {
        match Bound::from_field(field) {
            Some((bound, windows)) if bound == self.bound && self.own.contains(&windows) => Ok(()),
            Some((bound, windows)) => Err(Other::Bound(bound, windows)),
            None => Err(Other::Expression),
        }
    }

    /// The values of an expression over the rows of `input`.
    fn expr(self, expr: &Expr, input: &LogicalPlan) -> Result<(), Other> {
        let all = |exprs: Vec<&Expr>| exprs.into_iter().try_for_each(|e| self.expr(e, input));
        match expr {
            Expr::Alias(alias) => self.expr(&alias.expr, input),
            Expr::Cast(cast) if keeps_time(cast.field.data_type()) => self.expr(&cast.expr, input),
            Expr::TryCast(cast) if keeps_time(cast.field.data_type()) => self.expr(&cast.expr, input),
            Expr::Column(column) => match input.schema().maybe_index_of_column(column) {
                Some(i) => self.column(input, i),
                None => Err(Other::Expression),
            },
            Expr::Literal(value, _) if value.is_null() => Ok(()),
            Expr::Case(case) => {
                all(case.when_then_expr.iter().map(|(_, then)| &**then).chain(case.else_expr.as_deref()).collect())
            }
            Expr::ScalarFunction(f) if is_bound(&f.func) => match expr.to_field(input.schema()) {
                Ok((_, field)) => self.marked(&field),
                Err(_) => Err(Other::Expression),
            },
            Expr::ScalarFunction(f) if CHOOSING.contains(&f.name()) => {
                // NVL2 chooses between the last two.
                all(f.args.iter().skip(usize::from(f.name() == "nvl2")).collect())
            }
            Expr::AggregateFunction(f) if CHOOSING_ROWS.contains(&f.func.name()) => {
                all(f.params.args.iter().take(1).collect())
            }
            Expr::WindowFunction(f) if CHOOSING_ROWS.contains(&f.fun.name()) => {
                all(f.params.args.iter().take(1).collect())
            }
            other => Err(self.computed(other, input)),
        }
    }

    /// What is computed: if it is of bounds that are not wanted, the first of these says more.
    fn computed(self, expr: &Expr, input: &LogicalPlan) -> Other {
        let mut found = Other::Expression;
        let _ = expr.apply(|part| {
            use datafusion::common::tree_node::TreeNodeRecursion::{Continue, Stop};
            let Expr::Column(_) = part else { return Ok(Continue) };
            match self.expr(part, input) {
                Err(other @ Other::Bound(_, windows)) if !self.own.contains(&windows) => {
                    found = other;
                    Ok(Stop)
                }
                _ => Ok(Continue),
            }
        });
        found
    }
}

/// Whether a time that is cast to this type is the same time: nothing is cut off.
fn keeps_time(to: &DataType) -> bool {
    matches!(to, DataType::Timestamp(TimeUnit::Microsecond | TimeUnit::Nanosecond, _))
}
