//! The first half of a shard's task: records in, judged events and dead letters out.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::judge::{JudgeCounts, JudgeOptions, JudgeState, Judged, ShardJudge};
use crate::decode::{DeadLetter, Decoded, Decoder, Provenance, Reason};
use crate::error::{Error, Result};
use crate::limits::SHARDS_PER_FILE_MAX;
use crate::operator::window::rows_by_number;
use crate::schema::{Contract, INGEST_TIME, Kind, SEQUENCE_NUMBER, SHARD_ID, SUB_SEQUENCE_NUMBER};
use crate::types::{Micros, ReadBatch, format_micros};

/// What the ids that an intake remembers are called among what takes memory.
pub const EVENT_IDS: &str = "remembered event ids";

/// Decodes and judges one shard, in its order.
#[derive(Debug)]
pub struct Intake {
    decoder: Decoder,
    judge: ShardJudge,
    /// Where rows name their shard themselves: a judge for each name but the first.
    others: HashMap<String, ShardJudge>,
    first: Option<String>,
    contract: Arc<Contract>,
    options: JudgeOptions,
    by_row: bool,
    events_read: u64,
    undecodable: u64,
}

/// What the intake of a stream's shard remembers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct IntakeState {
    judge: JudgeState,
}

impl IntakeState {
    /// What its judge remembers.
    pub(super) fn judge(&mut self) -> &mut JudgeState {
        &mut self.judge
    }

    /// The latest event time accepted.
    pub fn max_event_time(&self) -> Option<Micros> {
        self.judge.max_event_time()
    }
}

/// What a read held.
#[derive(Debug)]
pub struct Taken {
    /// Judged events, with the contract's events schema.
    pub judged: Judged,
    /// What could not be decoded or was too old.
    pub dead_letters: Vec<DeadLetter>,
}

impl Intake {
    /// The intake of a shard of `contract`'s events.
    pub fn try_new(contract: Arc<Contract>, provenance: Provenance, options: JudgeOptions) -> Result<Self> {
        Ok(Self {
            judge: ShardJudge::try_new(&contract, options)?,
            others: HashMap::new(),
            first: None,
            decoder: Decoder::new(Arc::clone(&contract), provenance),
            contract,
            options,
            by_row: provenance == Provenance::Row,
            events_read: 0,
            undecodable: 0,
        })
    }

    /// A copy of what the shard's own judge remembers. (Rows that name other shards come from files, which need no state.)
    pub fn state(&self) -> IntakeState {
        IntakeState { judge: self.judge.state() }
    }

    /// As [`state`](Self::state), with the ids left out, whose rows are in the lake.
    pub fn state_without_ids(&self) -> IntakeState {
        IntakeState { judge: self.judge.state_without_ids() }
    }

    /// Goes on from a copy.
    pub fn restore(&mut self, state: IntakeState) {
        self.judge.restore(state.judge);
    }

    /// Takes a read in: decodes it, judges its events.
    pub fn take(&mut self, read: &ReadBatch) -> Result<Taken> {
        let decoded = self.decoder.decode(read)?;
        self.take_decoded(read, decoded)
    }

    /// As [`Self::take`], of a read that was decoded elsewhere.
    pub fn take_decoded(&mut self, read: &ReadBatch, decoded: Decoded) -> Result<Taken> {
        self.events_read += decoded.events_read;
        self.undecodable += decoded.dead_letters.len() as u64;
        let arrivals = highest_arrivals(read, &decoded);
        let judged = self.judge(&decoded.events, arrivals.as_deref())?;
        if let Some(last) = read.records.iter().filter_map(|r| r.arrival_time).max() {
            // Records without an event count too.
            self.judge.arrived(last);
        }
        let too_old = judged.too_old.iter().filter_map(|&row| {
            let row = row as usize;
            too_old(&decoded.events, row, decoded.bytes_of(read, row))
        });
        let too_old: Vec<DeadLetter> = too_old.collect();
        let mut dead_letters = decoded.dead_letters;
        dead_letters.extend(too_old);
        Ok(Taken { judged, dead_letters })
    }

    /// Takes rows in that were decoded before: of a lake.
    pub fn take_rows(&mut self, rows: &RecordBatch) -> Result<Taken> {
        self.events_read += rows.num_rows() as u64;
        let judged = self.judge(rows, None)?;
        let letters = judged.too_old.iter().filter_map(|&row| {
            let row = row as usize;
            too_old(rows, row, row_as_json(&self.contract, rows, row))
        });
        Ok(Taken { dead_letters: letters.collect(), judged })
    }

    /// Judges a batch; where rows name their shard, each shard's rows by its own judge.
    fn judge(&mut self, events: &RecordBatch, arrivals: Option<&[Option<Micros>]>) -> Result<Judged> {
        let names = self.shards_of(events);
        if names.iter().all(|(name, _)| self.first.as_ref() == Some(name)) {
            return self.judge.judge(events, arrivals);
        }
        let mut kept = Vec::new();
        let mut too_old = Vec::new();
        for (name, rows) in names {
            let arrivals: Option<Vec<_>> =
                arrivals.map(|a| rows.iter().map(|&r| a.get(r as usize).copied().flatten()).collect());
            let part = rows_by_number(events, &rows)?;
            let judged = self.judge_of(name)?.judge(&part, arrivals.as_deref())?;
            too_old.extend(judged.too_old.iter().filter_map(|&i| rows.get(i as usize).copied()));
            kept.push(judged.into_kept()?);
        }
        too_old.sort_unstable();
        Ok(Judged { events: concat_batches(&events.schema(), &kept)?, kept: None, too_old })
    }

