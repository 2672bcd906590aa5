//! Loading: read the file, lay the environment over it, give every value its type, judge the whole.

use std::io::{ErrorKind, Read};
use std::path::Path;

use serde_path_to_error::Segment;

use super::layers::{Layers, Origin};
use super::problems::Problems;
use super::raw::{LOOKUP, RawConfig, is_key, is_section};
use super::sections::Config;
use super::{suggest, validate};
use crate::error::{Error, Result};
use crate::limits::CONFIG_FILE_BYTES_MAX;

/// What `run` does without `--config`; also the example to copy.
pub(super) const LOCAL_TOML: &str = include_str!("../../config/local.toml");
const LOCAL_TOML_NAME: &str = "built-in config/local.toml";

impl Config {
    /// Loads `path`, or the built-in `config/local.toml` without one, and lays the variables of `env` named
    /// `HEADCOUNT__SECTION__KEY` over it. Pass `std::env::vars()`.
    ///
    /// # Errors
    /// A user error for the first thing that is wrong; its remedy mentions how many more there are. An unreadable disk is an
    /// external one.
    pub fn load(path: Option<&Path>, env: impl Iterator<Item = (String, String)>) -> Result<Config> {
        let (config, problems) = read(path, env)?;
        let more = problems.len().saturating_sub(1);
        match problems.into_iter().next() {
            None => Ok(config),
            Some(first) if more == 0 => Err(first),
            Some(first) => {
                let remedy = first.remedy().map_or_else(String::new, |remedy| format!("{remedy}; "));
                Err(first.hint(format!("{remedy}`headcount check` lists this and {more} more")))
            }
        }
    }

    /// Everything that is wrong with the configuration that [`Config::load`] would read, in the order of the file.
    pub fn problems(path: Option<&Path>, env: impl Iterator<Item = (String, String)>) -> Vec<Error> {
        match read(path, env) {
            Ok((_, problems)) => problems,
            Err(unreadable) => vec![unreadable],
        }
    }
}

/// The configuration as far as it could be understood, and what is wrong with it. `Err` if the file cannot be read.
fn read(path: Option<&Path>, env: impl Iterator<Item = (String, String)>) -> Result<(Config, Vec<Error>)> {
    let mut problems = Problems::default();
    let mut layers = match path {
        Some(path) => {
            let text = read_text(path)?;
            Layers::read_file(&path.display().to_string(), &text, false, &mut problems)
        }
        None => Layers::read_file(LOCAL_TOML_NAME, LOCAL_TOML, true, &mut problems),
    };
    layers.override_with(env, &mut problems);
    let raw = typed(&mut layers, &mut problems);
    let config = validate::validate(&raw, &layers, &mut problems);
    Ok((config, problems.into_vec()))
}

/// Gives every value its type. One that has none is reported and forgotten, so that the rest is judged as well.
fn typed(layers: &mut Layers, problems: &mut Problems) -> RawConfig {
    loop {
        let error = match serde_path_to_error::deserialize::<_, RawConfig>(layers.to_value()) {
            Ok(raw) => return raw,
            Err(error) => error,
        };
        let mut keys = error.path().iter().filter_map(|segment| match segment {
            Segment::Map { key } => Some(key.as_str()),
            _ => None,
        });
        let (first, second) = (keys.next().unwrap_or_default(), keys.next());
        // A lookup table is a section of its own.
        let (section, key) = match second.filter(|_| first == LOOKUP) {
            Some(table) => (format!("{LOOKUP}.{table}"), keys.next()),
            None => (first.to_owned(), second),
        };
        let section = section.as_str();
        let forgotten = match key {
            Some(key) if is_key(section, key) && layers.take_as_text(section, key) => true,
            Some(key) => {
                let origin = layers.origin(section, key);
                problems.push(origin, refused_key(layers, section, key, error.inner().message()));
                layers.remove(section, key)
            }
            // A key of the environment that no lookup table has before it.
            None if first == LOOKUP && layers.value(LOOKUP, second.unwrap_or_default()).is_some() => {
                let table = second.unwrap_or_default();
                let refused = Error::user(format!("{table} is no key of a lookup table"))
                    .hint("write HEADCOUNT__LOOKUP__TABLE__KEY, as in HEADCOUNT__LOOKUP__CREATORS__REFRESH_SECS");
                problems.push(layers.origin(LOOKUP, table), refused);
                layers.remove(LOOKUP, table)
            }
            None => {
                let refused = if is_section(section) {
                    Error::user(format!("[{section}] cannot be read: {}", error.inner().message()))
                } else {
                    suggest::unknown_section(section)
                };
                problems.push(layers.section_origin(section), refused);
                layers.remove_section(section)
            }
        };
        if !forgotten {
            // Each turn takes something away; a turn that does not would never end.
            problems
                .push(&Origin::Default, Error::internal("a configuration value could not be set aside").because(error));
            return RawConfig::default();
        }
    }
}

/// The error for a key that serde refused: it does not exist, or its value has the wrong type.
fn refused_key(layers: &Layers, section: &str, key: &str, message: &str) -> Error {
    let value = layers.value(section, key);
    if !is_key(section, key) {
        return suggest::unknown_key(section, key, value);
    }
    let error = Error::user(format!("{section}.{key} {}", reworded(message)));
    match suggest::number_remedy(key, value).filter(|_| message.contains("u64")) {
        Some(remedy) => error.hint(remedy),
        None => error,
    }
}

/// serde's message in the words of a person who writes TOML.
fn reworded(message: &str) -> String {
    let typed = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    if let Some((got, wanted)) = typed.and_then(|rest| rest.split_once(", expected ")) {
        let wanted = match wanted {
            "u64" => "a whole number, 0 or more",
            "a boolean" => "true or false",
            other => other,
        };
        return format!("must be {wanted}, not {}", got.replace('`', ""));
    }
    let choice = message.strip_prefix("unknown variant ").and_then(|rest| rest.split_once(", expected "));
    match choice {
        Some((got, wanted)) => format!("must be {wanted}, not {got}"),
        None => format!("cannot be read: {message}"),
    }
}

/// The text of a file, or one clear reason why there is none.
fn read_text(path: &Path) -> Result<String> {
    let name = path.display().to_string();
    let refuse = |error: std::io::Error| {
        let (message, hint) = match error.kind() {
            ErrorKind::NotFound => {
                return Error::user("no such configuration file")
                    .at(&name)
                    .hint("check the path given to --config, or leave it out to run with built-in defaults");
            }
            ErrorKind::PermissionDenied => ("may not be read", "give this user permission to read it"),
            ErrorKind::InvalidData => ("is not UTF-8 text", "save it as UTF-8"),
            _ => return Error::external("cannot be read").at(&name).because(error),
        };
        Error::user(message).at(&name).hint(hint).because(error)
    };
    let file = std::fs::File::open(path).map_err(refuse)?;
    if file.metadata().map_err(refuse)?.is_dir() {
        let hint = "give --config the file itself, as in --config config/local.toml";
        return Err(Error::user("is a folder, not a configuration file").at(&name).hint(hint));
    }
    let mut text = String::new();
    let read = file.take(CONFIG_FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(refuse)?;
    if read as u64 > CONFIG_FILE_BYTES_MAX {
        let message = format!("is larger than {CONFIG_FILE_BYTES_MAX} bytes, so it is no configuration file");
        return Err(Error::user(message).at(&name).hint("check the path given to --config"));
    }
    Ok(text)
}
