//! `docs/configuration.md`: every section and key, from the structs and the words of `keys`.

use std::fmt::Write as _;

use toml::{Table, Value};

use super::keys::{KeyWords, SECTIONS, SectionWords};
use super::layers::ENVIRONMENT_PREFIX;
use super::load::LOCAL_TOML;
use super::raw::{LOOKUP_NAME, RawConfig, RawLookup};
use super::shape::{Shape, shape_of};
use super::suggest::unit_of;
use crate::error::{Error, Result};
use crate::types::wrapped;

/// Width of the page's text, as of the other pages.
const WIDTH: usize = 126;

const HEAD: &str = "\
# Configuration

<!-- Generated from src/config: change src/config/keys.rs, then run `HEADCOUNT_REGENERATE=1 cargo nextest run configuration_page`. -->

Every section and key of a configuration file, which is [TOML](https://toml.io). [config/local.toml](../config/local.toml) and
[config/aws.toml](../config/aws.toml) are whole files to copy; `headcount check --config FILE` says what is wrong with yours, by
file and line.

* **Any key may be left out,** and then has its default. `headcount run` without `--config` uses the built-in
  `config/local.toml`; where that differs from the defaults, it is said below.
* **Any key may be overridden** by its environment variable, `HEADCOUNT__SECTION__KEY`, which goes before the file. An empty
  variable counts as unset. Text needs no quotes there: `HEADCOUNT__LAKE__URL=s3://bucket/prefix`.
* **Units** are the ends of the names: `_secs`, `_ms`, `_bytes`. Numbers are written bare, without a unit.
* **Nothing is ignored.** Unknown keys, values out of range, and keys that contradict each other or would have no effect are
  refused before anything starts.
* *Since* is the release that brought a key.
";

/// The page, in Markdown.
///
/// # Errors
/// An internal error if the defaults cannot be shown or a key has no words; tests keep both from happening.
pub fn reference() -> Result<String> {
    let defaults = defaults()?;
    let local: Table =
        LOCAL_TOML.parse().map_err(|e| Error::internal("the built-in config/local.toml is no TOML").because(e))?;
    let mut page = format!("{HEAD}\n| section | is about | keys |\n|---|---|---|\n");
    for (section, keys) in RawConfig::sections() {
        let words = section_words(section)?;
        let links: Vec<String> =
            keys.iter().map(|key| format!("[`{key}`](#{}{key})", section.replace('.', ""))).collect();
        let anchor = section.replace('.', "");
        say(&mut page, format_args!("| [`[{section}]`](#{anchor}) | {} | {} |\n", words.title, links.join(", ")));
    }
    for (section, keys) in RawConfig::sections() {
        let words = section_words(section)?;
        say(&mut page, format_args!("\n## `[{section}]`\n\n"));
        page.push_str(&wrapped(&format!("{}. {}", capitalised(words.title), words.about), WIDTH));
        for key in keys {
            let default = |table: &Table| table.get(section).and_then(|s| s.get(*key)).cloned();
            let values = Values { default: default(&defaults), local: default(&local) };
            page.push_str(&entry(section, key_words(words, key)?, key, &values)?);
        }
    }
    Ok(page)
}

/// Every section with its defaults; of the lookup tables one that stands for all.
fn defaults() -> Result<Table> {
    let broken = |e| Error::internal("the defaults of the configuration cannot be shown").because(e);
    let mut defaults = Table::try_from(RawConfig::default()).map_err(broken)?;
    let lookup = Table::try_from(RawLookup::default()).map_err(broken)?;
    defaults.insert(LOOKUP_NAME.to_owned(), Value::Table(lookup));
    Ok(defaults)
}

/// What a key is when it is not typed.
struct Values {
    default: Option<Value>,
    /// In the built-in `config/local.toml`.
    local: Option<Value>,
}

/// One key.
fn entry(section: &str, words: &KeyWords, key: &'static str, values: &Values) -> Result<String> {
    let home = RawConfig::sections().into_iter().find_map(|(name, _)| (name == section).then_some(name));
    let shape = home.and_then(|home| match home {
        LOOKUP_NAME => shape_of::<RawLookup>(&[key]),
        home => shape_of::<RawConfig>(&[home, key]),
    });
    let kind = match shape {
        Some(Shape::Bool) => "`true` or `false`".to_owned(),
        Some(Shape::Whole) => "whole number".to_owned(),
        Some(Shape::Number) => "number".to_owned(),
        Some(Shape::Text) => "text".to_owned(),
        Some(Shape::Choice(choices)) => {
            let quoted: Vec<String> = choices.iter().map(|choice| format!("`\"{choice}\"`")).collect();
            quoted.join(", ")
        }
        Some(Shape::List) => "list".to_owned(),
        Some(Shape::Table) => "table".to_owned(),
        None => return Err(Error::internal(format!("{section}.{key} has a type that the page cannot name"))),
    };
    let unit = words.unit.or_else(|| unit_of(key)).unwrap_or("–");
    let mut default = match (&values.default, words.left_out) {
        (Some(value), _) => format!("`{value}`"),
        (None, Some(what)) => format!("none: {what}"),
        (None, None) => return Err(Error::internal(format!("{section}.{key} has no default, and no words for that"))),
    };
    if let Some(local) = values.local.as_ref().filter(|local| Some(*local) != values.default.as_ref()) {
        say(&mut default, format_args!("; `{local}` in the built-in `config/local.toml`"));
    }
    let variable = format!("{ENVIRONMENT_PREFIX}{}__{}", section.to_uppercase().replace('.', "__"), key.to_uppercase());
    let mut text = format!("\n### `{section}.{key}`\n\n{}\n", wrapped(words.meaning, WIDTH));
    text.push_str("| type | unit | default | example | environment variable | since |\n|---|---|---|---|---|---|\n");
    let (example, since) = (words.example, words.since);
    say(&mut text, format_args!("| {kind} | {unit} | {default} | `{key} = {example}` | `{variable}` | {since} |\n"));
    Ok(text)
}

fn section_words(name: &str) -> Result<&'static SectionWords> {
    SECTIONS
        .iter()
        .find(|section| section.name == name)
        .ok_or_else(|| Error::internal(format!("[{name}] has no words in src/config/keys.rs")))
}

