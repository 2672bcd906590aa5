//! Physical expressions as the SQL that a person would have written.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use datafusion::physical_expr::expressions::{
    BinaryExpr, CaseExpr, CastExpr, Column, InListExpr, IsNotNullExpr, IsNullExpr, LikeExpr, Literal, NotExpr,
};
use datafusion::physical_expr::window::WindowExpr;
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr, ScalarFunctionExpr};

/// A list of more characters than this is cut, with the number of what is left out: one operator, one line.
const LIST_CHARS_MAX: usize = 160;

/// An expression of a list is cut after this many characters.
const ITEM_CHARS_MAX: usize = 60;

/// What columns are called whose names DataFusion made of an expression: `COUNT(*)` for `count(Int64(1))`.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<String, String>);

impl Names {
    /// From now on a column of this name is shown as `text`.
    pub(super) fn show(&mut self, name: &str, text: String) {
        self.0.insert(name.to_owned(), text);
    }

    /// How a column is shown: `stream_id` for `user_events.stream_id`.
    pub(super) fn of(&self, name: &str) -> String {
        let plain = |text: &str| text.chars().all(|c| c.is_alphanumeric() || c == '_');
        match (self.0.get(name), name.split_once('.')) {
            (Some(text), _) => text.clone(),
            (None, Some((table, column))) if plain(table) && plain(column) => column.to_owned(),
            (None, _) => name.to_owned(),
        }
    }

    /// An expression as SQL: columns by their names, without the positions and types that DataFusion prints.
    pub(super) fn sql(&self, expr: &dyn PhysicalExpr) -> String {
        if let Some(column) = expr.downcast_ref::<Column>() {
            return self.of(column.name());
        }
        if let Some(literal) = expr.downcast_ref::<Literal>() {
            return literal_sql(literal.value());
        }
        if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
            let side = |side: &dyn PhysicalExpr| self.operand(side, binary.op());
            return format!("{} {} {}", side(binary.left().as_ref()), binary.op(), side(binary.right().as_ref()));
        }
        if let Some(list) = expr.downcast_ref::<InListExpr>() {
            let not = if list.negated() { "NOT " } else { "" };
            return format!("{} {not}IN ({})", self.sql(list.expr().as_ref()), self.all(list.list()));
        }
        if let Some(like) = expr.downcast_ref::<LikeExpr>() {
            let not = if like.negated() { "NOT " } else { "" };
            let operator = if like.case_insensitive() { "ILIKE" } else { "LIKE" };
            return format!("{} {not}{operator} {}", self.sql(like.expr().as_ref()), self.sql(like.pattern().as_ref()));
        }
        if let Some(null) = expr.downcast_ref::<IsNullExpr>() {
            return format!("{} IS NULL", self.sql(null.arg().as_ref()));
        }
        if let Some(not_null) = expr.downcast_ref::<IsNotNullExpr>() {
            return format!("{} IS NOT NULL", self.sql(not_null.arg().as_ref()));
        }
        if let Some(not) = expr.downcast_ref::<NotExpr>() {
            return format!("NOT ({})", self.sql(not.arg().as_ref()));
        }
        if let Some(cast) = expr.downcast_ref::<CastExpr>() {
            return format!("CAST({} AS {})", self.sql(cast.expr().as_ref()), type_sql(cast.cast_type()));
        }
        if let Some(call) = expr.downcast_ref::<ScalarFunctionExpr>() {
            return format!("{}({})", call.name().to_uppercase(), self.all(call.args()));
        }
        match expr.downcast_ref::<CaseExpr>() {
            Some(case) => self.case(case),
            None => OfDataFusion(expr).to_string(),
        }
    }

    fn all(&self, list: &[Arc<dyn PhysicalExpr>]) -> String {
        list.iter().map(|item| self.sql(item.as_ref())).collect::<Vec<_>>().join(", ")
    }

    /// One side of an operator, in parentheses where SQL would read it otherwise.
    fn operand(&self, side: &dyn PhysicalExpr, of: &Operator) -> String {
        let looser = side.downcast_ref::<BinaryExpr>().is_some_and(|b| b.op().precedence() < of.precedence());
        if looser { format!("({})", self.sql(side)) } else { self.sql(side) }
    }

    fn case(&self, case: &CaseExpr) -> String {
        // What the optimizer makes of COALESCE(a, b).
        if let ([(when, then)], Some(or_else), None) = (case.when_then_expr(), case.else_expr(), case.expr())
            && when.downcast_ref::<IsNotNullExpr>().is_some_and(|some| some.arg() == then)
        {
            return format!("COALESCE({}, {})", self.sql(then.as_ref()), self.sql(or_else.as_ref()));
        }
        let mut text = "CASE".to_owned();
        if let Some(of) = case.expr() {
            text = format!("{text} {}", self.sql(of.as_ref()));
        }
        for (when, then) in case.when_then_expr() {
            text = format!("{text} WHEN {} THEN {}", self.sql(when.as_ref()), self.sql(then.as_ref()));
        }
        if let Some(or_else) = case.else_expr() {
            text = format!("{text} ELSE {}", self.sql(or_else.as_ref()));
        }
        format!("{text} END")
    }

    /// `COUNT(DISTINCT session_id) FILTER (…)`. The condition of the filter is left out: the lines of a tree must fit a screen.
    pub(super) fn aggregate(&self, call: &AggregateFunctionExpr, filtered: bool) -> String {
        let name = call.fun().name().to_uppercase();
        let args = call.expressions();
        let all_rows = name == "COUNT" && args.iter().all(|arg| arg.downcast_ref::<Literal>().is_some());
        let args = if all_rows { "*".to_owned() } else { self.all(&args) };
        let distinct = if call.is_distinct() { "DISTINCT " } else { "" };
        let filter = if filtered { " FILTER (…)" } else { "" };
        format!("{name}({distinct}{}){filter}", shortened(&args))
    }

    /// `ROW_NUMBER() OVER (PARTITION BY a ORDER BY b DESC)`.
    pub(super) fn over(&self, call: &dyn WindowExpr) -> String {
        let mut parts = Vec::new();
        if !call.partition_by().is_empty() {
            parts.push(format!("PARTITION BY {}", self.all(call.partition_by())));
        }
        if !call.order_by().is_empty() {
            parts.push(format!("ORDER BY {}", self.order(call.order_by())));
        }
        format!("{} OVER ({})", self.called(call), parts.join(" "))
    }

    /// `ROW_NUMBER()`: an `OVER` without its window.
    pub(super) fn called(&self, call: &dyn WindowExpr) -> String {
        // The expression does not give its function away; its name begins with it.
        let function = call.name().split('(').next().unwrap_or_default();
        format!("{}({})", function.to_uppercase(), self.all(&call.expressions()))
    }

    /// `a, b DESC`.
    pub(super) fn order<'a>(&self, keys: impl IntoIterator<Item = &'a PhysicalSortExpr>) -> String {
        let key = |key: &PhysicalSortExpr| {
            let direction = if key.options.descending { " DESC" } else { "" };
            format!("{}{direction}", self.sql(key.expr.as_ref()))
        };
        keys.into_iter().map(key).collect::<Vec<_>>().join(", ")
    }

    /// A column of a projection: its name, and what it is made of if that is not a column that is shown so too.
    pub(super) fn projected(&self, expr: &dyn PhysicalExpr, name: &str) -> String {
        let (name, made_of) = (self.of(name), self.sql(expr));
        if name == made_of { name } else { format!("{name} = {}", shortened(&made_of)) }
    }
}

