//! The fast way through an event: one pass over a flat object, from bytes to typed values, as nearly all events are.
//!
//! It recognises a subset of JSON and of the contract, and gives up at the first byte that is not in it: an error, a value of the
//! wrong type, a number with a fraction, an escape in a key. Such an event is read again by the full parser, which alone words
//! errors. So this can only ever accept what the full parser accepts, with the same values; a differential test holds it to that.
//!
//! What makes it fast: the next key is guessed from the one before, so that a key costs one comparison; a value is read as what the
//! contract says it is, once; strings are borrowed.

use serde_json::value::RawValue;

use super::event::Event;
use super::names::{Followers, Names};
use super::scan::depth;
use super::timestamp;
use super::values::{Value, fits};
use crate::limits::JSON_DEPTH_MAX;
use crate::schema::{Field, Kind};

/// Reads `text` into `event`. `None` if it is not as plain as this: what `event` holds then is of no use.
pub(super) fn read<'a>(
    text: &'a str,
    slots: &[Field],
    names: &Names,
    followers: &mut Followers,
    event: &mut Event<'a>,
) -> Option<()> {
    let mut cursor = Cursor { text, at: 0 };
    cursor.expect(b'{')?;
    if cursor.peek()? == b'}' {
        cursor.at += 1;
        return cursor.end();
    }
    let mut before = followers.start();
    loop {
        cursor.peek()?;
        let guess = followers.guess(before);
        if let Some(len) = names.begins(guess, cursor.rest()?) {
            cursor.at += len;
            before = guess;
            cursor.field(guess, slots.get(guess)?, event)?;
        } else {
            let quoted = cursor.string()?;
            let name = quoted.get(1..quoted.len() - 1)?;
            cursor.expect(b':')?;
            match names.get(name) {
                Some(place) => {
                    followers.learn(before, place);
                    before = place;
                    cursor.field(place, slots.get(place)?, event)?;
                }
                None => {
                    cursor.skip(event)?;
                    event.unknown.push(name.into());
                }
            }
        }
        match cursor.peek()? {
            b',' => cursor.at += 1,
            b'}' => {
                cursor.at += 1;
                return cursor.end();
            }
            _ => return None,
        }
    }
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    /// The value of the field at `place`.
    fn field(&mut self, place: usize, slot: &Field, event: &mut Event<'a>) -> Option<()> {
        let value = match (slot.kind, self.peek()?) {
            (Kind::String, b'"') => {
                let value = self.any_string(event)?;
                if !slot.allowed.is_empty() {
                    let text = event.text_of(&value)?;
                    slot.allowed.iter().any(|allowed| allowed == text).then_some(())?;
                }
                value
            }
            (Kind::Timestamp, b'"') => {
                let quoted = self.string()?;
                Value::Whole(timestamp::parse(quoted.get(1..quoted.len() - 1)?)?)
            }
            (Kind::Timestamp, b'0'..=b'9') => Value::Whole(timestamp::from_epoch_millis(self.integer()?)?),
            (Kind::Int32 | Kind::Int64, b'-' | b'0'..=b'9') => {
                Value::Whole(self.integer().filter(|&n| fits(slot.kind, n))?)
            }
            (Kind::Bool, b't') => self.word("true").map(|()| Value::Whole(1))?,
            (Kind::Bool, b'f') => self.word("false").map(|()| Value::Whole(0))?,
            (Kind::Json, b'{') => Value::Text(self.nested()?),
            // A null is an absent field. (One that takes back a value before it is for the full parser.)
            (_, b'n') if !event.has(place) => return self.word("null"),
            _ => return None,
        };
        event.set(place, value);
        Some(())
    }

    /// The value of a field that is not known.
    fn skip(&mut self, event: &mut Event<'a>) -> Option<()> {
        match self.peek()? {
            b'"' => self.any_string(event).map(drop),
            b'-' | b'0'..=b'9' => self.integer().map(drop),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            b'{' | b'[' => self.nested().map(drop),
            _ => None,
        }
    }

    /// A string; one with escapes is kept by `event`.
    fn any_string(&mut self, event: &mut Event<'a>) -> Option<Value<'a>> {
        let start = self.at + 1;
        let len = plain_len(self.text.as_bytes().get(start..)?);
        match self.text.as_bytes().get(start + len)? {
            b'"' => {
                self.at = start + len + 1;
                self.text.get(start..start + len).map(Value::Text)
            }
            b'\\' => {
                self.at = start;
                event.keep(|to| self.unescape(to))
            }
            _ => None,
        }
    }

    /// The rest of a string, with its closing quote, escapes resolved.
    fn unescape(&mut self, to: &mut String) -> Option<()> {
        loop {
            let len = plain_len(self.rest()?);
            to.push_str(self.take(len)?);
            match self.next()? {
                b'"' => return Some(()),
                b'\\' => to.push(match self.next()? {
                    b'"' => '"',
                    b'\\' => '\\',
                    b'/' => '/',
                    b'b' => '\u{8}',
                    b'f' => '\u{c}',
                    b'n' => '\n',
                    b'r' => '\r',
                    b't' => '\t',
                    b'u' => self.code_point()?,
                    _ => return None,
                }),
                _ => return None,
            }
        }
    }

    /// What `\u` stands for: four hexadecimal digits, or two times four that are a surrogate pair.
    fn code_point(&mut self) -> Option<char> {
        let first = self.code_unit()?;
        if !(0xd800..0xdc00).contains(&first) {
            // The second half of a pair alone is no character.
            return char::from_u32(u32::from(first));
        }
        let (b'\\', b'u') = (self.next()?, self.next()?) else { return None };
        char::decode_utf16([first, self.code_unit()?]).next()?.ok()
    }

    fn code_unit(&mut self) -> Option<u16> {
        let digits = self.take(4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
        u16::from_str_radix(digits, 16).ok()
    }

    /// A string without escapes, with its quotes.
    fn string(&mut self) -> Option<&'a str> {
        let rest = self.rest()?;
        if rest.first() != Some(&b'"') {
            return None;
        }
        let len = plain_len(rest.get(1..)?);
        if rest.get(1 + len) != Some(&b'"') {
            return None;
        }
        self.take(len + 2)
    }

    /// An integer in the range of 64 bits: no leading zero, no fraction, no exponent.
    fn integer(&mut self) -> Option<i64> {
        let rest = self.rest()?;
        let negative = rest.first() == Some(&b'-');
        let from = usize::from(negative);
        let mut end = from;
        let mut whole = 0_i64;
        while let Some(digit) = rest.get(end).map(|b| b.wrapping_sub(b'0')).filter(|&digit| digit < 10) {
            // Towards the sign, so that the smallest number is in reach.
            let digit = i64::from(digit);
            whole = whole.checked_mul(10)?.checked_add(if negative { -digit } else { digit })?;
            end += 1;
        }
        let leading_zero = end > from + 1 && rest.get(from) == Some(&b'0');
        if end == from || leading_zero || matches!(rest.get(end), Some(b'.' | b'e' | b'E')) {
            return None;
        }
        self.at += end;
        Some(whole)
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.rest()?.starts_with(word.as_bytes()).then(|| self.at += word.len())
    }

    /// An object or array that is not nested too deeply, by the full parser.
    fn nested(&mut self) -> Option<&'a str> {
        let mut values = serde_json::Deserializer::from_str(self.text.get(self.at..)?).into_iter::<&'a RawValue>();
        let value = values.next()?.ok()?.get();
        self.at += values.byte_offset();
        (depth(value) < JSON_DEPTH_MAX).then_some(value)
    }

    fn rest(&self) -> Option<&'a [u8]> {
        self.text.as_bytes().get(self.at..)
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match *self.text.as_bytes().get(self.at)? {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                byte => return Some(byte),
            }
        }
    }

    fn next(&mut self) -> Option<u8> {
        let byte = *self.text.as_bytes().get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn take(&mut self, len: usize) -> Option<&'a str> {
        let taken = self.text.get(self.at..self.at + len)?;
        self.at += len;
        Some(taken)
    }

    /// Nothing but white space may be left.
    fn end(mut self) -> Option<()> {
        self.peek().is_none().then_some(())
    }
}

