//! From the bytes of each shard, in shard order, to kept events, duplicates and dead letters.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{DAY, SEC};

/// One record, or one line of an event file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefRecord {
    /// The shard it lies in. Records of one shard are judged in the order given.
    pub shard: String,
    /// Its place in the shard.
    pub sequence: u64,
    /// When the stream took it, if known.
    pub arrival: Option<i64>,
    /// One JSON object, an array of objects, or newline-delimited objects.
    pub bytes: Vec<u8>,
}

/// Where shard, position and arrival time of an event come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provenance {
    /// From the record alone (a live run).
    Record,
    /// From fields of the JSON named like the provenance columns, else from the record (event files).
    Row,
}

/// Where an event lies: it identifies the event among all.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Shard.
    pub shard: String,
    /// Sequence number of the record.
    pub sequence: u64,
    /// Index of the event in the record, from 0.
    pub sub_sequence: u64,
}

/// An event that is neither a duplicate nor a dead letter.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// Where it lies.
    pub place: Place,
    /// When the stream took it, if known.
    pub arrival: Option<i64>,
    /// Event time after repair of the clock.
    pub event_time: i64,
    /// Event time before repair; `None` when nothing was repaired.
    pub event_time_original: Option<i64>,
    /// The high time of its shard when it was judged; `None` when nothing was known yet.
    pub shard_high_time: Option<i64>,
    /// The contract's fields that are not null; times as integer microseconds, `event_time` as it came.
    pub fields: Map<String, Value>,
}

impl Kept {
    /// A text field, or `None` when it is null.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field).and_then(Value::as_str)
    }

    /// An integer field, or `None` when it is null.
    pub fn int(&self, field: &str) -> Option<i64> {
        self.fields.get(field).and_then(Value::as_i64)
    }

    /// A boolean field, or `None` when it is null.
    pub fn flag(&self, field: &str) -> Option<bool> {
        self.fields.get(field).and_then(Value::as_bool)
    }

    /// The type of the event.
    pub fn event_type(&self) -> &str {
        self.text("event_type").expect("a kept event has a type")
    }

    /// The id of the event.
    pub fn event_id(&self) -> &str {
        self.text("event_id").expect("a kept event has an id")
    }

    /// The stream it is about, if any.
    pub fn stream(&self) -> Option<&str> {
        self.text("stream_id")
    }
}

/// What was refused, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Where it lies.
    pub place: Place,
    /// Reason code: `not_json`, `missing_field`, `wrong_type`, `bad_timestamp`, `too_old`.
    pub reason: &'static str,
}

/// The outcome for a set of records: every event is in exactly one of the three.
#[derive(Debug, Clone, Default)]
pub struct Judged {
    /// The kept events, in the order judged.
    pub kept: Vec<Kept>,
    /// Events dropped because their id was judged a short while before in the same shard.
    pub duplicates: Vec<Place>,
    /// Events refused.
    pub dead_letters: Vec<DeadLetter>,
}

impl Judged {
    /// Dead letters by reason code.
    pub fn dead_letters_by_reason(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for letter in &self.dead_letters {
            *counts.entry(letter.reason).or_insert(0) += 1;
        }
        counts
    }

    /// How many events were read in all.
    pub fn events_read(&self) -> usize {
        self.kept.len() + self.duplicates.len() + self.dead_letters.len()
    }

    /// How many kept events had their time repaired in this run or an earlier one.
    pub fn repaired(&self) -> usize {
        self.kept.iter().filter(|e| e.event_time_original.is_some()).count()
    }
}

const IDLE_TIMEOUT: i64 = 30 * SEC;
const FUTURE_SKEW_MAX: i64 = 30 * SEC;
const SENT_SKEW_MAX: i64 = 5 * SEC;
const EVENT_AGE_MAX: i64 = 7 * DAY;
const DEDUPE_HORIZON: i64 = 120 * SEC;

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Time,
    Int32,
    Int64,
    Flag,
    Object,
}

