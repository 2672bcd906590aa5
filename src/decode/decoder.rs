//! Records in, rows and dead letters out.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;

use super::dead_letter::{DeadLetter, Reason, Rejection};
use super::forms::{self, Piece};
use super::rows::Rows;
use super::rules::{Rules, Scratch};
use super::unknown::UnknownFields;
use crate::limits::{DEAD_LETTERS_PER_RECORD_MAX, READ_BATCH_BYTES_MAX, RECORD_BYTES_MAX};
use crate::schema::Contract;
use crate::types::{ReadBatch, Record, ShardId};
use crate::{Error, Result};

/// Who says where a row came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provenance {
    /// The record that carried it: live streams.
    Record,
    /// The row itself, by fields that are named like the provenance columns; the record says what it does not: event files.
    Row,
}

/// What a read held.
#[derive(Debug, Clone)]
pub struct Decoded {
    /// The events, in their order. Schema: [`Contract::events_schema`].
    pub events: RecordBatch,
    /// Where each row came from, in the rows' order.
    pub sources: Vec<EventSource>,
    /// What could not be read, in its order.
    pub dead_letters: Vec<DeadLetter>,
    /// Rows and dead letters together.
    pub events_read: u64,
}

/// Where in a read an event's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventSource {
    /// Index of the record.
    pub record: usize,
    /// The event's bytes within the record.
    pub range: Range<usize>,
}

/// Turns records into rows by a contract, one read at a time.
///
/// A record of two events, of which the second lacks its `stream_id`:
///
/// ```text
///  {"schema_version":"1","event_id":"a","event_type":"tip.sent","event_time":1767225600000,"stream_id":"s"}\n
///  {"schema_version":"1","event_id":"b","event_type":"tip.sent","event_time":1767225600000}\n
///
///  events:        a, …, sub_sequence_number 0
///  dead_letters:  missing_field "`stream_id` is missing, which a tip.sent event must have", sub_sequence_number 1
/// ```
#[derive(Debug)]
pub struct Decoder {
    // Properties
    rules: Rules,
    // State
    rows: Rows,
    sources: Vec<EventSource>,
    unknown: UnknownFields,
}

impl Decoder {
    /// A decoder for the events of `contract`.
    pub fn new(contract: Arc<Contract>, provenance: Provenance) -> Self {
        Self {
            rules: Rules::new(Arc::clone(&contract), provenance),
            rows: Rows::new(contract),
            sources: Vec::new(),
            unknown: UnknownFields::default(),
        }
    }

    /// Decodes the records of one read. Bad input is no error: it comes out as dead letters.
    ///
    /// # Errors
    /// An internal error if the records together are over `READ_BATCH_BYTES_MAX`, to which sources keep.
    pub fn decode(&mut self, read: &ReadBatch) -> Result<Decoded> {
        let bytes: usize = read.records.iter().map(|record| record.data.len()).sum();
        if bytes > READ_BATCH_BYTES_MAX {
            return Err(
                Error::internal(format!("a read of {bytes} bytes is over {READ_BATCH_BYTES_MAX}")).at(&*read.shard)
            );
        }
        let mut dead_letters = Vec::new();
        let mut scratch = self.rules.scratch();
        for (index, record) in read.records.iter().enumerate() {
            self.record(&read.shard, index, record, &mut scratch, &mut dead_letters);
        }
        let events = self.rows.finish()?;
        let events_read = events.num_rows() as u64 + dead_letters.len() as u64;
        Ok(Decoded { events, sources: std::mem::take(&mut self.sources), dead_letters, events_read })
    }

    /// How often each unknown field came in accepted events so far. Names beyond `UNKNOWN_FIELD_NAMES_MAX`, and long ones,
    /// are counted together as [`super::OTHER_FIELDS`].
    pub fn unknown_fields(&self) -> &BTreeMap<String, u64> {
        self.unknown.counts()
    }

    /// A record is one payload. (One that is compressed or aggregated would be opened here, and be one or several.)
    fn record<'r>(
        &mut self,
        shard: &'r ShardId,
        index: usize,
        record: &'r Record,
        scratch: &mut Scratch<'r>,
        dead_letters: &mut Vec<DeadLetter>,
    ) {
        let mut bin = Bin { shard, record, dead_letters, events: 0, letters: 0 };
        let size = record.data.len();
        if size > RECORD_BYTES_MAX {
            let message = format!("the record has {size} bytes, more than {RECORD_BYTES_MAX}");
            bin.throw(record.data.clone(), Rejection::new(Reason::TooLarge, message));
            return;
        }
        self.payload(index, &record.data, scratch, &mut bin);
    }

    fn payload<'r>(&mut self, record: usize, data: &'r Bytes, scratch: &mut Scratch<'r>, bin: &mut Bin<'_>) {
        for piece in forms::split(data) {
            let (range, verdict) = match piece {
                Piece::Event(range) => {
                    let verdict = self.rules.read(&data[range.clone()], scratch);
                    (range, verdict)
                }
                Piece::Broken { rest, message } => (rest, Err(Rejection::new(Reason::NotJson, message))),
            };
            match verdict {
                Ok(()) => {
                    self.rows.append(&scratch.event, bin.shard, bin.record, bin.events);
                    self.sources.push(EventSource { record, range });
                    bin.events += 1;
                    scratch.event.unknown.iter().for_each(|name| self.unknown.count(name));
                }
                Err(rejection) if bin.is_full() => {
                    let message =
                        format!("{}; too many bad events in one record: here is all the rest", rejection.message);
                    bin.throw(data.slice(range.start..), Rejection { message, ..rejection });
                    return;
                }
                Err(rejection) => bin.throw(data.slice(range), rejection),
            }
        }
    }
}

/// Where the bad events of one record go.
struct Bin<'a> {
    shard: &'a ShardId,
    record: &'a Record,
    dead_letters: &'a mut Vec<DeadLetter>,
    /// Events of the record so far, good and bad.
    events: i64,
    /// Bad events of the record so far.
    letters: usize,
}

impl Bin<'_> {
    /// Whether only one more dead letter may come from this record.
    fn is_full(&self) -> bool {
        self.letters + 1 >= DEAD_LETTERS_PER_RECORD_MAX
    }

    fn throw(&mut self, data: Bytes, rejection: Rejection) {
        self.dead_letters.push(DeadLetter {
            data,
            shard: Arc::clone(self.shard),
            sequence_number: Arc::clone(&self.record.sequence_number),
            sub_sequence_number: self.events,
            arrival_time: self.record.arrival_time,
            reason: rejection.reason,
            message: rejection.message,
        });
        self.events += 1;
        self.letters += 1;
    }
}
