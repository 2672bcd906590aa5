//! What one event says, before it is known whether it may become a row.

use std::borrow::Cow;

use super::values::Value;

/// Typed values by place, borrowed from the event's bytes. Reused from event to event, so that reading one allocates nothing.
#[derive(Debug)]
pub(super) struct Event<'a> {
    /// One for each known field.
    values: Vec<Value<'a>>,
    /// The places that have a value, in the order in which the event named them. An event has a third of the fields.
    found: Vec<usize>,
    /// The texts that had escapes, one behind the other.
    unescaped: String,
    /// Keys that are not known.
    pub(super) unknown: Vec<Cow<'a, str>>,
}

impl<'a> Event<'a> {
    /// Room for `len` known fields.
    pub(super) fn new(len: usize) -> Self {
        Self { values: vec![Value::Absent; len], found: Vec::new(), unescaped: String::new(), unknown: Vec::new() }
    }

    /// Forgets the event before.
    pub(super) fn clear(&mut self) {
        for place in self.found.drain(..) {
            if let Some(value) = self.values.get_mut(place) {
                *value = Value::Absent;
            }
        }
        self.unescaped.clear();
        self.unknown.clear();
    }

    /// Gives the field at `place` a value; a value before it is replaced.
    #[inline]
    pub(super) fn set(&mut self, place: usize, value: Value<'a>) {
        if let Some(old) = self.values.get_mut(place) {
            if matches!(old, Value::Absent) {
                self.found.push(place);
            }
            *old = value;
        }
    }

    /// Whether the field at `place` has a value.
    #[inline]
    pub(super) fn has(&self, place: usize) -> bool {
        self.values.get(place).is_some_and(|value| !matches!(value, Value::Absent))
    }

    /// The text at `place`, if there is one.
    #[inline]
    pub(super) fn text(&self, place: usize) -> Option<&str> {
        self.text_of(self.values.get(place)?)
    }

    /// As [`text`](Self::text), of a value that may have no place yet.
    #[inline]
    pub(super) fn text_of<'s>(&'s self, value: &Value<'s>) -> Option<&'s str> {
        match value {
            Value::Text(text) => Some(text),
            Value::Unescaped { from, to } => self.unescaped.get(*from..*to),
            _ => None,
        }
    }

    /// All that was found, in the event's order, escapes resolved: `Unescaped` does not come.
    pub(super) fn found(&self) -> impl Iterator<Item = (usize, Value<'_>)> {
        self.found.iter().filter_map(|&place| {
            let value = match *self.values.get(place)? {
                value @ Value::Unescaped { .. } => Value::Text(self.text_of(&value)?),
                value => value,
            };
            Some((place, value))
        })
    }

    /// Keeps a text that is not in the event's bytes as it is: `write` appends it, or gives up.
    pub(super) fn keep(&mut self, write: impl FnOnce(&mut String) -> Option<()>) -> Option<Value<'a>> {
        let from = self.unescaped.len();
        write(&mut self.unescaped)?;
        Some(Value::Unescaped { from, to: self.unescaped.len() })
    }

    /// Keeps a copy of a text that is not in the event's bytes.
    pub(super) fn keep_text(&mut self, text: &str) -> Value<'a> {
        let from = self.unescaped.len();
        self.unescaped.push_str(text);
        Value::Unescaped { from, to: self.unescaped.len() }
    }
}
