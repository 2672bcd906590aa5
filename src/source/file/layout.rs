//! How a file of JSON is laid out, told by how it begins.
//!
//! | a file that begins with | holds |
//! |---|---|
//! | an object that has `Records`, a list of objects with `SequenceNumber` and `Data` (or an empty one, beside what else GetRecords returns) | what `aws kinesis get-records` prints, any number of times |
//! | an object that is JSON and goes over several lines, or a line `{` | objects that go over several lines |
//! | an array that goes over several lines (or is longer than a line may be) and whose first element is JSON, or a line `[` | one array, an element an event |
//! | anything else | lines |

use memchr::memchr;
use serde::de::IgnoredAny;

use super::bytes::FileBytes;
use super::cut::{Column, Cut, Step, Within, is_whitespace};
use crate::error::Result;
use crate::limits::{RECORD_BYTES_MAX, RECORD_ENTRY_BYTES_MAX};

/// How a file of JSON is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// A record a line.
    Lines,
    /// A record a value, over any number of lines; the elements of an array are values.
    Values,
    /// Documents of GetRecords.
    Documents,
}

/// Bytes that are looked at first: nearly all files have said by then what they are.
const FIRST_LOOK_BYTES: usize = 64 * 1024;
/// Bytes that are looked at at most: room for the longest record before what tells.
const LAST_LOOK_BYTES: usize = RECORD_ENTRY_BYTES_MAX + FIRST_LOOK_BYTES;

const _: () = assert!(LAST_LOOK_BYTES > RECORD_BYTES_MAX, "a line that is too long must be seen to be");

/// The keys of what GetRecords returns, besides the records.
const DOCUMENT_KEYS: [&[u8]; 3] = [b"NextShardIterator", b"MillisBehindLatest", b"ChildShards"];

impl Layout {
    /// Looks at the beginning of a file, which stays to be read.
    pub(super) fn of(file: &mut FileBytes) -> Result<Self> {
        let mut bytes = FIRST_LOOK_BYTES;
        loop {
            let head = file.look_ahead(bytes)?;
            let whole = head.len() < bytes;
            match layout(head, whole) {
                Some(layout) => return Ok(layout),
                None if whole => return Ok(Self::Lines),
                None if bytes >= LAST_LOOK_BYTES => return Ok(layout_of_long(head)),
                None => bytes = (bytes * 8).min(LAST_LOOK_BYTES),
            }
        }
    }
}

/// The layout of a file that begins with `head`; none if more bytes are needed to tell.
fn layout(head: &[u8], whole_file: bool) -> Option<Layout> {
    let mut scan = Scan { data: head, at: if head.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 } };
    let first = scan.peek()?;
    let text = head.get(scan.at..).unwrap_or_default();
    match first {
        b'{' => {
            if is_document(scan).or(whole_file.then_some(false))? {
                return Some(Layout::Documents);
            }
            let line = first_line(text, whole_file)?;
            if line == b"{" {
                return Some(Layout::Values);
            }
            let value = scan.value()?;
            Some(if line.len() < value.len() && is_json(value) { Layout::Values } else { Layout::Lines })
        }
        b'[' => {
            let Some(line) = first_line(text, whole_file) else {
                return (text.len() > RECORD_BYTES_MAX).then_some(Layout::Values);
            };
            if line == b"[" || line.len() > RECORD_BYTES_MAX {
                return Some(Layout::Values);
            }
            let rest = text.get(line.len()..).unwrap_or_default().trim_ascii_start();
            if rest.is_empty() && !whole_file {
                return None;
            }
            // Closed on its line, or never; or one of many lines, and broken.
            if (Scan { data: line, at: 0 }).value().is_some() || rest.is_empty() || rest.starts_with(b"[") {
                return Some(Layout::Lines);
            }
            scan.at += 1;
            scan.peek()?;
            let element = scan.value()?;
            Some(if is_json(element) && matches!(scan.peek()?, b',' | b']') { Layout::Values } else { Layout::Lines })
        }
        _ => Some(Layout::Lines),
    }
}

