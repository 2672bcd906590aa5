//! The files of `examples/forms`: one small story in every form that a file may have. They are written by this test,
//! `HEADCOUNT_REGENERATE=1 cargo nextest run example_files`, and otherwise compared with what it would write.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::form_builders::{as_text, document, envelope, gzip, pack, wrapper, zstd};
use crate::schema::Contract;
use crate::types::{MICROS_PER_SEC, Micros, format_micros, parse_rfc3339};

const BEGIN: &str = "2026-03-14T20:00:00Z";
const CUP: &str = "str-cup-final";
const TALK: &str = "str-late-talk";

/// An event so many seconds after the beginning.
fn event(secs: i64, event_type: &str, fields: Value) -> Value {
    let time = parse_rfc3339(BEGIN).unwrap() + secs * MICROS_PER_SEC;
    let mut event = json!({
        "schema_version": "1",
        "event_id": format!("evt-{event_type}-{secs:03}"),
        "event_type": event_type,
        "event_time": format_micros(time),
    });
    let (Some(event_fields), Value::Object(more)) = (event.as_object_mut(), fields) else { panic!("objects") };
    event_fields.extend(more);
    event
}

fn started(secs: i64, stream: &str, session: &str, viewer: &str, place: [&str; 3]) -> Value {
    let [country, device_type, cdn] = place;
    event(
        secs,
        "view.started",
        json!({
            "stream_id": stream, "channel_id": "ch-north", "session_id": session, "viewer_id": viewer,
            "country": country, "device_type": device_type, "cdn": cdn, "player_state": "starting", "startup_ms": 300 + secs,
        }),
    )
}

fn heartbeat(secs: i64, stream: &str, session: &str, viewer: &str, stall_ms: i64) -> Value {
    event(
        secs,
        "view.heartbeat",
        json!({
            "stream_id": stream, "session_id": session, "viewer_id": viewer, "player_state": "playing",
            "rendition": "1080p60", "bitrate_kbps": 6000, "played_ms": 30_000 - stall_ms, "stall_ms": stall_ms,
        }),
    )
}

fn of_session(secs: i64, event_type: &str, stream: &str, session: &str) -> Value {
    event(secs, event_type, json!({ "stream_id": stream, "session_id": session }))
}

fn chat(secs: i64, stream: &str, viewer: &str, text: &str) -> Value {
    event(
        secs,
        "chat.message_sent",
        json!({ "stream_id": stream, "viewer_id": viewer, "properties": { "text": text } }),
    )
}

