//! Which bytes of a payload are an event.
//!
//! Told apart by content, never by configuration:
//!
//! | a payload that | is |
//! |---|---|
//! | is empty, or white space | nothing |
//! | begins with `[` | an array, one event an element |
//! | has a whole object as its first line | newline-delimited, one event a line |
//! | is JSON as a whole, however many lines it has | one event |
//! | is none of these, and has no line that is an object, and its first line is `{` | one event, printed over several lines, that is broken |
//! | is none of these | newline-delimited |
//!
//! All of it is linear in the payload's length.

use std::ops::Range;

use memchr::memchr;
use serde::de::IgnoredAny;

use super::elements::Elements;

/// A part of a payload.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// The bytes of one event.
    Event(Range<usize>),
    /// Bytes from which no event can be cut.
    Broken { rest: Range<usize>, message: &'static str },
}

/// The pieces of a payload, in its order.
#[derive(Debug)]
pub(super) enum Pieces<'a> {
    /// At most one event, which has all the bytes.
    One(Option<Range<usize>>),
    /// Newline-delimited: the payload, and where its next line starts.
    Lines(&'a [u8], usize),
    /// An array.
    Elements(Elements<'a>),
}

/// Cuts a payload into its events. Only a payload of a single event keeps the white space around it.
pub(super) fn split(data: &[u8]) -> Pieces<'_> {
    let text = trim(data, 0..data.len());
    let one = Pieces::One(Some(0..data.len()));
    if text.is_empty() {
        return Pieces::One(None);
    }
    if data.get(text.start) == Some(&b'[') {
        return Pieces::Elements(Elements::new(data, text.start));
    }
    let text_bytes = &data[text.clone()];
    if memchr(b'\n', text_bytes).is_none() {
        return one;
    }
    let first_line = lines(text_bytes).next().unwrap_or_default();
    if is_object(first_line) {
        return Pieces::Lines(data, text.start);
    }
    let printed_but_broken = || first_line == b"{" && !lines(text_bytes).any(is_object);
    if is_json(text_bytes) || printed_but_broken() { one } else { Pieces::Lines(data, text.start) }
}

/// The same of a dead letter, which may be the rest of an array: from a comma on.
pub(super) fn split_letter(data: &[u8]) -> Pieces<'_> {
    let start = skip_whitespace(data, 0);
    if data.get(start) == Some(&b',') { Pieces::Elements(Elements::new(data, start)) } else { split(data) }
}

/// Where the rest of a payload begins from which all events are refused that begin at `start` or behind: with the comma before it, if it is an
/// array's, by which [`split_letter`] tells it.
pub(super) fn rest_from(data: &[u8], start: usize) -> usize {
    let is_array = matches!(data.get(skip_whitespace(data, 0)), Some(b'[' | b','));
    let comma = data.get(..start).unwrap_or_default().iter().rposition(|&byte| !is_whitespace(byte));
    comma.filter(|&at| is_array && data.get(at) == Some(&b',')).unwrap_or(start)
}

/// Whether the object that ends at `end` is a whole line, the first that is not blank.
pub(super) fn is_line(data: &[u8], end: usize) -> bool {
    let (before, behind) = data.split_at(end.min(data.len()));
    let ends = behind.get(..line_len(behind)).is_some_and(|rest| rest.iter().all(|&b| is_whitespace(b)));
    ends && memchr(b'\n', &before[trim(before, 0..before.len())]).is_none()
}

impl Iterator for Pieces<'_> {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        match self {
            Pieces::One(range) => range.take().map(Piece::Event),
            Pieces::Lines(data, next) => loop {
                let rest = data.get(*next..).filter(|rest| !rest.is_empty())?;
                let len = line_len(rest);
                let line = trim(data, *next..*next + len);
                *next += len + 1;
                if !line.is_empty() {
                    return Some(Piece::Event(line));
                }
            },
            Pieces::Elements(elements) => elements.next(),
        }
    }
}

fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&b| b == b'\n').map(|line| &line[trim(line, 0..line.len())])
}

