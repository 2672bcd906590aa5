//! The examples: they run as their page says, and give what it promises.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use headcount::schema::Contract;
use headcount::types::{MICROS_PER_MINUTE, parse_rfc3339};
use serde_json::Value;

use super::program::Place;
use crate::fixture::{self, Letter};
use crate::reference::{Row, Val};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

/// The sorted rows of some tables, and the dead letters.
fn lake(path: &Path, tables: &[&str]) -> (Vec<Vec<Row>>, Vec<Letter>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let lake = fixture::open(path);
        let mut found = Vec::new();
        for table in tables {
            found.push(fixture::table(&lake, table).await);
        }
        (found, fixture::dead_letters(&lake).await)
    })
}

#[test]
fn a_story_has_the_same_rows_in_every_form() {
    let place = Place::new();
    let input = examples().join("forms/*").display().to_string();
    let done = place.run(&["backfill", "--input", &input, "--lake", "out/forms"], &[]);
    done.works(&["581 events in ", "kept 574, duplicates 0, dead letters 7", "concurrent_viewers", "revenue"]);
    let (tables, letters) = lake(&place.path().join("out/forms"), &["user_events"]);

    let contract = Contract::shipped().unwrap();
    let mut forms: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for row in &tables[0] {
        let Val::Str(form) = &row["shard_id"] else { panic!("no shard: {row:?}") };
        // Only what is printed by get-records says when it arrived.
        assert_eq!(row["ingest_time"] == Val::Null, !form.starts_with("get-records"), "{form}");
        assert_eq!(row["event_time_original"], Val::Null, "no clock was repaired");
        let of_contract = row.iter().filter(|(name, _)| contract.field(name).is_some());
        forms.entry(form.clone()).or_default().push(of_contract.map(|(n, v)| (n.clone(), v.clone())).collect());
    }
    forms.values_mut().for_each(|rows| rows.sort());
    let files = std::fs::read_dir(examples().join("forms")).unwrap().count();
    assert_eq!((files, forms.len()), (14, 14), "{:?}", forms.keys());
    let lines = std::fs::read_to_string(examples().join("forms/lines.ndjson")).unwrap();
    assert_eq!(forms["lines"].len(), lines.lines().count());
    for (form, rows) in &forms {
        assert!(
            *rows == forms["lines"],
            "{form}: {}",
            crate::harness::difference(form, rows, &forms["lines"]).unwrap()
        );
    }

    assert!(letters.iter().all(|l| l.shard == "get-records-damaged"), "{letters:?}");
    let mut reasons: Vec<&str> = letters.iter().map(|l| l.reason.as_str()).collect();
    reasons.sort_unstable();
    let expected =
        ["bad_aggregate", "bad_compression", "bad_timestamp", "missing_field", "not_json", "wrong_type", "wrong_type"];
    assert_eq!(reasons, expected);
}

/// Copies a folder, so that the example's own paths lead to it.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The samples as the queries should see them: each once, those that lack something left out.
fn samples() -> Vec<Value> {
    let text = std::fs::read_to_string(examples().join("encoder_telemetry/samples.ndjson")).unwrap();
    let mut seen = BTreeSet::new();
    let events = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let whole = |e: &Value| e["kind"] != "encoder.sample" || e["frames_dropped"].is_i64();
    events.filter(whole).filter(|e| seen.insert(e["sample_id"].to_string())).collect()
}

fn text(value: &Value) -> Val {
    value.as_str().map_or(Val::Null, |s| Val::Str(s.to_owned()))
}

/// Events by the start of their window and a field.
fn grouped<'a>(events: &'a [Value], minutes: i64, field: &str) -> BTreeMap<(i64, Val), Vec<&'a Value>> {
    let size = minutes * MICROS_PER_MINUTE;
    let mut groups: BTreeMap<(i64, Val), Vec<&Value>> = BTreeMap::new();
    for event in events {
        let time = parse_rfc3339(event["measured_at"].as_str().unwrap()).unwrap();
        groups.entry((time - time % size, text(&event[field]))).or_default().push(event);
    }
    groups
}

fn row(start: i64, minutes: i64, columns: Vec<(&str, Val)>) -> Row {
    let window = [
        ("window_start", Val::Int(start)),
        ("window_end", Val::Int(start + minutes * MICROS_PER_MINUTE)),
        ("revision", Val::Int(0)),
    ];
    window.into_iter().chain(columns).map(|(name, value)| (name.to_owned(), value)).collect()
}

