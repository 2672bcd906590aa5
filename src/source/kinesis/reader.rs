//! Reads one shard from a position to its end.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_kinesis::operation::get_records::GetRecordsOutput;
use aws_sdk_kinesis::operation::get_shard_iterator::builders::GetShardIteratorFluentBuilder;
use aws_sdk_kinesis::primitives::DateTime;
use aws_sdk_kinesis::types::ShardIteratorType;
use bytes::Bytes;
use tokio::time::Instant;
use xxhash_rust::xxh3::xxh3_64;

use super::client::Shared;
use super::counters::add;
use super::fault::Fault;
use super::options::StartPosition;
use super::pace::Pace;
use crate::aws::Backoff;
use crate::error::{Error, Result};
use crate::limits;
use crate::types::{MICROS_PER_SEC, Micros, ReadBatch, Record, ShardId, ShardPosition};

/// Where the next iterator starts.
#[derive(Debug, Clone)]
enum Position {
    Start(StartPosition),
    After(Arc<str>),
}

/// Reads one shard, in order, at the pace that the service allows.
///
/// ```text
///  TRIM_HORIZON / LATEST / AT_TIMESTAMP ──┐
///  AFTER_SEQUENCE_NUMBER (resume) ────────┴─► iterator ─► GetRecords ─► ReadBatch
///                                                ▲            │ position = last record's sequence number
///                             expired ───────────┘            └ no next iterator: closed and drained
/// ```
#[derive(Debug)]
pub struct ShardReader {
    // Properties
    shared: Arc<Shared>,
    shard: ShardId,
    origin: Instant,
    // State
    position: Position,
    iterator: Option<String>,
    drained: bool,
    pace: Pace,
    backoff: Backoff,
}

impl ShardReader {
    pub(super) fn new(shared: Arc<Shared>, shard: ShardId, from: Option<ShardPosition>, start: StartPosition) -> Self {
        let seed = shared.options.jitter_seed ^ xxh3_64(shard.as_bytes());
        Self {
            position: match from {
                None => Position::Start(start),
                Some(ShardPosition::Oldest) => Position::Start(StartPosition::TrimHorizon),
                Some(ShardPosition::At(t)) => Position::Start(StartPosition::AtTimestamp(t)),
                Some(ShardPosition::After(sequence_number)) => Position::After(sequence_number),
            },
            iterator: None,
            drained: false,
            pace: Pace::default(),
            backoff: Backoff::new(
                seed,
                shared.options.pauses(Duration::from_millis(limits::GET_RECORDS_GAP_MILLIS_MIN)),
            ),
            origin: Instant::now(),
            shared,
            shard,
        }
    }

    /// The shard being read.
    pub fn shard(&self) -> &ShardId {
        &self.shard
    }

    /// Where another reader would go on; none of one that starts at the tip until it was opened.
    pub fn position(&self) -> Option<ShardPosition> {
        match &self.position {
            Position::After(sequence_number) => Some(ShardPosition::After(Arc::clone(sequence_number))),
            Position::Start(StartPosition::TrimHorizon) => Some(ShardPosition::Oldest),
            Position::Start(StartPosition::AtTimestamp(t)) => Some(ShardPosition::At(*t)),
            Position::Start(StartPosition::Latest) => None,
        }
    }

    /// Waits for its turn and reads. A batch may be empty; `None` means that the shard is closed and everything in it was given out.
    ///
    /// May be dropped at any point of its wait, as `select!` does: nothing is lost or read twice.
    ///
    /// # Errors
    /// A user's error when the stream is missing, access is denied, or the position resumed from is not of this stream; a transient one when
    /// the service kept failing for as long as [`KinesisOptions::tries`](super::KinesisOptions::tries) take. After a transient error `next` may be called again.
    pub async fn next(&mut self) -> Result<Option<ReadBatch>> {
        loop {
            if self.drained {
                return Ok(None);
            }
            tokio::time::sleep(self.pace.wait(self.origin.elapsed())).await;
            let iterator = match &self.iterator {
                Some(iterator) => iterator.clone(),
                None => self.open_iterator().await?,
            };
            let Some((reply, polled_at)) = self.get_records(iterator).await? else { continue };
            let batch = self.take(reply, polled_at);
            // The last reply of a closed shard often has nothing in it: then this was the end.
            if self.drained && batch.records.is_empty() {
                return Ok(None);
            }
            return Ok(Some(batch));
        }
    }

