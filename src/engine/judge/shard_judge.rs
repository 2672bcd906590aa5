//! One shard's events, judged in order.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringArray, TimestampMicrosecondArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Schema, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use serde::{Deserialize, Serialize};

use super::dedupe::{Dedupe, DedupeState};
use super::high_time::HighTime;
use super::recent_hours::RecentHours;
use super::skew::{Repair, SkewLimits};
use crate::error::Result;
use crate::schema::{Contract, EVENT_TIME_ORIGINAL, INGEST_TIME, SHARD_HIGH_TIME};
use crate::types::Micros;

/// What judgement needs to know, in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct JudgeOptions {
    /// Limits on clients' clocks.
    pub skew: SkewLimits,
    /// How long a silent shard is waited for.
    pub idle_timeout: Micros,
    /// How long ids are remembered, in watermark time.
    pub dedupe_horizon: Micros,
}

/// Totals of a shard since the start, in events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JudgeCounts {
    /// Rows that went on.
    pub kept: u64,
    /// Rows dropped as duplicates.
    pub duplicates: u64,
    /// Rows that became dead letters for their age.
    pub too_old: u64,
    /// Event times shifted by the client's own `sent_at`.
    pub shifted: u64,
    /// Event times set to the arrival time.
    pub clamped: u64,
}

impl std::ops::AddAssign for JudgeCounts {
    fn add_assign(&mut self, other: Self) {
        self.kept += other.kept;
        self.duplicates += other.duplicates;
        self.too_old += other.too_old;
        self.shifted += other.shifted;
        self.clamped += other.clamped;
    }
}

/// What a [`ShardJudge`] remembers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JudgeState {
    high: HighTime,
    dedupe: DedupeState,
    max_event_time: Option<Micros>,
    hours: RecentHours,
}

impl JudgeState {
    /// The ids that are remembered, to leave them out and to put them back.
    pub fn ids(&mut self) -> &mut DedupeState {
        &mut self.dedupe
    }

    /// The hours of event time that hold rows with these ids, if ids are remembered for `horizon`, and since when by high time.
    pub fn rows_of_ids(&self, horizon: Micros) -> (Vec<Micros>, Micros) {
        let since = self.high.get().map_or(Micros::MIN, |high| high.saturating_sub(horizon));
        (self.hours.since(since), since)
    }

    /// The latest event time accepted.
    pub fn max_event_time(&self) -> Option<Micros> {
        self.max_event_time
    }
}

/// A judged batch.
#[derive(Debug)]
pub struct Judged {
    /// All rows: event times repaired, `event_time_original` and `shard_high_time` set.
    pub events: RecordBatch,
    /// Which of them go on; `None`: all.
    pub kept: Option<BooleanArray>,
    /// Numbers, in the batch that was judged, of the rows that were too old.
    pub too_old: Vec<u32>,
}

impl Judged {
    /// The rows that go on. They are copied if some do not; who copies them anyway does better to look at `kept`.
    ///
    /// # Errors
    /// None that is known: Arrow filters a batch.
    pub fn into_kept(self) -> Result<RecordBatch> {
        match &self.kept {
            Some(kept) => Ok(filter_record_batch(&self.events, kept)?),
            None => Ok(self.events),
        }
    }
}

/// Judges the events of one shard.
#[derive(Debug)]
pub struct ShardJudge {
    // properties: constant
    limits: SkewLimits,
    idle_timeout: Micros,
    dedupe_horizon: Micros,
    columns: Columns,
    // state: mutable
    high: HighTime,
    dedupe: Dedupe,
    counts: JudgeCounts,
    max_event_time: Option<Micros>,
    hours: RecentHours,
}

#[derive(Debug)]
struct Columns {
    id: usize,
    time: usize,
    sent: Option<usize>,
    arrival: usize,
    original: usize,
    high: usize,
}

enum Verdict {
    Kept,
    Duplicate,
    TooOld,
}

