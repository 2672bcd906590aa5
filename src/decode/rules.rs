//! What an event must be to become a row.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::dead_letter::{Reason, Rejection};
use super::decoder::Provenance;
use super::envelope::Envelope;
use super::names::Names;
use super::plain;
use super::rows::{Rows, Told};
use super::scan::RawEvent;
use super::timestamp::LastMinute;
use super::values::{self, Value};
use crate::limits::{EVENT_TYPE_KNOWN_BYTES_MAX, EVENT_TYPES_KNOWN_MAX};
use crate::schema::{Contract, Field, PROVENANCE};

/// The rules of a contract, in the order in which an event is judged by them.
#[derive(Debug)]
pub(super) struct Rules {
    contract: Arc<Contract>,
    /// Each value of a row by its place: the contract's fields, then, if rows bring it, their provenance.
    slots: Vec<Field>,
    /// With what was learnt of their order from all events before.
    names: Names,
    minute: LastMinute,
    /// What every event must have.
    required: Required,
    type_index: Option<usize>,
    /// What events of a type must have besides, of the types that came.
    required_by_type: Vec<(Box<[u8]>, Required)>,
}

/// What an event must have.
#[derive(Debug)]
struct Required {
    /// In the order in which it is missed.
    places: Vec<usize>,
    told: Option<Told>,
}

impl Required {
    fn at(places: impl Iterator<Item = usize>) -> Self {
        let places: Vec<usize> = places.collect();
        Self { told: Told::at(&places), places }
    }

    /// The place of the first that `rows` lacks.
    #[inline]
    fn missing(&self, rows: &Rows) -> Option<usize> {
        if rows.tells(self.told) {
            return None;
        }
        self.places.iter().copied().find(|&place| !rows.is_told(place))
    }
}

/// What is known of one event besides its row, borrowed from its bytes. Reused from event to event.
#[derive(Debug)]
pub(super) struct Scratch<'a> {
    /// Keys that are not known.
    pub(super) unknown: Vec<Cow<'a, str>>,
    /// What the full parser found of it, if it came to that.
    raw: RawEvent<'a>,
}

/// Whether an object may be an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrapped {
    Perhaps,
    No,
}

impl Rules {
    pub(super) fn new(contract: Arc<Contract>, provenance: Provenance) -> Self {
        let mut slots = contract.fields().to_vec();
        if provenance == Provenance::Row {
            slots.extend(PROVENANCE.iter().map(|&(name, kind, _)| Field {
                name: name.to_owned(),
                kind,
                required: false,
                description: String::new(),
                allowed: Vec::new(),
            }));
        }
        let names = Names::of(&slots);
        let type_index = contract.field_index(contract.type_field());
        let required = Required::at(
            contract.fields().iter().enumerate().filter(|(_, field)| field.required).map(|(place, _)| place),
        );
        let minute = LastMinute::default();
        Self { contract, slots, names, minute, required, type_index, required_by_type: Vec::new() }
    }

    pub(super) fn scratch<'a>(&self) -> Scratch<'a> {
        Scratch { unknown: Vec::new(), raw: RawEvent::new(self.slots.len()) }
    }

