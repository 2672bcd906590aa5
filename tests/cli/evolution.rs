//! A schema or a query that changes over a lake that is there: `check` says what no longer fits.

use super::program::Place;

const EVENT: &str = r#"{"schema_version":"1","event_id":"1","event_type":"view.heartbeat","event_time":1767290400000,"stream_id":"s","session_id":"v","played_ms":30000}"#;

const QUERY: &str = "/*
title = \"Heartbeats\"
*/
SELECT
  window_start,
  window_end,
  COUNT(*) AS heartbeats,
  SUM(played_ms) AS played_ms
FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
GROUP BY window_start, window_end
";

const SETTINGS: [(&str, &str); 4] = [
    ("HEADCOUNT__SCHEMA__PATH", "schema.json"),
    ("HEADCOUNT__PIPELINES__DIR", "p"),
    ("HEADCOUNT__LAKE__URL", "lake"),
    ("HEADCOUNT__SERVE__LISTEN", "127.0.0.1:0"),
];

fn schema() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/user_event.v1.json")).unwrap()
}

/// A schema, a query, and a lake that was written by them.
fn place() -> Place {
    let place = Place::new();
    place.write("schema.json", &schema());
    place.write("p/heartbeats.sql", QUERY);
    place.write("one.ndjson", EVENT);
    place.run(&["backfill", "--input", "one.ndjson"], &SETTINGS).works(&["heartbeats", "user_events"]);
    place
}

/// The schema with the definition of one field replaced.
fn with_field(name: &str, definition: &str) -> String {
    let mut schema: serde_json::Value = serde_json::from_str(&schema()).unwrap();
    schema["properties"][name] = serde_json::from_str(definition).unwrap();
    format!("{schema:#}")
}

fn line_of(text: &str, words: &str) -> usize {
    1 + text.lines().position(|line| line.contains(words)).unwrap()
}

/// What writes to the lake.
const WRITERS: [&[&str]; 3] =
    [&["run", "--for", "1s"], &["backfill", "--input", "one.ndjson"], &["dead-letters", "replay"]];

fn check(place: &Place) -> super::program::Outcome {
    place.run(&["check"], &SETTINGS)
}

#[test]
fn what_fits_is_well_and_the_lake_stays_as_it_is() {
    let place = place();
    let before = place.parquet("lake");
    // The raw events and one table, of one hour each.
    check(&place).works(&["lake: its files have the same columns (2 looked at)", "All is well."]);
    assert_eq!(place.parquet("lake"), before);
}

#[test]
fn a_field_more_is_well_and_one_less_is_a_note() {
    let place = place();
    place.write("schema.json", &with_field("referrer", r#"{ "type": "string" }"#));
    let said = check(&place).works(&[
        "32 fields",
        "lake: its files can be read together with new ones, though 1 of 2 have other columns",
        "note: column referrer of user_events is new: it is null in older files: lake/user_events/year=",
        "All is well.",
    ]);
    assert_eq!(said.stdout.matches("note:").count(), 1, "{said:#?}");

    let mut fewer: serde_json::Value = serde_json::from_str(&schema()).unwrap();
    fewer["properties"].as_object_mut().unwrap().remove("live_latency_ms");
    place.write("schema.json", &fewer.to_string());
    check(&place).works(&[
        "note: column live_latency_ms of user_events",
        "stay readable",
        "lake/user_events/year=",
        "All is well.",
    ]);

    place.write("schema.json", &schema());
    place.write("p/heartbeats.sql", &QUERY.replace("  COUNT(*) AS heartbeats,\n", ""));
    check(&place).works(&["note: column heartbeats of heartbeats", "All is well."]);
}

#[test]
fn another_type_is_a_problem_with_both_files_both_types_and_the_remedy() {
    let place = place();
    let changed = with_field("played_ms", r#"{ "type": "integer", "format": "int64" }"#);
    place.write("schema.json", &changed);
    let at = format!("schema.json:{} (/properties/played_ms)", line_of(&changed, "\"played_ms\""));
    let file = "lake/user_events/year=2026/month=01/day=01/hour=18/";
    let words = [
        at.as_str(),
        "column played_ms of user_events is Int64 now, and Int32 in the lake",
        file,
        "remedy:",
        "a name of its own",
        "1 problem",
    ];
    check(&place).fails(1, &words);
    // So say those that would write it; a command that only reads goes on.
    let before = place.parquet("lake");
    for command in WRITERS {
        place.run(command, &SETTINGS).fails(2, &words[..5]);
    }
    assert_eq!(place.parquet("lake"), before);
    place.run(&["dead-letters", "list"], &SETTINGS).works(&[]);

    place.write("schema.json", &schema());
    place.write("p/heartbeats.sql", &QUERY.replace("COUNT(*) AS", "CAST(COUNT(*) AS DOUBLE) AS"));
    let file = "lake/heartbeats/year=2026/month=01/day=01/hour=18/";
    let words = [
        "p/heartbeats.sql:7: column heartbeats of heartbeats is Float64 now, and Int64 in the lake",
        file,
        "another table",
        "1 problem",
    ];
    check(&place).fails(1, &words);
    for command in &WRITERS[..2] {
        place.run(command, &SETTINGS).fails(2, &words[..3]);
    }
    // Raw events and dead letters are no matter of a query.
    place.run(WRITERS[2], &SETTINGS).works(&["nothing changes in lake"]);
    assert_eq!(place.parquet("lake"), before);
    // Under another name it is another table.
    std::fs::rename(place.path().join("p/heartbeats.sql"), place.path().join("p/heartbeats_2.sql")).unwrap();
    check(&place).works(&["heartbeats_2", "All is well."]);
}

#[test]
fn a_lake_that_does_not_answer_is_a_note() {
    let place = place();
    // Nobody listens there.
    let bucket = [
        ("HEADCOUNT__LAKE__URL", "s3://bucket/lake"),
        ("HEADCOUNT__LAKE__ENDPOINT_URL", "http://127.0.0.1:9"),
        ("AWS_ACCESS_KEY_ID", "x"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
    ];
    let settings = [&SETTINGS[..2], &bucket[..]].concat();
    place.run(&["check"], &settings).works(&["note: the lake at s3://bucket/lake was not looked at", "All is well."]);

    place.write("file", "x");
    let settings = [&SETTINGS[..2], &[("HEADCOUNT__LAKE__URL", "file")][..]].concat();
    place.run(&["check"], &settings).fails(1, &["the lake is a file, not a folder"]);

    let name = place.parquet("lake/heartbeats").remove(0);
    std::fs::write(&name, "PAR1").unwrap();
    check(&place).works(&[
        "note: heartbeats was not compared with the lake",
        "not a readable Parquet file",
        "All is well.",
    ]);
}