    /// The rows of each shard in a batch, in the order of their first rows; one nameless shard where rows do not name theirs.
    fn shards_of(&mut self, events: &RecordBatch) -> Vec<(String, Vec<u32>)> {
        let Some(column) = events.column_by_name(SHARD_ID).filter(|_| self.by_row) else { return vec![] };
        let column = column.as_string::<i32>();
        let mut shards: Vec<(String, Vec<u32>)> = Vec::new();
        let mut places: HashMap<&str, usize> = HashMap::new();
        let mut last = None;
        for (row, name) in column.iter().enumerate() {
            let name = name.unwrap_or_default();
            // Mostly they are all of one shard.
            let place = match last {
                Some((known, place)) if known == name => place,
                _ => *places.entry(name).or_insert_with(|| {
                    shards.push((name.to_owned(), Vec::new()));
                    shards.len() - 1
                }),
            };
            last = Some((name, place));
            shards[place].1.push(row as u32);
        }
        if self.first.is_none() {
            self.first = shards.first().map(|(name, _)| name.clone());
        }
        shards
    }

    fn judge_of(&mut self, name: String) -> Result<&mut ShardJudge> {
        if self.first.as_ref() == Some(&name) {
            return Ok(&mut self.judge);
        }
        if self.others.len() >= SHARDS_PER_FILE_MAX && !self.others.contains_key(&name) {
            return Err(Error::user(format!("the events of one file name more than {SHARDS_PER_FILE_MAX} shards"))
                .at(format!("shard_id {name:?}"))
                .hint(
                    "shard_id is the shard that the event was read from; leave the field out if it is something else",
                ));
        }
        Ok(match self.others.entry(name) {
            Entry::Occupied(e) => e.into_mut(),
            Entry::Vacant(e) => e.insert(ShardJudge::try_new(&self.contract, self.options)?),
        })
    }

    /// A shard of a job whose windows up to `time` less the watermark's delay are out: what is late by them is late here.
    pub fn begin_at(&mut self, time: Micros) {
        self.judge.begin_at(time);
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
        self.others.values().map(ShardJudge::max_event_time).fold(self.judge.max_event_time(), Ord::max)
    }

    /// (events read, dead letters of the decoder, what the judge did).
    pub fn counts(&self) -> (u64, u64, JudgeCounts) {
        let mut counts = self.judge.counts();
        self.others.values().for_each(|judge| counts += judge.counts());
        (self.events_read, self.undecodable, counts)
    }

    /// How many event ids are remembered, and the memory that they take, in bytes.
    pub fn remembered_ids(&self) -> (usize, usize) {
        let of_each = self.others.values().chain([&self.judge]).map(ShardJudge::remembered_ids);
        of_each.fold((0, 0), |(ids, bytes), (more, their)| (ids + more, bytes + their))
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
    Some(decoded.sources.iter().map(|s| by_record.get(s.record()).copied().flatten()).collect())
}

/// A row that was too old, with its bytes. Where it came from is in its columns: an event file may say more than its line number.
pub(crate) fn too_old(events: &RecordBatch, row: usize, data: Bytes) -> Option<DeadLetter> {
    let column = |name: &str| events.column_by_name(name);
    let text = |name: &str| Some(Arc::from(column(name)?.as_string::<i32>().value(row)));
    let arrivals = column(INGEST_TIME)?.as_primitive::<TimestampMicrosecondType>();
    let arrival = arrivals.is_valid(row).then(|| arrivals.value(row));
    let arrived = arrival.map_or_else(String::new, |a| format!(" at arrival, {}", format_micros(a)));
    Some(DeadLetter {
        data,
        shard: text(SHARD_ID)?,
        sequence_number: text(SEQUENCE_NUMBER)?,
        sub_sequence_number: column(SUB_SEQUENCE_NUMBER)?.as_primitive::<Int64Type>().value(row),
        arrival_time: arrival,
        reason: Reason::TooOld,
        message: format!("the event is older than time.max_event_age_secs{arrived}"),
    })
}

/// A row as JSON, where it came as a row: an event that decodes to it.
fn row_as_json(contract: &Contract, events: &RecordBatch, row: usize) -> Bytes {
    let mut object = serde_json::Map::new();
    for (field, column) in events.schema_ref().fields().iter().zip(events.columns()) {
        if column.is_null(row) {
            continue;
        }
        let is_json = contract.field(field.name()).is_some_and(|f| f.kind == Kind::Json);
        let value = match field.data_type() {
            DataType::Utf8 if is_json => {
                let text = column.as_string::<i32>().value(row);
                serde_json::from_str(text).unwrap_or_else(|_| text.into())
            }
            DataType::Utf8 => column.as_string::<i32>().value(row).into(),
            DataType::Int32 => column.as_primitive::<Int32Type>().value(row).into(),
            DataType::Int64 => column.as_primitive::<Int64Type>().value(row).into(),
            DataType::Boolean => column.as_boolean().value(row).into(),
            DataType::Timestamp(_, _) => {
                format_micros(column.as_primitive::<TimestampMicrosecondType>().value(row)).into()
            }
            _ => continue,
        };
        object.insert(field.name().clone(), value);
    }
    serde_json::Value::from(object).to_string().into()
}