/// The layout of a file whose first value is longer than a record may be, or never ends: it is one of several lines, unless its second
/// line is whole. That value costs its neighbours nothing then.
fn layout_of_long(head: &[u8]) -> Layout {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let Some(line) = first_line(text, false).filter(|line| line.starts_with(b"{") || line.starts_with(b"[")) else {
        return Layout::Lines;
    };
    let rest = text.get(line.len()..).unwrap_or_default().trim_ascii_start();
    match first_line(rest, false) {
        Some(second) if line.len() > 1 && second.starts_with(line.get(..1).unwrap_or_default()) && is_json(second) => {
            Layout::Lines
        }
        _ => Layout::Values,
    }
}

/// The first line, without the white space at its end.
fn first_line(text: &[u8], whole_file: bool) -> Option<&[u8]> {
    let end = memchr(b'\n', text).or(whole_file.then_some(text.len()))?;
    Some(text.get(..end)?.trim_ascii_end())
}

fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(text).is_ok()
}

/// Whether an object is a document of GetRecords; none if more bytes are needed to tell.
fn is_document(mut scan: Scan<'_>) -> Option<bool> {
    scan.at += 1;
    let (mut empty, mut others) = (false, false);
    loop {
        let key = match scan.next_key()? {
            Ok(key) => key,
            Err(b'}') => return Some(empty && others),
            Err(_) => return Some(false),
        };
        if key == b"Records" && scan.peek()? == b'[' {
            scan.at += 1;
            match scan.peek()? {
                b'{' => return is_entry(scan),
                b']' => scan.at += 1,
                _ => return Some(false),
            }
            empty = true;
            continue;
        }
        others |= DOCUMENT_KEYS.contains(&key);
        scan.value()?;
    }
}

/// Whether an object is an entry of `Records`.
fn is_entry(mut scan: Scan<'_>) -> Option<bool> {
    scan.at += 1;
    let (mut number, mut data) = (false, false);
    loop {
        let Ok(key) = scan.next_key()? else { return Some(false) };
        number |= key == b"SequenceNumber";
        data |= key == b"Data";
        if number && data {
            return Some(true);
        }
        scan.peek()?;
        scan.value()?;
    }
}

/// A place in the beginning of a file. What needs bytes behind its end gives none.
#[derive(Debug, Clone, Copy)]
struct Scan<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    /// The next byte that is no white space, which stays.
    fn peek(&mut self) -> Option<u8> {
        let rest = self.data.get(self.at..)?;
        self.at += rest.iter().position(|b| !is_whitespace(*b))?;
        self.data.get(self.at).copied()
    }

    /// The bytes of the value that begins here.
    fn value(&mut self) -> Option<&'a [u8]> {
        let rest = self.data.get(self.at..)?;
        let mut column = Column::START;
        match Cut::new(Within::Document).feed(rest, &mut column) {
            Step::Open => None,
            Step::Ended(n) | Step::Broken(n) => {
                self.at += n;
                rest.get(..n)
            }
        }
    }

    /// The next key of an object, commas before it passed over; or what stands where none is.
    fn next_key(&mut self) -> Option<Result<&'a [u8], u8>> {
        loop {
            match self.peek()? {
                b'"' => return self.key().map(Ok),
                b',' => self.at += 1,
                other => return Some(Err(other)),
            }
        }
    }

    /// A key without its quotes, and the colon; what it then stands before is its value.
    fn key(&mut self) -> Option<&'a [u8]> {
        let key = self.value()?;
        if self.peek()? == b':' {
            self.at += 1;
        }
        self.peek()?;
        Some(key.strip_prefix(b"\"").and_then(|key| key.strip_suffix(b"\"")).unwrap_or(key))
    }
}

#[cfg(test)]
mod tests {
    use super::super::input::{InputFile, Progress};
    use super::*;

    #[track_caller]
    fn assert_layout(expected: Layout, texts: &[&str]) {
        for text in texts {
            assert_eq!(layout(text.as_bytes(), true).unwrap_or(Layout::Lines), expected, "{text:?}");
            // Whatever is known earlier is the same. (The first look is far longer than a byte order mark.)
            for n in 3..text.len() {
                let early = layout(&text.as_bytes()[..n], false);
                assert!(early.is_none_or(|layout| layout == expected), "{text:?}, {n} bytes: {early:?}");
            }
        }
    }

