//! One field of a contract.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};

/// What a field's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Text. Utf8.
    String,
    /// An instant: RFC 3339 with a zone, or integer epoch milliseconds. Timestamp(Microsecond, "UTC").
    Timestamp,
    /// A whole number of 32 bits. Int32.
    Int32,
    /// A whole number of 64 bits. Int64.
    Int64,
    /// True or false. Boolean.
    Bool,
    /// A free-form object, kept as its JSON text. Utf8.
    Json,
}

impl From<Kind> for DataType {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::String | Kind::Json => DataType::Utf8,
            Kind::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC"))),
            Kind::Int32 => DataType::Int32,
            Kind::Int64 => DataType::Int64,
            Kind::Bool => DataType::Boolean,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::String => "a string",
            Kind::Timestamp => "a timestamp",
            Kind::Int32 => "an int32",
            Kind::Int64 => "an int64",
            Kind::Bool => "a boolean",
            Kind::Json => "an object",
        })
    }
}

/// One field of a contract, and one column of the raw events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The key in the event, and the name of the column.
    pub name: String,
    /// What its value is.
    pub kind: Kind,
    /// Whether every event has it. The column is null-free then.
    pub required: bool,
    /// What it means, and in which unit.
    pub description: String,
    /// The only values that it may have; empty if any will do. Strings only.
    pub allowed: Vec<String>,
}
