//! The rows of a query for a person or a program: an aligned table, JSON lines, CSV.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, RecordBatchOptions, StringBuilder};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use arrow::json::WriterBuilder;
use arrow::json::writer::LineDelimited;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use arrow::util::pretty::pretty_format_batches_with_options;

use super::out::write;
use super::progress::thousands;
use super::text::printable;
use crate::error::{Error, Result};
use crate::limits::QUERY_CELL_CHARS_MAX;
use crate::query::ResultRows;

/// How a table shows that there is no value.
const NULL: &str = "NULL";

/// How rows are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Aligned, with so many rows at most; says if there are more.
    Table {
        /// The bound.
        rows_max: usize,
    },
    /// One object a line, nulls included.
    Json,
    /// A line of names, then one a row.
    Csv,
}

/// Prints a result to standard output until its end, or until nobody reads any more.
///
/// # Errors
/// What the query fails with; a user error if the format cannot hold a column; external if the output cannot be written.
pub(super) async fn print(mut rows: ResultRows<'_>, format: Format) -> Result<()> {
    match format {
        Format::Table { rows_max } => print_table(rows, rows_max).await,
        Format::Json => {
            check_names(rows.schema().as_ref())?;
            while let Some(batch) = rows.next().await? {
                if !write(&json(&batch).map_err(unprintable)?)? {
                    break;
                }
            }
            Ok(())
        }
        Format::Csv => {
            let mut lines = csv_names(rows.schema().as_ref());
            loop {
                if !write(lines.as_bytes())? {
                    return Ok(());
                }
                let Some(batch) = rows.next().await? else { return Ok(()) };
                lines = csv(&batch).map_err(unprintable)?;
            }
        }
    }
}

async fn print_table(mut rows: ResultRows<'_>, rows_max: usize) -> Result<()> {
    let (schema, laid_out) = (rows.schema(), rows.explains());
    let (mut kept, mut count, mut total) = (Vec::new(), 0, 0);
    while let Some(batch) = rows.next().await? {
        total += batch.num_rows();
        let part = batch.num_rows().min(rows_max - count);
        if part > 0 {
            kept.push(cells(&batch.slice(0, part), laid_out).map_err(unprintable)?);
            count += part;
        }
        // The rest is not worth computing, unless it is the number that is asked for.
        if total > count && rows_max > 0 {
            break;
        }
    }
    let names = names_only(schema.as_ref());
    let mut text = String::new();
    if rows_max > 0 {
        let options = FormatOptions::default().with_null(NULL);
        kept.insert(0, RecordBatch::new_empty(names));
        let table = pretty_format_batches_with_options(&kept, &options).map_err(unprintable)?;
        text = format!("{table}\n");
    }
    let of = |n: usize| format!("{} row{}", thousands(n as u64), if n == 1 { "" } else { "s" });
    text.push_str(&match total > count && rows_max > 0 {
        true => format!("{} shown, and there are more: --rows N shows more, --csv and --json print all\n", of(count)),
        false => format!("{}\n", of(total)),
    });
    write(text.as_bytes()).map(drop)
}

/// The columns of [`cells`].
fn names_only(schema: &Schema) -> Arc<Schema> {
    let text = |field: &Arc<Field>| Field::new(printable(field.name(), false), DataType::Utf8, true);
    Arc::new(Schema::new(schema.fields().iter().map(text).collect::<Vec<_>>()))
}

/// Every value as the text that is shown: nothing in it steers a terminal, and it is cut where it gets too long for a table, unless it is
/// `laid_out` already.
fn cells(rows: &RecordBatch, laid_out: bool) -> Result<RecordBatch, ArrowError> {
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(rows.num_columns());
    let options = FormatOptions::default();
    for column in rows.columns() {
        let format = ArrayFormatter::try_new(column.as_ref(), &options)?;
        let nulls = column.logical_nulls();
        let mut texts = StringBuilder::new();
        for row in 0..rows.num_rows() {
            match is_null(nulls.as_ref(), row) {
                true => texts.append_null(),
                false => {
                    let text = format.value(row).try_to_string()?;
                    let text = printable(&text, laid_out);
                    texts.append_value(if laid_out { text.into_owned() } else { cut(&text) });
                }
            }
        }
        columns.push(Arc::new(texts.finish()));
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    RecordBatch::try_new_with_options(names_only(rows.schema().as_ref()), columns, &options)
}

/// Whether there is no value, by a column's logical nulls: one of `NULL` alone has no others.
fn is_null(nulls: Option<&NullBuffer>, row: usize) -> bool {
    nulls.is_some_and(|nulls| nulls.is_null(row))
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(QUERY_CELL_CHARS_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or(text)),
        None => text.to_owned(),
    }
}

