//! Planner errors as a person can use them: the line, the reason, the remedy.

use datafusion::common::{DataFusionError, Diagnostic, SchemaError, Span};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::sqlparser::tokenizer::Span as SqlSpan;

use super::file::PipelineFile;
use crate::error::Error;

/// A query as written, and what its reader has to know to mend it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SqlText<'a> {
    /// The file, or what stands for one.
    pub(crate) place: &'a str,
    /// The line of it on which the query begins, from 1.
    pub(crate) first_line: usize,
    /// The query.
    pub(crate) sql: &'a str,
    /// What to do about an unknown column.
    pub(crate) columns_are: &'a str,
    /// What to do about an unknown table.
    pub(crate) tables_are: &'a str,
}

impl<'a> From<&'a PipelineFile> for SqlText<'a> {
    fn from(file: &'a PipelineFile) -> Self {
        Self {
            place: &file.place,
            first_line: file.first_line,
            sql: &file.sql,
            columns_are: "the columns are those of the event schema, or of the sub-query",
            tables_are: "read the stream, a name from the WITH clause, or a [lookup.NAME] of the configuration",
        }
    }
}

impl SqlText<'_> {
    /// `place:line` of a line of the query, counted from 1.
    pub(super) fn at_line(&self, sql_line: usize) -> String {
        format!("{}:{}", self.place, self.first_line + sql_line.max(1) - 1)
    }

    /// The line of what the query selects as `column`: the first that says `AS column`, else the first that names it.
    fn column_line(&self, column: &str) -> Option<usize> {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let words =
            |line: &str| line.split(|c| !is_word(c)).filter(|w| !w.is_empty()).map(str::to_owned).collect::<Vec<_>>();
        let named = |line: &str| {
            words(line).windows(2).any(|w| w[0].eq_ignore_ascii_case("as") && w[1].eq_ignore_ascii_case(column))
        };
        let mentioned = |line: &str| words(line).iter().any(|w| w.eq_ignore_ascii_case(column));
        let line = self.sql.lines().position(named).or_else(|| self.sql.lines().position(mentioned));
        line.map(|i| i + 1)
    }

    /// `place:line` of that.
    pub(super) fn at_column(&self, column: &str) -> String {
        self.at_line(self.column_line(column).unwrap_or(1))
    }
}

/// A user error at a line of the query (from 1).
pub(crate) fn refuse_at<'a>(text: impl Into<SqlText<'a>>, sql_line: usize, reason: &str) -> Error {
    Error::user(reason).at(text.into().at_line(sql_line))
}

/// A refusal from inside the planner, which does not know the file. [`refuse`] gives it its place.
pub(super) fn refusal(reason: impl Into<String>, remedy: impl Into<String>) -> DataFusionError {
    DataFusionError::External(Box::new(Error::user(reason).hint(remedy)))
}

/// Adds the place in the query that the error is about, unless it has a closer one.
pub(super) fn at_span(error: DataFusionError, span: Option<Span>) -> DataFusionError {
    if span.is_none() || error.diagnostic().is_some_and(|d| d.span.is_some()) {
        return error;
    }
    let diagnostic = Diagnostic::new_error("here", span);
    error.with_diagnostic(diagnostic)
}

/// As [`at_span`], by the parser's place.
pub(super) fn at_sql(error: DataFusionError, span: SqlSpan) -> DataFusionError {
    at_span(error, Span::try_from_sqlparser_span(span))
}

/// Where the first column stands that one of `exprs` names.
pub(super) fn span_of<'a>(exprs: impl IntoIterator<Item = &'a Expr>) -> Option<Span> {
    let spans = |e: &Expr| e.column_refs().iter().filter_map(|c| c.spans.first()).min_by_key(|s| s.start);
    exprs.into_iter().filter_map(spans).min_by_key(|s| s.start)
}

/// A planner's or parser's error, at its line where it knows one.
pub(crate) fn refuse<'a>(text: impl Into<SqlText<'a>>, error: &DataFusionError) -> Error {
    let text = text.into();
    let root = error.find_root();
    let ours = match root {
        DataFusionError::External(e) => e.downcast_ref::<Error>(),
        _ => None,
    };
    let (reason, remedy) = match ours {
        Some(e) => (e.message().to_owned(), e.remedy().unwrap_or_default().to_owned()),
        None => reworded(root, &text),
    };
    let (reason, line) = match reason.split_once(" at Line: ") {
        Some((reason, at)) => (reason.to_owned(), at.split(',').next().and_then(|n| n.trim().parse().ok())),
        None => (reason, None),
    };
    let span_line =
        error.diagnostic().and_then(|d| d.span).and_then(|s| usize::try_from(s.start.line).ok()).filter(|l| *l > 0);
    let named_as = || text.column_line(reason.split_once(NAMED_AS)?.1.split(',').next()?);
    let line = line.or(span_line).or_else(named_as).or_else(|| named_line(text.sql, &reason));
    let line = line.or_else(|| mentioned_line(text.sql, &reason));
    let twice =
        || reason.strip_prefix("the column ")?.strip_suffix(" is there twice").and_then(|name| text.column_line(name));
    let line = line.or_else(twice).unwrap_or(1);
    refuse_at(text, line, &reason).hint(remedy)
}

