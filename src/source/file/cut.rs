//! Where a value of JSON ends, found without understanding it and without holding it.

use memchr::memchr3;

/// JSON's white space.
pub(super) fn is_whitespace(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

/// How far from the beginning of its line a byte is, as long as only white space is before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Column(Option<usize>);

impl Column {
    /// The beginning of a line.
    pub(super) const START: Self = Self(Some(0));

    /// Behind one more byte.
    pub(super) fn pass(&mut self, byte: u8) {
        self.0 = match (byte, self.0) {
            (b'\n', _) => Some(0),
            (byte, Some(n)) if is_whitespace(byte) => Some(n + 1),
            _ => None,
        };
    }
}

/// Where the value stands.
#[derive(Debug, Clone, Copy)]
pub(super) enum Within {
    /// In a document whose form is known: a string that goes over its line is a break.
    Document,
    /// In a file of values, of which any may be broken. A string ends with its line at the latest, and a `{` that begins a line just as
    /// far in as the value itself began is the next value.
    Values {
        /// Whether they are elements of an array.
        array: bool,
        /// Where the value begins.
        column: Column,
    },
}

/// What some more bytes came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// All of them are the value's, and it goes on.
    Open,
    /// So many of them are the value's, and it is whole.
    Ended(usize),
    /// The value breaks at this byte.
    Broken(usize),
}

/// Follows a value to its end, through any number of pieces of its bytes. Brackets are counted and not compared: whether a value with
/// as many closing as opening ones is JSON is for others to say.
#[derive(Debug)]
pub(super) struct Cut {
    within: Within,
    depth: u64,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Begin,
    Between,
    Text,
    Escape,
    /// A number, a word, or what is no JSON at all.
    Scalar,
}

impl Cut {
    /// For a value that begins with the next byte, which is no white space.
    pub(super) fn new(within: Within) -> Self {
        Self { within, depth: 0, state: State::Begin }
    }

