//! Cuts a JSON array into its elements without understanding them.

use std::ops::Range;

use memchr::memchr2;

use super::forms::{Piece, skip_whitespace, trim};

/// The elements of an array, as ranges of its bytes. An element that is not JSON does not harm the others as long as its
/// strings and brackets are closed. Where the array itself breaks, the rest of the bytes is the last piece.
///
/// ```text
///  [ {"a":1} , {"a":} , {"a":"]"} , {"a":[}        the fourth never closes its bracket
///    ───┬───   ──┬───   ────┬────   ──┬────
///     event    event      event     broken
/// ```
#[derive(Debug)]
pub(super) struct Elements<'a> {
    data: &'a [u8],
    state: State,
    /// Brackets that are open at the scanner's position.
    open: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// An element must follow, or the end of an array that is empty. `mark` is the bracket or comma before.
    Element {
        mark: usize,
        first: bool,
    },
    /// The array was closed before this position.
    Closed(usize),
    /// The bytes ended after a whole element.
    CutOff,
    Done,
}

/// How an element ends.
enum End {
    Comma(usize),
    Bracket(usize),
    /// The bytes end with a whole object.
    Bytes,
    Broken(&'static str),
}

const CUT_OFF: &str = "the array is cut off: it has no closing bracket";

impl<'a> Elements<'a> {
    /// `data[start]` is the opening bracket, or, of the rest of an array, a comma.
    pub(super) fn new(data: &'a [u8], start: usize) -> Self {
        Self { data, state: State::Element { mark: start, first: true }, open: Vec::new() }
    }

    fn broken(&mut self, from: usize, message: &'static str) -> Option<Piece> {
        self.state = State::Done;
        Some(Piece::Broken { rest: from..self.data.len(), message })
    }

    fn element(&mut self, mark: usize, first: bool) -> Option<Piece> {
        let start = skip_whitespace(self.data, mark + 1);
        match self.data.get(start) {
            None => return self.broken(mark, CUT_OFF),
            Some(b']') if first => return self.closed(start + 1),
            Some(b']' | b',') => return self.broken(mark, "the array has a comma without an element"),
            Some(_) => {}
        }
        let end = match self.find_end(start) {
            End::Broken(message) => return self.broken(start, message),
            End::Comma(at) => {
                self.state = State::Element { mark: at, first: false };
                at
            }
            End::Bracket(at) => {
                self.state = State::Closed(at + 1);
                at
            }
            End::Bytes => {
                self.state = State::CutOff;
                self.data.len()
            }
        };
        Some(Piece::Event(trim(self.data, start..end)))
    }

    fn closed(&mut self, from: usize) -> Option<Piece> {
        self.state = State::Done;
        let rest: Range<usize> = trim(self.data, from..self.data.len());
        if rest.is_empty() { None } else { self.broken(rest.start, "something follows the array") }
    }

    fn find_end(&mut self, start: usize) -> End {
        self.open.clear();
        let mut in_string = false;
        let mut next = start;
        while let Some(&byte) = self.data.get(next) {
            let at = next;
            next += 1;
            match byte {
                b'"' => match end_of_string(self.data, next) {
                    Some(end) => next = end,
                    None => {
                        in_string = true;
                        break;
                    }
                },
                b'{' | b'[' => self.open.push(byte),
                b',' if self.open.is_empty() => return End::Comma(at),
                b']' if self.open.is_empty() => return End::Bracket(at),
                // In ASCII a closing bracket comes two after its opening one.
                b'}' | b']' if self.open.pop() != Some(byte - 2) => {
                    return End::Broken("the array breaks here: a bracket does not match");
                }
                _ => {}
            }
        }
        let whole =
            !in_string && self.open.is_empty() && self.data[trim(self.data, start..self.data.len())].ends_with(b"}");
        if whole { End::Bytes } else { End::Broken(CUT_OFF) }
    }
}

/// Behind the quote that closes the string in which `at` is.
fn end_of_string(data: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let special = at + memchr2(b'"', b'\\', data.get(at..)?)?;
        if data.get(special) == Some(&b'"') {
            return Some(special + 1);
        }
        at = special + 2;
    }
}

impl Iterator for Elements<'_> {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        match self.state {
            State::Element { mark, first } => self.element(mark, first),
            State::Closed(from) => self.closed(from),
            State::CutOff => self.broken(self.data.len(), CUT_OFF),
            State::Done => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Events as their text, the broken rest after a `!`.
    fn cut(text: &str) -> Vec<String> {
        Elements::new(text.as_bytes(), 0)
            .map(|piece| match piece {
                Piece::Event(range) => text[range].to_owned(),
                Piece::Broken { rest, .. } => format!("!{}", &text[rest]),
            })
            .collect()
    }

    #[test]
    fn cuts_at_commas_outside_strings_and_brackets() {
        assert_eq!(cut("[]"), Vec::<String>::new());
        assert_eq!(cut("[ \n ] \n"), Vec::<String>::new());
        assert_eq!(cut(r#"[{"a":1}]"#), [r#"{"a":1}"#]);
        assert_eq!(cut("[ {\"a\":[1,2]} ,\n 3 ]\n"), [r#"{"a":[1,2]}"#, "3"]);
        assert_eq!(cut(r#"[{"a":"],\"}["},{"b":"\\"}]"#), [r#"{"a":"],\"}["}"#, r#"{"b":"\\"}"#]);
    }

    #[test]
    fn a_bad_element_with_closed_brackets_harms_no_other() {
        assert_eq!(cut(r#"[{"a":},{1} {2},{"b":2}]"#), [r#"{"a":}"#, "{1} {2}", r#"{"b":2}"#]);
    }

    #[test]
    fn from_a_break_on_the_rest_is_one_piece() {
        assert_eq!(cut(r#"[{"a":1},{"a":[},{"b":2}]"#), [r#"{"a":1}"#, r#"!{"a":[},{"b":2}]"#]);
        assert_eq!(cut(r#"[{"a":1},{"a"#), [r#"{"a":1}"#, r#"!{"a"#]);
        assert_eq!(cut(r#"[{"a":1},,{"b":2}]"#), [r#"{"a":1}"#, r#"!,,{"b":2}]"#]);
        assert_eq!(cut(r#"[{"a":1},]"#), [r#"{"a":1}"#, "!,]"]);
        assert_eq!(cut(r#"[{"a":1}] {"b":2}"#), [r#"{"a":1}"#, r#"!{"b":2}"#]);
        assert_eq!(cut(r#"[{"a":1},"#), [r#"{"a":1}"#, "!,"]);
        assert_eq!(cut("["), ["!["]);
        assert_eq!(cut("[12"), ["!12"]);
        assert_eq!(cut("[,1]"), ["![,1]"]);
        assert_eq!(cut("[1}]"), ["!1}]"]);
        assert_eq!(cut(r#"["a\"#), [r#"!"a\"#]);
    }

    #[test]
    fn a_whole_object_before_a_missing_bracket_is_kept_and_the_break_told() {
        assert_eq!(cut(r#"[{"a":1},{"b":2} "#), [r#"{"a":1}"#, r#"{"b":2}"#, "!"]);
    }
}
