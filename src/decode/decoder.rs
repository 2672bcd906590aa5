//! Records in, rows and dead letters out.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;

use super::ahead::{self, RECORDS_AHEAD};
use super::dead_letter::{DeadLetter, Reason, Rejection, number_within};
use super::forms::{self, Piece, Pieces};
use super::open::{Opened, Opener};
use super::rows::Rows;
use super::rules::{Rules, Scratch};
use super::unknown::UnknownFields;
use crate::limits::{
    DEAD_LETTERS_PER_PAYLOAD, DEAD_LETTERS_PER_RECORD_MAX, ENVELOPES_MAX, PAYLOAD_BYTES_PER_DEAD_LETTER,
    READ_BATCH_BYTES_MAX, RECORD_BYTES_MAX,
};
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
    /// The payloads of records that were opened: aggregated, compressed.
    opened: Vec<Bytes>,
    /// What could not be read, in its order.
    pub dead_letters: Vec<DeadLetter>,
    /// Rows and dead letters together.
    pub events_read: u64,
}

/// Where in a read an event's bytes are. (There is one for each event: numbers are as short as the limits of a read allow.)
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventSource {
    /// Index of the record.
    record: u32,
    /// Index among the payloads that were opened, if the record had to be.
    opened: Option<u32>,
    /// The event's bytes within the record, or within that payload.
    range: Range<u32>,
}

impl EventSource {
    /// Index of the record.
    pub fn record(&self) -> usize {
        self.record as usize
    }
}

impl Decoded {
    /// Takes in what was refused of the read before it was decoded.
    pub fn refuse(&mut self, dead_letters: Vec<DeadLetter>) {
        self.events_read += dead_letters.len() as u64;
        self.dead_letters.extend(dead_letters);
    }

    /// The bytes of the event of row `row`, of the read that was decoded: as they came, or as they were opened.
    pub fn bytes_of(&self, read: &ReadBatch, row: usize) -> Bytes {
        let bytes = self.sources.get(row).and_then(|source| {
            let payload = match source.opened {
                Some(index) => self.opened.get(index as usize)?,
                None => &read.records.get(source.record())?.data,
            };
            Some(payload.slice(source.range.start as usize..source.range.end as usize))
        });
        bytes.unwrap_or_default()
    }
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
    opened: Vec<Bytes>,
    unknown: UnknownFields,
}

impl Decoder {
    /// A decoder for the events of `contract`.
    pub fn new(contract: Arc<Contract>, provenance: Provenance) -> Self {
        Self {
            rules: Rules::new(Arc::clone(&contract), provenance),
            rows: Rows::new(contract),
            sources: Vec::new(),
            opened: Vec::new(),
            unknown: UnknownFields::default(),
        }
    }

    /// Leaves the texts of columns empty that are not `wanted`. They are read all the same: what is wrong with them is wrong with their event.
    pub fn without_texts(mut self, wanted: impl Fn(&str) -> bool) -> Self {
        self.rows.pass_by(wanted);
        self
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
        let mut opener = Opener::new();
        read.records.iter().take(RECORDS_AHEAD).for_each(ahead::fetch);
        for (index, record) in read.records.iter().enumerate() {
            if let Some(next) = read.records.get(index + RECORDS_AHEAD) {
                ahead::fetch(next);
            }
            let mut bin = Bin::new(&read.shard, record, &mut dead_letters);
            if record.data.len() > RECORD_BYTES_MAX {
                // Of a file it is the beginning only: how long it is nobody has counted.
                let message = format!("the record has more than {RECORD_BYTES_MAX} bytes");
                bin.throw(record.data.clone(), Rejection::new(Reason::TooLarge, message));
                continue;
            }
            self.record(index as u32, &mut scratch, &mut opener, &mut bin);
        }
        self.finish(dead_letters)
    }

