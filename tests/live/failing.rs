//! A job that commits while it runs, on an object store that fails, answers late, or does not say what it did; whose process dies; and that
//! another one takes over from. The rows are those of a run without any of it, each once.
//!
//! The store is in memory, and fails as a seed says.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use headcount::clock::{Clock, SystemClock};
use headcount::config::OnChangedPipeline;
use headcount::engine::Pipelines;
use headcount::engine::board::Board;
use headcount::engine::changes;
use headcount::engine::commits::{CommitOf, CommitOptions, Committer};
use headcount::engine::event_ids;
use headcount::engine::job_state::JobState;
use headcount::engine::live::{self, Ended, Ending, Tables};
use headcount::engine::shard_task::ShardSource;
use headcount::engine::tables::{Target, open_tables};
use headcount::engine::take_over::TakeOver;
use headcount::sink::lake::{CheckpointStore, Lake, Uncommitted};
use headcount::types::{ReadBatch, Record, ShardId, ShardPosition};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::resuming::{evening, expected, shipped, sorted};
use super::within;
use crate::fixture;
use crate::reference::{Lateness, Options, Row, Val};

const STREAM: &str = "a stream";
const APPLICATION: &str = "app";
const INTERVAL: Duration = Duration::from_millis(20);

/// How often what went wrong.
#[derive(Debug, Default)]
struct Faults {
    refused: AtomicU64,
    /// It was done, and an error given.
    unsaid: AtomicU64,
    full: AtomicU64,
    slow: AtomicU64,
}

/// A store that fails, until it is healed.
#[derive(Debug)]
struct Failing {
    inner: Arc<InMemory>,
    /// What happens next, and how many writes more find the disk full.
    next: Mutex<(SmallRng, u32)>,
    faults: Arc<Faults>,
}

/// What becomes of a call.
enum Fate {
    Done,
    Refused,
    Unsaid,
}

impl std::fmt::Display for Failing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("failing")
    }
}

impl Failing {
    async fn fate(&self, writes: bool) -> Fate {
        let (pause, fate) = {
            let (rng, full) = &mut *self.next.lock().unwrap();
            let pause = rng.random_ratio(1, 10).then(|| Duration::from_millis(rng.random_range(1..30)));
            if writes && *full == 0 && rng.random_ratio(1, 40) {
                *full = rng.random_range(1..10);
            }
            let fate = match rng.random_range(0..100) {
                _ if writes && *full > 0 => {
                    *full -= 1;
                    self.faults.full.fetch_add(1, Ordering::Relaxed);
                    Fate::Refused
                }
                0..3 => {
                    self.faults.refused.fetch_add(1, Ordering::Relaxed);
                    Fate::Refused
                }
                3..6 if writes => {
                    self.faults.unsaid.fetch_add(1, Ordering::Relaxed);
                    Fate::Unsaid
                }
                _ => Fate::Done,
            };
            (pause, fate)
        };
        if let Some(pause) = pause {
            self.faults.slow.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(pause).await;
        }
        fate
    }

    async fn read<T>(&self, done: impl Future<Output = Result<T>>) -> Result<T> {
        match self.fate(false).await {
            Fate::Refused => Err(broken()),
            _ => done.await,
        }
    }

    async fn write<T>(&self, done: impl Future<Output = Result<T>>) -> Result<T> {
        match self.fate(true).await {
            Fate::Done => done.await,
            Fate::Refused => Err(broken()),
            Fate::Unsaid => done.await.and_then(|_| Err(broken())),
        }
    }
}

fn broken() -> Error {
    Error::Generic { store: "failing", source: "as a seed says".into() }
}

#[async_trait]
impl ObjectStore for Failing {
    async fn put_opts(&self, to: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.write(self.inner.put_opts(to, payload, options)).await
    }

    async fn put_multipart_opts(&self, to: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.write(self.inner.put_multipart_opts(to, options)).await
    }

    async fn get_opts(&self, from: &Path, options: GetOptions) -> Result<GetResult> {
        self.read(self.inner.get_opts(from, options)).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.read(self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.write(self.inner.copy_opts(from, to, options)).await
    }
}

/// A shard in memory, which gives a few records at a time.
struct Slow {
    shard: ShardId,
    rest: VecDeque<Record>,
    position: ShardPosition,
}

impl Slow {
    /// From where `state` says.
    fn new(shard: &str, records: &[Record], state: Option<&JobState>) -> Self {
        let known = state.and_then(|s| s.shards.get(shard)?.position.clone());
        let position = known.unwrap_or(ShardPosition::Oldest);
        let read = match &position {
            ShardPosition::After(last) => 1 + records.iter().position(|r| r.sequence_number == *last).unwrap(),
            _ => 0,
        };
        Self { shard: shard.into(), rest: records[read..].iter().cloned().collect(), position }
    }
}

impl ShardSource for Slow {
    fn shard(&self) -> ShardId {
        Arc::clone(&self.shard)
    }

