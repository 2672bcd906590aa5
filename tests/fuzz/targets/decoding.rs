//! The decoder, on the bytes of records.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Int32Type, Int64Type, TimestampMicrosecondType};
use bytes::Bytes;
use headcount::decode::{DeadLetter, Decoded, Decoder, OTHER_FIELDS, Provenance, Reason, timestamp};
use headcount::limits::{RECORD_BYTES_MAX, UNKNOWN_FIELD_NAME_BYTES_MAX, UNKNOWN_FIELD_NAMES_MAX};
use headcount::schema::{Contract, INGEST_TIME, SEQUENCE_NUMBER, SHARD_ID, SUB_SEQUENCE_NUMBER};
use headcount::types::{ReadBatch, Record, format_micros, parse_rfc3339};

use super::forms::{gzip, is_open, message, seal, zstd};
use super::reading::{self, Cell, Reader, Row};

pub static CONTRACT: LazyLock<Arc<Contract>> = LazyLock::new(|| Arc::new(Contract::shipped().unwrap()));

const SHARD: &str = "shard-0";
const ARRIVAL: i64 = 1_767_225_600_000_000;

/// Events that teach a decoder an order of keys, and another.
const LEARNT: &[u8] = br#"[
{"schema_version":"1","event_id":"w","event_type":"tip.sent","event_time":1767225600000,"stream_id":"s","zzz":1},
{"event_time":1767225600000,"stream_id":"s\u0041","event_type":"tip.sent","event_id":"w","schema_version":"1"},
{"event_time":1767225600000,"event_time":17e3}]"#;

/// Any bytes as a record:
///
/// * a decoder that has decoded before takes it as a new one does;
/// * rows and dead letters are numbered without gaps, and are the record's bytes, in order, with nothing but white space, commas and
///   an array's brackets left out;
/// * each is what the independent [reading](super::reading) makes of those bytes;
/// * each is the same in a record of its own.
pub fn record(data: &[u8]) {
    let data = Bytes::copy_from_slice(data);
    for provenance in [Provenance::Record, Provenance::Row] {
        let read = read_of(vec![data.clone()]);
        let mut decoder = Decoder::new(Arc::clone(&CONTRACT), provenance);
        let decoded = decoder.decode(&read).unwrap();
        let mut used = Decoder::new(Arc::clone(&CONTRACT), provenance);
        used.decode(&read_of(vec![Bytes::from_static(LEARNT), data.clone()])).unwrap();
        assert_same(&decoded, &used.decode(&read).unwrap());
        check_verdicts(&read, &decoded, &decoder, provenance);
        if provenance == Provenance::Record {
            check_pieces(&read, &decoded);
        }
    }
}

/// Any payload, in each form that a payload may come in: the same rows and the same dead letters.
pub fn forms(data: &[u8]) {
    if !is_open(data) || data.len() > RECORD_BYTES_MAX {
        return;
    }
    let decode = |record: Vec<u8>| decode(vec![record.into()]);
    let plain = decode(data.to_vec());
    let (head, tail) = data.split_at(data.len() / 2);
    for form in [
        gzip(data),
        [gzip(head), gzip(tail)].concat(),
        zstd(data),
        seal(&message(&[data])),
        seal(&message(&[&gzip(data)])),
        seal(&message(&[b"", &zstd(data), b" "])),
    ] {
        let opened = decode(form);
        assert_eq!(opened.events_read, plain.events_read);
        assert_eq!(opened.events, plain.events);
        assert_eq!(opened.dead_letters, plain.dead_letters);
    }
}

/// Any bytes as the message of an aggregate: what [`record`] says, behind a checksum that is right.
pub fn aggregate(data: &[u8]) {
    record(&seal(data));
}

/// Any text as a timestamp: chrono's opinion, but for what the semantics leave out. What is read is printed so that it is read again.
pub fn timestamps(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let read = timestamp::parse(text);
    assert_eq!(read, reading::instant(text));
    if let Some(micros) = read {
        assert_eq!(timestamp::parse(&format_micros(micros)), Some(micros));
        assert_eq!(parse_rfc3339(text), Some(micros));
    }
    if let Ok(millis) = text.parse() {
        assert_eq!(timestamp::from_epoch_millis(millis), reading::instant_of_millis(millis));
    }
}

