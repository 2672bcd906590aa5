//! The full parser, as far as an event's own fields: keys, and the raw text of their values. It reads what is not plain, and says what is
//! wrong with what is none.

use std::borrow::Cow;
use std::fmt::{self, Display};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::de::Read;
use serde_json::value::RawValue;

use super::cursor::ends_an_object;
use super::dead_letter::{Reason, Rejection};
use super::forms::skip_whitespace;
use super::names::Names;
use super::plain;
use super::unknown::UnknownField;
use super::values::quote;
use crate::limits::JSON_DEPTH_MAX;

/// What an event said, borrowed from its bytes. Reused from event to event.
#[derive(Debug)]
pub(super) struct RawEvent<'a> {
    fields: usize,
    /// The JSON text of each known field's last value; None if absent or null.
    pub(super) values: Vec<Option<&'a str>>,
    /// Fields that are not known.
    pub(super) unknown: Vec<UnknownField<'a>>,
    /// How deep it nests, the event itself being 1.
    depth: usize,
}

impl<'a> RawEvent<'a> {
    /// For events of `fields` known fields. Takes no memory before an event is scanned: few are.
    pub(super) fn new(fields: usize) -> Self {
        Self { fields, values: Vec::new(), unknown: Vec::new(), depth: 1 }
    }

    /// Parses one event. After an error the values are not to be used.
    pub(super) fn scan(&mut self, bytes: &'a [u8], names: &Names) -> Result<(), Rejection> {
        self.clear();
        if bytes.get(skip_whitespace(bytes, 0)) == Some(&b'{') && !ends_an_object(bytes) {
            return Err(broken(foreign(bytes).unwrap_or("begins as an object, but does not end with `}`")));
        }
        if plain::cut(bytes, names, &mut self.values, &mut self.unknown).is_some() {
            return Ok(());
        }
        self.clear();
        self.parse(bytes, names)?;
        if self.depth > JSON_DEPTH_MAX {
            let message = format!("nested {} levels deep, more than {JSON_DEPTH_MAX}", self.depth);
            return Err(Rejection::new(Reason::NotJson, message));
        }
        Ok(())
    }

    fn clear(&mut self) {
        self.values.clear();
        self.values.resize(self.fields, None);
        self.unknown.clear();
        self.depth = 1;
    }

    fn object<R: Read<'a>>(&mut self, mut json: serde_json::Deserializer<R>, names: &Names) -> serde_json::Result<()> {
        json.deserialize_map(EventVisitor { names, raw: self }).and_then(|()| json.end())
    }

    fn parse(&mut self, bytes: &'a [u8], names: &Names) -> Result<(), Rejection> {
        let is_object = bytes.get(skip_whitespace(bytes, 0)) == Some(&b'{');
        if is_object {
            // Of what is known to be text, no string has to be seen to be text again.
            let read = match std::str::from_utf8(bytes) {
                Ok(text) => self.object(serde_json::Deserializer::from_str(text), names),
                Err(_) => self.object(serde_json::Deserializer::from_slice(bytes), names),
            };
            read.map_err(|e| not_json(bytes, e))?;
        } else {
            let other: &RawValue = serde_json::from_slice(bytes).map_err(|e| not_json(bytes, e))?;
            self.depth = depth(other.get());
            if self.depth <= JSON_DEPTH_MAX {
                let message = format!("an event is an object, not {}", quote(other.get()));
                return Err(Rejection::new(Reason::WrongType, message));
            }
        }
        Ok(())
    }
}

fn not_json(bytes: &[u8], e: serde_json::Error) -> Rejection {
    broken(foreign(bytes).map_or_else(|| e.to_string(), str::to_owned))
}

fn broken(what: impl Display) -> Rejection {
    Rejection::new(Reason::NotJson, format!("not JSON: {what}"))
}

/// What `bytes` are that are text, but not as JSON is.
fn foreign(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xef, 0xbb, 0xbf, ..] => Some("a byte order mark is before it: only a file may begin with one"),
        // JSON in UTF-8 has no NUL.
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, 1..=255, ..] | [1..=255, 0, ..] => {
            Some("it is UTF-16, and JSON is read as UTF-8")
        }
        _ => None,
    }
}

/// How deep a valid JSON text nests: 0 for a scalar. Iterative, because the text may nest as deep as it is long.
pub(super) fn depth(json: &str) -> usize {
    if !json.starts_with(['{', '[']) {
        return 0;
    }
    let (mut depth, mut deepest, mut in_string) = (0_usize, 0, false);
    let mut bytes = json.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' if in_string => {
                bytes.next();
            }
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

struct EventVisitor<'s, 'de> {
    names: &'s Names,
    raw: &'s mut RawEvent<'de>,
}

impl<'de> Visitor<'de> for EventVisitor<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { names, raw } = self;
        while let Some(key) = map.next_key_seed(KeySeed(names))? {
            // Raw text is checked for syntax without recursion, at any depth.
            let value = map.next_value::<&'de RawValue>()?.get();
            raw.depth = raw.depth.max(1 + depth(value));
            match key {
                Key::Known(index) => {
                    if let Some(slot) = raw.values.get_mut(index) {
                        *slot = (value != "null").then_some(value);
                    }
                }
                Key::Unknown(name) => raw.unknown.push(UnknownField { name, value: value.as_bytes() }),
            }
        }
        Ok(())
    }
}

enum Key<'de> {
    Known(usize),
    Unknown(Cow<'de, str>),
}

/// Looks a key up without keeping it.
struct KeySeed<'s>(&'s Names);

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = Key<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key<'de>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for KeySeed<'_> {
    type Value = Key<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Key<'de>, E> {
        Ok(self.0.place(key).map_or(Key::Unknown(Cow::Borrowed(key)), Key::Known))
    }

    fn visit_str<E>(self, key: &str) -> Result<Key<'de>, E> {
        Ok(self.0.place(key).map_or_else(|| Key::Unknown(Cow::Owned(key.to_owned())), Key::Known))
    }
}
