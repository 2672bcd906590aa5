//! What the fast way through an event is made of: the scanner of JSON's values.

use serde_json::value::RawValue;

use super::column::Texts;
use super::digits;
use super::scan::depth;
use super::specials::{CHUNK, Specials, is_special};
use crate::limits::JSON_DEPTH_MAX;

/// Whether the last byte that is no white space may be the end of an object.
#[inline]
pub(super) fn ends_an_object(bytes: &[u8]) -> bool {
    bytes.trim_ascii_end().ends_with(b"}")
}

/// A place in the bytes of an event. What reads on from it returns `None` where the text is not as expected; the place is of no use then.
pub(super) struct Cursor<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    /// Not 0 if a string may have had a character that is not ASCII.
    pub(super) beyond_ascii: u32,
}

impl<'a> Cursor<'a> {
    /// Before the first byte that is no white space. `None` if no object ends `bytes`: what was cut off need not be read to see that.
    #[inline]
    pub(super) fn new(bytes: &'a [u8]) -> Option<Self> {
        let mut cursor = Self { bytes, at: 0, beyond_ascii: 0 };
        cursor.peek()?;
        ends_an_object(bytes).then_some(cursor)
    }

    /// Whether the object ends here; if not, `mark` is here, and then a key.
    #[inline(always)]
    pub(super) fn ends_or(&mut self, mark: u8) -> Option<bool> {
        let ends = match self.peek()? {
            b'}' if mark == b',' => true,
            byte if byte == mark => {
                self.at += 1;
                self.peek()? == b'}' && mark == b'{'
            }
            _ => return None,
        };
        self.at += usize::from(ends);
        Some(ends)
    }

