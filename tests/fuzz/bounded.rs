//! A run of each target that is short enough for every day: some seconds, the same each time.

use super::campaign::Campaign;
use super::{seeds, targets};

/// Tokens of JSON, and texts that JSON's strings and the contract's types have an opinion on.
const JSON: &[&[u8]] = &[
    b"\"",
    b"\\",
    b"\\\"",
    b"\\\\",
    b"\\/",
    b"\\n",
    b"\\u0000",
    b"\\u0041",
    b"\\u00e9",
    b"\\u12g4",
    b"\\u+123",
    b"\\ud83d\\ude00",
    b"\\ud800",
    b"\\udc00",
    b"\\uD800\\uD800",
    b"\\ud800\\u0041",
    b"\\x",
    b"\0",
    b"\n",
    b"\r",
    b"\t",
    b"\x0b",
    b"\x1f",
    b"\x7f",
    b"\xc3\xa9",
    b"\xf0\x9f\x98\x80",
    b"\xff",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    b"\xef\xbb\xbf",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"{}",
    b"[]",
    b"[[[]]]",
    b"\"\"",
    b"\"1\"",
    b"\"2\"",
    b"\" \"",
    b"null",
    b"true",
    b"false",
    b"nul",
    b"NaN",
    b"{\"a\":[1,{\"b\":null}]}",
    b"{\"a\":\"\\ud800\"}",
    b"\"2026-02-30T00:00:00Z\"",
    b"\"2026-01-01T00:00:00.5+01:30\"",
    b"\"2016-12-31T23:59:60Z\"",
    b"\"view.started\"",
    b"\"user.logged_in\"",
    b"\"Stream Started\"",
    b"\"event_id\":",
    b"\"event_time\":",
    b"\"event_type\":",
    b"\"stream_id\":",
    b"\"played_ms\":",
    b"\"amount_minor\":",
    b"\"fatal\":",
    b"\"properties\":",
    b"\"schema_version\":\"1\",",
    b"\"\\u0065vent_id\":",
    b"\"detail\":",
    b"\"detail-type\":",
    b"\"time\":null,",
    b"\"id\":",
    b"\"Data\":",
    b"\"SystemMetadata\":",
    b"\"shard_id\":",
    b"\"ingest_time\":",
    b"\"sub_sequence_number\":",
    b"1,",
    b" ",
];

const TIMES: &[&[u8]] = &[
    b"Z",
    b"z",
    b"T",
    b"t",
    b" ",
    b"+00:00",
    b"-00:00",
    b"+23:59",
    b"-23:59",
    b"+24:00",
    b"+1:00",
    b"+0100",
    b".",
    b".123456789",
    b".1234567890",
    b".000001",
    b",5",
    b":60",
    b":59",
    b"24:",
    b"0000-",
    b"0001-01-01",
    b"9999-12-31",
    b"-02-29",
    b"-02-30",
    b"-13-",
    b"-00-",
    b"\xe2\x88\x92",
    b"\xd9\xa2",
    b"-",
    b"+",
    b"2000",
    b"1900",
    b"2024",
];

const BINARY: &[&[u8]] = &[
    b"\x00",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\x00\x00\x00\x00",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\xff\x0f",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80",
    b"HCCK",
    b"PAR1",
    b"\x1f\x8b",
    b"\x28\xb5\x2f\xfd",
    b"\xf3\x89\x9a\xc2",
    b"\x1a\x00",
    b"\x1a\x04\x08\x00\x1a\x00",
    b"\x08\x01",
    b"ARROW1",
    b"\xff\xff\xff\xff\x00\x00\x00\x00",
];

const SCHEMA: &[&[u8]] = &[
    b"\"type\": \"string\"",
    b"\"type\": [\"string\", \"integer\"]",
    b"\"type\": \"integer\"",
    b"\"type\": \"boolean\"",
    b"\"type\": \"object\"",
    b"\"type\": \"array\"",
    b"\"format\": \"int32\"",
    b"\"format\": \"int64\"",
    b"\"format\": \"date-time\"",
    b"\"minLength\": 1",
    b"\"enum\": [\"1\"]",
    b"\"enum\": [\"\"]",
    b"\"enum\": []",
    b"\"required\": []",
    b"\"additionalProperties\": false",
    b"\"pattern\": \"^(a|b)\\\\.\"",
    b"\"pattern\": \"^\"",
    b"\"$ref\": \"#\"",
    b"\"$comment\": {}",
    b"event_id",
    b"shard_id",
    b"year",
    b"\"detail_types\": {\"a\": \"\"}",
    b"\"sent\": \"event_time\"",
    b"\"\"",
    b"null",
    b"{}",
    b"[]",
    b",",
    b"}",
    b"\\u0000",
    b"\n",
    b"\xc3\xa9",
    b"~1",
    b"/",
];