fn read_of(records: Vec<Bytes>) -> ReadBatch {
    let record =
        |(n, data): (usize, Bytes)| Record { data, sequence_number: n.to_string().into(), arrival_time: Some(ARRIVAL) };
    let records = (1..).zip(records).map(record).collect();
    ReadBatch { shard: SHARD.into(), records, millis_behind_latest: None, polled_at: None }
}

fn decode(records: Vec<Bytes>) -> Decoded {
    Decoder::new(Arc::clone(&CONTRACT), Provenance::Record).decode(&read_of(records)).unwrap()
}

fn assert_same(one: &Decoded, other: &Decoded) {
    assert_eq!(one.events_read, other.events_read);
    assert_eq!(one.events, other.events);
    assert_eq!(one.dead_letters, other.dead_letters);
    assert_eq!(one.sources, other.sources);
}

/// Whether a dead letter is about one event, and not about the record or the array that held it.
fn is_of_event(letter: &DeadLetter) -> bool {
    let of_record = matches!(letter.reason, Reason::BadAggregate | Reason::BadCompression | Reason::TooLarge);
    !of_record && !letter.message.starts_with("the array") && !letter.message.starts_with("something follows")
}

/// Every row and every dead letter is what the independent reading makes of its bytes.
fn check_verdicts(read: &ReadBatch, decoded: &Decoded, decoder: &Decoder, provenance: Provenance) {
    let reader = Reader::new(&CONTRACT, provenance);
    let mut unknown: BTreeMap<String, u64> = BTreeMap::new();
    for row in 0..decoded.events.num_rows() {
        let bytes = decoded.bytes_of(read, row);
        let found = row_of(&decoded.events, row);
        let expected = reader.read(&bytes).unwrap_or_else(|reason| {
            panic!("`{}` is a row, not {reason}: {found:?}", bytes.escape_ascii());
        });
        for (name, cell) in &expected.row {
            assert_eq!(found.get(name), Some(cell), "{name} of `{}`", bytes.escape_ascii());
        }
        for (name, cell) in found.iter().filter(|(name, _)| !expected.row.contains_key(*name)) {
            // What the record says of a row that does not say it itself.
            let of_record = match name.as_str() {
                SHARD_ID => Cell::Text(SHARD.to_owned()),
                SEQUENCE_NUMBER => Cell::Text("1".to_owned()),
                INGEST_TIME => Cell::Whole(ARRIVAL),
                SUB_SEQUENCE_NUMBER => cell.clone(),
                _ => panic!("{name} of `{}` is invented: {cell:?}", bytes.escape_ascii()),
            };
            assert_eq!(*cell, of_record, "{name} of `{}`", bytes.escape_ascii());
        }
        for name in expected.unknown {
            let name = if name.len() > UNKNOWN_FIELD_NAME_BYTES_MAX { OTHER_FIELDS.to_owned() } else { name };
            *unknown.entry(name).or_default() += 1;
        }
    }
    if unknown.len() < UNKNOWN_FIELD_NAMES_MAX {
        assert_eq!(decoder.unknown_fields(), &unknown);
    }
    for letter in &decoded.dead_letters {
        assert!(!letter.message.is_empty());
        if is_of_event(letter) {
            let expected = reader.read(&letter.data).map(|reading| reading.row);
            assert_eq!(expected, Err(letter.reason), "`{}`: {}", letter.data.escape_ascii(), letter.message);
        }
    }
}

/// A row: only what is there.
fn row_of(batch: &RecordBatch, row: usize) -> Row {
    let schema = batch.schema();
    let there = schema.fields().iter().zip(batch.columns()).filter(|(_, column)| column.is_valid(row));
    let cells = there.map(|(field, column)| {
        let cell = match column.data_type() {
            DataType::Utf8 => Cell::Text(column.as_string::<i32>().value(row).to_owned()),
            DataType::Int32 => Cell::Whole(column.as_primitive::<Int32Type>().value(row).into()),
            DataType::Int64 => Cell::Whole(column.as_primitive::<Int64Type>().value(row)),
            DataType::Boolean => Cell::Truth(column.as_boolean().value(row)),
            _ => Cell::Whole(column.as_primitive::<TimestampMicrosecondType>().value(row)),
        };
        (field.name().clone(), cell)
    });
    cells.collect()
}

