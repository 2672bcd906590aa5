//! `TUMBLE`, `HOP`, `SESSION` and `CONCURRENCY`, in the standard's form: `FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(c), INTERVAL '1' MINUTE))`.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::Field;
use datafusion::catalog::TableProvider;
use datafusion::common::{Column, DFSchema, Result, Span, TableReference};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::logical_expr::sqlparser::ast::{Expr as SqlExpr, Ident, ObjectName, Spanned, TableFactor};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan, LogicalPlanBuilder};

use super::bound::{Bound, Windows, bound_of_time};
use super::call::{
    Argument, Call, TableArgument, check_names, column_argument, form, interval_argument, is_given, object_name,
    table_argument, take, take_optional, timeout_argument, unnamed,
};
use super::cascade::{no_time, windows_over};
use super::nodes::Concurrency;
use super::refusal::{at_sql, refusal};
use super::session_keys::SessionKeys;
use crate::limits::HOP_PANES_MAX;
use crate::operator::concurrency::{ConcurrencyQuery, OwnTimeouts};
use crate::operator::window::Windowing;
use crate::types::{Micros, format_span};

/// How `TUMBLE` is written over a stream with this event time.
pub(super) fn tumble_form(stream: &str, time_field: &str) -> String {
    format!("TUMBLE(TABLE {stream}, DESCRIPTOR({time_field}), INTERVAL '1' MINUTE)")
}

fn hop_form(stream: &str, time_field: &str) -> String {
    format!("HOP(TABLE {stream}, DESCRIPTOR({time_field}), INTERVAL '10' SECOND, INTERVAL '1' MINUTE)")
}

/// `columns` are those by which sessions may be told apart.
fn session_form(stream: &str, time_field: &str, columns: &[String]) -> String {
    let key = columns.iter().find(|column| *column == "session_id").map_or("…", String::as_str);
    format!("SESSION(TABLE {stream} PARTITION BY {key}, DESCRIPTOR({time_field}), INTERVAL '5' MINUTE)")
}

fn concurrency_form(stream: &str, time_field: &str) -> String {
    format!("CONCURRENCY(TABLE {stream} PARTITION BY stream_id, DESCRIPTOR({time_field}), INTERVAL '1' MINUTE)")
}

/// Plans the window table functions: over one stream, or over tables that are there.
#[derive(Debug)]
pub(crate) struct WindowTableFunctions {
    /// What a pipeline reads. A query over tables has none.
    stream: Option<Stream>,
    /// What may be read, by name: the stream, or tables.
    tables: HashMap<String, Arc<dyn TableProvider>>,
    /// How the calls are written, for those who did not.
    tumble_form: String,
    hop_form: String,
    session_form: String,
    concurrency_form: String,
}

#[derive(Debug)]
struct Stream {
    name: String,
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
            hop_form: hop_form(&name, &time_field),
            session_form: session_form(&name, &time_field, &dimensions),
            concurrency_form: concurrency_form(&name, &time_field),
            tables: HashMap::from([(name.clone(), table)]),
            stream: Some(Stream { name, time_field, dimensions }),
        }
    }

    /// Over tables, by their names as a query has them (`_late.revenue`): `TUMBLE` by any of their times, and no `CONCURRENCY`, which is
    /// computed as events come.
    pub(crate) fn over_tables(tables: HashMap<String, Arc<dyn TableProvider>>) -> Self {
        let (table, time) = ("user_events", "event_time");
        Self {
            stream: None,
            tables,
            tumble_form: tumble_form(table, time),
            hop_form: hop_form(table, time),
            session_form: session_form(table, time, &[]),
            concurrency_form: concurrency_form(table, time),
        }
    }
}

