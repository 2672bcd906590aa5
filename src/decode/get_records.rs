//! What `aws kinesis get-records` prints of a record, back to the record.
//!
//! ```text
//!  {"SequenceNumber": "4966…", "ApproximateArrivalTimestamp": "2026-01-31T18:00:00.250000+00:00", "Data": "H4sI…", "PartitionKey": "…"}
//!                     │                                       │  or 1769882400.25, in seconds             │  base64
//!                     ▼                                       ▼                                           ▼
//!  Record {           sequence_number                         arrival_time                                data }
//! ```
//!
//! Other keys are passed over. The [record of the API](https://docs.aws.amazon.com/kinesis/latest/APIReference/API_Record.html) has no
//! more than a partition key and a kind of encryption.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::dead_letter::{DeadLetter, Reason, Rejection};
use super::values::quote;
use crate::limits::{RECORD_BYTES_MAX, RECORD_ENTRY_BYTES_MAX};
use crate::types::{CALENDAR_FIRST, CALENDAR_LAST, Micros, ReadBatch, Record, parse_rfc3339};

/// Entries, unpacked.
#[derive(Debug)]
pub struct Unpacked {
    /// The records, in the entries' order, as their shard gave them.
    pub read: ReadBatch,
    /// The entries that are none, with their JSON. Where an entry does not say its sequence number, there is what the read gave it.
    pub dead_letters: Vec<DeadLetter>,
}

/// Unpacks entries of `Records`, each the JSON of one.
pub fn unpack(entries: ReadBatch) -> Unpacked {
    let ReadBatch { shard, records: entries, millis_behind_latest, polled_at } = entries;
    let mut records = Vec::with_capacity(entries.len());
    let mut dead_letters = Vec::new();
    for entry in entries {
        let mut fields = Fields::default();
        let verdict = fields.read(&entry.data).and_then(|()| fields.record());
        match verdict {
            Ok(record) => records.push(record),
            Err(Rejection { reason, message }) => dead_letters.push(DeadLetter {
                sequence_number: fields.sequence_number().unwrap_or(entry.sequence_number),
                arrival_time: fields.arrival_time().unwrap_or_default(),
                data: entry.data,
                shard: Arc::clone(&shard),
                sub_sequence_number: 0,
                reason,
                message,
            }),
        }
    }
    Unpacked { read: ReadBatch { shard, records, millis_behind_latest, polled_at }, dead_letters }
}

/// Whether bytes look like an entry: an object with a sequence number, or with data that are no envelope's.
pub fn is_entry(data: &[u8]) -> bool {
    let Ok(keys) = serde_json::from_slice::<EntryKeys>(data) else { return false };
    keys.sequence_number.is_some() || (keys.data.is_some() && keys.system_metadata.is_none())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct EntryKeys {
    sequence_number: Option<IgnoredAny>,
    data: Option<IgnoredAny>,
    system_metadata: Option<IgnoredAny>,
}

/// The fields of an entry as JSON, as far as it could be read.
#[derive(Debug, Default)]
struct Fields<'a> {
    sequence_number: Option<&'a str>,
    arrival_time: Option<&'a str>,
    data: Option<&'a str>,
}

impl<'a> Fields<'a> {
    fn read(&mut self, entry: &'a [u8]) -> Result<(), Rejection> {
        let mut json = serde_json::Deserializer::from_slice(entry);
        let read = json.deserialize_map(FieldsVisitor(self)).and_then(|()| json.end());
        if entry.len() > RECORD_ENTRY_BYTES_MAX {
            let message = format!("the record has more than {RECORD_BYTES_MAX} bytes: it begins here");
            return Err(Rejection::new(Reason::TooLarge, message));
        }
        read.map_err(|e| match e.is_data() {
            true => Rejection::new(Reason::WrongType, format!("no entry of get-records: {e}")),
            false => Rejection::new(Reason::NotJson, format!("an entry of get-records that is not JSON: {e}")),
        })
    }

