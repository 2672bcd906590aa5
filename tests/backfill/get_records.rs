//! Files of what `aws kinesis get-records` prints: the same tables as from the stream.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headcount::decode::Provenance;
use headcount::types::format_micros;
use serde_json::{Value, json};

use crate::fixture::{How, TempLake, all_tables, backfill, dead_letters, try_backfill, write};
use crate::harness::{self, Cut};
use crate::reference::{Options, RefRecord, Scenario, Shape, Val};

/// What one call gave: by the version of the command line, whose numbers tell seconds.
fn document(records: &[RefRecord], version: u8) -> Value {
    let arrival = |at: i64| match version {
        1 => json!(at as f64 / 1e6),
        _ => json!(format_micros(at).replace('Z', "+00:00")),
    };
    let entry = |r: &RefRecord| {
        json!({
            "SequenceNumber": r.sequence.to_string(),
            "ApproximateArrivalTimestamp": arrival(r.arrival.unwrap()),
            "Data": STANDARD.encode(&r.bytes),
            "PartitionKey": "k",
            "EncryptionType": "KMS",
        })
    };
    json!({
        "Records": records.iter().map(entry).collect::<Vec<_>>(),
        "NextShardIterator": "AAAA/+==",
        "MillisBehindLatest": 0,
    })
}

fn by_shard(records: Vec<RefRecord>) -> BTreeMap<String, Vec<RefRecord>> {
    let mut shards: BTreeMap<String, Vec<RefRecord>> = BTreeMap::new();
    records.into_iter().for_each(|r| shards.entry(r.shard.clone()).or_default().push(r));
    shards
}

#[tokio::test]
async fn they_are_replayed_as_a_live_run_reads_the_stream() {
    let options = Options::default();
    let pipelines = harness::pipelines(&harness::shipped(), &options).await;
    for seed in 0..4 {
        let records = Scenario::seeded(seed, Shape { arrays: true, ..Shape::default() }).records(&options);
        let live = harness::run(&pipelines, &records, Provenance::Record, Cut { records: 7, reversed: false }).await;

        let folder = tempfile::tempdir().unwrap();
        for (shard, records) in by_shard(records) {
            // Two calls, the second without a line break before it; an empty one comes first.
            let (first, second) = records.split_at(records.len() / 2);
            let text = match seed % 2 {
                0 => format!("{:#}\n{:#}{}\n", document(&[], 2), document(first, 2), document(second, 2)),
                _ => format!("{}\n{:#}{}\n", document(&[], 1), document(first, 1), document(second, 1)),
            };
            let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
            std::io::Write::write_all(&mut encoder, text.as_bytes()).unwrap();
            write(folder.path().join(format!("{shard}.json.zst")), encoder.finish().unwrap());
        }
        let lake = TempLake::new();
        let inputs = [folder.path().to_str().unwrap().to_owned()];
        let summary = backfill(&pipelines, &inputs, &lake.lake, How::default()).await;
        assert_eq!(summary.counters, live.counters, "seed {seed}");
        let tables = all_tables(&lake.lake, &pipelines).await;
        assert_eq!(tables["user_events"], live.events, "seed {seed}");
        for (name, rows) in &live.tables {
            assert_eq!(&tables[name], rows, "seed {seed}, {name}");
        }
        let found: Vec<_> = dead_letters(&lake.lake).await.into_iter().map(|l| (l.shard, l.sequence_number)).collect();
        let mut expected: Vec<_> =
            live.dead_letters.iter().map(|l| (l.shard.to_string(), l.sequence_number.to_string())).collect();
        let mut found = found;
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "seed {seed}");
    }
}

fn entry(number: &str, data: &str) -> String {
    format!(
        r#"{{"SequenceNumber":"{number}","ApproximateArrivalTimestamp":"2026-02-03T10:00:01+00:00","Data":"{data}","PartitionKey":"k"}}"#
    )
}

