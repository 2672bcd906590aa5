//! `headcount query`: a person's questions to a lake, in three formats, and what is refused.
//!
//! `HEADCOUNT_REGOLD=1` writes the expected texts anew; read them before you commit them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use headcount::clock::SystemClock;
use headcount::sink::lake::{GatherWriter, Lake, RollPolicy, TableSpec, TableWriter};
use headcount::types::{MICROS_PER_HOUR, MICROS_PER_MINUTE, Micros, parse_rfc3339};

use super::program::{Outcome, Place};
use crate::fixture;

/// A place with the lake `l` of the golden input.
fn place() -> Place {
    let place = Place::new();
    let input = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/input");
    place.run(&["backfill", "--input", input, "--lake", "l", "--lateness", "replay"], &[]).works(&["kept"]);
    place
}

fn query(place: &Place, sql: &str, more: &[&str]) -> Outcome {
    place.run(&[&["query", sql, "--lake", "l"], more].concat(), &[])
}

/// One value, as CSV has it.
fn value(place: &Place, sql: &str, more: &[&str]) -> String {
    let said = query(place, sql, &[&["--csv"], more].concat()).works(&[]);
    assert_eq!(said.stderr, "", "{sql}");
    said.stdout.lines().skip(1).collect::<Vec<_>>().join("|")
}

fn expected(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/query").join(name);
    if std::env::var_os("HEADCOUNT_REGOLD").is_some() {
        std::fs::write(&path, format!("{text}\n")).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(format!("{text}\n"), golden, "{}", path.display());
}

const TOP: &str = "select stream_id, max(viewers_max) v from concurrent_viewers group by 1 order by 2 desc, 1 limit 10";
const REVENUE: &str = "select window_start, currency, tips, amount_minor, nullif(tips, tips) as nothing, '' as empty \
                       from revenue order by 1, 2";

#[test]
fn the_three_formats_are_worded_as_written_down() {
    let place = place();
    let formats = [("table.txt", None), ("ndjson", Some("--json")), ("csv", Some("--csv"))];
    for (name, sql) in [("top", TOP), ("revenue", REVENUE)] {
        for (end, format) in formats {
            let said = query(&place, sql, format.as_slice()).works(&[]);
            assert_eq!(said.stderr, "");
            expected(&format!("{name}.{end}"), &said.stdout);
        }
    }
    expected("tables.txt", &query(&place, "show tables", &[]).works(&[]).stdout);
    expected("describe.txt", &query(&place, "describe revenue", &[]).works(&[]).stdout);
    // They are the very rows that the golden files have.
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/expected/replay/concurrent_viewers.csv");
    let golden = std::fs::read_to_string(golden).unwrap();
    let columns = golden.lines().next().unwrap().to_owned();
    let said = query(&place, &format!("select {columns} from concurrent_viewers"), &["--csv"]).works(&[]).stdout;
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(|line| line.replace("NULL", "")).collect();
        lines.sort();
        lines
    };
    assert_eq!(sorted(&said), sorted(&golden));
}

#[test]
fn every_table_of_the_lake_is_there() {
    let place = place();
    assert_eq!(value(&place, "select count(*) from user_events", &[]), "296");
    assert_eq!(value(&place, "select count(*), count(ingest_time) from _dead_letters", &[]), "5,1");
    let late = include_str!("../golden/expected/replay/late.csv");
    let late = late.lines().filter(|line| line.starts_with("revenue,")).count();
    assert_eq!(value(&place, "select count(*) from _late.revenue", &[]), late.to_string());
    let broken = include_str!("../golden/input/hand-written.ndjson").lines().nth(27).unwrap();
    let data =
        "select arrow_typeof(data), octet_length(cast(data as varchar)) from _dead_letters where reason = 'not_json'";
    assert_eq!(value(&place, data, &[]), format!("Binary,{}", broken.len()));
    // Functions of pipelines.
    let sql = "select percentile(startup_ms, 0.5) > 0, count(distinct session_id) > 3 from user_events";
    assert_eq!(value(&place, sql, &[]), "true,true");
    let minutes = "select window_start, count(*) n from table(tumble(table user_events, descriptor(event_time), \
                   interval '1' minute)) group by window_start, window_end";
    let plain = "select date_trunc('minute', event_time) m, count(*) n from user_events group by 1";
    let joined = format!("({minutes}) a full join ({plain}) b on window_start = m");
    let sql = format!("select count(*) > 3, count(*) filter (where a.n is distinct from b.n) from {joined}");
    assert_eq!(value(&place, &sql, &[]), "true,0");
    let hours = "select count(*) from table(tumble(table _late.revenue, descriptor(event_time), interval '1' hour))";
    assert_eq!(value(&place, hours, &[]), late.to_string());
    // From standard input, and with the configuration's lake.
    let lake = ("HEADCOUNT__LAKE__URL", "l");
    place.run(&["query", "select count(*) as n from user_events"], &[lake]).works(&["| 296 |", "1 row"]);
    place.run(&["query", "-"], &[lake]).fails(2, &["there is no query"]);
    let url = format!("file://{}", place.path().join("l").display());
    place.run(&["query", "select 1", "--lake", &url], &[]).works(&["1 row"]);
}

