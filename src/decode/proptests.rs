//! Decoding against an independent reading of the same documents, and on bytes that nobody meant.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int32Type, Int64Type, TimestampMicrosecondType};
use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::Value;

use super::{Decoded, Decoder, Provenance, Reason};
use crate::limits::JSON_DEPTH_MAX;
use crate::schema::{Contract, Kind};
use crate::types::{ReadBatch, Record};

static CONTRACT: LazyLock<Arc<Contract>> = LazyLock::new(|| Arc::new(Contract::shipped().unwrap()));

/// Cases are the same in every run; no file of past failures is written.
pub(super) fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 1_000,
        rng_seed: RngSeed::Fixed(20_260_131),
        failure_persistence: None,
        ..Default::default()
    }
}

/// Events that teach a decoder an order of keys, and another.
const LEARNT: &str = concat!(
    r#"{"schema_version":"1","event_id":"w","event_type":"tip.sent","event_time":1767225600000,"stream_id":"s"}"#,
    "\n",
    r#"{"event_time":1767225600000,"stream_id":"s","event_type":"tip.sent","event_id":"w","schema_version":"1"}"#
);

/// What a decoder makes of the data that has decoded before.
fn decode(data: Vec<u8>) -> Decoded {
    let read = |data: Vec<u8>| {
        let record = Record { data: Bytes::from(data), sequence_number: Arc::from("1"), arrival_time: None };
        ReadBatch { shard: Arc::from("s"), records: vec![record], millis_behind_latest: None, polled_at: None }
    };
    let mut decoder = Decoder::new(Arc::clone(&CONTRACT), Provenance::Record);
    assert_eq!(decoder.decode(&read(LEARNT.into())).unwrap().events.num_rows(), 2);
    decoder.decode(&read(data)).unwrap()
}

/// A row as `serde_json` would have it: only fields that are there, timestamps in microseconds, objects parsed.
fn row_as_json(batch: &RecordBatch, contract: &Contract) -> Value {
    let mut row = serde_json::Map::new();
    for (field, column) in contract.fields().iter().zip(batch.columns()) {
        if column.is_null(0) {
            continue;
        }
        let value = match (field.kind, column.data_type()) {
            (Kind::Json, _) => serde_json::from_str(column.as_string::<i32>().value(0)).unwrap(),
            (_, DataType::Utf8) => column.as_string::<i32>().value(0).into(),
            (_, DataType::Int32) => column.as_primitive::<Int32Type>().value(0).into(),
            (_, DataType::Int64) => column.as_primitive::<Int64Type>().value(0).into(),
            (_, DataType::Boolean) => column.as_boolean().value(0).into(),
            _ => column.as_primitive::<TimestampMicrosecondType>().value(0).into(),
        };
        row.insert(field.name.clone(), value);
    }
    Value::Object(row)
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(entries) => 1 + entries.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// What a document comes to, read by `serde_json::Value` and chrono.
fn expected(text: &[u8], contract: &Contract) -> Result<Value, Reason> {
    let document: Value = serde_json::from_slice(text).map_err(|_| Reason::NotJson)?;
    if depth(&document) > JSON_DEPTH_MAX {
        return Err(Reason::NotJson);
    }
    let entries = document.as_object().ok_or(Reason::WrongType)?;
    let mut row = serde_json::Map::new();
    for field in contract.fields() {
        let value = match entries.get(&field.name) {
            None | Some(Value::Null) => continue,
            Some(value) => value,
        };
        let fits = match field.kind {
            Kind::String if field.name == "schema_version" => value == "1" || value == "",
            Kind::String => value.is_string(),
            Kind::Int32 => value.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
            Kind::Int64 => value.is_i64(),
            Kind::Bool => value.is_boolean(),
            Kind::Json => value.is_object(),
            Kind::Timestamp => true,
        };
        if !fits {
            return Err(Reason::WrongType);
        }
        let value = if field.kind == Kind::Timestamp {
            instant(value).ok_or(Reason::BadTimestamp)?.into()
        } else {
            value.clone()
        };
        row.insert(field.name.clone(), value);
    }
    let has = |name: &str| row.get(name).is_some_and(|value| value != "");
    let event_type = row.get("event_type").and_then(Value::as_str).unwrap_or_default();
    let subject = event_type.split_once('.').map_or("", |(subject, _)| subject);
    let complete = ["schema_version", "event_id", "event_type", "event_time"].iter().all(|name| has(name))
        && (!["stream", "view", "chat", "tip"].contains(&subject) || has("stream_id"))
        && (subject != "view" || has("session_id"));
    if complete { Ok(Value::Object(row)) } else { Err(Reason::MissingField) }
}

fn instant(value: &Value) -> Option<i64> {
    if let Some(millis) = value.as_i64() {
        return (0..253_402_300_800_000).contains(&millis).then(|| millis * 1000);
    }
    let text = value.as_str()?;
    let leap = text.get(17..19) == Some("60");
    let digits = text.get(20..).map_or(0, |rest| rest.bytes().take_while(u8::is_ascii_digit).count());
    let micros = chrono::DateTime::parse_from_rfc3339(text).ok()?.timestamp_micros();
    // chrono also takes the minus sign U+2212.
    (text.is_ascii() && !leap && digits <= 9 && (-62_135_596_800_000_000..253_402_300_800_000_000).contains(&micros))
        .then_some(micros)
}

/// A value that is often right for some field, and often not.
fn any_value() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-z0-9]{0,6}".prop_map(|text| format!("\"{text}\"")),
        1 => any::<String>().prop_map(|text| Value::from(text).to_string()),
        2 => any::<i32>().prop_map(|n| n.to_string()),
        1 => any::<i64>().prop_map(|n| n.to_string()),
        1 => any::<u64>().prop_map(|n| n.to_string()),
        1 => any::<f32>().prop_map(|n| Value::from(f64::from(n)).to_string()),
        2 => (0_i64..4_000_000_000_000).prop_map(|n| n.to_string()),
        2 => (0_i64..4_000_000_000, 0_u32..1_000_000_000).prop_map(|(s, n)| {
            Value::from(chrono::DateTime::from_timestamp(s, n).unwrap().to_rfc3339()).to_string()
        }),
        2 => prop::sample::select(vec![
            "true", "false", "null", "{}", "[]", "\"\"", "\"1\"", "{\"a\":[1,{\"b\":null}]}", "[\"]\",{}]", "\"\\u0061\\n\"",
            "\"2026-02-30T00:00:00Z\"", "\"view.started\"", "\"tip.sent\"", "\"2026-01-01T00:00:00.5+01:30\"", "2147483648",
        ]).prop_map(str::to_owned),
    ]
}

