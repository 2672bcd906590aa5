//! What could not be read, kept whole.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryBuilder, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use bytes::Bytes;

use crate::schema::{INGEST_TIME, SEQUENCE_NUMBER, SHARD_ID, SUB_SEQUENCE_NUMBER};
use crate::types::{Micros, ShardId};
use crate::{Error, Result};

/// Why an event or a record is a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Not JSON: a syntax error, invalid UTF-8, or nested too deeply.
    NotJson,
    /// A field is absent, null or empty that the event must have.
    MissingField,
    /// A value is of another type than its field, out of its range, or not among its values; or the event is no object.
    WrongType,
    /// A timestamp is neither RFC 3339 with a zone nor sane epoch milliseconds.
    BadTimestamp,
    /// An aggregated record is damaged.
    BadAggregate,
    /// A compressed record is damaged, or too large once opened.
    BadCompression,
    /// A record is over the limit.
    TooLarge,
    /// An event is older than the stream accepts.
    TooOld,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Reason; 8] = [
        Reason::NotJson,
        Reason::MissingField,
        Reason::WrongType,
        Reason::BadTimestamp,
        Reason::BadAggregate,
        Reason::BadCompression,
        Reason::TooLarge,
        Reason::TooOld,
    ];

    /// Its code in tables and metrics: `not_json`, `missing_field` …
    pub fn code(&self) -> &'static str {
        match self {
            Reason::NotJson => "not_json",
            Reason::MissingField => "missing_field",
            Reason::WrongType => "wrong_type",
            Reason::BadTimestamp => "bad_timestamp",
            Reason::BadAggregate => "bad_aggregate",
            Reason::BadCompression => "bad_compression",
            Reason::TooLarge => "too_large",
            Reason::TooOld => "too_old",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// One event, or one whole record, that could not be taken, with everything needed to find and repeat it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Its exact bytes: those of the event in a record of many, else those of the record.
    pub data: Bytes,
    /// The shard that carried it.
    pub shard: ShardId,
    /// The record's sequence number, in decimal digits.
    pub sequence_number: Arc<str>,
    /// The index of the event within its record, from 0.
    pub sub_sequence_number: i64,
    /// When the stream took the record, where the input says.
    pub arrival_time: Option<Micros>,
    /// Why.
    pub reason: Reason,
    /// Why, for a person: names the field and quotes the value.
    pub message: String,
}

impl DeadLetter {
    /// The Arrow schema of dead letters: `reason` Utf8, `message` Utf8, `data` Binary, `shard_id` Utf8, `sequence_number`
    /// Utf8, `sub_sequence_number` Int64, `ingest_time` Timestamp(Microsecond, "UTC"); only the last is nullable.
    pub fn schema() -> SchemaRef {
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC")));
        Arc::new(Schema::new(vec![
            Field::new("reason", DataType::Utf8, false),
            Field::new("message", DataType::Utf8, false),
            Field::new("data", DataType::Binary, false),
            Field::new(SHARD_ID, DataType::Utf8, false),
            Field::new(SEQUENCE_NUMBER, DataType::Utf8, false),
            Field::new(SUB_SEQUENCE_NUMBER, DataType::Int64, false),
            Field::new(INGEST_TIME, utc, true),
        ]))
    }

    /// Dead letters as a batch of [`DeadLetter::schema`], in their order.
    ///
    /// # Errors
    /// An internal error if their data is over 2 GiB, which is more than a batch can hold: write them earlier.
    pub fn to_batch(letters: &[DeadLetter]) -> Result<RecordBatch> {
        let bytes: usize = letters.iter().map(|letter| letter.data.len().max(letter.message.len())).sum();
        if i32::try_from(bytes).is_err() {
            return Err(Error::internal(format!("{} dead letters of {bytes} bytes do not fit a batch", letters.len())));
        }
        let text = |of: fn(&DeadLetter) -> &str| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(letters.iter().map(of)))
        };
        let mut data = BinaryBuilder::with_capacity(letters.len(), bytes);
        letters.iter().for_each(|letter| data.append_value(&letter.data));
        let arrivals: TimestampMicrosecondArray = letters.iter().map(|letter| letter.arrival_time).collect();
        let columns: Vec<ArrayRef> = vec![
            text(|letter| letter.reason.code()),
            text(|letter| &letter.message),
            Arc::new(data.finish()),
            text(|letter| &letter.shard),
            text(|letter| &letter.sequence_number),
            Arc::new(Int64Array::from_iter_values(letters.iter().map(|letter| letter.sub_sequence_number))),
            Arc::new(arrivals.with_timezone("UTC")),
        ];
        Ok(RecordBatch::try_new(Self::schema(), columns)?)
    }
}

/// The verdict on an event that cannot be taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rejection {
    pub(super) reason: Reason,
    pub(super) message: String,
}

impl Rejection {
    pub(super) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}
