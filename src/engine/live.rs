//! A live job: one task a shard, one where they meet, one that writes what is written as it is read.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::board::{Board, ShardStatus};
use super::combine::{Combine, ShardMessage};
use super::intake::Intake;
use super::pipelines::Pipelines;
use super::shard_stage::{ShardPartials, ShardStage};
use super::tables::{RawRows, RawTables, TableSummary, WindowTables};
use crate::clock::Clock;
use crate::decode::Provenance;
use crate::error::{Domain, Error, Result};
use crate::limits::{COMBINE_QUEUE_MAX, LAKE_QUEUE_BATCHES_MAX};
use crate::types::{MICROS_PER_SEC, Micros, ReadBatch, ShardId};

/// An empty, caught-up shard has told us about all records that arrived this long before it was asked.
const POLL_MARGIN: Micros = 2 * MICROS_PER_SEC;

/// How often files are looked at for their age.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// The queue of rows that are written as they are read, and their writer.
const RAW: &str = "raw";

/// The queue of shards' news.
const COMBINE: &str = "combine";

/// The writer of complete windows.
const WINDOWS: &str = "windows";

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
    clock: Arc<dyn Clock>,
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
    board.begin(&pipelines, shards.iter().map(ShardSource::shard));
    let mut tasks: JoinSet<Result<Vec<TableSummary>>> = JoinSet::new();
    let raw_writing = RawWriting { tables: raw_tables, board: Arc::clone(&board), clock: Arc::clone(&clock) };
    tasks.spawn(raw_writing.run(raw_rows));
    let combining = Combining {
        combine,
        tables: window_tables,
        pipelines: Arc::clone(&pipelines),
        board: Arc::clone(&board),
        clock: Arc::clone(&clock),
        stop: ending.stop.clone(),
    };
    tasks.spawn(combining.run(messages));
    let shared = Arc::new(Shared {
        pipelines,
        board: Arc::clone(&board),
        clock: Arc::clone(&clock),
        ending: ending.clone(),
        raw,
        combine: to_combine,
    });
    for source in shards {
        let shared = Arc::clone(&shared);
        tasks.spawn(async move { read_shard(source, &shared).await.map(|()| vec![]) });
    }
    // The last shard's copy closes the channels, which ends the other two.
    drop(shared);
    let done = supervise(tasks, &board, &ending, clock.as_ref()).await;
    board.tick(clock.now());
    done
}

/// Waits for the tasks' end, and keeps the board's figures fresh meanwhile.
async fn supervise(
    mut tasks: JoinSet<Result<Vec<TableSummary>>>,
    board: &Board,
    ending: &Ending,
    clock: &dyn Clock,
) -> Result<Vec<TableSummary>> {
    let mut tick = tokio::time::interval(HOUSEKEEPING);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut summaries = Vec::new();
    let mut failed = None;
    loop {
        let done = tokio::select! {
            _ = tick.tick() => {
                board.tick(clock.now());
                continue;
            }
            done = tasks.join_next() => done,
        };
        let Some(done) = done else { break };
        match done.map_err(|e| Error::internal("a task of the job broke off").because(e)).flatten() {
            Ok(summary) => summaries.extend(summary),
            // Later errors are mostly channels that the first one closed; but its echo may be the faster.
            Err(e) if failed.as_ref().is_some_and(|f: &Error| !is_echo(f) || is_echo(&e)) => {
                tracing::debug!(error = %e, "another task of the job ended");
            }
            Err(e) => {
                tracing::error!(error = %e, "a task of the job failed: the others are stopped");
                board.failed(clock.now(), &e);
                ending.stop.cancel();
                failed = Some(e);
            }
        }
    }
    failed.map_or(Ok(summaries), Err)
}

