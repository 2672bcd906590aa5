//! The first pass: files are read shard by shard, decoded and judged; rows wait in buckets of time.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use tokio::sync::mpsc::Sender;

use super::buffer::TimeBuckets;
use super::options::Range;
use crate::decode::{DeadLetter, Provenance};
use crate::engine::counters::Counters;
use crate::engine::tables::RawRows;
use crate::engine::{Intake, Pipelines};
use crate::error::{Error, Result};
use crate::sink::lake::time_values;
use crate::source::file::{FileBatch, FileShard, FileShardReader, Progress};
use crate::types::Micros;

/// What the workers of the first pass share.
pub(super) struct Reading {
    pub pipelines: Arc<Pipelines>,
    pub schema: SchemaRef,
    pub range: Range,
    pub shards: Mutex<VecDeque<FileShard>>,
    pub progress: Progress,
    pub events: AtomicU64,
    pub dead_letters: Sender<RawRows>,
}

/// What one worker read.
pub(super) struct WorkerRead {
    pub buckets: TimeBuckets,
    pub counters: Counters,
    /// First and last event time.
    pub events: Option<(Micros, Micros)>,
}

impl Reading {
    /// Reads shards until none is left.
    pub(super) async fn work(self: Arc<Self>, mut buckets: TimeBuckets) -> Result<WorkerRead> {
        let mut counters = Counters::default();
        let mut events = None;
        loop {
            let next = self.shards.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(shard) = next else { return Ok(WorkerRead { buckets, counters, events }) };
            self.read_shard(shard, &mut buckets, &mut counters, &mut events).await?;
        }
    }

    async fn read_shard(
        &self,
        shard: FileShard,
        buckets: &mut TimeBuckets,
        counters: &mut Counters,
        events: &mut Option<(Micros, Micros)>,
    ) -> Result<()> {
        let contract = Arc::clone(&self.pipelines.contract);
        let time = contract.time_field().to_owned();
        let mut intake = Intake::try_new(contract, Provenance::Row, self.pipelines.options.judge)?;
        let mut reader = FileShardReader::new(shard, Arc::clone(&self.schema), self.progress.clone());
        while let Some(batch) = reader.next().await? {
            let taken = match &batch {
                FileBatch::Records(read) => intake.take(read)?,
                FileBatch::Rows(rows) => intake.take_rows(rows)?,
            };
            let rows = taken.events.num_rows() as u64;
            self.events.fetch_add(rows, Ordering::Relaxed);
            self.bury(&intake, taken.dead_letters).await?;
            if rows > 0 {
                let times = time_values(&taken.events, &time, None)?;
                *events = widened(*events, &times);
                buckets.push(taken.events, &times)?;
            }
        }
        let (read, undecodable, judged) = intake.counts();
        counters.add_shard(read, undecodable, &judged);
        Ok(())
    }

    /// A letter without an arrival time is filed with the events that came before it, so that a second backfill replaces it.
    /// One that is filed outside of the range is counted and not written: its hour stays as it is.
    async fn bury(&self, intake: &Intake, mut letters: Vec<DeadLetter>) -> Result<()> {
        if letters.is_empty() {
            return Ok(());
        }
        for letter in letters.iter_mut().filter(|l| l.arrival_time.is_none()) {
            letter.arrival_time = Some(intake.max_event_time().unwrap_or_default());
        }
        letters.retain(|l| self.range.contains(l.arrival_time.unwrap_or_default()));
        if letters.is_empty() {
            return Ok(());
        }
        let sent = self.dead_letters.send(RawRows::DeadLetters(letters)).await;
        sent.map_err(|_| Error::internal("the writer of dead letters ended before the reading"))
    }
}

fn widened(known: Option<(Micros, Micros)>, times: &[Micros]) -> Option<(Micros, Micros)> {
    let first = times.iter().min().copied()?;
    let last = times.iter().max().copied()?;
    Some(known.map_or((first, last), |(f, l)| (f.min(first), l.max(last))))
}
