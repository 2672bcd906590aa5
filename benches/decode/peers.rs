//! What other parsers make of the same events.
//!
//! None does the same work. `arrow-json` builds Arrow columns too, by a schema and with its own rules; the others fill a struct that is
//! written for these very events and borrows their texts, or a tape of values, and build no columns at all.

use std::hint::black_box;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use arrow_json::ReaderBuilder;
use arrow_json::reader::Decoder;
use headcount::decode::timestamp;
use headcount::schema::{Contract, Kind};
use headcount::types::ReadBatch;
use serde::Deserialize;

/// The shipped contract as a struct of borrowed texts, but for `properties`.
#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "it is filled, not read")]
struct UserEvent<'a> {
    schema_version: &'a str,
    event_id: &'a str,
    event_type: &'a str,
    event_time: &'a str,
    sent_at: Option<&'a str>,
    source: Option<&'a str>,
    stream_id: Option<&'a str>,
    channel_id: Option<&'a str>,
    session_id: Option<&'a str>,
    previous_session_id: Option<&'a str>,
    viewer_id: Option<&'a str>,
    user_id: Option<&'a str>,
    country: Option<&'a str>,
    device_type: Option<&'a str>,
    platform: Option<&'a str>,
    cdn: Option<&'a str>,
    player_state: Option<&'a str>,
    rendition: Option<&'a str>,
    bitrate_kbps: Option<i32>,
    startup_ms: Option<i32>,
    played_ms: Option<i32>,
    stall_ms: Option<i32>,
    live_latency_ms: Option<i32>,
    error_code: Option<&'a str>,
    fatal: Option<bool>,
    plan_from: Option<&'a str>,
    plan_to: Option<&'a str>,
    billing_interval: Option<&'a str>,
    amount_minor: Option<i64>,
    currency: Option<&'a str>,
}

/// Events that every peer can read: no bad ones, and none with escapes, which are no borrowed text.
pub(crate) fn readable(data: &[u8]) -> bool {
    let is_time = |text: &str| timestamp::parse(text).is_some();
    let event = serde_json::from_slice::<UserEvent<'_>>(data);
    event.is_ok_and(|event| is_time(event.event_time) && event.sent_at.is_none_or(is_time))
}

/// serde_json into the struct.
pub(crate) fn serde_json_struct(read: &ReadBatch) {
    for record in &read.records {
        black_box(serde_json::from_slice::<UserEvent<'_>>(&record.data).expect("a readable event"));
    }
}

/// sonic-rs into the struct.
pub(crate) fn sonic_struct(read: &ReadBatch) {
    for record in &read.records {
        black_box(sonic_rs::from_slice::<UserEvent<'_>>(&record.data).expect("a readable event"));
    }
}

/// simd-json onto its tape. It parses in place, so each event is copied first.
#[derive(Default)]
pub(crate) struct SimdTape {
    bytes: Vec<u8>,
    buffers: simd_json::Buffers,
}

impl SimdTape {
    /// Parses each event.
    pub(crate) fn read(&mut self, read: &ReadBatch) {
        for record in &read.records {
            self.bytes.clear();
            self.bytes.extend_from_slice(&record.data);
            let tape = simd_json::to_tape_with_buffers(&mut self.bytes, &mut self.buffers);
            black_box(tape.expect("a readable event").0.len());
        }
    }
}

/// arrow-json into the contract's columns, but for `properties`: it cannot keep an object's text.
pub(crate) struct ArrowJson(SchemaRef);

impl ArrowJson {
    /// Of the contract's fields.
    pub(crate) fn new(contract: &Contract) -> Self {
        let schema = contract.events_schema();
        let wanted = |name: &str| contract.field(name).is_some_and(|field| field.kind != Kind::Json);
        let fields = schema.fields().iter().filter(|field| wanted(field.name())).cloned();
        Self(Arc::new(Schema::new(fields.collect::<Vec<_>>())))
    }

    /// A decoder for reads of any number of events.
    pub(crate) fn decoder(&self) -> Decoder {
        ReaderBuilder::new(Arc::clone(&self.0))
            .with_batch_size(usize::from(u16::MAX))
            .build_decoder()
            .expect("a decoder")
    }

    /// Makes one batch of a read.
    pub(crate) fn read(decoder: &mut Decoder, read: &ReadBatch) {
        for record in &read.records {
            decoder.decode(&record.data).expect("a readable event");
        }
        black_box(decoder.flush().expect("readable events"));
    }
}
