//! Every form that a record may have: the same events in each give the same rows.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use super::form_builders::{self, as_text, gzip, pack, wrapper, zstd};
use super::{Decoded, Decoder, Provenance, Reason};
use crate::schema::Contract;
use crate::types::{ReadBatch, Record, parse_rfc3339};

fn read_of(records: Vec<Vec<u8>>) -> ReadBatch {
    let record = |data: Vec<u8>| Record { data: data.into(), sequence_number: Arc::from("7"), arrival_time: Some(5) };
    let records = records.into_iter().map(record).collect();
    ReadBatch { shard: Arc::from("s"), records, millis_behind_latest: None, polled_at: None }
}

fn decode_read(read: &ReadBatch) -> Decoded {
    let contract = Arc::new(Contract::shipped().unwrap());
    Decoder::new(contract, Provenance::Record).decode(read).unwrap()
}

fn decode(record: impl Into<Vec<u8>>) -> Decoded {
    decode_read(&read_of(vec![record.into()]))
}

fn event(id: &str) -> String {
    format!(
        r#"{{"schema_version":"1","event_id":"{id}","event_type":"stream.started","event_time":"2026-01-31T18:00:00Z","stream_id":"s\"1"}}"#
    )
}

/// The event as a rule of EventBridge delivers it.
fn envelope(detail: &str) -> String {
    form_builders::envelope("of-envelope", "Stream Started", "2026-01-31T18:00:01Z", detail)
}

fn ids(batch: &RecordBatch) -> Vec<&str> {
    batch.column_by_name("event_id").unwrap().as_string::<i32>().iter().map(Option::unwrap).collect()
}

fn numbers(decoded: &Decoded) -> Vec<i64> {
    let column = decoded.events.column_by_name("sub_sequence_number").unwrap();
    column.as_primitive::<Int64Type>().values().to_vec()
}

#[test]
fn the_same_event_in_every_form_gives_the_same_row() {
    let event = event("a");
    let row = decode(event.clone()).events;
    assert_eq!(row.num_rows(), 1);
    let forms: Vec<(&str, Vec<u8>)> = vec![
        ("array", format!("[{event}]").into()),
        ("gzip", gzip(event.as_bytes())),
        ("zstd", zstd(event.as_bytes())),
        ("aggregate", pack(&[event.as_bytes()])),
        ("aggregate of gzip", pack(&[&gzip(event.as_bytes())])),
        ("aggregate of zstd", pack(&[&zstd(event.as_bytes())])),
        ("envelope", envelope(&event).into()),
        ("envelope, lines, gzip", gzip(format!("{}\n", envelope(&event)).as_bytes())),
        ("envelope in an aggregate", pack(&[envelope(&event).as_bytes()])),
        ("wrapper", wrapper(&event).into()),
        ("wrapper of text", wrapper(&as_text(&event)).into()),
        ("wrapper of base64", wrapper(&as_text(&STANDARD.encode(&event))).into()),
        ("wrapper of an envelope", wrapper(&envelope(&event)).into()),
        ("wrapper of an envelope as text", wrapper(&as_text(&envelope(&event))).into()),
        ("wrapper in an array", format!("[{}]", wrapper(&as_text(&event))).into()),
    ];
    for (form, data) in forms {
        let decoded = decode(data);
        assert_eq!(decoded.dead_letters, vec![], "{form}");
        assert_eq!(decoded.events, row, "{form}");
        assert_eq!(decoded.events_read, 1, "{form}");
    }
}

