//! A file and the environment laid over each other, key by key, remembering where each value was typed.

use std::collections::BTreeMap;
use std::fmt;

use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use super::problems::Problems;
use super::raw::LOOKUP;
use super::suggest;
use crate::error::Error;

/// Environment variables that start so are configuration.
pub(super) const ENVIRONMENT_PREFIX: &str = "HEADCOUNT__";

/// Where a value was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// Nowhere: the default in code.
    Default,
    /// A line of a file, from 1. `built_in` is the file that the program carries.
    File { name: String, line: usize, built_in: bool },
    /// An environment variable, with its text.
    Environment { variable: String, text: String },
}

impl Origin {
    /// Whether somebody decided this, as opposed to the program's own defaults.
    pub(super) fn is_deliberate(&self) -> bool {
        matches!(self, Origin::File { built_in: false, .. } | Origin::Environment { .. })
    }

    /// Orders problems: by line, the environment last.
    pub(super) fn rank(&self) -> usize {
        match self {
            Origin::Default => 0,
            Origin::File { line, .. } => *line,
            Origin::Environment { .. } => usize::MAX,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("defaults"),
            Origin::File { name, line, .. } => write!(f, "{name}:{line}"),
            Origin::Environment { variable, .. } => write!(f, "environment variable {variable}"),
        }
    }
}

/// The sections as typed, with the origin of every section and key.
#[derive(Debug, Default)]
pub(super) struct Layers {
    sections: BTreeMap<String, Table>,
    section_origins: BTreeMap<String, Origin>,
    key_origins: BTreeMap<(String, String), Origin>,
}

impl Layers {
    /// Reads the text of a file. Syntax errors, and keys outside a section, go to `problems`.
    pub(super) fn read_file(name: &str, text: &str, built_in: bool, problems: &mut Problems) -> Self {
        let at = |offset: usize| Origin::File { name: name.to_owned(), line: line_of(text, offset), built_in };
        let (spans, syntax) = DeTable::parse_recoverable(text);
        for error in &syntax {
            let origin = at(error.span().map_or(0, |span| span.start));
            problems.push(&origin, Error::user(format!("not valid TOML: {}", error.message().replace('\n', ", "))));
        }
        let mut layers = Self::default();
        // A file that cannot be parsed has no keys to speak of: judging the rest would only add noise.
        let Ok(values) = text.parse::<Table>() else {
            if syntax.is_empty() {
                problems.push(&at(0), Error::user("not valid TOML"));
            }
            return layers;
        };
        for (section, body) in spans.get_ref() {
            let origin = at(section.span().start);
            let name = section.get_ref().as_ref();
            match (values.get(name), body.get_ref().as_table()) {
                // A section of each lookup table: what stands below it are theirs.
                (Some(Value::Table(tables)), Some(spans)) if name == LOOKUP => {
                    for (table, body) in spans {
                        let own = format!("{LOOKUP}.{}", table.get_ref());
                        layers.add_section(
                            &own,
                            tables.get(table.get_ref().as_ref()),
                            body.get_ref(),
                            at(table.span().start),
                            &at,
                            problems,
                        );
                    }
                }
                (value, _) => layers.add_section(name, value, body.get_ref(), origin, &at, problems),
            }
        }
        layers
    }

    fn add_section(
        &mut self,
        name: &str,
        value: Option<&Value>,
        body: &DeValue<'_>,
        origin: Origin,
        at: &dyn Fn(usize) -> Origin,
        problems: &mut Problems,
    ) {
        self.section_origins.insert(name.to_owned(), origin.clone());
        match value {
            Some(Value::Table(table)) => {
                self.sections.insert(name.to_owned(), table.clone());
            }
            value => problems.push(&origin, suggest::not_a_section(name, value)),
        }
        for key in body.as_table().into_iter().flat_map(|table| table.keys()) {
            let place = (name.to_owned(), key.get_ref().as_ref().to_owned());
            self.key_origins.insert(place, at(key.span().start));
        }
    }

    /// Lays the environment over it. Variables that are not ours are passed over; an empty one counts as unset.
    pub(super) fn override_with(&mut self, env: impl Iterator<Item = (String, String)>, problems: &mut Problems) {
        let mut ours: Vec<(String, String)> =
            env.filter(|(name, text)| name.starts_with(ENVIRONMENT_PREFIX) && !text.is_empty()).collect();
        ours.sort();
        for (variable, text) in ours {
            let path = variable.strip_prefix(ENVIRONMENT_PREFIX).unwrap_or_default().to_ascii_lowercase();
            let value = scalar(&text);
            let origin = Origin::Environment { variable, text };
            // The last two underscores: what is before the key of a lookup table is two names.
            let Some((section, key)) = path.rsplit_once("__") else {
                let error = Error::user("names no key")
                    .hint("write HEADCOUNT__SECTION__KEY, two underscores between, as in HEADCOUNT__LAKE__URL");
                problems.push(&origin, error);
                continue;
            };
            let section = &section.replace("__", ".");
            self.sections.entry(section.to_owned()).or_default().insert(key.to_owned(), value);
            self.section_origins.entry(section.to_owned()).or_insert_with(|| origin.clone());
            self.key_origins.insert((section.to_owned(), key.to_owned()), origin);
        }
    }