fn json(rows: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, LineDelimited>(Vec::new());
    writer.write(rows)?;
    writer.finish()?;
    Ok(writer.into_inner())
}

/// An object has each name once.
fn check_names(schema: &Schema) -> Result<()> {
    let mut seen = BTreeSet::new();
    match schema.fields().iter().find(|field| !seen.insert(field.name())) {
        Some(field) => Err(Error::user(format!("two columns are called {}", field.name()))
            .at("--json")
            .hint("give one of them another name with AS")),
        None => Ok(()),
    }
}

/// The names of the columns as a line.
fn csv_names(schema: &Schema) -> String {
    let names: Vec<Cow<'_, str>> = schema.fields().iter().map(|field| quoted(field.name())).collect();
    names.join(",") + "\n"
}

/// Rows as lines. (Arrow's own writer cannot tell a null from an empty text.)
fn csv(rows: &RecordBatch) -> Result<String, ArrowError> {
    let options = FormatOptions::default();
    let formats = rows.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
    let formats = formats.collect::<Result<Vec<_>, _>>()?;
    let nulls: Vec<Option<NullBuffer>> = rows.columns().iter().map(|column| column.logical_nulls()).collect();
    let mut lines = String::new();
    for row in 0..rows.num_rows() {
        for (i, (format, nulls)) in formats.iter().zip(&nulls).enumerate() {
            if i > 0 {
                lines.push(',');
            }
            if !is_null(nulls.as_ref(), row) {
                lines.push_str(&quoted(&format.value(row).try_to_string()?));
            }
        }
        lines.push('\n');
    }
    Ok(lines)
}

/// A value in quotes where RFC 4180 wants them, and where nothing would be taken for no value.
fn quoted(text: &str) -> Cow<'_, str> {
    match text.is_empty() || text.contains([',', '"', '\n', '\r']) {
        true => Cow::Owned(format!("\"{}\"", text.replace('"', "\"\""))),
        false => Cow::Borrowed(text),
    }
}

fn unprintable(e: ArrowError) -> Error {
    Error::user("a column of the result cannot be printed").at("query").hint("CAST it to text").because(e)
}

#[cfg(test)]
mod tests {
    use arrow::array::{BinaryArray, Int64Array, NullArray, StringArray};

    use super::*;

    fn rows() -> RecordBatch {
        let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a,\"b\""), Some(""), None, Some("\u{1b}[2J\n")]));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(-1), None, Some(2), Some(3)]));
        let bytes: ArrayRef = Arc::new(BinaryArray::from(vec![Some(&b"\x00\xff"[..]), None, Some(b""), Some(b"x")]));
        RecordBatch::try_from_iter_with_nullable([("text, t", texts, true), ("n", numbers, true), ("b", bytes, true)])
            .unwrap()
    }

    #[test]
    fn csv_tells_nothing_from_no_value() {
        let lines = csv_names(rows().schema().as_ref()) + &csv(&rows()).unwrap();
        let nothing = RecordBatch::try_from_iter([("n", Arc::new(NullArray::new(1)) as ArrayRef)]).unwrap();
        assert_eq!(csv(&nothing).unwrap(), "\n");
        assert_eq!(cells(&nothing, false).unwrap().column(0).null_count(), 1);
        assert_eq!(lines, "\"text, t\",n,b\n\"a,\"\"b\"\"\",-1,00ff\n\"\",,\n,2,\"\"\n\"\u{1b}[2J\n\",3,78\n");
    }

    #[test]
    fn json_has_every_column() {
        let lines = String::from_utf8(json(&rows()).unwrap()).unwrap();
        let second: serde_json::Value = serde_json::from_str(lines.lines().nth(1).unwrap()).unwrap();
        assert_eq!(second, serde_json::json!({"text, t": "", "n": null, "b": null}));
        assert_eq!(lines.lines().count(), 4);
    }

    #[test]
    fn what_is_shown_steers_nothing_and_fits() {
        let shown = cells(&rows(), false).unwrap();
        let texts = shown.column(0).as_any().downcast_ref::<StringArray>().unwrap();
        assert_eq!((texts.value(3), texts.is_null(2)), ("\\u{1b}[2J\\n", true));
        let long = "é".repeat(QUERY_CELL_CHARS_MAX + 1);
        assert_eq!(cut(&long), "é".repeat(QUERY_CELL_CHARS_MAX) + "…");
        assert_eq!(cut(&long[2..]), long[2..]);
    }

    #[test]
    fn a_name_that_comes_twice_is_no_object() {
        let field = |name: &str| Field::new(name, DataType::Utf8, true);
        assert!(check_names(&Schema::new(vec![field("a"), field("b")])).is_ok());
        let e = check_names(&Schema::new(vec![field("a"), field("a")])).unwrap_err();
        assert_eq!((e.exit_code(), e.message()), (2, "two columns are called a"));
    }
}