    async fn next(&mut self) -> headcount::Result<Option<ReadBatch>> {
        tokio::time::sleep(Duration::from_millis(3)).await;
        let records: Vec<Record> = self.rest.drain(..self.rest.len().min(10)).collect();
        if let Some(last) = records.last() {
            self.position = ShardPosition::After(Arc::clone(&last.sequence_number));
        }
        let millis_behind_latest = Some(i64::from(!self.rest.is_empty()));
        Ok(Some(ReadBatch { shard: self.shard(), records, millis_behind_latest, polled_at: None }))
    }

    fn position(&self) -> Option<ShardPosition> {
        Some(self.position.clone())
    }
}

/// One process after the other.
struct Scene {
    pipelines: Arc<Pipelines>,
    shards: Vec<(&'static str, Vec<Record>)>,
    all: Vec<Record>,
    /// By table, sorted.
    expected: Arc<BTreeMap<String, Vec<Row>>>,
    inner: Arc<InMemory>,
    runs: AtomicU64,
}

/// A job that was started.
struct Job {
    ending: Ending,
    board: Arc<Board>,
    running: tokio::task::JoinHandle<headcount::Result<Ended>>,
    /// The number of the record by which it took over.
    number: u64,
}

impl Scene {
    async fn new() -> Self {
        let all = evening(150);
        let ignoring = shipped(&Options { lateness: Lateness::Ignore, ..Options::default() }).await;
        let tables = expected(&ignoring, &all).await.into_iter();
        let (a, b) = all.iter().cloned().partition(|r| r.data.len() % 2 == 0);
        Self {
            pipelines: shipped(&Options::default()).await,
            shards: vec![("a", a), ("b", b)],
            all,
            expected: Arc::new(tables.map(|(table, rows)| (table, sorted(rows))).collect()),
            inner: Arc::new(InMemory::new()),
            runs: AtomicU64::new(0),
        }
    }

    /// The same, before anything has happened.
    fn anew(&self) -> Self {
        Self {
            pipelines: Arc::clone(&self.pipelines),
            shards: self.shards.clone(),
            all: self.all.clone(),
            expected: Arc::clone(&self.expected),
            inner: Arc::new(InMemory::new()),
            runs: AtomicU64::new(0),
        }
    }

    fn lake(&self) -> Lake {
        Lake::in_store(self.inner.clone(), "memory")
    }

    /// What a process does at its start, and then the job.
    async fn start(&self, lake: &Lake) -> headcount::Result<Job> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let run = format!("run-{:04}", self.runs.fetch_add(1, Ordering::Relaxed));
        let (store, files) = (CheckpointStore::new(lake, APPLICATION), Uncommitted::new(lake, APPLICATION, &run));
        let taking_over = TakeOver {
            store: &store,
            files: Some(&files),
            run: &run,
            pipelines: &self.pipelines,
            stream: STREAM,
            on_changed: OnChangedPipeline::Refuse,
            clock: Arc::clone(&clock),
        };
        let found = taking_over.run(taking_over.look().await?, None).await?;
        let mut from = None;
        if let Some((_, mut checkpoint)) = found.checkpoint {
            changes::fit(&mut checkpoint, &self.pipelines, STREAM, OnChangedPipeline::Refuse)?;
            let horizon = self.pipelines.options.judge.dedupe_horizon;
            let ids = event_ids::put_back(&mut checkpoint.state, lake, &self.pipelines.contract, horizon).await?;
            assert_eq!(ids.found, ids.left_out, "rows with ids are lost, or there twice");
            from = Some(checkpoint.state);
        }
        let shards = self.shards.iter().map(|(name, records)| Slow::new(name, records, from.as_ref())).collect();
        let target = Target::Uncommitted(&files);
        let (raw, windows) = open_tables(&self.pipelines, target, fixture::table_options(), &run, &clock);
        let (last, generation) = (found.last, found.generation);
        let predecessor = found.predecessor;
        let options = CommitOptions { stream: STREAM.to_owned(), run, last, generation, predecessor, read_before: 0 };
        let committer = Committer::new(&self.pipelines, store, Some(files), options, &clock);
        let tables = Tables { raw, windows, commits: Some((committer, INTERVAL)) };
        let (board, ending) = (Arc::new(Board::default()), Ending::default());
        let job = live::run(Arc::clone(&self.pipelines), shards, from, tables, board.clone(), ending.clone(), clock);
        Ok(Job { ending, board, running: tokio::spawn(job), number: last })
    }

