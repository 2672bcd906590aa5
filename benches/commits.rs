//! `cargo bench --bench commits`: what commits cost a job at full load, and how long a start takes that has many sessions open.
//!
//! | figure | what is measured |
//! |---|---|
//! | `throughput` | events a second of a whole job, from records in memory to a lake in a temporary folder, without commits and with one every ten seconds, by turns |
//! | `restart` | a million sessions are open and committed; from the start of the next run to the first row of a window that it completes |
//!
//! `HEADCOUNT_BENCH_SECS` is how long each run of the first takes (25), `HEADCOUNT_BENCH_SESSIONS` how many sessions the second has
//! (1,000,000). The figures are printed: one run is one figure, and its spread is that of the machine.
#![allow(clippy::expect_used, clippy::panic, reason = "a benchmark without its input cannot go on")]

mod workload;

use std::fmt::Display;
use std::io::Write;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use headcount::clock::{Clock, SystemClock};
use headcount::config::OnChangedPipeline;
use headcount::engine::Pipelines;
use headcount::engine::board::Board;
use headcount::engine::changes;
use headcount::engine::commits::{CommitOf, CommitOptions, Committer};
use headcount::engine::left_out::put_back;
use headcount::engine::live::{self, Ended, Ending, Tables};
use headcount::engine::shard_task::ShardSource;
use headcount::engine::tables::{TableOptions, Target, open_tables};
use headcount::engine::take_over::TakeOver;
use headcount::sink::lake::{CheckpointStore, Lake, LakeOptions, RollPolicy, Uncommitted};
use headcount::types::{MICROS_PER_MINUTE, Micros, ReadBatch, Record, ShardId, ShardPosition, format_micros};

/// The allocator of the program: it is part of what is measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SHARDS: u64 = 4;
const RECORDS_PER_READ: u64 = 5_000;
/// 2026-01-31T18:00:00Z
const START: Micros = 1_769_882_400_000_000;
const INTERVAL: Duration = Duration::from_secs(10);

/// Heartbeats of so many sessions, each after the other, as fast as they are read.
struct Heartbeats {
    shard: ShardId,
    /// Number of the next event.
    next: u64,
    until: u64,
    sessions: u64,
    /// Event time between two.
    step: Micros,
}

impl ShardSource for Heartbeats {
    fn shard(&self) -> ShardId {
        Arc::clone(&self.shard)
    }

