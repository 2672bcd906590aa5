//! What mutations begin with: for each target some inputs that are right, and some that are wrong in ways that matter.

mod checkpoint;

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headcount::config;
use headcount::decode::{Decoder, Provenance};
use headcount::source::simulator::{Disturbance, RecordForm, Simulator, SimulatorConfig};
use headcount::types::{ReadBatch, Record};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::targets::{CONTRACT, aggregate_message, gzip, seal, zstd};

pub use checkpoint::checkpoints;

const HAND_WRITTEN: &[u8] = include_bytes!("../golden/input/hand-written.ndjson");

/// Each field at least once, and what is not said of any.
const FULL: &str = r#"{"schema_version":"1","event_id":"e\u0031","event_type":"view.started","event_time":"2026-01-31T18:00:00.25+01:00","sent_at":1767225600000,"source":"player","stream_id":"s\"1","channel_id":"c","session_id":"p","previous_session_id":null,"viewer_id":"v\ud83d\ude00","user_id":"","country":"DE","device_type":"tv","platform":"web","cdn":"é","player_state":"playing","rendition":"1080p60","bitrate_kbps":6000,"startup_ms":0,"played_ms":-1,"stall_ms":2147483647,"live_latency_ms":-2147483648,"error_code":"x","fatal":true,"plan_from":"a","plan_to":"b","billing_interval":"month","amount_minor":-9223372036854775808,"currency":"EUR","properties":{"a":[1,{"b":null}],"c":"]}"},"shard_id":"own","sequence_number":"77","sub_sequence_number":3,"ingest_time":"2026-01-31T18:00:01Z","event_time_original":null,"shard_high_time":1767225600000,"zzz":[1.5e3,{"q":-0.0}]}"#;

/// One event of few fields.
const SMALL: &str =
    r#"{"schema_version":"1","event_id":"a","event_type":"tip.sent","event_time":1767225600000,"stream_id":"s"}"#;

/// Documents that are decided by a rule of their own.
const SINGULAR: [&str; 27] = [
    "",
    " ",
    "7",
    "null",
    "{}",
    "[]",
    "[[]]",
    "\"text\"",
    "{",
    "[",
    "[{},",
    "[,]",
    "{}{}",
    "{\"a\":1,}",
    "{\"a\" 1}",
    "{\"a\":01}",
    "{\"a\":\"\\ud800\"}",
    "{\"\\ud800\":1}",
    r#"{"schema_version":"1","event_id":"a","event_id":null,"event_type":"user.x","event_time":0}"#,
    r#"{"schema_version":"","event_id":"a","event_type":"user.x","event_time":0}"#,
    r#"{"schema_version":"2","event_id":"a","event_type":"user.x","event_time":0}"#,
    r#"{"schema_version":"1","event_id":"a","event_type":"user.x","event_time":-0,"played_ms":-0,"amount_minor":9223372036854775808}"#,
    r#"{"schema_version":"1","event_id":"a","event_type":"user.x","event_time":1e3,"fatal":"true"}"#,
    r#"{"schema_version":"1","event_id":"a","event_type":"user.x","event_time":253402300799999,"played_ms":5.0}"#,
    r#"{"schema_version":"1","event_id":"\udc00","event_type":"user.x","event_time":"2016-12-31T23:59:60Z"}"#,
    r#"{"schema_version":"1","event_id":"a","event_type":"user.x","event_time":"2026-01-01T00:00:00.123456789-00:00","properties":"{}"}"#,
    r#"{"schema_version":"1","event_id":"a","event_type":"view.x","event_time":"0001-01-01T00:00:00Z","session_id":"p"}"#,
];

/// Single documents.
pub fn documents() -> Vec<Vec<u8>> {
    let mut documents: Vec<Vec<u8>> = SINGULAR.iter().map(|text| text.as_bytes().to_vec()).collect();
    documents.extend([FULL, SMALL].map(|text| text.as_bytes().to_vec()));
    documents.extend(HAND_WRITTEN.split(|&b| b == b'\n').step_by(3).map(<[u8]>::to_vec));
    documents.extend(envelopes());
    documents.extend(simulated(|form| matches!(form, RecordForm::Object | RecordForm::Malformed)).take(20));
    documents
}