impl ShardJudge {
    /// A judge of a shard of `contract`'s events.
    pub fn try_new(contract: &Contract, options: JudgeOptions) -> Result<Self> {
        let schema: Arc<Schema> = contract.events_schema();
        let columns = Columns {
            id: schema.index_of(contract.id_field())?,
            time: schema.index_of(contract.time_field())?,
            sent: contract.sent_field().map(|f| schema.index_of(f)).transpose()?,
            arrival: schema.index_of(INGEST_TIME)?,
            original: schema.index_of(EVENT_TIME_ORIGINAL)?,
            high: schema.index_of(SHARD_HIGH_TIME)?,
        };
        Ok(Self {
            limits: options.skew,
            idle_timeout: options.idle_timeout,
            dedupe_horizon: options.dedupe_horizon,
            columns,
            high: HighTime::new(options.idle_timeout),
            dedupe: Dedupe::new(options.dedupe_horizon),
            counts: JudgeCounts::default(),
            max_event_time: None,
            hours: RecentHours::default(),
        })
    }

    /// A copy of what later verdicts depend on.
    pub fn state(&self) -> JudgeState {
        self.state_with(self.dedupe.state(self.high.get()))
    }

    /// As [`state`](Self::state), with the ids left out, whose rows are in the lake.
    pub fn state_without_ids(&self) -> JudgeState {
        self.state_with(self.dedupe.state_without_ids(self.high.get()))
    }

    fn state_with(&self, dedupe: DedupeState) -> JudgeState {
        JudgeState { high: self.high.clone(), dedupe, max_event_time: self.max_event_time, hours: self.hours.clone() }
    }

    /// Goes on from a copy; the limits and the counts stay its own.
    pub fn restore(&mut self, state: JudgeState) {
        self.high.restore(&state.high);
        self.dedupe.restore(state.dedupe);
        self.max_event_time = state.max_event_time;
        self.hours = state.hours;
    }

    /// Judges `events` in their order.
    ///
    /// `arrivals` gives for each row the highest arrival time among the records up to and including its own, which may be
    /// higher than its own; without it the rows' own arrival times are what is known.
    pub fn judge(&mut self, events: &RecordBatch, arrivals: Option<&[Option<Micros>]>) -> Result<Judged> {
        self.judge_rows(events, arrivals, false)
    }

    /// Judges each of `events` as if it were the first of its shard: by what it says itself, since nothing is known of what came before
    /// it. So none is a duplicate, and the high time is what its own arrival says.
    pub fn judge_apart(&mut self, events: &RecordBatch) -> Result<Judged> {
        self.judge_rows(events, None, true)
    }

    fn judge_rows(&mut self, events: &RecordBatch, arrivals: Option<&[Option<Micros>]>, apart: bool) -> Result<Judged> {
        let view = View::new(events, &self.columns);
        let rows = events.num_rows();
        let mut out = Columnar::with_capacity(rows);
        let mut too_old = Vec::new();
        for row in 0..rows {
            if apart {
                self.high = HighTime::new(self.idle_timeout);
                self.dedupe = Dedupe::new(self.dedupe_horizon);
            }
            let arrived = arrivals.map_or_else(|| view.arrival(row), |a| a.get(row).copied().flatten());
            if let Some(arrived) = arrived {
                self.high.arrived(arrived);
            }
            let verdict = self.judge_row(&view, row, &mut out);
            match verdict {
                Verdict::Kept => self.counts.kept += 1,
                Verdict::Duplicate => self.counts.duplicates += 1,
                Verdict::TooOld => {
                    self.counts.too_old += 1;
                    too_old.push(row as u32);
                }
            }
            out.keep.push(matches!(verdict, Verdict::Kept));
        }
        let dropped = out.keep.iter().any(|k| !k);
        let kept = dropped.then(|| BooleanArray::from(std::mem::take(&mut out.keep)));
        Ok(Judged { events: out.replace_in(events, &self.columns)?, kept, too_old })
    }