    /// Takes more bytes. `column` is that of the first, and is brought to that of the first which is not the value's.
    pub(super) fn feed(&mut self, bytes: &[u8], column: &mut Column) -> Step {
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            match self.state {
                State::Text => {
                    // Most bytes of most files are in strings.
                    let rest = bytes.get(at..).unwrap_or_default();
                    *column = Column(None);
                    match memchr3(b'"', b'\\', b'\n', rest) {
                        None => return Step::Open,
                        Some(n) => at += n,
                    }
                    match bytes.get(at) {
                        Some(b'\\') => self.state = State::Escape,
                        Some(b'"') if self.depth == 0 => return Step::Ended(at + 1),
                        Some(b'"') => self.state = State::Between,
                        _ if matches!(self.within, Within::Document) => return Step::Broken(at),
                        _ if self.depth == 0 => return Step::Ended(at),
                        _ => {
                            self.state = State::Between;
                            column.pass(b'\n');
                        }
                    }
                    at += 1;
                    continue;
                }
                State::Escape if byte == b'\n' => {
                    // It is the line's end all the same.
                    self.state = State::Text;
                    continue;
                }
                State::Escape => self.state = State::Text,
                State::Scalar if self.ends_scalar(byte) => return Step::Ended(at),
                State::Scalar => {}
                State::Begin | State::Between => match byte {
                    b'"' => self.state = State::Text,
                    b'{' if self.begins_another(*column) => return Step::Ended(at),
                    b'{' | b'[' => {
                        self.depth += 1;
                        self.state = State::Between;
                    }
                    b'}' | b']' if self.depth == 1 => {
                        *column = Column(None);
                        return Step::Ended(at + 1);
                    }
                    b'}' | b']' if self.depth > 1 => self.depth -= 1,
                    _ if self.depth == 0 => self.state = State::Scalar,
                    _ => {}
                },
            }
            column.pass(byte);
            at += 1;
        }
        Step::Open
    }

    fn begins_another(&self, at: Column) -> bool {
        matches!(self.within, Within::Values { column, .. } if self.depth > 0 && at.0.is_some() && column == at)
    }

    fn ends_scalar(&self, byte: u8) -> bool {
        match self.within {
            Within::Document => is_whitespace(byte) || matches!(byte, b',' | b']' | b'}'),
            Within::Values { array, .. } => byte == b'\n' || (array && matches!(byte, b',' | b']')),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first value of a text, whole or until it breaks, given in pieces of every size.
    #[track_caller]
    fn first(text: &str, within: Within) -> (String, Step) {
        let mut found = Vec::new();
        for size in 1..=text.len() {
            let (mut cut, mut column, mut taken) = (Cut::new(within), Column::START, 0);
            let mut outcome = Step::Open;
            for piece in text.as_bytes().chunks(size) {
                match cut.feed(piece, &mut column) {
                    Step::Open => taken += piece.len(),
                    Step::Ended(n) => {
                        outcome = Step::Ended(taken + n);
                        break;
                    }
                    Step::Broken(n) => {
                        outcome = Step::Broken(taken + n);
                        break;
                    }
                }
            }
            let end = match outcome {
                Step::Open => text.len(),
                Step::Ended(n) | Step::Broken(n) => n,
            };
            found.push((text[..end].to_owned(), outcome));
        }
        found.dedup();
        assert_eq!(found.len(), 1, "{text:?}: {found:?}");
        found.remove(0)
    }

    fn values(array: bool) -> Within {
        Within::Values { array, column: Column::START }
    }

    #[test]
    fn a_value_ends_where_its_brackets_do() {
        for within in [Within::Document, values(false), values(true)] {
            for (text, value) in [
                ("{} x", "{}"),
                (r#"{"a":[1,{"b":"}]\""}]},"#, r#"{"a":[1,{"b":"}]\""}]}"#),
                (r#"["a",]"#, r#"["a",]"#),
                (r#""te\\xt" "#, r#""te\\xt""#),
                ("{]}", "{]"),
                ("12,", "12"),
            ] {
                if matches!(within, Within::Values { array: false, .. }) && text.starts_with('1') {
                    continue;
                }
                assert_eq!(first(text, within), (value.to_owned(), Step::Ended(value.len())), "{text:?} {within:?}");
            }
            assert_eq!(first(r#"{"a":"#, within).1, Step::Open);
        }
    }

    #[test]
    fn what_is_no_value_goes_to_the_end_of_its_line_or_element() {
        assert_eq!(first("no, {json}\n{}", values(false)).0, "no, {json}");
        assert_eq!(first("no {json}, {}]", values(true)).0, "no {json}");
        assert_eq!(first("} {\n{}", values(false)).0, "} {");
        assert_eq!(first("nul}", Within::Document).0, "nul");
    }

    #[test]
    fn a_string_over_lines_breaks_a_document_and_ends_with_its_line_elsewhere() {
        let text = "{\"a\": \"b\n}, {}";
        assert_eq!(first(text, Within::Document), ("{\"a\": \"b".to_owned(), Step::Broken(8)));
        assert_eq!(first(text, values(false)).0, "{\"a\": \"b\n}");
        assert_eq!(first("{\"a\": \"b\\\n}, {}", values(false)).0, "{\"a\": \"b\\\n}");
        assert_eq!(first("\"a\n{}", values(false)).0, "\"a");
    }

    #[test]
    fn a_line_that_begins_as_the_value_did_begins_the_next() {
        let broken = "{\n  \"a\": {\n    \"b\": 1\n";
        assert_eq!(first(&format!("{broken}{{\n}}\n"), values(false)).0, broken);
        let nested = "{\n  \"a\":\n  {\n  }\n}";
        assert_eq!(first(nested, values(false)).0, nested);
        let deeper = Within::Values { array: true, column: Column(Some(2)) };
        let mut column = Column(Some(2));
        assert_eq!(Cut::new(deeper).feed(b"{ \"a\": [1,\n  {}", &mut column), Step::Ended(13));
        assert_eq!(column, Column(Some(2)));
    }
}
