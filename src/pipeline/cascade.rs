//! Windows of windows: `TUMBLE` and `HOP` over the rows of complete windows, Flink SQL's cascading windows.
//!
//! ```text
//!  WITH minutes AS (SELECT window_time, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE user_events, …, INTERVAL '1' MINUTE)) GROUP BY …)
//!
//!  Aggregate by window_start, window_end; MAX(n)         ─► WindowAggregate of level 1, over windows
//!    Projection: *, TUMBLE_START(window_time), …             what the call puts
//!      Projection, Filter, Join, …                           over one complete window of level 0 at a time
//!        WindowAggregate of level 0, over the stream
//! ```
//!
//! The rows of one complete window are in one pane of the longer windows, as the slide of these is a multiple of its own. So which pane
//! they go to is known by the window, and no row is looked at for it.

use arrow::datatypes::Field;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Column, DFSchema, DataFusionError, ExprSchema, Result, Span};
use datafusion::logical_expr::logical_plan::{Aggregate, Projection};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan};

use super::bound::{Bound, Windows, windows_put_by};
use super::lookup::LookupJoin;
use super::nodes::{Concurrency, WindowAggregate};
use super::refusal::{at_span, refusal, span_of};
use crate::operator::window::Windowing;
use crate::types::format_span;

const AGGREGATE_FIRST: &str =
    "aggregate in the sub-query: GROUP BY window_start, window_end, window_time, and select window_time";

/// What the rows are that come out of a plan. Of several inputs the last one here counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rows {
    /// Rows of complete windows, or constants.
    Complete,
    /// Rows of complete windows that a call has put into longer windows, which no aggregate has made yet.
    Cascading,
    /// The stream's.
    Stream,
}

impl Rows {
    pub(super) fn of(plan: &LogicalPlan) -> Self {
        match plan {
            LogicalPlan::TableScan(_) => Rows::Stream,
            LogicalPlan::Extension(e) if is_windowed(e) => Rows::Complete,
            LogicalPlan::Projection(p) if windows_put(p).is_some_and(|windows| windows.level > 0) => Rows::Cascading,
            other => other.inputs().into_iter().map(Rows::of).max().unwrap_or(Rows::Complete),
        }
    }
}

pub(super) fn is_windowed(e: &Extension) -> bool {
    let node = e.node.as_any();
    node.is::<WindowAggregate>() || node.is::<Concurrency>()
}

/// The windows whose complete rows come out of a plan; each may be there several times.
pub(super) fn windows_of(plan: &LogicalPlan) -> Vec<Windows> {
    if let LogicalPlan::Extension(e) = plan {
        let node = e.node.as_any();
        if let Some(window) = node.downcast_ref::<WindowAggregate>() {
            return vec![window.windows];
        }
        if let Some(concurrency) = node.downcast_ref::<Concurrency>() {
            return vec![Windows::of_stream(Windowing::tumbling(concurrency.query.size))];
        }
    }
    plan.inputs().into_iter().flat_map(windows_of).collect()
}

/// The windows that a call of `function` makes over the column `time` of a result, if that is the time of complete windows.
///
/// # Errors
/// If it is another bound of theirs, or the windows cannot be made of theirs.
pub(super) fn windows_over(function: &str, windowing: Windowing, time: &Field) -> Result<Option<Windows>> {
    let Some((bound, inner)) = Bound::from_field(time) else {
        return Ok(None);
    };
    if windowing.session {
        let reason = "SESSION over the rows of windows is not supported";
        return Err(refusal(reason, "use SESSION over the stream, or TUMBLE or HOP over the windows"));
    }
    if inner.windowing.session {
        let reason = format!("{function} over sessions is not supported");
        return Err(refusal(reason, "write the sessions to a table, and aggregate it where the lake is queried"));
    }
    let name = time.name();
    match bound {
        Bound::End => {
            let reason = format!("{name} is the first instant after its window, and lies in the next one");
            return Err(refusal(reason, no_time_remedy()));
        }
        Bound::Start if inner.windowing.overlap() => {
            let reason =
                format!("{name} is where a window of HOP begins, and it may end in a later window of {function}");
            return Err(refusal(reason, no_time_remedy()));
        }
        Bound::Start | Bound::Time => {}
    }
    let (slide, of) = (windowing.slide, inner.windowing.slide);
    if slide % of != 0 {
        let what = if windowing.overlap() { "a slide" } else { "a window" };
        let whole = if inner.windowing.overlap() { "slides" } else { "windows" };
        let reason = format!("{what} of {} is not made of whole {whole} of {}", format_span(slide), format_span(of));
        let above = slide - slide % of + of;
        let either = match slide / of {
            0 => format_span(of),
            n => format!("{} or {}", format_span(n * of), format_span(above)),
        };
        return Err(refusal(reason, format!("give {either}, or other windows in the sub-query")));
    }
    Ok(Some(Windows { windowing, level: inner.level.saturating_add(1) }))
}

