//! Changes to bytes: those that break a format, and those that a format's parser has an opinion on.

use rand::Rng;
use rand::rngs::SmallRng;

/// Inputs do not grow beyond this.
const BYTES_MAX: usize = 64 * 1024;

/// Numbers at which something changes: signs, leading zeros, widths, the range of times, floats.
const NUMBERS: [&str; 33] = [
    "0",
    "-0",
    "00",
    "-1",
    "1",
    "01",
    "9",
    "+1",
    "1.",
    ".5",
    "0.0",
    "1e3",
    "1E+2",
    "1e999",
    "-1e999",
    "1e-999",
    "2147483647",
    "2147483648",
    "-2147483648",
    "-2147483649",
    "4294967296",
    "1767225600000",
    "253402300799999",
    "253402300800000",
    "1767225600000000",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "-9223372036854775809",
    "18446744073709551615",
    "18446744073709551616",
    "100000000000000000000000000000000000000000",
];

/// How deep brackets are put: around the limits of the decoder and of `serde_json`, and far beyond.
const DEPTHS: [usize; 9] = [1, 2, 62, 63, 64, 65, 127, 128, 2_000];

/// One of the seeds with some changes.
pub fn mutate(seeds: &[Vec<u8>], dictionary: &[&[u8]], rng: &mut SmallRng) -> Vec<u8> {
    let mut bytes = pick(seeds, rng).cloned().unwrap_or_default();
    let mut changes = 1;
    while changes < 6 && rng.random_bool(0.5) {
        changes += 1;
    }
    for _ in 0..changes {
        change(&mut bytes, seeds, dictionary, rng);
        bytes.truncate(BYTES_MAX);
    }
    bytes
}

fn change(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], dictionary: &[&[u8]], rng: &mut SmallRng) {
    let at = rng.random_range(0..=bytes.len());
    let word = pick(dictionary, rng).copied().unwrap_or_default();
    match rng.random_range(0..15) {
        0 if at < bytes.len() => bytes[at] ^= 1 << rng.random_range(0..8),
        1 if at < bytes.len() => bytes[at] = rng.random(),
        2 => bytes.insert(at, rng.random()),
        3 => drop(bytes.drain(range(bytes, rng))),
        4 => bytes.truncate(at),
        5 => splice(bytes, seeds, rng),
        6 => repeat(bytes, rng),
        7 => replace(bytes, at..at, word),
        8 => {
            let end = (at + word.len()).min(bytes.len());
            replace(bytes, at..end, word);
        }
        9 => {
            let number = pick(&NUMBERS, rng).map_or("", |number| number);
            replace(bytes, run(bytes, at, |b| b.is_ascii_digit() || b"+-.eE".contains(&b)), number.as_bytes());
        }
        // A value, a name, a keyword: a run of what such things are made of.
        10 | 11 => replace(bytes, run(bytes, at, |b| b.is_ascii_alphanumeric() || b"_\"'".contains(&b)), word),
        12 => swap(bytes, rng),
        13 => nest(bytes, at, rng),
        _ => quote(bytes, rng),
    }
}

fn pick<'a, T>(from: &'a [T], rng: &mut SmallRng) -> Option<&'a T> {
    (!from.is_empty()).then(|| &from[rng.random_range(0..from.len())])
}

/// Some bytes, mostly few.
fn range(bytes: &[u8], rng: &mut SmallRng) -> std::ops::Range<usize> {
    let start = rng.random_range(0..=bytes.len());
    let longest = if rng.random_bool(0.7) { 8 } else { bytes.len() };
    start..(start + rng.random_range(0..=longest)).min(bytes.len())
}

/// The run of bytes at `at`, or before it, that `is` describes.
fn run(bytes: &[u8], at: usize, is: impl Fn(u8) -> bool) -> std::ops::Range<usize> {
    let end = at + bytes[at..].iter().take_while(|&&b| is(b)).count();
    at - bytes[..at].iter().rev().take_while(|&&b| is(b)).count()..end
}

fn replace(bytes: &mut Vec<u8>, range: std::ops::Range<usize>, with: &[u8]) {
    bytes.splice(range, with.iter().copied());
}

/// The head of this and the tail of another.
fn splice(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], rng: &mut SmallRng) {
    let Some(other) = pick(seeds, rng) else { return };
    bytes.truncate(rng.random_range(0..=bytes.len()));
    bytes.extend(&other[rng.random_range(0..=other.len())..]);
}

fn repeat(bytes: &mut Vec<u8>, rng: &mut SmallRng) {
    let block = range(bytes, rng);
    let copies = bytes[block.clone()].repeat(rng.random_range(1..=4));
    replace(bytes, block.end..block.end, &copies);
}

/// Two blocks change places.
fn swap(bytes: &mut Vec<u8>, rng: &mut SmallRng) {
    let (one, other) = (range(bytes, rng), range(bytes, rng));
    let (first, second) = if one.start <= other.start { (one, other) } else { (other, one) };
    if first.end <= second.start {
        let (early, late) = (bytes[first.clone()].to_vec(), bytes[second.clone()].to_vec());
        replace(bytes, second, &early);
        replace(bytes, first, &late);
    }
}

/// Deep brackets, closed or not, or around a part.
fn nest(bytes: &mut Vec<u8>, at: usize, rng: &mut SmallRng) {
    let depth = pick(&DEPTHS, rng).copied().unwrap_or(1);
    let brackets: [(&[u8], &[u8]); 4] = [(b"[", b"]"), (b"{\"a\":", b"}"), (b"(", b")"), (b"[", b"")];
    let (open, close) = brackets[rng.random_range(0..brackets.len())];
    let end = if rng.random_bool(0.5) { at } else { range(&bytes[at..], rng).end + at };
    replace(bytes, end..end, &close.repeat(depth));
    let inner: &[u8] = if open.len() > 1 && end == at { b"1" } else { b"" };
    replace(bytes, at..at, &[&open.repeat(depth), inner].concat());
}

/// A part becomes a string, with or without escapes for what may not be in one.
fn quote(bytes: &mut Vec<u8>, rng: &mut SmallRng) {
    let part = range(bytes, rng);
    let text = String::from_utf8_lossy(&bytes[part.clone()]).into_owned();
    let quoted = if rng.random_bool(0.5) { serde_json::Value::from(text).to_string() } else { format!("\"{text}\"") };
    replace(bytes, part, quoted.as_bytes());
}