/// One of a record's events: its bytes, and what became of it.
struct Piece<'d> {
    number: i64,
    bytes: Bytes,
    letter: Option<&'d DeadLetter>,
}

/// Numbers, places, and the same events in records of their own.
fn check_pieces(read: &ReadBatch, decoded: &Decoded) {
    let numbers = decoded.events.column_by_name(SUB_SEQUENCE_NUMBER).unwrap().as_primitive::<Int64Type>();
    let rows = numbers.values().iter().enumerate();
    let rows = rows.map(|(row, &number)| Piece { number, bytes: decoded.bytes_of(read, row), letter: None });
    let letters = decoded.dead_letters.iter();
    let letters = letters.map(|l| Piece { number: l.sub_sequence_number, bytes: l.data.clone(), letter: Some(l) });
    let mut pieces: Vec<Piece<'_>> = rows.chain(letters).collect();
    pieces.sort_by_key(|piece| piece.number);
    assert!(pieces.iter().map(|piece| piece.number).eq(0..decoded.events_read as i64), "numbers have gaps");

    let record = &read.records[0].data;
    if is_open(record) && record.len() <= RECORD_BYTES_MAX {
        check_places(record, &pieces);
    }
    check_alone(decoded, &pieces);
}

/// The pieces are the record, in its order, but for what stands between events.
fn check_places(record: &Bytes, pieces: &[Piece<'_>]) {
    let start = record.as_ptr() as usize;
    let mut places: Vec<Range<usize>> = Vec::new();
    for piece in pieces.iter().filter(|piece| !piece.bytes.is_empty()) {
        let at = (piece.bytes.as_ptr() as usize).wrapping_sub(start);
        assert!(at < record.len(), "an event is no part of the record");
        places.push(at..at + piece.bytes.len());
    }
    let mut end = 0;
    for place in places.into_iter().chain(std::iter::once(record.len()..record.len())) {
        let between = record.get(end..place.start).expect("events are in the record's order");
        let is_nothing = |b: &u8| b" \t\r\n,[]".contains(b);
        assert!(between.iter().all(is_nothing), "`{}` vanished", between.escape_ascii());
        end = place.end;
    }
}

/// An object in a record of its own comes to the same.
fn check_alone(decoded: &Decoded, pieces: &[Piece<'_>]) {
    let told_apart = |piece: &&Piece<'_>| {
        // A broken object over several lines may be lines when it stands alone.
        let one =
            !piece.bytes.contains(&b'\n') || serde_json::from_slice::<serde::de::IgnoredAny>(&piece.bytes).is_ok();
        one && piece.bytes.trim_ascii_start().first() == Some(&b'{') && piece.letter.is_none_or(is_of_event)
    };
    let alone: Vec<&Piece<'_>> = pieces.iter().filter(told_apart).collect();
    let again = decode(alone.iter().map(|piece| piece.bytes.clone()).collect());
    let columns = CONTRACT.fields().len();
    let (mut letters, mut rows) = (again.dead_letters.iter(), 0..again.events.num_rows());
    let all_rows = pieces.iter().filter(|piece| piece.letter.is_none()).enumerate();
    let row_by_number: BTreeMap<i64, usize> = all_rows.map(|(row, piece)| (piece.number, row)).collect();
    for piece in alone {
        match piece.letter {
            Some(letter) => {
                let found = letters.next().expect("a dead letter stays one");
                assert_eq!((found.reason, &found.message, &found.data), (letter.reason, &letter.message, &letter.data));
            }
            None => {
                let found = again.events.slice(rows.next().expect("a row stays one"), 1);
                let row = decoded.events.slice(row_by_number[&piece.number], 1);
                assert_eq!(found.columns()[..columns], row.columns()[..columns]);
            }
        }
    }
    assert_eq!((letters.next(), rows.next()), (None, None));
}
