//! `TUMBLE` and `CONCURRENCY`, in the standard's form: `FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(c), INTERVAL '1' MINUTE))`.

use std::sync::Arc;

use arrow::datatypes::Field;
use datafusion::catalog::TableProvider;
use datafusion::common::{Column, DFSchema, DataFusionError, Result, ScalarValue, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::logical_expr::sqlparser::ast::{
    Expr as SqlExpr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, Spanned, TableAlias,
    TableFactor,
};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, LogicalPlanBuilder};

use super::bound::{Bound, tumble};
use super::nodes::Concurrency;
use super::refusal::{at_sql, refusal};
use crate::operator::concurrency::ConcurrencyQuery;
use crate::types::Micros;

/// How `TUMBLE` is written over a stream with this event time.
pub(super) fn tumble_form(stream: &str, time_field: &str) -> String {
    format!("TUMBLE(TABLE {stream}, DESCRIPTOR({time_field}), INTERVAL '1' MINUTE)")
}

fn concurrency_form(stream: &str, time_field: &str) -> String {
    format!("CONCURRENCY(TABLE {stream} PARTITION BY stream_id, DESCRIPTOR({time_field}), INTERVAL '1' MINUTE)")
}

/// Plans the window table functions: over one stream, or over tables that are there.
#[derive(Debug)]
pub(crate) struct WindowTableFunctions {
    /// What a pipeline reads. A query over tables has none.
    stream: Option<Stream>,
    /// How the calls are written, for those who did not.
    tumble_form: String,
    concurrency_form: String,
}

#[derive(Debug)]
struct Stream {
    name: String,
    table: Arc<dyn TableProvider>,
    /// The stream's event-time column: the only one that has a watermark.
    time_field: String,
    /// Columns that sessions may be counted by.
    dimensions: Vec<String>,
}

impl WindowTableFunctions {
    pub(super) fn new(stream: &str, table: Arc<dyn TableProvider>, time_field: &str, dimensions: Vec<String>) -> Self {
        let (name, time_field) = (stream.to_owned(), time_field.to_owned());
        Self {
            tumble_form: tumble_form(&name, &time_field),
            concurrency_form: concurrency_form(&name, &time_field),
            stream: Some(Stream { name, table, time_field, dimensions }),
        }
    }

    /// Over tables: `TUMBLE` by any of their times, and no `CONCURRENCY`, which is computed as events come.
    pub(crate) fn over_tables() -> Self {
        let (table, time) = ("user_events", "event_time");
        Self { stream: None, tumble_form: tumble_form(table, time), concurrency_form: concurrency_form(table, time) }
    }
}

impl RelationPlanner for WindowTableFunctions {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let Some((name, args, alias)) = as_call(&relation) else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let plan = match name.to_ascii_uppercase().as_str() {
            "TUMBLE" => self.plan_tumble(&args, context),
            "CONCURRENCY" => self.plan_concurrency(&args, context),
            "HOP" | "SESSION" | "CUMULATE" => {
                Err(refusal(format!("{name} windows are not supported yet"), format!("use {}", self.tumble_form)))
            }
            _ if matches!(relation, TableFactor::TableFunction { .. }) => {
                Err(refusal(format!("there is no window function {name}"), format!("use {}", self.tumble_form)))
            }
            _ => return Ok(RelationPlanning::Original(Box::new(relation))),
        };
        let plan = plan.map_err(|e| at_sql(e, relation.span()))?;
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, alias))))
    }
}

impl WindowTableFunctions {
    fn plan_tumble(&self, args: &[SqlExpr], context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
        let [table, time, size] = args else { return Err(form("TUMBLE takes three arguments", &self.tumble_form)) };
        let (table, partition) = table_argument(table, &self.tumble_form)?;
        if !partition.is_empty() {
            return Err(refusal("TUMBLE does not take PARTITION BY", "put the columns into GROUP BY"));
        }
        let size = interval_argument(size, context, &self.tumble_form)?;
        let input = self.plan_table(table, context)?;
        let taken = |b: &&Bound| self.stream.is_none() && input.schema().has_column_with_unqualified_name(b.column());
        if let Some(bound) = Bound::ALL.iter().find(taken) {
            let reason = format!("TUMBLE over rows that have a {} already", bound.column());
            return Err(refusal(reason, "group by DATE_BIN(INTERVAL '1' HOUR, window_start)"));
        }
        let time = Expr::Column(self.time_argument(time, context, input.schema(), &self.tumble_form)?);
        let mut columns: Vec<Expr> = input.schema().columns().into_iter().map(Expr::Column).collect();
        columns.extend(Bound::ALL.map(|bound| tumble(bound, size, time.clone())));
        LogicalPlanBuilder::from(input).project(columns)?.build()
    }

    fn plan_concurrency(&self, args: &[SqlExpr], context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
        let [table, time, size] = args else {
            return Err(form("CONCURRENCY takes three arguments", &self.concurrency_form));
        };
        let (table, partition) = table_argument(table, &self.concurrency_form)?;
        let Some(Stream { name, dimensions, .. }) = &self.stream else {
            let remedy = "read a table that a pipeline has made with it, such as concurrent_viewers";
            return Err(refusal("CONCURRENCY is computed as events come, not over a table", remedy));
        };
        if object_name(table.clone()).as_ref() != Some(name) {
            return Err(refusal("CONCURRENCY reads the stream itself", format!("write TABLE {name}")));
        }
        let stream = self.plan_table(table, context)?;
        let size = interval_argument(size, context, &self.concurrency_form)?;
        self.time_argument(time, context, stream.schema(), &self.concurrency_form)?;
        let mut partition_by = Vec::new();
        for ident in partition {
            let name = context.normalize_ident(ident);
            if !dimensions.contains(&name) {
                return Err(refusal(
                    format!("sessions cannot be counted by {name}"),
                    format!("PARTITION BY takes {}", dimensions.join(", ")),
                ));
            }
            partition_by.push(name);
        }
        let query = ConcurrencyQuery { size, partition_by };
        let schema = Arc::new(DFSchema::from_unqualified_fields(marked_fields(&query).into(), Default::default())?);
        Ok(LogicalPlan::Extension(Extension { node: Arc::new(Concurrency { query, schema }) }))
    }

