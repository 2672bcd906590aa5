//! A Rust source file as the rules see it: without comments and strings, split into production and test code, with its functions.
//!
//! This is a scanner, not a parser: it knows comments, strings, brackets and a few keywords, which is all that the rules need.

use std::ops::Range;

/// A scanned file.
pub(super) struct Source {
    /// Path below the crate, with `/`: `src/sink/lake/mod.rs`.
    pub(super) path: String,
    pub(super) text: String,
    /// The text with comments and the contents of literals blanked; newlines and offsets are kept.
    pub(super) code: String,
    /// `code` with items under `#[cfg(test)]` blanked too; all blank if the whole file is a test.
    pub(super) production: String,
    /// Lines outside of items under `#[cfg(test)]`.
    pub(super) production_lines: usize,
}

/// A function with a body, in `production`.
pub(super) struct Function {
    pub(super) name: String,
    /// From `fn` to the closing brace.
    pub(super) extent: Range<usize>,
}

impl Source {
    pub(super) fn new(path: &str, text: &str) -> Self {
        let code = blank_literals(text);
        let mut production = code.clone();
        let mut test_lines = 0;
        for item in items_after(&code, "#[cfg(test)]") {
            test_lines += code[item.clone()].lines().count();
            blank(&mut production, item);
        }
        if is_test_file(path) {
            let all = 0..production.len();
            blank(&mut production, all);
            test_lines = text.lines().count();
        }
        let production_lines = text.lines().count().saturating_sub(test_lines);
        Self { path: path.to_owned(), text: text.to_owned(), code, production, production_lines }
    }

    /// The modules that lead to this file: `[sink, lake, spec]` of `src/sink/lake/spec.rs`.
    pub(super) fn modules(&self) -> Vec<&str> {
        let path = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let path = path.strip_suffix(".rs").unwrap_or(path);
        path.split('/').filter(|m| !matches!(*m, "mod" | "lib" | "main")).collect()
    }

    pub(super) fn line_of(&self, offset: usize) -> usize {
        self.text[..offset].matches('\n').count() + 1
    }

    pub(super) fn functions(&self) -> Vec<Function> {
        let mut found = Vec::new();
        for at in words(&self.production, "fn") {
            let rest = &self.production[at + 2..];
            let name: String = rest.trim_start().chars().take_while(|c| is_ident(*c)).collect();
            // A function pointer type has no name.
            if name.is_empty() {
                continue;
            }
            if let Some(body) = body(&self.production, at) {
                found.push(Function { name, extent: at..body.end });
            }
        }
        found
    }

    /// Extents of the bodies of traits, in `production`.
    pub(super) fn traits(&self) -> Vec<Range<usize>> {
        words(&self.production, "trait").into_iter().filter_map(|at| body(&self.production, at)).collect()
    }
}

/// Test code in files of its own: `tests.rs`, `…_tests.rs`, anything below a `tests` folder.
fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.ends_with("_tests.rs") || path.split('/').any(|p| p == "tests")
}

