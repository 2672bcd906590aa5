//! The first half of a shard's task: records in, judged events and dead letters out.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;

use super::judge::{JudgeCounts, JudgeOptions, ShardJudge};
use crate::decode::{DeadLetter, Decoded, Decoder, Provenance, Reason};
use crate::error::Result;
use crate::schema::{Contract, INGEST_TIME, SEQUENCE_NUMBER, SHARD_ID, SUB_SEQUENCE_NUMBER};
use crate::types::{Micros, ReadBatch, format_micros};

/// Decodes and judges one shard, in its order.
#[derive(Debug)]
pub struct Intake {
    decoder: Decoder,
    judge: ShardJudge,
    events_read: u64,
    undecodable: u64,
}

/// What a read held.
#[derive(Debug)]
pub struct Taken {
    /// Judged events, with the contract's events schema.
    pub events: RecordBatch,
    /// What could not be decoded or was too old.
    pub dead_letters: Vec<DeadLetter>,
}

impl Intake {
    /// The intake of a shard of `contract`'s events.
    pub fn try_new(contract: Arc<Contract>, provenance: Provenance, options: JudgeOptions) -> Result<Self> {
        let judge = ShardJudge::try_new(&contract, options)?;
        Ok(Self { decoder: Decoder::new(contract, provenance), judge, events_read: 0, undecodable: 0 })
    }

    /// Takes a read in: decodes it, judges its events.
    pub fn take(&mut self, read: &ReadBatch) -> Result<Taken> {
        let decoded = self.decoder.decode(read)?;
        self.events_read += decoded.events_read;
        self.undecodable += decoded.dead_letters.len() as u64;
        let arrivals = highest_arrivals(read, &decoded);
        let judged = self.judge.judge(&decoded.events, arrivals.as_deref())?;
        if let Some(last) = read.records.iter().filter_map(|r| r.arrival_time).max() {
            // Records without an event count too.
            self.judge.arrived(last);
        }
        let mut dead_letters = decoded.dead_letters.clone();
        dead_letters.extend(judged.too_old.iter().filter_map(|&row| too_old(read, &decoded, row as usize)));
        Ok(Taken { events: judged.events, dead_letters })
    }

    /// Takes rows in that were decoded before: of a lake.
    pub fn take_rows(&mut self, rows: &RecordBatch) -> Result<Taken> {
        self.events_read += rows.num_rows() as u64;
        let judged = self.judge.judge(rows, None)?;
        Ok(Taken { events: judged.events, dead_letters: vec![] })
    }

    /// The shard was found empty and caught up as of `at`.
    pub fn idle_at(&mut self, at: Micros) {
        self.judge.arrived(at);
    }

    /// The shard's high time.
    pub fn high_time(&self) -> Option<Micros> {
        self.judge.high_time()
    }

    /// The latest event time accepted.
    pub fn max_event_time(&self) -> Option<Micros> {
        self.judge.max_event_time()
    }

    /// (events read, dead letters of the decoder, what the judge did).
    pub fn counts(&self) -> (u64, u64, JudgeCounts) {
        (self.events_read, self.undecodable, self.judge.counts())
    }

    /// How often each unknown field came.
    pub fn unknown_fields(&self) -> &std::collections::BTreeMap<String, u64> {
        self.decoder.unknown_fields()
    }
}

/// For each row the highest arrival time of the records up to its own; `None` if the records have no arrival times, so that
/// the rows' own are what is known.
fn highest_arrivals(read: &ReadBatch, decoded: &Decoded) -> Option<Vec<Option<Micros>>> {
    if read.records.iter().all(|r| r.arrival_time.is_none()) {
        return None;
    }
    let mut highest = None;
    let by_record: Vec<Option<Micros>> = read
        .records
        .iter()
        .map(|r| {
            highest = highest.max(r.arrival_time);
            highest
        })
        .collect();
    Some(decoded.sources.iter().map(|s| by_record.get(s.record).copied().flatten()).collect())
}

/// Where the row came from is in its columns: an event file may say more than its line number.
fn too_old(read: &ReadBatch, decoded: &Decoded, row: usize) -> Option<DeadLetter> {
    let source = decoded.sources.get(row)?;
    let record = read.records.get(source.record)?;
    let column = |name: &str| decoded.events.column_by_name(name);
    let text = |name: &str| Some(Arc::from(column(name)?.as_string::<i32>().value(row)));
    let arrivals = column(INGEST_TIME)?.as_primitive::<TimestampMicrosecondType>();
    let arrival = arrivals.is_valid(row).then(|| arrivals.value(row));
    let arrived = arrival.map_or_else(String::new, |a| format!(" at arrival, {}", format_micros(a)));
    Some(DeadLetter {
        data: record.data.slice(source.range.clone()),
        shard: text(SHARD_ID)?,
        sequence_number: text(SEQUENCE_NUMBER)?,
        sub_sequence_number: column(SUB_SEQUENCE_NUMBER)?.as_primitive::<Int64Type>().value(row),
        arrival_time: arrival,
        reason: Reason::TooOld,
        message: format!("the event is older than time.max_event_age_secs{arrived}"),
    })
}