    fn plan_table(&self, table: Vec<Ident>, context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
        if let Some(Stream { name, table: stream, .. }) = &self.stream
            && object_name(table.clone()).as_ref() == Some(name)
        {
            let source = provider_as_source(Arc::clone(stream));
            return LogicalPlanBuilder::scan(TableReference::bare(name.as_str()), source, None)?.build();
        }
        // A name from the WITH clause, or a mistake that the planner words.
        context.plan(TableFactor::Table {
            name: ObjectName::from(table),
            alias: None,
            args: None,
            with_hints: vec![],
            version: None,
            with_ordinality: false,
            partitions: vec![],
            json_path: None,
            sample: None,
            index_hints: vec![],
        })
    }

    fn time_argument(
        &self,
        arg: &SqlExpr,
        context: &dyn RelationPlannerContext,
        schema: &DFSchema,
        usage: &str,
    ) -> Result<Column> {
        let column = match arg {
            SqlExpr::Function(f) if f.name.to_string().eq_ignore_ascii_case("DESCRIPTOR") => {
                match function_args(f).as_deref() {
                    Some([SqlExpr::Identifier(ident)]) => context.normalize_ident(ident.clone()),
                    _ => return Err(form("DESCRIPTOR takes one column", usage)),
                }
            }
            other => return Err(form(&format!("expected DESCRIPTOR(column) and found {other}"), usage)),
        };
        if let Some(Stream { time_field, .. }) = self.stream.as_ref().filter(|stream| column != stream.time_field) {
            return Err(refusal(
                format!("{column} has no watermark"),
                format!("windows are over the event time: DESCRIPTOR({time_field})"),
            ));
        }
        let (qualifier, field) = schema.qualified_field_with_unqualified_name(&column)?;
        Ok(Column::from((qualifier, field)))
    }
}

/// The columns of the query, with the window columns marked as such.
fn marked_fields(query: &ConcurrencyQuery) -> Vec<Field> {
    let mark = |field: Field| match Bound::ALL.into_iter().find(|b| b.column() == field.name()) {
        Some(bound) => bound.field(query.size),
        None => field,
    };
    query.fields().into_iter().map(mark).collect()
}

type Call = (String, Vec<SqlExpr>, Option<TableAlias>);

/// `TABLE(f(…))` and `f(…)`, which the parser gives in two forms.
fn as_call(relation: &TableFactor) -> Option<Call> {
    match relation {
        TableFactor::TableFunction { expr: SqlExpr::Function(f), alias } => {
            Some((f.name.to_string(), function_args(f)?, alias.clone()))
        }
        TableFactor::Table { name, args: Some(args), alias, .. } => {
            Some((name.to_string(), positional(&args.args)?, alias.clone()))
        }
        _ => None,
    }
}

fn function_args(f: &Function) -> Option<Vec<SqlExpr>> {
    match &f.args {
        FunctionArguments::List(list) => positional(&list.args),
        _ => None,
    }
}

fn positional(args: &[FunctionArg]) -> Option<Vec<SqlExpr>> {
    args.iter()
        .map(|a| match a {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) => Some(e.clone()),
            _ => None,
        })
        .collect()
}

/// Takes the tuple of [`super::dialect`] apart.
fn table_argument(arg: &SqlExpr, usage: &str) -> Result<(Vec<Ident>, Vec<Ident>)> {
    let SqlExpr::Tuple(items) = arg else { return Err(form("the first argument must be TABLE name", usage)) };
    let mut table = vec![];
    let mut partition = vec![];
    for item in items {
        match item {
            SqlExpr::CompoundIdentifier(parts) => table.clone_from(parts),
            SqlExpr::Identifier(column) => partition.push(column.clone()),
            other => return Err(form(&format!("unexpected {other}"), usage)),
        }
    }
    Ok((table, partition))
}

fn object_name(parts: Vec<Ident>) -> Option<String> {
    match parts.as_slice() {
        [one] => Some(if one.quote_style.is_some() { one.value.clone() } else { one.value.to_ascii_lowercase() }),
        _ => None,
    }
}

/// A refusal of a call, with the form that it has.
fn form(reason: &str, usage: &str) -> DataFusionError {
    refusal(reason, format!("write {usage}"))
}

fn interval_argument(arg: &SqlExpr, context: &mut dyn RelationPlannerContext, usage: &str) -> Result<Micros> {
    let Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _) =
        context.sql_to_expr(arg.clone(), &DFSchema::empty())?
    else {
        return Err(form(&format!("expected an interval and found {arg}"), usage));
    };
    if interval.months != 0 {
        let remedy = "give the window's size in days, hours, minutes or seconds";
        return Err(refusal("a month has no fixed length", remedy));
    }
    let micros = i64::from(interval.days)
        .checked_mul(crate::types::MICROS_PER_DAY)
        .and_then(|days| days.checked_add(interval.nanoseconds / 1_000));
    match micros {
        // A window's last millisecond is its time, so it cannot be shorter than one.
        Some(size) if size >= 1_000 && interval.nanoseconds % 1_000 == 0 => Ok(size),
        _ => Err(form("the size of a window must be a whole number of microseconds, 1 ms or more", usage)),
    }
}
