//! The answer of `/api/now`: a table's windows that are not complete, those with the most viewers first.
//!
//! Keys may be added; a key is not renamed or given another meaning without a new path.

use std::collections::BTreeMap;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::compute::kernels::cmp::eq;
use arrow::compute::{SortColumn, SortOptions, filter_record_batch, lexsort_to_indices, take_record_batch};
use arrow::json::WriterBuilder;
use arrow::json::writer::JsonArray;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::engine::inquiry::Unclosed;
use crate::error::{Error, Result};
use crate::limits::{UNCLOSED_ROWS, UNCLOSED_ROWS_MAX};
use crate::types::{MICROS_PER_SEC, Micros, format_micros};

/// Columns of the rows that are the window's.
const OF_THE_WINDOW: [&str; 3] = ["window_start", "window_end", "window_time"];

/// What is asked for: the part of the address behind the question mark.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NowQuestion {
    /// The table.
    pub table: String,
    /// At most so many rows of each window.
    pub limit: usize,
    /// Only rows with these values, by partition column.
    pub values: BTreeMap<String, String>,
}

/// A table's windows that are not complete. Times are RFC 3339 in UTC.
#[derive(Debug, Clone, Serialize)]
pub struct NowDocument {
    /// The table.
    pub table: String,
    /// One for each `CONCURRENCY` of its query; none before anything is resolved.
    pub windows: Vec<NowWindow>,
}

/// A window that is not complete, as far as presence is resolved.
#[derive(Debug, Clone, Serialize)]
pub struct NowWindow {
    /// The instant up to which presence is resolved: the figures are of the window's part before it.
    pub as_of: String,
    /// How long ago that was.
    pub age_secs: f64,
    /// Start of the window.
    pub window_start: String,
    /// When it will be complete, by event time.
    pub window_end: String,
    /// The table began within the window, and will not have it: what was before is not in these figures.
    pub given_up: bool,
    /// The columns that rows are told apart by.
    pub partition_by: Vec<String>,
    /// How many rows there are; the list may have fewer.
    pub rows_total: usize,
    /// The columns of `CONCURRENCY` but for the window's, those with the most viewers first. As text: numbers are those of the rows, to the
    /// last bit.
    pub rows: Vec<Box<RawValue>>,
}

impl NowQuestion {
    /// Reads `table=…&limit=…&<partition column>=…`.
    ///
    /// # Errors
    /// A user error if there is no table, if the limit is no number or too great, or if a name comes twice.
    pub fn parse(text: &str) -> Result<Self> {
        let mut values = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
            if values.insert(name.clone().into_owned(), value.into_owned()).is_some() {
                return Err(Error::user(format!("{name} is given twice")).hint("give each name once"));
            }
        }
        let Some(table) = values.remove("table") else {
            return Err(Error::user("no table is named").hint("ask for /api/now?table=concurrent_viewers"));
        };
        let limit = values.remove("limit").map_or(Ok(UNCLOSED_ROWS), |text| {
            text.parse().ok().filter(|limit| *limit <= UNCLOSED_ROWS_MAX).ok_or_else(|| {
                Error::user(format!("{text:?} is no limit")).hint(format!("give a number up to {UNCLOSED_ROWS_MAX}"))
            })
        })?;
        Ok(Self { table, limit, values })
    }
}

impl NowDocument {
    /// The answer at `now` to a question about these windows.
    ///
    /// # Errors
    /// A user error if rows are asked for by what is no partition column; internal if they cannot be written.
    pub fn of(question: &NowQuestion, windows: &[Unclosed], now: Micros) -> Result<Self> {
        let windows = windows.iter().map(|unclosed| NowWindow::of(question, unclosed, now)).collect::<Result<_>>()?;
        Ok(Self { table: question.table.clone(), windows })
    }
}

impl NowWindow {
    fn of(question: &NowQuestion, Unclosed { window, given_up }: &Unclosed, now: Micros) -> Result<Self> {
        let partition_by = &window.query.partition_by;
        let mut rows = window.rows.clone();
        for (column, value) in &question.values {
            if !partition_by.contains(column) {
                let columns = if partition_by.is_empty() { "none".to_owned() } else { partition_by.join(", ") };
                return Err(Error::user(format!("{column} is no partition column of {}", question.table))
                    .hint(format!("table and limit can be given, and partition columns: {columns}")));
            }
            rows = filter_record_batch(&rows, &eq(&column_of(&rows, column)?, &StringArray::new_scalar(value))?)?;
        }
        let rows_total = rows.num_rows();
        Ok(Self {
            as_of: format_micros(window.as_of),
            age_secs: (now - window.as_of) as f64 / MICROS_PER_SEC as f64,
            window_start: format_micros(window.window_start),
            window_end: format_micros(window.window_end),
            given_up: *given_up,
            partition_by: partition_by.clone(),
            rows_total,
            rows: json(&most_viewers(&rows, partition_by, question.limit)?)?,
        })
    }
}

fn column_of(rows: &RecordBatch, name: &str) -> Result<ArrayRef> {
    let column = rows.column_by_name(name).cloned();
    column.ok_or_else(|| Error::internal(format!("rows of presence without the column {name}")))
}

/// The first `limit` rows by viewers, most first; where they are equal, by the partition columns.
fn most_viewers(rows: &RecordBatch, partition_by: &[String], limit: usize) -> Result<RecordBatch> {
    let by = |name: &str, descending| -> Result<SortColumn> {
        let options = Some(SortOptions { descending, nulls_first: true });
        Ok(SortColumn { values: column_of(rows, name)?, options })
    };
    let mut columns = vec![by("viewers_current", true)?, by("viewers_max", true)?];
    columns.extend(partition_by.iter().map(|name| by(name, false)).collect::<Result<Vec<_>>>()?);
    Ok(take_record_batch(rows, &lexsort_to_indices(&columns, Some(limit))?)?)
}

