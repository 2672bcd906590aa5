//! The fast way through an event: one flat object of plain strings, integers, booleans and nulls, as nearly all are.
//!
//! It recognises a subset of JSON and gives up at the first byte that is not in it (an escape, a fraction, an exponent, an error),
//! leaving the event to the full parser, which alone words errors. So it can only ever accept what the full parser accepts, with
//! the same values; a differential test holds it to that.

use serde_json::value::RawValue;

use super::names::Names;
use super::scan::{RawEvent, depth};

/// Reads `text` into `raw`; false if it is not as plain as this: the contents of `raw` are then of no use.
pub(super) fn scan<'a>(text: &'a str, names: &Names, raw: &mut RawEvent<'a>) -> bool {
    Flat { text, at: 0 }.object(names, raw).is_some()
}

struct Flat<'a> {
    text: &'a str,
    at: usize,
}

enum Key<'a> {
    Known(usize),
    Unknown(&'a str),
}

impl<'a> Flat<'a> {
    fn object(mut self, names: &Names, raw: &mut RawEvent<'a>) -> Option<()> {
        self.expect(b'{')?;
        if self.peek()? == b'}' {
            self.at += 1;
            return self.end();
        }
        let mut before = raw.followers.start();
        loop {
            let key = self.key(before, names, raw)?;
            let value = self.value(raw)?;
            match key {
                Key::Known(place) => {
                    *raw.values.get_mut(place)? = (value != "null").then_some(value);
                    before = place;
                }
                Key::Unknown(name) => raw.unknown.push(name.into()),
            }
            match self.peek()? {
                b',' => self.at += 1,
                b'}' => {
                    self.at += 1;
                    return self.end();
                }
                _ => return None,
            }
        }
    }

    /// The next key and its colon; `before` is the place of the known one before it.
    fn key(&mut self, before: usize, names: &Names, raw: &mut RawEvent<'a>) -> Option<Key<'a>> {
        self.peek()?;
        let guess = raw.followers.guess(before);
        if let Some(written) = names.written(guess)
            && begins_with(self.text.as_bytes().get(self.at..)?, written.as_bytes())
        {
            self.at += written.len();
            return Some(Key::Known(guess));
        }
        let quoted = self.string()?;
        let name = quoted.get(1..quoted.len() - 1)?;
        self.expect(b':')?;
        let Some(place) = names.get(name) else { return Some(Key::Unknown(name)) };
        raw.followers.learn(before, place);
        Some(Key::Known(place))
    }

    fn value(&mut self, raw: &mut RawEvent<'a>) -> Option<&'a str> {
        match self.peek()? {
            b'"' => self.string(),
            b'-' | b'0'..=b'9' => self.integer(),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            b'{' | b'[' => self.nested(raw),
            _ => None,
        }
    }

    /// A string without escapes, with its quotes.
    fn string(&mut self) -> Option<&'a str> {
        if self.peek()? != b'"' {
            return None;
        }
        let inner = self.text.as_bytes().get(self.at + 1..)?;
        let len = plain_len(inner);
        if inner.get(len) != Some(&b'"') {
            return None;
        }
        self.take(len + 2)
    }

    /// An integer: no leading zero, no fraction, no exponent.
    fn integer(&mut self) -> Option<&'a str> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let sign = usize::from(rest.first() == Some(&b'-'));
        let digits = rest.get(sign..)?.iter().take_while(|b| b.is_ascii_digit()).count();
        let leading_zero = digits > 1 && rest.get(sign) == Some(&b'0');
        let more = matches!(rest.get(sign + digits), Some(b'.' | b'e' | b'E'));
        if digits == 0 || leading_zero || more { None } else { self.take(sign + digits) }
    }

