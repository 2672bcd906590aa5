//! What a value on the command line must look like, and what is said of one that does not.

use std::num::NonZeroU64;
use std::time::Duration;

use regex::Regex;

use crate::decode::Reason;
use crate::limits::{LETTERS_LISTED_MAX, QUERY_MEMORY_MIB_MAX, QUERY_MEMORY_MIB_MIN, QUERY_SHOWN_ROWS_MAX};
use crate::types::{Micros, parse_rfc3339};

/// A span of time in words. clap prints the error after `invalid value '…' for '--for <DURATION>': `.
pub(super) fn duration(text: &str) -> std::result::Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration.is_zero() => Err("must be longer than nothing".to_owned()),
        Ok(duration) => Ok(duration),
        Err(_) => Err("write a number and a unit, such as 90s, 10m or \"1h 30m\"".to_owned()),
    }
}

pub(super) fn timestamp(text: &str) -> std::result::Result<Micros, String> {
    parse_rfc3339(text).ok_or_else(|| "write a time with its zone, such as 2026-01-31T18:00:00Z".to_owned())
}

pub(super) fn reason(text: &str) -> std::result::Result<Reason, String> {
    let codes = || Reason::ALL.map(|reason| reason.code()).join(", ");
    Reason::from_code(text).ok_or_else(|| format!("the reasons are {}", codes()))
}

pub(super) fn letters_listed(text: &str) -> std::result::Result<usize, String> {
    at_most(text, 0, LETTERS_LISTED_MAX)
}

pub(super) fn rows_shown(text: &str) -> std::result::Result<usize, String> {
    at_most(text, 0, QUERY_SHOWN_ROWS_MAX)
}

pub(super) fn mebibytes(text: &str) -> std::result::Result<NonZeroU64, String> {
    let bounded = text.parse().ok().filter(|mib| (1..=1 << 20).contains(mib)).and_then(NonZeroU64::new);
    bounded.ok_or_else(|| "write a number from 1 to 1048576".to_owned())
}

pub(super) fn memory(text: &str) -> std::result::Result<usize, String> {
    at_most(text, QUERY_MEMORY_MIB_MIN, QUERY_MEMORY_MIB_MAX)
}

fn at_most(text: &str, least: usize, most: usize) -> std::result::Result<usize, String> {
    let number = text.replace('_', "").parse().ok().filter(|n| (least..=most).contains(n));
    number.ok_or_else(|| format!("write a whole number from {least} to {most}"))
}

pub(super) fn regex(text: &str) -> std::result::Result<Regex, String> {
    Regex::new(text).map_err(|error| error.to_string())
}

pub(super) fn count(text: &str) -> std::result::Result<NonZeroU64, String> {
    text.replace('_', "").parse().map_err(|_| "write a whole number of 1 or more, such as 1000000".to_owned())
}
