//! The fast way through an event: one pass over a flat object, from bytes to columns, as nearly all events are.
//!
//! It recognises a subset of JSON and of the contract, and gives up at the first byte that is not in it: an error, a value of the
//! wrong type, a number with a fraction, an escape in a key. Such an event is read again by the full parser, which alone words
//! errors. So this can only ever accept what the full parser accepts, with the same values; a differential test holds it to that.
//!
//! What makes it fast: the next key is guessed from the one before, so that all that is between two values costs one comparison; a
//! value is read as what the contract says it is, once, and straight into its column; a string is copied while its end is looked for,
//! and seen to be ASCII.

use super::column::Column;
use super::cursor::Cursor;
use super::names::{Key, Names};
use super::rows::{Rows, Told};
use super::timestamp::{self, LastMinute};
use super::unknown::UnknownField;
use crate::schema::Field;
use crate::types::Micros;

/// Reads the object at the beginning of `bytes` into the row under way of `rows`, which has no value yet, and its unknown keys into
/// `unknown`. Where it ends; that is behind white space, if no more than that follows. `None` if it is not as plain as this: what was read
/// is of no use then.
pub(super) fn read<'a>(
    bytes: &'a [u8],
    fields: &[Field],
    names: &Names,
    minute: &mut LastMinute,
    rows: &mut Rows,
    unknown: &mut Vec<UnknownField<'a>>,
) -> Option<usize> {
    let mut cursor = Cursor::new(bytes)?;
    let (row, columns, told_of_row) = rows.begin();
    // Here, where it may stay in registers.
    let mut told = Told::default();
    let read = cursor.object(fields, names, minute, (row, columns, &mut told), unknown);
    *told_of_row = told;
    read?;
    cursor.end()
}
/// Finds the values of the UTF-8 text `bytes`: the JSON text of each known field's last one into `values`, none for null, and unknown
/// keys into `unknown`. `None` if it is not plain in its form; of which kinds values are does not matter here.
pub(super) fn cut<'a>(
    bytes: &'a [u8],
    names: &Names,
    values: &mut [Option<&'a str>],
    unknown: &mut Vec<UnknownField<'a>>,
) -> Option<()> {
    let mut cursor = Cursor::new(bytes)?;
    let text = simdutf8::basic::from_utf8(bytes).ok()?;
    let mut before = names.start()?;
    let mut mark = b'{';
    while !cursor.ends_or(mark)? {
        let key = cursor.key(before, names, unknown)?;
        let value = cursor.skip()?;
        match key {
            Some(key) => {
                before = key;
                let text = text.get(cursor.at - value.len()..cursor.at);
                *values.get_mut(key.place)? = text.filter(|&value| value != "null");
            }
            None => unknown.last_mut()?.value = value,
        }
        mark = b',';
    }
    (cursor.end()? == bytes.len()).then_some(())
}

impl<'a> Cursor<'a> {
    /// All of the object, into the row that is under way.
    #[inline(always)]
    fn object(
        &mut self,
        fields: &[Field],
        names: &Names,
        minute: &mut LastMinute,
        (row, columns, told): (u32, &mut [Column], &mut Told),
        unknown: &mut Vec<UnknownField<'a>>,
    ) -> Option<()> {
        let mut before = names.start()?;
        let mut mark = b'{';
        loop {
            let guess = names.guess(before)?;
            if let Some(len) = guess.begins_behind(mark, self.rest()?) {
                before = guess;
                self.at += len;
                let column = columns.get_mut(guess.place)?;
                match column {
                    Column::Text(texts) if guess.any_text && !told.may_have(guess.bit) => {
                        self.string_into(texts)?;
                        told.tell(guess.bit, texts.end(row));
                    }
                    _ => {
                        // Back to the quote.
                        self.at -= usize::from(guess.is_quoted());
                        self.field(guess, fields, row, column, told, minute)?;
                    }
                }
            } else {
                if self.ends_or(mark)? {
                    return Some(());
                }
                if let Some(key) = self.key(before, names, unknown)? {
                    before = key;
                    self.field(key, fields, row, columns.get_mut(key.place)?, told, minute)?;
                } else {
                    let value = self.skip()?;
                    unknown.last_mut()?.value = value;
                }
            }
            mark = b',';
        }
    }