    async fn next(&mut self) -> headcount::Result<Option<ReadBatch>> {
        let first = self.next;
        self.next = self.until.min(first + RECORDS_PER_READ);
        if first == self.next {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // A source without a pause between reads must let others have their turn.
        tokio::task::yield_now().await;
        let records = (first..self.next).map(|n| self.record(n)).collect();
        let millis_behind_latest = Some(i64::from(self.next < self.until));
        Ok(Some(ReadBatch { shard: self.shard(), records, millis_behind_latest, polled_at: None }))
    }

    fn position(&self) -> Option<ShardPosition> {
        Some(ShardPosition::After(self.next.to_string().into()))
    }
}

impl Heartbeats {
    fn record(&self, n: u64) -> Record {
        let mut data = Vec::with_capacity(256);
        let (shard, session) = (&self.shard, n % self.sessions);
        let time = START + self.step * Micros::try_from(n).unwrap_or(0);
        let written = write!(
            data,
            r#"{{"schema_version":"1","event_id":"{shard}-{n:012}","event_type":"view.heartbeat","event_time":"{}","stream_id":"stream-{:04}","session_id":"{shard}-{session:08}"}}"#,
            format_micros(time),
            session % 1_000,
        );
        written.expect("a vector takes everything");
        Record { data: data.into(), sequence_number: (n + 1).to_string().into(), arrival_time: Some(time) }
    }
}

/// Sources that go on at the events of these numbers.
fn sources(from: u64, until: u64, sessions: u64, step: Micros) -> Vec<Heartbeats> {
    let source = |i| Heartbeats { shard: format!("shard-{i}").into(), next: from, until, sessions, step };
    (0..SHARDS).map(source).collect()
}

struct Job {
    board: Arc<Board>,
    ending: Ending,
    running: tokio::task::JoinHandle<headcount::Result<Ended>>,
}

/// Starts a run as the program does: it takes over, and goes on.
async fn start(pipelines: &Arc<Pipelines>, lake: &Lake, run: &str, commits: bool, shards: Vec<Heartbeats>) -> Job {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (store, files) = (CheckpointStore::new(lake, "bench"), Uncommitted::new(lake, "bench", run));
    let taking_over = TakeOver {
        store: &store,
        files: commits.then_some(&files),
        run,
        pipelines,
        stream: "bench",
        on_changed: OnChangedPipeline::Refuse,
        clock: Arc::clone(&clock),
    };
    let looked = taking_over.look().await.expect("the last state fits");
    let found = taking_over.run(looked, None).await.expect("it takes over");
    let mut from = None;
    if let Some((_, mut checkpoint)) = found.checkpoint {
        changes::fit(&mut checkpoint, pipelines, "bench", OnChangedPipeline::Refuse).expect("the state fits");
        let back = put_back(&mut checkpoint.state, lake, pipelines, &found.unmoved).await;
        println!("  {:?}", back.expect("rows are read"));
        from = Some(checkpoint.state);
    }
    let target = if commits { Target::Uncommitted(&files) } else { Target::Lake(lake) };
    let roll = RollPolicy { bytes_max: 128 << 20, age_max: 5 * MICROS_PER_MINUTE };
    let options = TableOptions { roll, gather: 5 * MICROS_PER_MINUTE };
    let (raw, windows) = open_tables(pipelines, target, options, run, &clock);
    let options = CommitOptions {
        stream: "bench".to_owned(),
        run: run.to_owned(),
        last: found.last,
        generation: found.generation,
        predecessor: found.predecessor,
        unmoved: found.unmoved.clone(),
        read_before: 0,
    };
    let committer = Committer::new(pipelines, store, Some(files), options, &clock);
    let tables = Tables { raw, windows, commits: commits.then_some((committer, INTERVAL)) };
    let (board, ending) = (Arc::new(Board::new(clock.now())), Ending::default());
    let job = live::run(Arc::clone(pipelines), shards, from, tables, Arc::clone(&board), ending.clone(), clock);
    Job { board, ending, running: tokio::spawn(job) }
}

/// Stops a job and commits its state; the events that it has read.
async fn stop(job: Job) -> u64 {
    job.ending.stop.cancel();
    let ended = job.running.await.expect("no task breaks off").expect("the job ends well");
    let status = job.board.status();
    if let Some(mut committer) = ended.committer {
        let of = CommitOf::new(ended.state, vec![], &status);
        let committed = committer.finish(of).await.expect("the last commit is written");
        println!("  the last commit has {:.1} MB", committed.bytes as f64 / 1e6);
    }
    status.counters().read
}

fn lake(folder: &tempfile::TempDir) -> Lake {
    Lake::open(folder.path().to_str().expect("a path of text"), &LakeOptions::default()).expect("a lake")
}

async fn throughput(pipelines: &Arc<Pipelines>, secs: u64) {
    let mut of = [Vec::new(), Vec::new()];
    for turn in 0..4 {
        let commits = turn % 2 == 1;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let shards = sources(0, u64::MAX, 20_000, 50);
        let begun = Instant::now();
        let job = start(pipelines, &lake(&folder), "run", commits, shards).await;
        tokio::time::sleep(Duration::from_secs(secs)).await;
        let read = stop(job).await;
        let rate = read as f64 / begun.elapsed().as_secs_f64();
        println!("throughput, {}: {rate:.0} events/s", if commits { "a commit every 10 s" } else { "no commits" });
        of[usize::from(commits)].push(rate);
    }
    let best = |rates: &[f64]| rates.iter().copied().fold(0.0, f64::max);
    println!("commits cost {:.1} % by the best of each", 100.0 * (1.0 - best(&of[1]) / best(&of[0])));
}

async fn restart(pipelines: &Arc<Pipelines>, sessions: u64) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let lake = lake(&folder);
    let of_shard = sessions / SHARDS;
    // All of them within 40 seconds of event time: none has timed out.
    let step = Micros::try_from(40_000_000 / of_shard).unwrap_or(1).max(1);
    let job = start(pipelines, &lake, "before", true, sources(0, of_shard, of_shard, step)).await;
    while job.board.status().counters().read < of_shard * SHARDS {
        assert!(!job.running.is_finished(), "the job has ended");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop(job).await;

    let begun = Instant::now();
    let job = start(pipelines, &lake, "after", true, sources(of_shard, u64::MAX, of_shard, step)).await;
    println!("  state read after {:.2} s", begun.elapsed().as_secs_f64());
    while job.board.status().windows.values().all(|windows| *windows == 0) {
        assert!(!job.running.is_finished(), "the job has ended");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    println!("restart with {sessions} open sessions: {:.2} s to the first row", begun.elapsed().as_secs_f64());
    stop(job).await;
}

fn number<T: FromStr<Err: Display>>(name: &str, default: T) -> T {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|e| panic!("{name}={text}: {e}")),
        Err(_) => default,
    }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let pipelines = workload::pipelines(&runtime, |_| true);
    // `cargo test --benches` runs it too, to see that it works.
    let quick = !std::env::args().any(|argument| argument == "--bench");
    runtime.block_on(async {
        throughput(&pipelines, number("HEADCOUNT_BENCH_SECS", if quick { 1 } else { 25 })).await;
        restart(&pipelines, number("HEADCOUNT_BENCH_SESSIONS", if quick { 1_000 } else { 1_000_000 })).await;
    });
}