/// What `encoder_health` shall hold, by plain loops.
fn expected_health(samples: &[Value]) -> Vec<Row> {
    let only: Vec<Value> = samples.iter().filter(|e| e["kind"] == "encoder.sample").cloned().collect();
    let sum = |events: &[&Value], field: &str| events.iter().map(|e| e[field].as_i64().unwrap()).sum::<i64>();
    let mut rows = Vec::new();
    for ((start, encoder), events) in grouped(&only, 1, "encoder_id") {
        let (encoded, dropped) = (sum(&events, "frames_encoded"), sum(&events, "frames_dropped"));
        let mut rtts: Vec<i64> = events.iter().filter_map(|e| e["rtt_ms"].as_i64()).collect();
        rtts.sort_unstable();
        let rank = (rtts.len() * 95).div_ceil(100);
        let p95 = rank.checked_sub(1).map_or(Val::Null, |i| Val::Int(rtts[i]));
        rows.push(row(
            start,
            1,
            vec![
                ("encoder_id", encoder),
                ("samples", Val::Int(events.len() as i64)),
                ("frames_encoded", Val::Int(encoded)),
                ("frames_dropped", Val::Int(dropped)),
                ("drop_ratio", Val::Float(dropped as f64 / (encoded + dropped) as f64)),
                (
                    "bitrate_kbps_min",
                    Val::Int(events.iter().map(|e| e["bitrate_kbps"].as_i64().unwrap()).min().unwrap()),
                ),
                ("rtt_ms_p95", p95),
            ],
        ));
    }
    rows.sort();
    rows
}

/// What `region_trouble` shall hold, by plain loops.
fn expected_trouble(samples: &[Value]) -> Vec<Row> {
    let mut rows = Vec::new();
    for ((start, region), events) in grouped(samples, 5, "region") {
        let encoders: BTreeSet<&str> = events.iter().map(|e| e["encoder_id"].as_str().unwrap()).collect();
        let count = |of: &dyn Fn(&Value) -> bool| Val::Int(events.iter().filter(|e| of(e)).count() as i64);
        rows.push(row(
            start,
            5,
            vec![
                ("region", region),
                ("encoders", Val::Int(encoders.len() as i64)),
                ("restarts", count(&|e| e["kind"] == "encoder.restarted")),
                ("failovers", count(&|e| e["kind"] == "encoder.failed_over")),
                ("samples_without_signal", count(&|e| e["kind"] == "encoder.sample" && e["locked"] == false)),
            ],
        ));
    }
    rows.sort();
    rows
}

#[test]
fn another_stream_needs_a_schema_file_and_queries() {
    let place = Place::new();
    copy(&examples().join("encoder_telemetry"), &place.path().join("examples/encoder_telemetry"));
    let config = "examples/encoder_telemetry/headcount.toml";
    let fields = "12 fields of encoder_samples";
    let checked = place.run(&["check", "--config", config], &[]);
    checked.works(&[fields, "encoder_health", "region_trouble", "All is well."]);
    let input = "examples/encoder_telemetry/samples.ndjson";
    let backfill = ["backfill", "--config", config, "--input", input, "--lateness", "replay"];
    place.run(&backfill, &[]).works(&["36 events in ", "kept 34, duplicates 1, dead letters 1", "out/encoders"]);

    let (tables, letters) =
        lake(&place.path().join("out/encoders"), &["encoder_health", "region_trouble", "encoder_samples"]);
    let samples = samples();
    assert_eq!(tables[0], expected_health(&samples));
    assert_eq!(tables[1], expected_trouble(&samples));
    assert_eq!(tables[2].len(), samples.len());
    assert!(tables[1].len() > 4 && tables[0].iter().any(|r| r["rtt_ms_p95"] != r["bitrate_kbps_min"]));
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].reason.as_str(), letters[0].sequence_number.as_str()), ("missing_field", "21"));

    // Its raw rows are an input as good as the file.
    let again = [
        "backfill",
        "--config",
        config,
        "--input",
        "out/encoders/encoder_samples",
        "--lake",
        "again",
        "--lateness",
        "replay",
    ];
    place.run(&again, &[]).works(&["kept 34"]);
    assert_eq!(lake(&place.path().join("again"), &["encoder_health", "region_trouble"]).0, tables[..2]);
}

/// What only the events of users have is told, with the file and what to do.
#[test]
fn check_says_what_another_stream_cannot_have() {
    let place = Place::new();
    copy(&examples().join("encoder_telemetry"), &place.path().join("examples/encoder_telemetry"));
    let config = ["check", "--config", "examples/encoder_telemetry/headcount.toml"];
    let query = |from: &str| {
        format!("/*\ntitle = \"t\"\n*/\nSELECT window_start, window_end, viewers_max\nFROM TABLE({from})\n")
    };
    let size = "DESCRIPTOR(measured_at), INTERVAL '1' MINUTE";
    place.write("p/presence.sql", &query(&format!("CONCURRENCY(TABLE encoder_samples, {size})")));
    place.write("p/users.sql", &query(&format!("TUMBLE(TABLE user_events, {size})")));
    place.write("p/sessions.sql", &query(&format!("SESSION(TABLE encoder_samples, {size})")));
    let said = [
        "presence.sql",
        "CONCURRENCY needs the column event_time",
        "count with TUMBLE",
        "users.sql:5: there is no table user_events",
        "sessions.sql:5",
        "write SESSION(TABLE encoder_samples PARTITION BY …, DESCRIPTOR(measured_at), INTERVAL '5' MINUTE)",
        "3 problems",
    ];
    place.run(&config, &[("HEADCOUNT__PIPELINES__DIR", "p")]).fails(1, &said);
    // The shipped pipelines are about users.
    place
        .run(&config, &[("HEADCOUNT__PIPELINES__DIR", concat!(env!("CARGO_MANIFEST_DIR"), "/pipelines"))])
        .fails(1, &["there is no table user_events"]);
}