impl RelationPlanner for WindowTableFunctions {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        let Some(Call { name, arguments, alias }) = Call::of(&relation) else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let plan = match name.to_ascii_uppercase().as_str() {
            "TUMBLE" => self.plan_tumble(&arguments, context),
            "HOP" => self.plan_hop(&arguments, context),
            "CONCURRENCY" => self.plan_concurrency(&arguments, context),
            "SESSION" => self.plan_session(&arguments, context),
            "CUMULATE" => {
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
    fn plan_tumble(&self, args: &[Argument], context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
        let usage = &self.tumble_form;
        has_no_offset(args, 3, "TUMBLE", usage)?;
        let [table, time, size] = take(args, ["DATA", "TIMECOL", "SIZE"], "TUMBLE", "three", usage)?;
        let windowing = Windowing::tumbling(interval_argument(size, "size", context, usage)?);
        self.plan_windows("TUMBLE", (table, time), windowing, context, usage)
    }

    fn plan_hop(&self, args: &[Argument], context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
        self.needs_stream("HOP")?;
        let usage = &self.hop_form;
        has_no_offset(args, 4, "HOP", usage)?;
        let [table, time, slide, size] = take(args, ["DATA", "TIMECOL", "SLIDE", "SIZE"], "HOP", "four", usage)?;
        let slide = interval_argument(slide, "slide", context, usage)?;
        let size = interval_argument(size, "size", context, usage)?;
        self.plan_windows("HOP", (table, time), hopping(size, slide)?, context, usage)
    }

    fn plan_session(&self, args: &[Argument], context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
        self.needs_stream("SESSION")?;
        let usage = &self.session_form;
        let [table, time, gap] = take(args, ["DATA", "TIMECOL", "GAP"], "SESSION", "three", usage)?;
        let windowing = Windowing::sessions(interval_argument(gap, "gap", context, usage)?);
        self.plan_windows("SESSION", (table, time), windowing, context, usage)
    }

    fn needs_stream(&self, function: &str) -> Result<()> {
        if self.stream.is_some() {
            return Ok(());
        }
        let remedy = "read a table that a pipeline has made with it, or use TUMBLE";
        Err(refusal(format!("{function} is computed as events come, not over a table"), remedy))
    }

    /// The rows of a table with the bounds of their windows.
    fn plan_windows(
        &self,
        function: &str,
        (table, time): (&SqlExpr, &SqlExpr),
        windowing: Windowing,
        context: &mut dyn RelationPlannerContext,
        usage: &str,
    ) -> Result<LogicalPlan> {
        let (table, partition) = table_argument(table, usage)?;
        match (windowing.session, partition.is_empty()) {
            (false, false) => {
                let reason = format!("{function} does not take PARTITION BY");
                return Err(refusal(reason, "put the columns into GROUP BY"));
            }
            (true, true) => {
                let reason = "SESSION without PARTITION BY would be one session of all events, which may never end";
                return Err(refusal(reason, format!("write {usage}")));
            }
            _ => {}
        }
        let input = self.plan_table(table, context)?;
        let taken = |b: &&Bound| self.stream.is_none() && input.schema().has_column_with_unqualified_name(b.column());
        if let Some(bound) = Bound::ALL.iter().find(taken) {
            let reason = format!("{function} over rows that have a {} already", bound.column());
            return Err(refusal(reason, "group by DATE_BIN(INTERVAL '1' HOUR, window_start)"));
        }
        let (time, windows) = self.windows((function, windowing), time, context, input.schema(), usage)?;
        let time = Expr::Column(time);
        let keys = partition.into_iter().map(|key| context.normalize_ident(key)).collect();
        let keys = SessionKeys::try_new(keys, input.schema())?;
        // Those of the windows below stay under other names only.
        let hidden =
            |column: &Column| windows.level > 0 && Bound::ALL.iter().any(|bound| bound.column() == column.name);
        let columns = input.schema().columns().into_iter().filter(|column| !hidden(column));
        let mut columns: Vec<Expr> = columns.map(|column| keys.mark(column)).collect();
        columns.extend(Bound::ALL.map(|bound| keys.mark_bound(bound_of_time(bound, windows, time.clone()))));
        LogicalPlanBuilder::from(input).project(columns)?.build()
    }

    fn plan_concurrency(&self, args: &[Argument], context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
        let Some(Stream { name, dimensions, .. }) = &self.stream else {
            let remedy = "read a table that a pipeline has made with it, such as concurrent_viewers";
            return Err(refusal("CONCURRENCY is computed as events come, not over a table", remedy));
        };
        let usage = &self.concurrency_form;
        let names: Vec<&str> = ["DATA", "TIMECOL", "SIZE"].into_iter().chain(OwnTimeouts::ARGUMENTS).collect();
        check_names(args, &names, "CONCURRENCY")?;
        if unnamed(args) > 3 {
            return Err(form("a timeout of CONCURRENCY has a name", "SESSION_TIMEOUT => INTERVAL '90' SECOND"));
        }
        let (timeouts, args) = take_optional(args, OwnTimeouts::ARGUMENTS, "CONCURRENCY", usage)?;
        let [table, time, size] = take(&args, ["DATA", "TIMECOL", "SIZE"], "CONCURRENCY", "three", usage)?;
        let (table, partition) = table_argument(table, usage)?;
        if !matches!(&table, TableArgument::Name(table) if object_name(table) == *name) {
            return Err(refusal("CONCURRENCY reads the stream itself", format!("write TABLE {name}")));
        }
        let stream = self.plan_table(table, context)?;
        let size = interval_argument(size, "size", context, usage)?;
        self.time_argument(time, context, stream.schema(), usage)?;
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
        let timeouts = own_timeouts(timeouts, context)?;
        let query = ConcurrencyQuery { size, partition_by, timeouts };
        let schema = Arc::new(DFSchema::from_unqualified_fields(marked_fields(&query).into(), Default::default())?);
        Ok(LogicalPlan::Extension(Extension { node: Arc::new(Concurrency { query, schema }) }))
    }

    fn plan_table(&self, table: TableArgument, context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
        let table = match table {
            TableArgument::Name(table) => table,
            TableArgument::Query(subquery) => {
                return context.plan(TableFactor::Derived { lateral: false, subquery, alias: None, sample: None });
            }
        };
        if let Some((name, provider)) = self.tables.get_key_value(&object_name(&table)) {
            let source = provider_as_source(Arc::clone(provider));
            let name = match name.split_once('.') {
                Some((schema, table)) => TableReference::partial(schema, table),
                None => TableReference::bare(name.as_str()),
            };
            return LogicalPlanBuilder::scan(name, source, None)?.build();
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

    /// The column that a call goes by, and the windows that it makes: of the stream's rows, or of windows.
    fn windows(
        &self,
        (function, windowing): (&str, Windowing),
        time: &SqlExpr,
        context: &dyn RelationPlannerContext,
        schema: &DFSchema,
        usage: &str,
    ) -> Result<(Column, Windows)> {
        let ident = column_argument(time, usage)?;
        let name = context.normalize_ident(ident.clone());
        if self.stream.is_some()
            && let Ok((qualifier, field)) = schema.qualified_field_with_unqualified_name(&name)
            && let Some(windows) = windows_over(function, windowing, field)?
        {
            return Ok((at_ident(Column::from((qualifier, field)), &ident), windows));
        }
        Ok((self.time_argument(time, context, schema, usage)?, Windows::of_stream(windowing)))
    }

    fn time_argument(
        &self,
        arg: &SqlExpr,
        context: &dyn RelationPlannerContext,
        schema: &DFSchema,
        usage: &str,
    ) -> Result<Column> {
        let ident = column_argument(arg, usage)?;
        let column = context.normalize_ident(ident.clone());
        if let Some(Stream { time_field, .. }) = self.stream.as_ref().filter(|stream| column != stream.time_field) {
            let refused = no_time(&column, schema).unwrap_or_else(|| {
                let remedy = format!("windows are over the event time: DESCRIPTOR({time_field})");
                refusal(format!("{column} has no watermark"), remedy)
            });
            return Err(at_sql(refused, ident.span));
        }
        let (qualifier, field) = schema.qualified_field_with_unqualified_name(&column)?;
        Ok(at_ident(Column::from((qualifier, field)), &ident))
    }
}

/// Refuses the offset that Flink's windows may have behind their `count` other arguments.
fn has_no_offset(args: &[Argument], count: usize, function: &str, usage: &str) -> Result<()> {
    if !is_given(args, "OFFSET") && unnamed(args) != count + 1 {
        return Ok(());
    }
    let reason = format!("{function} takes no offset: windows are aligned to 1970-01-01T00:00:00Z");
    let remedy = format!(
        "write {usage}; for the days of another time zone take windows of an hour, and sum them up where the lake is queried"
    );
    Err(refusal(reason, remedy))
}

/// The timeouts that a call of `CONCURRENCY` sets. Whether they fit those that it leaves to the job is seen when that is known.
fn own_timeouts(args: [Option<&SqlExpr>; 4], context: &mut dyn RelationPlannerContext) -> Result<OwnTimeouts> {
    let mut values = [None; 4];
    for ((value, arg), name) in values.iter_mut().zip(args).zip(OwnTimeouts::ARGUMENTS) {
        *value = arg.map(|arg| timeout_argument(arg, name, context)).transpose()?;
    }
    Ok(OwnTimeouts::new(values))
}

/// A column, with the place where it was named.
fn at_ident(mut column: Column, ident: &Ident) -> Column {
    if let Some(span) = Span::try_from_sqlparser_span(ident.span) {
        column.spans_mut().add_span(span);
    }
    column
}

/// The columns of the query, with the window columns marked as such.
fn marked_fields(query: &ConcurrencyQuery) -> Vec<Field> {
    let mark = |field: Field| match Bound::ALL.into_iter().find(|b| b.column() == field.name()) {
        Some(bound) => bound.field(Windows::of_stream(Windowing::tumbling(query.size))),
        None => field,
    };
    query.fields().into_iter().map(mark).collect()
}

/// Windows that hop, if they can be made of panes as long as the slide.
fn hopping(size: Micros, slide: Micros) -> Result<Windowing> {
    let windowing = Windowing::hopping(size, slide);
    let (size_text, slide_text) = (format_span(size), format_span(slide));
    if slide > size {
        let reason = format!("a slide of {slide_text} is longer than the window of {size_text}");
        return Err(refusal(reason, "the slide comes first, then the size; a slide must divide the size"));
    }
    if size % slide != 0 {
        let (below, above) = (format_span(size - size % slide), format_span(size - size % slide + slide));
        let reason = format!("a slide of {slide_text} does not divide the window of {size_text}");
        return Err(refusal(reason, format!("give a size of {below} or {above}, or another slide")));
    }
    if windowing.panes() > HOP_PANES_MAX {
        let panes = windowing.panes();
        let reason = format!("a window of {size_text} has {panes} slides of {slide_text}, more than {HOP_PANES_MAX}");
        let least = format_span(size.unsigned_abs().div_ceil(HOP_PANES_MAX.unsigned_abs()) as Micros);
        return Err(refusal(reason, format!("slide by {least} or more, in whole parts of the size")));
    }
    Ok(windowing)
}