fn any_key() -> impl Strategy<Value = String> {
    let names: Vec<String> = CONTRACT.fields().iter().map(|f| f.name.clone()).collect();
    prop_oneof![8 => prop::sample::select(names), 1 => "[a-z_]{0,8}"]
}

/// An event that is right for its type, then fields over and above, of which some replace a right one.
fn any_event() -> impl Strategy<Value = String> {
    let event_type = prop::sample::select(vec!["view.started", "tip.sent", "user.logged_in", "poll.opened"]);
    (event_type, 0_usize..64, prop::collection::vec((any_key(), any_value()), 0..6), prop::bool::ANY).prop_map(
        |(event_type, left_out, more, pretty)| {
            let mut entries = vec![
                ("schema_version".to_owned(), "\"1\"".to_owned()),
                ("event_id".to_owned(), "\"e\"".to_owned()),
                ("event_type".to_owned(), format!("\"{event_type}\"")),
                ("event_time".to_owned(), "1767225600000".to_owned()),
                ("stream_id".to_owned(), "\"s\"".to_owned()),
                ("session_id".to_owned(), "\"p\"".to_owned()),
            ];
            if left_out < entries.len() {
                entries.remove(left_out);
            }
            entries.extend(more);
            let (comma, colon) = if pretty { (",\n  ", ": ") } else { (",", ":") };
            let body: Vec<String> = entries.iter().map(|(key, value)| format!("\"{key}\"{colon}{value}")).collect();
            format!("{{{}}}", body.join(comma))
        },
    )
}

/// Changes to bytes: replace, insert, or remove at a place.
fn mutate(mut bytes: Vec<u8>, changes: &[(usize, u8, u8)]) -> Vec<u8> {
    for &(place, how, byte) in changes {
        let place = place % (bytes.len() + 1);
        match how % 3 {
            0 if place < bytes.len() => bytes[place] = byte,
            1 if place < bytes.len() => drop(bytes.remove(place)),
            _ => bytes.insert(place, byte),
        }
    }
    bytes
}