fn key_words(section: &'static SectionWords, name: &str) -> Result<&'static KeyWords> {
    let section_name = section.name;
    section
        .keys
        .iter()
        .find(|key| key.name == name)
        .ok_or_else(|| Error::internal(format!("{section_name}.{name} has no words in src/config/keys.rs")))
}

/// Writes to a text, which cannot fail.
fn say(text: &mut String, words: std::fmt::Arguments<'_>) {
    let _ = text.write_fmt(words);
}

fn capitalised(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    /// What a file with this key alone is refused for.
    fn problems(section: &str, line: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("one.toml");
        std::fs::write(&file, format!("[{section}]\n{line}\n")).unwrap();
        Config::problems(Some(&file), std::iter::empty()).iter().map(Error::report).collect()
    }

    #[test]
    fn every_key_has_words() {
        let mut missing = Vec::new();
        for (section, keys) in RawConfig::sections() {
            let Some(words) = SECTIONS.iter().find(|words| words.name == section) else {
                missing.push(format!("a SectionWords for [{section}], with the keys {}", keys.join(", ")));
                continue;
            };
            let known = |key: &&&str| words.keys.iter().any(|words| words.name == **key);
            missing.extend(keys.iter().filter(|key| !known(key)).map(|key| format!("a key(…) for {section}.{key}")));
        }
        assert!(missing.is_empty(), "add to src/config/keys.rs:\n  {}", missing.join("\n  "));
    }

    #[test]
    fn no_words_are_left_of_a_key_that_is_gone() {
        for words in SECTIONS {
            let sections = RawConfig::sections();
            let keys = sections.iter().find(|(name, _)| *name == words.name).map(|(_, keys)| *keys);
            let keys = keys.unwrap_or_else(|| panic!("src/config/keys.rs: there is no section [{}]", words.name));
            for key in words.keys {
                let (section, name) = (words.name, key.name);
                assert!(keys.contains(&name), "src/config/keys.rs: there is no key {section}.{name}");
                let twice = words.keys.iter().filter(|other| other.name == name).count() > 1;
                assert!(!twice, "src/config/keys.rs: {section}.{name} is there twice");
            }
        }
    }

    #[test]
    fn what_has_no_default_says_what_holds_then_and_only_that() {
        let defaults = defaults().unwrap();
        for words in SECTIONS {
            for key in words.keys {
                let has_default = defaults[words.name].get(key.name).is_some();
                assert_eq!(
                    key.left_out.is_none(),
                    has_default,
                    "src/config/keys.rs: {}.{} needs .left_out(…) exactly if its default is None",
                    words.name,
                    key.name
                );
            }
        }
    }

    #[test]
    fn examples_have_the_type_and_the_range_of_their_keys() {
        for words in SECTIONS {
            for key in words.keys {
                let line = format!("{} = {}", key.name, key.example);
                let problems = problems(words.name, &line);
                // A key alone may lack another that it belongs to; a wrong type or number is "must be".
                let wrong =
                    problems.iter().find(|p| p.contains("must be") || p.contains("TOML") || p.contains("more than"));
                assert!(wrong.is_none(), "src/config/keys.rs: {}.{line}: {wrong:?}", words.name);
            }
        }
        assert!(!problems("lake", "compression_level = 99").is_empty(), "this test can fail");
    }

    #[test]
    fn bounds_in_words_are_those_that_are_judged() {
        let mut judged = 0;
        for words in SECTIONS {
            for key in words.keys {
                let all = problems(words.name, &format!("{} = {}", key.name, u64::MAX / 2)).join("\n");
                let of_key = |line: &&str| line.contains(&format!("{}.{} is ", words.name, key.name));
                let Some(range) = all.lines().filter(of_key).find_map(|line| line.split_once("must be between "))
                else {
                    continue;
                };
                judged += 1;
                for bound in range.1.split(" and ") {
                    let said = key.meaning.split(|c: char| !c.is_ascii_digit()).any(|number| number == bound);
                    assert!(said, "src/config/keys.rs: say of {}.{} that it is from {}", words.name, key.name, range.1);
                }
            }
        }
        assert!(judged > 5, "the bounds were not found: {judged}");
    }

    #[test]
    fn configuration_page_is_current() {
        let page = reference().unwrap();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
        if std::env::var_os("HEADCOUNT_REGENERATE").is_some() {
            std::fs::write(&path, &page).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        let differs = page.lines().zip(written.lines()).position(|(ours, theirs)| ours != theirs);
        assert!(
            page == written,
            "docs/configuration.md is not what src/config says (from line {}): \
             run HEADCOUNT_REGENERATE=1 cargo nextest run configuration_page, and commit the file",
            differs.unwrap_or_else(|| page.lines().count().min(written.lines().count())) + 1
        );
    }

    #[test]
    fn the_page_has_every_key_with_its_variable_and_default() {
        let page = reference().unwrap();
        assert!(page.contains(
            "| whole number | seconds | `300`; `30` in the built-in `config/local.toml` | `raw_roll_secs = 60` | \
             `HEADCOUNT__LAKE__RAW_ROLL_SECS` | 0.1.0 |"
        ));
        assert!(page.contains("| `\"embedded\"`, `\"kinesis\"` | – | `\"embedded\"` |"));
        assert!(page.contains("| none: one a core |"));
        assert!(page.lines().filter(|line| !line.starts_with('|')).all(|line| line.chars().count() <= 140));
        let variables = page.matches("| `HEADCOUNT__").count();
        assert_eq!(variables, RawConfig::sections().iter().map(|(_, keys)| keys.len()).sum::<usize>());
    }
}
