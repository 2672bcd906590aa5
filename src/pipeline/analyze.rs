//! The analyzer rule: every aggregate over the stream, or over windows in longer ones, becomes a windowed node, or is refused.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, Result, internal_err};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::logical_plan::{Aggregate, Projection, SubqueryAlias};
use datafusion::logical_expr::{Expr, ExprSchemable, Extension, Filter, LogicalPlan};
use datafusion::optimizer::AnalyzerRule;

use super::bound::{Bound, Windows};
use super::cascade::{Rows, check_call, place_of_call, refuse_between, windows_of, windows_put_below};
use super::functions::distinct_of_several;
use super::lookup::LookupJoin;
use super::marks::{may_be_marked, unaliased};
use super::nodes::WindowAggregate;
use super::refusal::{NAMED_AS, at_span, refusal, span_of};
use super::session_keys::grouped_keys;
use super::stream_table::ROW_NUMBER;
use super::ties::{break_by_arguments, break_by_keys};
use super::{bounds_below, subqueries};
use crate::schema::SHARD_HIGH_TIME;

/// Columns of the stream that the operator itself reads, by their names.
const OWN: [&str; 2] = [ROW_NUMBER, SHARD_HIGH_TIME];

const WINDOW_REMEDY: &str = "add a window: FROM TABLE(TUMBLE(TABLE …, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) … GROUP BY window_start, window_end";

const OVER_SEVERAL: &str = "an aggregate over several windows would never finish";
const LONGER: &str = "; for longer windows read these by FROM TABLE(TUMBLE(TABLE …, DESCRIPTOR(window_time), INTERVAL '1' HOUR)) … GROUP BY window_start, window_end";

/// Turns `Aggregate` over stream rows into `WindowAggregate`; refuses what would never end.
#[derive(Debug)]
pub(super) struct WindowedAggregates;

impl AnalyzerRule for WindowedAggregates {
    fn name(&self) -> &str {
        "windowed_aggregates"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let plan = plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Aggregate(aggregate) => match Rows::of(&aggregate.input) {
                Rows::Stream => Ok(Transformed::yes(windowed(aggregate)?)),
                Rows::Cascading => Ok(Transformed::yes(cascading(aggregate)?)),
                Rows::Complete => {
                    keeps_window(&aggregate)?;
                    above_windows(aggregate)
                }
            },
            LogicalPlan::Projection(projection) => {
                check_call(&projection)?;
                Ok(Transformed::no(LogicalPlan::Projection(projection)))
            }
            LogicalPlan::Distinct(_)
            | LogicalPlan::Window(_)
            | LogicalPlan::Join(_)
            | LogicalPlan::Union(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Limit(_)
                if Rows::of(&node) != Rows::Complete =>
            {
                let what = match &node {
                    LogicalPlan::Distinct(_) => "DISTINCT, EXCEPT or INTERSECT",
                    LogicalPlan::Window(_) => "a function OVER (…)",
                    LogicalPlan::Join(_) => "a JOIN",
                    LogicalPlan::Sort(_) => "ORDER BY",
                    LogicalPlan::Limit(_) => "LIMIT",
                    _ => "a UNION",
                };
                if Rows::of(&node) == Rows::Cascading {
                    return Err(refuse_between(what));
                }
                Err(refusal(
                    format!("{what} over the unbounded stream would never finish"),
                    format!("{WINDOW_REMEDY}, then apply it to the result"),
                ))
            }
            other => Ok(break_by_keys(other)),
        })?;
        subqueries::check(&plan.data)?;
        match Rows::of(&plan.data) {
            Rows::Stream => {
                let reason = "the query selects rows FROM the stream and does not aggregate them by windows";
                Err(refusal(reason, WINDOW_REMEDY))
            }
            Rows::Cascading => {
                let reason = "the query puts windows into longer ones with TUMBLE or HOP and does not aggregate them";
                Err(at_span(refusal(reason, "GROUP BY window_start, window_end, …"), place_of_call(&plan.data)))
            }
            Rows::Complete => Ok(plan.data),
        }
    }
}

/// The bound that a group expression is, by its field's metadata; none if it is computed of one.
pub(super) fn bound_of(expr: &Expr, schema: &DFSchema) -> Result<Option<(Bound, Windows)>> {
    if !may_be_marked(expr) {
        return Ok(None);
    }
    let (_, field) = expr.to_field(schema)?;
    Ok(Bound::from_field(&field))
}

/// Of each group expression, which bound of `windows` it is.
fn bounds_of(aggregate: &Aggregate, windows: Windows) -> Result<Vec<Option<Bound>>> {
    let of =
        |expr| Ok(bound_of(expr, aggregate.input.schema())?.filter(|(_, w)| *w == windows).map(|(bound, _)| bound));
    aggregate.group_expr.iter().map(of).collect()
}