/// Records of every form.
pub fn records() -> Vec<Vec<u8>> {
    let lines = [FULL, SMALL, "", "junk", SMALL, "{\"a\":"].join("\n").into_bytes();
    let array = format!("[{FULL} , {SMALL},\n7,{{\"a\":}},{SMALL}] ").into_bytes();
    let printed = FULL.replace(",\"", ",\r\n  \"").into_bytes();
    let broken = "{\n  \"a\": 1,\n  \"b\": \n}\n".as_bytes().to_vec();
    let mut records = vec![lines.clone(), array.clone(), printed, broken];
    records.extend([
        gzip(&lines),
        zstd(&array),
        [gzip(&lines), gzip(b"\n{}")].concat(),
        [zstd(b"["), zstd(b"]")].concat(),
    ]);
    records.extend(aggregates().iter().map(|message| seal(message)));
    records.extend(simulated(|form| !matches!(form, RecordForm::Object)).take(12));
    // Before any mutation: small bombs, that grow a thousandfold.
    records.extend([gzip(&vec![b' '; 1 << 20]), zstd(&vec![b'['; 1 << 20])]);
    records
}

/// Messages of aggregates.
pub fn aggregates() -> Vec<Vec<u8>> {
    let (zipped, squeezed) = (gzip(SMALL.as_bytes()), zstd(FULL.as_bytes()));
    vec![
        aggregate_message(&[]),
        aggregate_message(&[SMALL.as_bytes(), b"", b"junk"]),
        aggregate_message(&[&zipped, FULL.as_bytes(), &squeezed]),
        // A second aggregate in the first is not opened.
        aggregate_message(&[&seal(&aggregate_message(&[SMALL.as_bytes()]))]),
        b"\x0a\x02pk\x0a\x01q\x12\x015\x1a\x08\x08\x00\x1a\x04data\x1a\x09\x08\x01\x10\x00\x1a\x03two".to_vec(),
        b"\x0a\x01k\x1a\x0e\x08\x00\x1a\x02{}\x22\x06\x0a\x01t\x12\x01v\x98\x06\x07".to_vec(),
        b"\x0a\x01k\x1a\x06\x08\x05\x1a\x02{}".to_vec(),
    ]
}