const SQL: &[&[u8]] = &[
    b"SELECT ",
    b"FROM ",
    b"WHERE ",
    b"GROUP BY ",
    b"ORDER BY ",
    b"LIMIT 1",
    b"HAVING ",
    b"UNION ALL ",
    b"JOIN ",
    b"*",
    b";",
    b"TABLE(",
    b"TUMBLE(",
    b"CONCURRENCY(",
    b"HOP(",
    b"SESSION(",
    b"DESCRIPTOR(event_time)",
    b"TABLE user_events",
    b" PARTITION BY stream_id",
    b"INTERVAL '10' SECOND",
    b"INTERVAL '0' SECOND",
    b"INTERVAL '-1' MINUTE",
    b"INTERVAL '99999999999' DAY",
    b"INTERVAL '1' MONTH",
    b"window_start",
    b"window_end",
    b"COUNT(*)",
    b"COUNT(DISTINCT viewer_id)",
    b"SUM(played_ms)",
    b"PERCENTILE(startup_ms, 0.5)",
    b"AVG(",
    b"NULL",
    b"1/0",
    b"'",
    b"''",
    b"\"",
    b"--",
    b"/*",
    b"*/",
    b"(",
    b")",
    b",",
    b"1e400",
    b"9223372036854775808",
    b"CAST(",
    b" AS ",
    b"x'00'",
    b"$1",
    b"?",
    b"\n",
    b"\xc3\xa9",
    b"title = ",
    b"keys = [",
    b"sinks = [\"lake\", \"cloudwatch\"]",
    b"allowed_lateness_secs = 4294967296",
    b"[[cloudwatch]]",
    b"metric = \"a\"",
    b"\r\n",
];

const TOML: &[&[u8]] = &[
    b"[lake]",
    b"[source]",
    b"[time]",
    b"[[source]]",
    b"[source.x]",
    b"[\"\"]",
    b"=",
    b"= ",
    b"\"",
    b"\"\"\"",
    b"'",
    b"'''",
    b"#",
    b"\n",
    b"\r\n",
    b"\t",
    b"true",
    b"1_000",
    b"0x10",
    b"-1",
    b"1.5",
    b"inf",
    b"nan",
    b"18446744073709551616",
    b"9223372036854775807",
    b"[1, 2]",
    b"{ a = 1 }",
    b"1979-05-27T07:32:00Z",
    b"07:32:00",
    b"\"s3://b/p\"",
    b"\"file:///\"",
    b"\"http://[::1]:0\"",
    b"\"localhost:0\"",
    b"\"latest\"",
    b"\"\\u0000\"",
    b"\"\\uD800\"",
    b"\xc3\xa9",
    b"\xff",
    b"\xef\xbb\xbf",
    b"a.b.c = 1",
    b"_secs",
    b"_bytes",
    b"\x00",
    b"LAKE__URL=",
    b"SOURCE__KIND=",
    b"__",
    b"30s",
    b"5 MiB",
];

/// A run with these words of `iterations`.
fn run(
    target: &'static str,
    check: fn(&[u8]),
    seeds: Vec<Vec<u8>>,
    dictionary: &'static [&'static [u8]],
    iterations: u64,
) {
    Campaign { target, seeds, dictionary, iterations }.run(check);
}

#[test]
fn record() {
    run("record", targets::record, seeds::records(), JSON, 800);
}

#[test]
fn document() {
    run("record", targets::record, seeds::documents(), JSON, 1_000);
}

#[test]
fn forms() {
    run("forms", targets::forms, seeds::documents(), JSON, 300);
}

#[test]
fn aggregate() {
    run("aggregate", targets::aggregate, seeds::aggregates(), BINARY, 500);
}

#[test]
fn timestamp() {
    run("timestamp", targets::timestamps, seeds::timestamps(), TIMES, 100_000);
}

#[test]
fn schema() {
    run("schema", targets::schema, seeds::schemas(), SCHEMA, 3_000);
}

#[test]
fn pipeline() {
    run("pipeline", targets::pipeline, seeds::pipelines(), SQL, 10_000);
}

#[test]
fn query() {
    run("query", targets::query, seeds::queries(), SQL, 100);
}

#[test]
fn config() {
    run("config", targets::config, seeds::configs(), TOML, 600);
}

#[test]
fn environment() {
    run("environment", targets::environment, seeds::environments(), TOML, 150);
}

#[test]
fn lines() {
    run("lines", targets::lines, seeds::files_of_lines(), JSON, 600);
}

#[test]
fn json() {
    run("json", targets::json, seeds::files_of_json(), JSON, 600);
}

#[test]
fn parquet() {
    run("parquet", targets::parquet, seeds::parquet_files(), BINARY, 300);
}

#[test]
fn replacement() {
    run("replacement", targets::replacement, seeds::replacements(), JSON, 120);
}

#[test]
fn checkpoint() {
    // Whatever differs from what was written is refused.
    let seeds = seeds::checkpoints();
    let written = seeds.clone();
    let check = move |data: &[u8]| {
        targets::checkpoint(data);
        let read = headcount::engine::checkpoint::Checkpoint::from_bytes(data);
        assert_eq!(read.is_ok(), written.iter().any(|seed| seed == data));
    };
    Campaign { target: "checkpoint", seeds, dictionary: BINARY, iterations: 1_500 }.run(check);
}

#[test]
fn checkpoint_state() {
    let seeds = seeds::checkpoints().iter().map(|object| targets::opened_checkpoint(object)).collect();
    run("checkpoint_state", targets::checkpoint_state, seeds, BINARY, 500);
}
