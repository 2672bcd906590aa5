//! Calls of window table functions, as the parser gives them: their arguments by position or by name.

use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::logical_expr::sqlparser::ast::{
    Expr as SqlExpr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Query, TableAlias, TableFactor,
};

use super::refusal::refusal;
use crate::limits::{CONCURRENCY_TIMEOUT_SECS_MAX, CONCURRENCY_TIMEOUT_SECS_MIN};
use crate::types::{MICROS_PER_SEC, Micros};

/// `f(…)` where a table may stand.
pub(super) struct Call {
    pub name: String,
    pub arguments: Vec<Argument>,
    pub alias: Option<TableAlias>,
}

/// `value`, or `NAME => value`.
#[derive(Clone)]
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

impl Call {
    /// The size of the windows, or the gap of sessions, as written: of this name, else the last argument without one.
    pub(super) fn size(&self) -> Option<String> {
        let named = |a: &&Argument| matches!(a.name.as_deref(), Some("SIZE" | "GAP"));
        let argument = self.arguments.iter().find(named);
        let argument = argument.or_else(|| self.arguments.iter().rev().find(|a| a.name.is_none()));
        argument.map(|a| a.value.to_string().to_ascii_uppercase())
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
    check_names(arguments, &names, function)?;
    for (i, argument) in arguments.iter().enumerate() {
        let Some(name) = &argument.name else { continue };
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

/// How many arguments have no name.
pub(super) fn unnamed(arguments: &[Argument]) -> usize {
    arguments.iter().filter(|a| a.name.is_none()).count()
}

/// Whether there is an argument of this name.
pub(super) fn is_given(arguments: &[Argument], name: &str) -> bool {
    arguments.iter().any(|a| a.name.as_deref() == Some(name))
}

/// Whether the arguments that have names have some of these.
pub(super) fn check_names(arguments: &[Argument], names: &[&str], function: &str) -> Result<()> {
    match arguments.iter().filter_map(|a| a.name.as_deref()).find(|name| !names.contains(name)) {
        Some(name) => {
            let remedy = format!("its arguments are {}", names.join(", "));
            Err(refusal(format!("{function} has no argument {name}"), remedy))
        }
        None => Ok(()),
    }
}

/// Takes the arguments called `names` out, which may be left out and stand behind those without a name: their values in that order, and
/// the other arguments.
pub(super) fn take_optional<'a, const N: usize>(
    arguments: &'a [Argument],
    names: [&str; N],
    function: &str,
    usage: &str,
) -> Result<([Option<&'a SqlExpr>; N], Vec<Argument>)> {
    let mut values = [None; N];
    let mut others = Vec::new();
    for argument in arguments {
        let place = names.iter().position(|name| argument.name.as_deref() == Some(name));
        let Some(place) = place else {
            others.push(argument.clone());
            continue;
        };
        if values[place].replace(&argument.value).is_some() {
            return Err(form(&format!("{function} is given {} twice", names[place]), usage));
        }
    }
    Ok((values, others))
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
    match length(arg, &format!("the window's {what}"), context, usage)? {
        // A window's last millisecond is its time, so it cannot be shorter than one.
        Some(length) if length >= 1_000 => Ok(length),
        _ => {
            let reason = format!("the {what} of a window must be a whole number of microseconds, 1 ms or more");
            Err(form(&reason, usage))
        }
    }
}

/// A constant length of time in microseconds, within the bounds of a timeout: the argument called `name`.
pub(super) fn timeout_argument(arg: &SqlExpr, name: &str, context: &mut dyn RelationPlannerContext) -> Result<Micros> {
    let bounds = CONCURRENCY_TIMEOUT_SECS_MIN * MICROS_PER_SEC..=CONCURRENCY_TIMEOUT_SECS_MAX * MICROS_PER_SEC;
    let usage = format!("{name} => INTERVAL '90' SECOND");
    match length(arg, name, context, &usage)? {
        Some(length) if bounds.contains(&length) => Ok(length),
        _ => Err(form(&format!("{name} is {arg}, and a timeout is at least 1 s and at most a year"), &usage)),
    }
}

/// A constant length of time, `what` in words; none if it is no whole number of microseconds.
fn length(arg: &SqlExpr, what: &str, context: &mut dyn RelationPlannerContext, usage: &str) -> Result<Option<Micros>> {
    let Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _) =
        context.sql_to_expr(arg.clone(), &DFSchema::empty())?
    else {
        return Err(form(&format!("expected an interval and found {arg}"), usage));
    };
    if interval.months != 0 {
        let remedy = format!("give {what} in days, hours, minutes or seconds");
        return Err(refusal("a month has no fixed length", remedy));
    }
    let micros = i64::from(interval.days)
        .checked_mul(crate::types::MICROS_PER_DAY)
        .and_then(|days| days.checked_add(interval.nanoseconds / 1_000));
    Ok(micros.filter(|_| interval.nanoseconds % 1_000 == 0))
}