fn windowed(aggregate: Aggregate) -> Result<LogicalPlan> {
    let windows = windows_of_aggregate(&aggregate, None)?;
    let session_keys = if windows.windowing.session { grouped_keys(&aggregate)? } else { vec![] };
    subqueries::check_below(&aggregate.input, aggregate.group_expr.iter().chain(&aggregate.aggr_expr))?;
    let bounds = bounds_of(&aggregate, windows)?;
    let aggregates: Vec<Expr> =
        aggregate.aggr_expr.into_iter().map(|e| break_by_arguments(e, aggregate.input.schema())).collect();
    let input = carry(Arc::unwrap_or_clone(aggregate.input))?;
    let carried =
        vec![bound_column(&input, windows)?, named_column(&input, ROW_NUMBER)?, named_column(&input, SHARD_HIGH_TIME)?];
    let input = narrowed(input, aggregate.group_expr.iter().chain(&aggregates).chain(&carried))?;
    Ok(LogicalPlan::Extension(Extension {
        node: Arc::new(WindowAggregate {
            input: Arc::new(input),
            bounds,
            group: aggregate.group_expr,
            aggregates,
            carried,
            windows,
            session_keys,
            schema: aggregate.schema,
        }),
    }))
}

/// An aggregate over the rows of windows that are put into longer ones.
fn cascading(aggregate: Aggregate) -> Result<LogicalPlan> {
    let windows = windows_of_aggregate(&aggregate, Some(windows_put_below(&aggregate)?))?;
    subqueries::check_in(aggregate.group_expr.iter().chain(&aggregate.aggr_expr))?;
    let bounds = bounds_of(&aggregate, windows)?;
    let Aggregate { input, group_expr, aggr_expr, schema, .. } = aggregate;
    let aggregates = aggr_expr.into_iter().map(|e| break_by_arguments(e, input.schema())).collect();
    let (carried, session_keys) = (vec![], vec![]);
    let node = WindowAggregate { input, group: group_expr, bounds, aggregates, carried, windows, session_keys, schema };
    Ok(LogicalPlan::Extension(Extension { node: Arc::new(node) }))
}

/// The windows that an aggregate groups by, as [`grouped_windows`] finds them, if nothing below it depends on them where it may not.
fn windows_of_aggregate(aggregate: &Aggregate, put: Option<Windows>) -> Result<Windows> {
    let span = span_of(&aggregate.group_expr).or_else(|| span_of(&aggregate.aggr_expr));
    let windows = grouped_windows(aggregate, put).map_err(|e| at_span(e, span))?;
    if !windows.windowing.is_tumbling() {
        bounds_below::check(aggregate, windows)?;
    }
    Ok(windows)
}

/// The windows that an aggregate groups by, if it can be computed window by window: those that its rows were `put` into, where they
/// are rows of windows themselves, whose bounds are keys then.
fn grouped_windows(aggregate: &Aggregate, put: Option<Windows>) -> Result<Windows> {
    let schema = aggregate.input.schema();
    let mut bounds = Vec::new();
    for expr in &aggregate.group_expr {
        if matches!(expr, Expr::GroupingSet(_)) {
            let reason = "GROUP BY over a stream takes no GROUPING SETS, CUBE or ROLLUP";
            return Err(refusal(reason, "group by plain columns"));
        }
        bounds.extend(bound_of(expr, schema)?);
    }
    bounds.retain(|(_, windows)| put.is_none_or(|put| put == *windows));
    let has = |bound| bounds.iter().any(|(b, _)| *b == bound);
    let Some((_, windows)) = bounds.first().copied() else {
        return Err(match put {
            None => refusal("an aggregate over the unbounded stream would never finish", WINDOW_REMEDY),
            Some(_) => refusal(OVER_SEVERAL, "add window_start, window_end to its GROUP BY"),
        });
    };
    if !has(Bound::Start) || !has(Bound::End) {
        let reason = "GROUP BY without both window_start and window_end does not say when a window ends";
        return Err(refusal(reason, "GROUP BY window_start, window_end, …"));
    }
    if bounds.iter().any(|(_, w)| *w != windows) {
        let reason = "the GROUP BY mixes windows of different sizes or slides";
        return Err(refusal(reason, "use one size and slide in one file, or two files"));
    }
    Ok(windows)
}

/// An aggregate over complete windows must stay inside one window, or it would never end either.
fn keeps_window(aggregate: &Aggregate) -> Result<()> {
    let mut of_session = Vec::new();
    let below = windows_of(&aggregate.input);
    for expr in &aggregate.group_expr {
        match bound_of(expr, aggregate.input.schema())?.filter(|(_, windows)| below.contains(windows)) {
            Some((Bound::End, Windows { windowing, .. })) if !windowing.session => return Ok(()),
            Some((bound, Windows { windowing, .. })) if windowing.session => of_session.push(bound),
            _ => {}
        }
    }
    // Sessions that end at one time are several windows.
    if of_session.contains(&Bound::Start) && of_session.contains(&Bound::End) {
        return Ok(());
    }
    if !below.is_empty() {
        let span = span_of(&aggregate.group_expr).or_else(|| span_of(&aggregate.aggr_expr));
        let longer = if below.iter().any(|windows| windows.windowing.session) { "" } else { LONGER };
        let remedy = format!("add window_start, window_end to its GROUP BY{longer}");
        return Err(at_span(refusal(OVER_SEVERAL, remedy), span));
    }
    Ok(())
}