fn line_len(text: &[u8]) -> usize {
    memchr(b'\n', text).unwrap_or(text.len())
}

fn is_object(line: &[u8]) -> bool {
    line.first() == Some(&b'{') && is_json(line)
}

fn is_json(text: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(text).is_ok()
}

/// JSON's white space, which is less than ASCII's.
fn is_whitespace(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

/// The first position from `at` on that is no white space, or the length of the data.
pub(super) fn skip_whitespace(data: &[u8], at: usize) -> usize {
    data.iter().skip(at).position(|&b| !is_whitespace(b)).map_or(data.len(), |n| at + n)
}

/// The range without white space at its ends.
pub(super) fn trim(data: &[u8], range: Range<usize>) -> Range<usize> {
    let text = &data[range.clone()];
    let end = text.iter().rposition(|&b| !is_whitespace(b)).map_or(range.start, |n| range.start + n + 1);
    let start = text.iter().position(|&b| !is_whitespace(b)).map_or(range.start, |n| range.start + n);
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<&str> {
        split(text.as_bytes())
            .map(|piece| match piece {
                Piece::Event(range) => &text[range],
                Piece::Broken { rest, .. } => &text[rest],
            })
            .collect()
    }

    #[test]
    fn nothing_but_white_space_is_no_event() {
        for text in ["", " ", "\n", "\r\n\r\n", "\t \n"] {
            assert_eq!(cut(text), Vec::<&str>::new(), "{text:?}");
        }
    }

    #[test]
    fn one_event_has_all_the_bytes() {
        for text in ["{}", " {} \n", "not json", "{\n \"a\": 1\n}\n", "{\n \"a\":\n {}\n}", "{\"a\":\n{\"b\":1}}", "7"]
        {
            assert_eq!(cut(text), [text]);
        }
    }

    #[test]
    fn lines_are_events_and_blank_lines_are_not() {
        assert_eq!(cut("{}\n{}"), ["{}", "{}"]);
        assert_eq!(cut("\n{}\r\n\r\n \n{\"a\":1} \n"), ["{}", "{\"a\":1}"]);
    }

    #[test]
    fn a_bad_line_costs_no_other() {
        assert_eq!(cut("{}\n{\"a\":\n{}\n"), ["{}", "{\"a\":", "{}"]);
        assert_eq!(cut("{\"a\":\n{\"b\":1}\n{}\n"), ["{\"a\":", "{\"b\":1}", "{}"]);
        assert_eq!(cut("junk\n{}"), ["junk", "{}"]);
        assert_eq!(cut("{\n{}\n"), ["{", "{}"]);
        assert_eq!(cut("a\nb"), ["a", "b"]);
        assert_eq!(cut("1\n[2]\n"), ["1", "[2]"]);
    }

    #[test]
    fn a_broken_object_over_several_lines_is_one_event() {
        let text = "{\n  \"a\": 1,\n  \"b\": \n}\n";
        assert_eq!(cut(text), [text]);
    }

    #[test]
    fn the_rest_of_an_array_is_told_by_its_comma() {
        let array = b" [{} , {\"a\":1},{}]";
        assert_eq!([1, 2, 7, 15].map(|start| rest_from(array, start)), [1, 2, 5, 14]);
        assert_eq!(rest_from(b"{},\n{}", 4), 4);
        for (text, events) in
            [(", {\"a\":1},{}]", &["{\"a\":1}", "{}"][..]), (",{}", &["{}"]), ("{}\n{}", &["{}", "{}"])]
        {
            let pieces = split_letter(text.as_bytes());
            let found = pieces.filter_map(|piece| match piece {
                Piece::Event(range) => Some(&text[range]),
                Piece::Broken { .. } => None,
            });
            assert_eq!(found.collect::<Vec<_>>(), events, "{text}");
        }
    }

    #[test]
    fn an_array_is_told_by_its_bracket() {
        assert_eq!(cut(" [{},\n{}]"), ["{}", "{}"]);
        assert_eq!(cut("[]"), Vec::<&str>::new());
    }
}
