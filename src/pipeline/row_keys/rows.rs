//! What tells the rows of a plan apart.

use std::collections::HashSet;

use datafusion::logical_expr::expr::WindowFunction;
use datafusion::logical_expr::logical_plan::{Aggregate, DistinctOn, Filter, Values, Window};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Distinct, Expr, JoinType, LogicalPlan};

use super::constant::{Constant, constant, constant_expr};
use super::join;
use super::known::{Known, column_of, equality, has_subquery, known_below};
use crate::pipeline::lookup::LookupJoin;
use crate::pipeline::marks::unaliased;
use crate::pipeline::nodes::{Concurrency, WindowAggregate};

/// Whether no two rows of `plan` in one window have the same values in what is known of them.
pub(super) fn tells_apart(plan: &LogicalPlan, known: &Known) -> bool {
    if plan.max_rows().is_some_and(|rows| rows <= 1) {
        return true;
    }
    match plan {
        LogicalPlan::Projection(p) => tells_apart(&p.input, &known_below(&p.expr, &p.input, known)),
        // What is computed names columns otherwise below.
        LogicalPlan::SubqueryAlias(s) => tells_apart(&s.input, &known.within(usize::MAX)),
        LogicalPlan::Sort(s) => tells_apart(&s.input, known),
        LogicalPlan::Limit(l) => tells_apart(&l.input, known),
        LogicalPlan::Filter(f) => filtered(f, known),
        LogicalPlan::Distinct(Distinct::All(input)) => {
            (0..input.schema().fields().len()).all(|i| is_known(input, i, known)) || tells_apart(input, known)
        }
        LogicalPlan::Distinct(Distinct::On(on)) => distinct_on(on, known),
        LogicalPlan::Aggregate(a) => grouped(a, known),
        LogicalPlan::Window(w) => {
            numbered(w, known) || tells_apart(&w.input, &known.within(w.input.schema().fields().len()))
        }
        LogicalPlan::Union(union) => {
            union.inputs.iter().all(|input| tells_apart(input, known))
                && union
                    .inputs
                    .iter()
                    .enumerate()
                    .all(|(n, a)| union.inputs.iter().skip(n + 1).all(|b| differ(a, b, known)))
        }
        LogicalPlan::Join(join) => join::tells_apart(join, &[], known),
        LogicalPlan::Values(values) => listed(values, known),
        LogicalPlan::Extension(e) => {
            let node = e.node.as_any();
            if let Some(window) = node.downcast_ref::<WindowAggregate>() {
                return windowed(window, known);
            }
            if let Some(concurrency) = node.downcast_ref::<Concurrency>() {
                return (0..concurrency.query.partition_by.len()).all(|i| known.columns.contains(&i));
            }
            node.downcast_ref::<LookupJoin>().is_some_and(|join| looked_up(join, known))
        }
        _ => false,
    }
}

/// Whether a column is known, or is the same in all rows of a window.
fn is_known(plan: &LogicalPlan, i: usize, known: &Known) -> bool {
    known.columns.contains(&i) || constant(plan, i).is_some()
}

fn filtered(filter: &Filter, known: &Known) -> bool {
    let conditions = split_conjunction(&filter.predicate);
    let mut known = known.clone();
    let mut grows = true;
    while grows {
        let before = known.columns.len();
        for (a, b, _) in conditions.iter().filter_map(|condition| equality(condition)) {
            let is_known = |side: &Expr| match column_of(side, &filter.input) {
                Some(i) => is_known(&filter.input, i, &known),
                None => constant_expr(side, &filter.input).is_some(),
            };
            let found = [(a, b), (b, a)].map(|(one, other)| column_of(one, &filter.input).filter(|_| is_known(other)));
            known.columns.extend(found.into_iter().flatten());
        }
        grows = known.columns.len() > before;
    }
    match filter.input.as_ref() {
        LogicalPlan::Join(join) if join.join_type == JoinType::Inner => join::tells_apart(join, &conditions, &known),
        input => tells_apart(input, &known),
    }
}