/// The aggregate over complete windows that DataFusion can compute, whatever order their rows come in.
fn above_windows(aggregate: Aggregate) -> Result<Transformed<LogicalPlan>> {
    let Aggregate { input, group_expr, aggr_expr, schema, .. } = aggregate;
    let rewritten: Vec<Expr> =
        aggr_expr.iter().map(|e| distinct_of_several(break_by_arguments(e.clone(), input.schema()))).collect();
    let changed = rewritten != aggr_expr;
    let plan = LogicalPlan::Aggregate(Aggregate::try_new_with_schema(input, group_expr, rewritten, schema)?);
    Ok(if changed { Transformed::yes(plan) } else { Transformed::no(plan) })
}

fn bound_column(input: &LogicalPlan, windows: Windows) -> Result<Expr> {
    let end = input.schema().iter().find(|(_, f)| Bound::from_field(f) == Some((Bound::End, windows)));
    match end {
        Some((qualifier, field)) => Ok(Expr::Column(Column::from((qualifier, field)))),
        None => Err(refusal("window_end was dropped by a sub-query", "select it there")),
    }
}

fn named_column(input: &LogicalPlan, name: &str) -> Result<Expr> {
    let found = input.schema().iter().find(|(_, f)| f.name() == name);
    match found {
        Some((qualifier, field)) => Ok(Expr::Column(Column::from((qualifier, field)))),
        None => internal_err!("the column {name} does not reach the windowed aggregate"),
    }
}

/// Hands the columns that the operator itself reads up through projections and sub-queries that do not select them.
fn carry(plan: LogicalPlan) -> Result<LogicalPlan> {
    Ok(match plan {
        LogicalPlan::Projection(p) => {
            p.expr.iter().try_for_each(hides_none)?;
            let input = carry(Arc::unwrap_or_clone(p.input))?;
            let mut exprs = p.expr;
            let missing: Vec<_> = input
                .schema()
                .iter()
                .filter(|(_, f)| {
                    let carried =
                        OWN.contains(&f.name().as_str()) || matches!(Bound::from_field(f), Some((Bound::End, _)));
                    carried && !p.schema.iter().any(|(_, have)| have.name() == f.name())
                })
                .map(|(q, f)| Expr::Column(Column::from((q, f))))
                .collect();
            exprs.extend(missing);
            LogicalPlan::Projection(Projection::try_new(exprs, Arc::new(input))?)
        }
        LogicalPlan::SubqueryAlias(s) => {
            let input = carry(Arc::unwrap_or_clone(s.input))?;
            LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(Arc::new(input), s.alias)?)
        }
        LogicalPlan::Filter(f) => {
            LogicalPlan::Filter(Filter::try_new(f.predicate, Arc::new(carry(Arc::unwrap_or_clone(f.input))?))?)
        }
        scan @ LogicalPlan::TableScan(_) => scan,
        LogicalPlan::Extension(e) if e.node.as_any().is::<LookupJoin>() => carry_join(&e)?,
        other => {
            let what = match &other {
                LogicalPlan::RecursiveQuery(_) => "WITH RECURSIVE".to_owned(),
                other => other.display().to_string(),
            };
            return Err(refusal(
                format!("{what} is not supported between the stream and its windowed aggregate"),
                "aggregate by windows first, then apply it to the result",
            ));
        }
    })
}

/// Refuses something else under the name of a column that the operator itself reads: it would be taken for that.
fn hides_none(expr: &Expr) -> Result<()> {
    let (_, name) = expr.qualified_name();
    let is_itself = matches!(unaliased(expr), Expr::Column(column) if column.name == name);
    if is_itself || !OWN.contains(&name.as_str()) {
        return Ok(());
    }
    let reason = format!("a column below the window{NAMED_AS}{name}, which is one of the stream's own");
    Err(at_span(refusal(reason, "give it another name with AS: rows are judged by the stream's own"), span_of([expr])))
}

/// A join with a lookup table emits the columns that `exprs` read: nothing else tells it which those are.
fn narrowed<'a>(input: LogicalPlan, exprs: impl Iterator<Item = &'a Expr>) -> Result<LogicalPlan> {
    let joins = |p: &LogicalPlan| Ok(matches!(p, LogicalPlan::Extension(e) if e.node.as_any().is::<LookupJoin>()));
    if !input.exists(joins)? {
        return Ok(input);
    }
    let read: HashSet<&Column> = exprs.flat_map(|e| e.column_refs()).collect();
    let columns = input.schema().columns().into_iter().filter(|c| read.contains(c)).map(Expr::Column).collect();
    Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(input))?))
}

/// As [`carry`], through a join with a lookup table.
fn carry_join(e: &Extension) -> Result<LogicalPlan> {
    let Some(join) = e.node.as_any().downcast_ref::<LookupJoin>() else {
        return internal_err!("{} is no join with a lookup table", e.node.name());
    };
    let node = join.over(carry(join.input.as_ref().clone())?)?;
    Ok(LogicalPlan::Extension(Extension { node: Arc::new(node) }))
}