    /// The value of a field of any kind.
    #[inline(never)]
    fn field(
        &mut self,
        key: &Key,
        fields: &[Field],
        row: u32,
        column: &mut Column,
        told: &mut Told,
        minute: &mut LastMinute,
    ) -> Option<()> {
        let first = self.peek()?;
        if told.may_have(key.bit) && column.has(row) {
            // It comes twice, and the last one counts. (A null that takes a value back is for the full parser.)
            column.undo(row);
            told.forget(key.bit);
            if first == b'n' {
                return None;
            }
        }
        let mut says_something = true;
        match (column, first) {
            (Column::Int32(numbers), b'-' | b'0'..=b'9') => numbers.push(row, self.integer()?.try_into().ok()?),
            (Column::Time(times), b'"') => times.push(row, self.time(minute)?),
            (Column::Text(texts), b'"') => {
                self.at += 1;
                self.string_into(texts)?;
                says_something = texts.end(row);
                if key.limited {
                    let text = texts.of(row)?;
                    let is_allowed = fields.get(key.place)?.allowed.iter().any(|allowed| allowed.as_bytes() == text);
                    if !is_allowed {
                        texts.undo(row);
                        return None;
                    }
                }
            }
            (Column::Time(times), b'0'..=b'9') => times.push(row, timestamp::from_epoch_millis(self.integer()?)?),
            (Column::Int64(numbers), b'-' | b'0'..=b'9') => numbers.push(row, self.integer()?),
            (Column::Bool(truths), b't') => {
                self.word("true")?;
                truths.push(row, true);
            }
            (Column::Bool(truths), b'f') => {
                self.word("false")?;
                truths.push(row, false);
            }
            (Column::Json(texts), b'{') => texts.push(row, std::str::from_utf8(self.skip()?).ok()?),
            (_, b'n') => return self.word("null"),
            _ => return None,
        }
        told.tell(key.bit, says_something);
        Some(())
    }

    /// A timestamp, with its quotes.
    #[inline]
    fn time(&mut self, minute: &mut LastMinute) -> Option<Micros> {
        // As most are: `"2026-01-31T18:00:00.000Z"`.
        if let Some([_, text @ .., b'"']) = self.rest()?.first_chunk::<26>()
            && let Some(time) = minute.parse(text)
        {
            self.at += 26;
            return Some(time);
        }
        let quoted = self.string()?;
        minute.parse(quoted.get(1..quoted.len() - 1)?)
    }

