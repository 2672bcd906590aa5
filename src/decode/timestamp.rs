//! Timestamps as events carry them: RFC 3339 with a zone, or integer epoch milliseconds.
//!
//! Strict on purpose: a timestamp that is read wrongly puts a row into the wrong window, where nobody looks for it.

use super::digits::no_digits;
use crate::types::{
    CALENDAR_FIRST, CALENDAR_LAST, MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SEC, Micros,
};

/// How long a timestamp with milliseconds in UTC is, with a quote behind it.
pub(super) const QUOTED_LEN: usize = 25;

/// 9999-12-31T23:59:59.999999Z, the last instant that RFC 3339 can write.
const LAST: Micros = CALENDAR_LAST;
/// 0001-01-01T00:00:00Z. Year 0 and before are never meant.
const FIRST: Micros = CALENDAR_FIRST;

/// Reads [RFC 3339](https://www.rfc-editor.org/rfc/rfc3339#section-5.6): date, `T` (or `t`, or a space), time, up to nine
/// digits of a second, `Z` (or `z`) or an offset. In UTC microseconds; digits beyond them are cut, not rounded.
///
/// None for anything else: no zone, days or hours that do not exist, second 60 (UTC microseconds cannot tell it from the
/// next second), results outside the years 1 to 9999.
pub fn parse(text: &str) -> Option<Micros> {
    LastMinute::default().parse(text.as_bytes())
}

/// As [`parse`], and quicker for timestamps of one minute: it knows what the one before began with.
#[derive(Debug, Default)]
pub(super) struct LastMinute(Option<Minute>);

#[derive(Debug, Clone, Copy)]
struct Minute {
    /// `2026-01-31T18:00:`.
    head: [u8; 17],
    /// The instant of its first second, on a clock in UTC.
    start: Micros,
}

impl LastMinute {
    /// As [`parse`], of what has the form of `2026-01-31T18:00:00.000Z"` and lies in the minute of the one before; `None` for all else.
    #[inline(always)]
    pub(super) fn parse_quoted(&self, text: &[u8; QUOTED_LEN]) -> Option<Micros> {
        /// What digits and signs are when all that the form has is taken from them: digits, and zeros.
        const FORM: u64 = u64::from_le_bytes(*b"00.000Z\"");
        const SIGNS: u64 = u64::from_le_bytes(*b"\0\0\xff\0\0\0\xff\xff");
        let (head, rest) = text.split_first_chunk()?;
        let last = self.0.filter(|last| last.head == *head)?;
        let bytes = u64::from_le_bytes(*rest.first_chunk()?) ^ FORM;
        let digit = |at: u32| (bytes >> (8 * at) & 0xff).cast_signed();
        let second = digit(0) * 10 + digit(1);
        if bytes & SIGNS != 0 || no_digits(bytes) != 0 || second > 59 {
            return None;
        }
        let millis = digit(3) * 100 + digit(4) * 10 + digit(5);
        let utc = last.start + second * MICROS_PER_SEC + millis * 1_000;
        (FIRST..=LAST).contains(&utc).then_some(utc)
    }

    #[inline]
    pub(super) fn parse(&mut self, text: &[u8]) -> Option<Micros> {
        let (head, rest) = text.split_first_chunk()?;
        let start = match self.0 {
            Some(last) if last.head == *head => last.start,
            _ => {
                let start = minute(head)?;
                self.0 = Some(Minute { head: *head, start });
                start
            }
        };
        let (&[s1, s2], rest) = rest.split_first_chunk()?;
        let second = number(&[s1, s2]).filter(|second| *second < 60)?;
        let (micros, zone) = fraction(rest)?;
        let utc = start + second * MICROS_PER_SEC + micros - offset(zone)?;
        (FIRST..=LAST).contains(&utc).then_some(utc)
    }
}

/// Reads `2026-01-31T18:00:`.
fn minute(text: &[u8; 17]) -> Option<Micros> {
    let &[y1, y2, y3, y4, b'-', mo1, mo2, b'-', d1, d2, b'T' | b't' | b' ', h1, h2, b':', mi1, mi2, b':'] = text else {
        return None;
    };
    let (year, month, day) = (number(&[y1, y2, y3, y4])?, number(&[mo1, mo2])?, number(&[d1, d2])?);
    let (hour, minute) = (number(&[h1, h2])?, number(&[mi1, mi2])?);
    if !(1..=12).contains(&month) || !(1..=days_in(year, month)).contains(&day) || hour > 23 || minute > 59 {
        return None;
    }
    Some(days_since_epoch(year, month, day) * MICROS_PER_DAY + hour * MICROS_PER_HOUR + minute * MICROS_PER_MINUTE)
}

