//! Every rule of decoding, by name.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int32Type, Int64Type, TimestampMicrosecondType};
use bytes::Bytes;

use super::{DeadLetter, Decoded, Decoder, Provenance, Reason};
use crate::limits::{
    DEAD_LETTER_BATCH_BYTES_MAX, DEAD_LETTER_BATCH_ROWS_MAX, DEAD_LETTERS_PER_PAYLOAD, DEAD_LETTERS_PER_RECORD_MAX,
    JSON_DEPTH_MAX, PAYLOAD_BYTES_PER_DEAD_LETTER, RECORD_BYTES_MAX,
};
use crate::schema::Contract;
use crate::types::{Micros, ReadBatch, Record, parse_rfc3339};

const ARRIVAL: Micros = 1_767_225_605_000_000;

fn decoder(provenance: Provenance) -> Decoder {
    Decoder::new(Arc::new(Contract::shipped().unwrap()), provenance)
}

fn read_of(records: Vec<Bytes>) -> ReadBatch {
    let record =
        |(i, data)| Record { data, sequence_number: Arc::from(format!("4964{i}")), arrival_time: Some(ARRIVAL) };
    ReadBatch {
        shard: Arc::from("shardId-000000000001"),
        records: records.into_iter().enumerate().map(record).collect(),
        millis_behind_latest: Some(0),
        polled_at: None,
    }
}

fn decode_bytes(data: impl Into<Bytes>) -> Decoded {
    let decoded = decoder(Provenance::Record).decode(&read_of(vec![data.into()])).unwrap();
    assert_eq!(decoded.events_read, decoded.events.num_rows() as u64 + decoded.dead_letters.len() as u64);
    decoded
}

fn decode(text: &str) -> Decoded {
    decode_bytes(text.as_bytes().to_vec())
}

/// An event that is right, with more fields, written like `,"key":value`.
fn event(id: &str, more: &str) -> String {
    format!(
        r#"{{"schema_version":"1","event_id":"{id}","event_type":"user.logged_in","event_time":1767225600000{more}}}"#
    )
}

/// What came of an event that is right but for `more`: its only row, or its only dead letter.
fn outcome(more: &str) -> Result<RecordBatch, DeadLetter> {
    let mut decoded = decode(&event("a", more));
    assert_eq!(decoded.events_read, 1, "{more}");
    decoded.dead_letters.pop().map_or(Ok(decoded.events), Err)
}

fn assert_rejected(more: &str, reason: Reason, message: &str) {
    let letter = outcome(more).expect_err(more);
    assert_eq!(letter.reason, reason, "{more}: {}", letter.message);
    assert!(letter.message.contains(message), "{more}: {}", letter.message);
}

fn strings(batch: &RecordBatch, column: &str) -> Vec<Option<String>> {
    batch.column_by_name(column).unwrap().as_string::<i32>().iter().map(|text| text.map(str::to_owned)).collect()
}

fn string(batch: &RecordBatch, column: &str) -> Option<String> {
    assert_eq!(batch.num_rows(), 1);
    strings(batch, column).pop().unwrap()
}

fn ids(decoded: &Decoded) -> Vec<String> {
    strings(&decoded.events, "event_id").into_iter().flatten().collect()
}

fn int32(batch: &RecordBatch, column: &str) -> Option<i32> {
    batch.column_by_name(column).unwrap().as_primitive::<Int32Type>().iter().next().unwrap()
}

fn int64(batch: &RecordBatch, column: &str) -> Option<i64> {
    batch.column_by_name(column).unwrap().as_primitive::<Int64Type>().iter().next().unwrap()
}

fn time(batch: &RecordBatch, column: &str) -> Option<Micros> {
    batch.column_by_name(column).unwrap().as_primitive::<TimestampMicrosecondType>().iter().next().unwrap()
}

/// `(sub-sequence number, reason, bytes)` of each dead letter.
fn letters(decoded: &Decoded) -> Vec<(i64, Reason, String)> {
    let text = |letter: &DeadLetter| String::from_utf8_lossy(&letter.data).into_owned();
    decoded.dead_letters.iter().map(|l| (l.sub_sequence_number, l.reason, text(l))).collect()
}

fn sub_sequence_numbers(decoded: &Decoded) -> Vec<i64> {
    decoded.events.column_by_name("sub_sequence_number").unwrap().as_primitive::<Int64Type>().values().to_vec()
}

// ---- values

