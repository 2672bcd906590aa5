//! What a backfill does to a lake that holds something already, and what it takes for input.

mod evolution;
mod get_records;
mod letters;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use headcount::backfill::Range;
use headcount::decode::Provenance;
use headcount::engine::{EngineOptions, Pipelines};
use headcount::pipeline::PipelineFile;
use headcount::schema::Contract;
use headcount::types::{MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SEC, Micros, format_micros, parse_rfc3339};
use regex::Regex;

use crate::fixture::{self, How, TempLake, all_tables, backfill, dead_letters, try_backfill, window_tables, write};
use crate::harness::{self, Cut};
use crate::reference::{Options, RefRecord, Row, Val};

/// The hours that the tests speak of: 10:00, 11:00, 12:00.
fn hour(n: i64) -> Micros {
    parse_rfc3339("2026-02-03T00:00:00Z").unwrap() + n * MICROS_PER_HOUR
}

/// A line of an event file that arrived in time.
fn event(id: &str, kind: &str, at: Micros, more: &str) -> String {
    event_arriving(id, kind, at, at + MICROS_PER_SEC, more)
}

fn event_arriving(id: &str, kind: &str, at: Micros, arrival: Micros, more: &str) -> String {
    let (at, arrival) = (format_micros(at), format_micros(arrival));
    format!(
        r#"{{"schema_version":"1","event_id":"{id}","event_type":"{kind}","event_time":"{at}","stream_id":"s","session_id":"v"{more},"ingest_time":"{arrival}"}}"#
    )
}

