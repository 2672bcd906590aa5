//! Writes an event's JSON, field by field, and the ids and times in it.
//!
//! A serialiser would build a tree first; at hundreds of thousands of events a second the text is written at once.
//! Every string is known to need no escape, except free text, which goes through [`EventText::free_text`].

use crate::types::{MICROS_PER_DAY, Micros};

/// The digits of ULIDs (Crockford's base 32: no I, L, O, U).
const BASE32: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const HEX: &[u8; 16] = b"0123456789abcdef";

/// One JSON object in the making.
#[derive(Debug)]
pub(super) struct EventText {
    out: Vec<u8>,
}

impl EventText {
    /// Opens an object of about `bytes` bytes.
    pub(super) fn begin(bytes: usize) -> Self {
        let mut out = Vec::with_capacity(bytes);
        out.push(b'{');
        Self { out }
    }

    fn key(&mut self, key: &str) {
        self.out.extend_from_slice(if self.out.len() == 1 { b"\"" } else { b",\"" });
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// A string that needs no escape.
    pub(super) fn plain(&mut self, key: &str, value: &str) {
        self.key(key);
        self.out.push(b'"');
        self.out.extend_from_slice(value.as_bytes());
        self.out.push(b'"');
    }

    /// Text that is JSON already.
    pub(super) fn json(&mut self, key: &str, value: &str) {
        self.key(key);
        self.out.extend_from_slice(value.as_bytes());
    }

    /// An integer.
    pub(super) fn integer(&mut self, key: &str, value: i64) {
        self.key(key);
        push_integer(&mut self.out, value);
    }

    /// A 26-character id in the manner of a ULID: 48 bits of milliseconds, 80 bits of `body`.
    pub(super) fn ulid(&mut self, key: &str, at: Micros, body: u128) {
        self.key(key);
        self.out.push(b'"');
        let millis = (at.max(0) / 1_000) as u128 & 0xffff_ffff_ffff;
        push_base32(&mut self.out, (millis << 80) | (body & ((1 << 80) - 1)), 26);
        self.out.push(b'"');
    }

    /// RFC 3339 with milliseconds, UTC.
    pub(super) fn time(&mut self, key: &str, at: Micros, clock_face: &mut ClockFace) {
        self.key(key);
        self.out.push(b'"');
        clock_face.push(&mut self.out, at);
        self.out.push(b'"');
    }

    /// Free text, escaped as JSON asks.
    pub(super) fn free_text(&mut self, key: &str, value: &str) {
        self.key(key);
        push_escaped(&mut self.out, value);
    }

    /// An object inside the object.
    pub(super) fn object(&mut self, key: &str, object: EventText) {
        self.key(key);
        self.out.extend_from_slice(&object.end());
    }

    /// Closes the object.
    pub(super) fn end(mut self) -> Vec<u8> {
        self.out.push(b'}');
        self.out
    }
}

fn push_escaped(out: &mut Vec<u8>, value: &str) {
    out.push(b'"');
    for c in value.chars() {
        match c {
            '"' | '\\' => out.extend_from_slice(&[b'\\', c as u8]),
            '\n' => out.extend_from_slice(b"\\n"),
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

fn push_integer(out: &mut Vec<u8>, value: i64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

/// The lowest `digits` base-32 digits of `value`, most significant first.
fn push_base32(out: &mut Vec<u8>, value: u128, digits: u32) {
    for digit in (0..digits).rev() {
        out.push(BASE32[(value >> (5 * digit)) as usize & 31]);
    }
}

/// `prefix` and then `digits` base-32 digits of `value`.
pub(super) fn short_id(prefix: &str, value: u64, digits: u32) -> String {
    let mut out = prefix.as_bytes().to_vec();
    push_base32(&mut out, u128::from(value), digits);
    ascii(out)
}

/// A version 4 UUID made of these bits, in its usual text.
pub(super) fn uuid(bits: u128) -> String {
    let bits = (bits & !(0xf000 << 64) & !(0xc000 << 48)) | (0x4000 << 64) | (0x8000 << 48);
    let mut out = Vec::with_capacity(36);
    for nibble in (0..32).rev() {
        out.push(HEX[(bits >> (4 * nibble)) as usize & 15]);
        if matches!(nibble, 24 | 20 | 16 | 12) {
            out.push(b'-');
        }
    }
    ascii(out)
}

fn ascii(bytes: Vec<u8>) -> String {
    // Only ASCII digits and letters come here; the lossy way out would change nothing.
    String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
}

/// Writes times as RFC 3339 and remembers the date of the last one: neighbours are of one day.
#[derive(Debug, Clone)]
pub(super) struct ClockFace {
    day: i64,
    date: Vec<u8>,
}

impl ClockFace {
    pub(super) fn new() -> Self {
        Self { day: i64::MIN, date: Vec::new() }
    }

    /// Appends `2026-01-01T18:00:00.250Z`; microseconds are cut.
    pub(super) fn push(&mut self, out: &mut Vec<u8>, at: Micros) {
        let day = at.div_euclid(MICROS_PER_DAY);
        if day != self.day {
            self.day = day;
            self.date = date_text(day);
        }
        out.extend_from_slice(&self.date);
        let millis = at.rem_euclid(MICROS_PER_DAY) / 1_000;
        let two = |out: &mut Vec<u8>, n: i64| out.extend_from_slice(&[b'0' + (n / 10) as u8, b'0' + (n % 10) as u8]);
        two(out, millis / 3_600_000);
        out.push(b':');
        two(out, millis / 60_000 % 60);
        out.push(b':');
        two(out, millis / 1_000 % 60);
        out.push(b'.');
        out.push(b'0' + (millis % 1_000 / 100) as u8);
        two(out, millis % 100);
        out.push(b'Z');
    }
}

/// `2026-01-01T` of a day since the epoch (Howard Hinnant's `civil_from_days`).
fn date_text(day: i64) -> Vec<u8> {
    let z = day + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{:02}T", doy - (153 * mp + 2) / 5 + 1).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{format_micros, parse_rfc3339};

    #[test]
    fn times_agree_with_the_calendar() {
        let mut face = ClockFace::new();
        for text in ["1970-01-01T00:00:00.001Z", "2000-02-29T23:59:59.999Z", "2026-12-31T09:08:07.065Z"] {
            let mut out = Vec::new();
            face.push(&mut out, parse_rfc3339(text).unwrap() + 999);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
        for day in (0..40_000).step_by(13) {
            let text = String::from_utf8(date_text(day)).unwrap();
            assert!(format_micros(day * MICROS_PER_DAY).starts_with(&text), "{text}");
        }
    }

    #[test]
    fn an_event_is_valid_json_whatever_its_text() {
        let mut event = EventText::begin(64);
        event.plain("a", "b");
        event.integer("n", -120);
        event.integer("zero", 0);
        event.json("flag", "true");
        event.free_text("title", "so \"loud\"\\ ☂\n");
        event.ulid("id", 1_767_290_400_000_000, u128::MAX);
        let value: serde_json::Value = serde_json::from_slice(&event.end()).unwrap();
        assert_eq!(value["title"], "so \"loud\"\\ ☂\n");
        assert_eq!(value["n"], -120);
        assert_eq!(value["id"], "01KDXBEV80ZZZZZZZZZZZZZZZZ");
    }

    #[test]
    fn ids_look_like_ids() {
        assert_eq!(uuid(u128::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(uuid(0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(short_id("st_", 33, 4), "st_0011");
    }
}
