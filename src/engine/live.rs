//! A live job: one task a shard, one where they meet, one that writes what is written as it is read.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::board::{Board, ShardStatus};
use super::combine::{Combine, ShardMessage};
use super::intake::Intake;
use super::pipelines::Pipelines;
use super::shard_stage::{ShardPartials, ShardStage};
use super::tables::{RawRows, RawTables, TableSummary, WindowTables};
use crate::clock::Clock;
use crate::decode::Provenance;
use crate::error::{Error, Result};
use crate::limits::{COMBINE_QUEUE_MAX, LAKE_QUEUE_BATCHES_MAX};
use crate::telemetry::metrics as names;
use crate::types::{MICROS_PER_SEC, Micros, ReadBatch, ShardId};

/// An empty, caught-up shard has told us about all records that arrived this long before it was asked.
const POLL_MARGIN: Micros = 2 * MICROS_PER_SEC;

/// How often files are looked at for their age.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// Reads a shard, in order.
pub trait ShardSource: Send {
    /// The shard's name.
    fn shard(&self) -> ShardId;

    /// The next records, possibly none; `None` when the shard was closed and is drained.
    fn next(&mut self) -> impl Future<Output = Result<Option<ReadBatch>>> + Send;
}

/// How a job ends.
#[derive(Debug, Clone, Default)]
pub struct Ending {
    /// The stream will get no more records: read to its end, then close every window.
    pub drain: CancellationToken,
    /// Stop reading now. Windows that are open are not complete and are not written.
    pub stop: CancellationToken,
}

/// What tasks of a job share.
struct Shared {
    pipelines: Arc<Pipelines>,
    board: Arc<Board>,
    ending: Ending,
    raw: Sender<RawRows>,
    combine: Sender<Message>,
}

enum Message {
    Shard(ShardMessage),
    Drained(ShardId),
}

/// Runs a job over `shards` until they are drained or it is stopped; what each table got.
///
/// # Errors
/// The first error of any task; the others are stopped then.
pub async fn run<S: ShardSource + 'static>(
    pipelines: Arc<Pipelines>,
    shards: Vec<S>,
    (raw_tables, window_tables): (RawTables, WindowTables),
    board: Arc<Board>,
    ending: Ending,
    clock: Arc<dyn Clock>,
) -> Result<Vec<TableSummary>> {
    let (raw, raw_rows) = channel(LAKE_QUEUE_BATCHES_MAX);
    let (to_combine, messages) = channel(COMBINE_QUEUE_MAX);
    let mut combine = Combine::try_new(Arc::clone(&pipelines))?;
    shards.iter().for_each(|s| combine.join(s.shard()));
    let mut tasks: JoinSet<Result<Vec<TableSummary>>> = JoinSet::new();
    tasks.spawn(write_raw(raw_tables, raw_rows, clock));
    let combining = Combining {
        combine,
        tables: window_tables,
        pipelines: Arc::clone(&pipelines),
        board: Arc::clone(&board),
        stop: ending.stop.clone(),
    };
    tasks.spawn(combining.run(messages));
    let shared = Arc::new(Shared { pipelines, board, ending: ending.clone(), raw, combine: to_combine });
    for source in shards {
        let shared = Arc::clone(&shared);
        tasks.spawn(async move { read_shard(source, &shared).await.map(|()| vec![]) });
    }
    // The last shard's copy closes the channels, which ends the other two.
    drop(shared);
    let mut summaries = Vec::new();
    let mut failed = None;
    while let Some(done) = tasks.join_next().await {
        match done.map_err(|e| Error::internal("a task of the job broke off").because(e)).flatten() {
            Ok(summary) => summaries.extend(summary),
            // Later errors are mostly channels that the first one closed.
            Err(e) => {
                ending.stop.cancel();
                failed.get_or_insert(e);
            }
        }
    }
    failed.map_or(Ok(summaries), Err)
}

async fn read_shard<S: ShardSource>(mut source: S, shared: &Shared) -> Result<()> {
    let shard = source.shard();
    let contract = Arc::clone(&shared.pipelines.contract);
    let mut reading = Reading {
        intake: Intake::try_new(contract, Provenance::Record, shared.pipelines.options.judge)?,
        stage: ShardStage::try_new(Arc::clone(&shared.pipelines))?,
        status: ShardStatus::default(),
        shard: Arc::clone(&shard),
    };
    let Ending { drain, stop } = &shared.ending;
    loop {
        // A read that is asked for after the last put, and comes back empty, has seen the end.
        let may_end = drain.is_cancelled();
        let read = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            read = source.next() => read.map_err(|e| e.at(format!("shard {shard}")))?,
        };
        let Some(read) = read else {
            reading.finish(shared).await?;
            return send(&shared.combine, Message::Drained(shard)).await;
        };
        reading.take(&read, shared).await?;
        if may_end && read.caught_up_and_empty() {
            return reading.finish(shared).await;
        }
    }
}

/// One shard's reading.
struct Reading {
    shard: ShardId,
    intake: Intake,
    stage: ShardStage,
    status: ShardStatus,
}