/// Two streams of a channel, five sessions, in the order of their times. No two events have one id.
fn story() -> Vec<Value> {
    let (tv, phone, web) = (["GB", "tv", "cdn-a"], ["DE", "mobile", "cdn-b"], ["GB", "web", "cdn-a"]);
    vec![
        event(
            0,
            "stream.started",
            json!({ "stream_id": CUP, "channel_id": "ch-north", "properties": { "title": "Cup final" } }),
        ),
        event(5, "user.logged_in", json!({ "user_id": "u-1" })),
        started(8, CUP, "ses-1", "v-1", tv),
        started(12, CUP, "ses-2", "v-2", phone),
        event(15, "user.registered", json!({ "user_id": "u-9", "country": "FR" })),
        started(20, CUP, "ses-3", "v-3", web),
        heartbeat(38, CUP, "ses-1", "v-1", 0),
        heartbeat(42, CUP, "ses-2", "v-2", 1_200),
        chat(45, CUP, "v-2", "Grüße aus Köln \u{1f44b}"),
        heartbeat(50, CUP, "ses-3", "v-3", 0),
        event(60, "stream.started", json!({ "stream_id": TALK, "channel_id": "ch-north" })),
        event(62, "tip.sent", json!({ "stream_id": CUP, "viewer_id": "v-1", "amount_minor": 500, "currency": "GBP" })),
        heartbeat(68, CUP, "ses-1", "v-1", 0),
        started(70, TALK, "ses-4", "v-4", phone),
        heartbeat(72, CUP, "ses-2", "v-2", 0),
        event(75, "stream.quality_changed", json!({ "stream_id": CUP, "rendition": "720p60" })),
        event(
            78,
            "view.error",
            json!({ "stream_id": CUP, "session_id": "ses-3", "country": "GB", "device_type": "web", "cdn": "cdn-a", "error_code": "segment_timeout", "fatal": false }),
        ),
        heartbeat(80, CUP, "ses-3", "v-3", 4_000),
        chat(85, CUP, "v-1", "What a \"save\"!"),
        event(
            90,
            "user.subscription_changed",
            json!({ "user_id": "u-1", "plan_from": "free", "plan_to": "plus", "billing_interval": "month", "amount_minor": 899, "currency": "GBP" }),
        ),
        of_session(95, "view.paused", CUP, "ses-2"),
        heartbeat(98, CUP, "ses-1", "v-1", 0),
        heartbeat(100, TALK, "ses-4", "v-4", 250),
        heartbeat(110, CUP, "ses-3", "v-3", 0),
        of_session(115, "view.resumed", CUP, "ses-2"),
        event(
            120,
            "tip.sent",
            json!({ "stream_id": CUP, "viewer_id": "v-2", "amount_minor": 1_000, "currency": "EUR" }),
        ),
        heartbeat(128, CUP, "ses-1", "v-1", 0),
        heartbeat(130, TALK, "ses-4", "v-4", 9_000),
        event(
            135,
            "view.started",
            json!({ "stream_id": CUP, "session_id": "ses-5", "previous_session_id": "ses-3", "viewer_id": "v-3", "country": "GB", "device_type": "web", "cdn": "cdn-b" }),
        ),
        chat(140, TALK, "v-4", "It stops all the time"),
        heartbeat(145, CUP, "ses-2", "v-2", 0),
        event(
            150,
            "view.error",
            json!({ "stream_id": TALK, "session_id": "ses-4", "country": "DE", "device_type": "mobile", "cdn": "cdn-b", "error_code": "no_segments", "fatal": true }),
        ),
        of_session(152, "view.ended", TALK, "ses-4"),
        heartbeat(158, CUP, "ses-1", "v-1", 0),
        event(160, "user.logged_in", json!({ "user_id": "u-9" })),
        heartbeat(165, CUP, "ses-5", "v-3", 0),
        event(170, "stream.ended", json!({ "stream_id": TALK })),
        of_session(175, "view.ended", CUP, "ses-2"),
        of_session(180, "view.ended", CUP, "ses-1"),
        of_session(185, "view.ended", CUP, "ses-5"),
        event(190, "stream.ended", json!({ "stream_id": CUP, "channel_id": "ch-north" })),
    ]
}

fn text(event: &Value, field: &str) -> String {
    event[field].as_str().unwrap().to_owned()
}

fn lines(events: &[Value]) -> String {
    events.iter().map(|event| format!("{event}\n")).collect()
}

/// An event over several lines, a field a line: a field that is an object is kept as its text, so that stays as it is.
fn printed_out(event: &Value, indent: &str) -> String {
    let fields = event.as_object().unwrap().iter();
    let fields: Vec<String> = fields.map(|(name, value)| format!("{indent}  \"{name}\": {value}")).collect();
    format!("{indent}{{\n{}\n{indent}}}", fields.join(",\n"))
}

