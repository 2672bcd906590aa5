//! Calls of window table functions, as the parser gives them: their arguments by position or by name.

use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::logical_expr::sqlparser::ast::{
    Expr as SqlExpr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Query, TableAlias, TableFactor,
};

use super::refusal::refusal;
use crate::types::Micros;

/// `f(…)` where a table may stand.
pub(super) struct Call {
    pub name: String,
    pub arguments: Vec<Argument>,
    pub alias: Option<TableAlias>,
}

/// `value`, or `NAME => value`.
pub(super) struct Argument {
    /// In capitals.
    name: Option<String>,
    value: SqlExpr,
}

impl Call {
    /// `TABLE(f(…))` and `f(…)`, which the parser gives in two forms.
    pub(super) fn of(relation: &TableFactor) -> Option<Self> {
        let (name, arguments, alias) = match relation {
            TableFactor::TableFunction { expr: SqlExpr::Function(f), alias } => {
                (f.name.to_string(), function_args(f)?, alias)
            }
            TableFactor::Table { name, args: Some(args), alias, .. } => (name.to_string(), &args.args, alias),
            _ => return None,
        };
        Some(Self { name, arguments: arguments.iter().map(Argument::of).collect::<Option<_>>()?, alias: alias.clone() })
    }
}

impl Argument {
    fn of(arg: &FunctionArg) -> Option<Self> {
        match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(value)) => Some(Self { name: None, value: value.clone() }),
            FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. } => {
                Some(Self { name: Some(name.value.to_ascii_uppercase()), value: value.clone() })
            }
            _ => None,
        }
    }
}

fn function_args(f: &Function) -> Option<&Vec<FunctionArg>> {
    match &f.args {
        FunctionArguments::List(list) => Some(&list.args),
        _ => None,
    }
}

/// The values of the arguments called `names`, in that order, of a call that has these and no others. `count` is their number in
/// words.
pub(super) fn take<'a, const N: usize>(
    arguments: &'a [Argument],
    names: [&str; N],
    function: &str,
    count: &str,
    usage: &str,
) -> Result<[&'a SqlExpr; N]> {
    let named = arguments.iter().filter(|a| a.name.is_some()).count();
    if named > 0 && named < arguments.len() {
        return Err(form(&format!("{function} has arguments with and without a name"), usage));
    }
    for (i, argument) in arguments.iter().enumerate() {
        let Some(name) = &argument.name else { continue };
        if !names.contains(&name.as_str()) {
            let remedy = format!("its arguments are {}", names.join(", "));
            return Err(refusal(format!("{function} has no argument {name}"), remedy));
        }
        if arguments.iter().take(i).any(|a| a.name.as_ref() == Some(name)) {
            return Err(form(&format!("{function} is given {name} twice"), usage));
        }
    }
    let mut values = Vec::new();
    for (i, name) in names.iter().enumerate() {
        let found = match named {
            0 => arguments.get(i),
            _ => arguments.iter().find(|a| a.name.as_deref() == Some(name)),
        };
        values.extend(found.map(|a| &a.value));
    }
    match (<[&SqlExpr; N]>::try_from(values), arguments.len() == N) {
        (Ok(values), true) => Ok(values),
        _ => Err(form(&format!("{function} takes {count} arguments"), usage)),
    }
}

/// What a window table function reads.
pub(super) enum TableArgument {
    /// `TABLE name`, by the parts of the name.
    Name(Vec<Ident>),
    /// `TABLE (SELECT …)`, and `(SELECT …)`, as Calcite has it.
    Query(Box<Query>),
}

/// Takes the tuple of [`super::dialect`] apart: the table, and the columns of `PARTITION BY`.
pub(super) fn table_argument(arg: &SqlExpr, usage: &str) -> Result<(TableArgument, Vec<Ident>)> {
    let items = match arg {
        SqlExpr::Tuple(items) => items.as_slice(),
        SqlExpr::Subquery(_) => std::slice::from_ref(arg),
        _ => return Err(form("the first argument must be TABLE name", usage)),
    };
    let mut table = TableArgument::Name(vec![]);
    let mut partition = vec![];
    for item in items {
        match item {
            SqlExpr::CompoundIdentifier(parts) => table = TableArgument::Name(parts.clone()),
            SqlExpr::Subquery(query) => table = TableArgument::Query(query.clone()),
            SqlExpr::Identifier(column) => partition.push(column.clone()),
            other => return Err(form(&format!("unexpected {other}"), usage)),
        }
    }
    Ok((table, partition))
}

/// A name's parts with dots between them.
pub(super) fn object_name(parts: &[Ident]) -> String {
    parts.iter().map(ident_name).collect::<Vec<_>>().join(".")
}

/// What a name stands for: itself in quotes, else in lower case.
pub(crate) fn ident_name(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_ascii_lowercase(),
    }
}

/// A refusal of a call, with the form that it has.
pub(super) fn form(reason: &str, usage: &str) -> DataFusionError {
    refusal(reason, format!("write {usage}"))
}

/// The column that `DESCRIPTOR(column)` names.
pub(super) fn column_argument(arg: &SqlExpr, usage: &str) -> Result<Ident> {
    match arg {
        SqlExpr::Function(f) if f.name.to_string().eq_ignore_ascii_case("DESCRIPTOR") => {
            match function_args(f).map(Vec::as_slice) {
                Some([FunctionArg::Unnamed(FunctionArgExpr::Expr(SqlExpr::Identifier(ident)))]) => Ok(ident.clone()),
                _ => Err(form("DESCRIPTOR takes one column", usage)),
            }
        }
        other => Err(form(&format!("expected DESCRIPTOR(column) and found {other}"), usage)),
    }
}

/// A constant length of time in microseconds: the `what` of a window.
pub(super) fn interval_argument(
    arg: &SqlExpr,
    what: &str,
    context: &mut dyn RelationPlannerContext,
    usage: &str,
) -> Result<Micros> {
    let Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _) =
        context.sql_to_expr(arg.clone(), &DFSchema::empty())?
    else {
        return Err(form(&format!("expected an interval and found {arg}"), usage));
    };
    if interval.months != 0 {
        let remedy = format!("give the window's {what} in days, hours, minutes or seconds");
        return Err(refusal("a month has no fixed length", remedy));
    }
    let micros = i64::from(interval.days)
        .checked_mul(crate::types::MICROS_PER_DAY)
        .and_then(|days| days.checked_add(interval.nanoseconds / 1_000));
    match micros {
        // A window's last millisecond is its time, so it cannot be shorter than one.
        Some(length) if length >= 1_000 && interval.nanoseconds % 1_000 == 0 => Ok(length),
        _ => {
            let reason = format!("the {what} of a window must be a whole number of microseconds, 1 ms or more");
            Err(form(&reason, usage))
        }
    }
}