impl Reading {
    async fn take(&mut self, read: &ReadBatch, shared: &Shared) -> Result<()> {
        let mut seen = Vec::new();
        if read.records.is_empty() {
            if let (true, Some(polled)) = (read.caught_up_and_empty(), read.polled_at) {
                self.intake.idle_at(polled - POLL_MARGIN);
            }
        } else {
            let taken = self.intake.take(read)?;
            for letter in &taken.dead_letters {
                metrics::counter!(names::DEAD_LETTERS_TOTAL, "reason" => letter.reason.code()).increment(1);
            }
            if !taken.dead_letters.is_empty() {
                send(&shared.raw, RawRows::DeadLetters(taken.dead_letters)).await?;
            }
            if taken.events.num_rows() > 0 {
                send(&shared.raw, RawRows::Events(taken.events.clone())).await?;
                let processed = self.stage.process(&taken.events).await?;
                for (pipeline, rows) in processed.late {
                    send(&shared.raw, RawRows::Late(pipeline, rows)).await?;
                }
                seen = processed.seen;
            }
        }
        self.note(read);
        let watermark = self.intake.high_time().map(|h| h.saturating_sub(shared.pipelines.options.watermark_delay));
        self.status.watermark = watermark;
        let partials = watermark.map_or_else(|| Ok(ShardPartials::default()), |w| self.stage.close(w))?;
        self.post(shared);
        let message = ShardMessage { shard: Arc::clone(&self.shard), seen, partials, watermark };
        send(&shared.combine, Message::Shard(message)).await
    }

    /// The shard's end: everything that is open is handed over.
    async fn finish(&mut self, shared: &Shared) -> Result<()> {
        let partials = self.stage.close(Micros::MAX)?;
        self.status.drained = true;
        self.post(shared);
        let watermark = self.status.watermark;
        let message = ShardMessage { shard: Arc::clone(&self.shard), seen: vec![], partials, watermark };
        send(&shared.combine, Message::Shard(message)).await
    }

    fn note(&mut self, read: &ReadBatch) {
        self.status.reads += 1;
        self.status.records += read.records.len() as u64;
        self.status.bytes += read.records.iter().map(|r| r.data.len() as u64).sum::<u64>();
        self.status.lag_millis = read.millis_behind_latest.or(self.status.lag_millis);
    }

    fn post(&mut self, shared: &Shared) {
        (self.status.events_read, self.status.undecodable, self.status.judged) = self.intake.counts();
        self.status.pipelines = self.stage.counts();
        self.status.unknown_fields.clone_from(self.intake.unknown_fields());
        shared.board.shard(&self.shard, self.status.clone());
    }
}

async fn send<T>(to: &Sender<T>, message: T) -> Result<()> {
    to.send(message).await.map_err(|_| Error::internal("a task of the job ended before the others"))
}

async fn write_raw(
    mut tables: RawTables,
    mut rows: Receiver<RawRows>,
    clock: Arc<dyn Clock>,
) -> Result<Vec<TableSummary>> {
    let mut tick = tokio::time::interval(HOUSEKEEPING);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            next = rows.recv() => match next {
                Some(rows) => tables.write(rows).await?,
                None => return tables.close().await,
            },
            _ = tick.tick() => {
                tables.roll_due(clock.now()).await?;
                tables.report();
            }
        }
    }
}

/// The task where shards meet.
struct Combining {
    combine: Combine,
    tables: WindowTables,
    pipelines: Arc<Pipelines>,
    board: Arc<Board>,
    stop: CancellationToken,
}

impl Combining {
    async fn run(mut self, mut messages: Receiver<Message>) -> Result<Vec<TableSummary>> {
        while let Some(message) = messages.recv().await {
            let emissions = match message {
                Message::Shard(message) => self.combine.handle(message).await?,
                Message::Drained(shard) => self.combine.leave(&shard).await?,
            };
            self.write(emissions).await?;
            if let Some(watermark) = self.combine.watermark() {
                self.tables.advance(watermark).await?;
            }
        }
        if self.stop.is_cancelled() {
            tracing::info!(
                open_windows = self.combine.open_windows(),
                "stopped: windows that are not complete were not written"
            );
        } else {
            let emissions = self.combine.finish().await?;
            self.write(emissions).await?;
        }
        self.tables.close().await
    }

    async fn write(&mut self, emissions: Vec<super::combine::Emission>) -> Result<()> {
        for emission in emissions {
            self.tables.write(&emission).await?;
            if let Some(plan) = self.pipelines.plans.get(emission.pipeline) {
                self.board.emitted(&plan.name);
            }
        }
        self.tables.report();
        self.board.combined(self.combine.watermark(), self.combine.presence(), self.combine.ignored_touches());
        Ok(())
    }
}

impl ShardSource for crate::source::kinesis::ShardReader {
    fn shard(&self) -> ShardId {
        Arc::clone(Self::shard(self))
    }

    async fn next(&mut self) -> Result<Option<ReadBatch>> {
        Self::next(self).await
    }
}