/// How many bytes come before the first quote, backslash or control character; all, if there is none.
///
/// Eight bytes at a time: the strings of events are ids and short words, too short for a call of a vectorised search to pay.
fn plain_len(bytes: &[u8]) -> usize {
    let (words, tail) = bytes.as_chunks::<8>();
    for (n, word) in words.iter().enumerate() {
        let special = special(u64::from_le_bytes(*word));
        if special != 0 {
            return 8 * n + special.trailing_zeros() as usize / 8;
        }
    }
    let special = |&b: &u8| b == b'"' || b == b'\\' || b < 0x20;
    bytes.len() - tail.len() + tail.iter().position(special).unwrap_or(tail.len())
}

/// Sets the high bit of the first byte of `word` that is a quote, a backslash or below 0x20; bits above it may be set too.
fn special(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = ONES << 7;
    // A byte below n borrows in `word - n`, and its own high bit is clear. (The classic test for a zero byte is n = 1.) A borrow
    // can only mark bytes above it wrongly.
    let below = |word: u64, n: u64| word.wrapping_sub(ONES * n) & !word;
    let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    (is(b'"') | is(b'\\') | below(word, 0x20)) & HIGH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_bytes_are_found_at_any_place() {
        for special in [b'"', b'\\', 0, 0x1f, b'\n'] {
            for plain in [b'a', b' ', b'!', b'#', b'[', b']', 0x7f, 0x80, 0xa2, 0xc3, 0xdc, 0xff] {
                for at in 0..20 {
                    let mut bytes = vec![plain; 20];
                    assert_eq!(plain_len(&bytes), 20);
                    bytes[at] = special;
                    assert_eq!(plain_len(&bytes), at, "{special} after {plain}");
                    bytes[19] = special;
                    assert_eq!(plain_len(&bytes), at, "the first of two");
                }
            }
        }
    }

    fn slot(name: &str, kind: Kind, allowed: &[&str]) -> Field {
        let allowed = allowed.iter().map(|&text| text.to_owned()).collect();
        Field { name: name.to_owned(), kind, required: false, description: String::new(), allowed }
    }

    /// The values of an event by field, and its unknown keys.
    type Said = (Vec<(usize, String)>, Vec<String>);

    fn read_text(text: &str) -> Option<Said> {
        let slots = [
            slot("text", Kind::String, &[]),
            slot("whole", Kind::Int32, &[]),
            slot("time", Kind::Timestamp, &[]),
            slot("truth", Kind::Bool, &[]),
            slot("object", Kind::Json, &[]),
            slot("choice", Kind::String, &["a", "b"]),
            slot("long", Kind::Int64, &[]),
        ];
        let names: Names = slots.iter().map(|s| s.name.clone()).collect();
        let mut followers = Followers::new(slots.len());
        let mut event = Event::new(slots.len());
        let mut both = Vec::new();
        // Once with no idea of the order of keys, once with what the first time taught.
        for _ in 0..2 {
            event.clear();
            let read = read(text, &slots, &names, &mut followers, &mut event);
            let found = event.found().map(|(place, value)| {
                let value = match value {
                    Value::Text(text) => text.to_owned(),
                    Value::Whole(n) => n.to_string(),
                    other => format!("{other:?}"),
                };
                (place, value)
            });
            let unknown = event.unknown.iter().map(|name| name.to_string()).collect::<Vec<_>>();
            both.push(read.map(|()| (found.collect::<Vec<_>>(), unknown)));
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
            &[(3, "0"), (2, "2000"), (4, r#"{"a":[]}"#), (5, "b")],
            &[],
        );
        let long = format!(r#"{{"long":{},"whole":{}}}"#, i64::MIN, i32::MAX);
        assert_read(&long, &[(6, "-9223372036854775808"), (1, "2147483647")], &[]);
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
            "{\"x\":1.5}",
        ] {
            assert_eq!(read_text(text), None, "{text}");
        }
        let deep = "[".repeat(JSON_DEPTH_MAX) + &"]".repeat(JSON_DEPTH_MAX);
        assert_eq!(read_text(&format!("{{\"x\":{deep}}}")), None);
    }
}