/// DataFusion's errors that a person meets, as reason and remedy.
fn reworded(root: &DataFusionError, sql: &SqlText<'_>) -> (String, String) {
    let text = innermost(root);
    if let DataFusionError::SchemaError(e, _) = root
        && let SchemaError::FieldNotFound { field, .. } = e.as_ref()
    {
        let remedy = match quoted_after(&text, "Did you mean '") {
            Some(name) => format!("did you mean {name}?"),
            None => sql.columns_are.to_owned(),
        };
        return (format!("there is no column {field}"), remedy);
    }
    if matches!(root, DataFusionError::SQL(..)) {
        return (text, "look just before it for a comma, a quote or a keyword that is missing or too much".to_owned());
    }
    if let Some(name) = quoted_after(&text, "Invalid function '") {
        // The planner suggests one of several names that are equally near, and not always the same.
        let remedy = "take one of DataFusion's SQL functions, or PERCENTILE";
        return (format!("there is no function {name}"), remedy.to_owned());
    }
    if let Some(table) = quoted_after(&text, "table '").filter(|_| text.ends_with("not found")) {
        let name = table.rsplit('.').next().unwrap_or(&table);
        return (format!("there is no table {name}"), sql.tables_are.to_owned());
    }
    if let Some(name) = quoted_after(&text, "Function '") {
        if let Some((_, counts)) = text.split_once("' expects ") {
            let counts = counts.split('.').next().unwrap_or(counts);
            return (format!("{name} expects {counts}"), "write as many arguments as it takes".to_owned());
        }
        let remedy = format!("CAST them, as in {}(CAST(column AS BIGINT))", name.to_uppercase());
        return (format!("{name} does not take arguments of these types"), remedy);
    }
    if text.contains("require unique expression names") {
        let column = quoted_after(&text, "expression \"").unwrap_or_default();
        let name = column.rsplit(" AS ").next().unwrap_or_default();
        return (format!("the column {name} is there twice"), "rename one with AS".to_owned());
    }
    if let Some((_, name)) = text.split_once("Schema contains duplicate unqualified field name ") {
        let reason = format!("GROUP BY has {name} and what it is cast to, which would have one name");
        return (
            reason,
            "give the cast a name in a sub-query in FROM (CAST(… AS …) AS name), and group by that".to_owned(),
        );
    }
    if let Some(column) = quoted_after(&text, "While expanding wildcard, column \"") {
        let name = column.rsplit('.').next().unwrap_or(&column);
        return (
            format!("the column {name} is neither grouped by nor aggregated"),
            format!("add it to GROUP BY, or take MIN({name}) or MAX({name})"),
        );
    }
    for (words, reason, remedy) in KNOWN {
        if text.contains(words) {
            return ((*reason).map_or(text, str::to_owned), (*remedy).to_owned());
        }
    }
    let remedy = match text.contains(" type") {
        true => "CAST one side to the other's type, or compare with a value of the column's own type",
        false => "see the SQL reference of DataFusion for what this place may hold",
    };
    (text, remedy.to_owned())
}