#[test]
fn what_the_folders_exclude_is_not_read() {
    let place = place();
    let files = |sql: &str| {
        let plan = query(&place, &format!("explain {sql}"), &[]).works(&["LakeScan: table="]).stdout;
        let (_, rest) = plan.split_once("files=").unwrap();
        let words: Vec<&str> = rest.split([' ', ',']).take(3).collect();
        (words[0].parse::<usize>().unwrap(), words[2].parse::<usize>().unwrap())
    };
    let (all, of) = files("select * from platform_totals");
    assert!(all == of && all > 1);
    for (table, filter) in [
        ("platform_totals", "hour = 17"),
        ("platform_totals", "year = 2026 and month = 1 and day = 1 and hour < 18"),
        ("platform_totals", "window_start < '2026-01-01T18:00:00Z'"),
        ("user_events", "event_time < timestamp '2026-01-01T18:00:00Z'"),
        ("_late.revenue", "event_time < '2026-01-01T18:00:00Z' and year > 0"),
    ] {
        let (read, of) = files(&format!("select * from {table} where {filter}"));
        assert!(read < of || of == 1, "{table} {filter}: {read} of {of}");
        let counts = |filter: &str| value(&place, &format!("select count(*) from {table} where {filter}"), &[]);
        // A condition that cannot be looked up in folders gives the same rows.
        let plain = filter
            .replace("hour", "(hour + 0)")
            .replace("window_start", "coalesce(window_start, null)")
            .replace("event_time", "coalesce(event_time, null)");
        assert_eq!(counts(filter), counts(&plain), "{table} {filter}");
    }
    assert_eq!(files("select * from user_events where year = 1999").0, 0);
    assert_eq!(value(&place, "select count(*) from user_events where year = 1999", &[]), "0");
}

#[test]
fn files_that_are_damaged_or_not_committed() {
    let place = place();
    let before = value(&place, "select count(*) from platform_totals", &[]);
    let file = place.parquet("l/platform_totals").remove(0);
    // What a replacement has staged without its record, a half-written file, another format.
    let staged = place.path().join("l/_staging/x/files").join(file.strip_prefix(place.path().join("l")).unwrap());
    fixture::write(staged, std::fs::read(&file).unwrap());
    std::fs::copy(&file, file.with_extension("parquet#1")).unwrap();
    std::fs::write(file.with_extension("txt"), "x").unwrap();
    assert_eq!(value(&place, "select count(*) from platform_totals", &[]), before);
    std::fs::write(&file, "PAR1").unwrap();
    let name = file.file_name().unwrap().to_str().unwrap();
    query(&place, "select * from platform_totals", &[]).fails(1, &[name, "not a readable Parquet file"]);
}

