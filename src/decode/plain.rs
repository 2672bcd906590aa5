//! The fast way through an event: one pass over a flat object, from bytes to columns, as nearly all events are.
//!
//! It recognises a subset of JSON and of the contract, and gives up at the first byte that is not in it: an error, a value of the
//! wrong type, a number with a fraction, an escape in a key. Such an event is read again by the full parser, which alone words
//! errors. So this can only ever accept what the full parser accepts, with the same values; a differential test holds it to that.
//!
//! What makes it fast: the next key is guessed from the one before, so that all that is between two values costs one comparison; a
//! value is read as what the contract says it is, once, and straight into its column; a string is copied while its end is looked for,
//! and seen to be ASCII. Where a value ends is guessed too, by the one of the event before, where values are of one length: what comes
//! behind it is read while that is still being proved.

use super::column::Column;
use super::cursor::Cursor;
use super::digits;
use super::names::{Key, Names, Reading};
use super::rows::{Rows, Told};
use super::specials::{CHUNK, Specials};
use super::timestamp::{self, LastMinute};
use super::unknown::UnknownField;
use crate::schema::{Field, Kind};
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
        (row, columns, told): (usize, &mut [Column], &mut Told),
        unknown: &mut Vec<UnknownField<'a>>,
    ) -> Option<()> {
        let mut before = names.start()?;
        let mut mark = b'{';
        loop {
            (before, mark) = self.usual((before, mark), fields, names, minute, (row, columns, told))?;
            if mark == b',' && self.bytes.get(self.at) == Some(&b'}') {
                self.at += 1;
                return Some(());
            }
            if self.ends_or(mark)? {
                return Some(());
            }
            match self.key(before, names, unknown)? {
                Some(key) => {
                    before = key;
                    self.field(key, fields, row, columns.get_mut(key.place)?, told, minute)?;
                }
                None => {
                    let value = self.skip()?;
                    unknown.last_mut()?.value = value;
                }
            }
            mark = b',';
        }
    }

    /// Fields as they mostly come, from `mark` behind the value of `before` up to the first that is not. The last of them, and the mark behind
    /// it.
    #[inline(always)]
    fn usual<'n>(
        &mut self,
        (mut before, mut mark): (&'n Key, u8),
        fields: &[Field],
        names: &'n Names,
        minute: &LastMinute,
        (row, columns, told): (usize, &mut [Column], &mut Told),
    ) -> Option<(&'n Key, u8)> {
        // Here, where it may stay in registers.
        let (mut rest, mut beyond_ascii, mut now_told) = (self.rest()?, self.beyond_ascii, *told);
        loop {
            // Mostly one text comes behind the other.
            while let Some(guess) = names.guess(before)
                && guess.reading == Reading::Text
                && let Some(value) = guess.behind(mark, rest)
                && !now_told.has(guess.bit)
                && let Some(Column::Text(texts)) = columns.get_mut(guess.place)
                && let Some((len, behind)) = copy_string(value, texts.room(), (guess, row), &mut beyond_ascii)
            {
                now_told.tell(guess.bit, texts.end_at(row, texts.end() + len));
                (before, mark, rest) = (guess, b',', behind);
            }
            let Some(guess) = names.guess(before) else { break };
            let Some(value) = guess.behind(mark, rest) else {
                let Some(second) = names.second_guess(before) else { break };
                if second.behind(mark, rest).is_none() {
                    break;
                }
                names.learn(before, second);
                continue;
            };
            if now_told.has(guess.bit) {
                break;
            }
            let (Some(field), Some(column)) = (fields.get(guess.place), columns.get_mut(guess.place)) else { break };
            let Some(behind) = no_text(value, guess.reading, field, row, column, minute) else { break };
            now_told.tell(guess.bit, true);
            (before, mark, rest) = (guess, b',', behind);
        }
        self.at = self.bytes.len() - rest.len();
        (self.beyond_ascii, *told) = (beyond_ascii, now_told);
        Some((before, mark))
    }

    /// The value of a field of any kind.
    #[inline(never)]
    fn field(
        &mut self,
        key: &Key,
        fields: &[Field],
        row: usize,
        column: &mut Column,
        told: &mut Told,
        minute: &mut LastMinute,
    ) -> Option<()> {
        let field = fields.get(key.place)?;
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
        match (&mut *column, first) {
            (Column::Int32(_) | Column::Int64(_), b'-' | b'0'..=b'9') => column.put_whole(row, self.integer()?)?,
            (Column::Time(times), b'"') => times.put(row, self.time(minute)?),
            (Column::Time(times), b'0'..=b'9') => times.put(row, timestamp::from_epoch_millis(self.integer()?)?),
            (Column::Text(texts), b'"') if field.kind == Kind::String => {
                self.at += 1;
                let text = self.rest()?;
                let end = match copy_string(text, texts.room(), (key, row), &mut self.beyond_ascii) {
                    Some((len, behind)) => {
                        self.at += text.len() - behind.len();
                        texts.end() + len
                    }
                    None => self.string_into(texts)?,
                };
                says_something = texts.end_at(row, end);
                if !field.allowed.is_empty() {
                    let text = texts.of(row)?;
                    let is_allowed = field.allowed.iter().any(|allowed| allowed.as_bytes() == text);
                    if !is_allowed {
                        texts.undo(row);
                        return None;
                    }
                }
            }
            (Column::Text(texts), b'{') if field.kind == Kind::Json => {
                texts.put(row, std::str::from_utf8(self.skip()?).ok()?);
            }
            (Column::Bool(truths), b't') => {
                self.word("true")?;
                truths.put(row, true);
            }
            (Column::Bool(truths), b'f') => {
                self.word("false")?;
                truths.put(row, false);
            }
            (_, b'n') => return self.word("null"),
            _ => return None,
        }
        told.tell(key.bit, says_something);
        Some(())
    }

    /// A timestamp, with its quotes.
    fn time(&mut self, minute: &mut LastMinute) -> Option<Micros> {
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

/// Reads the value that `text` begins with, behind the quote that it mostly has, if it is one of few texts, a timestamp or an integer, and
/// as those mostly are. What comes behind it.
#[inline(always)]
fn no_text<'a>(
    text: &'a [u8],
    reading: Reading,
    field: &Field,
    row: usize,
    column: &mut Column,
    minute: &LastMinute,
) -> Option<&'a [u8]> {
    match (reading, column) {
        (Reading::Whole, column) => {
            let (len, whole) = digits::leading(text)?;
            column.put_whole(row, whole)?;
            text.get(len..)
        }
        (Reading::Time, Column::Time(times)) => {
            let (text, rest) = text.split_first_chunk()?;
            times.put(row, minute.parse_quoted(text)?);
            Some(rest)
        }
        (Reading::Choice, Column::Text(texts)) => {
            let behind = |choice: &str| text.strip_prefix(choice.as_bytes())?.strip_prefix(b"\"");
            // An empty one says nothing.
            let mut choices = field.allowed.iter().filter(|choice| !choice.is_empty());
            let (choice, rest) = choices.find_map(|choice| Some((choice, behind(choice)?)))?;
            texts.put(row, choice);
            Some(rest)
        }
        _ => None,
    }
}