    /// Asks the service for the place to begin at, if it was not asked yet: the first read needs not then. A reader that begins at the tip
    /// has a position from then on.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn open(&mut self) -> Result<()> {
        if self.iterator.is_none() && !self.drained {
            self.open_iterator().await?;
        }
        Ok(())
    }

    async fn open_iterator(&mut self) -> Result<String> {
        let asked_at = self.shared.clock.now();
        let request = self
            .shared
            .client
            .get_shard_iterator()
            .stream_name(&self.shared.options.stream_name)
            .shard_id(self.shard.as_ref());
        let request = self.position.of(request);
        let reply = self.shared.caller().call("GetShardIterator", &mut self.backoff, || request.clone().send()).await;
        let reply = reply.map_err(|failure| match (&self.position, failure.fault) {
            (Position::After(sequence_number), Fault::Refused) => {
                Error::user(format!("the stream does not know the saved position {sequence_number}"))
                    .at(format!("shard {} of {}", self.shard, self.shared.place))
                    .hint("the stream was created anew or is another one: start without saved positions")
                    .because(failure.error)
            }
            _ => failure.error,
        })?;
        let iterator = reply.shard_iterator.ok_or_else(|| {
            Error::external("GetShardIterator gave no iterator")
                .at(format!("shard {} of {}", self.shard, self.shared.place))
        })?;
        if matches!(self.position, Position::Start(StartPosition::Latest)) {
            // Should this iterator expire, or this process end, before a record came, "latest" would have moved on meanwhile.
            let since = asked_at - limits::LATEST_MARGIN_SECS * MICROS_PER_SEC;
            self.position = Position::Start(StartPosition::AtTimestamp(since));
        }
        self.iterator = Some(iterator.clone());
        Ok(iterator)
    }

    /// One read; `None` when the iterator had expired.
    async fn get_records(&mut self, iterator: String) -> Result<Option<(GetRecordsOutput, Micros)>> {
        let Self { shared, origin, pace, backoff, .. } = self;
        let mut polled_at = shared.clock.now();
        let request = shared.client.get_records().shard_iterator(iterator).limit(shared.options.records_per_read);
        let reply = shared
            .caller()
            .call("GetRecords", backoff, || {
                polled_at = shared.clock.now();
                pace.called(origin.elapsed(), Duration::ZERO);
                request.clone().send()
            })
            .await;
        match reply {
            Ok(reply) => Ok(Some((reply, polled_at))),
            Err(failure) if failure.fault == Fault::ExpiredIterator => {
                add(&shared.counters.expired_iterators, 1);
                self.iterator = None;
                Ok(None)
            }
            Err(failure) => Err(failure.error),
        }
    }

    /// Moves on over a reply, whatever is in its records.
    fn take(&mut self, reply: GetRecordsOutput, polled_at: Micros) -> ReadBatch {
        let limit = usize::try_from(self.shared.options.records_per_read).unwrap_or(usize::MAX);
        let millis_behind_latest = reply.millis_behind_latest();
        let mut bytes = 0;
        let records: Vec<Record> = reply
            .records
            .into_iter()
            .map(|record| {
                let data = Bytes::from(record.data.into_inner());
                bytes += (data.len() + record.partition_key.as_deref().map_or(0, str::len)) as u64;
                Record {
                    data,
                    sequence_number: record.sequence_number.into(),
                    arrival_time: record.approximate_arrival_timestamp.map(micros),
                }
            })
            .collect();
        if let Some(last) = records.last() {
            self.position = Position::After(Arc::clone(&last.sequence_number));
        }
        self.iterator = reply.next_shard_iterator.filter(|iterator| !iterator.is_empty());
        self.drained = self.iterator.is_none();

        let counters = &self.shared.counters;
        add(&counters.reads, 1);
        add(&counters.records_read, records.len() as u64);
        add(&counters.bytes_read, bytes);
        let now = self.origin.elapsed();
        self.pace.received(now, bytes);
        if millis_behind_latest.unwrap_or(0) == 0 && records.len() < limit {
            self.pace.called(now, self.shared.options.poll_interval);
        }
        ReadBatch { shard: Arc::clone(&self.shard), records, millis_behind_latest, polled_at: Some(polled_at) }
    }
}

impl Position {
    fn of(&self, request: GetShardIteratorFluentBuilder) -> GetShardIteratorFluentBuilder {
        use ShardIteratorType as Type;
        match self {
            Position::Start(StartPosition::TrimHorizon) => request.shard_iterator_type(Type::TrimHorizon),
            Position::Start(StartPosition::Latest) => request.shard_iterator_type(Type::Latest),
            Position::Start(StartPosition::AtTimestamp(at)) => request
                .shard_iterator_type(Type::AtTimestamp)
                .timestamp(DateTime::from_millis(at.div_euclid(MICROS_PER_SEC / 1_000))),
            Position::After(sequence_number) => request
                .shard_iterator_type(Type::AfterSequenceNumber)
                .starting_sequence_number(sequence_number.as_ref()),
        }
    }
}

fn micros(time: DateTime) -> Micros {
    time.secs().saturating_mul(MICROS_PER_SEC).saturating_add(Micros::from(time.subsec_nanos() / 1_000))
}