#[test]
fn what_is_refused_says_where_and_what_to_do() {
    let place = place();
    let before = files_below(place.path());
    let fails = |sql: &str, words: &[&str]| query(&place, sql, &[]).fails(2, words);
    fails("selec 1", &["query:1: ", "found: selec"]);
    fails("select 1\nfrom user_events\nwhere ) 1", &["query:3: "]);
    fails("select viewer from concurrent_viewers", &["query:1: there is no column viewer"]);
    fails(
        "select\n  stream_id,\n  nope\nfrom concurrent_viewers",
        &["query:3: there is no column nope", "describe TABLE"],
    );
    fails("select nofunction(1)", &["query:1: there is no function nofunction", "PERCENTILE"]);
    fails(
        "select 1 from concurent_viewers",
        &["l: there is no table concurent_viewers", "did you mean concurrent_viewers?"],
    );
    fails("select 1 from _late.revenu", &["there is no table _late.revenu", "did you mean _late.revenue?"]);
    fails("select 1 from \"_late/revenu\"", &["did you mean _late.revenue?"]);
    fails("select 1 from '/etc/passwd'", &["there is no table"]);
    fails("describe nothing_at_all", &["there is no table nothing_at_all", "the tables are _dead_letters, "]);
    fails("select 1 from other.schema.t", &["there is no table"]);
    fails("select 1; select 2", &["more than one statement"]);
    fails("", &["there is no query"]);
    for sql in [
        "insert into revenue values (1)",
        "copy revenue to 'out.csv'",
        "create external table t stored as csv location 'l'",
        "create table t as select 1",
        "drop table revenue",
        "set datafusion.execution.batch_size = 1",
        "explain insert into revenue select * from revenue",
    ] {
        fails(sql, &["query:1: ", "is refused: a query changes nothing", "SELECT, WITH"]);
    }
    fails("select * from concurrent_viewers c order by c.nope", &["there is no column"]);
    fails("select cast(stream_id as int) from concurrent_viewers", &["query", "TRY_CAST"]);
    fails("select 1 / (viewers_max - viewers_max) from concurrent_viewers", &["query", "divide by zero"]);
    let concurrency =
        "select * from table(concurrency(table user_events, descriptor(event_time), interval '1' minute))";
    fails(concurrency, &["query:1: CONCURRENCY is computed as events come", "concurrent_viewers"]);
    let twice = "select * from table(tumble(table revenue, descriptor(window_start), interval '1' hour))";
    fails(twice, &["query:1: ", "window_start already", "DATE_BIN"]);
    let both = "select a.tips, b.tips from revenue a, revenue b";
    query(&place, both, &["--json"]).fails(2, &["two columns are called tips", "AS"]);
    assert_eq!(files_below(place.path()), before, "nothing was written");
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    glob::glob(&format!("{}/**/*", folder.display())).unwrap().map(Result::unwrap).collect()
}

#[test]
fn lakes_and_tables_that_are_not_there() {
    let place = Place::new();
    let run = |sql: &str, lake: &str| place.run(&["query", sql, "--lake", lake], &[]);
    run("show tables", "none").fails(2, &["none", "there is no such lake", "--config"]);
    place.run(&["query", "show tables"], &[]).fails(2, &["data/lake", "there is no such lake"]);
    place.write("file", "x");
    run("show tables", "file").fails(2, &["the lake is a file, not a folder"]);
    run("show tables", "ftp://x/y").fails(2, &["ftp://x/y", "s3://"]);
    std::fs::create_dir_all(place.path().join("l/odd")).unwrap();
    run("show tables", "l").works(&["| odd ", "1 row"]);
    run("select * from odd", "l").fails(2, &["l/odd", "the table has no files"]);
    // Nothing was late and nothing unreadable yet: no rows, with all columns.
    run("select reason, data from _dead_letters", "l").works(&["| reason | data |", "0 rows"]);
    run("select count(*) as n from _late.revenue", "l").works(&["| 0 ", "1 row"]);
    run("select window_start, tips from revenue", "l").works(&["| window_start | tips |", "0 rows"]);
    run("select * from revenues", "l").fails(2, &["did you mean revenue? the tables are odd"]);
    std::fs::create_dir(place.path().join("empty")).unwrap();
    run("select * from nothing_at_all", "empty").fails(2, &["the lake has no tables yet"]);
    assert_eq!(files_below(&place.path().join("empty")), Vec::<PathBuf>::new(), "a lake is not written to");
}