    /// Decodes again what a dead letter holds: an event, or a whole record. `read` has one record, which is the letter's bytes with
    /// the sequence number and the arrival time of its record; `number` is the letter's own, by which its events are numbered
    /// ([`number_within`]); none, if there are no numbers for all of them. An event out of a compressed record may be larger than a record.
    ///
    /// # Errors
    /// None that is known: columns of one letter fit a batch.
    pub fn decode_letter(&mut self, read: &ReadBatch, number: i64) -> Result<Option<Decoded>> {
        let mut dead_letters = Vec::new();
        let mut scratch = self.rules.scratch();
        if let Some(record) = read.records.first() {
            let mut bin = Bin::new(&read.shard, record, &mut dead_letters);
            bin.letter = Some(number);
            self.record(0, &mut scratch, &mut Opener::new(), &mut bin);
        }
        let decoded = self.finish(dead_letters)?;
        let last = i64::try_from(decoded.events_read).unwrap_or(i64::MAX).saturating_sub(1).max(0);
        Ok(number_within(number, last).map(|_| decoded))
    }

    fn finish(&mut self, dead_letters: Vec<DeadLetter>) -> Result<Decoded> {
        let events = self.rows.finish()?;
        self.rules.try_lengths_again();
        let events_read = events.num_rows() as u64 + dead_letters.len() as u64;
        let (sources, opened) = (std::mem::take(&mut self.sources), std::mem::take(&mut self.opened));
        Ok(Decoded { events, sources, opened, dead_letters, events_read })
    }

    /// How often each unknown field came in accepted events so far. Names beyond `UNKNOWN_FIELD_NAMES_MAX`, and long ones,
    /// are counted together as [`super::OTHER_FIELDS`].
    pub fn unknown_fields(&self) -> &BTreeMap<String, u64> {
        self.unknown.counts()
    }

    /// Nearly all records are one payload; the others are opened.
    fn record<'r>(&mut self, index: u32, scratch: &mut Scratch<'r>, opener: &mut Opener, bin: &mut Bin<'r, '_>) {
        let record = bin.record;
        if Opener::is_open(&record.data) {
            return self.payload((index, None), &record.data, scratch, bin);
        }
        for opened in opener.open(&record.data) {
            match opened {
                Opened::Payload(data) => {
                    let place = (index, Some(self.opened.len() as u32));
                    self.payload(place, &data, &mut self.rules.scratch(), bin);
                    self.opened.push(data);
                }
                Opened::Closed(data, rejection) => bin.throw(data, rejection),
            }
        }
    }

    fn payload<'r>(
        &mut self,
        (record, opened): (u32, Option<u32>),
        data: &'r Bytes,
        scratch: &mut Scratch<'r>,
        bin: &mut Bin<'_, '_>,
    ) {
        let all = 0..data.len();
        bin.allow(data);
        // One plain object that is all of the payload, as nearly all are, or its first line: no need to look for the form.
        let plain =
            self.rules.read_plain_if(data, scratch, &mut self.rows, |end| end == all.end || forms::is_line(data, end));
        let pieces = match plain {
            Some(end) => {
                let first = if end == all.end { all.clone() } else { forms::trim(data, 0..end) };
                let verdict = self.judge(&data[first.clone()], scratch, bin, ENVELOPES_MAX);
                if self.settle((record, opened), first, verdict, data, bin).is_break() || end == all.end {
                    return;
                }
                Pieces::Lines(data, end)
            }
            None if bin.letter.is_some() => forms::split_letter(data),
            None => forms::split(data),
        };
        for piece in pieces {
            let (range, verdict) = match piece {
                Piece::Event(range) if range == all => (range, self.unusual(data, scratch, bin, ENVELOPES_MAX)),
                Piece::Event(range) => {
                    let verdict = self.event(&data[range.clone()], scratch, bin, ENVELOPES_MAX);
                    (range, verdict)
                }
                Piece::Broken { rest, message } => (rest, Err(Rejection::new(Reason::NotJson, message))),
            };
            if self.settle((record, opened), range, verdict, data, bin).is_break() {
                return;
            }
        }
    }

    /// Notes where an event was, good or bad. Breaks if no more may be taken from its payload.
    #[inline]
    fn settle(
        &mut self,
        (record, opened): (u32, Option<u32>),
        range: Range<usize>,
        verdict: Result<(), Rejection>,
        data: &Bytes,
        bin: &mut Bin<'_, '_>,
    ) -> ControlFlow<()> {
        match verdict {
            Ok(()) => {
                let range = range.start as u32..range.end as u32;
                self.sources.push(EventSource { record, opened, range });
                bin.events += 1;
            }
            Err(rejection) if bin.is_full() => {
                let message = format!("{}; too many bad events in one record: here is all the rest", rejection.message);
                bin.throw(data.slice(forms::rest_from(data, range.start)..), Rejection { message, ..rejection });
                return ControlFlow::Break(());
            }
            Err(rejection) => bin.throw(data.slice(range), rejection),
        }
        ControlFlow::Continue(())
    }

    /// Makes a row of an event, if it is one. What was packed as text in an envelope is read in its place, so often at most.
    fn event<'r>(
        &mut self,
        bytes: &'r [u8],
        scratch: &mut Scratch<'r>,
        bin: &Bin<'_, '_>,
        envelopes: usize,
    ) -> Result<(), Rejection> {
        if self.rules.read_plain(bytes, scratch, &mut self.rows) {
            self.judge(bytes, scratch, bin, envelopes)
        } else {
            self.unusual(bytes, scratch, bin, envelopes)
        }
    }

    /// The same, of one that is not plain.
    fn unusual<'r>(
        &mut self,
        bytes: &'r [u8],
        scratch: &mut Scratch<'r>,
        bin: &Bin<'_, '_>,
        envelopes: usize,
    ) -> Result<(), Rejection> {
        match self.rules.read_any(bytes, scratch, &mut self.rows) {
            Ok(()) => self.judge(bytes, scratch, bin, envelopes),
            Err(rejection) => {
                self.rows.undo();
                Err(rejection)
            }
        }
    }

    /// The same, of one that was read.
    #[inline]
    fn judge<'r>(
        &mut self,
        bytes: &'r [u8],
        scratch: &mut Scratch<'r>,
        bin: &Bin<'_, '_>,
        envelopes: usize,
    ) -> Result<(), Rejection> {
        let judged = self.rules.judge(bytes, scratch, &mut self.rows);
        if !matches!(judged, Ok(None)) {
            self.rows.undo();
        }
        if let Some(inner) = judged? {
            let Some(left) = envelopes.checked_sub(1) else {
                let message = format!("packed into more than {ENVELOPES_MAX} envelopes");
                return Err(Rejection::new(Reason::WrongType, message));
            };
            let mut scratch = self.rules.scratch();
            return self.event(&inner, &mut scratch, bin, left);
        }
        self.rows.commit(bin.shard, bin.record, bin.number());
        scratch.unknown.iter().for_each(|field| self.unknown.count(&field.name));
        Ok(())
    }
}