    /// Everything as one TOML value. Dates become text: no key is a TOML date, and `start = 2026-01-31T18:00:00Z` reads well.
    pub(super) fn to_value(&self) -> Value {
        let mut sections = Table::new();
        for (name, table) in &self.sections {
            let mut table = table.clone();
            for (_, value) in table.iter_mut() {
                if let Value::Datetime(date) = value {
                    *value = Value::String(date.to_string());
                }
            }
            match name.split_once('.').filter(|(section, _)| *section == LOOKUP) {
                Some((section, own)) => {
                    let tables = sections.entry(section).or_insert_with(|| Value::Table(Table::new()));
                    if let Value::Table(tables) = tables {
                        tables.insert(own.to_owned(), Value::Table(table));
                    }
                }
                None => drop(sections.insert(name.clone(), Value::Table(table))),
            }
        }
        Value::Table(sections)
    }

    /// Where a key was typed.
    pub(super) fn origin(&self, section: &str, key: &str) -> &Origin {
        self.key_origins.get(&(section.to_owned(), key.to_owned())).unwrap_or(&Origin::Default)
    }

    /// Where a section was first typed.
    pub(super) fn section_origin(&self, section: &str) -> &Origin {
        self.section_origins.get(section).unwrap_or(&Origin::Default)
    }

    /// The first key of a section that somebody typed on purpose, if any.
    pub(super) fn deliberate(&self, section: &str) -> Option<&Origin> {
        let header = self.section_origins.get(section).filter(|origin| origin.is_deliberate());
        header.or_else(|| {
            let keys = self.key_origins.iter().filter(|((of, _), origin)| of == section && origin.is_deliberate());
            keys.map(|(_, origin)| origin).min_by_key(|origin| origin.rank())
        })
    }

    /// The value as typed.
    pub(super) fn value(&self, section: &str, key: &str) -> Option<&Value> {
        self.sections.get(section)?.get(key)
    }

    /// Forgets a key, so that its default takes over. Says whether it was there.
    pub(super) fn remove(&mut self, section: &str, key: &str) -> bool {
        self.sections.get_mut(section).is_some_and(|table| table.remove(key).is_some())
    }

    /// Forgets a whole section. Says whether it was there.
    pub(super) fn remove_section(&mut self, section: &str) -> bool {
        self.sections.remove(section).is_some()
    }

    /// Reads a number, a date or a word of the environment as text after all: a stream may be called `2026`.
    /// Says whether that changes anything.
    pub(super) fn take_as_text(&mut self, section: &str, key: &str) -> bool {
        let Origin::Environment { text, .. } = self.origin(section, key).clone() else {
            return false;
        };
        match self.sections.get_mut(section).and_then(|table| table.get_mut(key)) {
            Some(value) if !value.is_str() => {
                *value = Value::String(text);
                true
            }
            _ => false,
        }
    }
}

/// The value of an environment variable: a TOML scalar where it reads as one, else text.
fn scalar(text: &str) -> Value {
    let parsed = format!("value = {text}").parse::<Table>().ok().filter(|table| table.len() == 1);
    match parsed.and_then(|mut table| table.remove("value")) {
        Some(value) if !value.is_table() && !value.is_array() => value,
        _ => Value::String(text.to_owned()),
    }
}

/// The line of a byte offset, from 1.
fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_environment_value_is_a_scalar_where_it_reads_as_one() {
        assert_eq!(scalar("30"), Value::Integer(30));
        assert_eq!(scalar("true"), Value::Boolean(true));
        assert_eq!(scalar("'quoted'"), Value::String("quoted".into()));
        assert_eq!(scalar("s3://bucket/a"), Value::String("s3://bucket/a".into()));
        assert_eq!(scalar("[1, 2]"), Value::String("[1, 2]".into()));
        assert_eq!(scalar("1\nother = 2"), Value::String("1\nother = 2".into()));
    }

    #[test]
    fn lines_are_counted_from_one() {
        assert_eq!(line_of("a\nb\nc", 0), 1);
        assert_eq!(line_of("a\nb\nc", 2), 2);
        assert_eq!(line_of("a\nb\nc", 4), 3);
    }
}
