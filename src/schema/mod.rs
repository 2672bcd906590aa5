//! The event contract: which fields an event may have, of which type, and which it must have.
//!
//! A contract is a JSON Schema file (draft 2020-12) in `schemas/`, and the only source of the contract: the Arrow schema of
//! raw events and the decoder's rules derive from it. To add a field, add it to the file; to add a stream of other events,
//! write another file. No Rust is involved.
//!
//! # The part of JSON Schema that is understood
//!
//! Everything else is refused with the file, the line and the remedy: a keyword that had no effect would be a trap.
//!
//! | where | keywords |
//! |---|---|
//! | top level | `$schema` (2020-12), `type: "object"`, `properties`, `required`, `allOf`, `additionalProperties: true`, `x-headcount` |
//! | a field | `type`, `format`, `minLength: 1` and `enum` (strings) |
//! | an entry of `allOf` | `if: {properties: {<event type field>: {pattern}}, required: [<event type field>]}`, `then: {required}` |
//! | anywhere | `title`, `description`, `$comment`; `$id` at the top; `examples` on a field |
//!
//! | `type` and `format` | [`Kind`] | Arrow |
//! |---|---|---|
//! | `"string"` | `String` | Utf8 |
//! | `["string", "integer"]`, `date-time` (an integer is epoch milliseconds) | `Timestamp` | Timestamp(Microsecond, "UTC") |
//! | `"integer"`, `int32` or `int64` | `Int32`, `Int64` | Int32, Int64 |
//! | `"boolean"` | `Bool` | Boolean |
//! | `"object"` (free-form, kept as its JSON text) | `Json` | Utf8 |
//!
//! A `pattern` is a list of prefixes of the event type: `^view\.` or `^(stream|view)\.`.
//!
//! `x-headcount` says which fields play a role: `stream` (the table of raw events), `id` (duplicates), `time` (event time),
//! `type` (event type) and, if there is one, `sent` (when the client sent the event).
//!
//! # Columns
//!
//! Raw events have the contract's columns in the file's order, then the [provenance](provenance_fields) columns. A field
//! may not take the name of a provenance column, nor that of a column of the lake's partitions.

mod contract;
mod document;
mod field;
mod parse;
mod provenance;
mod requirement;
mod windows;

pub use contract::Contract;
pub use field::{Field, Kind};
pub use parse::place_of_field;
pub(crate) use provenance::PROVENANCE;
pub use provenance::{
    EVENT_TIME_ORIGINAL, INGEST_TIME, SEQUENCE_NUMBER, SHARD_HIGH_TIME, SHARD_ID, SUB_SEQUENCE_NUMBER,
    provenance_fields,
};
pub use requirement::Requirement;
pub use windows::{REVISION, WINDOW_END, WINDOW_START};
