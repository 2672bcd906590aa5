//! Text of others for a terminal, and words for a shell.

use std::borrow::Cow;
use std::fmt::Write as _;

/// `text` with its control characters written out: what a producer sends must not steer a terminal. Lines stay lines with `lines`.
pub(super) fn printable(text: &str, lines: bool) -> Cow<'_, str> {
    let steers = |c: char| c.is_control() && !(lines && matches!(c, '\n' | '\t'));
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match steers(c) {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Bytes as lines of 16: offset, hexadecimal, and what of them is ASCII.
pub(super) fn hex_dump(bytes: &[u8]) -> String {
    let mut out = String::new();
    for (line, bytes) in bytes.chunks(16).enumerate() {
        let mut hex = String::new();
        for byte in bytes {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x} ");
        }
        let ascii: String =
            bytes.iter().map(|b| if b.is_ascii_graphic() || *b == b' ' { *b as char } else { '.' }).collect();
        let _ = writeln!(out, "{:08x}  {hex:<48} {ascii}", line * 16);
    }
    out
}

/// `text` as one word of a shell.
pub(super) fn shell_word(text: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_alphanumeric() || "-_./:=,@%+".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => Cow::Borrowed(text),
        false => Cow::Owned(format!("'{}'", text.replace('\'', "'\\''"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_a_terminal() {
        assert_eq!(printable("é \u{1b}[2J\r\n\tx", true), "é \\u{1b}[2J\\r\n\tx");
        assert_eq!(printable("a\nb", false), "a\\nb");
        assert!(matches!(printable("plain", false), Cow::Borrowed(_)));
    }

    #[test]
    fn bytes_are_dumped_in_lines() {
        let dump = hex_dump(b"\x1f\x8b gz and more than a line");
        let lines: Vec<&str> = dump.lines().collect();
        assert_eq!(lines[0], "00000000  1f 8b 20 67 7a 20 61 6e 64 20 6d 6f 72 65 20 74  .. gz and more t");
        assert_eq!(lines[1], "00000010  68 61 6e 20 61 20 6c 69 6e 65                    han a line");
        assert_eq!(hex_dump(b""), "");
    }

    #[test]
    fn words_are_quoted_where_a_shell_would_split_them() {
        assert_eq!(shell_word("s3://bucket/a-b_c.d"), "s3://bucket/a-b_c.d");
        assert_eq!(shell_word("it's a lake"), "'it'\\''s a lake'");
        assert_eq!(shell_word("*"), "'*'");
        assert_eq!(shell_word(""), "''");
    }
}