    fn word(&mut self, word: &str) -> Option<&'a str> {
        if self.text.get(self.at..)?.starts_with(word) { self.take(word.len()) } else { None }
    }

    /// An object or array, by the full parser.
    fn nested(&mut self, raw: &mut RawEvent<'a>) -> Option<&'a str> {
        let mut values = serde_json::Deserializer::from_str(self.text.get(self.at..)?).into_iter::<&'a RawValue>();
        let value = values.next()?.ok()?.get();
        raw.deepen(1 + depth(value));
        self.at += values.byte_offset();
        Some(value)
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
    let (words, _) = bytes.as_chunks::<8>();
    let full = words.iter().take_while(|word| !has_special(u64::from_le_bytes(**word))).count() * 8;
    let special = |&b: &u8| b == b'"' || b == b'\\' || b < 0x20;
    full + bytes[full..].iter().position(special).unwrap_or(bytes.len() - full)
}

/// `starts_with` without the call that compares: keys are a few words long.
fn begins_with(text: &[u8], key: &[u8]) -> bool {
    let Some(text) = text.get(..key.len()) else { return false };
    let (Some(head), Some(tail)) = (key.first_chunk::<8>(), key.last_chunk::<8>()) else { return text == key };
    if text.first_chunk() != Some(head) || text.last_chunk() != Some(tail) {
        return false;
    }
    // Head and tail overlap or meet where the key is no longer than both.
    key.len() <= 16 || text[8..key.len() - 8] == key[8..key.len() - 8]
}

/// Whether a byte of `word` is a quote, a backslash or below 0x20.
fn has_special(word: u64) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = ONES << 7;
    // A byte below n borrows in `word - n`, and its own high bit is clear. (The classic test for a zero byte is n = 1.)
    let below = |word: u64, n: u64| word.wrapping_sub(ONES * n) & !word & HIGH;
    let is = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
    is(b'"') | is(b'\\') | below(word, 0x20) != 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_bytes_are_found_at_any_place() {
        for special in [b'"', b'\\', 0, 0x1f, b'\n'] {
            for plain in [b'a', b' ', b'!', b'#', 0x7f, 0xc3, 0xff] {
                for at in 0..20 {
                    let mut bytes = vec![plain; 20];
                    assert_eq!(plain_len(&bytes), 20);
                    bytes[at] = special;
                    assert_eq!(plain_len(&bytes), at, "{special} after {plain}");
                }
            }
        }
    }

    #[test]
    fn a_key_of_any_length_is_told_from_all_others() {
        for len in 1..40 {
            let key: Vec<u8> = (b'a'..).cycle().take(len).map(|b| b % 64 + 32).collect();
            let mut text = key.clone();
            text.push(b'x');
            assert!(begins_with(&text, &key) && begins_with(&key, &key));
            assert!(!begins_with(&key[..len - 1], &key));
            for at in 0..len {
                let mut other = text.clone();
                other[at] ^= 1;
                assert!(!begins_with(&other, &key), "{len} {at}");
            }
        }
    }

    fn names() -> Names {
        ["a", "b"].map(str::to_owned).into_iter().collect()
    }

    #[test]
    fn plain_events_are_read() {
        let names = names();
        let mut raw = RawEvent::new(2);
        let text = " {\"a\" : \"x\", \"b\":-12,\"c\":true , \"a\":null,\"d\":{\"e\":[1.5e3]}}\r\n";
        assert!(scan(text, &names, &mut raw));
        assert_eq!(raw.values, [None, Some("-12")]);
        assert_eq!(raw.unknown, ["c", "d"]);
        // Again, with what was learnt about the order of keys; and against it.
        for text in ["{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}", "{\"b\":2,\"a\":0,\"a\":1}"] {
            assert!(scan(text, &names, &mut raw), "{text}");
            assert_eq!(raw.values, [Some("1"), Some("2")], "{text}");
        }
        assert!(scan("{}", &names, &mut raw));
    }

    #[test]
    fn whatever_is_not_plain_is_left_to_the_full_parser() {
        let names = names();
        for text in [
            "",
            "{",
            "[]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\":01}",
            "{\"a\":1.5}",
            "{\"a\":1e3}",
            "{\"a\":-}",
            "{\"a\":\"\\n\"}",
            "{\"a\":\"\u{1}\"}",
            "{\"a\":nul}",
            "{\"a\":truex}",
            "{\"a\":1}x",
            "{a:1}",
            "{\"a\":\"x}",
            "{\"a\":[1,]}",
        ] {
            assert!(!scan(text, &names, &mut RawEvent::new(2)), "{text}");
        }
    }
}
