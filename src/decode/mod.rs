//! Bytes to rows: a record's events become an Arrow batch, and what cannot be read becomes dead letters.
//!
//! ```text
//!  Record ─► forms ──► plain ─────────────────────► rules ────► rows ─► RecordBatch (Contract::events_schema)
//!            which     one pass into the columns    what must   keep, or
//!            bytes are   └─ unusual ─► scan, values ─┘  be there  take back
//!            an event                     └──────────────┴─► Rejection ─► DeadLetter
//! ```
//!
//! * [`Decoder`] walks over the records of a read and hides how they are parsed.
//! * `open` and `aggregate` turn a record that is compressed or aggregated into payloads.
//! * [`unpack`] makes records of what `aws kinesis get-records` prints, before they are decoded.
//! * `forms` tells by content whether a payload is one object, newline-delimited objects or an array of objects, and cuts it
//!   into events.
//! * `plain` is the fast way through the plain events that nearly all are. What is unusual or wrong it leaves to the next two. What it needs
//!   besides: `cursor` (values of JSON), `specials` and `digits` (many bytes at a time), `names` (which key comes next), `ahead` (records are
//!   fetched from memory before they are read).
//! * `scan` parses any event: it looks each key up among the contract's fields and keeps the raw text of the last value.
//! * `envelope` takes out what EventBridge has wrapped.
//! * `values` turns raw text into typed values, strictly: nothing is coerced.
//! * `rules` checks what must be there. Values go into their columns as they are read, and are taken back if the event turns out bad.
//!
//! An event is judged in this order: is it JSON, not nested too deeply, an object; are its fields of their types, in the
//! contract's order; are the fields there that every event must have, then those that its type must have. The first that
//! fails is its [`Reason`]. A null is an absent field; of a key that comes twice the last counts; a required string must
//! not be empty.
//!
//! Bad input never stops the stream, never vanishes, and costs its neighbours nothing: each event of a record is judged
//! alone, and numbered by its place in the record, good or bad ([`crate::schema::SUB_SEQUENCE_NUMBER`]).

mod aggregate;
mod ahead;
mod column;
mod cursor;
mod dead_letter;
mod decoder;
mod digits;
mod elements;
mod envelope;
mod forms;
mod get_records;
mod names;
mod open;
mod plain;
mod rows;
mod rules;
mod scan;
mod specials;
pub mod timestamp;
mod unknown;
mod values;

#[cfg(test)]
mod contract_proptests;
#[cfg(test)]
mod example_tests;
#[cfg(test)]
mod form_builders;
#[cfg(test)]
mod form_tests;
#[cfg(test)]
mod proptests;
#[cfg(test)]
mod tests;

pub use dead_letter::{DeadLetter, Reason, number_within};
pub use decoder::{Decoded, Decoder, EventSource, Provenance};
pub use get_records::{Unpacked, is_entry, unpack};
pub use unknown::OTHER_FIELDS;