    /// Goes on to the end of all windows, on the store as it is when it is well.
    async fn finish(&self) {
        let job = self.start(&self.lake()).await.unwrap();
        job.ending.drain.cancel();
        let ended = within("the job ends", job.running).await.unwrap().unwrap();
        assert_eq!(job.board.status().counters().contradictions(), Vec::<String>::new());
        let of = CommitOf::new(ended.state, vec![], &job.board.status());
        ended.committer.unwrap().finish(of).await.unwrap();
    }

    /// Whether every table has the rows of a run in which nothing goes wrong.
    async fn compare(&self, what: &str) {
        let lake = self.lake();
        for (table, rows) in self.expected.iter() {
            assert!(!rows.is_empty(), "{table}");
            assert_eq!(fixture::table(&lake, table).await, *rows, "{what}: {table}");
        }
        let mut ids: BTreeMap<String, u64> = BTreeMap::new();
        for row in fixture::table(&lake, "user_events").await {
            let Val::Str(id) = &row["event_id"] else { panic!("{row:?}") };
            *ids.entry(id.clone()).or_default() += 1;
        }
        let put: BTreeSet<String> = self.all.iter().flat_map(|r| fixture::ids_in(&r.data)).collect();
        assert!(put.iter().eq(ids.keys()), "{what}: raw rows are lost");
        assert!(ids.values().all(|n| *n == 1), "{what}: raw rows are there twice");
        assert!(lake.tables().await.unwrap().iter().all(|name| !name.starts_with("_uncommitted")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_fails_and_processes_that_die_change_no_row() {
    let faults = Arc::new(Faults::default());
    let (mut killed, mut failed, mut committed) = (0, 0, 0);
    let first = Scene::new().await;
    for seed in 0..6 {
        let scene = first.anew();
        let next = Mutex::new((SmallRng::seed_from_u64(seed), 0));
        let failing = Failing { inner: scene.inner.clone(), next, faults: Arc::clone(&faults) };
        let lake = Lake::in_store(Arc::new(failing), "failing");
        let mut rng = SmallRng::seed_from_u64(seed ^ 0x5eed);
        let mut last = 0;
        for _ in 0..30 {
            let Ok(mut job) = scene.start(&lake).await else {
                failed += 1;
                continue;
            };
            committed += job.number - last - 1;
            last = job.number;
            let pause = Duration::from_millis(rng.random_range(10..150));
            match tokio::time::timeout(pause, &mut job.running).await {
                // The tasks end where they are.
                Err(_) => {
                    job.running.abort();
                    let _ = job.running.await;
                    killed += 1;
                }
                Ok(ended) => {
                    ended.unwrap().unwrap_err();
                    failed += 1;
                }
            }
        }
        scene.finish().await;
        scene.compare(&format!("seed {seed}")).await;
    }
    let counts = [&faults.refused, &faults.unsaid, &faults.full, &faults.slow].map(|n| n.load(Ordering::Relaxed));
    assert!(counts.iter().all(|n| *n > 5), "too little went wrong: {faults:?}");
    assert!(killed > 20 && failed > 3 && committed > 50, "killed {killed}, failed {failed}, committed {committed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_taken_over_from_stops_and_writes_nothing_more() {
    let scene = Scene::new().await;
    let lake = scene.lake();
    let first = scene.start(&lake).await.unwrap();
    let store = CheckpointStore::new(&lake, APPLICATION);
    let committed = async {
        while store.list().await.unwrap().last().is_none_or(|last| last.number < first.number + 2) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    within("the first one commits", committed).await;
    let second = scene.start(&lake).await.unwrap();
    let e = within("the first one stops", first.running).await.unwrap().unwrap_err();
    assert!(e.message().contains("another process goes on with this application"), "{e}");
    assert_eq!(e.exit_code(), 3);
    second.ending.stop.cancel();
    let ended = within("the second one stops", second.running).await.unwrap().unwrap();
    let of = CommitOf::new(ended.state, vec![], &second.board.status());
    ended.committer.unwrap().finish(of).await.unwrap();
    scene.finish().await;
    scene.compare("after a takeover").await;
}
