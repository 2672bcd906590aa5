//! One shard's task in a live job: records in, raw rows and partials out, state at the end.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::Sender;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::board::{Board, ShardStatus};
use super::combine::ShardMessage;
use super::cut::{MetState, ShardSide};
use super::intake::{EVENT_IDS, Intake};
use super::job_state::ShardState;
use super::live::{Ending, Part};
use super::pipelines::Pipelines;
use super::shard_stage::{ShardPartials, ShardStage};
use super::tables::RawRows;
use crate::clock::Clock;
use crate::decode::Provenance;
use crate::error::{Error, Result};
use crate::operator::memory::StateReservation;
use crate::sink::lake::Move;
use crate::types::{MICROS_PER_SEC, Micros, ReadBatch, ShardId, ShardPosition};

/// An empty, caught-up shard has told us about all records that arrived this long before it was asked.
const POLL_MARGIN: Micros = 2 * MICROS_PER_SEC;

/// How often a shard's open windows are counted while it is read: it takes longer than many a read.
const COUNTED_EVERY: Duration = Duration::from_secs(1);

/// Reads a shard, in order.
pub trait ShardSource: Send {
    /// The shard's name.
    fn shard(&self) -> ShardId;

    /// The next records, possibly none; `None` when the shard was closed and is drained.
    fn next(&mut self) -> impl Future<Output = Result<Option<ReadBatch>>> + Send;

    /// Where another reader would go on; none before the first read of one that starts at the tip.
    fn position(&self) -> Option<ShardPosition>;
}

impl ShardSource for crate::source::kinesis::ShardReader {
    fn shard(&self) -> ShardId {
        Arc::clone(Self::shard(self))
    }

    async fn next(&mut self) -> Result<Option<ReadBatch>> {
        Self::next(self).await
    }

    fn position(&self) -> Option<ShardPosition> {
        Self::position(self)
    }
}

/// What tasks of a job share.
pub(super) struct Shared {
    pub pipelines: Arc<Pipelines>,
    pub board: Arc<Board>,
    pub clock: Arc<dyn Clock>,
    pub ending: Ending,
    pub raw: Sender<ToRaw>,
    pub combine: Sender<Message>,
    /// The high time of the run before: by it was decided which windows are out.
    pub decided: Option<Micros>,
    /// None if the job commits at its end only.
    pub cuts: Option<ShardSide>,
}

/// What the writer of raw rows is told.
pub(super) enum ToRaw {
    Rows(RawRows),
    /// A cut: everything that came before is to be in finished files, those of them that no cut before was told of.
    Cut(oneshot::Sender<Vec<Move>>),
}

/// What the place where shards meet is told.
pub(super) enum Message {
    Shard(ShardMessage),
    Drained(ShardId),
    /// A cut, after everything that comes before it.
    Cut(oneshot::Sender<MetState>),
}

/// Reads a shard until the job ends, from `state` on.
pub(super) async fn read_shard<S: ShardSource>(
    source: S,
    state: Option<ShardState>,
    shared: Arc<Shared>,
) -> Result<Part> {
    let (shard, state) = read_to_end(source, state, &shared).await?;
    ended(shard, state, &shared).await
}

/// The shard's last word.
async fn ended(shard: ShardId, state: ShardState, shared: &Shared) -> Result<Part> {
    if let Some(cuts) = &shared.cuts {
        cuts.end(&shard, state.clone()).await?;
    }
    Ok(Part::Shard(shard, Box::new(state)))
}

async fn read_to_end<S: ShardSource>(
    mut source: S,
    state: Option<ShardState>,
    shared: &Shared,
) -> Result<(ShardId, ShardState)> {
    let shard = source.shard();
    let mut cuts = shared.cuts.clone();
    let mut reading = Reading::try_new(Arc::clone(&shard), state, shared)?;
    let Ending { drain, catch_up, stop } = &shared.ending;
    let from = source.position().map_or_else(|| "the tip".to_owned(), |position| position.to_string());
    tracing::info!(shard = %shard, from, "shard opened");
    loop {
        // A read that is asked for after the last put, and comes back empty, has seen the end.
        let may_end = drain.is_cancelled() || catch_up.is_cancelled();
        let read = tokio::select! {
            biased;
            () = stop.cancelled() => {
                reading.post_all(shared);
                reading.closed("stopped");
                return reading.suspend(source.position());
            }
            cut = requested(&mut cuts) => {
                reading.post_all(shared);
                let state = reading.state(source.position())?;
                if let Some(cuts) = &mut cuts {
                    cuts.stand(cut, &shard, state, stop).await?;
                }
                continue;
            }
            read = source.next() => read.map_err(|e| e.at(format!("shard {shard}")))?,
        };
        let Some(read) = read else {
            reading.finish(shared).await?;
            reading.closed("the shard has ended");
            send(&shared.combine, Message::Drained(Arc::clone(&shard))).await?;
            return Ok(reading.drained(source.position()));
        };
        reading.take(&read, shared).await?;
        if may_end && read.caught_up_and_empty() {
            if drain.is_cancelled() {
                reading.finish(shared).await?;
            }
            reading.post_all(shared);
            reading.closed(if drain.is_cancelled() { "the stream has ended" } else { "read to its tip" });
            return reading.suspend(source.position());
        }
    }
}

/// Waits until a cut is asked for.
async fn requested(cuts: &mut Option<ShardSide>) -> u64 {
    match cuts {
        Some(cuts) => cuts.requested().await,
        None => std::future::pending().await,
    }
}

