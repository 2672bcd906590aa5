//! Raw JSON text to typed values. Strict: nothing is rounded, cut or read as another type.

use std::borrow::Cow;

use super::dead_letter::{Reason, Rejection};
use super::timestamp;
use crate::limits::QUOTED_VALUE_BYTES_MAX;
use crate::schema::Kind;
use crate::types::Micros;

/// A value of a row.
#[derive(Debug, PartialEq)]
pub(super) enum Value<'a> {
    /// Of a string, or the JSON text of an object.
    Text(Cow<'a, str>),
    /// Of an integer, or of a timestamp in UTC microseconds.
    Whole(i64),
    Truth(bool),
}

impl Value<'_> {
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Reads the valid JSON text `raw` as the value of field `name`.
pub(super) fn read<'a>(name: &str, kind: Kind, raw: &'a str) -> Result<Value<'a>, Rejection> {
    Ok(match kind {
        Kind::String => Value::Text(string(name, raw)?.ok_or_else(|| wrong(name, kind, raw))?),
        Kind::Json if raw.starts_with('{') => Value::Text(raw.into()),
        Kind::Bool if raw == "true" => Value::Truth(true),
        Kind::Bool if raw == "false" => Value::Truth(false),
        Kind::Json | Kind::Bool => return Err(wrong(name, kind, raw)),
        Kind::Int32 | Kind::Int64 => Value::Whole(whole(name, kind, raw)?),
        Kind::Timestamp => match instant(name, raw)? {
            Some(micros) => Value::Whole(micros),
            None => {
                let message =
                    format!("`{name}` is {}, neither RFC 3339 with a zone nor integer epoch milliseconds", quote(raw));
                return Err(Rejection::new(Reason::BadTimestamp, message));
            }
        },
    })
}

fn wrong(name: &str, kind: Kind, raw: &str) -> Rejection {
    Rejection::new(Reason::WrongType, format!("`{name}` is {}, not {kind}", quote(raw)))
}

fn whole(name: &str, kind: Kind, raw: &str) -> Result<i64, Rejection> {
    if !is_whole(raw) {
        return Err(wrong(name, kind, raw));
    }
    let whole = raw.parse::<i64>().ok().filter(|&n| fits(kind, n));
    whole.ok_or_else(|| {
        Rejection::new(Reason::WrongType, format!("`{name}` is {}, out of the range of {kind}", quote(raw)))
    })
}

/// Whether an integer is in the range of a kind.
#[inline]
pub(super) fn fits(kind: Kind, whole: i64) -> bool {
    kind == Kind::Int64 || i32::try_from(whole).is_ok()
}

/// The text of a JSON string; None if it is none.
fn string<'a>(name: &str, raw: &'a str) -> Result<Option<Cow<'a, str>>, Rejection> {
    let Some(inner) = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return Ok(None);
    };
    if !inner.as_bytes().contains(&b'\\') {
        return Ok(Some(inner.into()));
    }
    // The syntax is right already: only half of a surrogate pair, which is no text, can fail here.
    let text = serde_json::from_str(raw)
        .map_err(|e| Rejection::new(Reason::NotJson, format!("`{name}` is {}, not text: {e}", quote(raw))))?;
    Ok(Some(Cow::Owned(text)))
}

fn instant(name: &str, raw: &str) -> Result<Option<Micros>, Rejection> {
    if is_whole(raw) {
        return Ok(raw.parse().ok().and_then(timestamp::from_epoch_millis));
    }
    Ok(string(name, raw)?.and_then(|text| timestamp::parse(&text)))
}

/// Whether a valid JSON text is a number without fraction and exponent.
fn is_whole(raw: &str) -> bool {
    let digits = raw.strip_prefix('-').unwrap_or(raw);
    digits.bytes().all(|b| b.is_ascii_digit())
}

/// A value for a message: its JSON text, cut if it is long.
pub(super) fn quote(raw: &str) -> Cow<'_, str> {
    if raw.len() <= QUOTED_VALUE_BYTES_MAX {
        return Cow::Borrowed(raw);
    }
    Cow::Owned(format!("{}…", &raw[..raw.floor_char_boundary(QUOTED_VALUE_BYTES_MAX)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_quoted_in_part() {
        assert_eq!(quote("7"), "7");
        let long = format!("{}\u{e9}{}", "x".repeat(QUOTED_VALUE_BYTES_MAX - 1), "y".repeat(100));
        assert_eq!(quote(&long), format!("{}…", "x".repeat(QUOTED_VALUE_BYTES_MAX - 1)));
    }
}
