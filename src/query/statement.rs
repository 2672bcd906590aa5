//! One statement that reads.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use datafusion::common::TableReference;
use datafusion::logical_expr::sqlparser::ast::{Expr, ObjectName, Query, SetExpr, Statement as Sql, visit_expressions};
use datafusion::sql::parser::{DFParserBuilder, Statement as Parsed};
use datafusion::sql::resolve::resolve_table_references;

use super::catalog::table_path;
use crate::error::{Error, Result};
use crate::limits::PIPELINE_FILE_BYTES_MAX;
use crate::pipeline::{SqlText, StreamDialect, check_depth, ident_name, refuse, refuse_at};

/// What stands for the file in a place of the query.
const PLACE: &str = "query";

/// What `SHOW TABLES` asks.
const TABLES: &str = "SELECT CASE table_schema WHEN 'lake' THEN table_name ELSE table_schema || '.' || table_name END AS \"table\" \
                      FROM information_schema.tables WHERE table_schema <> 'information_schema' ORDER BY table_schema DESC, 1";

/// A statement that was parsed, and that changes nothing.
#[derive(Debug, Clone)]
pub struct Statement {
    sql: String,
    pub(super) parsed: Parsed,
    /// Its result is a plan in words, to be shown as it is laid out.
    pub(super) explains: bool,
}

impl Statement {
    /// Parses a statement.
    ///
    /// # Errors
    /// A user error with its line, if it is none, more than one, nests too deep, or is one that writes or changes a setting.
    pub fn parse(sql: &str) -> Result<Self> {
        let trimmed = sql.trim_end_matches(|c: char| c == ';' || c.is_whitespace());
        if sql.len() as u64 > PIPELINE_FILE_BYTES_MAX {
            return Err(Error::user("the text is too long for a query").at(PLACE));
        }
        let text = text(trimmed);
        check_depth(text, &StreamDialect::default())?;
        let statement = parse_one(&text)?;
        let explains = match &statement {
            // The query itself is looked at as one that is not explained.
            Parsed::Explain(explain) => {
                refuse_writing(&text, &explain.statement)?;
                true
            }
            other => {
                refuse_writing(&text, other)?;
                matches!(other, Parsed::Statement(s) if matches!(s.as_ref(), Sql::Explain { .. }))
            }
        };
        let parsed = match shows(&statement) {
            Some(Shown::Tables) => parse_one(&SqlText { sql: TABLES, ..text })?,
            Some(Shown::Columns(table)) => parse_one(&SqlText { sql: &format!("DESCRIBE {table}"), ..text })?,
            None => statement,
        };
        Ok(Self { sql: trimmed.to_owned(), parsed, explains })
    }

    /// The tables that it reads, by their paths below the lake; functions in their place are among them.
    ///
    /// # Errors
    /// A user error if a name is none.
    pub fn tables(&self) -> Result<BTreeSet<String>> {
        let (tables, _) = resolve_table_references(&self.parsed, true).map_err(|e| refuse(self.text(), &e))?;
        Ok(tables.iter().filter(|table| table.schema() != Some("information_schema")).map(path_of).collect())
    }

    /// What may be a table as an argument of a function, `TABLE t`, by its path below the lake. A name of the `WITH` clause is none.
    ///
    /// # Errors
    /// A user error if a name is none.
    pub fn table_arguments(&self) -> Result<BTreeSet<String>> {
        let (_, of_with) = resolve_table_references(&self.parsed, true).map_err(|e| refuse(self.text(), &e))?;
        let of_with: BTreeSet<String> = of_with.iter().map(path_of).collect();
        let mut found = BTreeSet::new();
        let mut statement = &self.parsed;
        while let Parsed::Explain(explain) = statement {
            statement = &explain.statement;
        }
        if let Parsed::Statement(statement) = statement {
            let _ = visit_expressions(statement.as_ref(), |expr| {
                found.extend(table_argument(expr));
                ControlFlow::<()>::Continue(())
            });
        }
        Ok(&found - &of_with)
    }

    /// The text, for what is said of it.
    pub(super) fn text(&self) -> SqlText<'_> {
        text(&self.sql)
    }
}

fn text(sql: &str) -> SqlText<'_> {
    SqlText {
        place: PLACE,
        first_line: 1,
        sql,
        columns_are: "`describe TABLE` says which columns a table has",
        tables_are: "`show tables` says which tables there are",
    }
}

/// The table of an argument as the dialect makes one of `TABLE t`.
fn table_argument(expr: &Expr) -> Option<String> {
    let Expr::Tuple(items) = expr else { return None };
    let Expr::CompoundIdentifier(parts) = items.first()? else { return None };
    match parts.as_slice() {
        [table] => Some(table_path(None, &ident_name(table))),
        [schema, table] => Some(table_path(Some(&ident_name(schema)), &ident_name(table))),
        _ => None,
    }
}

fn path_of(table: &TableReference) -> String {
    table_path(table.schema(), table.table())
}

fn parse_one(text: &SqlText<'_>) -> Result<Parsed> {
    let dialect = StreamDialect::default();
    let mut statements = DFParserBuilder::new(text.sql)
        .with_dialect(&dialect)
        .build()
        .and_then(|mut p| p.parse_statements())
        .map_err(|e| refuse(*text, &e))?;
    match (statements.pop_front(), statements.is_empty()) {
        (Some(statement), true) => Ok(statement),
        (None, _) => Err(refuse_at(*text, 1, "there is no query").hint("write one, such as \"show tables\"")),
        (Some(_), false) => Err(refuse_at(*text, 1, "there is more than one statement").hint("run one at a time")),
    }
}

/// What a `SHOW` asks for, where DataFusion's answer would hold more than that.
enum Shown {
    Tables,
    Columns(ObjectName),
}

