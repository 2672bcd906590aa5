//! Where a row came from: the columns that every raw event has beside its contract's.

use arrow::datatypes::{DataType, Field as ArrowField};

use super::Kind;

/// The shard that carried the event. Utf8, not null.
pub const SHARD_ID: &str = "shard_id";
/// The record's sequence number, in decimal digits. Utf8, not null.
pub const SEQUENCE_NUMBER: &str = "sequence_number";
/// The index of the event within its record, from 0; bad events count. Int64, not null.
pub const SUB_SEQUENCE_NUMBER: &str = "sub_sequence_number";
/// When the stream took the record. Timestamp(Microsecond, "UTC"), null where the input does not say.
pub const INGEST_TIME: &str = "ingest_time";
/// The event time before a repair of the clock's skew. Timestamp(Microsecond, "UTC"), null if nothing was repaired.
pub const EVENT_TIME_ORIGINAL: &str = "event_time_original";
/// The shard's high time at which the event was judged. Timestamp(Microsecond, "UTC"), null before it is judged.
pub const SHARD_HIGH_TIME: &str = "shard_high_time";

/// Columns that a lake's folders add to a table: a file may not have them too.
pub(super) const PARTITION_COLUMNS: [&str; 4] = ["year", "month", "day", "hour"];

/// Name, kind and nullability of the provenance columns, in their order.
pub(crate) const PROVENANCE: [(&str, Kind, bool); 6] = [
    (SHARD_ID, Kind::String, false),
    (SEQUENCE_NUMBER, Kind::String, false),
    (SUB_SEQUENCE_NUMBER, Kind::Int64, false),
    (INGEST_TIME, Kind::Timestamp, true),
    (EVENT_TIME_ORIGINAL, Kind::Timestamp, true),
    (SHARD_HIGH_TIME, Kind::Timestamp, true),
];

/// The Arrow fields of the provenance columns, in the order in which they follow a contract's columns: [`SHARD_ID`],
/// [`SEQUENCE_NUMBER`], [`SUB_SEQUENCE_NUMBER`], [`INGEST_TIME`], [`EVENT_TIME_ORIGINAL`], [`SHARD_HIGH_TIME`].
pub fn provenance_fields() -> Vec<ArrowField> {
    PROVENANCE.iter().map(|&(name, kind, nullable)| ArrowField::new(name, DataType::from(kind), nullable)).collect()
}
