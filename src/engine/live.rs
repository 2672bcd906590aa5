//! A live job: one task a shard, one where they meet, one that writes what is written as it is read.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::board::{Board, CombineStatus};
use super::combine::{Combine, CombineState};
use super::commit_task::{Committing, MemoryWatch};
use super::commits::Committer;
use super::cut::{MetState, cuts};
use super::job_state::{JobState, ShardState};
use super::pipelines::Pipelines;
use super::shard_task::{Message, ShardSource, Shared, ToRaw, hand_over, read_shard};
use super::tables::{RawTables, TableSummary, WindowTables};
use crate::clock::Clock;
use crate::error::{Domain, Error, Result};
use crate::limits::{COMBINE_QUEUE_MAX, DRAIN_SECS_MAX, LAKE_QUEUE_BATCHES_MAX};
use crate::sink::lake::Move;
use crate::types::ShardId;

/// How often files are looked at for their age.
pub(super) const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// The queue of rows that are written as they are read, and their writer.
const RAW: &str = "raw";

/// The queue of shards' news.
const COMBINE: &str = "combine";

/// The writer of complete windows.
const WINDOWS: &str = "windows";

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

/// Where a job's rows go.
pub struct Tables {
    /// Written as they are read.
    pub raw: RawTables,
    /// Windows.
    pub windows: WindowTables,
    /// Who commits the job, and how often. None: its files count as soon as they are complete, and its state at its end.
    pub commits: Option<(Committer, Duration)>,
}

impl From<(RawTables, WindowTables)> for Tables {
    fn from((raw, windows): (RawTables, WindowTables)) -> Self {
        Self { raw, windows, commits: None }
    }
}

/// What an ended job leaves.
#[derive(Debug, Default)]
pub struct Ended {
    /// What each table got.
    pub tables: Vec<TableSummary>,
    /// What another run goes on from. (Of a job whose stream was drained it is of no use.)
    pub state: JobState,
    /// Who commits that state, if anybody committed the job.
    pub committer: Option<Committer>,
    /// Files that no commit names yet, until that one has them.
    files: Vec<Move>,
}

/// What a task of the job leaves.
pub(super) enum Part {
    Tables(Vec<TableSummary>, Vec<Move>),
    Combine(Vec<TableSummary>, Vec<Move>, Box<CombineState>),
    Shard(ShardId, Box<ShardState>),
    Commits(Box<Committer>),
}

impl Ended {
    /// What the tasks have left, and what they did not change of what the job began with.
    fn complete(mut self, begun: JobState) -> Self {
        let files = std::mem::take(&mut self.files);
        if let Some(committer) = &mut self.committer {
            committer.take_files(files);
        }
        let reached = self.state.reached().max(begun.reached);
        Self { state: JobState { reached, floors: begun.floors, ..self.state }, ..self }
    }

    fn add(&mut self, part: Part) {
        match part {
            Part::Tables(tables, files) => {
                self.tables.extend(tables);
                self.files.extend(files);
            }
            Part::Combine(tables, files, state) => {
                self.tables.extend(tables);
                self.files.extend(files);
                self.state.combine = Some(*state);
            }
            Part::Shard(shard, state) => {
                self.state.shards.insert(shard, *state);
            }
            Part::Commits(committer) => self.committer = Some(*committer),
        }
    }
}

