//! Where the parts of a query stand, told from the statement as parsed: a plan does not remember that of its columns and windows.

use std::ops::ControlFlow;

use datafusion::logical_expr::sqlparser::ast::{
    Query, Select, SelectItem, SetExpr, Spanned, Statement as Sql, TableFactor, Visit, Visitor,
};
use datafusion::logical_expr::sqlparser::tokenizer::Span;
use datafusion::sql::parser::Statement;

use super::call::Call;
use super::file::PipelineFile;

/// Lines of the query, from 1.
#[derive(Debug, Default)]
pub(super) struct Places {
    select: Option<usize>,
    from: Option<usize>,
    /// Of each selected column; empty if a wildcard stands for some.
    columns: Vec<Option<usize>>,
    /// Of each call of a function in a `FROM`, with the size of its windows as written.
    calls: Vec<(usize, String)>,
}

impl Places {
    pub(super) fn of(statement: &Statement) -> Self {
        let Statement::Statement(sql) = statement else { return Self::default() };
        let Sql::Query(query) = sql.as_ref() else { return Self::default() };
        let mut calls = Calls::default();
        // It never breaks off.
        let _ = query.visit(&mut calls);
        let mut places = Self { calls: calls.0, ..Self::default() };
        if let Some(select) = outermost(&query.body) {
            places.select = line(select.select_token.0.span);
            places.from = select.from.first().and_then(|from| line(from.span()));
            places.columns = select.projection.iter().map(column).collect::<Option<_>>().unwrap_or_default();
        }
        places
    }

    /// `file:line` of the outermost `SELECT`.
    pub(super) fn select(&self, file: &PipelineFile) -> String {
        file.at_line(self.select.unwrap_or(1))
    }

    /// `file:line` of what the outermost `SELECT` reads; of itself if it reads nothing.
    pub(super) fn from(&self, file: &PipelineFile) -> String {
        file.at_line(self.from.or(self.select).unwrap_or(1))
    }

    /// `file:line` of the `n`th of `columns` selected columns, from 0.
    pub(super) fn column(&self, file: &PipelineFile, n: usize, columns: usize, name: &str) -> String {
        match self.columns.get(n) {
            Some(Some(line)) if self.columns.len() == columns => file.at_line(*line),
            _ => file.at_column(name),
        }
    }

    /// `file:line` of the first window function.
    pub(super) fn window(&self, file: &PipelineFile) -> String {
        file.at_line(self.calls.first().map_or(1, |(line, _)| *line))
    }

    /// `file:line` of the second window function.
    pub(super) fn second_window(&self, file: &PipelineFile) -> String {
        self.calls.get(1).map_or_else(|| self.window(file), |(line, _)| file.at_line(*line))
    }

    /// `file:line` of the first window function whose size is not written as that of the one before.
    pub(super) fn other_size(&self, file: &PipelineFile) -> String {
        let pairs = self.calls.iter().zip(self.calls.iter().skip(1));
        let other = pairs.into_iter().find(|((_, a), (_, b))| a != b);
        other.map_or_else(|| self.second_window(file), |(_, (line, _))| file.at_line(*line))
    }
}

/// The `SELECT` that names the result's columns.
fn outermost(body: &SetExpr) -> Option<&Select> {
    match body {
        SetExpr::Select(select) => Some(select),
        SetExpr::Query(query) => outermost(&query.body),
        SetExpr::SetOperation { left, .. } => outermost(left),
        _ => None,
    }
}

/// The line of a selected column's name; the outer `None` for a wildcard.
fn column(item: &SelectItem) -> Option<Option<usize>> {
    match item {
        SelectItem::UnnamedExpr(expr) => Some(line(expr.span())),
        SelectItem::ExprWithAlias { alias, .. } => Some(line(alias.span)),
        _ => None,
    }
}

/// Calls in `FROM` clauses, in the order of the text.
#[derive(Default)]
struct Calls(Vec<(usize, String)>);

impl Visitor for Calls {
    type Break = ();

    fn post_visit_query(&mut self, _query: &Query) -> ControlFlow<()> {
        // The clauses of a statement are not visited in the order in which they stand.
        self.0.sort_by_key(|(line, _)| *line);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        let size = Call::of(factor).and_then(|call| call.size());
        if let (Some(size), Some(line)) = (size, line(factor.span())) {
            self.0.push((line, size));
        }
        ControlFlow::Continue(())
    }
}

/// The line on which a span begins; `None` if the parser does not know.
fn line(span: Span) -> Option<usize> {
    usize::try_from(span.start.line).ok().filter(|line| *line > 0)
}
