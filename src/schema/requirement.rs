//! Fields that only some event types must have.

/// Event types that start with one of `prefixes` must have all of `fields`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// What the event type starts with: `view.`, `stream.`.
    pub prefixes: Vec<String>,
    /// Names of the fields that must be there then.
    pub fields: Vec<String>,
    /// The same fields as indexes into the contract's fields.
    pub(super) indexes: Vec<usize>,
}

impl Requirement {
    /// Whether it concerns events of this type.
    pub fn applies_to(&self, event_type: &str) -> bool {
        self.prefixes.iter().any(|prefix| event_type.starts_with(prefix.as_str()))
    }
}

/// Reads a pattern as a list of prefixes: `^view\.` is `view.`, `^(stream|view)\.` is `stream.` and `view.`.
/// None if it says anything that a list of prefixes cannot.
pub(super) fn parse_prefixes(pattern: &str) -> Option<Vec<String>> {
    let rest = pattern.strip_prefix('^')?;
    let prefixes: Vec<String> = match rest.strip_prefix('(') {
        None => vec![literal(rest)?],
        Some(group) => {
            let (choices, tail) = group.split_once(')')?;
            let tail = literal(tail)?;
            choices.split('|').map(|choice| Some(non_empty(literal(choice)?)? + &tail)).collect::<Option<_>>()?
        }
    };
    prefixes.iter().all(|prefix| !prefix.is_empty()).then_some(prefixes)
}

fn non_empty(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// Letters, digits, `_`, `-` and escaped dots stand for themselves; nothing else is a literal.
fn literal(pattern: &str) -> Option<String> {
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' if chars.next() == Some('.') => out.push('.'),
            c if c.is_ascii_alphanumeric() || c == '_' || c == '-' => out.push(c),
            _ => return None,
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_list_of_prefixes() {
        assert_eq!(parse_prefixes(r"^view\.").unwrap(), ["view."]);
        assert_eq!(parse_prefixes(r"^(stream|view)\.").unwrap(), ["stream.", "view."]);
        assert_eq!(parse_prefixes(r"^(a\.b|c-d)").unwrap(), ["a.b", "c-d"]);
        assert_eq!(parse_prefixes(r"^user_").unwrap(), ["user_"]);
    }

    #[test]
    fn what_a_list_of_prefixes_cannot_say_is_no_pattern() {
        for pattern in [
            "",
            "^",
            "view",
            r"^view\.$",
            "^view.",
            r"^(a|)\.",
            r"^()",
            r"^(a|b",
            r"^a|b",
            r"^(a|(b))",
            r"^a\d",
            "^a*",
            r"^a\",
        ] {
            assert_eq!(parse_prefixes(pattern), None, "{pattern}");
        }
    }
}
