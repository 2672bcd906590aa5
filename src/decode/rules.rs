//! What an event must be to become a row.

use std::sync::Arc;

use super::dead_letter::{Reason, Rejection};
use super::decoder::Provenance;
use super::envelope::Envelope;
use super::names::Names;
use super::plain;
use super::rows::{Rows, Told};
use super::scan::RawEvent;
use super::timestamp::LastMinute;
use super::unknown::UnknownField;
use super::values::{self, Value};
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
    /// What events must have besides whose type begins with one of these.
    required_by_type: Vec<(Vec<String>, Required)>,
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
    /// Fields that are not known.
    pub(super) unknown: Vec<UnknownField<'a>>,
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
        let by_type = contract.requirements().iter().map(|requirement| {
            let places = requirement.fields.iter().filter_map(|name| contract.field_index(name));
            (requirement.prefixes.clone(), Required::at(places))
        });
        let required_by_type = by_type.collect();
        Self { contract, slots, names, minute: LastMinute::default(), required, type_index, required_by_type }
    }

    pub(super) fn scratch<'a>(&self) -> Scratch<'a> {
        Scratch { unknown: Vec::new(), raw: RawEvent::new(self.slots.len()) }
    }

    /// Expects lengths of texts again where that was given up.
    pub(super) fn try_lengths_again(&self) {
        self.names.try_lengths_again();
    }

    /// Reads one event that is all of `bytes`, if it is plain, into the row under way of `rows`, which has no value yet, and has none if it
    /// is not. It is to be [judged](Self::judge) then.
    #[inline]
    pub(super) fn read_plain<'a>(&mut self, bytes: &'a [u8], scratch: &mut Scratch<'a>, rows: &mut Rows) -> bool {
        self.read_plain_if(bytes, scratch, rows, |end| end == bytes.len()).is_some()
    }

    /// The same, of one at the beginning of `bytes`, if it may end where it does: at that place, or at the end of all if only white space
    /// follows.
    #[inline]
    pub(super) fn read_plain_if<'a>(
        &mut self,
        bytes: &'a [u8],
        scratch: &mut Scratch<'a>,
        rows: &mut Rows,
        may_end: impl FnOnce(usize) -> bool,
    ) -> Option<usize> {
        let Scratch { unknown, .. } = scratch;
        unknown.clear();
        let Self { slots, names, minute, .. } = self;
        let end = plain::read(bytes, slots, names, minute, rows, unknown).filter(|&end| may_end(end));
        if end.is_none() {
            rows.undo();
            unknown.clear();
        }
        end
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
        let mut envelope = self.envelope(bytes, scratch)?;
        if let Some(Envelope::Bus(data)) = envelope {
            rows.undo();
            self.read_fields(data.as_bytes(), scratch, rows, Wrapped::Perhaps)?;
            envelope = self.envelope(data.as_bytes(), scratch)?;
        }
        match envelope {
            None => {}
            Some(Envelope::Rule { detail, detail_type, time, id }) => {
                rows.undo();
                self.read_fields(detail.as_bytes(), scratch, rows, Wrapped::No)?;
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

    #[inline]
    fn envelope<'a>(&self, bytes: &'a [u8], scratch: &Scratch<'a>) -> Result<Option<Envelope<'a>>, Rejection> {
        Envelope::of(bytes, &scratch.unknown, |name| self.names.place(name).is_some())
    }

    /// Gives an event what its envelope knows and it lacks.
    fn fill_in(
        &self,
        rows: &mut Rows,
        detail_type: &str,
        time: Option<&str>,
        id: Option<&str>,
    ) -> Result<(), Rejection> {
        for (name, raw) in [(self.contract.time_field(), time), (self.contract.id_field(), id)] {
            let Some(place) = self.contract.field_index(name).filter(|&place| !rows.has(place)) else { continue };
            if let (Some(raw), Some(slot)) = (raw.filter(|&raw| raw != "null"), self.slots.get(place)) {
                rows.set(place, &read_value(slot, raw)?);
            }
        }
        if let Some((place, slot)) = self.type_index.and_then(|place| Some((place, self.slots.get(place)?)))
            && !rows.has(place)
        {
            let value = values::read("detail-type", slot.kind, detail_type)?;
            let known = value.text().and_then(|text| self.contract.event_type_of(text));
            let value = known.map_or(value, |known| Value::Text(known.into()));
            check_allowed(slot, &value, "detail-type", detail_type)?;
            rows.set(place, &value);
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

    fn check_required(&self, rows: &Rows) -> Result<(), Rejection> {
        let fields = self.contract.fields();
        if let Some(place) = self.required.missing(rows) {
            return Err(absent(fields, place, rows, ""));
        }
        let Some(event_type) = self.type_index.and_then(|place| rows.text(place)) else { return Ok(()) };
        for (prefixes, required) in &self.required_by_type {
            // In this order: most events have what any must have.
            if let Some(place) = required.missing(rows)
                && prefixes.iter().any(|prefix| event_type.starts_with(prefix.as_bytes()))
            {
                return Err(absent(fields, place, rows, &String::from_utf8_lossy(event_type)));
            }
        }
        Ok(())
    }
}

fn read_value<'a>(slot: &Field, raw: &'a str) -> Result<Value<'a>, Rejection> {
    let value = values::read(&slot.name, slot.kind, raw)?;
    check_allowed(slot, &value, &slot.name, raw)?;
    Ok(value)
}

/// Whether `slot` may have `value`, which `raw` says under the key `name`.
fn check_allowed(slot: &Field, value: &Value<'_>, name: &str, raw: &str) -> Result<(), Rejection> {
    let text = value.text();
    if slot.allowed.is_empty() || text.is_none_or(|text| slot.allowed.iter().any(|allowed| allowed == text)) {
        return Ok(());
    }
    if slot.required && text.is_some_and(str::is_empty) {
        // It is missing, which says more.
        return Ok(());
    }
    let message = format!("`{name}` is {}, not one of {}", values::quote(raw), slot.allowed.join(", "));
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