/// What is left of a shard that is no longer read: its open windows go where the others' are.
pub(super) async fn hand_over(shard: ShardId, state: ShardState, shared: Arc<Shared>) -> Result<Part> {
    let position = state.position.clone();
    let last_event = state.last_event();
    if state.work.is_some() {
        let from = position.as_ref().map_or_else(|| "its tip".to_owned(), ToString::to_string);
        tracing::warn!(shard = %shard, from, "the stream has this shard no more: what it still held is not read");
        let mut reading = Reading::try_new(Arc::clone(&shard), Some(state), &shared)?;
        reading.finish(&shared).await?;
        send(&shared.combine, Message::Drained(Arc::clone(&shard))).await?;
    }
    ended(shard, ShardState::drained(position, last_event), &shared).await
}

/// One shard's reading.
struct Reading {
    shard: ShardId,
    intake: Intake,
    stage: ShardStage,
    status: ShardStatus,
    /// What the ids that it remembers take of the job's memory.
    ids: StateReservation,
    /// When its open windows are counted again.
    count_at: Instant,
}

impl Reading {
    fn try_new(shard: ShardId, state: Option<ShardState>, shared: &Shared) -> Result<Self> {
        let pipelines = &shared.pipelines;
        let mut intake = Intake::try_new(Arc::clone(&pipelines.contract), Provenance::Record, pipelines.options.judge)?;
        let stage = match state.and_then(|s| s.work) {
            None => {
                // A child of a shard that was read before: its events are late for what is out.
                if let Some(decided) = shared.decided {
                    intake.begin_at(decided);
                }
                None
            }
            Some(work) => {
                intake.restore(work.intake);
                work.stage
            }
        };
        let stage = match stage {
            Some(stage) => ShardStage::resume(Arc::clone(pipelines), stage)?,
            None => ShardStage::try_new(Arc::clone(pipelines))?,
        };
        let ids = pipelines.memory.reserve(EVENT_IDS);
        let mut reading = Self { shard, intake, stage, status: ShardStatus::default(), ids, count_at: Instant::now() };
        reading.status.watermark = reading.watermark(shared);
        reading.post(shared);
        Ok(reading)
    }

    fn watermark(&self, shared: &Shared) -> Option<Micros> {
        self.intake.high_time().map(|h| h.saturating_sub(shared.pipelines.options.watermark_delay))
    }

    async fn take(&mut self, read: &ReadBatch, shared: &Shared) -> Result<()> {
        let mut seen = Vec::new();
        if read.records.is_empty() {
            if let (true, Some(polled)) = (read.caught_up_and_empty(), read.polled_at) {
                self.intake.idle_at(polled - POLL_MARGIN);
            }
        } else {
            let taken = self.intake.take(read)?;
            self.ids.hold(self.intake.remembered_ids().1)?;
            for letter in &taken.dead_letters {
                *self.status.dead_letters.entry(letter.reason.code()).or_default() += 1;
            }
            if !taken.dead_letters.is_empty() {
                let letters = RawRows::DeadLetters { letters: taken.dead_letters, undated: None };
                send(&shared.raw, ToRaw::Rows(letters)).await?;
            }
            let events = taken.judged.into_kept()?;
            if events.num_rows() > 0 {
                send(&shared.raw, ToRaw::Rows(RawRows::Events(events.clone()))).await?;
                let processed = self.stage.process(&events).await?;
                for (pipeline, rows) in processed.late {
                    send(&shared.raw, ToRaw::Rows(RawRows::Late(pipeline, rows))).await?;
                }
                seen = processed.seen;
            }
        }
        self.note(read, shared.clock.now());
        let watermark = self.watermark(shared);
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
        self.post_all(shared);
        let watermark = self.status.watermark;
        let message = ShardMessage { shard: Arc::clone(&self.shard), seen: vec![], partials, watermark };
        send(&shared.combine, Message::Shard(message)).await
    }

    /// Everything that is open, between two reads. The ids of events are in the rows that were sent to the lake.
    fn state(&mut self, position: Option<ShardPosition>) -> Result<ShardState> {
        Ok(ShardState::suspended(position, self.intake.state_without_ids(), self.stage.state()?))
    }

    /// Everything that is open is put away.
    fn suspend(mut self, position: Option<ShardPosition>) -> Result<(ShardId, ShardState)> {
        let state = ShardState::suspended(position, self.intake.state(), self.stage.suspend()?);
        Ok((self.shard, state))
    }

    /// Everything that was open is handed over.
    fn drained(self, position: Option<ShardPosition>) -> (ShardId, ShardState) {
        (self.shard, ShardState::drained(position, self.intake.max_event_time()))
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

    /// Posts what a cut or an end is described by: with the windows that are open at just this moment.
    fn post_all(&mut self, shared: &Shared) {
        self.count_at = Instant::now();
        self.post(shared);
    }

    fn post(&mut self, shared: &Shared) {
        (self.status.events_read, self.status.undecodable, self.status.judged) = self.intake.counts();
        (self.status.remembered_ids, self.status.remembered_id_bytes) = self.intake.remembered_ids();
        self.status.pipelines = self.stage.counts();
        if Instant::now() >= self.count_at {
            self.status.open = self.stage.open_windows();
            self.count_at = Instant::now() + COUNTED_EVERY;
        }
        self.status.unknown_fields.clone_from(self.intake.unknown_fields());
        shared.board.shard(&self.shard, self.status.clone());
    }
}

async fn send<T>(to: &Sender<T>, message: T) -> Result<()> {
    to.send(message).await.map_err(|_| Error::internal("a task of the job ended before the others"))
}