    #[test]
    fn lines() {
        assert_layout(
            Layout::Lines,
            &[
                "",
                " \n\n",
                "not json",
                "{\"a\":1}",
                "\u{feff}{\"a\":1}\n{\"a\":2}\n",
                "\n\n{\"a\":{\"Records\":[]}}\n",
                "[{\"a\":1},{\"a\":2}]\n[{\"a\":3}]\n",
                "[{\"a\":1},{\"a\":\n[{\"a\":3}]\n",
                "[{\"a\":1},{\"a\":2",
                "{\"a\":\n{\"a\":2}\n",
                "{\"a\": \"cut off\n{\"a\":2}\n",
                "{\"Records\":7}\n{}",
                "{\"Records\":[]}\n{}",
                "{\"Records\":[{\"kinesis\":{\"SequenceNumber\":\"1\",\"Data\":\"\"}}]}\n",
                "{\"Records\":[1]}\n",
            ],
        );
    }

    #[test]
    fn values_over_several_lines() {
        assert_layout(
            Layout::Values,
            &[
                "{\n  \"a\": 1\n}\n",
                "{\n  \"a\": broken\n\n{\n}",
                " {\"a\": 1,\r\n \"b\": 2}",
                "[\n",
                "[\n  broken\n]",
                "\u{feff}[{\"a\": 1},\n {\"a\": 2}]",
                "[ {\n \"a\": 1} ]",
            ],
        );
        let long = format!("[{{\"a\":1}},{}", " ".repeat(RECORD_BYTES_MAX));
        assert_eq!(layout(long.as_bytes(), false), Some(Layout::Values));
        // The same when it is seen to its end.
        let long = format!("[{{\"a\":1}}{}]", ",{}".repeat(RECORD_BYTES_MAX / 3 + 1));
        assert_eq!(layout(long.as_bytes(), true), Some(Layout::Values));
        assert_eq!(layout(format!("{long}\n").as_bytes(), true), Some(Layout::Values));
    }

    #[test]
    fn documents_in_any_order_of_keys() {
        assert_layout(
            Layout::Documents,
            &[
                r#"{"Records":[{"SequenceNumber":"1","Data":"e30="}]}"#,
                "{\n    \"Records\": [\n        {\n            \"Data\": \"e30=\",\n            \"SequenceNumber\": \"",
                r#"{"ChildShards":[{"a":[]}],"MillisBehindLatest":0,"Records":[{"Data":"","SequenceNumber":"1"}]}"#,
                r#"{"Records":[],"NextShardIterator":"A","MillisBehindLatest":0}"#,
            ],
        );
    }

    #[test]
    fn a_first_value_that_is_too_long_is_told_by_the_lines_that_it_goes_over() {
        let of = |text: &str| {
            let text = text.to_owned() + &" ".repeat(LAST_LOOK_BYTES + 1);
            let (_dir, file) = InputFile::in_temp_folder("a.json", &text);
            Layout::of(&mut FileBytes::open(&file, Progress::default()).unwrap()).unwrap()
        };
        let long = "x".repeat(LAST_LOOK_BYTES);
        for text in [
            format!("{{\n  \"a\": \"{long}\"\n}}\n{{\n}}\n"),
            format!("{{\"a\": 1,\n \"b\": \"{long}\"\n}}\n{{\n}}\n"),
            format!("[{{\"a\": 1,\n \"b\": \"{long}\"\n}}]\n"),
            format!("\u{feff}{{\"a\":\n{}}}\n", "  \"b\": 1,\n".repeat(LAST_LOOK_BYTES / 10)),
        ] {
            assert_eq!(of(&text), Layout::Values, "{}", &text[..40]);
        }
        for text in [
            format!("{{\"a\": \"{long}\"}}\n{{}}\n"),
            format!("{{\"a\":\n{}", "{\"b\": 1}\n".repeat(LAST_LOOK_BYTES / 9)),
        ] {
            assert_eq!(of(&text), Layout::Lines, "{}", &text[..40]);
        }
    }

    /// The longest record that there can be, before what tells.
    #[test]
    fn a_long_record_is_looked_over() {
        let text = format!(r#"{{"Records":[{{"Data":"{}","SequenceNumber":"1""#, "A".repeat(RECORD_BYTES_MAX / 3 * 4));
        assert!(text.len() < LAST_LOOK_BYTES);
        assert_eq!(layout(text.as_bytes(), false), Some(Layout::Documents));
        assert_eq!(layout(&text.as_bytes()[..FIRST_LOOK_BYTES], false), None);
    }
}
