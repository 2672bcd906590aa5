//! Fetching records from memory before they are read.

use crate::types::Record;

/// How many records are on their way while one is read.
pub(super) const RECORDS_AHEAD: usize = 4;

const CACHE_LINE_BYTES: usize = 64;

/// Of longer records the processor sees by itself that they are read on.
const LINES_MAX: usize = 16;

/// Has the beginning of a record on its way from memory. Each record is an allocation of its own, so the processor cannot foresee where the
/// next one is, and would wait for each line of the cache.
#[inline]
pub(super) fn fetch(record: &Record) {
    let lines = record.data.iter().step_by(CACHE_LINE_BYTES).take(LINES_MAX);
    lines.chain(record.sequence_number.as_bytes().first()).for_each(fetch_line);
}

#[cfg(all(target_arch = "x86_64", target_feature = "sse"))]
#[inline(always)]
fn fetch_line(byte: &u8) {
    safe_arch::prefetch_t0(byte);
}

/// There is no safe way to say it on other processors.
#[cfg(not(all(target_arch = "x86_64", target_feature = "sse")))]
#[inline(always)]
fn fetch_line(_: &u8) {}
