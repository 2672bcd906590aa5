//! A table as people read it: aligned columns, in the order of the window, the revision and the keys.

use arrow::datatypes::{DataType, Field, Schema};
use headcount::types::format_micros;

use crate::reference::{Row, Val};

/// The columns by which the rows are sorted before all others, besides the header's keys.
const FIRST: [&str; 2] = ["window_start", "revision"];

/// `rows` of a table with this schema and these keys; its first line names the columns.
pub(super) fn table(schema: &Schema, keys: &[String], rows: &[Row]) -> String {
    let columns = schema.fields().iter().map(|f| f.name().as_str());
    let by: Vec<&str> = FIRST.into_iter().chain(keys.iter().map(String::as_str)).chain(columns).collect();
    let mut rows: Vec<&Row> = rows.iter().collect();
    rows.sort_by_key(|row| by.iter().map(|c| &row[*c]).collect::<Vec<_>>());
    let mut lines: Vec<Vec<String>> = vec![schema.fields().iter().map(|f| f.name().clone()).collect()];
    lines.extend(rows.iter().map(|row| schema.fields().iter().map(|f| cell(f, &row[f.name()])).collect()));
    let width = |i: usize| lines.iter().map(|line| line[i].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..schema.fields().len()).map(width).collect();
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<String> = line.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}")).collect();
        text.push_str(cells.join(" | ").trim_end());
        text.push('\n');
    }
    text
}

fn cell(field: &Field, value: &Val) -> String {
    match value {
        Val::Null => "NULL".to_owned(),
        Val::Bool(b) => b.to_string(),
        Val::Int(t) if matches!(field.data_type(), DataType::Timestamp(_, _)) => format_micros(*t),
        Val::Int(n) => n.to_string(),
        Val::Float(f) => format!("{f:?}"),
        // In quotes where it could be taken for something else.
        Val::Str(s) if s.is_empty() || s == "NULL" || s.trim() != s || s.contains(['|', '"', '\n']) => format!("{s:?}"),
        Val::Str(s) => s.clone(),
    }
}

/// Up to five lines of each text that the other one does not have.
pub(super) fn difference(got: &str, expected: &str) -> String {
    let only = |a: &str, b: &str| {
        let missing = a.lines().filter(|line| !b.lines().any(|other| other == *line));
        missing.take(5).fold(String::new(), |all, line| format!("{all}\n      {line}"))
    };
    format!("\n    only here:{}\n    only expected:{}", only(got, expected), only(expected, got))
}