fn any_changes() -> impl Strategy<Value = Vec<(usize, u8, u8)>> {
    let byte = prop_oneof![3 => prop::sample::select(br#"{}[]",:\01.e-n "#.to_vec()), 1 => any::<u8>()];
    prop::collection::vec((any::<usize>(), any::<u8>(), byte), 0..4)
}

/// `serde_json::Value` cannot hold all JSON: huge floats and half surrogate pairs are syntax to it. Nor does it tell `-0`
/// from `-0.0`.
fn within_reach_of_value(text: &[u8]) -> bool {
    let by_value = serde_json::from_slice::<Value>(text).is_ok();
    let by_syntax = serde_json::from_slice::<&serde_json::value::RawValue>(text).is_ok();
    by_value == by_syntax && !text.windows(3).any(|w| matches!(w, [b':' | b' ' | b',' | b'[', b'-', b'0']))
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_document_is_judged_and_read_as_by_serde_json(event in any_event(), changes in any_changes()) {
        let text = mutate(event.replace('\n', " ").into_bytes(), &changes);
        // One document, told as such: other forms have their own properties.
        let first = text.iter().find(|b| !b.is_ascii_whitespace());
        prop_assume!(first.is_some_and(|&b| b != b'[') && !text.contains(&b'\n') && within_reach_of_value(&text));
        let contract = &*CONTRACT;
        let decoded = decode(text.clone());
        prop_assert_eq!(decoded.events_read, 1);
        match expected(&text, contract) {
            Ok(row) => {
                prop_assert_eq!(decoded.dead_letters, vec![]);
                prop_assert_eq!(row_as_json(&decoded.events, contract), row);
            }
            Err(reason) => {
                prop_assert_eq!(decoded.dead_letters[0].reason, reason, "{}", &decoded.dead_letters[0].message);
                prop_assert_eq!(&decoded.dead_letters[0].data[..], &text[..]);
            }
        }
    }

    #[test]
    fn a_pretty_document_is_read_as_by_serde_json(event in any_event()) {
        prop_assume!(within_reach_of_value(event.as_bytes()));
        let contract = &*CONTRACT;
        let decoded = decode(event.clone().into_bytes());
        prop_assert_eq!(decoded.events_read, 1);
        match expected(event.as_bytes(), contract) {
            Ok(row) => prop_assert_eq!(row_as_json(&decoded.events, contract), row),
            Err(reason) => prop_assert_eq!(decoded.dead_letters[0].reason, reason),
        }
    }

    #[test]
    fn an_event_is_judged_alike_alone_in_lines_and_in_an_array(
        events in prop::collection::vec(any_event(), 1..6),
        blank in prop::sample::select(vec!["", " ", "\r"]),
    ) {
        let events: Vec<String> = events.iter().map(|event| event.replace('\n', " ")).collect();
        let lines: String = events.iter().map(|event| format!("{event}{blank}\n{blank}\n")).collect();
        let array = format!("{blank}[{}]", events.join(&format!("{blank},")));
        let alone: Vec<Decoded> = events.iter().map(|event| decode(event.clone().into_bytes())).collect();
        for many in [decode(lines.into_bytes()), decode(array.into_bytes())] {
            prop_assert_eq!(many.events_read, events.len() as u64);
            let (mut rows, mut letters) = (0, many.dead_letters.iter());
            for (number, one) in alone.iter().enumerate() {
                match one.dead_letters.first() {
                    Some(letter) => {
                        let found = letters.next().unwrap();
                        prop_assert_eq!((&found.message, found.reason), (&letter.message, letter.reason));
                        prop_assert_eq!(found.sub_sequence_number, number as i64);
                        prop_assert_eq!(found.data.trim_ascii(), events[number].as_bytes());
                    }
                    None => {
                        let row = many.events.slice(rows, 1);
                        let contract_columns = CONTRACT.fields().len();
                        prop_assert_eq!(&row.columns()[..contract_columns], &one.events.columns()[..contract_columns]);
                        rows += 1;
                    }
                }
            }
            prop_assert_eq!(rows, many.events.num_rows());
        }
    }

    #[test]
    fn a_damaged_line_costs_no_other(events in prop::collection::vec(any_event(), 2..5), place in any::<usize>(), changes in any_changes()) {
        let events: Vec<String> = events.iter().map(|event| event.replace('\n', " ")).collect();
        let damaged = place % events.len();
        let mut lines: Vec<Vec<u8>> = events.iter().map(|event| event.clone().into_bytes()).collect();
        lines[damaged] = mutate(lines[damaged].clone(), &changes);
        prop_assume!(!lines[damaged].contains(&b'\n') && lines[damaged].trim_ascii_start().first() == Some(&b'{'));
        let rows_of = |text: Vec<u8>| decode(text).events.num_rows();
        let each: usize = lines.iter().map(|line| rows_of(line.clone())).sum();
        prop_assert_eq!(rows_of(lines.join(&b'\n')), each);
    }

    #[test]
    fn no_bytes_make_it_panic_and_none_vanish(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        check_whole(&bytes)?;
    }

    #[test]
    fn no_soup_of_json_makes_it_panic_and_none_vanishes(soup in "[\\[\\]{}\",:\\\\\n a1en-]{0,80}") {
        check_whole(soup.as_bytes())?;
    }

    #[test]
    fn no_damage_to_many_events_makes_it_panic(events in prop::collection::vec(any_event(), 0..5), array in any::<bool>(), changes in any_changes()) {
        let text = if array { format!("[{}]", events.join(",")) } else { events.join("\n") };
        check_whole(&mutate(text.into_bytes(), &changes))?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..config() })]

    /// Many events of one form, as a producer writes them, some of them with another length, an escape, or damage: what a decoder that has
    /// learnt from the others makes of each is what one makes of it that has not.
    #[test]
    fn what_was_learnt_changes_nothing(
        base in prop::collection::vec((14_usize..50, 0_usize..8), 4),
        odd in prop::collection::vec((0_usize..150, 0_usize..4, -2_isize..3, 0_usize..50, 0_u8..6), 0..40),
    ) {
        let line = |number: usize| {
            let mut texts: Vec<Vec<u8>> = base
                .iter()
                .map(|&(len, letter)| (0..len).map(|at| b'a' + ((letter + number + at) % 20) as u8).collect())
                .collect();
            for &(_, field, longer, at, kind) in odd.iter().filter(|(of, ..)| *of == number) {
                let text: &mut Vec<u8> = &mut texts[field];
                text.resize(text.len().saturating_add_signed(longer), b'z');
                let at = at % (text.len() + 1);
                let put: &[u8] = [&b""[..], b"\\n", "\u{e9}\u{1f600}".as_bytes(), b"\xff", b"\"", b"\\ud83d"][usize::from(kind)];
                text.splice(at..at, put.iter().copied());
            }
            let [id, stream, session, viewer] = &texts[..] else { unreachable!() };
            let parts: [&[u8]; 9] = [
                br#"{"schema_version":"1","event_id":""#, id,
                br#"","event_type":"view.heartbeat","event_time":"2026-01-01T18:00:00.004Z","stream_id":""#, stream,
                br#"","session_id":""#, session, br#"","viewer_id":""#, viewer, br#"","played_ms":20000}"#,
            ];
            parts.concat()
        };
        let lines: Vec<Vec<u8>> = (0..150).map(line).collect();
        let read = |records: &[Vec<u8>]| {
            let record = |data: &Vec<u8>| Record { data: data.clone().into(), sequence_number: Arc::from("1"), arrival_time: None };
            ReadBatch { shard: Arc::from("s"), records: records.iter().map(record).collect(), millis_behind_latest: None, polled_at: None }
        };
        let mut learnt = Decoder::new(Arc::clone(&CONTRACT), Provenance::Record);
        for pass in 0..2 {
            let many = learnt.decode(&read(&lines)).unwrap();
            let (mut row, mut letters) = (0, many.dead_letters.iter());
            for line in &lines {
                let mut one = Decoder::new(Arc::clone(&CONTRACT), Provenance::Record);
                let alone = one.decode(&read(std::slice::from_ref(line))).unwrap();
                let is_json = serde_json::from_slice::<Value>(line).is_ok();
                prop_assert_eq!(alone.events.num_rows(), usize::from(is_json), "{}", String::from_utf8_lossy(line));
                if is_json {
                    prop_assert_eq!(&many.events.slice(row, 1), &alone.events, "pass {}, row {}", pass, row);
                    row += 1;
                } else {
                    prop_assert_eq!(&letters.next().unwrap().data, line);
                }
            }
            prop_assert_eq!(row, many.events.num_rows());
        }
    }
}

/// Events are numbered from 0 without gaps, and dead letters are parts of the record in its order.
fn check_whole(bytes: &[u8]) -> Result<(), TestCaseError> {
    let decoded = decode(bytes.to_vec());
    let column = decoded.events.column_by_name("sub_sequence_number").unwrap();
    let mut numbers: Vec<i64> = column.as_primitive::<Int64Type>().values().to_vec();
    numbers.extend(decoded.dead_letters.iter().map(|letter| letter.sub_sequence_number));
    numbers.sort_unstable();
    prop_assert_eq!(numbers, (0..decoded.events_read as i64).collect::<Vec<_>>());
    let mut rest = bytes;
    for letter in &decoded.dead_letters {
        let at = (0..=rest.len()).find(|&at| rest[at..].starts_with(&letter.data));
        prop_assert!(at.is_some(), "{:?} is no part of {:?}", letter.data, bytes);
        rest = &rest[at.unwrap_or(0) + letter.data.len()..];
    }
    let holds_something = bytes.iter().any(|b| !matches!(b, b' ' | b'\n' | b'\r' | b'\t' | b'[' | b']'));
    prop_assert!(decoded.events_read > 0 || !holds_something);
    Ok(())
}