/// Files of one hour each, `h10.ndjson`: a minute of viewing, a tip where wanted, and a line that is broken.
fn hours(folder: &Path, hours: &[i64], tips: &[i64]) -> Vec<String> {
    let file = |&h: &i64| {
        let at = hour(h) + 20 * MICROS_PER_MINUTE;
        let mut lines = vec![event(&format!("start-{h}"), "view.started", at, "")];
        if tips.contains(&h) {
            lines.push(event(&format!("tip-{h}"), "tip.sent", at + MICROS_PER_SEC, r#","amount_minor":7"#));
        }
        lines.push(event(&format!("end-{h}"), "view.ended", at + 40 * MICROS_PER_SEC, ""));
        lines.push(format!("broken {h}"));
        write(folder.join(format!("h{h}.ndjson")), lines.join("\n") + "\n")
    };
    hours.iter().map(file).collect()
}

async fn pipelines(options: Options) -> Arc<Pipelines> {
    harness::pipelines(&harness::shipped(), &options).await
}

/// Rows of one hour of each table, by the table's time.
fn of_hour(tables: &BTreeMap<String, Vec<Row>>, h: i64) -> BTreeMap<String, Vec<Row>> {
    let inside = |row: &Row| {
        let time = row.get("window_start").unwrap_or_else(|| &row["event_time"]);
        *time >= Val::Int(hour(h)) && *time < Val::Int(hour(h + 1))
    };
    tables.iter().map(|(name, rows)| (name.clone(), rows.iter().filter(|r| inside(r)).cloned().collect())).collect()
}

/// The paths of all files of an hour.
async fn files(lake: &TempLake, pipelines: &Pipelines, h: i64) -> Vec<String> {
    let mut names = vec!["user_events".to_owned(), "_dead_letters".to_owned()];
    names.extend(pipelines.plans.iter().flat_map(|p| [p.name.clone(), format!("_late/{}", p.name)]));
    let mut paths = Vec::new();
    for name in names {
        paths.extend(lake.lake.list_hour(&name, hour(h)).await.unwrap().into_iter().map(|f| f.path));
    }
    paths
}

async fn broken_lines(lake: &TempLake) -> Vec<String> {
    dead_letters(&lake.lake).await.into_iter().map(|l| l.data).collect()
}

#[tokio::test]
async fn a_second_backfill_replaces_its_hours_and_leaves_the_others() {
    let pipelines = pipelines(Options::default()).await;
    let (lake, folder) = (TempLake::new(), tempfile::tempdir().unwrap());
    let all = hours(&folder.path().join("a"), &[10, 11, 12], &[10, 11, 12]);
    let first = backfill(&pipelines, &all, &lake.lake, How::default()).await;
    assert_eq!((first.counters.kept, first.counters.dead_letters), (9, 3));
    let once = all_tables(&lake.lake, &pipelines).await;
    for name in ["user_events", "concurrent_viewers", "platform_totals", "revenue", "stream_engagement"] {
        assert!((10..13).all(|h| !of_hour(&once, h)[name].is_empty()), "{name}");
    }

    let second = backfill(&pipelines, &all, &lake.lake, How::default()).await;
    assert_eq!(all_tables(&lake.lake, &pipelines).await, once, "the same again changes nothing");
    assert_eq!(broken_lines(&lake).await, ["broken 10", "broken 11", "broken 12"]);
    assert_eq!((second.replaced.files, second.replaced.files_removed), (first.replaced.files, first.replaced.files));

    // An hour of it with another content: no tips any more.
    let untouched = (files(&lake, &pipelines, 10).await, files(&lake, &pipelines, 12).await);
    let eleven = hours(&folder.path().join("b"), &[11], &[]);
    backfill(&pipelines, &eleven, &lake.lake, How::default()).await;
    assert_eq!((files(&lake, &pipelines, 10).await, files(&lake, &pipelines, 12).await), untouched);
    let now = all_tables(&lake.lake, &pipelines).await;
    assert_eq!(of_hour(&now, 10), of_hour(&once, 10));
    assert_eq!(of_hour(&now, 12), of_hour(&once, 12));
    let of_eleven = of_hour(&now, 11);
    assert_eq!(of_eleven["user_events"].len(), 2);
    assert_eq!(of_eleven["stream_engagement"], of_hour(&once, 11)["stream_engagement"]);
    assert!(of_eleven["revenue"].is_empty(), "an hour without rows becomes empty");
    assert!(lake.lake.list_hour("revenue", hour(11)).await.unwrap().is_empty());
    assert_eq!(broken_lines(&lake).await, ["broken 10", "broken 11", "broken 12"]);
}

#[tokio::test]
async fn only_the_hours_of_the_range_are_written() {
    for (from, to) in [(Some(hour(10) + 1), None), (None, Some(hour(11) + MICROS_PER_MINUTE))] {
        assert_eq!(Range::try_new(from, to).unwrap_err().exit_code(), 2);
    }
    let pipelines = pipelines(Options::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let old = hours(&folder.path().join("old"), &[10, 11, 12, 13], &[10, 11, 12, 13]);
    // A session that reaches into the hour from the one before, and no tips.
    let mut new = hours(&folder.path().join("new"), &[10, 11, 12], &[]);
    let across = event("across", "view.heartbeat", hour(11) - 10 * MICROS_PER_SEC, r#","viewer_id":"x""#);
    new.push(write(folder.path().join("new/across.ndjson"), across));

    let whole = TempLake::new();
    backfill(&pipelines, &new, &whole.lake, How::default()).await;
    let whole = all_tables(&whole.lake, &pipelines).await;
    let lake = TempLake::new();
    backfill(&pipelines, &old, &lake.lake, How::default()).await;
    let before = all_tables(&lake.lake, &pipelines).await;
    let untouched = (files(&lake, &pipelines, 10).await, files(&lake, &pipelines, 12).await);

    let range = Range::try_new(Some(hour(11)), Some(hour(12))).unwrap();
    backfill(&pipelines, &new, &lake.lake, How { range, ..How::default() }).await;
    assert_eq!((files(&lake, &pipelines, 10).await, files(&lake, &pipelines, 12).await), untouched);
    let now = all_tables(&lake.lake, &pipelines).await;
    assert_eq!(of_hour(&now, 11), of_hour(&whole, 11));
    assert_ne!(of_hour(&now, 11), of_hour(&before, 11));
    assert!(of_hour(&now, 11)["concurrent_viewers"].iter().any(|r| r["window_start"] == Val::Int(hour(11))));
    assert_eq!(of_hour(&now, 13), of_hour(&before, 13));
    assert_eq!(broken_lines(&lake).await, ["broken 10", "broken 11", "broken 12", "broken 13"]);

    let range = Range::try_new(Some(hour(13)), Some(hour(14))).unwrap();
    let e = try_backfill(&pipelines, &new, &lake.lake, How { range, ..How::default() }).await.unwrap_err();
    assert_eq!((e.exit_code(), e.message().contains("no event of the input lies within")), (2, true), "{e}");
    let now = all_tables(&lake.lake, &pipelines).await;
    assert_eq!(of_hour(&now, 13), of_hour(&before, 13), "nothing replaces nothing");

    let range = Range::try_new(Some(hour(12)), Some(hour(14))).unwrap();
    backfill(&pipelines, &new, &lake.lake, How { range, ..How::default() }).await;
    let now = all_tables(&lake.lake, &pipelines).await;
    assert!(of_hour(&now, 13).values().all(Vec::is_empty), "the range says which hours become empty");
    assert_eq!(of_hour(&now, 12), of_hour(&whole, 12));
}

/// A table of tips by windows that begin in other hours than those of their events.
async fn tips_of_two_hours(query: &str) -> Arc<Pipelines> {
    let text = format!("/*\ntitle = \"t\"\nkeys = []\n*/\n{query}");
    harness::pipelines(&[PipelineFile::parse("pipelines/tips.sql", &text).unwrap()], &Options::default()).await
}

#[tokio::test]
async fn windows_that_begin_in_an_hour_without_events_are_replaced_too() {
    let of_stream = "TABLE user_events, DESCRIPTOR(event_time)";
    let tips = |call: &str| {
        let of = format!(
            "COUNT(*) AS tips FROM TABLE({call}) WHERE event_type = 'tip.sent' GROUP BY window_start, window_end"
        );
        (format!("SELECT window_start, window_end, {of}"), format!("SELECT window_time, {of}, window_time"))
    };
    // A tip of 13:20 is in windows of an hour that end until 14:20, and these in windows of half an hour that begin until 14:00.
    let (_, of_hops) = tips(&format!("HOP({of_stream}, INTERVAL '10' MINUTE, INTERVAL '1' HOUR)"));
    let of_hops = format!(
        "SELECT window_start, window_end, MAX(tips) AS tips
         FROM TABLE(TUMBLE(TABLE ({of_hops}), DESCRIPTOR(window_time), INTERVAL '30' MINUTE)) GROUP BY window_start, window_end"
    );
    for (call, starts) in [
        (tips(&format!("TUMBLE({of_stream}, INTERVAL '2' HOUR)")).0, vec![hour(12)]),
        (
            tips(&format!("HOP({of_stream}, INTERVAL '1' HOUR, INTERVAL '3' HOUR)")).0,
            vec![hour(11), hour(12), hour(13)],
        ),
        (of_hops, vec![hour(13), hour(13) + 30 * MICROS_PER_MINUTE, hour(14)]),
    ] {
        let pipelines = tips_of_two_hours(&call).await;
        let (lake, folder) = (TempLake::new(), tempfile::tempdir().unwrap());
        // The only events are of 13:20.
        let thirteen = hours(&folder.path().join("a"), &[13], &[13]);
        for time in ["the first time", "the second time"] {
            backfill(&pipelines, &thirteen, &lake.lake, How::default()).await;
            let tips = lake.table("tips").await;
            let found: Vec<&Val> = tips.iter().map(|row| &row["window_start"]).collect();
            assert_eq!(
                found,
                starts.iter().map(|t| Val::Int(*t)).collect::<Vec<_>>().iter().collect::<Vec<_>>(),
                "{call}: {time}"
            );
            assert!(tips.iter().all(|row| row["tips"] == Val::Int(1)), "{call}: {time}");
        }
        // The same hour without its tip: no window is emitted any more, and none may be left of the last time.
        let without = hours(&folder.path().join("b"), &[13], &[]);
        backfill(&pipelines, &without, &lake.lake, How::default()).await;
        assert_eq!(lake.table("tips").await, Vec::<Row>::new(), "{call}");
    }
}

#[tokio::test]
async fn windows_that_hop_are_those_of_a_live_run() {
    let sql = "SELECT window_start, window_end, stream_id, COUNT(*) AS events, COUNT(DISTINCT viewer_id) AS viewers,
         PERCENTILE(startup_ms, 0.5) AS startup_ms, MAX(event_id) AS last_id
       FROM TABLE(HOP(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND, INTERVAL '7' MINUTE))
       GROUP BY window_start, window_end, stream_id";
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/input");
    let mut records = Vec::new();
    for shard in std::fs::read_dir(&golden).unwrap().map(|entry| entry.unwrap().path()) {
        let name = shard.file_stem().unwrap().to_str().unwrap().to_owned();
        for (line, sequence) in std::fs::read_to_string(&shard).unwrap().lines().zip(1..) {
            let (shard, bytes) = (name.clone(), line.as_bytes().to_vec());
            records.push(RefRecord { shard, sequence, arrival: None, bytes });
        }
    }
    for allowed in [0, 40] {
        let text = format!("/*\ntitle = \"t\"\nkeys = [\"stream_id\"]\nallowed_lateness_secs = {allowed}\n*/\n{sql}\n");
        let file = PipelineFile::parse("pipelines/hops.sql", &text).unwrap();
        let pipelines = harness::pipelines(&[file], &Options::default()).await;
        let live = harness::run(&pipelines, &records, Provenance::Row, Cut { records: 5, reversed: false }).await;
        assert!(live.tables["hops"].len() > 100 && live.counters.pipelines["hops"].partly_late > 0);
        assert_eq!(allowed > 0, live.tables["hops"].iter().any(|row| row["revision"] == Val::Int(1)));
        for (workers, memory_bytes_max) in [(1, 64 << 20), (3, 10_000)] {
            let lake = TempLake::new();
            let how = How { workers, memory_bytes_max, ..How::default() };
            let summary = backfill(&pipelines, &[golden.to_str().unwrap().to_owned()], &lake.lake, how).await;
            assert_eq!(harness::difference("hops", &lake.table("hops").await, &live.tables["hops"]), None);
            assert_eq!(summary.counters.pipelines, live.counters.pipelines);
            assert_eq!(lake.table("_late/hops").await.len(), live.late["hops"].len());
        }
    }
}

#[tokio::test]
async fn a_table_that_waits_long_takes_no_more_memory() {
    let folder = tempfile::tempdir().unwrap();
    let minutes = 12 * 60;
    let heartbeat = |n: i64| {
        let at = hour(0) + n / 40 * MICROS_PER_MINUTE;
        event(&format!("{n}"), "view.heartbeat", at, &format!(r#","viewer_id":"viewer {}""#, n % 40))
    };
    let lines: Vec<String> = (0..minutes * 40).map(heartbeat).collect();
    let input = [write(folder.path().join("a.ndjson"), lines.join("\n"))];
    let mut given = Vec::new();
    // A day: the windows of all of the input are open together in a live run.
    for header in ["", "watermark_delay_secs = 86400", "watermark_delay_secs = 86400\nallowed_lateness_secs = 60"] {
        let text = format!(
            "/*\ntitle = \"t\"\nkeys = [\"viewer_id\"]\n{header}\n*/\nSELECT window_start, window_end, viewer_id, COUNT(*) AS n
             FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
             GROUP BY window_start, window_end, viewer_id"
        );
        let file = PipelineFile::parse("pipelines/minutes.sql", &text).unwrap();
        // Some buckets' windows fit, and not all of them.
        let options = EngineOptions { memory_bytes_max: 1 << 20, ..harness::engine_options(&Options::default()) };
        let contract = Arc::new(Contract::shipped().unwrap());
        let pipelines = Arc::new(Pipelines::compile(contract, &[file], options).await.unwrap());
        let lake = TempLake::new();
        backfill(&pipelines, &input, &lake.lake, How::default()).await;
        given.push(lake.table("minutes").await);
    }
    assert_eq!(given[0].len(), usize::try_from(minutes * 40).unwrap());
    assert!(given.iter().all(|rows| *rows == given[0]), "the delay changes no row here: none is late");
}

#[tokio::test]
async fn compressed_and_parquet_input_equal_the_plain_one() {
    let pipelines = pipelines(Options::default()).await;
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/input");
    let folder = tempfile::tempdir().unwrap();
    let plain = TempLake::new();
    let summary = backfill(&pipelines, &[golden.to_str().unwrap().to_owned()], &plain.lake, How::default()).await;
    let expected = all_tables(&plain.lake, &pipelines).await;

    for ending in ["gz", "zst"] {
        for entry in std::fs::read_dir(&golden).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            let text = std::fs::read(&path).unwrap();
            let packed = match ending {
                "gz" => {
                    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                    encoder.write_all(&text).unwrap();
                    encoder.finish().unwrap()
                }
                _ => zstd::encode_all(text.as_slice(), 1).unwrap(),
            };
            write(folder.path().join(format!("{name}.{ending}")), packed);
        }
        let lake = TempLake::new();
        let inputs = [folder.path().join(format!("*.{ending}")).to_str().unwrap().to_owned()];
        let packed = backfill(&pipelines, &inputs, &lake.lake, How::default()).await;
        assert!(all_tables(&lake.lake, &pipelines).await == expected, "{ending}");
        assert_eq!(packed.counters, summary.counters, "{ending}");
        assert_eq!(dead_letters(&lake.lake).await, dead_letters(&plain.lake).await, "{ending}");
    }

    // The raw events of a lake, as a folder, as a glob, and into the lake that they are of.
    for (input, workers) in [("user_events", 1), ("user_events/**/*.parquet", 2)] {
        let lake = TempLake::new();
        let again = backfill(&pipelines, &[plain.path(input)], &lake.lake, How { workers, ..How::default() }).await;
        assert!(all_tables(&lake.lake, &pipelines).await == expected, "{input}");
        assert_eq!((again.counters.kept, again.counters.duplicates), (summary.counters.kept, 0));
    }
    let buried = dead_letters(&plain.lake).await;
    backfill(&pipelines, &[plain.path("user_events")], &plain.lake, How::default()).await;
    assert!(all_tables(&plain.lake, &pipelines).await == expected, "a lake's own events into itself");
    assert_eq!(dead_letters(&plain.lake).await, buried, "its raw events know nothing of its dead letters");
}

/// Files of two shards whose parts share judgement: an id that comes again, and a row that the part before has made late.
fn parts() -> Vec<(&'static str, String)> {
    let at = hour(10) + 5 * MICROS_PER_MINUTE;
    let chat = |id: &str, secs: i64, arrival: i64| {
        event_arriving(id, "chat.message_sent", at + secs * MICROS_PER_SEC, at + arrival * MICROS_PER_SEC, "")
    };
    vec![
        ("red-1.ndjson", [chat("r1", 0, 1), chat("same", 70, 71)].join("\n")),
        ("red-10.ndjson", [chat("same", 72, 73), chat("r2", 130, 131), "broken".to_owned()].join("\n") + "\n"),
        ("red-2.ndjson", [chat("r3", 10, 132), chat("r4", 131, 133)].join("\n") + "\n"),
        ("blue-1.ndjson", [chat("same", 74, 75), chat("b1", 10, 76)].join("\n") + "\n"),
    ]
}

#[tokio::test]
async fn files_of_one_shard_are_judged_as_one_in_the_order_of_their_names() {
    let pipelines = pipelines(Options::default()).await;
    let folder = tempfile::tempdir().unwrap();
    let mut joined: BTreeMap<&str, String> = BTreeMap::new();
    for (name, text) in parts() {
        write(folder.path().join("parts").join(name), &text);
        let (color, _) = name.split_once('-').unwrap();
        let whole = joined.entry(color).or_default();
        whole.push_str(text.trim_end());
        whole.push('\n');
    }
    for (color, text) in joined {
        write(folder.path().join("whole").join(format!("{color}.ndjson")), text);
    }
    let input = |below: &str| [folder.path().join(below).to_str().unwrap().to_owned()];

    let whole = TempLake::new();
    let expected = backfill(&pipelines, &input("whole"), &whole.lake, How::default()).await;
    assert_eq!((expected.counters.kept, expected.counters.duplicates), (7, 1));
    assert_eq!(expected.counters.pipelines["stream_engagement"].late, 1);

    let grouped = TempLake::new();
    let how = How { shard_from: Some(Regex::new("^([a-z]+)-").unwrap()), ..How::default() };
    let summary = backfill(&pipelines, &input("parts"), &grouped.lake, how).await;
    assert_eq!(summary.counters, expected.counters);
    assert_eq!(all_tables(&grouped.lake, &pipelines).await, all_tables(&whole.lake, &pipelines).await);
    assert_eq!(dead_letters(&grouped.lake).await, dead_letters(&whole.lake).await);

    // Each file for itself knows nothing of the others.
    let apart = TempLake::new();
    let summary = backfill(&pipelines, &input("parts"), &apart.lake, How::default()).await;
    assert_eq!((summary.counters.kept, summary.counters.duplicates), (8, 0));

    let how = How { shard_from: Some(Regex::new("green").unwrap()), ..How::default() };
    let error = try_backfill(&pipelines, &input("parts"), &apart.lake, how).await.unwrap_err();
    assert_eq!(error.exit_code(), 2);
}

#[tokio::test]
async fn a_backfill_that_fails_changes_nothing() {
    let pipelines = pipelines(Options::default()).await;
    let (lake, folder) = (TempLake::new(), tempfile::tempdir().unwrap());
    let good = hours(&folder.path().join("a"), &[10, 11], &[10, 11]);
    backfill(&pipelines, &good, &lake.lake, How::default()).await;
    let before = (all_tables(&lake.lake, &pipelines).await, files(&lake, &pipelines, 10).await);

    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(event("x", "view.started", hour(10), "").as_bytes()).unwrap();
    let mut cut = encoder.finish().unwrap();
    cut.truncate(cut.len() - 9);
    let mut inputs = hours(&folder.path().join("b"), &[10, 11], &[]);
    inputs.push(write(folder.path().join("b/b.ndjson.gz"), cut));
    let error = try_backfill(&pipelines, &inputs, &lake.lake, How::default()).await.unwrap_err();
    assert_eq!(error.exit_code(), 1);
    assert!(error.place().is_some_and(|p| p.contains("b.ndjson.gz")), "{error}");
    assert_eq!((all_tables(&lake.lake, &pipelines).await, files(&lake, &pipelines, 10).await), before);
    let staged = std::fs::read_dir(lake.folder.path().join("_staging")).map_or(0, Iterator::count);
    assert_eq!(staged, 0, "nothing stays staged");
}

/// The rows that tell a late row apart are what differs between the two ways to treat lateness, and nothing else.
#[tokio::test]
async fn ignoring_lateness_changes_only_what_late_rows_touch() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/input").to_str().unwrap().to_owned();
    let (replay, ignore) = (TempLake::new(), TempLake::new());
    let judging = pipelines(Options::default()).await;
    backfill(&judging, std::slice::from_ref(&golden), &replay.lake, How::default()).await;
    let ignoring = pipelines(Options::default().ignoring_lateness()).await;
    backfill(&ignoring, &[golden], &ignore.lake, How::default()).await;
    let (replayed, ignored) =
        (window_tables(&replay.lake, &judging).await, window_tables(&ignore.lake, &ignoring).await);
    assert_eq!(fixture::table(&replay.lake, "user_events").await, fixture::table(&ignore.lake, "user_events").await);
    for table in ["playback_quality", "revenue", "stream_engagement", "stream_quality_changes", "user_activity"] {
        let late = &replayed[&format!("_late/{table}")];
        let minute = |t: &Val| match t {
            Val::Int(t) => t - t.rem_euclid(MICROS_PER_MINUTE),
            other => panic!("no time: {other:?}"),
        };
        let touched: Vec<i64> = late.iter().map(|r| minute(&r["event_time"])).collect();
        assert!(!touched.is_empty(), "{table}");
        let others = |rows: &[Row]| -> Vec<Row> {
            rows.iter().filter(|r| !touched.contains(&minute(&r["window_start"]))).cloned().collect()
        };
        assert_eq!(others(&replayed[table]), others(&ignored[table]), "{table}");
        assert_ne!(replayed[table], ignored[table], "{table}");
        assert!(ignored[&format!("_late/{table}")].is_empty());
    }
}
