//! The analyzer rule: every join with a lookup table becomes a `LookupJoin`, or is refused.

use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::common::{DataFusionError, JoinType, NullEquality, Result, Span, internal_err};
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::logical_plan::{Join, Projection};
use datafusion::logical_expr::utils::{conjunction, find_valid_equijoin_key_pair, split_conjunction_owned};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Extension, LogicalPlan, Operator};
use datafusion::optimizer::AnalyzerRule;

use super::node::{LookupJoin, Table};
use super::provider::{LookupProvider, LookupTable};
use crate::error::Error;
use crate::pipeline::refusal::{at_span, refusal, span_of};

/// Turns `Join` with a lookup table into `LookupJoin`; refuses what else is done with one.
///
/// It runs before the rule of windowed aggregates, which then finds scans of the stream alone.
#[derive(Debug)]
pub(in crate::pipeline) struct LookupJoins;

impl AnalyzerRule for LookupJoins {
    fn name(&self) -> &str {
        "lookup_joins"
    }

    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        let plan = plan.transform_up_with_subqueries(|node| match node {
            LogicalPlan::Join(join) => match (lookup_of(&join.left), lookup_of(&join.right)) {
                (None, None) => Ok(Transformed::no(LogicalPlan::Join(join))),
                (Some(left), Some(right)) => Err(refusal(
                    format!("a JOIN of the lookup table {} with the lookup table {}", left.name, right.name),
                    "JOIN each of them to the stream, or to a windowed result",
                )),
                (left, right) => joined(join, left, right).map(Transformed::yes),
            },
            other => Ok(Transformed::no(other)),
        })?;
        plan.data.apply_with_subqueries(|node| match node {
            LogicalPlan::TableScan(scan) => match LookupProvider::of(scan) {
                Some(table) => Err(not_joined(&table)),
                None => Ok(TreeNodeRecursion::Continue),
            },
            _ => Ok(TreeNodeRecursion::Continue),
        })?;
        Ok(plan.data)
    }
}

/// The lookup table that a side of a join is, under whatever name.
fn lookup_of(side: &LogicalPlan) -> Option<Arc<LookupTable>> {
    match side {
        LogicalPlan::TableScan(scan) => LookupProvider::of(scan),
        LogicalPlan::SubqueryAlias(alias) => lookup_of(&alias.input),
        _ => None,
    }
}

fn not_joined(table: &LookupTable) -> DataFusionError {
    let name = &table.name;
    refusal(
        format!("the lookup table {name} is only read by joining it itself to the stream or to a windowed result"),
        format!("write … JOIN {name} ON … = {name}.… or LEFT JOIN; conditions on its columns go into ON or WHERE"),
    )
}

fn joined(join: Join, left: Option<Arc<LookupTable>>, right: Option<Arc<LookupTable>>) -> Result<LogicalPlan> {
    let lookup_first = left.is_some();
    let Some(table) = left.or(right) else { return internal_err!("a join without a lookup table") };
    let on: Vec<&Expr> = join.on.iter().flat_map(|(l, r)| [l, r]).chain(&join.filter).collect();
    let span = span_of(on);
    let keeps_all = keeps_all(join.join_type, lookup_first, &table).map_err(|e| at_span(e, span))?;
    let order = join.schema.columns();
    let (stream, lookup) = match lookup_first {
        true => (join.right, join.left),
        false => (join.left, join.right),
    };
    let mut pairs = join.on;
    if lookup_first {
        pairs.iter_mut().for_each(|(l, r)| std::mem::swap(l, r));
    }
    let mut others = Vec::new();
    for term in join.filter.into_iter().flat_map(split_conjunction_owned) {
        match &term {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) => {
                match find_valid_equijoin_key_pair(left, right, stream.schema(), lookup.schema())? {
                    Some(pair) => pairs.push(pair),
                    None => others.push(term),
                }
            }
            _ => others.push(term),
        }
    }
    if pairs.is_empty() || join.null_equality == NullEquality::NullEqualsNull {
        let name = &table.name;
        let reason = format!("a JOIN with the lookup table {name} without an equality of its key");
        let error =
            refusal(reason, format!("write ON e.… = {name}.…: a row takes the one row of {name} that has its key"));
        return Err(at_span(error, span));
    }
    let (keys, key) = key_columns(pairs, &stream, &lookup, &table).map_err(|e| at_span(e, span))?;
    let table = Table::of(&table, lookup.schema(), key, keeps_all);
    let node = LookupJoin::try_new(stream, keys, conjunction(others), table)?;
    let plan = LogicalPlan::Extension(Extension { node: Arc::new(node) });
    if !lookup_first {
        return Ok(plan);
    }
    // `*` has the columns in the order of the query.
    let columns = order.into_iter().map(Expr::Column).collect();
    Ok(LogicalPlan::Projection(Projection::try_new(columns, Arc::new(plan))?))
}