    fn record(&self) -> Result<Record, Rejection> {
        let Some(number) = self.sequence_number else { return Err(missing("SequenceNumber")) };
        let Some(sequence_number) = self.sequence_number() else {
            let message = format!("`SequenceNumber` is {}, not text that is not empty", quote(number));
            return Err(Rejection::new(Reason::WrongType, message));
        };
        let arrival_time = self.arrival_time()?;
        let Some(raw) = self.data else { return Err(missing("Data")) };
        let not_base64 = || Rejection::new(Reason::WrongType, format!("`Data` is {}, not base64", quote(raw)));
        let text = text(raw).ok_or_else(not_base64)?;
        let data = STANDARD.decode(text.as_bytes()).map_err(|_| not_base64())?;
        Ok(Record { data: Bytes::from(data), sequence_number, arrival_time })
    }

    fn sequence_number(&self) -> Option<Arc<str>> {
        self.sequence_number.and_then(text).filter(|text| !text.is_empty()).map(Arc::from)
    }

    /// Text with a zone, as version 2 of the command line writes it, or seconds since 1970 with a fraction, as version 1 does.
    fn arrival_time(&self) -> Result<Option<Micros>, Rejection> {
        let Some(raw) = self.arrival_time else { return Ok(None) };
        let time = match text(raw) {
            Some(text) => parse_rfc3339(&text),
            // Of today's times a double has quarters of a microsecond.
            None => raw.parse().ok().map(|secs: f64| (secs * 1e6).round() as Micros),
        };
        let time = time.filter(|time| (CALENDAR_FIRST..=CALENDAR_LAST).contains(time));
        time.map(Some).ok_or_else(|| {
            let message = format!("`ApproximateArrivalTimestamp` is {}, neither RFC 3339 nor seconds", quote(raw));
            Rejection::new(Reason::BadTimestamp, message)
        })
    }
}

fn missing(field: &str) -> Rejection {
    Rejection::new(Reason::MissingField, format!("`{field}` is missing, which an entry of get-records must have"))
}

/// The text that a JSON string holds.
fn text(raw: &str) -> Option<Cow<'_, str>> {
    match raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')) {
        // Data are megabytes, and have no escapes.
        Some(plain) if !plain.contains('\\') => Some(Cow::Borrowed(plain)),
        _ => serde_json::from_str(raw).ok().map(Cow::Owned),
    }
}

struct FieldsVisitor<'f, 'a>(&'f mut Fields<'a>);

impl<'a> Visitor<'a> for FieldsVisitor<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            let field = match key.as_str() {
                "SequenceNumber" => &mut self.0.sequence_number,
                "ApproximateArrivalTimestamp" => &mut self.0.arrival_time,
                "Data" => &mut self.0.data,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            let value = map.next_value::<&'a RawValue>()?.get();
            *field = (value != "null").then_some(value);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_no_event_and_no_envelope() {
        for entry in [r#"{"SequenceNumber":"1"}"#, r#"{"Data":"?"}"#, r#"{"Data":1,"PartitionKey":"k"}"#] {
            assert!(is_entry(entry.as_bytes()), "{entry}");
        }
        for other in [r#"{"event_id":"a"}"#, r#"{"Data":{},"SystemMetadata":{}}"#, "{", "[]", "\"Data\"", "1"] {
            assert!(!is_entry(other.as_bytes()), "{other}");
        }
    }

    fn unpacked(entries: &[&str]) -> Unpacked {
        let record = |(i, text): (usize, &&str)| Record {
            data: Bytes::copy_from_slice(text.as_bytes()),
            sequence_number: (i + 1).to_string().into(),
            arrival_time: None,
        };
        let records = entries.iter().enumerate().map(record).collect();
        unpack(ReadBatch { shard: Arc::from("s"), records, millis_behind_latest: None, polled_at: None })
    }

    fn record(entry: &str) -> Record {
        let mut found = unpacked(&[entry]);
        assert_eq!(found.dead_letters, vec![], "{entry}");
        found.read.records.pop().unwrap()
    }