fn shows(statement: &Parsed) -> Option<Shown> {
    let Parsed::Statement(statement) = statement else { return None };
    match statement.as_ref() {
        Sql::ShowTables { show_options, .. }
            if show_options.filter_position.is_none() && show_options.show_in.is_none() =>
        {
            Some(Shown::Tables)
        }
        Sql::ShowColumns { show_options, .. } if show_options.filter_position.is_none() => {
            show_options.show_in.as_ref()?.parent_name.clone().map(Shown::Columns)
        }
        _ => None,
    }
}

/// Refuses whatever is not known to read only.
fn refuse_writing(text: &SqlText<'_>, statement: &Parsed) -> Result<()> {
    let reads = match statement {
        Parsed::Statement(statement) => match statement.as_ref() {
            Sql::Query(query) => is_reading(query),
            Sql::Explain { statement, .. } => {
                return refuse_writing(text, &Parsed::Statement(statement.clone()));
            }
            Sql::ExplainTable { .. } | Sql::ShowTables { .. } | Sql::ShowColumns { .. } | Sql::ShowFunctions { .. } => {
                true
            }
            _ => false,
        },
        _ => false,
    };
    if reads {
        return Ok(());
    }
    let words = statement.to_string();
    let word = words.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
    let remedy =
        "a query reads: SELECT, WITH, VALUES, SHOW TABLES, DESCRIBE or EXPLAIN; a backfill replaces hours of the lake";
    Err(refuse_at(*text, 1, &format!("{word} is refused: a query changes nothing")).hint(remedy))
}

/// Whether the parts of a query are queries themselves. (What goes into a table by `SELECT … INTO`, the planner refuses.)
fn is_reading(query: &Query) -> bool {
    let with = query.with.iter().flat_map(|with| &with.cte_tables);
    with.into_iter().all(|table| is_reading(&table.query)) && is_reading_set(&query.body)
}

fn is_reading_set(body: &SetExpr) -> bool {
    match body {
        SetExpr::Select(select) => select.into.is_none(),
        SetExpr::Query(query) => is_reading(query),
        SetExpr::SetOperation { left, right, .. } => is_reading_set(left) && is_reading_set(right),
        SetExpr::Values(_) | SetExpr::Table(_) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(sql: &str) -> String {
        let e = Statement::parse(sql).unwrap_err();
        assert_eq!(e.exit_code(), 2, "{sql}");
        e.report()
    }

    #[test]
    fn what_reads_is_taken() {
        for sql in [
            "select 1",
            "SELECT 1 ; ",
            "with a as (select 1) select * from a union all values (2)",
            "values (1), (2)",
            "from user_events",
            "show tables",
            "describe user_events",
            "desc _late.revenue",
            "show columns from user_events",
            "explain select 1",
            "explain analyze select 1",
        ] {
            Statement::parse(sql).unwrap_or_else(|e| panic!("{sql}: {}", e.report()));
        }
    }

    #[test]
    fn what_writes_or_sets_is_refused() {
        for sql in [
            "insert into t values (1)",
            "insert overwrite t select 1",
            "copy t to 'x.csv'",
            "create external table t stored as csv location '/etc/passwd'",
            "create table t as select 1",
            "create view v as select 1",
            "drop table t",
            "delete from t",
            "update t set a = 1",
            "truncate table t",
            "set datafusion.execution.batch_size = 1",
            "reset datafusion.execution.batch_size",
            "explain insert into t values (1)",
            "explain copy t to 'x'",
            "select 1 into t",
            "with a as (insert into t values (1)) select 1",
            "begin",
            "prepare p as select 1",
            "create function f() returns int return 1",
        ] {
            let said = refused(sql);
            assert!(said.contains("is refused: a query changes nothing") || said.contains("query:1"), "{sql}: {said}");
        }
        for sql in ["insert into t values (1)", "explain insert into t values (1)"] {
            assert!(refused(sql).starts_with("query:1: INSERT is refused"));
        }
    }

    #[test]
    fn what_is_no_statement_is_refused_with_its_line() {
        assert!(refused("").contains("there is no query"));
        assert!(refused(" ;; ").contains("there is no query"));
        assert!(refused("select 1; select 2").contains("more than one statement"));
        assert!(refused("select\n1 1 2\nfrom").starts_with("query:2: "));
        assert!(refused(&format!("select {}1", "1 + ".repeat(10_000))).contains("nests deeper"));
        assert!(refused(&"x".repeat(2 << 20)).contains("too long"));
    }

    #[test]
    fn tables_are_named_by_their_folders() {
        let tables = |sql: &str| Statement::parse(sql).unwrap().tables().unwrap().into_iter().collect::<Vec<_>>();
        let sql =
            "with a as (select * from Revenue) select * from a, _late.revenue where 1 in (select 1 from _dead_letters)";
        assert_eq!(tables(sql), ["_dead_letters", "_late/revenue", "revenue"]);
        assert_eq!(tables("describe user_events"), ["user_events"]);
        assert!(tables("show tables").is_empty());
        assert_eq!(tables("show columns from _late.revenue"), ["_late/revenue"]);
        let sql = "with a as (select 1) select * from table(tumble(table T, descriptor(x), interval '1' hour)), \
                   table(tumble(table _late.t, descriptor(x), interval '1' hour)), \
                   table(tumble(table a, descriptor(x), interval '1' hour))";
        for sql in [sql.to_owned(), format!("explain {sql}")] {
            let arguments = Statement::parse(&sql).unwrap().table_arguments().unwrap();
            assert_eq!(arguments.into_iter().collect::<Vec<_>>(), ["_late/t", "t"]);
        }
    }
}