/// Whether rows go on that find none.
fn keeps_all(join_type: JoinType, lookup_first: bool, table: &LookupTable) -> Result<bool> {
    let name = &table.name;
    match join_type {
        JoinType::Inner => Ok(false),
        JoinType::Left if !lookup_first => Ok(true),
        other => {
            let reason = match other {
                JoinType::Left | JoinType::Right => {
                    format!("an outer JOIN that keeps the rows of the lookup table {name}, which are of no window")
                }
                _ => format!("a {} JOIN with the lookup table {name}", in_sql(other)),
            };
            Err(refusal(
                reason,
                format!("write … JOIN {name} ON …, or … LEFT JOIN {name} ON … with {name} on the right"),
            ))
        }
    }
}

/// `LEFT SEMI`, as queries have it.
fn in_sql(join_type: JoinType) -> String {
    let mut words = String::new();
    for c in join_type.to_string().chars() {
        if c.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(c.to_ascii_uppercase());
    }
    words
}

/// The two sides of the key: expressions of the stream, and columns of the table.
fn key_columns(
    pairs: Vec<(Expr, Expr)>,
    stream: &LogicalPlan,
    lookup: &LogicalPlan,
    table: &LookupTable,
) -> Result<(Vec<Expr>, Vec<usize>)> {
    let mut sides: Vec<(usize, Expr)> = Vec::new();
    for (of_stream, of_table) in pairs {
        let span = span_of([&of_table]);
        let Expr::Column(column) = &of_table else { return Err(no_column(&of_table, span, table)) };
        let i = lookup.schema().index_of_column(column)?;
        let field = lookup.schema().field(i);
        if field.data_type().is_floating() {
            let reason = format!(
                "{} of the lookup table {} is a floating-point number, which is no key",
                field.name(),
                table.name
            );
            let remedy =
                format!("declare its type: [lookup.{}.columns] {} = \"integer\" or \"text\"", table.name, field.name());
            return Err(at_span(refusal(reason, remedy), span));
        }
        if let Expr::Cast(cast) = &of_stream
            && cast.expr.get_type(stream.schema())?.is_string()
            && !field.data_type().is_string()
        {
            return Err(at_span(another_type(field.name(), table), span));
        }
        sides.push((i, of_stream));
    }
    // One order for one set of columns, so that queries share an index.
    sides.sort_by_key(|(i, _)| *i);
    Ok(sides.into_iter().map(|(i, expr)| (expr, i)).unzip())
}

/// The planner casts where types differ: the table's side, which an index is not over, or texts of events, which need not be numbers.
fn another_type(column: &str, table: &LookupTable) -> DataFusionError {
    let name = &table.name;
    refusal(
        format!("the key {column} of the lookup table {name} has another type than what it is compared with"),
        format!(
            "declare its type in the configuration, as in [lookup.{name}.columns] {column} = \"text\"; or compare it with TRY_CAST(… AS …)"
        ),
    )
}

fn no_column(side: &Expr, span: Option<Span>, table: &LookupTable) -> DataFusionError {
    let name = &table.name;
    let error = match side {
        Expr::Cast(cast) if matches!(*cast.expr, Expr::Column(_)) => {
            let column = cast.expr.column_refs().into_iter().next().map(|c| c.name.clone()).unwrap_or_default();
            another_type(&column, table)
        }
        _ => refusal(
            format!("the JOIN with the lookup table {name} compares with {side}, which is no column of it"),
            format!("write ON … = {name}.column; what is to be computed goes to the other side, or into the file"),
        ),
    };
    at_span(error, span)
}

/// The planner looks for a table in `TABLE name` among the names of the query only.
pub(in crate::pipeline) fn known(e: Error, lookups: &[Arc<LookupTable>]) -> Error {
    match lookups.iter().find(|table| e.message() == format!("there is no table {}", table.name)) {
        Some(table) => {
            let place = e.place().unwrap_or_default().to_owned();
            let reason = format!("the lookup table {} has no event time", table.name);
            Error::user(reason)
                .at(place)
                .hint(format!("take the stream here, and write … JOIN {} ON … behind it", table.name))
        }
        None => e,
    }
}