/// Words of DataFusion's, the reason in ours where theirs tells little, and the remedy.
const KNOWN: &[(&str, Option<&str>, &str)] = &[
    (
        "not allowed in the WHERE clause",
        Some("an aggregate cannot stand in WHERE"),
        "write the condition after GROUP BY, in HAVING",
    ),
    ("Ambiguous reference", None, "write the table's name before it, as a.stream_id"),
    (
        "cannot be nested",
        Some("an aggregate cannot stand inside an aggregate"),
        "aggregate in a sub-query by window_start, window_end and more columns, and aggregate its result by window_start, window_end",
    ),
    (
        "logical expression WindowFunction",
        Some("a function OVER (…) cannot stand in WHERE"),
        "select it in a sub-query under a name, and compare that above",
    ),
    (
        "logical expression AggregateFunction",
        Some("an aggregate cannot stand in GROUP BY"),
        "select it in a sub-query under a name, and group by that above",
    ),
    ("Supported values are", None, "take one of the values that it names"),
    (
        "nth_value not supported for n",
        Some("the place that NTH_VALUE takes is no whole number"),
        "write a constant, as in NTH_VALUE(stream_id, 2 ORDER BY event_time)",
    ),
    ("RANGE requires exactly one", None, "order by one column, or count ROWS instead"),
    (
        "should only return one column",
        Some("a sub-query that stands for one value (SELECT …) has several columns"),
        "select one column in it",
    ),
    (
        "UNION queries have different",
        Some("the two sides of the UNION have different numbers of columns"),
        "select the same columns on both sides, NULL AS name where there is none",
    ),
    ("Unsupported SQL type", None, "take BIGINT, DOUBLE, DECIMAL(18, 2), VARCHAR, BOOLEAN or TIMESTAMP"),
];

/// What stands between `before` and the quote that it ends with.
fn quoted_after(text: &str, before: &str) -> Option<String> {
    let quote = before.chars().next_back()?;
    let (_, rest) = text.split_once(before)?;
    Some(rest.split(quote).next().unwrap_or(rest).to_owned())
}

/// The first line of the message without the layers of "Error during planning: " around it.
fn innermost(root: &DataFusionError) -> String {
    let text = root.strip_backtrace();
    let mut text = text.as_str();
    for prefix in [
        "Error during planning: ",
        "SQL error: ",
        "Schema error: ",
        "This feature is not implemented: ",
        "Execution error: ",
        "Internal error: ",
        "ParserError(\"",
        "TokenizerError(\"",
    ] {
        text = text.strip_prefix(prefix).unwrap_or(text);
    }
    let text = text.lines().next().unwrap_or(text);
    text.trim_end_matches("\")").trim_end_matches('.').to_owned()
}

/// What follows a column that stands in an expression, in the reason of a refusal.
pub(super) const STANDS_IN_EXPRESSION: &str = " stands in an expression";

/// What stands before the name of a column, in the reason of a refusal, and a comma behind it.
pub(super) const NAMED_AS: &str = " is named ";

/// Where no span is known, but a lookup table or a column is named: the first line that names it too, the column with more than a comma
/// beside it.
fn named_line(sql: &str, reason: &str) -> Option<usize> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if let Some((column, _)) = reason.split_once(STANDS_IN_EXPRESSION) {
        let in_expression = |line: &str| {
            line.match_indices(column).any(|(at, _)| {
                let (before, behind) = (line[..at].trim_end(), line[at + column.len()..].trim_start());
                before.ends_with(|c: char| !is_name(c) && c != ',')
                    || behind.starts_with(|c: char| !is_name(c) && c != ',')
            })
        };
        return sql.lines().position(in_expression).map(|i| i + 1);
    }
    let (_, rest) = reason.split_once("the lookup table ")?;
    let name = rest.split(' ').next()?;
    sql.lines().position(|line| line.split(|c: char| !is_name(c)).any(|word| word == name)).map(|i| i + 1)
}

/// Where no span is known: the first line that calls a function, or has a keyword, which the reason speaks of.
fn mentioned_line(sql: &str, reason: &str) -> Option<usize> {
    const KEYWORDS: [&str; 13] = [
        "GROUP BY",
        "ORDER BY",
        "LIMIT",
        "DISTINCT",
        "EXCEPT",
        "INTERSECT",
        "JOIN",
        "UNION",
        "RECURSIVE",
        "OVER",
        "WHERE",
        "FROM",
        "SELECT",
    ];
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let reason_upper = reason.to_ascii_uppercase();
    let words: Vec<&str> = reason_upper.split(|c| !is_word(c)).filter(|w| !w.is_empty()).collect();
    let lines: Vec<String> = sql.lines().map(str::to_ascii_uppercase).collect();
    let calls = |line: &String| {
        let before = line.match_indices('(').filter_map(|(at, _)| line.get(..at)?.rsplit(|c| !is_word(c)).next());
        before.filter(|name| *name != "TABLE").any(|name| words.contains(&name))
    };
    let keyword = || {
        let mut spoken = KEYWORDS.iter().filter(|word| reason.contains(*word)).peekable();
        spoken.peek()?;
        // Tables are joined by a comma too, and that is in FROM.
        spoken.chain(["FROM"].iter()).find_map(|word| lines.iter().position(|l| l.contains(word)))
    };
    lines.iter().position(calls).or_else(keyword).map(|i| i + 1)
}