/// Runs a job over `shards` until they have ended or it is stopped. Only the end of a drain closes windows that are not complete:
/// when all shards end by themselves, a reshard has closed them, and another run goes on with their children.
///
/// `from` is the state of an earlier run: shards and pipelines go on with theirs, those that it does not know begin without, and what is
/// left of shards that are no longer there is handed over. The sources must be where that state says.
///
/// # Errors
/// The first error of any task; the others are stopped then. Internal if `from` is of pipelines that are not there, or were others.
pub async fn run<S: ShardSource + 'static>(
    pipelines: Arc<Pipelines>,
    shards: Vec<S>,
    from: Option<JobState>,
    tables: impl Into<Tables>,
    board: Arc<Board>,
    ending: Ending,
    clock: Arc<dyn Clock>,
) -> Result<Ended> {
    let (raw, raw_rows) = channel(LAKE_QUEUE_BATCHES_MAX);
    let (to_combine, messages) = channel(COMBINE_QUEUE_MAX);
    let Tables { raw: raw_tables, windows: mut window_tables, commits } = tables.into();
    let JobState { shards: mut states, combine, reached, floors, gathered } = from.unwrap_or_default();
    for (table, rows) in gathered {
        window_tables.take_over(&table, rows).await?;
    }
    let begun = JobState { reached, floors, ..JobState::default() };
    let decided = combine.as_ref().and_then(CombineState::high_time);
    let mut combine = match combine {
        Some(state) => Combine::resume(Arc::clone(&pipelines), state)?,
        None => Combine::try_new(Arc::clone(&pipelines))?,
    };
    combine.give_up_before(|plan| begun.floors.of(plan, &pipelines));
    shards.iter().for_each(|s| combine.join(s.shard()));
    board.begin(&pipelines, shards.iter().map(ShardSource::shard));
    let mut tasks: JoinSet<Result<Part>> = JoinSet::new();
    let raw_writing = RawWriting { tables: raw_tables, board: Arc::clone(&board), clock: Arc::clone(&clock) };
    tasks.spawn(raw_writing.run(raw_rows));
    let combining = Combining {
        combine,
        tables: window_tables,
        pipelines: Arc::clone(&pipelines),
        board: Arc::clone(&board),
        clock: Arc::clone(&clock),
        ending: ending.clone(),
    };
    tasks.spawn(combining.run(messages));
    let side = commits.map(|(committer, interval)| {
        let (cuts, side) = cuts(shards.iter().map(ShardSource::shard).chain(states.keys().cloned()).collect());
        let (raw, combine, board, begun) = (raw.clone(), to_combine.clone(), Arc::clone(&board), begun.clone());
        let clock = Arc::clone(&clock);
        let memory = MemoryWatch::of(&pipelines.memory);
        tasks.spawn(Committing { cuts, committer, interval, raw, combine, begun, board, clock, memory }.run());
        side
    });
    let shared = Arc::new(Shared {
        pipelines,
        board: Arc::clone(&board),
        clock: Arc::clone(&clock),
        ending: ending.clone(),
        raw,
        combine: to_combine,
        decided,
        cuts: side,
    });
    for source in shards {
        let state = states.remove(&source.shard());
        tasks.spawn(read_shard(source, state, Arc::clone(&shared)));
    }
    for (shard, state) in states {
        tasks.spawn(hand_over(shard, state, Arc::clone(&shared)));
    }
    // The last shard's copy closes the channels, which ends the other two.
    drop(shared);
    let done = supervise(tasks, &board, &ending, clock.as_ref()).await;
    board.tick(clock.now());
    done.map(|ended| ended.complete(begun))
}

/// Waits for the tasks' end, which is soon when one of them has failed, and keeps the board's figures fresh meanwhile.
async fn supervise(
    mut tasks: JoinSet<Result<Part>>,
    board: &Board,
    ending: &Ending,
    clock: &dyn Clock,
) -> Result<Ended> {
    let mut tick = tokio::time::interval(HOUSEKEEPING);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ended = Ended::default();
    let mut failed = None;
    // Once a task has failed, the others are not waited for longer: one may be at a file that the lake does not take.
    let mut patience = std::pin::pin!(tokio::time::sleep(Duration::from_secs(DRAIN_SECS_MAX)));
    loop {
        let done = tokio::select! {
            () = &mut patience, if failed.is_some() => break,
            _ = tick.tick() => {
                board.tick(clock.now());
                continue;
            }
            done = tasks.join_next() => done,
        };
        let Some(done) = done else { break };
        match done.map_err(|e| Error::internal("a task of the job broke off").because(e)).flatten() {
            Ok(part) => ended.add(part),
            // Later errors are mostly channels that the first one closed; but its echo may be the faster.
            Err(e) if failed.as_ref().is_some_and(|f: &Error| !is_echo(f) || is_echo(&e)) => {
                tracing::debug!(error = %e, "another task of the job ended");
            }
            Err(e) => {
                tracing::error!(error = %e, "a task of the job failed: the others are stopped");
                board.failed(clock.now(), &e);
                ending.stop.cancel();
                if failed.is_none() {
                    patience.as_mut().reset(tokio::time::Instant::now() + Duration::from_secs(DRAIN_SECS_MAX));
                }
                failed = Some(e);
            }
        }
    }
    failed.map_or(Ok(ended), Err)
}