/// Rows as objects, nulls included, without the window's columns.
fn json(rows: &RecordBatch) -> Result<Vec<Box<RawValue>>> {
    let fields = rows.schema();
    let kept = fields.fields().iter().enumerate().filter(|(_, f)| !OF_THE_WINDOW.contains(&f.name().as_str()));
    let kept = rows.project(&kept.map(|(i, _)| i).collect::<Vec<_>>())?;
    let mut text = Vec::new();
    let mut writer = WriterBuilder::new().with_explicit_nulls(true).build::<_, JsonArray>(&mut text);
    writer.write(&kept)?;
    writer.finish()?;
    drop(writer);
    if text.is_empty() {
        return Ok(vec![]);
    }
    serde_json::from_slice(&text).map_err(|e| Error::internal("rows of presence are no JSON").because(e))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, Int64Array, TimestampMicrosecondArray};
    use arrow::datatypes::Schema;
    use serde_json::{Value, json};

    use super::*;
    use crate::operator::concurrency::{ConcurrencyQuery, OwnTimeouts, UnclosedWindow};

    /// Rows of streams: (stream, viewers).
    fn unclosed(streams: &[(&str, i64)]) -> Unclosed {
        let partition_by = vec!["stream_id".to_owned()];
        let query = ConcurrencyQuery { size: 60 * MICROS_PER_SEC, partition_by, timeouts: OwnTimeouts::default() };
        let ids: ArrayRef = Arc::new(StringArray::from_iter_values(streams.iter().map(|s| s.0)));
        let channels: ArrayRef = Arc::new(StringArray::new_null(streams.len()));
        let time = |secs: i64| -> ArrayRef {
            Arc::new(TimestampMicrosecondArray::from_value(secs * MICROS_PER_SEC, streams.len()).with_timezone("UTC"))
        };
        let count = || -> ArrayRef { Arc::new(Int64Array::from_iter_values(streams.iter().map(|s| s.1))) };
        let number = || -> ArrayRef { Arc::new(Float64Array::from_iter_values(streams.iter().map(|s| s.1 as f64))) };
        let columns =
            vec![ids, channels, time(60), time(120), time(119), count(), number(), count(), count(), count(), number()];
        let rows = RecordBatch::try_new(Arc::new(Schema::new(query.fields())), columns).unwrap();
        let (window_start, window_end) = (60 * MICROS_PER_SEC, 120 * MICROS_PER_SEC);
        let window = UnclosedWindow { query, window_start, window_end, as_of: 90 * MICROS_PER_SEC, rows };
        Unclosed { window, given_up: false }
    }

    fn ids(question: &str) -> (usize, Vec<String>) {
        let windows = [unclosed(&[("c", 2), ("a", 1), ("b", 2), ("d", 9)])];
        let question = NowQuestion::parse(question).unwrap();
        let document = NowDocument::of(&question, &windows, 100 * MICROS_PER_SEC).unwrap();
        let [window] = document.windows.as_slice() else { panic!("{document:?}") };
        let id = |row: &RawValue| {
            let row: Value = serde_json::from_str(row.get()).unwrap();
            row["stream_id"].as_str().unwrap().to_owned()
        };
        (window.rows_total, window.rows.iter().map(|row| id(row)).collect())
    }

    #[test]
    fn the_most_watched_come_first() {
        assert_eq!(ids("table=t"), (4, ["d", "b", "c", "a"].map(str::to_owned).to_vec()));
        assert_eq!(ids("table=t&limit=2"), (4, ["d", "b"].map(str::to_owned).to_vec()));
        assert_eq!(ids("table=t&stream_id=c"), (1, vec!["c".to_owned()]));
        assert_eq!(ids("limit=5&stream_id=none+of%20them&table=t"), (0, vec![]));
        assert_eq!(ids("table=t&limit=0"), (4, vec![]));
    }

    #[test]
    fn the_keys_of_the_document_are_pinned() {
        let question = NowQuestion::parse("table=t").unwrap();
        let document = NowDocument::of(&question, &[unclosed(&[("s", 3)])], 100_500_000).unwrap();
        let expected = json!({
            "table": "t",
            "windows": [{
                "as_of": "1970-01-01T00:01:30Z",
                "age_secs": 10.5,
                "window_start": "1970-01-01T00:01:00Z",
                "window_end": "1970-01-01T00:02:00Z",
                "given_up": false,
                "partition_by": ["stream_id"],
                "rows_total": 1,
                "rows": [{
                    "stream_id": "s", "channel_id": null, "viewers_min": 3, "viewers_avg": 3.0, "viewers_max": 3,
                    "viewers_current": 3, "unique_viewers": 3, "viewer_minutes": 3.0
                }],
            }],
        });
        let text = serde_json::to_string(&document).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
    }

    #[test]
    fn what_cannot_be_asked_says_what_can() {
        let refused = |text: &str| NowQuestion::parse(text).unwrap_err().message().to_owned();
        assert_eq!(refused("limit=3"), "no table is named");
        assert_eq!(refused("table=t&limit=many"), "\"many\" is no limit");
        assert_eq!(refused("table=t&limit=100001"), "\"100001\" is no limit");
        assert_eq!(refused("table=t&table=u"), "table is given twice");
        let question = NowQuestion::parse("table=t&colour=red").unwrap();
        let error = NowDocument::of(&question, &[unclosed(&[])], 0).unwrap_err();
        assert_eq!(error.message(), "colour is no partition column of t");
        assert_eq!(error.remedy(), Some("table and limit can be given, and partition columns: stream_id"));
    }
}