/// The event contract: every field, and whether it must be there.
const FIELDS: [(&str, Kind, bool); 33] = [
    ("schema_version", Kind::Text, true),
    ("event_id", Kind::Text, true),
    ("event_type", Kind::Text, true),
    ("event_time", Kind::Time, true),
    ("sent_at", Kind::Time, false),
    ("source", Kind::Text, false),
    ("stream_id", Kind::Text, false),
    ("channel_id", Kind::Text, false),
    ("session_id", Kind::Text, false),
    ("previous_session_id", Kind::Text, false),
    ("viewer_id", Kind::Text, false),
    ("user_id", Kind::Text, false),
    ("country", Kind::Text, false),
    ("device_type", Kind::Text, false),
    ("platform", Kind::Text, false),
    ("cdn", Kind::Text, false),
    ("player_state", Kind::Text, false),
    ("rendition", Kind::Text, false),
    ("bitrate_kbps", Kind::Int32, false),
    ("startup_ms", Kind::Int32, false),
    ("played_ms", Kind::Int32, false),
    ("stall_ms", Kind::Int32, false),
    ("live_latency_ms", Kind::Int32, false),
    ("error_code", Kind::Text, false),
    ("fatal", Kind::Flag, false),
    ("plan_from", Kind::Text, false),
    ("plan_to", Kind::Text, false),
    ("billing_interval", Kind::Text, false),
    ("amount_minor", Kind::Int64, false),
    ("currency", Kind::Text, false),
    ("properties", Kind::Object, false),
    // Provenance that a row of an event file may carry; no part of the contract.
    ("event_time_original", Kind::Time, false),
    ("shard_high_time", Kind::Time, false),
];

/// The contract's columns, in order.
pub fn contract_columns() -> impl Iterator<Item = &'static str> {
    FIELDS.iter().map(|(name, _, _)| *name).filter(|n| *n != "event_time_original" && *n != "shard_high_time")
}

/// Judges the records of all shards. How shards are interleaved in `records` does not matter.
pub fn judge(records: &[RefRecord], provenance: Provenance) -> Judged {
    judge_from(records, provenance, &BTreeMap::new())
}

/// The same, where shards begin with a high time that others have reached: children of a shard that was read before.
pub fn judge_from(records: &[RefRecord], provenance: Provenance, begins: &BTreeMap<String, i64>) -> Judged {
    let mut judged = Judged::default();
    let begun = |high: &i64| Shard { highest_event: Some(*high), ..Shard::default() };
    let mut shards: BTreeMap<String, Shard> = begins.iter().map(|(shard, high)| (shard.clone(), begun(high))).collect();
    for record in records {
        for (index, element) in elements(&record.bytes).into_iter().enumerate() {
            let (place, arrival) = provenance_of(element.as_ref().ok(), index, record, provenance);
            let shard = shards.entry(place.shard.clone()).or_default();
            shard.judge(element, place, arrival, provenance, &mut judged);
        }
    }
    judged
}

/// The events in a record: each a JSON value, or `Err` where the text is not JSON.
fn elements(bytes: &[u8]) -> Vec<Result<Value, ()>> {
    match serde_json::from_slice::<Value>(bytes) {
        Ok(Value::Array(items)) => items.into_iter().map(Ok).collect(),
        Ok(one) => vec![Ok(one)],
        Err(_) => bytes
            .split(|b| *b == b'\n')
            .filter(|line| !line.trim_ascii().is_empty())
            .map(|line| serde_json::from_slice(line).map_err(|_| ()))
            .collect(),
    }
}

fn provenance_of(element: Option<&Value>, index: usize, record: &RefRecord, from: Provenance) -> (Place, Option<i64>) {
    let mut place = Place { shard: record.shard.clone(), sequence: record.sequence, sub_sequence: index as u64 };
    let mut arrival = record.arrival;
    if let (Provenance::Row, Some(row)) = (from, element) {
        if let Some(shard) = row.get("shard_id").and_then(Value::as_str) {
            place.shard = shard.to_owned();
        }
        if let Some(sequence) = row.get("sequence_number").and_then(Value::as_str).and_then(|s| s.parse().ok()) {
            place.sequence = sequence;
        }
        if let Some(sub_sequence) = row.get("sub_sequence_number").and_then(Value::as_u64) {
            place.sub_sequence = sub_sequence;
        }
        if let Some(ingest_time) = row.get("ingest_time").and_then(time) {
            arrival = Some(ingest_time);
        }
    }
    (place, arrival)
}

/// Microseconds from RFC 3339 text with a zone, or from integer epoch milliseconds.
fn time(value: &Value) -> Option<i64> {
    match value {
        Value::String(text) => chrono::DateTime::parse_from_rfc3339(text).ok().map(|t| t.timestamp_micros()),
        Value::Number(number) => number.as_i64().and_then(|ms| ms.checked_mul(1000)),
        _ => None,
    }
}

/// Checks one element against the contract. The fields that are not null, or the reason code.
fn fields(element: &Value, provenance: Provenance) -> Result<Map<String, Value>, &'static str> {
    let Value::Object(object) = element else { return Err("wrong_type") };
    let mut fields = Map::new();
    for (name, kind, required) in FIELDS {
        let carried = name == "event_time_original" || name == "shard_high_time";
        if carried && provenance == Provenance::Record {
            continue;
        }
        let value = match object.get(name) {
            None | Some(Value::Null) if required => return Err("missing_field"),
            // By its type it is a text; as one that must be there it is none.
            Some(Value::String(text)) if required && text.is_empty() => return Err("missing_field"),
            None | Some(Value::Null) => continue,
            Some(value) => value,
        };
        fields.insert(name.to_owned(), typed(value, kind)?);
    }
    let event_type = fields.get("event_type").and_then(Value::as_str).unwrap_or_default();
    let about_a_stream = ["stream.", "view.", "chat.", "tip."].iter().any(|p| event_type.starts_with(p));
    let is_there = |name: &str| fields.get(name).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    if about_a_stream && !is_there("stream_id") {
        return Err("missing_field");
    }
    if event_type.starts_with("view.") && !is_there("session_id") {
        return Err("missing_field");
    }
    Ok(fields)
}

