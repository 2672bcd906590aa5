//! The way from a client to the stream: delays, repeats, and what gets spoilt on it.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::config::Disturbance;
use super::rng::Rng;
use crate::types::{MICROS_PER_SEC, Micros};

const MILLI: Micros = 1_000;

/// What the bytes of a record are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordForm {
    /// One JSON object.
    Object,
    /// Several JSON objects, one to a line.
    Lines,
    /// A JSON array of objects.
    Array,
    /// One event, spoilt, so that it belongs to the dead letters. It has no newline in it.
    Malformed,
}

/// A record as a producer would put it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimEvent {
    /// When the stream takes it, in UTC microseconds of virtual time, whole milliseconds. Never goes back.
    pub arrival_time: Micros,
    /// Kinesis partition key: the session of a view event, the stream of a stream event, else the viewer or the account.
    pub partition_key: String,
    /// The payload.
    pub data: Vec<u8>,
    /// What the payload is. The wire does not carry this.
    pub form: RecordForm,
}

/// A record under way.
#[derive(Debug)]
struct Underway {
    arrival: Micros,
    serial: u64,
    event: SimEvent,
}

impl PartialEq for Underway {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Underway {}
impl PartialOrd for Underway {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Underway {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.arrival, self.serial).cmp(&(other.arrival, other.serial))
    }
}

/// Records between their clients and the stream.
#[derive(Debug)]
pub(super) struct Post {
    disturbance: Disturbance,
    underway: BinaryHeap<Reverse<Underway>>,
    taken: u64,
}

impl Post {
    pub(super) fn new(disturbance: Disturbance) -> Self {
        Self { disturbance, underway: BinaryHeap::new(), taken: 0 }
    }

    /// When an event of time `at` will arrive: always later than `at`.
    pub(super) fn arrival(&self, rng: &mut Rng, at: Micros) -> Micros {
        let network = 20 * MILLI + rng.exponential(120 * MILLI).min(2 * MICROS_PER_SEC);
        let dice = rng.below(1_000_000) as u32;
        let late = self.disturbance.late_ppm;
        let held_up = if dice < late {
            60 * MICROS_PER_SEC + rng.exponential(90 * MICROS_PER_SEC).min(540 * MICROS_PER_SEC)
        } else if dice < late.saturating_add(self.disturbance.out_of_order_ppm) {
            rng.between(MICROS_PER_SEC, 12 * MICROS_PER_SEC)
        } else {
            0
        };
        at + network + held_up
    }

    /// Whether a heartbeat shares its record.
    pub(super) fn bundles(&self, rng: &mut Rng) -> bool {
        rng.chance(self.disturbance.bundled_ppm)
    }

    /// Takes a record that will arrive at `arrival`, perhaps spoils it, perhaps repeats it later.
    pub(super) fn send(
        &mut self,
        rng: &mut Rng,
        arrival: Micros,
        partition_key: String,
        data: Vec<u8>,
        form: RecordForm,
    ) {
        let (data, form) = if form == RecordForm::Object && rng.chance(self.disturbance.malformed_ppm) {
            (spoil(data, rng.below(4)), RecordForm::Malformed)
        } else {
            (data, form)
        };
        if rng.chance(self.disturbance.duplicates_ppm) {
            let pause = if rng.chance(50_000) {
                rng.between(60 * MICROS_PER_SEC, 240 * MICROS_PER_SEC)
            } else {
                rng.between(200 * MILLI, 8 * MICROS_PER_SEC)
            };
            self.take(arrival + pause, partition_key.clone(), data.clone(), form);
        }
        self.take(arrival, partition_key, data, form);
    }

    fn take(&mut self, arrival: Micros, partition_key: String, data: Vec<u8>, form: RecordForm) {
        // The stream stamps whole milliseconds.
        let arrival = arrival - arrival.rem_euclid(MILLI);
        self.taken += 1;
        let event = SimEvent { arrival_time: arrival, partition_key, data, form };
        self.underway.push(Reverse(Underway { arrival, serial: self.taken, event }));
    }

    /// The next record to arrive, if it does so by `time`.
    pub(super) fn arrived_by(&mut self, time: Micros) -> Option<SimEvent> {
        match self.underway.peek() {
            Some(Reverse(next)) if next.arrival <= time => self.underway.pop().map(|Reverse(u)| u.event),
            _ => None,
        }
    }
}

/// Makes an event unreadable in one of four ways.
fn spoil(mut data: Vec<u8>, way: u64) -> Vec<u8> {
    match way {
        0 => data.truncate(data.len() * 2 / 3),
        1 => replace_field(&mut data, "event_type", None),
        2 => replace_field(&mut data, "schema_version", Some("1")),
        _ => replace_field(&mut data, "event_time", Some("\"yesterday evening\"")),
    }
    data
}

/// Replaces a top-level scalar field's value, or takes the whole field out. Such values hold no comma here.
fn replace_field(data: &mut Vec<u8>, key: &str, value: Option<&str>) {
    let name = format!("\"{key}\":");
    let Some(from) = data.windows(name.len()).position(|w| w == name.as_bytes()) else { return };
    let value_from = from + name.len();
    let Some(comma) = data.iter().skip(value_from).position(|&b| b == b',') else { return };
    match value {
        Some(value) => drop(data.splice(value_from..value_from + comma, value.bytes())),
        None => drop(data.drain(from..=value_from + comma)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    const EVENT: &str = r#"{"schema_version":"1","event_id":"x","event_type":"chat.message_sent","event_time":"2026-01-01T18:00:00.000Z","n":1}"#;

    #[test]
    fn each_way_of_spoiling_breaks_one_thing() {
        let spoilt = |way| spoil(EVENT.as_bytes().to_vec(), way);
        assert!(serde_json::from_slice::<Value>(&spoilt(0)).is_err());
        let missing: Value = serde_json::from_slice(&spoilt(1)).unwrap();
        assert!(missing.get("event_type").is_none() && missing["n"] == 1);
        let wrong: Value = serde_json::from_slice(&spoilt(2)).unwrap();
        assert_eq!(wrong["schema_version"], 1);
        let time: Value = serde_json::from_slice(&spoilt(3)).unwrap();
        assert_eq!(time["event_time"], "yesterday evening");
    }

    #[test]
    fn records_arrive_in_order_and_not_before_their_time() {
        let mut rng = Rng::seeded(5);
        let mut post = Post::new(Disturbance { duplicates_ppm: 500_000, ..Disturbance::default() });
        for i in 0..1_000i64 {
            let arrival = post.arrival(&mut rng, i * 1_000);
            assert!(arrival > i * 1_000);
            post.send(&mut rng, arrival, "k".into(), EVENT.as_bytes().to_vec(), RecordForm::Object);
        }
        let arrivals: Vec<_> = std::iter::from_fn(|| post.arrived_by(Micros::MAX)).map(|e| e.arrival_time).collect();
        assert!(arrivals.len() > 1_400);
        assert!(arrivals.is_sorted());
    }
}
