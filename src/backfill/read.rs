//! The first pass: files are read shard by shard, decoded and judged; rows wait in buckets of time.

use std::collections::{BTreeSet, HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::BooleanArray;
use arrow::datatypes::SchemaRef;
use tokio::sync::mpsc::Sender;

use super::ahead::{DecodeAhead, Events};
use super::buffer::TimeBuckets;
use super::columns::WaitingColumns;
use super::options::Range;
use super::partials::PartialWindows;
use crate::dead_letters::NewLetters;
use crate::decode::{DeadLetter, Provenance};
use crate::engine::counters::Counters;
use crate::engine::intake::EVENT_IDS;
use crate::engine::judge::Judged;
use crate::engine::tables::RawRows;
use crate::engine::{Intake, Pipelines};
use crate::error::{Error, Result};
use crate::sink::lake::time_values;
use crate::source::file::{FileShard, FileShardReader, Progress};
use crate::types::{MICROS_PER_HOUR, Micros, ShardId, floor_to};

/// What the workers of the first pass share.
pub(super) struct Reading {
    pub pipelines: Arc<Pipelines>,
    pub schema: SchemaRef,
    pub columns: Arc<WaitingColumns>,
    pub range: Range,
    pub shards: Mutex<VecDeque<FileShard>>,
    /// Those of them that have files of JSON.
    pub of_lines: Arc<HashSet<ShardId>>,
    pub progress: Progress,
    pub events: AtomicU64,
    pub dead_letters: Sender<RawRows>,
    /// For letters of files that hold no event.
    pub now: Micros,
}

/// Where a worker's rows go.
pub(super) enum RowsTo {
    /// Into buckets of time, to wait for those of other shards.
    Buckets(TimeBuckets),
    /// Into windows at once.
    Windows(Box<PartialWindows>),
}

/// What one worker read.
pub(super) struct WorkerRead {
    pub rows: RowsTo,
    pub counters: Counters,
    pub span: Span,
    pub letters: NewLetters,
}

/// When the events of a backfill happened.
#[derive(Debug, Default)]
pub(super) struct Span {
    /// First and last event time.
    pub events: Option<(Micros, Micros)>,
    /// The hours that hold events.
    pub hours: BTreeSet<Micros>,
}

impl Span {
    fn widen(&mut self, times: &[Option<Micros>]) {
        let mut last_hour = None;
        for t in times.iter().copied().flatten() {
            let hour = floor_to(t, MICROS_PER_HOUR);
            if last_hour != Some(hour) {
                self.hours.insert(hour);
                last_hour = Some(hour);
            }
            self.events = Some(self.events.map_or((t, t), |(first, last)| (first.min(t), last.max(t))));
        }
    }

    /// Takes another worker's in.
    pub(super) fn add(&mut self, other: Self) {
        self.hours.extend(other.hours);
        if let Some((first, last)) = other.events {
            self.events = Some(self.events.map_or((first, last), |(f, l)| (f.min(first), l.max(last))));
        }
    }
}

impl Reading {
    /// Reads shards until none is left.
    pub(super) async fn work(self: Arc<Self>, rows: RowsTo) -> Result<WorkerRead> {
        let letters = NewLetters::of(Arc::clone(&self.of_lines));
        let mut to = WorkerRead { rows, counters: Counters::default(), span: Span::default(), letters };
        loop {
            let next = self.shards.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(shard) = next else { return Ok(to) };
            self.read_shard(shard, &mut to).await?;
        }
    }

    async fn read_shard(&self, shard: FileShard, to: &mut WorkerRead) -> Result<()> {
        let contract = Arc::clone(&self.pipelines.contract);
        let time = contract.time_field().to_owned();
        let mut intake = Intake::try_new(Arc::clone(&contract), Provenance::Row, self.pipelines.options.judge)?;
        let reader = FileShardReader::new(shard, Arc::clone(&self.schema), self.progress.clone());
        let mut reads = DecodeAhead::start(reader, &contract, &self.columns);
        let mut ids = self.pipelines.memory.reserve(EVENT_IDS);
        let mut early = Vec::new();
        while let Some(events) = reads.next().await? {
            let taken = match events {
                Events::Decoded(read, decoded) => intake.take_decoded(&read, decoded)?,
                Events::Rows(rows) => intake.take_rows(&rows)?,
            };
            ids.hold(intake.remembered_ids().1)?;
            early.extend(taken.dead_letters);
            if let Some(time) = intake.max_event_time() {
                self.bury(time, std::mem::take(&mut early), &mut to.letters).await?;
            }
            self.put(taken.judged, intake.high_time(), &time, to).await?;
        }
        if let RowsTo::Windows(windows) = &mut to.rows {
            windows.end_shard()?;
        }
        self.bury(self.range.from.unwrap_or(self.now), early, &mut to.letters).await?;
        let (read, undecodable, judged) = intake.counts();
        to.counters.add_shard(read, undecodable, &judged);
        Ok(())
    }

    async fn put(&self, judged: Judged, high: Option<Micros>, time: &str, to: &mut WorkerRead) -> Result<()> {
        let kept = judged.kept.as_ref();
        let rows = kept.map_or(judged.events.num_rows(), BooleanArray::true_count) as u64;
        if rows == 0 {
            return Ok(());
        }
        self.events.fetch_add(rows, Ordering::Relaxed);
        let times = time_values(&judged.events, time, None)?;
        let goes_on = |row: usize| kept.is_none_or(|kept| kept.value(row));
        let times: Vec<_> = times.iter().enumerate().map(|(row, &time)| goes_on(row).then_some(time)).collect();
        to.span.widen(&times);
        match &mut to.rows {
            // Rows that do not go on are left behind here: the buckets copy what they keep.
            RowsTo::Buckets(buckets) => buckets.push(self.columns.narrow(judged.events)?, &times),
            RowsTo::Windows(windows) => windows.take(&judged.into_kept()?, high).await,
        }
    }

    /// Files letters by their arrival, those without one with the events around them, at `time`. What is filed outside of the
    /// range is counted and not written: its hour stays as it is.
    async fn bury(&self, time: Micros, mut letters: Vec<DeadLetter>, noted: &mut NewLetters) -> Result<()> {
        letters.retain(|l| self.range.contains(l.arrival_time.unwrap_or(time)));
        letters.iter().for_each(|l| noted.add(l, l.arrival_time.unwrap_or(time)));
        if letters.is_empty() {
            return Ok(());
        }
        let sent = self.dead_letters.send(RawRows::DeadLetters { letters, undated: Some(time) }).await;
        sent.map_err(|_| Error::internal("the writer of dead letters ended before the reading"))
    }
}
