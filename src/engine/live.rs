//! A live job: one task a shard, one where they meet, one that writes what is written as it is read.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::board::Board;
use super::combine::{Combine, CombineState};
use super::job_state::{JobState, ShardState};
use super::pipelines::Pipelines;
use super::shard_task::{Message, ShardSource, Shared, hand_over, read_shard};
use super::tables::{RawRows, RawTables, TableSummary, WindowTables};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::limits::{COMBINE_QUEUE_MAX, LAKE_QUEUE_BATCHES_MAX};
use crate::types::ShardId;

/// How often files are looked at for their age.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// How a job ends.
#[derive(Debug, Clone, Default)]
pub struct Ending {
    /// The stream will get no more records: read to its end, then close every window.
    pub drain: CancellationToken,
    /// Read what the stream holds now, then stop.
    pub catch_up: CancellationToken,
    /// Stop reading now. What is open is handed back as the job's state.
    pub stop: CancellationToken,
}

/// What an ended job leaves.
#[derive(Debug)]
pub struct Ended {
    /// What each table got.
    pub tables: Vec<TableSummary>,
    /// What another run goes on from. (Of a job whose stream was drained it is of no use.)
    pub state: JobState,
}

/// Runs a job over `shards` until they are drained or it is stopped.
///
/// `from` is the state of an earlier run of the same pipelines: shards go on with theirs, and what is left of shards that are no
/// longer there is handed over. The sources must be where that state says.
///
/// # Errors
/// The first error of any task; the others are stopped then. Internal if `from` is of other pipelines.
pub async fn run<S: ShardSource + 'static>(
    pipelines: Arc<Pipelines>,
    shards: Vec<S>,
    from: Option<JobState>,
    (raw_tables, window_tables): (RawTables, WindowTables),
    board: Arc<Board>,
    ending: Ending,
    clock: Arc<dyn Clock>,
) -> Result<Vec<TableSummary>> {
    let (raw, raw_rows) = channel(LAKE_QUEUE_BATCHES_MAX);
    let (to_combine, messages) = channel(COMBINE_QUEUE_MAX);
    let JobState { shards: mut states, combine } = from.map_or_else(JobState::default, |state| state);
    let mut combine = match combine {
        Some(state) => Combine::resume(Arc::clone(&pipelines), state)?,
        None => Combine::try_new(Arc::clone(&pipelines))?,
    };
    shards.iter().for_each(|s| combine.join(s.shard()));
    let mut tasks: JoinSet<Result<Part>> = JoinSet::new();
    tasks.spawn(write_raw(raw_tables, raw_rows, clock));
    let combining = Combining {
        combine,
        tables: window_tables,
        pipelines: Arc::clone(&pipelines),
        board: Arc::clone(&board),
        suspended: suspends(&ending),
    };
    tasks.spawn(combining.run(messages));
    let shared = Arc::new(Shared { pipelines, board, ending: ending.clone(), raw, combine: to_combine });
    for source in shards {
        let (shared, state) = (Arc::clone(&shared), states.remove(&source.shard()));
        tasks.spawn(read_shard(source, state, shared));
    }
    for (shard, state) in states {
        tasks.spawn(hand_over(shard, state, Arc::clone(&shared)));
    }
    // The last shard's copy closes the channels, which ends the other two.
    drop(shared);
    let mut ended = Ended { tables: Vec::new(), state: JobState::default() };
    let mut failed = None;
    while let Some(done) = tasks.join_next().await {
        match done.map_err(|e| Error::internal("a task of the job broke off").because(e)).flatten() {
            Ok(Part::Tables(tables)) => ended.tables.extend(tables),
            Ok(Part::Combine(tables, state)) => {
                ended.tables.extend(tables);
                ended.state.combine = Some(*state);
            }
            Ok(Part::Shard(shard, state)) => drop(ended.state.shards.insert(shard, *state)),
            // Later errors are mostly channels that the first one closed.
            Err(e) => {
                ending.stop.cancel();
                failed.get_or_insert(e);
            }
        }
    }
    failed.map_or(Ok(ended), Err)
}

/// What a task of the job leaves.
pub(super) enum Part {
    Tables(Vec<TableSummary>),
    Combine(Vec<TableSummary>, Box<CombineState>),
    Shard(ShardId, Box<ShardState>),
}

/// Whether the job is suspended, not finished.
fn suspends(ending: &Ending) -> impl Fn() -> bool + Send + use<> {
    let ending = ending.clone();
    move || ending.stop.is_cancelled() || ending.catch_up.is_cancelled()
}

async fn write_raw(
    mut tables: RawTables,
    mut rows: Receiver<RawRows>,
    clock: Arc<dyn Clock>,
) -> Result<Part> {
    let mut tick = tokio::time::interval(HOUSEKEEPING);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            next = rows.recv() => match next {
                Some(rows) => tables.write(rows).await?,
                None => return tables.close().await.map(Part::Tables),
            },
            _ = tick.tick() => {
                tables.roll_due(clock.now()).await?;
                tables.report();
            }
        }
    }
}

/// The task where shards meet.
struct Combining<F> {
    combine: Combine,
    tables: WindowTables,
    pipelines: Arc<Pipelines>,
    board: Arc<Board>,
    /// Whether what is open waits for another run.
    suspended: F,
}

impl<F: Fn() -> bool> Combining<F> {
    async fn run(mut self, mut messages: Receiver<Message>) -> Result<Part> {
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
        if (self.suspended)() {
            tracing::info!(open_windows = self.combine.open_windows(), "stopped: what is open waits for the next start");
        } else {
            let emissions = self.combine.finish().await?;
            self.write(emissions).await?;
        }
        let state = Box::new(self.combine.state());
        Ok(Part::Combine(self.tables.close().await?, state))
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