/// Reads integer epoch milliseconds. None before 1970 or after 9999: microseconds or nanoseconds taken for milliseconds
/// land there.
pub fn from_epoch_millis(millis: i64) -> Option<Micros> {
    let micros = millis.checked_mul(1_000)?;
    (0..=LAST).contains(&micros).then_some(micros)
}

/// Digits only; at most nine of them, so it cannot overflow.
#[inline]
fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + i64::from(b - b'0')))
}

/// Splits `.123456789Z` into microseconds and the zone.
#[inline]
fn fraction(rest: &[u8]) -> Option<(Micros, &[u8])> {
    if let [b'.', m1, m2, m3, zone @ ..] = rest
        && zone.first().is_some_and(|b| !b.is_ascii_digit())
    {
        return Some((number(&[*m1, *m2, *m3])? * 1_000, zone));
    }
    let Some(after_dot) = rest.strip_prefix(b".") else {
        return Some((0, rest));
    };
    let len = after_dot.iter().take_while(|b| b.is_ascii_digit()).count();
    let (digits, zone) = after_dot.split_at(len);
    if !(1..=9).contains(&len) {
        return None;
    }
    let mut micros = number(digits.get(..6).unwrap_or(digits))?;
    for _ in len..6 {
        micros *= 10;
    }
    Some((micros, zone))
}

