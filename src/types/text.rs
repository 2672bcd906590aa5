//! Text for people: paragraphs in lines, and which known word a mistyped one may have meant.

/// A paragraph in lines of at most `width` characters (longer where a word alone is longer), each with its end of line. What
/// stands between two backticks is one word.
pub fn wrapped(text: &str, width: usize) -> String {
    let mut lines = String::new();
    let mut used = 0;
    let mut quoted = String::new();
    for piece in text.split_whitespace() {
        if !quoted.is_empty() {
            quoted.push(' ');
        }
        quoted.push_str(piece);
        if quoted.matches('`').count() % 2 == 1 {
            continue;
        }
        let word = std::mem::take(&mut quoted);
        let more = word.chars().count();
        if used > 0 && used + 1 + more > width {
            lines.push('\n');
            used = 0;
        } else if used > 0 {
            lines.push(' ');
            used += 1;
        }
        lines.push_str(&word);
        used += more;
    }
    lines.push_str(&quoted);
    lines.push('\n');
    lines
}

/// The word of `known` that is nearest to `typed`, if one is near enough to be meant.
pub fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let closest = known.map(|word| (distance(typed, word), word)).min()?;
    (closest.0 <= edits_allowed(typed)).then_some(closest.1)
}

/// How many edits still count as a slip of the finger.
pub fn edits_allowed(word: &str) -> usize {
    (word.chars().count() / 3).clamp(1, 3)
}

/// Levenshtein distance in characters.
pub fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    // `row[j]` is the distance between the characters of `a` seen so far and the first `j` of `b`.
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut left = i + 1;
        let mut diagonal = i;
        for (slot, cb) in row.iter_mut().skip(1).zip(&b) {
            let replaced = diagonal + usize::from(ca != *cb);
            diagonal = *slot;
            left = replaced.min(left + 1).min(*slot + 1);
            *slot = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
        assert_eq!(distance("lake", "lake"), 0);
        assert_eq!(distance("lkae", "lake"), 2);
    }

    #[test]
    fn the_nearest_word_is_a_slip_away_or_there_is_none() {
        let known = ["concurrent_viewers", "revenue", "platform_totals"];
        assert_eq!(nearest("concurent_viewer", known.into_iter()), Some("concurrent_viewers"));
        assert_eq!(nearest("revenu", known.into_iter()), Some("revenue"));
        assert_eq!(nearest("totals", known.into_iter()), None);
        assert_eq!(nearest("x", std::iter::empty()), None);
    }

    #[test]
    fn paragraphs_keep_to_their_width() {
        assert_eq!(wrapped("one  two\nthree", 7), "one two\nthree\n");
        assert_eq!(wrapped("one two", 6), "one\ntwo\n");
        assert_eq!(wrapped("a longer word", 4), "a\nlonger\nword\n");
        assert_eq!(wrapped("write `a = 1` there", 9), "write\n`a = 1`\nthere\n");
        assert_eq!(wrapped("", 4), "\n");
    }
}