/// Whether it may be what a task says whose neighbour is gone.
fn is_echo(e: &Error) -> bool {
    e.domain() == Domain::Internal
}

/// The task that writes what is written as it is read.
struct RawWriting {
    tables: RawTables,
    board: Arc<Board>,
    clock: Arc<dyn Clock>,
}

impl RawWriting {
    async fn run(mut self, mut rows: Receiver<ToRaw>) -> Result<Part> {
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
                Some(Some(ToRaw::Rows(rows))) => self.tables.write(rows).await?,
                Some(Some(ToRaw::Cut(reply))) => {
                    self.tables.close().await?;
                    self.tables.post(&self.board);
                    // If nobody waits for it any more, the job is failing.
                    let _ = reply.send(self.tables.take_finished());
                }
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
        Ok(Part::Tables(summaries, self.tables.take_finished()))
    }
}

/// The task where shards meet.
struct Combining {
    combine: Combine,
    tables: WindowTables,
    pipelines: Arc<Pipelines>,
    board: Arc<Board>,
    clock: Arc<dyn Clock>,
    ending: Ending,
}

impl Combining {
    async fn run(mut self, mut messages: Receiver<Message>) -> Result<Part> {
        let board = Arc::clone(&self.board);
        // They are counted now and then, and not with every message: it takes longer than most of these.
        let mut tick = tokio::time::interval(HOUSEKEEPING);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let message = tokio::select! {
                message = messages.recv() => message,
                _ = tick.tick() => {
                    board.open_where_shards_meet(self.combine.open_windows());
                    continue;
                }
                inquiry = board.inquiries().next() => {
                    inquiry.answer(|table| self.combine.unclosed(table));
                    continue;
                }
            };
            let Some(message) = message else { break };
            self.board.queue(COMBINE, messages.len());
            let emissions = match message {
                Message::Shard(message) => self.combine.handle(message).await?,
                Message::Drained(shard) => self.combine.leave(&shard).await?,
                Message::Cut(reply) => {
                    let open = self.combine.open_windows();
                    board.open_where_shards_meet(open.clone());
                    let met = MetState {
                        combine: self.combine.state()?,
                        gathered: self.tables.gathered(),
                        status: CombineStatus { open, ..self.combine.status() },
                        files: self.tables.take_finished(),
                    };
                    // If nobody waits for it any more, the job is failing.
                    let _ = reply.send(met);
                    continue;
                }
            };
            self.write(emissions).await?;
        }
        if self.ending.drain.is_cancelled() {
            let emissions = self.combine.finish().await?;
            self.write(emissions).await?;
        } else {
            tracing::info!("stopped: windows that are not complete wait for the next start");
        }
        board.open_where_shards_meet(self.combine.open_windows());
        self.board.writing(WINDOWS, Some(self.clock.now()));
        let summaries = self.tables.close().await?;
        self.board.writing(WINDOWS, None);
        self.tables.post(&self.board);
        Ok(Part::Combine(summaries, self.tables.take_finished(), Box::new(self.combine.suspend()?)))
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
            let pipelines = &self.pipelines;
            let of_table = |plan| pipelines.watermark_of(plan, watermark);
            self.tables.advance(|pipeline| pipelines.plans.get(pipeline).map_or(watermark, of_table)).await?;
        }
        self.board.writing(WINDOWS, None);
        self.tables.post(&self.board);
        self.board.combined(self.combine.status());
        Ok(())
    }
}