    /// A key, up to and with its colon; it goes to `unknown`, without its value, if it is none that is known.
    #[inline(never)]
    fn key<'n>(
        &mut self,
        before: &Key,
        names: &'n Names,
        unknown: &mut Vec<UnknownField<'a>>,
    ) -> Option<Option<&'n Key>> {
        let rest = self.rest()?;
        let guess = names.guess(before)?;
        if let Some(len) = guess.begins(rest) {
            self.at += len;
            return Some(Some(guess));
        }
        let second = names.second_guess(before)?;
        if let Some(len) = second.begins(rest) {
            self.at += len;
            names.learn(before, second);
            return Some(Some(second));
        }
        let quoted = self.string()?;
        self.expect(b':')?;
        let name = std::str::from_utf8(quoted.get(1..quoted.len() - 1)?).ok()?;
        let key = names.get(name);
        match key {
            Some(key) => names.learn(before, key),
            None => unknown.push(UnknownField { name: name.into(), value: &[] }),
        }
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::util::display::array_value_to_string;

    use super::*;
    use crate::limits::JSON_DEPTH_MAX;
    use crate::schema::Contract;

    /// A contract of a field of each kind: the places of its fields are those in which they are written here.
    const CONTRACT: &str = r#"{
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "x-headcount": { "stream": "s", "id": "text", "time": "time", "type": "choice" },
        "properties": {
            "text": { "type": "string" },
            "whole": { "type": "integer", "format": "int32" },
            "time": { "type": ["string", "integer"], "format": "date-time" },
            "truth": { "type": "boolean" },
            "object": { "type": "object" },
            "choice": { "type": "string", "enum": ["a", "b"] },
            "long": { "type": "integer", "format": "int64" }
        },
        "required": ["text", "time", "choice"]
    }"#;

    /// The values of an event by field, and its unknown keys.
    type Said = (Vec<(usize, String)>, Vec<String>);

    fn read_text(text: &str) -> Option<Said> {
        let contract = Arc::new(Contract::from_json(CONTRACT, "test").unwrap());
        let fields = contract.fields();
        let names = Names::of(fields);
        let mut minute = LastMinute::default();
        let mut both = Vec::new();
        // Once with no idea of the order of keys, once with what the first time taught.
        for _ in 0..2 {
            let mut rows = Rows::new(Arc::clone(&contract));
            let mut unknown = Vec::new();
            let read = read(text.as_bytes(), fields, &names, &mut minute, &mut rows, &mut unknown)
                .filter(|&end| end == text.len());
            let found = (0..fields.len()).filter(|&place| rows.has(place)).collect::<Vec<_>>();
            let unknown = unknown.iter().map(|field| field.name.to_string()).collect::<Vec<_>>();
            let said = found.iter().map(|&place| {
                let column = rows.begin().1[place].finish(1).unwrap();
                (place, array_value_to_string(&column, 0).unwrap())
            });
            both.push(read.map(|_| (said.collect::<Vec<_>>(), unknown)));
        }
        let second = both.pop().unwrap();
        assert_eq!(both, std::slice::from_ref(&second), "{text}");
        second
    }

    #[track_caller]
    fn assert_read(text: &str, found: &[(usize, &str)], unknown: &[&str]) {
        let (got, got_unknown) = read_text(text).expect(text);
        let got: Vec<(usize, &str)> = got.iter().map(|(place, value)| (*place, value.as_str())).collect();
        assert_eq!((got.as_slice(), got_unknown), (found, unknown.iter().map(|&s| s.to_owned()).collect()), "{text}");
    }

    #[test]
    fn plain_events_are_read() {
        assert_read("{}", &[], &[]);
        assert_read(
            " {\"text\" : \"x\", \"whole\":-12,\"c\":true , \"choice\":null,\"d\":{\"e\":[1.5e3]}}\r\n",
            &[(0, "x"), (1, "-12")],
            &["c", "d"],
        );
        assert_read(
            r#"{"truth":false,"time":"1970-01-01T00:00:01Z","object":{"a":[]},"choice":"b","time":2}"#,
            &[(2, "1970-01-01T00:00:00.002Z"), (3, "false"), (4, r#"{"a":[]}"#), (5, "b")],
            &[],
        );
        assert_read(r#"{"x":-1.5e-3,"whole":1,"y":123456789012345678901}"#, &[(1, "1")], &["x", "y"]);
        let long = format!(r#"{{"long":{},"whole":{}}}"#, i64::MIN, i32::MAX);
        assert_read(&long, &[(1, "2147483647"), (6, "-9223372036854775808")], &[]);
    }

    #[test]
    fn escapes_are_resolved() {
        assert_read(
            r#"{"text":"a\"b\\c\/\b\f\n\r\t\u0041\u00e9\ud83d\ude00z","x":"\u0000"}"#,
            &[(0, "a\"b\\c/\u{8}\u{c}\n\r\tA\u{e9}\u{1f600}z")],
            &["x"],
        );
        for text in [r"\x", r"\u12g4", r"\u+123", r"\ud800", r"\ud800\u0041", r"\udc00", r"\u", "\\", "\\\u{1}"] {
            assert_eq!(read_text(&format!("{{\"text\":\"{text}\"}}")), None, "{text}");
        }
    }

    #[test]
    fn whatever_is_not_plain_is_left_to_the_full_parser() {
        for text in [
            "",
            "{",
            "[]",
            "{\"text\"}",
            "{\"text\":}",
            "{\"text\":\"\",}",
            "{\"whole\":01}",
            "{\"whole\":1.5}",
            "{\"whole\":1e3}",
            "{\"whole\":-}",
            "{\"whole\":2147483648}",
            "{\"long\":9223372036854775808}",
            "{\"whole\":\"1\"}",
            "{\"text\":1}",
            "{\"t\\u0065xt\":\"x\"}",
            "{\"text\":\"\u{1}\"}",
            "{\"text\":nul}",
            "{\"text\":\"x\",\"text\":null}",
            "{\"truth\":truex}",
            "{\"truth\":1}",
            "{\"object\":[]}",
            "{\"choice\":\"c\"}",
            "{\"time\":\"yesterday\"}",
            "{\"time\":-1}",
            "{\"whole\":1}x",
            "{whole:1}",
            "{\"text\":\"x}",
            "{\"x\":[1,]}",
            "{\"x\":1.}",
            "{\"x\":01}",
        ] {
            assert_eq!(read_text(text), None, "{text}");
        }
        let deep = "[".repeat(JSON_DEPTH_MAX) + &"]".repeat(JSON_DEPTH_MAX);
        assert_eq!(read_text(&format!("{{\"x\":{deep}}}")), None);
    }
}