/// `Z`, `+02:00`, `-05:30`: how far local time is ahead of UTC.
#[inline]
fn offset(zone: &[u8]) -> Option<Micros> {
    let (sign, hours, minutes) = match zone {
        [b'Z' | b'z'] => return Some(0),
        [b'+', h1, h2, b':', m1, m2] => (1, [*h1, *h2], [*m1, *m2]),
        [b'-', h1, h2, b':', m1, m2] => (-1, [*h1, *h2], [*m1, *m2]),
        _ => return None,
    };
    let (hours, minutes) = (number(&hours)?, number(&minutes)?);
    (hours < 24 && minutes < 60).then(|| sign * (hours * MICROS_PER_HOUR + minutes * MICROS_PER_MINUTE))
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days of the proleptic Gregorian calendar: years are counted from March, so that the leap day is a year's last.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    year * 365 + leap_days + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::*;
    use crate::types::format_micros;

    #[test]
    fn reads_zones_and_fractions() {
        for (text, utc) in [
            ("2026-01-31T18:00:00Z", "2026-01-31T18:00:00Z"),
            ("2026-01-31t18:00:00z", "2026-01-31T18:00:00Z"),
            ("2026-01-31 18:00:00Z", "2026-01-31T18:00:00Z"),
            ("2026-01-31T18:00:00-00:00", "2026-01-31T18:00:00Z"),
            ("2026-01-31T19:00:00+01:00", "2026-01-31T18:00:00Z"),
            ("2026-01-31T23:59:59-23:59", "2026-02-01T23:58:59Z"),
            ("2026-02-01T05:30:00+05:45", "2026-01-31T23:45:00Z"),
            ("2026-01-31T18:00:00.2Z", "2026-01-31T18:00:00.200Z"),
            ("2026-01-31T18:00:00.25+00:00", "2026-01-31T18:00:00.250Z"),
            ("2026-01-31T18:00:00.000001Z", "2026-01-31T18:00:00.000001Z"),
            ("2026-01-31T18:00:00.1234567Z", "2026-01-31T18:00:00.123456Z"),
            ("2026-01-31T18:00:00.999999999Z", "2026-01-31T18:00:00.999999Z"),
            ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z"),
            ("2000-02-29T00:00:00Z", "2000-02-29T00:00:00Z"),
            ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.500Z"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
            ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
        ] {
            assert_eq!(parse(text).map(format_micros).as_deref(), Some(utc), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_instant() {
        for text in [
            "",
            "yesterday",
            "2026-01-31",
            "2026-01-31T18:00:00",
            "2026-01-31T18:00Z",
            "2026-01-31T18:00:00+01",
            &format!("{}00Z", "\0".repeat(17)),
            "2026-01-31T18:00:00+0100",
            "2026-01-31T18:00:00+24:00",
            "2026-01-31T18:00:00+01:60",
            "2026-01-31T18:00:00 +01:00",
            "2026-01-31T18:00:00Z ",
            " 2026-01-31T18:00:00Z",
            "2026-01-31T18:00:00ZZ",
            "2026-01-31T18:00:00.Z",
            "2026-01-31T18:00:00,5Z",
            "2026-01-31T18:00:00.1234567890Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-32T00:00:00Z",
            "2026-02-30T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2026-04-31T00:00:00Z",
            "2026-01-31T24:00:00Z",
            "2026-01-31T18:60:00Z",
            "2026-01-31T18:00:60Z",
            "2016-12-31T23:59:60Z",
            "2026-1-31T18:00:00Z",
            "+2026-01-31T18:00:00Z",
            "-026-01-31T18:00:00Z",
            "2026/01/31T18:00:00Z",
            "2026-01-31X18:00:00Z",
            "20260131T180000Z",
            "2026-W05-6T18:00:00Z",
            "1767225600000",
            "0000-12-31T23:59:59Z",
            "0001-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
            "\u{662}026-01-31T18:00:00Z",
            "2026-01-31T18:00:00\u{2212}01:00",
            "2026-01-31T18:00:0\u{e9}Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn epoch_milliseconds_have_a_sane_range() {
        assert_eq!(
            from_epoch_millis(1_767_225_600_123).map(format_micros).as_deref(),
            Some("2026-01-01T00:00:00.123Z")
        );
        assert_eq!(from_epoch_millis(0), Some(0));
        assert_eq!(from_epoch_millis(253_402_300_799_999), Some(LAST - 999));
        for millis in [-1, 253_402_300_800_000, 1_767_225_600_000_000, i64::MAX, i64::MIN] {
            assert_eq!(from_epoch_millis(millis), None, "{millis}");
        }
    }

    #[test]
    fn what_is_quick_is_as_it_is_else() {
        let mut minute = LastMinute::default();
        let minute_of = "2026-01-31T18:00:";
        minute.parse(format!("{minute_of}00Z").as_bytes()).unwrap();
        let good = *b"2026-01-31T18:00:59.078Z\"";
        assert_eq!(minute.parse_quoted(&good), parse("2026-01-31T18:00:59.078Z"));
        // Each byte at each place: the same instant, or none.
        for (place, byte) in (0..QUOTED_LEN).flat_map(|place| (0..=u8::MAX).map(move |byte| (place, byte))) {
            let mut text = good;
            text[place] = byte;
            let slow = std::str::from_utf8(&text).ok().and_then(|text| parse(text.strip_suffix('"')?));
            let quick = minute.parse_quoted(&text);
            let is_usual = text.starts_with(minute_of.as_bytes()) && text[19] == b'.' && text[23] == b'Z';
            assert_eq!(quick, slow.filter(|_| is_usual), "{byte} at {place}");
        }
        assert_eq!(LastMinute::default().parse_quoted(&good), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, rng_seed: RngSeed::Fixed(7), failure_persistence: None, ..Default::default() })]

        #[test]
        fn agrees_with_chrono_on_every_instant(micros in FIRST + MICROS_PER_DAY..LAST - MICROS_PER_DAY, minutes in -1_439_i32..1_440) {
            let zone = chrono::FixedOffset::east_opt(minutes * 60).unwrap();
            let text = chrono::DateTime::from_timestamp_micros(micros).unwrap().with_timezone(&zone).to_rfc3339();
            prop_assert_eq!(parse(&text), Some(micros), "{}", text);
        }

        #[test]
        fn takes_nothing_that_chrono_does_not(
            text in "[0-9]{4}-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{0,10})?(Z|z|[+-][0-2][0-9]:[0-6][0-9])?",
        ) {
            let theirs = chrono::DateTime::parse_from_rfc3339(&text).ok().map(|t| t.timestamp_micros());
            match parse(&text) {
                Some(ours) => prop_assert_eq!(Some(ours), theirs, "{}", text),
                // chrono takes second 60, longer fractions, and instants out of our range.
                None => prop_assert!(
                    theirs.is_none_or(|t| !(FIRST..=LAST).contains(&t)) || &text[17..19] == "60" || text.len() > 29,
                    "{}", text
                ),
            }
        }
    }
}