fn typed(value: &Value, kind: Kind) -> Result<Value, &'static str> {
    let fits = match kind {
        Kind::Text => value.is_string(),
        Kind::Int32 => value.as_i64().is_some_and(|i| i32::try_from(i).is_ok()),
        Kind::Int64 => value.is_i64(),
        Kind::Flag => value.is_boolean(),
        Kind::Object => value.is_object(),
        Kind::Time => return time(value).map(Value::from).ok_or("bad_timestamp"),
    };
    if fits { Ok(value.clone()) } else { Err("wrong_type") }
}

/// What a shard remembers while its records are judged in order.
#[derive(Default)]
struct Shard {
    /// Highest min(event time, arrival time) of a kept event.
    highest_event: Option<i64>,
    /// A: highest arrival time of any event, also of dead letters and duplicates.
    highest_arrival: Option<i64>,
    /// The first high time that was known.
    first_high: Option<i64>,
    /// The id of every kept event, with the high time at which it was judged.
    judged_ids: BTreeMap<String, Option<i64>>,
}

impl Shard {
    fn high(&self) -> Option<i64> {
        match (self.highest_event, self.highest_arrival.map(|a| a - IDLE_TIMEOUT)) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        }
    }

    fn judge(
        &mut self,
        element: Result<Value, ()>,
        place: Place,
        arrival: Option<i64>,
        provenance: Provenance,
        judged: &mut Judged,
    ) {
        if let Some(arrival) = arrival {
            self.highest_arrival = Some(self.highest_arrival.map_or(arrival, |a| a.max(arrival)));
        }
        let high = self.high();
        self.first_high = self.first_high.or(high);

        let mut fields = match element.map_err(|()| "not_json").and_then(|e| fields(&e, provenance)) {
            Ok(fields) => fields,
            Err(reason) => {
                judged.dead_letters.push(DeadLetter { place, reason });
                return;
            }
        };
        let carried_original = fields.remove("event_time_original").and_then(|t| t.as_i64());
        let carried_high = fields.remove("shard_high_time").and_then(|t| t.as_i64());
        let stated = fields.get("event_time").and_then(Value::as_i64).expect("checked to be a time");
        let sent = fields.get("sent_at").and_then(Value::as_i64);
        let mut kept = Kept {
            place,
            arrival,
            event_time: stated,
            event_time_original: carried_original,
            shard_high_time: high,
            fields,
        };

        if carried_high.is_some() {
            // It was judged before, in another run; that verdict stands.
            kept.shard_high_time = carried_high;
        } else {
            if let (Some(arrival), None) = (arrival, carried_original) {
                kept.event_time = repaired(stated, sent, arrival);
                kept.event_time_original = (kept.event_time != stated).then_some(stated);
            }
            if arrival.is_some_and(|a| a - kept.event_time > EVENT_AGE_MAX) {
                judged.dead_letters.push(DeadLetter { place: kept.place, reason: "too_old" });
                return;
            }
            if self.is_repeat(kept.event_id(), high) {
                judged.duplicates.push(kept.place);
                return;
            }
            self.judged_ids.insert(kept.event_id().to_owned(), high);
        }

        let moved_to = arrival.map_or(kept.event_time, |a| a.min(kept.event_time));
        self.highest_event = Some(self.highest_event.map_or(moved_to, |h| h.max(moved_to)));
        self.first_high = self.first_high.or(self.high());
        judged.kept.push(kept);
    }

    fn is_repeat(&self, id: &str, high: Option<i64>) -> bool {
        let Some(remembered) = self.judged_ids.get(id) else { return false };
        match (high, remembered.or(self.first_high)) {
            (Some(now), Some(then)) => now - then <= DEDUPE_HORIZON,
            _ => true,
        }
    }
}

/// The event time that stands, given when the event arrived.
fn repaired(stated: i64, sent: Option<i64>, arrival: i64) -> i64 {
    let mut event_time = stated;
    if let Some(sent) = sent
        && sent - arrival > SENT_SKEW_MAX
    {
        event_time += arrival - sent;
    }
    if event_time - arrival > FUTURE_SKEW_MAX { arrival } else { event_time }
}