#[test]
fn what_a_table_shows_is_bounded_and_harmless() {
    let place = place();
    let sql = "select event_id from user_events";
    query(&place, sql, &["--rows", "3"])
        .works(&["3 rows shown, and there are more: --rows N shows more, --csv and --json"]);
    let none = query(&place, sql, &["--rows", "0"]).works(&[]);
    assert_eq!(none.stdout, "296 rows");
    assert_eq!(query(&place, sql, &[]).works(&["296 rows"]).stdout.lines().count(), 296 + 5);
    assert_eq!(query(&place, sql, &["--json"]).works(&[]).stdout.lines().count(), 296);
    let long = query(&place, "select repeat('x', 500) as x, null as n, chr(27) || '[2J' as steers", &[]).works(&[
        "NULL",
        "x…",
        "\\u{1b}[2J",
    ]);
    assert!(!long.stdout.contains('\u{1b}') && !long.stdout.contains(&"x".repeat(101)));
    // A reader that goes ends it quietly.
    for format in ["--csv", "--json"] {
        let many = "select a.event_id, b.event_id as other from user_events a, user_events b, platform_totals";
        let gone = place.run_unheard(&["query", many, format, "--lake", "l"], &[]);
        assert_eq!((gone.code, gone.stderr.as_str()), (Some(0), ""));
    }
    let gone = place.run_unheard(&["query", sql, "--lake", "l"], &[]);
    assert_eq!((gone.code, gone.stderr.as_str()), (Some(0), ""));
}

#[test]
fn memory_is_bounded_and_what_does_not_fit_waits_on_disk() {
    let place = place();
    let temp = place.path().join("temporary");
    std::fs::create_dir(&temp).unwrap();
    let run = |workers: &str, sql: &str| {
        let words = ["query", sql, "--lake", "l", "--memory", "64", "--csv"];
        place.run(&words, &[("TMPDIR", temp.to_str().unwrap()), ("HEADCOUNT__RUN__WORKER_THREADS", workers)])
    };
    // 90 MB to be sorted.
    let numbers =
        "select value as n, repeat(cast(value % 900 + 100 as varchar), 200) as t from generate_series(1, 150000)";
    let sort = format!(
        "select count(*), max(place) from (select n, row_number() over (order by t desc, n) as place from ({numbers}))"
    );
    for workers in ["1", "4"] {
        assert_eq!(run(workers, &sort).works(&[]).stdout.lines().nth(1), Some("150000,150000"), "{workers} workers");
        assert_eq!(files_below(&temp), Vec::<PathBuf>::new(), "nothing stays");
    }
    // One group cannot wait on disk.
    run("1", &format!("select length(string_agg(t || n, ',')) from ({numbers})"))
        .fails(2, &["query: the query needs more memory than it may use", "--memory"]);
}

const MINUTE: &str = "2026-01-31T18:05:00Z";

fn time(text: &str) -> Micros {
    parse_rfc3339(text).unwrap()
}

fn times(values: impl IntoIterator<Item = Micros>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_iter_values(values).with_timezone("UTC"))
}

/// Rows of a window: key, count.
fn window(start: Micros, revision: i32, rows: &[(Option<&str>, i64)]) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable([
        ("window_start", times(rows.iter().map(|_| start)), false),
        ("window_end", times(rows.iter().map(|_| start + MICROS_PER_MINUTE)), false),
        ("revision", Arc::new(Int32Array::from(vec![revision; rows.len()])) as ArrayRef, false),
        ("k", Arc::new(StringArray::from_iter(rows.iter().map(|r| r.0))) as ArrayRef, true),
        ("n", Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.1))) as ArrayRef, false),
    ])
    .unwrap()
}

fn lake(place: &Place) -> Lake {
    fixture::open(&place.path().join("l"))
}

fn wait<T>(job: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(job)
}

/// Writes each batch into files of its own.
fn write_windows(lake: &Lake, batches: &[RecordBatch]) {
    wait(async {
        for (i, batch) in batches.iter().enumerate() {
            let spec = TableSpec::windows("t", format!("f{i}"), vec!["window_start".into(), "k".into()]);
            let mut writer = GatherWriter::new(lake.clone(), spec, MICROS_PER_MINUTE, Arc::new(SystemClock));
            writer.write(batch).await.unwrap();
            writer.close().await.unwrap();
        }
    });
}

