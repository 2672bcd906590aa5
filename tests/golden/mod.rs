//! Golden outputs: what every shipped table holds for a small fixed input, as files that people can read.
//!
//! ```text
//!  input/*.ndjson ─┬─► backfill (1 and 2 workers, little and much memory) ─► tables ──┐
//!                  ├─► brute-force reference ───────────────────────────► tables ──┼─ all equal?
//!                  └─► expected/{replay,ignore}/*.csv ───────────────────────────────┘
//! ```
//!
//! After a change of what the tables mean: `HEADCOUNT_REGOLD=1 cargo nextest run golden` writes the files anew, from the
//! product's output; look at the difference before you commit it. The reference is asked either way.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use headcount::types::format_micros;

use crate::fixture::{self, How, TempLake};
use crate::harness;
use crate::reference::{self, Options, RefRecord, Row, Tables, Val};

const SHIPPED: [&str; 7] = [
    "concurrent_viewers",
    "platform_totals",
    "playback_quality",
    "revenue",
    "stream_engagement",
    "stream_quality_changes",
    "user_activity",
];

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// The input as the reference reads it: a record a line, a shard a file.
fn records() -> Vec<RefRecord> {
    let mut paths: Vec<_> = std::fs::read_dir(folder("input")).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    let mut records = Vec::new();
    for path in paths {
        let shard = path.file_stem().unwrap().to_str().unwrap();
        for (i, line) in std::fs::read_to_string(&path).unwrap().lines().enumerate() {
            let (shard, bytes) = (shard.to_owned(), line.as_bytes().to_vec());
            records.push(RefRecord { shard, sequence: i as u64 + 1, arrival: None, bytes });
        }
    }
    records
}

/// One cell of a file. Text is as it is; what needs quotes does not occur.
fn cell(column: &str, value: &Val) -> String {
    let time = column.ends_with("_time") || column.starts_with("window_") || column == "event_time_original";
    match value {
        Val::Null => "NULL".to_owned(),
        Val::Bool(b) => b.to_string(),
        Val::Int(t) if time => format_micros(*t),
        Val::Int(n) => n.to_string(),
        Val::Float(f) => format!("{f:?}"),
        Val::Str(s) => s.clone(),
    }
}

fn csv(columns: &[&str], rows: &[Row]) -> String {
    let line = |row: &Row| columns.iter().map(|c| cell(c, &row[*c])).collect::<Vec<_>>().join(",");
    let mut lines: Vec<String> = rows.iter().map(line).collect();
    lines.sort();
    let mut out = columns.join(",");
    out.push('\n');
    for line in lines {
        assert_eq!(line.matches(',').count(), columns.len() - 1, "a comma in a value: {line}");
        writeln!(out, "{line}").unwrap();
    }
    out
}

/// The files of one run: name to text.
type Files = BTreeMap<String, String>;

/// The lake's tables as files. Columns are in the tables' order, but for the raw events, of which only what was judged is shown.
async fn of_lake(lake: &TempLake) -> Files {
    let mut files = Files::new();
    for name in SHIPPED {
        let batches = fixture::batches(&lake.lake, name).await;
        let schema = batches.first().unwrap_or_else(|| panic!("{name} is empty")).schema();
        let columns: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        files.insert(format!("{name}.csv"), csv(&columns, &lake.table(name).await));
    }
    files.insert("user_events.csv".to_owned(), csv(&JUDGED, &lake.table("user_events").await));
    let mut late = Vec::new();
    for name in SHIPPED {
        for mut row in lake.table(&format!("_late/{name}")).await {
            row.insert("table".to_owned(), Val::Str(name.to_owned()));
            late.push(row);
        }
    }
    files.insert("late.csv".to_owned(), csv(&LATE, &late));
    let letters = fixture::dead_letters(&lake.lake).await.into_iter().map(|l| {
        let text = |column: &str, value: String| (column.to_owned(), Val::Str(value));
        Row::from([text("shard_id", l.shard), text("sequence_number", l.sequence_number), text("reason", l.reason)])
    });
    files.insert("dead_letters.csv".to_owned(), csv(&LETTERS, &letters.collect::<Vec<_>>()));
    files
}

const JUDGED: [&str; 8] = [
    "shard_id",
    "sequence_number",
    "event_id",
    "event_type",
    "event_time",
    "ingest_time",
    "event_time_original",
    "shard_high_time",
];
const LATE: [&str; 3] = ["table", "shard_id", "sequence_number"];
const LETTERS: [&str; 3] = ["shard_id", "sequence_number", "reason"];