    fn judge_row(&mut self, view: &View<'_>, row: usize, out: &mut Columnar) -> Verdict {
        let time = view.times.value(row);
        if let Some(high) = value(view.highs, row) {
            // From a lake: it was judged when it was read first, and keeps that verdict.
            out.push(time, value(view.originals, row), Some(high));
            self.max_event_time = self.max_event_time.max(Some(time));
            return Verdict::Kept;
        }
        let arrival = view.arrival(row);
        let carried = value(view.originals, row);
        let (repaired, original) = match (arrival, carried) {
            (Some(arrival), None) => match self.limits.repair(time, view.sent(row), arrival) {
                Repair::None => (time, None),
                Repair::Shifted(t) => {
                    self.counts.shifted += 1;
                    (t, Some(time))
                }
                Repair::Clamped(t) => {
                    self.counts.clamped += 1;
                    (t, Some(time))
                }
            },
            (_, carried) => (time, carried),
        };
        let high = self.high.get();
        out.push(repaired, original, high);
        if arrival.is_some_and(|a| self.limits.too_old(repaired, a)) {
            return Verdict::TooOld;
        }
        if !self.dedupe.is_new(view.ids.value(row), high) {
            return Verdict::Duplicate;
        }
        self.hours.saw(repaired, high, self.dedupe.horizon());
        self.high.accepted(repaired, arrival);
        self.max_event_time = self.max_event_time.max(Some(repaired));
        Verdict::Kept
    }

    /// The shard's high time begins no earlier than at `time`.
    pub fn begin_at(&mut self, time: Micros) {
        self.high.begin_at(time);
    }

    /// A record arrived that held no row, or the shard was found empty and caught up.
    pub fn arrived(&mut self, arrival: Micros) {
        self.high.arrived(arrival);
    }

    /// The shard's high time; `None` before anything is known.
    pub fn high_time(&self) -> Option<Micros> {
        self.high.get()
    }

    /// The latest event time accepted.
    pub fn max_event_time(&self) -> Option<Micros> {
        self.max_event_time
    }

    /// Totals since the start.
    pub fn counts(&self) -> JudgeCounts {
        self.counts
    }

    /// How many ids are remembered, and the memory that they take, in bytes.
    pub fn remembered_ids(&self) -> (usize, usize) {
        (self.dedupe.len(), self.dedupe.bytes())
    }
}

struct View<'a> {
    ids: &'a StringArray,
    times: &'a TimestampMicrosecondArray,
    sent: Option<&'a TimestampMicrosecondArray>,
    arrivals: &'a TimestampMicrosecondArray,
    originals: &'a TimestampMicrosecondArray,
    highs: &'a TimestampMicrosecondArray,
}

impl<'a> View<'a> {
    fn new(events: &'a RecordBatch, c: &Columns) -> Self {
        let time = |i: usize| events.column(i).as_primitive::<TimestampMicrosecondType>();
        Self {
            ids: events.column(c.id).as_string::<i32>(),
            times: time(c.time),
            sent: c.sent.map(time),
            arrivals: time(c.arrival),
            originals: time(c.original),
            highs: time(c.high),
        }
    }

    fn arrival(&self, row: usize) -> Option<Micros> {
        value(self.arrivals, row)
    }

    fn sent(&self, row: usize) -> Option<Micros> {
        self.sent.and_then(|s| value(s, row))
    }
}

fn value(array: &TimestampMicrosecondArray, row: usize) -> Option<Micros> {
    (!array.is_null(row)).then(|| array.value(row))
}

/// The three columns that judgement writes.
struct Columnar {
    keep: Vec<bool>,
    times: Vec<Micros>,
    originals: Vec<Option<Micros>>,
    highs: Vec<Option<Micros>>,
}

impl Columnar {
    fn with_capacity(rows: usize) -> Self {
        Self {
            keep: Vec::with_capacity(rows),
            times: Vec::with_capacity(rows),
            originals: Vec::with_capacity(rows),
            highs: Vec::with_capacity(rows),
        }
    }

    fn push(&mut self, time: Micros, original: Option<Micros>, high: Option<Micros>) {
        self.times.push(time);
        self.originals.push(original);
        self.highs.push(high);
    }

    fn replace_in(self, events: &RecordBatch, c: &Columns) -> Result<RecordBatch> {
        let mut columns: Vec<ArrayRef> = events.columns().to_vec();
        columns[c.time] = Arc::new(TimestampMicrosecondArray::from(self.times).with_timezone("UTC"));
        columns[c.original] = Arc::new(TimestampMicrosecondArray::from(self.originals).with_timezone("UTC"));
        columns[c.high] = Arc::new(TimestampMicrosecondArray::from(self.highs).with_timezone("UTC"));
        Ok(RecordBatch::try_new(events.schema(), columns)?)
    }
}
