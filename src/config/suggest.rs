//! What to write instead: the closest known key, the right unit, the right section.

use toml::Value;

use super::raw::{RawConfig, is_section, listed};
use crate::error::Error;
use crate::types::{distance, edits_allowed, nearest};

/// The error for a top-level entry that is not a table.
pub(super) fn not_a_section(name: &str, value: Option<&Value>) -> Error {
    if is_section(name) {
        return Error::user(format!("{name} is a section, not a key"))
            .hint(format!("write [{name}] on a line of its own and its keys below"));
    }
    match RawConfig::sections().iter().find(|(_, keys)| keys.contains(&name)) {
        Some((section, _)) => Error::user(format!("{name} stands outside any section"))
            .hint(format!("move it under [{section}], or write {section}.{name}")),
        None => unknown_key("", name, value),
    }
}

/// The error for a section that does not exist.
pub(super) fn unknown_section(name: &str) -> Error {
    let sections: Vec<&str> = RawConfig::sections().iter().map(|(section, _)| *section).collect();
    let hint = match nearest(name, sections.iter().copied()) {
        Some(section) => format!("did you mean [{section}]?"),
        None => format!("the sections are {}", sections.join(", ")),
    };
    Error::user(format!("there is no section [{name}]")).hint(hint)
}

/// The error for a key that its section does not know.
pub(super) fn unknown_key(section: &str, key: &str, value: Option<&Value>) -> Error {
    let path = if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") };
    let error = Error::user(format!("{path} is not a known key"));
    let sections = RawConfig::sections();
    let here = sections.iter().find(|(name, _)| *name == listed(section)).map_or(&[] as &[&str], |(_, keys)| keys);
    if let Some((home, _)) = sections.iter().find(|(_, keys)| keys.contains(&key)) {
        return error.hint(format!("{key} belongs under [{home}]"));
    }
    let typed = Name::of(key);
    let close = closest(&typed, here);
    if let [only] = close.as_slice()
        && let Some(remedy) = unit_remedy(&typed, only, value)
    {
        return error.hint(remedy);
    }
    if !close.is_empty() {
        return error.hint(format!("did you mean {}?", close.join(" or ")));
    }
    let elsewhere: Vec<String> = sections
        .iter()
        .flat_map(|(home, keys)| closest(&typed, keys).into_iter().map(move |close| format!("{home}.{close}")))
        .collect();
    match (elsewhere.is_empty(), here.is_empty()) {
        (false, _) => error.hint(format!("did you mean {}?", elsewhere.join(" or "))),
        (true, false) => error.hint(format!("the keys of [{section}] are {}", here.join(", "))),
        (true, true) => error.hint("every key stands in a section, as in [lake]"),
    }
}

/// The remedy for a number that was typed with its unit (`"30s"`), or as text, where the unit is in the key's name.
pub(super) fn number_remedy(key: &str, value: Option<&Value>) -> Option<String> {
    let unit = Name::of(key).unit?;
    let amount = value.and_then(Value::as_str).and_then(|text| in_unit(text, unit));
    Some(match amount {
        Some(amount) => format!("the unit is in the key's name: write {key} = {amount}"),
        None => format!("write a bare number of {}, as in {key} = {}", unit.plural, unit.example),
    })
}

/// The unit that a key's name ends with, in the plural: `seconds`.
pub(super) fn unit_of(key: &str) -> Option<&'static str> {
    Name::of(key).unit.map(|unit| unit.plural)
}

/// `keys` that `typed` may have meant, best only; those of another dimension (time for size) are left out.
fn closest<'a>(typed: &Name, keys: &[&'a str]) -> Vec<&'a str> {
    let scored: Vec<(usize, &str)> = keys
        .iter()
        .filter_map(|key| {
            let known = Name::of(key);
            if let (Some(a), Some(b)) = (typed.unit, known.unit)
                && a.time != b.time
            {
                return None;
            }
            let edits = distance(&typed.stem, &known.stem);
            if edits <= edits_allowed(&typed.stem) {
                return Some((edits, *key));
            }
            // `roll` for `raw_roll`: every word of it is there, so it is a better guess than none.
            let words = || typed.stem.split('_').filter(|word| !word.is_empty());
            let known_words: Vec<&str> = known.stem.split('_').collect();
            (words().count() > 0 && words().all(|word| known_words.contains(&word))).then_some((usize::MAX, *key))
        })
        .collect();
    let best = scored.iter().map(|(score, _)| *score).min();
    scored.into_iter().filter(|(score, _)| Some(*score) == best).map(|(_, key)| key).collect()
}

/// The exact line to write when only the unit is wrong and the number converts.
fn unit_remedy(typed: &Name, key: &str, value: Option<&Value>) -> Option<String> {
    let known = Name::of(key).unit?;
    let converted = match (typed.unit, value) {
        (Some(unit), Some(Value::Integer(number))) => {
            let small = i128::from(*number) * unit.scale;
            (small % known.scale == 0).then_some(small / known.scale)
        }
        _ => None,
    };
    Some(match converted {
        Some(amount) => format!("write {key} = {amount}, in {}", known.plural),
        None => format!("write {key}, in {}", known.plural),
    })
}

/// A key without its unit, and the unit.
struct Name {
    stem: String,
    unit: Option<Unit>,
}