pub(super) fn is_ident(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Offsets at which `word` stands as a word of its own. It may be a path such as `Utc::now`.
pub(super) fn words(code: &str, word: &str) -> Vec<usize> {
    let alone = |at: usize| {
        !code[..at].chars().next_back().is_some_and(is_ident)
            && !code[at + word.len()..].chars().next().is_some_and(is_ident)
    };
    code.match_indices(word).map(|(at, _)| at).filter(|at| alone(*at)).collect()
}

fn blank(code: &mut String, range: Range<usize>) {
    let blanked: String = code[range.clone()].bytes().map(|b| if b == b'\n' { '\n' } else { ' ' }).collect();
    code.replace_range(range, &blanked);
}

/// The braces that follow `from`, before any `;` outside of brackets.
fn body(code: &str, from: usize) -> Option<Range<usize>> {
    let (mut depth, mut start) = (0, None);
    for (i, c) in code[from..].char_indices() {
        let at = from + i;
        match c {
            '{' if depth == 0 && start.is_none() => {
                start = Some(at);
                depth = 1;
            }
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => {
                depth -= 1;
                match start {
                    Some(start) if depth == 0 => return Some(start..at + 1),
                    None if depth < 0 => return None,
                    _ => {}
                }
            }
            ';' if depth == 0 && start.is_none() => return None,
            _ => {}
        }
    }
    None
}

/// Extents of the items that follow an attribute, the attribute included.
fn items_after(code: &str, attribute: &str) -> Vec<Range<usize>> {
    let mut items: Vec<Range<usize>> = Vec::new();
    for (at, _) in code.match_indices(attribute) {
        if items.last().is_some_and(|last| last.contains(&at)) {
            continue;
        }
        let end = match body(code, at + attribute.len()) {
            Some(body) => body.end,
            None => code[at..].find(';').map_or(code.len(), |i| at + i + 1),
        };
        items.push(at..end);
    }
    items
}

/// Blanks comments, and what is between the quotes of strings and characters.
fn blank_literals(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut wipe = |range: Range<usize>| out[range].iter_mut().filter(|b| **b != b'\n').for_each(|b| *b = b' ');
    let mut i = 0;
    while i < bytes.len() {
        let end = match bytes[i] {
            b'/' if bytes[i..].starts_with(b"//") => {
                let end = text[i..].find('\n').map_or(bytes.len(), |n| i + n);
                wipe(i..end);
                end
            }
            b'/' if bytes[i..].starts_with(b"/*") => {
                let end = block_comment_end(bytes, i);
                wipe(i..end);
                end
            }
            b'"' => {
                let end = string_end(bytes, i, raw_hashes(bytes, i));
                wipe(i + 1..end.saturating_sub(1).max(i + 1));
                end
            }
            b'\'' => match char_end(text, i) {
                Some(end) => {
                    wipe(i + 1..end - 1);
                    end
                }
                None => i + 1,
            },
            _ => i + 1,
        };
        i = end;
    }
    String::from_utf8(out).expect("only whole characters are blanked")
}

fn block_comment_end(bytes: &[u8], start: usize) -> usize {
    let (mut depth, mut i) = (0, start);
    while i < bytes.len() {
        if bytes[i..].starts_with(b"/*") {
            depth += 1;
            i += 2;
        } else if bytes[i..].starts_with(b"*/") {
            depth -= 1;
            i += 2;
            if depth == 0 {
                return i;
            }
        } else {
            i += 1;
        }
    }
    i
}

/// The number of `#` before the quote at `quote` if it opens a raw string.
fn raw_hashes(bytes: &[u8], quote: usize) -> Option<usize> {
    let hashes = bytes[..quote].iter().rev().take_while(|b| **b == b'#').count();
    let r = quote.checked_sub(hashes + 1)?;
    let before = r.checked_sub(1).map(|b| bytes[b] as char);
    let starts_word = before.is_none_or(|c| !is_ident(c)) || before == Some('b') || before == Some('c');
    (bytes[r] == b'r' && starts_word).then_some(hashes)
}

fn string_end(bytes: &[u8], quote: usize, raw: Option<usize>) -> usize {
    let mut i = quote + 1;
    while i < bytes.len() {
        match (bytes[i], raw) {
            (b'\\', None) => i += 2,
            (b'"', None) => return i + 1,
            (b'"', Some(n)) if bytes[i + 1..].iter().take_while(|b| **b == b'#').count() >= n => return i + 1,
            _ => i += 1,
        }
    }
    bytes.len()
}

/// The end of a character literal, or none if the quote begins a lifetime.
fn char_end(text: &str, quote: usize) -> Option<usize> {
    let mut chars = text[quote + 1..].char_indices();
    let (_, first) = chars.next()?;
    if first == '\\' {
        let escape = &text[quote + 2..];
        let skip = escape.chars().next()?.len_utf8();
        return escape[skip..].find('\'').map(|n| quote + 2 + skip + n + 1);
    }
    let (at, second) = chars.next()?;
    (second == '\'').then_some(quote + 1 + at + 1)
}

#[test]
fn literals_and_comments_are_blanked_and_lifetimes_are_not() {
    let text =
        "let a = \"x\\\"{\"; // {\nlet b = '{'; let c: &'a str = r#\"\"{\"#; /* { /* { */ */ '\\'' '\\u{7b}' é \"é{\"";
    let code = blank_literals(text);
    assert_eq!(code.len(), text.len());
    assert!(!code.contains('{'), "{code}");
    assert!(code.contains("&'a str") && code.contains("let c") && code.contains("é \""), "{code}");
}

#[test]
fn functions_end_with_their_braces_and_tests_are_no_production_code() {
    let text = "fn a(x: [u8; 2]) -> u8 { if x { 1 } else { 2 } }\nfn b();\n#[cfg(test)]\nmod tests {\n    fn c() {}\n}\nfn d() {}\n";
    let source = Source::new("src/x.rs", text);
    let names: Vec<_> = source.functions().into_iter().map(|f| (f.name, text[f.extent].matches('}').count())).collect();
    assert_eq!(names, [("a".to_owned(), 3), ("d".to_owned(), 1)]);
    assert_eq!(source.production_lines, 3);
    assert_eq!(
        Source::new("src/x.rs", "a();\n#[cfg(test)]\n#[path = \"y.rs\"]\nmod tests;\nb();\n").production_lines,
        2
    );
    assert_eq!(Source::new("src/x_tests.rs", text).production_lines, 0);
}
