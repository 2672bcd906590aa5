//! What EventBridge wraps around an event.
//!
//! | object with the keys | is | the event is |
//! |---|---|---|
//! | `detail-type`, `detail` | what a rule sends to a stream: the [event structure](https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html) | `detail` |
//! | `Data`, `SystemMetadata` | the wrapper of a custom bus | `Data`: an object, or one as text or as base64; it may be of the first kind in turn |
//!
//! Fields of `detail` win. What it lacks is filled in: the event's id by `id`, its time by `time`, its type by `detail-type`, which the
//! contract translates (`x-headcount.detail_types`).

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::dead_letter::{Reason, Rejection};
use super::values::quote;

/// An event in what was wrapped around it.
#[derive(Debug)]
pub(super) enum Envelope<'a> {
    /// `detail`, and what may fill it in.
    Rule { detail: &'a RawValue, detail_type: &'a RawValue, time: Option<&'a RawValue>, id: Option<&'a RawValue> },
    /// `Data` that is an object.
    Bus(&'a RawValue),
    /// `Data` that was packed as text.
    Packed(Vec<u8>),
}

#[derive(Deserialize)]
struct Rule<'a> {
    #[serde(borrow)]
    detail: &'a RawValue,
    #[serde(borrow, rename = "detail-type")]
    detail_type: &'a RawValue,
    #[serde(borrow)]
    time: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Bus<'a> {
    #[serde(borrow, rename = "Data")]
    data: &'a RawValue,
}

fn has(unknown: &[Cow<'_, str>], keys: [&str; 2]) -> bool {
    keys.iter().all(|key| unknown.iter().any(|name| name == key))
}

/// The keys that tell an envelope.
const RULE_KEYS: [&str; 2] = ["detail-type", "detail"];
const BUS_KEYS: [&str; 2] = ["Data", "SystemMetadata"];

impl<'a> Envelope<'a> {
    /// Whether an object with these unknown keys is one.
    pub(super) fn is_told_by(unknown: &[Cow<'_, str>]) -> bool {
        has(unknown, RULE_KEYS) || has(unknown, BUS_KEYS)
    }

    /// The envelope that `bytes` are, an object with these unknown keys; `None` if they are an event.
    pub(super) fn of(bytes: &'a [u8], unknown: &[Cow<'_, str>]) -> Result<Option<Self>, Rejection> {
        if unknown.is_empty() {
            return Ok(None);
        }
        let wrong = |e: serde_json::Error| Rejection::new(Reason::NotJson, format!("not an EventBridge envelope: {e}"));
        if has(unknown, RULE_KEYS) {
            let Rule { detail, detail_type, time, id } = serde_json::from_slice(bytes).map_err(wrong)?;
            return Ok(Some(Self::Rule { detail, detail_type, time, id }));
        }
        if has(unknown, BUS_KEYS) {
            let Bus { data } = serde_json::from_slice(bytes).map_err(wrong)?;
            return Ok(Some(if data.get().starts_with('"') { Self::Packed(unpack(data)?) } else { Self::Bus(data) }));
        }
        Ok(None)
    }
}

/// The object in a text: as it is, or as base64.
fn unpack(data: &RawValue) -> Result<Vec<u8>, Rejection> {
    let text: Cow<'_, str> = serde_json::from_str(data.get())
        .map_err(|e| Rejection::new(Reason::NotJson, format!("`Data` is {}, not text: {e}", quote(data.get()))))?;
    if text.trim_start().starts_with('{') {
        return Ok(text.into_owned().into_bytes());
    }
    STANDARD.decode(text.trim()).map_err(|_| {
        let message = format!("`Data` is {}, neither an object, nor text of one, nor base64", quote(data.get()));
        Rejection::new(Reason::WrongType, message)
    })
}