    /// Reads one event, if it is plain, into the row under way of `rows`, which has no value yet, and has none if it is not. It is to be
    /// [judged](Self::judge) then.
    #[inline]
    pub(super) fn read_plain<'a>(&mut self, bytes: &'a [u8], scratch: &mut Scratch<'a>, rows: &mut Rows) -> bool {
        let Scratch { unknown, .. } = scratch;
        unknown.clear();
        let Self { slots, names, minute, .. } = self;
        let is_plain = plain::read(bytes, slots, names, minute, rows, unknown).is_some();
        if !is_plain {
            rows.undo();
            unknown.clear();
        }
        is_plain
    }

    /// Reads one event that is not plain, or the event in an envelope. After an error the row under way is to be undone.
    pub(super) fn read_any<'a>(
        &mut self,
        bytes: &'a [u8],
        scratch: &mut Scratch<'a>,
        rows: &mut Rows,
    ) -> Result<(), Rejection> {
        self.read_raw(bytes, scratch, rows, Wrapped::Perhaps)
    }

    /// What is to become of the object `bytes` that was read. If it is an envelope, the event in it is read in its place. After an error,
    /// and after what comes back, the row under way is to be undone. What comes back is an object that was packed as text in an envelope
    /// and is to be read instead.
    pub(super) fn judge<'a>(
        &mut self,
        bytes: &'a [u8],
        scratch: &mut Scratch<'a>,
        rows: &mut Rows,
    ) -> Result<Option<Vec<u8>>, Rejection> {
        let mut envelope = Envelope::of(bytes, &scratch.unknown)?;
        if let Some(Envelope::Bus(data)) = envelope {
            let bytes = data.get().as_bytes();
            rows.undo();
            self.read_fields(bytes, scratch, rows, Wrapped::Perhaps)?;
            envelope = Envelope::of(bytes, &scratch.unknown)?;
        }
        match envelope {
            None => {}
            Some(Envelope::Rule { detail, detail_type, time, id }) => {
                rows.undo();
                self.read_fields(detail.get().as_bytes(), scratch, rows, Wrapped::No)?;
                self.fill_in(rows, detail_type, time, id)?;
            }
            Some(Envelope::Packed(inner)) => return Ok(Some(inner)),
            Some(Envelope::Bus(_)) => {
                let message = "an EventBridge envelope in an envelope in an envelope";
                return Err(Rejection::new(Reason::WrongType, message));
            }
        }
        self.check_required(rows)?;
        Ok(None)
    }

    /// Gives an event what its envelope knows and it lacks.
    fn fill_in(
        &self,
        rows: &mut Rows,
        detail_type: &RawValue,
        time: Option<&RawValue>,
        id: Option<&RawValue>,
    ) -> Result<(), Rejection> {
        for (name, raw) in [(self.contract.time_field(), time), (self.contract.id_field(), id)] {
            let Some(place) = self.contract.field_index(name).filter(|&place| !rows.has(place)) else { continue };
            if let (Some(raw), Some(slot)) = (raw.filter(|raw| raw.get() != "null"), self.slots.get(place)) {
                rows.set(place, &read_value(slot, raw.get())?);
            }
        }
        if let Some((place, slot)) = self.type_index.and_then(|place| Some((place, self.slots.get(place)?)))
            && !rows.has(place)
        {
            let value = values::read("detail-type", slot.kind, detail_type.get())?;
            let known = value.text().and_then(|text| self.contract.event_type_of(text));
            rows.set(place, &known.map_or(value, |known| Value::Text(known.into())));
        }
        Ok(())
    }

    /// Reads the fields of one object.
    fn read_fields<'a>(
        &mut self,
        bytes: &'a [u8],
        scratch: &mut Scratch<'a>,
        rows: &mut Rows,
        wrapped: Wrapped,
    ) -> Result<(), Rejection> {
        if self.read_plain(bytes, scratch, rows) { Ok(()) } else { self.read_raw(bytes, scratch, rows, wrapped) }
    }

    /// The same, by the full parser. Of an envelope none are read where the contract would object to one: they are not the event's.
    fn read_raw<'a>(
        &mut self,
        bytes: &'a [u8],
        scratch: &mut Scratch<'a>,
        rows: &mut Rows,
        wrapped: Wrapped,
    ) -> Result<(), Rejection> {
        let Scratch { unknown, raw } = scratch;
        raw.scan(bytes, &self.names)?;
        unknown.append(&mut raw.unknown);
        if wrapped == Wrapped::Perhaps && Envelope::is_told_by(unknown) {
            return Ok(());
        }
        for ((place, slot), text) in self.slots.iter().enumerate().zip(&raw.values) {
            if let Some(text) = text {
                rows.set(place, &read_value(slot, text)?);
            }
        }
        Ok(())
    }

    fn check_required(&mut self, rows: &Rows) -> Result<(), Rejection> {
        let fields = self.contract.fields();
        if let Some(place) = self.required.missing(rows) {
            return Err(absent(fields, place, rows, ""));
        }
        let Some(event_type) = self.type_index.and_then(|place| rows.text(place)) else { return Ok(()) };
        let known = self.required_by_type.iter().find(|(known, _)| **known == *event_type);
        let unknown;
        let required = match known {
            Some((_, required)) => required,
            None => {
                let name = String::from_utf8_lossy(event_type);
                let is_short = event_type.len() <= EVENT_TYPE_KNOWN_BYTES_MAX;
                if is_short && self.required_by_type.len() < EVENT_TYPES_KNOWN_MAX {
                    let required = Required::at(self.contract.required_for(&name));
                    self.required_by_type.push((event_type.into(), required));
                }
                unknown = Required::at(self.contract.required_for(&name));
                &unknown
            }
        };
        match required.missing(rows) {
            None => Ok(()),
            Some(place) => Err(absent(fields, place, rows, &String::from_utf8_lossy(event_type))),
        }
    }
}

fn read_value<'a>(slot: &Field, raw: &'a str) -> Result<Value<'a>, Rejection> {
    let value = values::read(&slot.name, slot.kind, raw)?;
    let text = value.text();
    if slot.allowed.is_empty() || text.is_none_or(|text| slot.allowed.iter().any(|allowed| allowed == text)) {
        return Ok(value);
    }
    if slot.required && text.is_some_and(str::is_empty) {
        // It is missing, which says more.
        return Ok(value);
    }
    let message = format!("`{}` is {}, not one of {}", slot.name, values::quote(raw), slot.allowed.join(", "));
    Err(Rejection::new(Reason::WrongType, message))
}

/// The verdict on an event without the field at `index`.
fn absent(fields: &[Field], index: usize, rows: &Rows, event_type: &str) -> Rejection {
    let how = if rows.has(index) { "empty" } else { "missing" };
    let name = fields.get(index).map_or("", |field| &field.name);
    let message = match event_type {
        "" => format!("`{name}` is {how}"),
        event_type => format!("`{name}` is {how}, which a {} event must have", values::quote(event_type)),
    };
    Rejection::new(Reason::MissingField, message)
}