    /// A value, whatever it is.
    pub(super) fn skip(&mut self) -> Option<&'a [u8]> {
        self.peek()?;
        let start = self.at;
        if self.value(1).is_none() {
            self.at = start;
            self.nested()?;
        }
        self.bytes.get(start..self.at)
    }

    /// The same, if it has no escapes. `level` is how deep it nests, if it does, the event itself being 0.
    fn value(&mut self, level: usize) -> Option<()> {
        match self.peek()? {
            b'"' => self.string().map(drop),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            open @ (b'{' | b'[') if level < JSON_DEPTH_MAX => self.inside(open, level),
            _ => None,
        }
    }

    /// An object or array.
    fn inside(&mut self, open: u8, level: usize) -> Option<()> {
        // In ASCII a closing bracket comes two after its opening one.
        let close = open + 2;
        self.at += 1;
        if self.peek()? == close {
            self.at += 1;
            return Some(());
        }
        loop {
            if open == b'{' {
                self.peek()?;
                self.string()?;
                self.expect(b':')?;
            }
            self.value(level + 1)?;
            match self.peek()? {
                b',' => self.at += 1,
                byte if byte == close => {
                    self.at += 1;
                    return Some(());
                }
                _ => return None,
            }
        }
    }

    /// A number of any size.
    fn number(&mut self) -> Option<()> {
        let negative = self.bytes.get(self.at) == Some(&b'-');
        self.at += usize::from(negative);
        let leading_zero = self.bytes.get(self.at) == Some(&b'0');
        if self.digits()? > 1 && leading_zero {
            return None;
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.bytes.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            self.at += usize::from(matches!(self.bytes.get(self.at), Some(b'+' | b'-')));
            self.digits()?;
        }
        Some(())
    }

    /// How many digits are here, if there is one.
    fn digits(&mut self) -> Option<usize> {
        let len = self.rest()?.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += len;
        (len > 0).then_some(len)
    }

    /// A string, behind its first quote, with its last; its text, escapes resolved, is written to where `texts` end. Where it ends there.
    #[inline(always)]
    pub(super) fn string_into(&mut self, texts: &mut Texts) -> Option<usize> {
        let end = self.copy_plain(texts, texts.end())?;
        match self.next()? {
            b'"' => Some(end),
            b'\\' => self.escaped_into(texts, end),
            _ => None,
        }
    }

    /// Writes what comes before the next special byte to `at` in `texts`. Where it ends there.
    #[inline(always)]
    fn copy_plain(&mut self, texts: &mut Texts, at: usize) -> Option<usize> {
        let start = self.at;
        self.seek_special()?;
        let plain = self.bytes.get(start..self.at)?;
        texts.write(at, plain);
        Some(at + plain.len())
    }

    /// Goes to the next special byte.
    #[inline(always)]
    fn seek_special(&mut self) -> Option<u8> {
        loop {
            let rest = self.rest()?;
            let Some(chunk) = rest.first_chunk::<CHUNK>() else {
                let len = rest.iter().position(|&byte| is_special(byte))?;
                let (plain, special) = rest.split_at_checked(len)?;
                self.beyond_ascii |= u32::from(!plain.is_ascii());
                self.at += len;
                return special.first().copied();
            };
            let Specials { specials, beyond_ascii } = Specials::of(chunk);
            self.beyond_ascii |= beyond_ascii;
            if specials != 0 {
                self.at += specials.trailing_zeros() as usize;
                return self.bytes.get(self.at).copied();
            }
            self.at += CHUNK;
        }
    }

    /// The rest of a string, behind its first backslash, with its last quote.
    #[inline(never)]
    fn escaped_into(&mut self, texts: &mut Texts, mut end: usize) -> Option<usize> {
        let mut utf8 = [0; 4];
        loop {
            let char = self.escape()?;
            let bytes = char.encode_utf8(&mut utf8).as_bytes();
            texts.write(end, bytes);
            end += bytes.len();
            if self.bytes.get(self.at) == Some(&b'\\') {
                // One behind the other, as in text of another alphabet.
                self.at += 1;
                continue;
            }
            end = self.copy_plain(texts, end)?;
            match self.next()? {
                b'"' => return Some(end),
                b'\\' => {}
                _ => return None,
            }
        }
    }

    /// What a backslash and what comes behind it stand for.
    #[inline]
    fn escape(&mut self) -> Option<char> {
        Some(match self.next()? {
            b'u' => return self.code_point(),
            escaped @ (b'"' | b'\\' | b'/') => char::from(escaped),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            _ => return None,
        })
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
        let digits = self.take(4)?.iter().map(|&byte| char::from(byte).to_digit(16));
        digits.into_iter().try_fold(0, |unit, digit| Some(unit << 4 | digit? as u16))
    }

    /// A string without escapes, with its quotes.
    pub(super) fn string(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        if self.next()? != b'"' || self.seek_special()? != b'"' {
            return None;
        }
        self.at += 1;
        self.bytes.get(start..self.at)
    }

    /// An integer in the range of 64 bits: no leading zero, no fraction, no exponent.
    #[inline]
    pub(super) fn integer(&mut self) -> Option<i64> {
        let rest = self.rest()?;
        if let Some((len, whole)) = digits::leading(rest)
            && !matches!(rest.get(len), Some(b'.' | b'e' | b'E'))
        {
            self.at += len;
            return Some(whole);
        }
        let negative = rest.first() == Some(&b'-');
        let digits = rest.get(usize::from(negative)..)?;
        let mut whole = 0_i64;
        let mut len = 0;
        for byte in digits {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            whole = whole.wrapping_mul(10).wrapping_add(i64::from(digit));
            len += 1;
        }
        let leading_zero = len > 1 && digits.first() == Some(&b'0');
        if len == 0 || leading_zero || matches!(digits.get(len), Some(b'.' | b'e' | b'E')) {
            return None;
        }
        let end = len + usize::from(negative);
        // More digits than this may be too many.
        let whole = match len {
            ..=18 if negative => -whole,
            ..=18 => whole,
            _ => std::str::from_utf8(rest.get(..end)?).ok()?.parse().ok()?,
        };
        self.at += end;
        Some(whole)
    }

    pub(super) fn word(&mut self, word: &str) -> Option<()> {
        self.rest()?.starts_with(word.as_bytes()).then(|| self.at += word.len())
    }

    /// Any value that is not nested too deeply, by the full parser.
    fn nested(&mut self) -> Option<()> {
        let mut values = serde_json::Deserializer::from_slice(self.rest()?).into_iter::<&'a RawValue>();
        let value = values.next()?.ok()?.get();
        self.at += values.byte_offset();
        (depth(value) < JSON_DEPTH_MAX).then_some(())
    }

    #[inline]
    pub(super) fn rest(&self) -> Option<&'a [u8]> {
        self.bytes.get(self.at..)
    }

    /// The next byte that is no white space.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        if byte > b' ' { Some(byte) } else { self.peek_behind_white_space() }
    }

    #[inline(never)]
    fn peek_behind_white_space(&mut self) -> Option<u8> {
        loop {
            match *self.bytes.get(self.at)? {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                byte => return Some(byte),
            }
        }
    }

    #[inline]
    fn next(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    pub(super) fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..self.at + len)?;
        self.at += len;
        Some(taken)
    }

    /// Where what was read ends, or all there is if only white space is left. What was read must have been UTF-8.
    pub(super) fn end(mut self) -> Option<usize> {
        let end = self.at;
        let end = if self.peek().is_none() { self.at } else { end };
        let is_text = self.beyond_ascii == 0 || simdutf8::basic::from_utf8(self.bytes.get(..end)?).is_ok();
        is_text.then_some(end)
    }
}