#[test]
fn what_the_contract_says_of_fields_is_not_said_of_an_envelope() {
    let text = std::fs::read_to_string("schemas/user_event.v1.json").unwrap();
    let strict = text.replacen(
        r#""type": "string",
      "examples": ["web-player", "chat-service"]"#,
        r#""type": "string", "enum": ["player"]"#,
        1,
    );
    assert_ne!(text, strict);
    let contract = Arc::new(Contract::from_json(&strict, "a.json").unwrap());
    let event = event("a").replacen('{', r#"{"source":"player","#, 1);
    for form in [envelope(&event), wrapper(&envelope(&event)), wrapper(&as_text(&envelope(&event)))] {
        let decoded = Decoder::new(Arc::clone(&contract), Provenance::Record).decode(&read_of(vec![form.into()]));
        let decoded = decoded.unwrap();
        assert_eq!((decoded.events.num_rows(), decoded.dead_letters), (1, vec![]));
    }
    // An envelope that carries an envelope is not opened, as ever.
    let twice = envelope(&envelope(&event));
    let decoded = Decoder::new(contract, Provenance::Record).decode(&read_of(vec![twice.into()])).unwrap();
    assert_eq!(decoded.dead_letters.len(), 1);
}

#[test]
fn events_are_numbered_through_a_record_whatever_it_packs() {
    let (a, b, c) = (event("a"), event("b"), event("c"));
    let record = pack(&[
        format!("{a}\n{{}}\n{b}").as_bytes(),
        b"",
        b"\x1f\x8bjunk",
        &gzip(format!("[{c}]").as_bytes()),
        envelope(&event("d")).as_bytes(),
    ]);
    let decoded = decode(record);
    assert_eq!((ids(&decoded.events), numbers(&decoded)), (vec!["a", "b", "c", "d"], vec![0, 2, 4, 5]));
    let letters: Vec<_> = decoded.dead_letters.iter().map(|l| (l.sub_sequence_number, l.reason, &l.data[..])).collect();
    assert_eq!(letters, [(1, Reason::MissingField, &b"{}"[..]), (3, Reason::BadCompression, &b"\x1f\x8bjunk"[..])]);
}

#[test]
fn what_cannot_be_opened_is_kept_as_it_came_and_costs_no_other_record() {
    let mut aggregate = pack(&[event("a").as_bytes()]);
    aggregate[10] ^= 1;
    let cut = gzip(event("a").as_bytes())[..20].to_vec();
    let read = read_of(vec![aggregate.clone(), event("b").into(), cut.clone(), zstd(event("c").as_bytes())]);
    let decoded = decode_read(&read);
    assert_eq!(ids(&decoded.events), ["b", "c"]);
    let letters: Vec<_> = decoded.dead_letters.iter().map(|l| (l.reason, l.data.to_vec())).collect();
    assert_eq!(letters, [(Reason::BadAggregate, aggregate), (Reason::BadCompression, cut)]);
    assert_eq!(decoded.events_read, 4);
}

#[test]
fn the_bytes_of_a_row_are_those_of_its_event() {
    let (a, b) = (event("a"), event("b"));
    let wrapped = wrapper(&as_text(&event("d")));
    let read = read_of(vec![
        format!("[{a}, {b}]").into(),
        pack(&[gzip(format!("{b}\n{a}").as_bytes()).as_slice(), a.as_bytes()]),
        wrapped.clone().into(),
    ]);
    let decoded = decode_read(&read);
    let found: Vec<Bytes> = (0..6).map(|row| decoded.bytes_of(&read, row)).collect();
    assert_eq!(found, [&a, &b, &b, &a, &a, &wrapped].map(|text| Bytes::from(text.clone())));
    assert_eq!(decoded.bytes_of(&read, 6), Bytes::new());
}

#[test]
fn an_envelope_fills_in_what_its_detail_lacks() {
    let row = |record: String| {
        let decoded = decode(record);
        assert_eq!(decoded.dead_letters, vec![]);
        let text = |name: &str| {
            let column = decoded.events.column_by_name(name).unwrap().as_string::<i32>().clone();
            column.iter().next().unwrap().map(str::to_owned)
        };
        let time = decoded.events.column_by_name("event_time").unwrap();
        let time = time.as_primitive::<arrow::datatypes::TimestampMicrosecondType>().value(0);
        (text("event_id").unwrap(), text("event_type").unwrap(), time, text("source"))
    };
    let time = |text: &str| parse_rfc3339(text).unwrap();
    let bare = r#"{"schema_version":"1","stream_id":"s"}"#;
    let filled = ("of-envelope".to_owned(), "stream.started".to_owned(), time("2026-01-31T18:00:01Z"), None::<String>);
    assert_eq!(row(envelope(bare)), filled);
    assert_eq!(row(wrapper(&as_text(&envelope(bare)))), filled);
    let own = envelope(&event("a"));
    assert_eq!(row(own), ("a".to_owned(), "stream.started".to_owned(), time("2026-01-31T18:00:00Z"), None));
    for (detail_type, event_type) in [
        ("Stream Ended", "stream.ended"),
        ("Stream Quality Changed", "stream.quality_changed"),
        ("User Registered", "user.registered"),
        ("User Login", "user.logged_in"),
        ("User Subscription Changed", "user.subscription_changed"),
        ("Poll Opened", "Poll Opened"),
    ] {
        assert_eq!(
            row(envelope(bare).replace("Stream Started", detail_type)).1,
            event_type,
            "else it is kept as it is"
        );
    }
}

#[test]
fn an_envelope_is_as_strict_as_its_event() {
    let refused = |record: String| {
        let mut decoded = decode(record.clone());
        let letter = decoded.dead_letters.pop().unwrap();
        assert_eq!((decoded.events_read, letter.data), (1, Bytes::from(record)));
        (letter.reason, letter.message)
    };
    let reason = |record: String| refused(record).0;
    let detail = r#"{"schema_version":"1","stream_id":"s"}"#;
    assert_eq!(reason(envelope("{}")), Reason::MissingField);
    assert_eq!(reason(envelope("7")), Reason::WrongType);
    assert_eq!(reason(envelope(detail).replace("2026-01-31T18:00:01Z", "soon")), Reason::BadTimestamp);
    assert_eq!(reason(envelope(detail).replace(r#""Stream Started""#, "5")), Reason::WrongType);
    assert_eq!(reason(wrapper("null")), Reason::WrongType);
    assert_eq!(reason(wrapper(r#""neither {} nor base64""#)), Reason::WrongType);
    assert_eq!(reason(wrapper(r#""{""#)), Reason::NotJson);
    assert_eq!(reason(wrapper(&wrapper(&wrapper(&event("a"))))), Reason::WrongType);
    let mut packed = event("a");
    for _ in 0..4 {
        packed = wrapper(&as_text(&packed));
    }
    assert!(refused(packed).1.contains("envelopes"));
}

#[test]
fn fields_of_an_envelope_are_not_unknown_fields() {
    let contract = Arc::new(Contract::shipped().unwrap());
    let mut decoder = Decoder::new(contract, Provenance::Record);
    let detail = event("a").replace('}', r#","colour":"red"}"#);
    decoder.decode(&read_of(vec![envelope(&detail).into()])).unwrap();
    assert_eq!(decoder.unknown_fields().keys().collect::<Vec<_>>(), ["colour"]);
}

#[test]
fn an_envelope_fills_in_also_by_keys_that_events_have_themselves() {
    let contract = r#"{
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "x-headcount": { "stream": "s", "id": "id", "time": "time", "type": "kind" },
        "properties": {
            "id": { "type": "string" },
            "time": { "type": ["string", "integer"], "format": "date-time" },
            "kind": { "type": "string" }
        },
        "required": ["id", "time", "kind"]
    }"#;
    let contract = Arc::new(Contract::from_json(contract, "c.json").unwrap());
    let whole = r#"{"id":"a","time":"2026-01-31T18:00:01Z","kind":"Stream Started"}"#;
    let read = read_of(vec![envelope("{}").replace("of-envelope", "a").into(), envelope(whole).into(), whole.into()]);
    let decoded = Decoder::new(contract, Provenance::Record).decode(&read).unwrap();
    assert_eq!(decoded.dead_letters, vec![]);
    assert!((0..3).all(|row| decoded.events.slice(row, 1) == decoded.events.slice(0, 1)));
}

#[test]
fn a_part_of_an_envelope_that_comes_twice_is_refused() {
    let twice = [
        envelope(&event("a")).replacen('{', r#"{"detail":{},"#, 1),
        envelope(&event("a")).replacen('{', r#"{"id":"b","#, 1),
        wrapper(&event("a")).replacen('{', r#"{"Data":{},"#, 1),
    ];
    for record in twice {
        let decoded = decode(record);
        assert_eq!(decoded.dead_letters.iter().map(|letter| letter.reason).collect::<Vec<_>>(), [Reason::NotJson]);
        assert!(decoded.dead_letters[0].message.contains("comes twice in an EventBridge envelope"));
    }
}

#[test]
fn lines_are_told_from_one_event_with_something_behind_it() {
    let (a, b) = (event("a"), event("b"));
    let outcome = |record: String| {
        let decoded = decode(record);
        let letters: Vec<String> =
            decoded.dead_letters.iter().map(|l| String::from_utf8_lossy(&l.data).into_owned()).collect();
        (ids(&decoded.events).into_iter().map(str::to_owned).collect::<Vec<_>>().concat(), letters)
    };
    let none: Vec<String> = vec![];
    assert_eq!(outcome(format!("\n \n{a} \r\n\n{b}\n")), ("ab".to_owned(), none.clone()));
    assert_eq!(outcome(format!("{a}\njunk\n{b}")), ("ab".to_owned(), vec!["junk".to_owned()]));
    // What follows an event on its line costs that line.
    assert_eq!(outcome(format!("{a}{b}\n{b}")), ("b".to_owned(), vec![format!("{a}{b}")]));
    assert_eq!(outcome(format!("{a} ,\n{b}\n{{}}")), ("b".to_owned(), vec![format!("{a} ,"), "{}".to_owned()]));
    // An event over several lines is no line.
    let printed = a.replace(",\"", ",\n\"");
    assert_eq!(outcome(format!(" {printed}\n")), ("a".to_owned(), none));
    let (rows, letters) = outcome(format!("{printed}\n{b}"));
    assert_eq!((rows.as_str(), letters.len()), ("b", printed.lines().count()));
}