impl Name {
    fn of(key: &str) -> Self {
        let key = snake_case(key);
        let split = key.rsplit_once('_').and_then(|(stem, last)| Some((stem, Unit::named(last)?)));
        match split {
            Some((stem, unit)) => Self { stem: stem.to_owned(), unit: Some(unit) },
            None => Self { stem: key, unit: None },
        }
    }
}

/// A unit of time in microseconds, or of size in bytes.
#[derive(Clone, Copy)]
struct Unit {
    time: bool,
    scale: i128,
    plural: &'static str,
    example: &'static str,
}

impl Unit {
    fn named(word: &str) -> Option<Self> {
        let (time, scale, plural, example) = match word {
            "us" | "micros" | "microseconds" => (true, 1, "microseconds", "250000"),
            "ms" | "msec" | "msecs" | "millis" | "milliseconds" => (true, 1_000, "milliseconds", "250"),
            "s" | "sec" | "secs" | "second" | "seconds" => (true, 1_000_000, "seconds", "30"),
            "m" | "min" | "mins" | "minute" | "minutes" => (true, 60_000_000, "minutes", "5"),
            "h" | "hr" | "hrs" | "hour" | "hours" => (true, 3_600_000_000, "hours", "1"),
            "d" | "day" | "days" => (true, 86_400_000_000, "days", "1"),
            "b" | "byte" | "bytes" => (false, 1, "bytes", "134217728"),
            "kb" => (false, 1_000, "kilobytes", "128"),
            "kib" => (false, 1 << 10, "kibibytes", "128"),
            "mb" => (false, 1_000_000, "megabytes", "128"),
            "mib" => (false, 1 << 20, "mebibytes", "128"),
            "gb" => (false, 1_000_000_000, "gigabytes", "1"),
            "gib" => (false, 1 << 30, "gibibytes", "1"),
            _ => return None,
        };
        Some(Self { time, scale, plural, example })
    }
}

/// `"30s"`, `"5 minutes"`, `"128 MiB"` or `"30"` as a whole number of `unit`, if it is one.
fn in_unit(text: &str, unit: Unit) -> Option<i128> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, word) = text.split_at(digits);
    let number: i128 = number.parse().ok().filter(|number| *number < 1 << 64)?;
    let word = word.trim().to_ascii_lowercase();
    let given = if word.is_empty() { unit } else { Unit::named(&word)? };
    let small = number * given.scale;
    (given.time == unit.time && small % unit.scale == 0).then_some(small / unit.scale)
}

/// `rawRollSecs` and `raw-roll-secs` as `raw_roll_secs`.
fn snake_case(key: &str) -> String {
    let mut out = String::with_capacity(key.len() + 4);
    for (i, c) in key.chars().enumerate() {
        if c.is_ascii_uppercase() && i > 0 && !out.ends_with('_') {
            out.push('_');
        }
        out.push(if c == '-' { '_' } else { c.to_ascii_lowercase() });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_unit_points_to_the_right_key_with_the_number_converted() {
        let remedy = |section, key, value| {
            unknown_key(section, key, Some(&Value::Integer(value))).remedy().unwrap_or_default().to_owned()
        };
        assert_eq!(remedy("lake", "raw_roll_ms", 30_000), "write raw_roll_secs = 30, in seconds");
        assert_eq!(remedy("lake", "roll_minutes", 5), "write raw_roll_secs = 300, in seconds");
        assert_eq!(remedy("lake", "raw_roll_mib", 128), "write raw_roll_bytes = 134217728, in bytes");
        assert_eq!(remedy("lake", "raw_roll_ms", 1_500), "write raw_roll_secs, in seconds");
        assert_eq!(remedy("source", "poll_interval", 250), "write poll_interval_ms, in milliseconds");
        assert_eq!(remedy("lake", "rawRollSecs", 30), "write raw_roll_secs = 30, in seconds");
    }

    #[test]
    fn a_slip_a_wrong_section_and_a_stranger_each_get_their_own_remedy() {
        let remedy = |section, key| unknown_key(section, key, None).remedy().unwrap_or_default().to_owned();
        assert_eq!(remedy("lake", "compresion_level"), "did you mean compression_level?");
        assert_eq!(remedy("time", "session_timeout_secs"), "session_timeout_secs belongs under [concurrency]");
        assert_eq!(remedy("time", "session_timeout"), "did you mean concurrency.session_timeout_secs?");
        assert_eq!(remedy("log", "colour"), "the keys of [log] are format, level");
        assert_eq!(remedy("lake", "raw_roll"), "did you mean raw_roll_bytes or raw_roll_secs?");
        assert_eq!(unknown_section("lak").remedy(), Some("did you mean [lake]?"));
    }

    #[test]
    fn a_number_typed_with_its_unit_is_converted() {
        let remedy = |key, text: &str| number_remedy(key, Some(&Value::String(text.into()))).unwrap_or_default();
        assert_eq!(remedy("raw_roll_secs", "5 minutes"), "the unit is in the key's name: write raw_roll_secs = 300");
        assert_eq!(remedy("raw_roll_bytes", "1KiB"), "the unit is in the key's name: write raw_roll_bytes = 1024");
        assert_eq!(remedy("raw_roll_secs", "30"), "the unit is in the key's name: write raw_roll_secs = 30");
        assert_eq!(remedy("raw_roll_secs", "soon"), "write a bare number of seconds, as in raw_roll_secs = 30");
    }
}