/// The reference's tables as files, with the columns of `like`: they must be the same, and so must their order be nobody's matter.
fn of_reference(like: &Files, judged: &reference::Judged, tables: &Tables) -> Files {
    let mut files = Files::new();
    for (name, text) in like {
        let columns: Vec<&str> = text.lines().next().unwrap().split(',').collect();
        let rows: Vec<Row> = match name.as_str() {
            "user_events.csv" => reference::user_events(&judged.kept),
            "late.csv" => late(judged, tables),
            "dead_letters.csv" => judged.dead_letters.iter().map(letter).collect(),
            name => tables.rows[name.strip_suffix(".csv").unwrap()].clone(),
        };
        if tables.rows.contains_key(name.strip_suffix(".csv").unwrap()) {
            let ours: BTreeSet<&str> = columns.iter().copied().collect();
            assert!(rows.iter().all(|r| r.keys().map(String::as_str).eq(ours.iter().copied())), "columns of {name}");
        }
        files.insert(name.clone(), csv(&columns, &rows));
    }
    files
}

fn place(place: &reference::Place) -> Row {
    let text = |column: &str, value: String| (column.to_owned(), Val::Str(value));
    Row::from([text("shard_id", place.shard.clone()), text("sequence_number", place.sequence.to_string())])
}

fn letter(letter: &reference::judge::DeadLetter) -> Row {
    let mut row = place(&letter.place);
    row.insert("reason".to_owned(), Val::Str(letter.reason.to_owned()));
    row
}

/// Late rows of all tables. An event without a stream is none of concurrency's business, late or not.
fn late(judged: &reference::Judged, tables: &Tables) -> Vec<Row> {
    let mut rows = Vec::new();
    for (table, places) in &tables.late {
        let concurrency = matches!(table.as_str(), "concurrent_viewers" | "platform_totals");
        let of_stream = |p: &reference::Place| judged.kept.iter().any(|k| k.place == *p && k.stream().is_some());
        for p in places.iter().filter(|p| !concurrency || of_stream(p)) {
            let mut row = place(p);
            row.insert("table".to_owned(), Val::Str(table.clone()));
            rows.push(row);
        }
    }
    rows
}

/// What is in the files, or, when they are to be written anew, what shall be.
fn golden(mode: &str, ours: &Files) -> Files {
    let folder = folder("expected").join(mode);
    if std::env::var_os("HEADCOUNT_REGOLD").is_some() {
        std::fs::create_dir_all(&folder).unwrap();
        for (name, text) in ours {
            std::fs::write(folder.join(name), text).unwrap();
        }
    }
    let read = |name: &String| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
    ours.keys().map(|name| (name.clone(), read(name))).collect()
}

/// The first lines that differ, in words.
fn difference(what: &str, got: &Files, expected: &Files) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, text) in expected {
        if got[name] != *text {
            let only = |a: &str, b: &str| {
                let b: BTreeSet<&str> = b.lines().collect();
                a.lines().filter(|l| !b.contains(l)).take(5).fold(String::new(), |all, l| format!("{all}\n      {l}"))
            };
            let (more, less) = (only(&got[name], text), only(text, &got[name]));
            problems.push(format!("{what}, {name}\n    only here:{more}\n    only in the golden file:{less}"));
        }
    }
    problems
}

async fn check(mode: &str, options: Options) {
    let pipelines = harness::pipelines(&harness::shipped(), &options).await;
    let names: Vec<&str> = pipelines.plans.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, SHIPPED);
    let inputs = [folder("input").to_str().unwrap().to_owned()];
    let mut expected = None;
    let mut problems = Vec::new();
    for workers in [1, 2] {
        for memory_bytes_max in [1, 64 << 20] {
            let lake = TempLake::new();
            let how = How { workers, memory_bytes_max, ..How::default() };
            let summary = fixture::backfill(&pipelines, &inputs, &lake.lake, how).await;
            assert_eq!(summary.spilled_bytes > 0, memory_bytes_max == 1);
            let files = of_lake(&lake).await;
            let expected = expected.get_or_insert_with(|| golden(mode, &files));
            let what = format!("{mode}, {workers} workers, {memory_bytes_max} bytes of memory");
            problems.extend(difference(&what, &files, expected));
        }
    }
    let judged = reference::judge(&records(), reference::Provenance::Row);
    let tables = reference::tables(&judged.kept, &options);
    let expected = expected.unwrap();
    problems.extend(difference(
        &format!("{mode}, the reference"),
        &of_reference(&expected, &judged, &tables),
        &expected,
    ));
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert_eq!(expected["late.csv"].lines().count() > 8, mode == "replay", "late rows:\n{}", expected["late.csv"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shipped_tables_with_lateness_replayed_equal_the_golden_files() {
    check("replay", Options::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shipped_tables_with_lateness_ignored_equal_the_golden_files() {
    check("ignore", Options::default().ignoring_lateness()).await;
}
