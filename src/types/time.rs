//! Time as the whole product keeps it: `i64` microseconds since the Unix epoch, UTC.

use chrono::{DateTime, SecondsFormat};

/// Microseconds since 1970-01-01T00:00:00Z, or a span in microseconds.
pub type Micros = i64;

/// One second.
pub const MICROS_PER_SEC: Micros = 1_000_000;
/// One minute.
pub const MICROS_PER_MINUTE: Micros = 60 * MICROS_PER_SEC;
/// One hour.
pub const MICROS_PER_HOUR: Micros = 60 * MICROS_PER_MINUTE;
/// One day.
pub const MICROS_PER_DAY: Micros = 24 * MICROS_PER_HOUR;

/// The first instant of the year 1: no time in the product is before it.
pub const CALENDAR_FIRST: Micros = -62_135_596_800 * MICROS_PER_SEC;
/// The last instant of the year 9999: no time in the product is after it, so sums with spans of days cannot overflow.
pub const CALENDAR_LAST: Micros = 253_402_300_800 * MICROS_PER_SEC - 1;

/// The largest multiple of `size` that is not after `t`. `size` must be positive; saturates at the ends of the range.
#[inline]
pub fn floor_to(t: Micros, size: Micros) -> Micros {
    t.saturating_sub(t.rem_euclid(size))
}

/// RFC 3339 in UTC with microseconds as far as they are not zero: `2026-01-31T18:00:00.25Z` prints as `…00.250Z`.
pub fn format_micros(t: Micros) -> String {
    match DateTime::from_timestamp_micros(t) {
        Some(dt) => dt.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        None => format!("{t}us"),
    }
}

/// A length of time in the largest unit that it is a whole number of, hours at most: `1 min`, `90 s`, `48 h`, `250 ms`.
pub fn format_span(span: Micros) -> String {
    let units = [(MICROS_PER_HOUR, "h"), (MICROS_PER_MINUTE, "min"), (MICROS_PER_SEC, "s"), (1_000, "ms")];
    match units.into_iter().find(|(unit, _)| span % unit == 0 && span != 0) {
        Some((unit, name)) => format!("{} {name}", span / unit),
        None if span == 0 => "0 s".to_owned(),
        None => format!("{span} us"),
    }
}

/// Parses an RFC 3339 timestamp with a zone. Digits beyond microseconds are cut, not rounded.
pub fn parse_rfc3339(text: &str) -> Option<Micros> {
    DateTime::parse_from_rfc3339(text).ok().map(|dt| dt.timestamp_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floor_goes_down_before_the_epoch_too() {
        assert_eq!(floor_to(61, 60), 60);
        assert_eq!(floor_to(60, 60), 60);
        assert_eq!(floor_to(-1, 60), -60);
        assert_eq!(floor_to(i64::MIN, 60), i64::MIN);
    }

    #[test]
    fn rfc3339_round_trips() {
        let t = parse_rfc3339("2026-01-31T19:00:00.25+01:00").unwrap();
        assert_eq!(format_micros(t), "2026-01-31T18:00:00.250Z");
    }

    #[test]
    fn spans_are_in_the_largest_unit_that_fits() {
        let spans = [0, 250_000, 90 * MICROS_PER_SEC, MICROS_PER_MINUTE, 2 * MICROS_PER_DAY, 1];
        assert_eq!(spans.map(format_span), ["0 s", "250 ms", "90 s", "1 min", "48 h", "1 us"]);
    }
}
