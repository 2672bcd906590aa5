//! Raw JSON text to typed values. Strict: nothing is rounded, cut or read as another type.

use std::borrow::Cow;

use super::dead_letter::{Reason, Rejection};
use super::timestamp;
use crate::limits::QUOTED_VALUE_BYTES_MAX;
use crate::schema::Kind;
use crate::types::Micros;

/// A value of a row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'a> {
    Absent,
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

    pub(super) fn whole(&self) -> Option<i64> {
        match self {
            Value::Whole(whole) => Some(*whole),
            _ => None,
        }
    }
}

/// Reads the valid JSON text `raw` as the value of field `name`.
pub(super) fn read<'a>(name: &str, kind: Kind, raw: &'a str) -> Result<Value<'a>, Rejection> {
    let wrong = || Rejection::new(Reason::WrongType, format!("`{name}` is {}, not {kind}", quote(raw)));
    match kind {
        Kind::String => Ok(Value::Text(string(name, raw)?.ok_or_else(wrong)?)),
        Kind::Json => raw.starts_with('{').then_some(Value::Text(Cow::Borrowed(raw))).ok_or_else(wrong),
        Kind::Bool => match raw {
            "true" => Ok(Value::Truth(true)),
            "false" => Ok(Value::Truth(false)),
            _ => Err(wrong()),
        },
        Kind::Int32 | Kind::Int64 => {
            if !is_whole(raw) {
                return Err(wrong());
            }
            let whole = raw.parse::<i64>().ok().filter(|&n| kind == Kind::Int64 || i32::try_from(n).is_ok());
            whole.map(Value::Whole).ok_or_else(|| {
                Rejection::new(Reason::WrongType, format!("`{name}` is {}, out of the range of {kind}", quote(raw)))
            })
        }
        Kind::Timestamp => match instant(name, raw)? {
            Some(micros) => Ok(Value::Whole(micros)),
            None => {
                let message =
                    format!("`{name}` is {}, neither RFC 3339 with a zone nor integer epoch milliseconds", quote(raw));
                Err(Rejection::new(Reason::BadTimestamp, message))
            }
        },
    }
}

/// The text of a JSON string; None if it is none.
fn string<'a>(name: &str, raw: &'a str) -> Result<Option<Cow<'a, str>>, Rejection> {
    let Some(inner) = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return Ok(None);
    };
    if !inner.as_bytes().contains(&b'\\') {
        return Ok(Some(Cow::Borrowed(inner)));
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