/// Copies the string that `text` is behind its first quote, if it has no escapes. How long it is, and what comes behind its last quote.
#[inline(always)]
fn copy_string<'a>(
    text: &'a [u8],
    mut room: &mut [u8],
    (key, row): (&Key, usize),
    beyond_ascii: &mut u32,
) -> Option<(usize, &'a [u8])> {
    let mut before = 0;
    let mut rest = text;
    loop {
        let (chunk, more) = rest.split_first_chunk::<CHUNK>()?;
        let (to, more_room) = room.split_first_chunk_mut()?;
        // All of the chunk, whose length is known, and then less of it: quicker than as much as is needed.
        *to = *chunk;
        let Specials { specials, beyond_ascii: beyond } = Specials::of(chunk);
        *beyond_ascii |= beyond;
        if specials != 0 {
            let expected = key.expected_len();
            let in_chunk = expected.wrapping_sub(before);
            let first = specials & specials.wrapping_neg();
            let (b'"', behind) = (if in_chunk < CHUNK && first == 1 << in_chunk {
                // The processor reads on from there before it knows that this is true.
                text.get(expected..)?.split_first()?
            } else {
                let found = text.get(before + first.trailing_zeros() as usize..)?;
                if expected != usize::MAX && found.starts_with(b"\"") {
                    key.learn_len(row, text.len() - found.len());
                }
                found.split_first()?
            }) else {
                return None;
            };
            return Some((text.len() - behind.len() - 1, behind));
        }
        before += CHUNK;
        (rest, room) = (more, more_room);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::util::display::array_value_to_string;

    use super::*;
    use crate::decode::values::Value;
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
            // Room for texts, as a read before leaves it.
            rows.set(0, &Value::Text("x".repeat(200).into()));
            rows.set(5, &Value::Text("x".repeat(200).into()));
            rows.undo();
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