/// Whether it may be what a task says whose neighbour is gone.
fn is_echo(e: &Error) -> bool {
    e.domain() == Domain::Internal
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
    tracing::info!(shard = %shard, "shard opened");
    loop {
        // A read that is asked for after the last put, and comes back empty, has seen the end.
        let may_end = drain.is_cancelled();
        let read = tokio::select! {
            biased;
            () = stop.cancelled() => {
                reading.closed("stopped");
                return Ok(());
            }
            read = source.next() => read.map_err(|e| e.at(format!("shard {shard}")))?,
        };
        let Some(read) = read else {
            reading.finish(shared).await?;
            reading.closed("the shard has ended");
            return send(&shared.combine, Message::Drained(shard)).await;
        };
        reading.take(&read, shared).await?;
        if may_end && read.caught_up_and_empty() {
            reading.closed("the stream has ended");
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
                *self.status.dead_letters.entry(letter.reason.code()).or_default() += 1;
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
        self.note(read, shared.clock.now());
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

    fn closed(&self, why: &str) {
        let ShardStatus { records, events_read, .. } = &self.status;
        tracing::info!(shard = %self.shard, records, events = events_read, why, "shard closed");
    }

    fn note(&mut self, read: &ReadBatch, now: Micros) {
        self.status.reads += 1;
        self.status.last_read = Some(now);
        self.status.records += read.records.len() as u64;
        self.status.bytes += read.records.iter().map(|r| r.data.len() as u64).sum::<u64>();
        self.status.lag_millis = read.millis_behind_latest.or(self.status.lag_millis);
    }

    fn post(&mut self, shared: &Shared) {
        (self.status.events_read, self.status.undecodable, self.status.judged) = self.intake.counts();
        self.status.remembered_ids = self.intake.remembered_ids();
        self.status.pipelines = self.stage.counts();
        self.status.open = self.stage.open_windows();
        self.status.unknown_fields.clone_from(self.intake.unknown_fields());
        shared.board.shard(&self.shard, self.status.clone());
    }
}

async fn send<T>(to: &Sender<T>, message: T) -> Result<()> {
    to.send(message).await.map_err(|_| Error::internal("a task of the job ended before the others"))
}

/// The task that writes what is written as it is read.
struct RawWriting {
    tables: RawTables,
    board: Arc<Board>,
    clock: Arc<dyn Clock>,
}

impl RawWriting {
    async fn run(mut self, mut rows: Receiver<RawRows>) -> Result<Vec<TableSummary>> {
        let mut tick = tokio::time::interval(HOUSEKEEPING);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let next = tokio::select! {
                next = rows.recv() => Some(next),
                _ = tick.tick() => None,
            };
            self.board.writing(RAW, Some(self.clock.now()));
            self.board.queue(RAW, rows.len());
            match next {
                Some(Some(rows)) => self.tables.write(rows).await?,
                Some(None) => break,
                None => {
                    self.tables.roll_due(self.clock.now()).await?;
                    self.tables.post(&self.board);
                }
            }
            self.board.writing(RAW, None);
        }
        let summaries = self.tables.close().await?;
        self.board.writing(RAW, None);
        self.tables.post(&self.board);
        Ok(summaries)
    }
}

/// The task where shards meet.
struct Combining {
    combine: Combine,
    tables: WindowTables,
    pipelines: Arc<Pipelines>,
    board: Arc<Board>,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
}

impl Combining {
    async fn run(mut self, mut messages: Receiver<Message>) -> Result<Vec<TableSummary>> {
        while let Some(message) = messages.recv().await {
            self.board.queue(COMBINE, messages.len());
            let emissions = match message {
                Message::Shard(message) => self.combine.handle(message).await?,
                Message::Drained(shard) => self.combine.leave(&shard).await?,
            };
            self.write(emissions).await?;
        }
        if self.stop.is_cancelled() {
            let open_windows: usize = self.combine.status().open.iter().map(|o| o.ends.len()).sum();
            tracing::info!(open_windows, "stopped: windows that are not complete were not written");
        } else {
            let emissions = self.combine.finish().await?;
            self.write(emissions).await?;
        }
        self.board.writing(WINDOWS, Some(self.clock.now()));
        let summaries = self.tables.close().await?;
        self.board.writing(WINDOWS, None);
        self.tables.post(&self.board);
        Ok(summaries)
    }

    async fn write(&mut self, emissions: Vec<super::combine::Emission>) -> Result<()> {
        self.board.writing(WINDOWS, Some(self.clock.now()));
        for emission in emissions {
            self.tables.write(&emission).await?;
            if let Some(plan) = self.pipelines.plans.get(emission.pipeline) {
                self.board.emitted(&plan.name);
            }
        }
        if let Some(watermark) = self.combine.watermark() {
            self.tables.advance(watermark).await?;
        }
        self.board.writing(WINDOWS, None);
        self.tables.post(&self.board);
        self.board.combined(self.combine.status());
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