#[test]
fn the_row_with_the_highest_revision_stands() {
    let place = Place::new();
    let start = time(MINUTE);
    write_windows(
        &lake(&place),
        &[
            window(start, 0, &[(Some("a"), 1), (Some("b"), 2), (None, 3)]),
            window(start, 1, &[(Some("a"), 10), (None, 30)]),
            window(start + MICROS_PER_MINUTE, 0, &[(Some("a"), 100)]),
            window(start + MICROS_PER_HOUR, 0, &[(Some("a"), 1_000)]),
            window(start, 2, &[(None, 300)]),
        ],
    );
    let rows = |sql: &str, more: &[&str]| value(&place, sql, more);
    let all = "select k, revision, n from t order by n";
    assert_eq!(rows(all, &[]), "b,0,2|a,1,10|a,0,100|,2,300|a,0,1000");
    assert_eq!(rows("select sum(n) from t", &[]), "1412");
    assert_eq!(rows("select count(*) from t", &[]), "5");
    assert_eq!(rows("select count(*), sum(n) from t", &["--all-revisions"]), "8,1446");
    // A row that was replaced does not come back where its successor is filtered out.
    assert_eq!(rows("select n from t where n < 10 order by n", &[]), "2");
    assert_eq!(rows("select n from t where revision = 0 order by n", &[]), "2|100|1000");
    assert_eq!(rows("select count(*) from t where revision = 0", &["--all-revisions"]), "5");
}

#[test]
fn columns_and_types_that_changed() {
    let place = Place::new();
    let write = |prefix: &str, at: &str, columns: Vec<(&str, ArrayRef)>| {
        let mut all: Vec<(&str, ArrayRef, bool)> = vec![("event_time", times([time(at)]), true)];
        all.extend(columns.into_iter().map(|(name, values)| (name, values, true)));
        let batch = RecordBatch::try_from_iter_with_nullable(all).unwrap();
        wait(async {
            let spec = TableSpec::new("e", "event_time", prefix);
            let mut writer = TableWriter::new(lake(&place), spec, RollPolicy::default(), Arc::new(SystemClock));
            writer.write(&batch).await.unwrap();
            writer.close().await.unwrap();
        });
    };
    let text = |text: &str| Arc::new(StringArray::from(vec![text])) as ArrayRef;
    write("a", "2026-01-01T10:00:00Z", vec![("n", Arc::new(Int32Array::from(vec![1]))), ("gone", text("x"))]);
    write("b", "2026-01-02T10:00:00Z", vec![("n", Arc::new(Int64Array::from(vec![2]))), ("session_id", text("s-1"))]);
    assert_eq!(value(&place, "select day, n, gone, session_id from e order by 1", &[]), "1,1,x,|2,2,,s-1");
    assert_eq!(value(&place, "select n from e where n > 1", &[]), "2");
    assert_eq!(value(&place, "select n from e where session_id is null", &[]), "1");
    assert_eq!(value(&place, "select n from e where session_id = 's-1'", &[]), "2");
    assert_eq!(value(&place, "select count(*) from e where session_id = 's-2'", &[]), "0");
    let groups = |filter: &str| {
        let said = query(&place, &format!("explain analyze select * from e where {filter}"), &[]).works(&["LakeScan"]);
        let count = |name: &str| -> usize {
            let (_, rest) = said.stdout.split_once(name).unwrap_or_else(|| panic!("{name}: {said:#?}"));
            rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
        };
        (count("row_groups_read="), count("row_groups_passed_over="))
    };
    // The older file has no such column; the filter of the newer one says no.
    assert_eq!(groups("session_id = 's-1'"), (1, 1));
    assert_eq!(groups("session_id = 's-2'"), (0, 2));
    assert_eq!(groups("event_time >= '2026-01-02T10:00:00Z'"), (1, 0));
    assert_eq!(groups("event_time > '2026-01-02T10:00:00Z'"), (0, 1));
    assert_eq!(value(&place, "select count(*) from e where session_id <> 's-2'", &[]), "1");
    // A value that is no number is told, with its file, and not made null.
    write("c", "2026-01-01T11:00:00Z", vec![("n", text("many"))]);
    query(&place, "select sum(n) from e", &[])
        .fails(2, &["e/year=2026", "hour=11/c", "column n is Utf8 in this file and Int64"]);
    assert_eq!(value(&place, "select sum(n) from e where hour <> 11", &[]), "3");
    assert_eq!(value(&place, "select count(*) from e", &[]), "3");
}