fn no_time_remedy() -> String {
    "write DESCRIPTOR(window_time): select window_time in the sub-query, and add it to its GROUP BY".to_owned()
}

/// A column that windows of a result cannot be made by.
pub(super) fn no_time(column: &str, result: &DFSchema) -> Option<DataFusionError> {
    let times = result.fields().iter().filter_map(|f| Some((Bound::from_field(f)?.0, f.name())));
    let times: Vec<_> = times.collect();
    if times.is_empty() {
        return None;
    }
    let remedy = match times.iter().find(|(bound, _)| *bound == Bound::Time) {
        Some((_, name)) => format!("windows of windows are over their time: DESCRIPTOR({name})"),
        None => no_time_remedy(),
    };
    Some(refusal(format!("{column} of a windowed result has no watermark"), remedy))
}

/// Whether a query, as it is written, puts rows of the stream into windows.
pub(super) fn puts_stream(query: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    query.apply_with_subqueries(|plan| {
        let puts = |p: &Projection| windows_put(p).is_some_and(|windows| windows.level == 0);
        found |= matches!(plan, LogicalPlan::Projection(p) if puts(p));
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    Ok(found)
}

/// The windows that a call has put the rows of a projection into.
fn windows_put(projection: &Projection) -> Option<Windows> {
    projection.expr.iter().find_map(windows_put_by)
}

/// The column that a call goes by.
fn time_of_call(projection: &Projection) -> Option<&Column> {
    projection.expr.iter().filter(|e| windows_put_by(e).is_some()).flat_map(Expr::column_refs).next()
}

/// Where the call stands that has put the rows of a plan into windows, by its `DESCRIPTOR`.
pub(super) fn place_of_call(plan: &LogicalPlan) -> Option<Span> {
    match plan {
        LogicalPlan::Projection(p) if windows_put(p).is_some() => time_of_call(p)?.spans.first(),
        other => other.inputs().into_iter().find_map(place_of_call),
    }
}

/// Refuses a call over rows that cannot be in its windows.
pub(super) fn check_call(projection: &Projection) -> Result<()> {
    let Some(put) = windows_put(projection) else { return Ok(()) };
    let call = if put.windowing.overlap() { "HOP" } else { "TUMBLE" };
    let time = time_of_call(projection);
    let span = time.and_then(|column| column.spans.first());
    let bound = match time {
        Some(column) => Bound::from_field(projection.input.schema().field_from_column(column)?),
        None => None,
    };
    match (put.level, Rows::of(&projection.input)) {
        (0, Rows::Stream) => Ok(()),
        (level, rows) if level == 0 || (rows == Rows::Complete && bound.is_none()) => {
            let column = time.map(|column| column.name.clone()).unwrap_or_default();
            let refused = no_time(&column, projection.input.schema());
            let no_bound = || refusal(format!("{column} of a windowed result has no watermark"), no_time_remedy());
            Err(at_span(refused.unwrap_or_else(no_bound), span))
        }
        (_, Rows::Complete) if bound.is_some_and(|(_, w)| windows_of(&projection.input).contains(&w)) => Ok(()),
        (_, Rows::Complete) => {
            let reason = format!("{call} over the time of windows that have been put into longer ones since");
            Err(at_span(refusal(reason, "write DESCRIPTOR of the window_time of these longer windows"), span))
        }
        _ => Err(at_span(refusal(format!("{call} over windows that are not aggregated"), AGGREGATE_FIRST), span)),
    }
}

/// What an operator over rows in longer windows is refused with, which stands below the aggregate of these.
pub(super) fn refuse_between(what: &str) -> DataFusionError {
    refusal(
        format!("{what} between windows and the aggregate of the longer ones that they are put into is not supported"),
        "do it in the sub-query that TUMBLE or HOP reads, or above the aggregate",
    )
}

/// The windows that the rows of an aggregate over windows are put into.
///
/// # Errors
/// If something stands between that cannot.
pub(super) fn windows_put_below(aggregate: &Aggregate) -> Result<Windows> {
    let mut plan = aggregate.input.as_ref();
    loop {
        plan = match plan {
            LogicalPlan::Projection(p) => match windows_put(p).filter(|windows| windows.level > 0) {
                Some(windows) => return Ok(windows),
                None => &p.input,
            },
            LogicalPlan::SubqueryAlias(s) => &s.input,
            LogicalPlan::Filter(f) => &f.input,
            LogicalPlan::Extension(e) if e.node.as_any().is::<LookupJoin>() => match e.node.inputs().as_slice() {
                [input] => input,
                _ => return Err(refuse_between("a JOIN")),
            },
            other => return Err(at_span(refuse_between(&other.display().to_string()), span_of(&aggregate.group_expr))),
        };
    }
}