#[tokio::test]
async fn provenance_is_the_records_and_a_bad_entry_costs_no_other() {
    let pipelines = harness::pipelines(&harness::shipped(), &Options::default()).await;
    let event = |id: &str| {
        STANDARD.encode(format!(
            r#"{{"schema_version":"1","event_id":"{id}","event_type":"user.logged_in","event_time":"2026-02-03T10:00:00Z","shard_id":"forged","sequence_number":"0","ingest_time":"2026-02-03T10:00:30Z"}}"#
        ))
    };
    let bad = entry("4902", "not base64!");
    let text = format!(r#"{{"Records":[{},{bad},{}]}}"#, entry("4901", &event("a")), entry("4903", &event("b")));
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path().join("shardId-000000000007.json"), text);
    let lake = TempLake::new();
    let summary = backfill(&pipelines, &[file], &lake.lake, How::default()).await;
    assert_eq!((summary.counters.read, summary.counters.kept, summary.counters.dead_letters), (3, 2, 1));
    let rows = lake.table("user_events").await;
    let places: Vec<String> =
        rows.iter().map(|r| format!("{:?} {:?} {:?}", r["shard_id"], r["sequence_number"], r["ingest_time"])).collect();
    let arrival = "2026-02-03T10:00:01Z";
    let place = |number| {
        format!(
            r#"Str("shardId-000000000007") Str("{number}") Int({})"#,
            headcount::types::parse_rfc3339(arrival).unwrap()
        )
    };
    assert_eq!(places, [place("4901"), place("4903")]);
    let letters = dead_letters(&lake.lake).await;
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].data.as_str(), letters[0].reason.as_str()), (bad.as_str(), "wrong_type"));
    assert_eq!((letters[0].shard.as_str(), letters[0].sequence_number.as_str()), ("shardId-000000000007", "4902"));
}

#[tokio::test]
async fn a_file_that_is_cut_off_is_refused_and_nothing_is_written() {
    let pipelines = harness::pipelines(&harness::shipped(), &Options::default()).await;
    let text = format!(r#"{{"Records":[{},{}]}}"#, entry("1", "e30="), entry("2", "e30="));
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path().join("cut.json"), &text[..text.len() - 30]);
    let lake = TempLake::new();
    let e = try_backfill(&pipelines, std::slice::from_ref(&file), &lake.lake, How::default()).await.unwrap_err();
    assert_eq!((e.exit_code(), e.place()), (2, Some(file.as_str())));
    assert!(e.message().contains("cut off behind record 1"), "{e}");
    assert!(dead_letters(&lake.lake).await.is_empty());
}

/// Printed over several lines, events are what they are on one.
#[tokio::test]
async fn values_over_several_lines_are_the_lines_of_ndjson() {
    let pipelines = harness::pipelines(&harness::shipped(), &Options::default()).await;
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/input/simulated-0.ndjson");
    let text = std::fs::read_to_string(golden).unwrap();
    let events: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert!(events.len() > 50);
    let lines: String = events.iter().map(|e| format!("{e}\n")).collect();
    let objects: String = events.iter().map(|e| format!("{e:#}\n")).collect();
    let array = format!("{:#}", Value::from(events));
    let mut expected = None;
    for text in [lines, objects, array] {
        let folder = tempfile::tempdir().unwrap();
        let file = write(folder.path().join("events.json"), text);
        let lake = TempLake::new();
        backfill(&pipelines, &[file], &lake.lake, How::default()).await;
        let mut tables = all_tables(&lake.lake, &pipelines).await;
        // An object is kept as its text, with the white space that it has.
        for row in tables.values_mut().flatten() {
            if let Some(Val::Str(text)) = row.get("properties") {
                let object: Value = serde_json::from_str(text).unwrap();
                row.insert("properties".to_owned(), Val::Str(object.to_string()));
            }
        }
        let letters: Vec<_> =
            dead_letters(&lake.lake).await.into_iter().map(|l| (l.reason, l.sequence_number)).collect();
        let first = expected.get_or_insert_with(|| (tables.clone(), letters.clone()));
        assert_eq!((&tables, &letters), (&first.0, &first.1));
    }
}
