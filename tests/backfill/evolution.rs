//! A field more in the schema: null for the events and files from before it.

use std::sync::Arc;

use headcount::engine::Pipelines;
use headcount::schema::Contract;
use serde_json::{Value, json};

use crate::fixture::{How, TempLake, all_tables, backfill, try_backfill, write};
use crate::harness;
use crate::reference::{Options, Row, Val};

/// The shipped contract with these fields more.
fn contract(more: &[(&str, Value)]) -> Arc<Contract> {
    let (place, text) = Contract::shipped_file();
    let mut schema: Value = serde_json::from_str(text).unwrap();
    for (name, definition) in more {
        schema["properties"][*name] = definition.clone();
    }
    Arc::new(Contract::from_json(&schema.to_string(), place).unwrap())
}

fn newer() -> Arc<Contract> {
    contract(&[
        ("referrer", json!({ "type": "string" })),
        ("clip_ms", json!({ "type": "integer", "format": "int32" })),
        ("clipped_at", json!({ "type": ["string", "integer"], "format": "date-time" })),
        ("is_clip", json!({ "type": "boolean" })),
    ])
}

async fn pipelines(contract: Arc<Contract>) -> Arc<Pipelines> {
    let options = harness::engine_options(&Options::default());
    Arc::new(Pipelines::compile(contract, &harness::shipped(), options).await.unwrap())
}

fn line(id: &str, minute: u32, more: &str) -> String {
    format!(
        r#"{{"schema_version":"1","event_id":"{id}","event_type":"view.started","event_time":"2026-02-03T10:{minute:02}:00Z","stream_id":"s","session_id":"{id}","ingest_time":"2026-02-03T10:{minute:02}:01Z"{more}}}"#
    ) + "\n"
}

const NEW_FIELDS: &str = r#","referrer":"mail","clip_ms":250,"clipped_at":1770112800000,"is_clip":true"#;

fn new_fields(rows: &[Row], id: &str) -> [Val; 4] {
    let row = rows.iter().find(|r| r["event_id"] == Val::Str(id.to_owned())).unwrap();
    ["referrer", "clip_ms", "clipped_at", "is_clip"].map(|name| row[name].clone())
}

const NULLS: [Val; 4] = [Val::Null, Val::Null, Val::Null, Val::Null];

#[tokio::test]
async fn a_new_field_is_null_in_old_events_and_old_files_also_beside_new_ones() {
    let (old, new) = (pipelines(contract(&[])).await, pipelines(newer()).await);
    let folder = tempfile::tempdir().unwrap();
    let old_lines = write(folder.path().join("old.ndjson"), line("a", 1, "") + &line("b", 2, NEW_FIELDS));
    let before = TempLake::new();
    let summary = backfill(&old, std::slice::from_ref(&old_lines), &before.lake, How::default()).await;
    assert_eq!(summary.counters.kept, 2, "what the old schema does not know is ignored");
    let old_files = before.path("user_events");

    // An old file alone.
    let lake = TempLake::new();
    backfill(&new, std::slice::from_ref(&old_files), &lake.lake, How::default()).await;
    let rows = lake.table("user_events").await;
    assert_eq!((rows.len(), new_fields(&rows, "a"), new_fields(&rows, "b")), (2, NULLS, NULLS));

    // Old and new, rows and lines, in one go: as if all had been lines from the beginning.
    let new_lines = write(folder.path().join("new.ndjson"), line("c", 3, "") + &line("d", 4, NEW_FIELDS));
    let newer_lake = TempLake::new();
    backfill(&new, std::slice::from_ref(&new_lines), &newer_lake.lake, How::default()).await;
    let mixed = TempLake::new();
    let inputs = [old_files.clone(), newer_lake.path("user_events")];
    let summary = backfill(&new, &inputs, &mixed.lake, How::default()).await;
    assert_eq!((summary.counters.kept, summary.counters.dead_letters), (4, 0));
    let rows = mixed.table("user_events").await;
    let time = headcount::types::parse_rfc3339("2026-02-03T10:00:00Z").unwrap();
    let values = [Val::Str("mail".to_owned()), Val::Int(250), Val::Int(time), Val::Bool(true)];
    assert_eq!(["a", "b", "c"].map(|id| new_fields(&rows, id)), [NULLS, NULLS, NULLS]);
    assert_eq!(new_fields(&rows, "d"), values);
    let stripped = write(folder.path().join("stripped/old.ndjson"), line("a", 1, "") + &line("b", 2, ""));
    let lines = TempLake::new();
    backfill(&new, &[stripped, new_lines], &lines.lake, How::default()).await;
    assert_eq!(all_tables(&mixed.lake, &new).await, all_tables(&lines.lake, &new).await);

    // The lake that had old files takes the new ones beside them, and its raw events stay one input.
    let later = write(folder.path().join("later.ndjson"), line("e", 5, NEW_FIELDS).replace("T10:", "T11:"));
    backfill(&new, &[later], &before.lake, How::default()).await;
    let again = TempLake::new();
    backfill(&new, &[old_files], &again.lake, How::default()).await;
    let rows = again.table("user_events").await;
    assert_eq!((rows.len(), new_fields(&rows, "a"), new_fields(&rows, "e")), (3, NULLS, values));
}

#[tokio::test]
async fn a_file_of_a_newer_schema_and_one_without_what_is_required_now() {
    let (old, new) = (pipelines(contract(&[])).await, pipelines(newer()).await);
    let folder = tempfile::tempdir().unwrap();
    let lines = write(folder.path().join("new.ndjson"), line("d", 4, NEW_FIELDS));
    let lake = TempLake::new();
    backfill(&new, &[lines], &lake.lake, How::default()).await;
    // Back to the old schema: what it does not know is left out.
    let back = TempLake::new();
    backfill(&old, &[lake.path("user_events")], &back.lake, How::default()).await;
    let rows = back.table("user_events").await;
    assert!(rows.len() == 1 && !rows[0].contains_key("referrer"));

    let (place, text) = Contract::shipped_file();
    let mut schema: Value = serde_json::from_str(text).unwrap();
    schema["properties"]["tenant"] = json!({ "type": "string", "minLength": 1 });
    schema["required"].as_array_mut().unwrap().push(json!("tenant"));
    let strict = pipelines(Arc::new(Contract::from_json(&schema.to_string(), place).unwrap())).await;
    let e =
        try_backfill(&strict, &[back.path("user_events")], &TempLake::new().lake, How::default()).await.unwrap_err();
    assert_eq!(e.exit_code(), 2);
    assert!(e.message().contains("no column tenant") && e.place().unwrap().ends_with(".parquet"), "{e}");
}