fn literal_sql(value: &ScalarValue) -> String {
    match value.try_as_str() {
        Some(Some(text)) => format!("'{}'", text.replace('\'', "''")),
        Some(None) => "NULL".to_owned(),
        None => value.to_string(),
    }
}

fn type_sql(data_type: &DataType) -> String {
    match data_type {
        DataType::Int64 => "BIGINT".to_owned(),
        DataType::Int32 => "INTEGER".to_owned(),
        DataType::Float64 => "DOUBLE".to_owned(),
        DataType::Utf8 => "VARCHAR".to_owned(),
        other => other.to_string(),
    }
}

/// What DataFusion itself would write: for expressions that no query of this dialect has had so far.
struct OfDataFusion<'a>(&'a dyn PhysicalExpr);

impl fmt::Display for OfDataFusion<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt_sql(f)
    }
}

/// A text of at most [`ITEM_CHARS_MAX`] characters.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(ITEM_CHARS_MAX) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.to_owned(),
    }
}

/// A list that fits a line; what is more is counted.
pub(super) fn listed(items: &[String]) -> String {
    let mut text = String::new();
    for (i, item) in items.iter().enumerate() {
        let more = items.len() - i;
        if i > 0 && more > 1 && text.chars().count() + item.chars().count() > LIST_CHARS_MAX {
            return format!("{text}, and {more} more");
        }
        if i > 0 {
            text.push_str(", ");
        }
        text.push_str(item);
    }
    text
}