fn distinct_on(on: &DistinctOn, known: &Known) -> bool {
    let below = known_below(&on.select_expr, &on.input, known);
    let told = |e: &Expr| column_of(e, &on.input).is_some_and(|i| is_known(&on.input, i, &below));
    on.on_expr.iter().all(told) || tells_apart(&on.input, &below)
}

/// An aggregate above the windows has a row for each combination of what it groups by.
fn grouped(a: &Aggregate, known: &Known) -> bool {
    if a.group_expr.iter().any(|e| matches!(e, Expr::GroupingSet(_))) {
        // A key that is NULL and one that was summed over look the same.
        return false;
    }
    let told = |(i, e): (usize, &Expr)| known.columns.contains(&i) || constant_expr(e, &a.input).is_some();
    let groups: Vec<bool> = a.group_expr.iter().enumerate().map(told).collect();
    all_follow(&a.group_expr, &groups)
}

/// So has one of windows.
fn windowed(window: &WindowAggregate, known: &Known) -> bool {
    let told = |(i, e): (usize, &Expr)| {
        let is_bound = matches!(window.bounds.get(i), Some(Some(_)));
        is_bound || known.columns.contains(&i) || matches!(unaliased(e), Expr::Literal(..))
    };
    let groups: Vec<bool> = window.group.iter().enumerate().map(told).collect();
    all_follow(&window.group, &groups)
}

/// Whether all of `group` are known that a row is grouped by, given which of them are: what is computed of known columns is known too.
fn all_follow(group: &[Expr], known: &[bool]) -> bool {
    let columns: HashSet<_> = group.iter().zip(known).filter(|(_, known)| **known).map(|(e, _)| unaliased(e)).collect();
    let follows = |e: &Expr| {
        let used = e.column_refs();
        !used.is_empty() && !has_subquery(e) && used.into_iter().all(|c| columns.contains(&Expr::Column(c.clone())))
    };
    group.iter().zip(known).all(|(e, known)| *known || follows(e))
}

/// Whether a number that is known tells rows apart: `ROW_NUMBER` does in what it is counted in.
fn numbered(w: &Window, known: &Known) -> bool {
    let first = w.input.schema().fields().len();
    let tells = |call: &WindowFunction| {
        let is_known = |e: &Expr| match column_of(e, &w.input) {
            Some(i) => is_known(&w.input, i, known),
            None => known.computed.contains(unaliased(e)) || constant_expr(e, &w.input).is_some(),
        };
        call.fun.name() == "row_number" && call.params.partition_by.iter().all(is_known)
    };
    let is_known = |i: usize| known.columns.contains(&(first + i));
    w.window_expr.iter().enumerate().any(|(i, e)| match unaliased(e) {
        Expr::WindowFunction(call) => is_known(i) && tells(call),
        _ => false,
    })
}

/// Whether a known column is another constant on either side.
fn differ(a: &LogicalPlan, b: &LogicalPlan, known: &Known) -> bool {
    known.columns.iter().any(|i| match (constant(a, *i), constant(b, *i)) {
        (Some(Constant::Literal(a)), Some(Constant::Literal(b))) => a.data_type() == b.data_type() && a != b,
        _ => false,
    })
}

fn listed(values: &Values, known: &Known) -> bool {
    let mut seen = HashSet::new();
    values.values.iter().all(|row| {
        let row: Vec<&Expr> = known.columns.iter().filter_map(|i| row.get(*i)).collect();
        row.iter().all(|e| matches!(e, Expr::Literal(..))) && seen.insert(row)
    })
}

/// A row finds one row of a lookup table at most.
fn looked_up(join: &LookupJoin, known: &Known) -> bool {
    let columns = join.input.schema().fields().len();
    let mut below = known.within(columns);
    if !join.table.keeps_all {
        let pairs = join.keys.iter().zip(&join.table.key);
        let found = pairs.filter(|(_, key)| known.columns.contains(&(columns + **key)));
        below.columns.extend(found.filter_map(|(e, _)| column_of(e, &join.input)));
    }
    tells_apart(&join.input, &below)
}
