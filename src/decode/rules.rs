//! What an event must be to become a row.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::dead_letter::{Reason, Rejection};
use super::decoder::Provenance;
use super::envelope::Envelope;
use super::event::Event;
use super::names::{Followers, Names};
use super::plain;
use super::scan::RawEvent;
use super::values::{self, Value};
use crate::schema::{Contract, Field, Kind, PROVENANCE};

/// The rules of a contract, in the order in which an event is judged by them.
#[derive(Debug)]
pub(super) struct Rules {
    contract: Arc<Contract>,
    /// Each value of a row by its place: the contract's fields, then, if rows bring it, their provenance.
    slots: Vec<Field>,
    names: Names,
    /// Of all events before.
    followers: Followers,
    /// The places of what every event must have.
    required: Vec<usize>,
    type_index: Option<usize>,
}

/// What is known of one event, borrowed from its bytes. Reused from event to event.
#[derive(Debug)]
pub(super) struct Scratch<'a> {
    /// What it says. In the order of the contract's fields, then of their provenance.
    pub(super) event: Event<'a>,
    /// What the full parser found of it, if it came to that.
    raw: RawEvent<'a>,
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
        let names = slots.iter().map(|slot| slot.name.clone()).collect();
        let type_index = contract.field_index(contract.type_field());
        let required = contract.fields().iter().enumerate().filter(|(_, f)| f.required).map(|(i, _)| i).collect();
        let followers = Followers::new(slots.len());
        Self { contract, slots, names, followers, required, type_index }
    }

    pub(super) fn scratch<'a>(&self) -> Scratch<'a> {
        Scratch { event: Event::new(self.slots.len()), raw: RawEvent::new(self.slots.len()) }
    }

    /// Reads one event, or the event in an envelope, into `scratch`. What comes back is an object that was packed as text in an
    /// envelope and is to be read instead.
    pub(super) fn read<'a>(
        &mut self,
        bytes: &'a [u8],
        scratch: &mut Scratch<'a>,
    ) -> Result<Option<Vec<u8>>, Rejection> {
        self.read_fields(bytes, scratch)?;
        let mut envelope = Envelope::of(bytes, &scratch.event.unknown)?;
        if let Some(Envelope::Bus(data)) = envelope {
            let bytes = data.get().as_bytes();
            self.read_fields(bytes, scratch)?;
            envelope = Envelope::of(bytes, &scratch.event.unknown)?;
        }
        match envelope {
            None => {}
            Some(Envelope::Rule { detail, detail_type, time, id }) => {
                self.read_fields(detail.get().as_bytes(), scratch)?;
                self.fill_in(&mut scratch.event, detail_type, time, id)?;
            }
            Some(Envelope::Packed(inner)) => return Ok(Some(inner)),
            Some(Envelope::Bus(_)) => {
                let message = "an EventBridge envelope in an envelope in an envelope";
                return Err(Rejection::new(Reason::WrongType, message));
            }
        }
        self.check_required(&scratch.event)?;
        Ok(None)
    }

    /// Gives an event what its envelope knows and it lacks.
    fn fill_in<'a>(
        &self,
        event: &mut Event<'a>,
        detail_type: &'a RawValue,
        time: Option<&'a RawValue>,
        id: Option<&'a RawValue>,
    ) -> Result<(), Rejection> {
        for (name, raw) in [(self.contract.time_field(), time), (self.contract.id_field(), id)] {
            let Some(place) = self.contract.field_index(name).filter(|&place| !event.has(place)) else { continue };
            if let (Some(raw), Some(slot)) = (raw.filter(|raw| raw.get() != "null"), self.slots.get(place)) {
                let value = read_value(slot, raw.get(), event)?;
                event.set(place, value);
            }
        }
        if let Some((place, slot)) = self.type_index.and_then(|place| Some((place, self.slots.get(place)?)))
            && !event.has(place)
        {
            let value = values::read("detail-type", slot.kind, detail_type.get(), event)?;
            let known = event.text_of(&value).and_then(|text| self.contract.event_type_of(text));
            let value = match known {
                Some(known) => event.keep_text(known),
                None => value,
            };
            event.set(place, value);
        }
        Ok(())
    }

    /// Reads the fields of one object into `scratch`.
    fn read_fields<'a>(&mut self, bytes: &'a [u8], scratch: &mut Scratch<'a>) -> Result<(), Rejection> {
        let Scratch { event, raw } = scratch;
        event.clear();
        let text = std::str::from_utf8(bytes).ok();
        let plain = text.and_then(|text| plain::read(text, &self.slots, &self.names, &mut self.followers, event));
        if plain.is_none() {
            event.clear();
            self.read_in_full(bytes, raw, event)?;
        }
        Ok(())
    }

    fn read_in_full<'a>(
        &self,
        bytes: &'a [u8],
        raw: &mut RawEvent<'a>,
        event: &mut Event<'a>,
    ) -> Result<(), Rejection> {
        raw.scan(bytes, &self.names)?;
        event.unknown.append(&mut raw.unknown);
        for ((place, slot), text) in self.slots.iter().enumerate().zip(&raw.values) {
            if let Some(text) = text {
                let value = read_value(slot, text, event)?;
                event.set(place, value);
            }
        }
        Ok(())
    }

    fn check_required(&self, event: &Event<'_>) -> Result<(), Rejection> {
        for &index in &self.required {
            present(self.contract.fields(), index, event, "")?;
        }
        let Some(event_type) = self.type_index.and_then(|index| event.text(index)) else { return Ok(()) };
        for index in self.contract.required_for(event_type) {
            present(self.contract.fields(), index, event, event_type)?;
        }
        Ok(())
    }
}

fn read_value<'a>(slot: &Field, raw: &'a str, event: &mut Event<'a>) -> Result<Value<'a>, Rejection> {
    let value = values::read(&slot.name, slot.kind, raw, event)?;
    let text = event.text_of(&value);
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

/// Checks that the field at `index` is there and, if it is a string, not empty.
fn present(fields: &[Field], index: usize, event: &Event<'_>, event_type: &str) -> Result<(), Rejection> {
    let Some(field) = fields.get(index) else { return Ok(()) };
    let how = match event.text(index) {
        // An empty JSON text does not exist: only a string can be empty.
        Some(text) if !text.is_empty() || field.kind != Kind::String => return Ok(()),
        Some(_) => "empty",
        None if event.has(index) => return Ok(()),
        None => "missing",
    };
    let name = &field.name;
    let message = match event_type {
        "" => format!("`{name}` is {how}"),
        event_type => format!("`{name}` is {how}, which a {} event must have", values::quote(event_type)),
    };
    Err(Rejection::new(Reason::MissingField, message))
}