/// What a rule delivers: id, time and type are the envelope's where the contract knows the kind, else the event keeps its own.
fn by_rule(event: &Value) -> String {
    let of_type = [
        ("stream.started", "Stream Started"),
        ("stream.ended", "Stream Ended"),
        ("stream.quality_changed", "Stream Quality Changed"),
        ("user.registered", "User Registered"),
        ("user.logged_in", "User Login"),
        ("user.subscription_changed", "User Subscription Changed"),
    ];
    let (id, event_type, time) = (text(event, "event_id"), text(event, "event_type"), text(event, "event_time"));
    match of_type.iter().find(|(known, _)| *known == event_type) {
        Some((_, detail_type)) => {
            let has = |name: &str| !["event_id", "event_type", "event_time"].contains(&name);
            let detail = event.as_object().unwrap().iter().filter(|(name, _)| has(name));
            let detail: Map<String, Value> = detail.map(|(name, value)| (name.clone(), value.clone())).collect();
            envelope(&id, detail_type, &time, &Value::from(detail).to_string())
        }
        None => envelope(&format!("delivery-of-{id}"), "Player Event", "2026-03-14T20:05:00Z", &event.to_string()),
    }
}

/// What a custom bus wraps, in each of its ways.
fn by_bus((i, event): (usize, &Value)) -> String {
    let json = event.to_string();
    match i % 4 {
        0 => wrapper(&json),
        1 => wrapper(&as_text(&json)),
        2 => wrapper(&as_text(&STANDARD.encode(&json))),
        _ => wrapper(&as_text(&by_rule(event))),
    }
}

/// Records that hold these events each, as `get-records` prints them: with arrival times, half a second after the last event.
fn records(parts: &[(&[Value], Vec<u8>)], first_number: usize) -> Vec<Value> {
    let record = |(i, (events, data)): (usize, &(&[Value], Vec<u8>))| {
        let last: Micros = events.iter().map(|e| parse_rfc3339(&text(e, "event_time")).unwrap()).max().unwrap();
        json!({
            "SequenceNumber": format!("4967{:052}", first_number + i),
            "ApproximateArrivalTimestamp": format_micros(last + MICROS_PER_SEC / 2).replace('Z', "+00:00"),
            "Data": STANDARD.encode(data),
            "PartitionKey": text(&events[0], "event_id"),
            "EncryptionType": "NONE",
        })
    };
    parts.iter().enumerate().map(record).collect()
}

/// One document of the story, so many events a record.
fn printed(story: &[Value], events: usize, pack: impl Fn(&[Value]) -> Vec<u8>) -> String {
    let parts: Vec<_> = story.chunks(events).map(|part| (part, pack(part))).collect();
    format!("{:#}\n", document(records(&parts, 1)))
}

fn one_by_one(events: &[Value]) -> Vec<Vec<u8>> {
    events.iter().map(|event| event.to_string().into_bytes()).collect()
}

