//! What the brute-force reference says of each call of `CONCURRENCY` in a query, as a table that plain DataFusion can read.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Schema};
use headcount::operator::concurrency::{ConcurrencyQuery, OwnTimeouts};
use headcount::types::{MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SEC};
use regex::Regex;

use crate::reference::{self, Kept, Options, Row, Val};

static CALL: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"(?i)TABLE\(\s*CONCURRENCY\(").unwrap());
static PARTITION: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?is)PARTITION\s+BY\s+(.*?),\s*(?:DESCRIPTOR|\w+\s*=>)").unwrap());
static INTERVAL: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?i)(?:(\w+)\s*=>\s*)?INTERVAL\s+'(\d+)'\s+(\w+)").unwrap());

/// The query with a table in the place of each call, and what that table is to hold.
pub(super) fn calls(sql: &str) -> (String, Vec<(String, ConcurrencyQuery)>) {
    let (mut plain, mut rest, mut calls) = (String::new(), sql, Vec::new());
    while let Some(call) = CALL.find(rest) {
        let (before, after) = (&rest[..call.start()], &rest[call.end()..]);
        let end = closing(after);
        let name = format!("presence_{}", calls.len());
        calls.push((name.clone(), query(&after[..end])));
        plain += &format!("{before}{name}");
        // The brackets of CONCURRENCY and of TABLE.
        rest = after[end + 1..].trim_start().strip_prefix(')').expect("TABLE( is closed");
    }
    (plain + rest, calls)
}

/// Where the bracket closes that was opened before `text`.
fn closing(text: &str) -> usize {
    let mut depth = 1;
    let at = text.char_indices().find(|(_, c)| {
        depth += i32::from(*c == '(') - i32::from(*c == ')');
        depth == 0
    });
    at.expect("the call is closed").0
}

fn query(arguments: &str) -> ConcurrencyQuery {
    let partition = PARTITION.captures(arguments).map(|found| found[1].replace(['(', ')'], ""));
    let columns = |list: String| list.split(',').map(|column| column.trim().to_owned()).collect();
    let (mut size, mut timeouts) = (0, [None; 4]);
    for found in INTERVAL.captures_iter(arguments) {
        let unit = match found[3].to_uppercase().as_str() {
            "SECOND" => MICROS_PER_SEC,
            "MINUTE" => MICROS_PER_MINUTE,
            "HOUR" => MICROS_PER_HOUR,
            "DAY" => MICROS_PER_DAY,
            other => panic!("{other}?"),
        };
        let length = found[2].parse::<i64>().unwrap() * unit;
        let name = found.get(1).map(|name| name.as_str().to_lowercase());
        match name.and_then(|name| OwnTimeouts::NAMES.iter().position(|known| *known == name)) {
            Some(i) => timeouts[i] = Some(length),
            None => size = length,
        }
    }
    ConcurrencyQuery {
        size,
        partition_by: partition.map(columns).unwrap_or_default(),
        timeouts: OwnTimeouts::new(timeouts),
    }
}

/// The rows of a call, in a job whose finest window of concurrency is `finest`.
pub(super) fn rows(query: &ConcurrencyQuery, kept: &[Kept], job: &Options, finest: i64) -> RecordBatch {
    let own = query.timeouts.over(&crate::harness::engine_options(job).concurrency);
    let options = Options {
        session_timeout: own.session_timeout,
        closed_retention: own.closed_retention,
        stream_timeout: own.stream_timeout,
        announced_timeout: own.announced_timeout,
        finest_window: finest,
        ..*job
    };
    let partition: Vec<&str> = query.partition_by.iter().map(String::as_str).collect();
    let rows: Vec<Row> = reference::concurrency(kept, &options, query.size, &partition)
        .into_iter()
        .map(|mut row| {
            let Val::Int(end) = row["window_end"] else { panic!("windows are times") };
            row.insert("window_time".to_owned(), Val::Int(end - 1_000));
            row
        })
        .collect();
    let fields = query.fields();
    let columns: BTreeMap<&str, ArrayRef> =
        fields.iter().map(|f| (f.name().as_str(), column(f.data_type(), f.name(), &rows))).collect();
    let in_order = fields.iter().map(|f| Arc::clone(&columns[f.name().as_str()])).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields.clone())), in_order).unwrap()
}

fn column(data_type: &DataType, name: &str, rows: &[Row]) -> ArrayRef {
    let int = |row: &Row| match row[name] {
        Val::Int(i) => i,
        ref other => panic!("{name} is {other:?}"),
    };
    let text = |row: &Row| match &row[name] {
        Val::Str(s) => Some(s.clone()),
        _ => None,
    };
    let number = |row: &Row| match row[name] {
        Val::Float(f) => f,
        ref other => panic!("{name} is {other:?}"),
    };
    match data_type {
        DataType::Utf8 => Arc::new(rows.iter().map(text).collect::<StringArray>()),
        DataType::Int64 => Arc::new(Int64Array::from_iter_values(rows.iter().map(int))),
        DataType::Float64 => Arc::new(Float64Array::from_iter_values(rows.iter().map(number))),
        _ => Arc::new(TimestampMicrosecondArray::from_iter_values(rows.iter().map(int)).with_timezone("UTC")),
    }
}
