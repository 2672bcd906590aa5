//! The configuration: what was typed, and what is meant.
//!
//! ```text
//!  defaults in code  ◄── a file, key by key ◄── HEADCOUNT__SECTION__KEY      layers.rs   where each value was typed
//!        (without --config the file is the built-in config/local.toml)
//!                              ▼
//!                      RawConfig: text and numbers, unknown keys refused     raw.rs
//!                              ▼
//!                      Config: times, addresses, choices in their own types  sections.rs
//! ```
//!
//! [`Config::load`] gives a configuration that cannot be wrong, or the first thing that is; [`Config::problems`] gives everything
//! that is, for `headcount check`. Every error says the key's path (`lake.raw_roll_secs`), where it was typed (file and line, or
//! the environment variable), what is wrong and what to write instead.
//!
//! [`reference()`] is `docs/configuration.md`: names, types, choices and defaults of the keys from `raw`, their words from `keys`.
//! Whoever adds a key is told by a test what is missing where.
//!
//! Two rules make the files readable. A key that is a time or a size carries its unit (`_secs`, `_ms`, `_bytes`); inside the
//! program every time is [`Micros`](crate::types::Micros). And a key that would be ignored is refused: a setting that contradicts
//! another is a mistake that should not wait for production.

mod fields;
mod keys;
mod layers;
mod load;
mod problems;
mod raw;
mod reference;
mod sections;
mod shape;
mod suggest;
mod validate;

#[cfg(feature = "embedded")]
#[cfg(test)]
mod tests;

pub use reference::reference;
pub use sections::{
    CloudWatch, ColumnType, Concurrency, Config, Embedded, Lake, Log, LogFormat, LogLevel, Lookup, LookupFormat,
    OnChangedPipeline, Pipelines, Run, Schema, Serve, Source, SourceKind, Start, Time,
};
