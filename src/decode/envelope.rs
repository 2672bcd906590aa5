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
use super::unknown::UnknownField;
use super::values::quote;

/// An event in what was wrapped around it: JSON texts.
#[derive(Debug)]
pub(super) enum Envelope<'a> {
    /// `detail`, and what may fill it in.
    Rule { detail: &'a str, detail_type: &'a str, time: Option<&'a str>, id: Option<&'a str> },
    /// `Data` that is an object.
    Bus(&'a str),
    /// `Data` that was packed as text.
    Packed(Vec<u8>),
}

/// What a rule knows besides, read from all of the envelope.
#[derive(Deserialize)]
struct FillIns<'a> {
    #[serde(borrow)]
    time: Option<&'a RawValue>,
    #[serde(borrow)]
    id: Option<&'a RawValue>,
}

/// The keys that tell an envelope.
const RULE_KEYS: [&str; 2] = ["detail-type", "detail"];
const BUS_KEYS: [&str; 2] = ["Data", "SystemMetadata"];

fn has(unknown: &[UnknownField<'_>], keys: [&str; 2]) -> bool {
    keys.iter().all(|key| unknown.iter().any(|field| field.name == *key))
}

/// The value of the unknown field `key`. One that comes twice makes the envelope ambiguous: it is refused.
fn one<'a>(unknown: &[UnknownField<'a>], key: &str) -> Result<Option<&'a str>, Rejection> {
    let mut values = unknown.iter().filter(|field| field.name == key).map(|field| field.value);
    let value = values.next();
    if values.next().is_some() {
        return Err(Rejection::new(Reason::NotJson, format!("`{key}` comes twice in an EventBridge envelope")));
    }
    // It is text, as all of the event was seen to be.
    Ok(value.and_then(|value| std::str::from_utf8(value).ok()))
}

/// The same, where there is one.
fn the<'a>(unknown: &[UnknownField<'a>], key: &str) -> Result<&'a str, Rejection> {
    one(unknown, key)?
        .ok_or_else(|| Rejection::new(Reason::NotJson, format!("an EventBridge envelope without `{key}`")))
}

impl<'a> Envelope<'a> {
    /// Whether an object with these unknown fields is one.
    pub(super) fn is_told_by(unknown: &[UnknownField<'_>]) -> bool {
        has(unknown, RULE_KEYS) || has(unknown, BUS_KEYS)
    }

    /// The envelope that `bytes` are, an object with these unknown fields; `None` if they are an event. `knows` tells the names of fields
    /// that are not unknown.
    pub(super) fn of(
        bytes: &'a [u8],
        unknown: &[UnknownField<'a>],
        knows: impl Fn(&str) -> bool,
    ) -> Result<Option<Self>, Rejection> {
        if unknown.is_empty() {
            return Ok(None);
        }
        if has(unknown, RULE_KEYS) {
            let [mut time, mut id] = [one(unknown, "time")?, one(unknown, "id")?];
            if knows("time") || knows("id") {
                // Events have fields of these names too: what the envelope said was read as such a field, if it could be.
                let fill_ins: FillIns<'a> = serde_json::from_slice(bytes)
                    .map_err(|e| Rejection::new(Reason::NotJson, format!("not an EventBridge envelope: {e}")))?;
                [time, id] = [fill_ins.time, fill_ins.id].map(|raw| raw.map(RawValue::get));
            }
            let [detail, detail_type] = [the(unknown, "detail")?, the(unknown, "detail-type")?];
            return Ok(Some(Self::Rule { detail, detail_type, time, id }));
        }
        if has(unknown, BUS_KEYS) {
            let data = the(unknown, "Data")?;
            return Ok(Some(if data.starts_with('"') { Self::Packed(unpack(data)?) } else { Self::Bus(data) }));
        }
        Ok(None)
    }
}

/// The object in a text: as it is, or as base64.
fn unpack(data: &str) -> Result<Vec<u8>, Rejection> {
    let text: Cow<'_, str> = serde_json::from_str(data)
        .map_err(|e| Rejection::new(Reason::NotJson, format!("`Data` is {}, not text: {e}", quote(data))))?;
    if text.trim_start().starts_with('{') {
        return Ok(text.into_owned().into_bytes());
    }
    STANDARD.decode(text.trim()).map_err(|_| {
        let message = format!("`Data` is {}, neither an object, nor text of one, nor base64", quote(data));
        Rejection::new(Reason::WrongType, message)
    })
}