#[test]
fn every_kind_of_field_becomes_its_column() {
    let row = outcome(
        r#","sent_at":"2026-01-01T01:00:00.1234567+01:00","country":"DE","played_ms":-5,"amount_minor":9223372036854775807,"fatal":true,"properties":{"a": [1, {"b": null}]}"#,
    )
    .unwrap();
    assert_eq!(row.schema(), Contract::shipped().unwrap().events_schema());
    assert_eq!(string(&row, "event_id").as_deref(), Some("a"));
    assert_eq!(time(&row, "event_time"), Some(1_767_225_600_000_000));
    assert_eq!(time(&row, "sent_at"), Some(1_767_225_600_123_456));
    assert_eq!(string(&row, "country").as_deref(), Some("DE"));
    assert_eq!(int32(&row, "played_ms"), Some(-5));
    assert_eq!(int64(&row, "amount_minor"), Some(i64::MAX));
    assert!(row.column_by_name("fatal").unwrap().as_boolean().value(0));
    assert_eq!(string(&row, "properties").as_deref(), Some(r#"{"a": [1, {"b": null}]}"#));
    assert_eq!(string(&row, "channel_id"), None);
}

#[test]
fn a_null_is_an_absent_field() {
    let row = outcome(r#","country":null,"played_ms":null,"fatal":null,"sent_at":null,"properties":null"#).unwrap();
    for column in ["country", "played_ms", "fatal", "sent_at", "properties"] {
        assert!(row.column_by_name(column).unwrap().is_null(0), "{column}");
    }
    assert_rejected(r#","event_id":null"#, Reason::MissingField, "`event_id` is missing");
    assert_rejected(r#","event_time":null"#, Reason::MissingField, "`event_time` is missing");
}

#[test]
fn the_last_of_a_key_that_comes_twice_counts() {
    assert_eq!(string(&outcome(r#","country":"DE","country":"FR""#).unwrap(), "country").as_deref(), Some("FR"));
    assert_eq!(string(&outcome(r#","country":"DE","country":null"#).unwrap(), "country"), None);
    assert_eq!(string(&outcome(r#","country":7,"country":"FR""#).unwrap(), "country").as_deref(), Some("FR"));
    assert_rejected(r#","country":"FR","country":7"#, Reason::WrongType, "`country` is 7");
    assert_eq!(string(&outcome(r#","event_id":"b""#).unwrap(), "event_id").as_deref(), Some("b"));
}

#[test]
fn escapes_are_read_in_keys_and_values() {
    let row = outcome(r#","c\u006funtry":"\u0044\"\\\n\ud83d\ude00","source":"é😀""#).unwrap();
    assert_eq!(string(&row, "country").as_deref(), Some("D\"\\\n😀"));
    assert_eq!(string(&row, "source").as_deref(), Some("é😀"));
    assert_eq!(
        time(&outcome(r#","event_time":"2026-01-01T00:00:00\u005a""#).unwrap(), "event_time"),
        Some(1_767_225_600_000_000)
    );
    assert_rejected(r#","country":"\ud83d""#, Reason::NotJson, "`country`");
}

#[test]
fn optional_strings_may_be_empty() {
    assert_eq!(string(&outcome(r#","country":"","stream_id":"""#).unwrap(), "country").as_deref(), Some(""));
}

#[test]
fn types_are_strict() {
    for value in ["7", "1.5", "true", "[]", "{}"] {
        assert_rejected(
            &format!(r#","country":{value}"#),
            Reason::WrongType,
            &format!("`country` is {value}, not a string"),
        );
    }
    for value in ["\"7\"", "1.5", "1.0", "1e3", "-0.0", "true", "[]", "{}", "\"\""] {
        assert_rejected(
            &format!(r#","played_ms":{value}"#),
            Reason::WrongType,
            &format!("`played_ms` is {value}, not an int32"),
        );
        assert_rejected(&format!(r#","amount_minor":{value}"#), Reason::WrongType, "`amount_minor`");
    }
    for value in ["\"true\"", "1", "0", "[]", "{}"] {
        assert_rejected(
            &format!(r#","fatal":{value}"#),
            Reason::WrongType,
            &format!("`fatal` is {value}, not a boolean"),
        );
    }
    for value in ["\"{}\"", "1", "true", "[]"] {
        assert_rejected(&format!(r#","properties":{value}"#), Reason::WrongType, "not an object");
    }
    assert_rejected(r#","event_id":7"#, Reason::WrongType, "`event_id`");
}

#[test]
fn integers_keep_to_their_range() {
    assert_eq!(int32(&outcome(r#","played_ms":2147483647"#).unwrap(), "played_ms"), Some(i32::MAX));
    assert_eq!(int32(&outcome(r#","played_ms":-2147483648"#).unwrap(), "played_ms"), Some(i32::MIN));
    assert_eq!(int32(&outcome(r#","played_ms":-0"#).unwrap(), "played_ms"), Some(0));
    assert_eq!(int64(&outcome(r#","amount_minor":-9223372036854775808"#).unwrap(), "amount_minor"), Some(i64::MIN));
    for (field, value) in [
        ("played_ms", "2147483648"),
        ("played_ms", "-2147483649"),
        ("amount_minor", "9223372036854775808"),
        ("amount_minor", "-9223372036854775809"),
        ("amount_minor", "123456789012345678901234567890"),
    ] {
        assert_rejected(
            &format!(r#","{field}":{value}"#),
            Reason::WrongType,
            &format!("`{field}` is {value}, out of the range"),
        );
    }
}

#[test]
fn timestamps_are_rfc3339_or_epoch_milliseconds() {
    for (value, text) in [
        ("\"2026-01-01T00:00:00Z\"", "2026-01-01T00:00:00Z"),
        ("\"2026-01-01T02:30:00.5+02:30\"", "2026-01-01T00:00:00.5Z"),
        ("1767225600001", "2026-01-01T00:00:00.001Z"),
        ("0", "1970-01-01T00:00:00Z"),
    ] {
        let row = outcome(&format!(r#","event_time":{value}"#)).unwrap();
        assert_eq!(time(&row, "event_time"), parse_rfc3339(text), "{value}");
    }
    for value in [
        "\"\"",
        "\"2026-01-01T00:00:00\"",
        "\"2026-13-01T00:00:00Z\"",
        "\"2026-02-30T00:00:00Z\"",
        "\"2016-12-31T23:59:60Z\"",
        "\"1767225600000\"",
        "-1",
        "1767225600000000",
        "99999999999999999999",
        "1767225600000.0",
        "1.7e12",
        "true",
        "{}",
        "[]",
    ] {
        assert_rejected(&format!(r#","event_time":{value}"#), Reason::BadTimestamp, "`event_time`");
        assert_rejected(&format!(r#","sent_at":{value}"#), Reason::BadTimestamp, "`sent_at`");
    }
}

#[test]
fn an_unknown_version_of_the_contract_is_refused() {
    assert_rejected(r#","schema_version":"2""#, Reason::WrongType, "`schema_version` is \"2\", not one of 1");
    assert_rejected(r#","schema_version":"""#, Reason::MissingField, "`schema_version` is empty");
}

// ---- what must be there

#[test]
fn a_required_field_must_be_there_and_not_be_empty() {
    for field in ["schema_version", "event_id", "event_type", "event_time"] {
        let without = event("a", "").replacen(&format!("\"{field}\""), "\"x\"", 1);
        let decoded = decode(&without);
        assert_eq!(decoded.dead_letters[0].reason, Reason::MissingField);
        assert_eq!(decoded.dead_letters[0].message, format!("`{field}` is missing"));
    }
    assert_rejected(r#","event_id":"""#, Reason::MissingField, "`event_id` is empty");
    assert_rejected(r#","event_type":"""#, Reason::MissingField, "`event_type` is empty");
}

#[test]
fn an_event_type_may_require_more() {
    for (event_type, missing) in [
        ("stream.started", "stream_id"),
        ("chat.message_sent", "stream_id"),
        ("tip.sent", "stream_id"),
        ("view.started", "stream_id"),
        ("view.of_a_new_kind", "stream_id"),
    ] {
        let more = format!(r#","event_type":"{event_type}","session_id":"s""#);
        assert_rejected(
            &more,
            Reason::MissingField,
            &format!("`{missing}` is missing, which a {event_type} event must have"),
        );
    }
    assert_rejected(r#","event_type":"view.ended","stream_id":"x""#, Reason::MissingField, "`session_id` is missing");
    assert_rejected(
        r#","event_type":"view.ended","stream_id":"x","session_id":"""#,
        Reason::MissingField,
        "`session_id` is empty",
    );
    assert_rejected(r#","event_type":"tip.sent","stream_id":"""#, Reason::MissingField, "`stream_id` is empty");
    assert!(outcome(r#","event_type":"view.ended","stream_id":"x","session_id":"y""#).is_ok());
    assert!(outcome(r#","event_type":"tip.sent","stream_id":"x""#).is_ok());
}

#[test]
fn an_unknown_event_type_is_kept() {
    assert_eq!(
        string(&outcome(r#","event_type":"poll.opened""#).unwrap(), "event_type").as_deref(),
        Some("poll.opened")
    );
    assert!(outcome(r#","event_type":"viewer.joined""#).is_ok());
}

#[test]
fn syntax_is_judged_before_types_and_types_before_what_is_missing() {
    assert_eq!(decode(r#"{"country":7,"event_id":}"#).dead_letters[0].reason, Reason::NotJson);
    assert_eq!(decode(r#"{"country":7}"#).dead_letters[0].reason, Reason::WrongType);
    assert_eq!(decode(r#"{"country":"DE"}"#).dead_letters[0].reason, Reason::MissingField);
    assert_rejected(r#","event_time":"x","country":7"#, Reason::BadTimestamp, "`event_time`");
}

// ---- what is no event

#[test]
fn broken_json_is_not_json() {
    for text in [
        "junk",
        "{",
        "{\"a\":1",
        "{\"a\" 1}",
        "{a:1}",
        "{\"a\":1,}",
        "{\"a\":01}",
        "{\"a\":+1}",
        "{\"a\":NaN}",
        "{\"a\":'x'}",
        "{\"a\":\"\u{1}\"}",
        "{\"a\":\"\\x\"}",
        "{} {}",
        "{}x",
        "\u{feff}{}",
        "// {}",
    ] {
        let decoded = decode(text);
        assert_eq!(letters(&decoded), [(0, Reason::NotJson, text.to_owned())]);
        assert!(decoded.dead_letters[0].message.starts_with("not JSON: "), "{}", decoded.dead_letters[0].message);
    }
}

#[test]
fn invalid_utf8_is_not_json_wherever_it_is() {
    for (before, after) in [
        (&b"{\"country\":\""[..], &b"\"}"[..]),
        (b"{\"unknown\":\"", b"\"}"),
        (b"{\"properties\":{\"x\":\"", b"\"}}"),
        (b"{\"", b"\":1}"),
        (b"{", b"}"),
        (b"\"", b"\""),
        (b"", b""),
    ] {
        let data = [before, b"\xff", after].concat();
        let decoded = decode_bytes(data.clone());
        assert_eq!(decoded.dead_letters.len(), 1);
        assert_eq!(decoded.dead_letters[0].reason, Reason::NotJson, "{data:?}");
        assert_eq!(decoded.dead_letters[0].data, data);
    }
}

#[test]
fn json_that_is_no_object_is_of_the_wrong_type() {
    for text in ["7", "\"x\"", "true", "null", " 1.5e3 "] {
        let decoded = decode(text);
        assert_eq!(letters(&decoded), [(0, Reason::WrongType, text.to_owned())]);
        assert!(decoded.dead_letters[0].message.contains(text.trim()), "{}", decoded.dead_letters[0].message);
    }
}

#[test]
fn what_is_in_another_encoding_says_so() {
    let wide = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    for (data, what) in [
        (format!("\u{feff}{}", event("a", "")).into_bytes(), "a byte order mark is before it"),
        (wide("\u{feff}{\"a\":1}"), "it is UTF-16"),
        (wide("{\"a\":1}"), "it is UTF-16"),
        (wide("{\"a\":1}")[1..].to_vec(), "it is UTF-16"),
    ] {
        let decoded = decode_bytes(data.clone());
        let letter = &decoded.dead_letters[0];
        assert_eq!((letter.reason, &letter.data[..]), (Reason::NotJson, &data[..]));
        assert!(letter.message.contains(what), "{}", letter.message);
    }
}

#[test]
fn a_record_over_the_limit_is_too_large_and_one_at_it_is_not() {
    let full = |len: usize| {
        let event = event("a", ",\"country\":\"\"");
        let (before, after) = event.split_at(event.len() - 2);
        format!("{before}{}{after}", "x".repeat(len - event.len()))
    };
    assert_eq!(decode(&full(RECORD_BYTES_MAX)).events.num_rows(), 1);
    let decoded = decode(&full(RECORD_BYTES_MAX + 1));
    assert_eq!(decoded.events.num_rows(), 0);
    assert_eq!(decoded.dead_letters[0].reason, Reason::TooLarge);
    // Of a line of a file no more is read than this: how long it was is not known.
    assert_eq!(decoded.dead_letters[0].message, format!("the record has more than {RECORD_BYTES_MAX} bytes"));
    assert_eq!(decoded.dead_letters[0].data.len(), RECORD_BYTES_MAX + 1);
}

#[test]
fn nesting_is_bounded_in_known_and_unknown_fields_and_elsewhere() {
    let nested = |levels: usize, open: &str, close: &str| format!("{}1{}", open.repeat(levels), close.repeat(levels));
    // The event itself is the first level.
    let objects = nested(JSON_DEPTH_MAX - 1, "{\"a\":", "}");
    assert!(outcome(&format!(",\"properties\":{objects}")).is_ok());
    assert!(outcome(&format!(",\"unknown\":{objects}")).is_ok());
    assert!(outcome(&format!(",\"unknown\":{}", nested(JSON_DEPTH_MAX - 1, "[", "]"))).is_ok());
    assert!(outcome(&format!(",\"unknown\":\"{}\"", "[{".repeat(500))).is_ok());
    let message = format!("nested {} levels deep, more than {JSON_DEPTH_MAX}", JSON_DEPTH_MAX + 1);
    let objects = nested(JSON_DEPTH_MAX, "{\"a\":", "}");
    assert_rejected(&format!(",\"properties\":{objects}"), Reason::NotJson, &message);
    assert_rejected(&format!(",\"unknown\":{objects}"), Reason::NotJson, &message);
    assert_rejected(&format!(",\"country\":{}", nested(JSON_DEPTH_MAX, "[", "]")), Reason::NotJson, &message);
    // An element of an array is an event: its own levels count.
    let decoded = decode(&nested(JSON_DEPTH_MAX + 1, "[", "]"));
    assert_eq!(decoded.dead_letters[0].reason, Reason::WrongType);
    assert_eq!(decode(&nested(JSON_DEPTH_MAX + 2, "[", "]")).dead_letters[0].reason, Reason::NotJson);
}

#[test]
fn nesting_of_half_a_million_levels_does_not_harm() {
    let half = 500_000;
    for text in [
        "[".repeat(2 * half),
        format!("{}{}", "[".repeat(half), "]".repeat(half)),
        event("a", &format!(",\"properties\":{{\"x\":{}{}}}", "[".repeat(half), "]".repeat(half))),
        format!("{{\"x\":{}", "[".repeat(half)),
        "{\"a\":".repeat(half / 3),
        "{\"a\":\n".repeat(half / 4),
    ] {
        let decoded = decode(&text);
        assert!(decoded.dead_letters.iter().all(|letter| letter.reason == Reason::NotJson), "{}", &text[..40]);
        assert!(decoded.events_read > 0 && decoded.events.num_rows() == 0);
    }
}

#[test]
fn a_bad_event_leaves_nothing_behind() {
    let good = event("a", ",\"country\":\"DE\"");
    // Bad only in its last field, after all others were read.
    let bad = event("b", ",\"country\":\"FR\",\"odd\":1,\"properties\":7");
    let mut decoder = decoder(Provenance::Record);
    let decoded = decoder.decode(&read_of(vec![format!("{bad}\n{good}\n{bad}").into()])).unwrap();
    assert_eq!(strings(&decoded.events, "country"), [Some("DE".to_owned())]);
    assert_eq!(sub_sequence_numbers(&decoded), [1]);
    assert!(decoder.unknown_fields().is_empty());
}

// ---- record forms

#[test]
fn an_empty_record_holds_no_event() {
    for text in ["", " ", "\n", " \r\n\t\n", "[]", " [ ] \n"] {
        assert_eq!(decode(text).events_read, 0, "{text:?}");
    }
}

#[test]
fn one_object_may_be_printed_over_several_lines() {
    let pretty =
        event("a", ",\"properties\":{\"b\":{}}").replace(',', ",\n  ").replace('{', "{\n").replace('}', "\n}\n");
    let decoded = decode(&pretty);
    assert_eq!(ids(&decoded), ["a"]);
    assert_eq!(letters(&decoded), []);
    assert_eq!(string(&decoded.events, "properties").as_deref(), Some("{\n\"b\":{\n\n}\n\n}"));
}

#[test]
fn a_broken_object_over_several_lines_is_one_dead_letter() {
    let broken = "{\n  \"event_id\": \"a\",\n  \"event_type\":\n}\n";
    assert_eq!(letters(&decode(broken)), [(0, Reason::NotJson, broken.to_owned())]);
}

#[test]
fn newline_delimited_events_are_numbered_by_their_place() {
    let decoded = decode(&format!("{}\r\n\n{}\n", event("a", ""), event("b", "")));
    assert_eq!(ids(&decoded), ["a", "b"]);
    assert_eq!(sub_sequence_numbers(&decoded), [0, 1]);
}

#[test]
fn a_bad_line_costs_no_other_line() {
    let (a, b, c) = (event("a", ""), event("b", ""), event("c", ""));
    let missing = "{\"schema_version\":\"1\"}";
    let truncated = &a[..a.len() / 2];
    let two = format!("{a}{a}");
    let decoded = decode(&format!("{a}\n{truncated}\n{b}\n{missing}\n7\n{two}\n{c}"));
    assert_eq!(ids(&decoded), ["a", "b", "c"]);
    assert_eq!(sub_sequence_numbers(&decoded), [0, 2, 6]);
    assert_eq!(
        letters(&decoded),
        [
            (1, Reason::NotJson, truncated.to_owned()),
            (3, Reason::MissingField, missing.to_owned()),
            (4, Reason::WrongType, "7".to_owned()),
            (5, Reason::NotJson, two),
        ]
    );
    // The bad line may also be the first, by which the form is told.
    assert_eq!(ids(&decode(&format!("{truncated}\n{b}\n{c}\n"))), ["b", "c"]);
    assert_eq!(ids(&decode(&format!("{{\n{b}\n{c}\n"))), ["b", "c"]);
}

#[test]
fn invalid_utf8_in_a_line_costs_no_other_line() {
    let data = [event("a", "").as_bytes(), b"\n{\"x\":\"\xff\"}\n", event("b", "").as_bytes()].concat();
    let decoded = decode_bytes(data);
    assert_eq!(ids(&decoded), ["a", "b"]);
    assert_eq!(decoded.dead_letters[0].data, &b"{\"x\":\"\xff\"}"[..]);
}

#[test]
fn an_array_holds_events() {
    let decoded = decode(&format!(" [ {},\n{} ]\n", event("a", ""), event("b", ",\"source\":\"],[\\\"\"")));
    assert_eq!(ids(&decoded), ["a", "b"]);
    assert_eq!(sub_sequence_numbers(&decoded), [0, 1]);
}

#[test]
fn a_bad_element_costs_no_other() {
    let decoded =
        decode(&format!("[{},{{\"a\":}},7,[{}],{{\"b\":1}},{}]", event("a", ""), event("x", ""), event("b", "")));
    assert_eq!(ids(&decoded), ["a", "b"]);
    assert_eq!(sub_sequence_numbers(&decoded), [0, 5]);
    assert_eq!(
        letters(&decoded),
        [
            (1, Reason::NotJson, "{\"a\":}".to_owned()),
            (2, Reason::WrongType, "7".to_owned()),
            (3, Reason::WrongType, format!("[{}]", event("x", ""))),
            (4, Reason::MissingField, "{\"b\":1}".to_owned()),
        ]
    );
}

#[test]
fn from_where_an_array_breaks_the_rest_is_one_dead_letter() {
    let (a, b) = (event("a", ""), event("b", ""));
    for rest in [format!("{{\"x\":[}},{b}]"), "{\"x\":\"".to_owned(), "{\"x\"".to_owned()] {
        let decoded = decode(&format!("[{a},{rest}"));
        assert_eq!(ids(&decoded), ["a"], "{rest}");
        assert_eq!(letters(&decoded), [(1, Reason::NotJson, rest)]);
    }
    for rest in [format!(",,{b}]"), ",]".to_owned(), ",".to_owned(), String::new()] {
        let decoded = decode(&format!("[{a}{rest}"));
        assert_eq!(ids(&decoded), ["a"], "{rest}");
        assert_eq!(letters(&decoded), [(1, Reason::NotJson, rest)]);
    }
    let decoded = decode(&format!("[{a}]\n{b}"));
    assert_eq!(ids(&decoded), ["a"]);
    assert_eq!(letters(&decoded), [(1, Reason::NotJson, b)]);
}

#[test]
fn a_record_of_junk_yields_a_bounded_number_of_dead_letters_and_loses_nothing() {
    // Of so many bytes each that their number is what counts.
    let junk = format!("{},", "7".repeat(PAYLOAD_BYTES_PER_DEAD_LETTER));
    let text = format!("[{}{}]", junk.repeat(DEAD_LETTERS_PER_RECORD_MAX + 5), event("a", ""));
    let decoded = decode(&text);
    assert_eq!(decoded.dead_letters.len(), DEAD_LETTERS_PER_RECORD_MAX);
    let last = decoded.dead_letters.last().unwrap();
    assert!(last.data.starts_with(format!(",{}{{", junk.repeat(6)).as_bytes()) && last.data.ends_with(b"}]"));
    assert_eq!(last.sub_sequence_number, DEAD_LETTERS_PER_RECORD_MAX as i64 - 1);
}

// ---- provenance

#[test]
fn the_record_gives_the_provenance_of_a_live_row() {
    let row = outcome(r#","shard_id":"mine","ingest_time":7,"event_time_original":"x""#).unwrap();
    assert_eq!(string(&row, "shard_id").as_deref(), Some("shardId-000000000001"));
    assert_eq!(string(&row, "sequence_number").as_deref(), Some("49640"));
    assert_eq!(int64(&row, "sub_sequence_number"), Some(0));
    assert_eq!(time(&row, "ingest_time"), Some(ARRIVAL));
    assert_eq!(time(&row, "event_time_original"), None);
    assert_eq!(time(&row, "shard_high_time"), None);
}

#[test]
fn without_an_arrival_time_the_ingest_time_is_null() {
    let mut read = read_of(vec![event("a", "").into()]);
    read.records[0].arrival_time = None;
    assert_eq!(time(&decoder(Provenance::Record).decode(&read).unwrap().events, "ingest_time"), None);
}

#[test]
fn a_row_of_a_file_may_bring_its_provenance() {
    let more = r#","shard_id":"s9","sequence_number":"123","sub_sequence_number":4,"ingest_time":1767225601000,
        "event_time_original":"2026-01-01T00:00:09Z","shard_high_time":1767225602000"#;
    let lines = format!("{}\n{}\n", event("a", &more.replace('\n', "")), event("b", ",\"shard_id\":\"s9\""));
    let mut decoder = decoder(Provenance::Row);
    let events = decoder.decode(&read_of(vec![lines.into()])).unwrap().events;
    let (first, second) = (events.slice(0, 1), events.slice(1, 1));
    assert_eq!(string(&first, "shard_id").as_deref(), Some("s9"));
    assert_eq!(string(&first, "sequence_number").as_deref(), Some("123"));
    assert_eq!(int64(&first, "sub_sequence_number"), Some(4));
    assert_eq!(time(&first, "ingest_time"), Some(1_767_225_601_000_000));
    assert_eq!(time(&first, "event_time_original"), Some(1_767_225_609_000_000));
    assert_eq!(time(&first, "shard_high_time"), Some(1_767_225_602_000_000));
    assert_eq!(string(&second, "shard_id").as_deref(), Some("s9"));
    assert_eq!(string(&second, "sequence_number").as_deref(), Some("49640"));
    assert_eq!(int64(&second, "sub_sequence_number"), Some(1));
    assert_eq!(time(&second, "ingest_time"), Some(ARRIVAL));
    assert!(decoder.unknown_fields().is_empty());
}

#[test]
fn the_provenance_of_a_row_is_as_strict_as_its_fields() {
    for (more, reason) in [
        (r#","shard_id":7"#, Reason::WrongType),
        (r#","sequence_number":7"#, Reason::WrongType),
        (r#","sub_sequence_number":"7""#, Reason::WrongType),
        (r#","ingest_time":"now""#, Reason::BadTimestamp),
    ] {
        let decoded = decoder(Provenance::Row).decode(&read_of(vec![event("a", more).into()])).unwrap();
        assert_eq!(decoded.dead_letters[0].reason, reason, "{more}");
    }
}

// ---- counts and dead letters

#[test]
fn unknown_fields_are_ignored_and_counted_by_name() {
    let mut decoder = decoder(Provenance::Record);
    let text =
        format!("{}\n{}", event("a", ",\"odd\":{\"country\":1},\"shard_id\":\"x\""), event("b", ",\"\\u006fdd\":[1]"));
    let decoded = decoder.decode(&read_of(vec![text.into(), event("c", ",\"odd\":null").into()])).unwrap();
    assert_eq!(ids(&decoded), ["a", "b", "c"]);
    let counts: Vec<_> = decoder.unknown_fields().iter().map(|(name, n)| (name.as_str(), *n)).collect();
    assert_eq!(counts, [("odd", 3), ("shard_id", 1)]);
}

#[test]
fn records_keep_their_order_and_their_numbers() {
    let records = vec![
        event("a", "").into(),
        "junk".into(),
        Bytes::new(),
        format!("{}\n{}", event("b", ""), event("c", "")).into(),
    ];
    let mut decoder = decoder(Provenance::Record);
    let decoded = decoder.decode(&read_of(records)).unwrap();
    assert_eq!(ids(&decoded), ["a", "b", "c"]);
    assert_eq!(decoded.events_read, 4);
    let sequence: Vec<_> = strings(&decoded.events, "sequence_number").into_iter().flatten().collect();
    assert_eq!(sequence, ["49640", "49643", "49643"]);
    let letter = &decoded.dead_letters[0];
    assert_eq!((&*letter.shard, &*letter.sequence_number), ("shardId-000000000001", "49641"));
    assert_eq!(letter.arrival_time, Some(ARRIVAL));
    // A decoder starts every read anew.
    assert_eq!(decoder.decode(&read_of(vec![])).unwrap().events_read, 0);
}

#[test]
fn a_contract_of_ones_own_decodes_without_code() {
    let contract = r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object","required":["id","at","kind"],
        "x-headcount":{"stream":"orders","id":"id","time":"at","type":"kind"},
        "properties":{"id":{"type":"string"},"kind":{"type":"string"},"price":{"type":"integer","format":"int64"},
        "at":{"type":["string","integer"],"format":"date-time"}}}"#;
    let mut decoder = Decoder::new(Arc::new(Contract::from_json(contract, "x").unwrap()), Provenance::Record);
    let decoded = decoder.decode(&read_of(vec![r#"{"id":"1","kind":"paid","at":0,"price":99}"#.into()])).unwrap();
    assert_eq!(int64(&decoded.events, "price"), Some(99));
}

#[test]
fn dead_letters_become_a_batch() {
    let decoded =
        decoder(Provenance::Record).decode(&read_of(vec!["junk".into(), Bytes::from_static(b"\xff")])).unwrap();
    let batches: Vec<_> = DeadLetter::to_batches(&decoded.dead_letters).map(Result::unwrap).collect();
    let [batch] = batches.as_slice() else { panic!("{} batches", batches.len()) };
    assert_eq!(batch.schema(), DeadLetter::schema());
    assert_eq!(strings(batch, "reason"), [Some("not_json".to_owned()), Some("not_json".to_owned())]);
    assert_eq!(batch.column_by_name("data").unwrap().as_binary::<i32>().value(1), b"\xff");
    assert_eq!(string(&batch.slice(0, 1), "sequence_number").as_deref(), Some("49640"));
    assert_eq!(time(batch, "ingest_time"), Some(ARRIVAL));
    assert_eq!(batch.schema().field(2).data_type(), &DataType::Binary);
    assert_eq!(DeadLetter::to_batches(&[]).count(), 0);
}

#[test]
fn many_dead_letters_become_several_batches() {
    let letters = |number: usize, bytes: usize| {
        let decoded = decoder(Provenance::Record).decode(&read_of(vec!["junk".into()])).unwrap();
        vec![DeadLetter { data: vec![b'x'; bytes].into(), ..decoded.dead_letters[0].clone() }; number]
    };
    let rows = |letters: &[DeadLetter]| -> Vec<usize> {
        DeadLetter::to_batches(letters).map(|batch| batch.unwrap().num_rows()).collect()
    };
    let (rows_max, bytes_max) = (DEAD_LETTER_BATCH_ROWS_MAX, DEAD_LETTER_BATCH_BYTES_MAX);
    assert_eq!(rows(&letters(rows_max + 1, 1)), [rows_max, 1]);
    assert_eq!(rows(&letters(5, bytes_max / 3)), [2, 2, 1]);
    assert_eq!(rows(&letters(2, bytes_max + 1)), [1, 1]);
}

/// Kilobytes that decompress to junk must not become as many letters as there are lines of it.
#[test]
fn junk_has_dead_letters_by_its_length() {
    let junk = "0\n".repeat(100_000);
    let closed = zstd::encode_all(junk.as_bytes(), 1).unwrap();
    let decoded = decoder(Provenance::Record)
        .decode(&read_of(vec![closed.into(), junk.clone().into(), "0\n0\n".into()]))
        .unwrap();
    let each = DEAD_LETTERS_PER_PAYLOAD + junk.len() / PAYLOAD_BYTES_PER_DEAD_LETTER;
    assert_eq!(decoded.dead_letters.len(), 2 * each + 2);
    // Nothing of it is lost.
    assert_eq!(decoded.dead_letters[each - 1].data, junk[2 * (each - 1)..]);
}

#[test]
fn what_is_left_of_an_array_of_bad_events_is_read_again() {
    let text = format!("[{},{}]", ["7"; 5_000].join(","), event("b", ""));
    let mut decoder = decoder(Provenance::Record);
    let decoded = decoder.decode(&read_of(vec![text.into()])).unwrap();
    let (rest, letters) = decoded.dead_letters.split_last().unwrap();
    assert!(rest.data.starts_with(b",7,7") && letters.len() >= DEAD_LETTERS_PER_PAYLOAD);
    let again = decoder.decode_letter(&read_of(vec![rest.data.clone()]), rest.sub_sequence_number).unwrap().unwrap();
    assert_eq!((ids(&again), again.dead_letters.len()), (vec!["b".to_owned()], 5_000 - letters.len()));
}

#[test]
fn reasons_have_codes() {
    let codes: Vec<_> = Reason::ALL.iter().map(Reason::code).collect();
    assert_eq!(
        codes,
        [
            "not_json",
            "missing_field",
            "wrong_type",
            "bad_timestamp",
            "bad_aggregate",
            "bad_compression",
            "too_large",
            "too_old"
        ]
    );
}