fn aggregate(payloads: &[Vec<u8>]) -> Vec<u8> {
    pack(&payloads.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// The whole story, and among it what cannot be read.
fn damaged(story: &[Value]) -> String {
    let (first, rest) = story.split_at(10);
    let (second, third) = rest.split_at(10);
    let bad_lines = [
        "this is not JSON",
        r#"{"schema_version":"1","event_id":"bad-1","event_type":"tip.sent","event_time":"2026-03-14T20:01:00Z"}"#,
        r#"{"schema_version":"1","event_id":"bad-2","event_type":"user.logged_in","event_time":"yesterday"}"#,
        r#"{"schema_version":"1","event_id":"bad-3","event_type":"tip.sent","event_time":"2026-03-14T20:01:00Z","stream_id":"s","amount_minor":"5"}"#,
    ];
    let mixed: String = second
        .iter()
        .zip(bad_lines.iter().chain(std::iter::repeat(&"")))
        .fold(String::new(), |all, (event, bad)| format!("{all}{event}\n{bad}\n"));
    let mut aggregate_of_a_bad_disk = aggregate(&one_by_one(&first[..2]));
    aggregate_of_a_bad_disk[40] ^= 0x20;
    let mut cut_gzip = gzip(lines(&second[..2]).as_bytes());
    cut_gzip.truncate(cut_gzip.len() - 12);
    let mut all = records(
        &[
            (first, aggregate(&one_by_one(first))),
            (&first[..2], aggregate_of_a_bad_disk),
            (second, mixed.into_bytes()),
            (&second[..2], cut_gzip),
            (third, zstd(lines(third).as_bytes())),
        ],
        1,
    );
    let mut no_base64 = all[4].clone();
    no_base64["SequenceNumber"] = json!(format!("4967{:052}", 6));
    no_base64["Data"] = json!("<binary>");
    all.push(no_base64);
    format!("{:#}\n", document(all))
}

/// Name and content of every file.
fn files() -> BTreeMap<&'static str, Vec<u8>> {
    let story = story();
    let all = lines(&story);
    let joined = |of: &dyn Fn(&Value) -> String| story.iter().map(|event| of(event) + "\n").collect::<String>();
    let two_calls = {
        let (first, second) = story.split_at(20);
        let of = |events: &[Value], number| {
            let parts: Vec<_> = events.chunks(1).map(|e| (e, e[0].to_string().into_bytes())).collect();
            document(records(&parts, number))
        };
        format!("{:#}\n{}\n", of(first, 1), of(second, 21))
    };
    let compressed_in_aggregates = |part: &[Value]| {
        let (first, second) = part.split_at(part.len() / 2);
        aggregate(&[gzip(lines(first).as_bytes()), zstd(Value::from(second.to_vec()).to_string().as_bytes())])
    };
    BTreeMap::from([
        ("lines.ndjson", all.clone().into_bytes()),
        (
            "arrays.ndjson",
            story.chunks(7).map(|part| format!("{}\n", Value::from(part.to_vec()))).collect::<String>().into(),
        ),
        (
            "array.json",
            format!("[\n{}\n]\n", story.iter().map(|e| printed_out(e, "  ")).collect::<Vec<_>>().join(",\n"))
                .into_bytes(),
        ),
        ("objects.json", joined(&|event| printed_out(event, "")).into_bytes()),
        ("eventbridge-rule.ndjson", joined(&by_rule).into_bytes()),
        ("eventbridge-bus.ndjson", story.iter().enumerate().map(|e| by_bus(e) + "\n").collect::<String>().into()),
        ("gzip.ndjson.gz", gzip(all.as_bytes())),
        ("zstd.ndjson.zst", zstd(all.as_bytes())),
        ("get-records.json", two_calls.into_bytes()),
        ("get-records-aggregates.json", printed(&story, 8, |part| aggregate(&one_by_one(part))).into()),
        ("get-records-gzip.json", printed(&story, 10, |part| gzip(lines(part).as_bytes())).into()),
        ("get-records-zstd.json", printed(&story, 10, |part| zstd(lines(part).as_bytes())).into()),
        ("get-records-compressed-in-aggregates.json", printed(&story, 12, compressed_in_aggregates).into()),
        ("get-records-damaged.json", damaged(&story).into()),
    ])
}

#[test]
fn example_files_are_those_that_this_test_writes() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/forms");
    let files = files();
    if std::env::var_os("HEADCOUNT_REGENERATE").is_some() {
        std::fs::create_dir_all(&folder).unwrap();
        for (name, content) in &files {
            std::fs::write(folder.join(name), content).unwrap();
        }
    }
    for (name, content) in &files {
        let found = std::fs::read(folder.join(name)).unwrap_or_default();
        assert!(
            found == *content,
            "examples/forms/{name} is not up to date: HEADCOUNT_REGENERATE=1 cargo nextest run example_files"
        );
    }
    let mut names: Vec<String> =
        std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, files.keys().copied().collect::<Vec<_>>(), "everything there is fed to a backfill");
}

#[test]
fn the_story_keeps_the_contract() {
    let contract = Contract::shipped().unwrap();
    let story = story();
    assert_eq!(story.len(), 41);
    let mut ids: Vec<String> = story.iter().map(|event| text(event, "event_id")).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), story.len());
    let known = |event: &Value| event.as_object().unwrap().keys().all(|name| contract.field(name).is_some());
    assert!(story.iter().all(known));
}