    #[test]
    fn both_versions_of_the_command_line_are_read() {
        let time = parse_rfc3339("2026-01-01T12:00:00.123Z");
        for arrival in [r#""2026-01-01T12:00:00.123000+00:00""#, r#""2026-01-01T13:00:00.123+01:00""#, "1767268800.123"]
        {
            let entry = format!(
                r#"{{"SequenceNumber":"49","ApproximateArrivalTimestamp":{arrival},"Data":"e30=","PartitionKey":"k\u00e9","EncryptionType":"NONE"}}"#
            );
            let expected = Record { data: "{}".into(), sequence_number: "49".into(), arrival_time: time };
            assert_eq!(record(&entry), expected);
        }
        let bare =
            record(r#"{ "Data": "\u0065\/8=", "SequenceNumber": "\u0031", "ApproximateArrivalTimestamp": null}"#);
        assert_eq!(
            bare,
            Record { data: b"{\xff"[..].to_vec().into(), sequence_number: "1".into(), arrival_time: None }
        );
        assert_eq!(record(r#"{"SequenceNumber":"1","Data":""}"#).data, Bytes::new());
        assert_eq!(record(r#"{"SequenceNumber":"1","Data":"","ApproximateArrivalTimestamp":0}"#).arrival_time, Some(0));
    }

    #[test]
    fn a_bad_entry_is_a_dead_letter_and_costs_no_other() {
        let cases = [
            (r#"{"SequenceNumber":"49","Data":"e30"}"#, Reason::WrongType, "49", "`Data` is \"e30\", not base64"),
            (r#"{"SequenceNumber":"49","Data":{}}"#, Reason::WrongType, "49", "`Data` is {}, not base64"),
            (r#"{"SequenceNumber":"49"}"#, Reason::MissingField, "49", "`Data` is missing"),
            (r#"{"SequenceNumber":"49","Data":null}"#, Reason::MissingField, "49", "`Data` is missing"),
            (r#"{"Data":"e30="}"#, Reason::MissingField, "6", "`SequenceNumber` is missing"),
            (r#"{"SequenceNumber":49,"Data":"e30="}"#, Reason::WrongType, "7", "`SequenceNumber` is 49"),
            (
                r#"{"SequenceNumber":"49","Data":"e30=","ApproximateArrivalTimestamp":"noon"}"#,
                Reason::BadTimestamp,
                "49",
                "\"noon\"",
            ),
            (
                r#"{"SequenceNumber":"49","Data":"e30=","ApproximateArrivalTimestamp":1767225600123}"#,
                Reason::BadTimestamp,
                "49",
                "1767225600123",
            ),
            (r#"{"SequenceNumber":"49","Data":}"#, Reason::NotJson, "49", "not JSON"),
            (r#"["SequenceNumber","Data"]"#, Reason::WrongType, "11", "no entry"),
        ];
        let mut entries: Vec<&str> = vec![r#"{"SequenceNumber":"1","Data":"e30="}"#];
        entries.extend(cases.iter().map(|case| case.0));
        entries.push(r#"{"SequenceNumber":"2","Data":"e30="}"#);
        let found = unpacked(&entries);
        assert_eq!(found.read.records.iter().map(|r| &*r.sequence_number).collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(found.dead_letters.len(), cases.len());
        for (letter, (entry, reason, number, message)) in found.dead_letters.iter().zip(cases) {
            assert_eq!((letter.reason, &*letter.sequence_number, &letter.data[..]), (reason, number, entry.as_bytes()));
            assert!(letter.message.contains(message), "{}", letter.message);
        }
    }

    #[test]
    fn an_entry_that_was_cut_for_its_length_is_too_large() {
        let mut entry = format!(
            r#"{{"SequenceNumber":"49","ApproximateArrivalTimestamp":1,"Data":"{}"#,
            "A".repeat(RECORD_ENTRY_BYTES_MAX)
        );
        entry.truncate(RECORD_ENTRY_BYTES_MAX + 1);
        let found = unpacked(&[&entry]);
        let letter = &found.dead_letters[0];
        assert_eq!((letter.reason, &*letter.sequence_number), (Reason::TooLarge, "49"));
        assert_eq!((letter.arrival_time, letter.data.len()), (Some(1_000_000), RECORD_ENTRY_BYTES_MAX + 1));
        // The longest record that there may be is far from that.
        let whole = format!(
            r#"{{"SequenceNumber":"{}","Data":"{}"}}"#,
            "9".repeat(56),
            STANDARD.encode(vec![7; RECORD_BYTES_MAX])
        );
        assert!(whole.len() < RECORD_ENTRY_BYTES_MAX - 1_024);
        assert_eq!(record(&whole).data.len(), RECORD_BYTES_MAX);
    }
}
