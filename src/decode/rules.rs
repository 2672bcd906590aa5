//! What an event must be to become a row.

use std::sync::Arc;

use super::dead_letter::{Reason, Rejection};
use super::decoder::Provenance;
use super::names::Names;
use super::scan::RawEvent;
use super::values::{self, Refused, Value};
use crate::schema::{Contract, Field, Kind, PROVENANCE};

/// The rules of a contract, in the order in which an event is judged by them.
#[derive(Debug)]
pub(super) struct Rules {
    contract: Arc<Contract>,
    /// Each value of a row by its place: the contract's fields, then, if rows bring it, their provenance.
    slots: Vec<Field>,
    names: Names,
    /// The places of what every event must have.
    required: Vec<usize>,
    type_index: Option<usize>,
}

/// What is known of one event, borrowed from its bytes. Reused from event to event.
#[derive(Debug)]
pub(super) struct Scratch<'a> {
    pub(super) raw: RawEvent<'a>,
    /// One value for each slot.
    pub(super) values: Vec<Value<'a>>,
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
        Self { contract, slots, names, required, type_index }
    }

    pub(super) fn scratch<'a>(&self) -> Scratch<'a> {
        Scratch { raw: RawEvent::new(self.slots.len()), values: vec![Value::Absent; self.slots.len()] }
    }

    /// Reads one event into `scratch`.
    pub(super) fn read<'a>(&self, bytes: &'a [u8], scratch: &mut Scratch<'a>) -> Result<(), Rejection> {
        scratch.raw.scan(bytes, &self.names)?;
        let Scratch { raw, values } = scratch;
        for ((slot, text), value) in self.slots.iter().zip(&raw.values).zip(values) {
            match text {
                Some(text) => read_value(slot, text, raw.plain, value).map_err(|refused| *refused)?,
                None => *value = Value::Absent,
            }
        }
        self.check_required(&scratch.values)
    }

    fn check_required(&self, values: &[Value<'_>]) -> Result<(), Rejection> {
        for &index in &self.required {
            if let (Some(field), Some(value)) = (self.slots.get(index), values.get(index)) {
                present(&field.name, field.kind, value, "")?;
            }
        }
        let Some(event_type) = self.type_index.and_then(|index| values.get(index)).and_then(Value::text) else {
            return Ok(());
        };
        for index in self.contract.required_for(event_type) {
            if let (Some(field), Some(value)) = (self.contract.fields().get(index), values.get(index)) {
                present(&field.name, field.kind, value, event_type)?;
            }
        }
        Ok(())
    }
}

fn read_value<'a>(slot: &Field, raw: &'a str, plain: bool, value: &mut Value<'a>) -> Result<(), Refused> {
    values::read(&slot.name, slot.kind, raw, plain, value)?;
    if slot.allowed.is_empty() || value.text().is_none_or(|text| slot.allowed.iter().any(|allowed| allowed == text)) {
        return Ok(());
    }
    if slot.required && value.text().is_some_and(str::is_empty) {
        // It is missing, which says more.
        return Ok(());
    }
    let message = format!("`{}` is {}, not one of {}", slot.name, values::quote(raw), slot.allowed.join(", "));
    Err(Box::new(Rejection::new(Reason::WrongType, message)))
}

fn present(name: &str, kind: Kind, value: &Value<'_>, event_type: &str) -> Result<(), Rejection> {
    let how = match value {
        Value::Absent => "missing",
        // An empty JSON text does not exist: only a string can be empty.
        Value::Text(text) if text.is_empty() && kind == Kind::String => "empty",
        _ => return Ok(()),
    };
    let message = match event_type {
        "" => format!("`{name}` is {how}"),
        event_type => format!("`{name}` is {how}, which a {} event must have", values::quote(event_type)),
    };
    Err(Rejection::new(Reason::MissingField, message))
}