/// Events in what EventBridge wraps around them.
fn envelopes() -> Vec<Vec<u8>> {
    let rule = |detail: &str| {
        format!(
            r#"{{"version":"0","id":"17793124-05d4","detail-type":"Stream Started","source":"platform","account":"1","time":"2026-01-31T18:00:00Z","region":"eu-west-2","resources":[],"detail":{detail}}}"#
        )
    };
    let bus = |data: &str| format!(r#"{{"Data":{data},"Metadata":{{"a":1}},"SystemMetadata":{{}}}}"#);
    let as_text = |text: &str| serde_json::Value::from(text).to_string();
    let whole = rule(SMALL);
    let lacking = rule(r#"{"schema_version":"1","stream_id":"s"}"#);
    let texts = [
        whole.clone(),
        lacking.clone(),
        rule("null"),
        bus(SMALL),
        bus(&lacking),
        bus(&as_text(FULL)),
        bus(&as_text(&STANDARD.encode(&whole))),
        bus(&as_text(&bus(&as_text(&bus(&as_text(SMALL)))))),
        bus(&bus(SMALL)),
        bus("\"no base64!\""),
    ];
    texts.into_iter().map(String::into_bytes).collect()
}

/// Records of a platform on which much goes wrong.
fn simulated(of: impl Fn(RecordForm) -> bool) -> impl Iterator<Item = Vec<u8>> {
    let disturbance = Disturbance { malformed_ppm: 100_000, bundled_ppm: 200_000, ..Disturbance::default() };
    let config = SimulatorConfig { seed: 5, events_per_sec: 50, disturbance, ..SimulatorConfig::default() };
    let records = Simulator::new(config).unwrap().take(2_000).filter(move |record| of(record.form));
    records.step_by(7).map(|record| record.data)
}

pub fn timestamps() -> Vec<Vec<u8>> {
    let texts = [
        "2026-01-31T18:00:00Z",
        "2026-01-31t23:59:59.999999999-23:59",
        "2024-02-29 00:00:00.5+05:45",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999Z",
        "1969-12-31T23:59:59.25z",
        "2000-12-31T00:00:00+00:00",
        "1767225600000",
        "253402300799999",
        "-1",
    ];
    texts.map(|text| text.as_bytes().to_vec()).into()
}

pub fn schemas() -> Vec<Vec<u8>> {
    let shipped = include_bytes!("../../schemas/user_event.v1.json").to_vec();
    let small = r#"{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "x-headcount": {"stream": "plays", "id": "i", "time": "t", "type": "k", "sent": "s", "detail_types": {"A b": "a.b"}},
  "type": "object",
  "required": ["i", "t", "k"],
  "properties": {
    "i": {"type": "string", "minLength": 1},
    "t": {"type": ["string", "integer"], "format": "date-time"},
    "k": {"type": "string", "enum": ["a.b", "c"]},
    "s": {"type": ["integer", "string"], "format": "date-time", "title": "x", "examples": [1]},
    "n": {"type": "integer", "format": "int32"},
    "m": {"type": "integer", "format": "int64"},
    "b": {"type": "boolean"},
    "o": {"type": "object"}
  },
  "allOf": [{"if": {"properties": {"k": {"pattern": "^(a|b)\\."}}, "required": ["k"]}, "then": {"required": ["n"]}}],
  "additionalProperties": true
}"#;
    vec![shipped, small.as_bytes().to_vec()]
}

const PIPELINES: [&str; 8] = [
    include_str!("../../pipelines/concurrent_viewers.sql"),
    include_str!("../../pipelines/platform_totals.sql"),
    include_str!("../../pipelines/playback_quality.sql"),
    include_str!("../../pipelines/revenue.sql"),
    include_str!("../../pipelines/stream_engagement.sql"),
    include_str!("../../pipelines/user_activity.sql"),
    include_str!("../refusals/error_cloudwatch_metric_twice.sql"),
    "/*\r\ntitle = \"\u{e9}\"\r\n*/;SELECT 1",
];

pub fn pipelines() -> Vec<Vec<u8>> {
    PIPELINES.map(|text| text.as_bytes().to_vec()).into()
}

/// Queries without their headers.
pub fn queries() -> Vec<Vec<u8>> {
    let query = |text: &&str| text.split_once("*/").map(|(_, query)| query.trim().as_bytes().to_vec());
    let mut queries: Vec<Vec<u8>> = PIPELINES.iter().filter_map(query).collect();
    // The depth at which a parser of expressions gives up, and a chain that is as deep to whoever walks over its tree.
    let of = |expression: &str| {
        format!(
            "SELECT window_start, window_end, SUM({expression}) AS n FROM TABLE(TUMBLE(TABLE user_events, \
             DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end"
        )
    };
    queries.push(of(&format!("{}played_ms{}", "(".repeat(60), ")".repeat(60))).into_bytes());
    queries.push(of(&vec!["played_ms"; 100].join(" + ")).into_bytes());
    queries
}

pub fn configs() -> Vec<Vec<u8>> {
    let files = [include_str!("../../config/local.toml"), include_str!("../../config/aws.toml")];
    // Without their comments they are half as long, and a mutation more often hits something.
    let bare = files.map(|text| {
        let lines = text.lines().map(|line| line.split(" #").next().unwrap_or_default().trim_end());
        lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect::<Vec<_>>().join("\n")
    });
    let wrong = "[source]\nkind = \"kinesis\"\nstart = 2026-01-31T18:00:00Z\nstream = 7\n[lake]\nurl = 's3://'\n[time]\nx = 30s";
    files.iter().copied().chain(bare.iter().map(String::as_str)).chain([wrong]).map(|t| t.as_bytes().to_vec()).collect()
}

pub fn environments() -> Vec<Vec<u8>> {
    let all: String = config::reference()
        .unwrap()
        .split('`')
        .filter_map(|word| word.strip_prefix("HEADCOUNT__"))
        .fold(String::new(), |all, name| all + name + "=1\n");
    assert!(all.contains("LAKE__URL=1\n"), "the reference names the variables");
    let some = "LAKE__URL=/tmp/lake\nSOURCE__START=2026-01-31T18:00:00Z\nSOURCE__STREAM_NAME=2026\nTIME__IDLE_TIMEOUT_SECS=30\n\
        SERVE__LISTEN=localhost:0\nLOG__LEVEL=debug\nCLOUDWATCH__ENABLED=true\nSCHEMA__PATH=\nLAKE=1\n__=1\nLAKE__=\"a\"";
    vec![some.as_bytes().to_vec(), all.into_bytes()]
}

pub fn files_of_lines() -> Vec<Vec<u8>> {
    let mut files = vec![
        HAND_WRITTEN.to_vec(),
        b"\xef\xbb\xbf{}\n\n{1}\r\n \r\nx".to_vec(),
        b"\r\r\n\n \x0b\n\x0c\n\0\n".to_vec(),
        b"PAR1....PAR1".to_vec(),
    ];
    // With a checksum, as the command line tool writes it: without one nothing can tell damaged text.
    let checked = |data: &[u8]| {
        let mut encoder = ::zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.include_checksum(true).unwrap();
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    };
    files.extend([gzip(HAND_WRITTEN), checked(HAND_WRITTEN), [gzip(b"{}\n{"), gzip(b"}")].concat()]);
    files
}

pub fn files_of_json() -> Vec<Vec<u8>> {
    let small = [
        "[\n{\"a\":1},\n[2]\n]\n",
        "{\n\"a\": \"}\"\n}\n\n{\n\"b\": [\n]}",
        "{\"Records\":[{\"SequenceNumber\":\"1\",\"Data\":\"e30=\",\"ApproximateArrivalTimestamp\":1769882400.25}],\"MillisBehindLatest\":0}",
        "{\"Records\":[]}{\"Records\":[{\"Data\":\"?\",\"SequenceNumber\":\"2\"},{}]}",
    ];
    let printed = include_bytes!("../../examples/forms/get-records-damaged.json");
    small.iter().map(|text| text.as_bytes().to_vec()).chain([HAND_WRITTEN.to_vec(), printed.to_vec()]).collect()
}

pub fn parquet_files() -> Vec<Vec<u8>> {
    let record = |data: Vec<u8>| Record { data: data.into(), sequence_number: "1".into(), arrival_time: Some(7) };
    let records =
        [FULL, SMALL, SMALL].map(|text| text.as_bytes().to_vec()).into_iter().chain(simulated(|_| true).take(40));
    let read = ReadBatch {
        shard: "s".into(),
        records: records.map(record).collect(),
        millis_behind_latest: None,
        polled_at: None,
    };
    let events = Decoder::new(CONTRACT.clone(), Provenance::Record).decode(&read).unwrap().events;
    let zstd = Compression::ZSTD(ZstdLevel::try_new(1).unwrap());
    let file = |compression| {
        let properties =
            WriterProperties::builder().set_compression(compression).set_max_row_group_row_count(Some(16)).build();
        let mut writer = ArrowWriter::try_new(Vec::new(), events.schema(), Some(properties)).unwrap();
        writer.write(&events).unwrap();
        writer.into_inner().unwrap()
    };
    vec![file(Compression::UNCOMPRESSED), file(zstd)]
}

/// Records of replacements, for the lake that the target makes.
pub fn replacements() -> Vec<Vec<u8>> {
    let hour = "t/year=2026/month=01/day=31/hour=18";
    let record = |from: &str, to: &str, remove: &str| {
        format!(r#"{{"version":1,"publish":[{{"from":"{from}","to":"{to}"}}],"remove":["{remove}"]}}"#).into_bytes()
    };
    let staged = format!("_staging/b/files/{hour}/new.parquet");
    vec![
        record(&staged, &format!("{hour}/new.parquet"), &format!("{hour}/old.parquet")),
        record(&staged, "../outside", "../outside"),
        record("../outside", &format!("{hour}/../../../../../x"), "/"),
        record(&format!("{hour}/old.parquet"), "", "%2e%2e/outside"),
        br#"{"version":2,"publish":[],"remove":[]}"#.to_vec(),
    ]
}
