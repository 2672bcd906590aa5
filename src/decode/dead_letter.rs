//! What could not be read, kept whole.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryBuilder, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use bytes::Bytes;

use crate::limits::{DEAD_LETTER_BATCH_BYTES_MAX, DEAD_LETTER_BATCH_ROWS_MAX};
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

    /// The reason of a code; `None` if there is no such.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
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
    /// The index of the event within its record, from 0 (and see [`number_within`]).
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

    /// Dead letters as batches of [`DeadLetter::schema`], in their order: as many as fit one together.
    ///
    /// # Errors
    /// An internal error if one letter is over 2 GiB.
    pub fn to_batches(letters: &[DeadLetter]) -> impl Iterator<Item = Result<RecordBatch>> {
        let mut left = letters;
        std::iter::from_fn(move || {
            let mut bytes = 0;
            let fits = |letter: &&DeadLetter| {
                bytes += letter.text_bytes();
                bytes <= DEAD_LETTER_BATCH_BYTES_MAX
            };
            let len = left.iter().take(DEAD_LETTER_BATCH_ROWS_MAX).take_while(fits).count();
            // One that is larger comes alone.
            let (batch, rest) = left.split_at(len.max(1).min(left.len()));
            left = rest;
            (!batch.is_empty()).then(|| Self::to_batch(batch))
        })
    }

    /// The bytes of its texts and its data.
    fn text_bytes(&self) -> usize {
        self.data.len() + self.message.len() + self.shard.len() + self.sequence_number.len()
    }

    /// All of them as one batch.
    ///
    /// # Errors
    /// An internal error if their texts are over 2 GiB together, which is more than a batch can hold.
    pub fn to_batch(letters: &[DeadLetter]) -> Result<RecordBatch> {
        let bytes: usize = letters.iter().map(Self::text_bytes).sum();
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

/// The number of the event at `place`, from 0, of those that dead letter number `letter` of a record holds.
///
/// A letter has one number, and what came after it in its record has the next ones. So only its first event may have the letter's own.
/// The others are numbered beyond all places of a record, each letter's in a range of its own: (`letter` + 1) · 2³² + `place`.
/// `None` if there is no such number; that takes a letter that was cut out of a letter.
///
/// ```text
///  record:   {…}   gzip of 3 events   {…}
///  number:    0    1                   2        letter 1, opened: 1, 2·2³² + 1, 2·2³² + 2
/// ```
pub fn number_within(letter: i64, place: i64) -> Option<i64> {
    const RANGE: i64 = 1 << 32;
    match place {
        0 => Some(letter),
        _ if (0..RANGE / 2 - 1).contains(&letter) && place < RANGE => Some((letter + 1) * RANGE + place),
        _ => None,
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_name_reasons() {
        assert!(Reason::ALL.into_iter().all(|reason| Reason::from_code(reason.code()) == Some(reason)));
        assert_eq!(Reason::from_code("none"), None);
    }

    #[test]
    fn no_two_events_of_letters_of_one_record_share_a_number() {
        let letters = [0, 1, 2, 100_000, (1 << 31) - 2];
        let places = [0, 1, 2, 100_000, (1 << 32) - 1];
        let numbers: Vec<i64> = letters.iter().flat_map(|&l| places.map(|p| number_within(l, p).unwrap())).collect();
        assert_eq!(numbers.iter().collect::<BTreeSet<_>>().len(), letters.len() * places.len());
        let own = numbers.iter().filter(|&&n| n < 1 << 32).count();
        assert_eq!(
            own,
            letters.len(),
            "the first one has the letter's number, the others are beyond a record's places"
        );
        for cut_out in [number_within(0, 1).unwrap(), -1, i64::MAX] {
            assert_eq!(number_within(cut_out, 0), Some(cut_out));
            assert_eq!(number_within(cut_out, 1), None);
        }
    }
}