/// Where the bad events of one record go.
struct Bin<'r, 'a> {
    shard: &'r ShardId,
    record: &'r Record,
    dead_letters: &'a mut Vec<DeadLetter>,
    /// The number of the letter that is decoded again, if the record is one.
    letter: Option<i64>,
    /// Events of the record so far, good and bad.
    events: i64,
    /// Bad events of the record so far, and how many there may be.
    letters: usize,
    letters_max: usize,
}

impl<'r, 'a> Bin<'r, 'a> {
    fn new(shard: &'r ShardId, record: &'r Record, dead_letters: &'a mut Vec<DeadLetter>) -> Self {
        Self { shard, record, dead_letters, letter: None, events: 0, letters: 0, letters_max: 0 }
    }

    /// The number of the next event.
    fn number(&self) -> i64 {
        match self.letter {
            Some(letter) => number_within(letter, self.events).unwrap_or(letter),
            None => self.events,
        }
    }

    /// A payload of the record may have dead letters, by its length. One that is read again, alone, may have as many as any: it may be the rest
    /// of a payload that had too many.
    fn allow(&mut self, payload: &[u8]) {
        let more = match self.letter {
            None => DEAD_LETTERS_PER_PAYLOAD + payload.len() / PAYLOAD_BYTES_PER_DEAD_LETTER,
            Some(_) => DEAD_LETTERS_PER_RECORD_MAX,
        };
        self.letters_max = (self.letters_max + more).min(DEAD_LETTERS_PER_RECORD_MAX);
    }

    /// Whether only one more dead letter may come from this record.
    fn is_full(&self) -> bool {
        self.letters + 1 >= self.letters_max
    }

    fn throw(&mut self, data: Bytes, rejection: Rejection) {
        self.dead_letters.push(DeadLetter {
            data,
            shard: Arc::clone(self.shard),
            sequence_number: Arc::clone(&self.record.sequence_number),
            sub_sequence_number: self.number(),
            arrival_time: self.record.arrival_time,
            reason: rejection.reason,
            message: rejection.message,
        });
        self.events += 1;
        self.letters += 1;
    }
}
