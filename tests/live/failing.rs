//! A job that commits while it runs, on an object store that fails, answers late, or does not say what it did; whose process dies; and that
//! another one takes over from. The rows are those of a run without any of it, each once.
//!
//! The store is in memory, and fails as a seed says.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::TryStreamExt;
use headcount::clock::{Clock, SystemClock};
use headcount::config::OnChangedPipeline;
use headcount::engine::Pipelines;
use headcount::engine::board::Board;
use headcount::engine::changes;
use headcount::engine::commits::{CommitOf, CommitOptions, Committer};
use headcount::engine::job_state::JobState;
use headcount::engine::left_out::put_back;
use headcount::engine::live::{self, Ended, Ending, Tables};
use headcount::engine::shard_task::ShardSource;
use headcount::engine::tables::{Target, open_tables};
use headcount::engine::take_over::TakeOver;
use headcount::sink::lake::{CheckpointStore, Lake, Move, Uncommitted};
use headcount::types::{ReadBatch, Record, ShardId, ShardPosition};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::failing_store::{Failing, Faults};
use super::resuming::{evening, expected, shipped, sorted};
use super::within;
use crate::fixture;
use crate::reference::{Lateness, Options, Row, Val};

const STREAM: &str = "a stream";
const APPLICATION: &str = "app";
const INTERVAL: Duration = Duration::from_millis(20);
/// Bytes of a part of an upload: most files of raw events of these tests have several.
const PART_BYTES: usize = 8 * 1024;

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
    /// Between two commits.
    interval: Duration,
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
            interval: INTERVAL,
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
            interval: INTERVAL,
        }
    }

    fn lake(&self) -> Lake {
        Lake::in_store(self.inner.clone(), "memory")
    }

    fn failing(&self, seed: u64, faults: &Arc<Faults>) -> Lake {
        let store = Failing::new(&self.inner, seed, faults);
        Lake::in_store(Arc::new(store), "failing")
    }

    /// The files of runs that no commit names, and those that are not at their places.
    async fn uncommitted(&self) -> Vec<String> {
        let listed = self.inner.list(Some(&Path::from("_uncommitted")));
        listed.map_ok(|meta| meta.location.to_string()).try_collect().await.unwrap()
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
            let back = put_back(&mut checkpoint.state, lake, &self.pipelines, &found.unmoved).await?;
            assert_eq!(back.ids.found, back.ids.left_out, "rows with ids are lost, or there twice");
            assert_eq!(back.marks.found, back.marks.left_out, "rows of marks are lost, or there twice");
            from = Some(checkpoint.state);
        }
        let shards = self.shards.iter().map(|(name, records)| Slow::new(name, records, from.as_ref())).collect();
        let target = Target::Uncommitted(&files);
        let (raw, windows) = open_tables(&self.pipelines, target, fixture::table_options(), &run, &clock);
        let (last, generation) = (found.last, found.generation);
        let predecessor = found.predecessor;
        let (stream, unmoved) = (STREAM.to_owned(), found.unmoved);
        let options = CommitOptions { stream, run, last, generation, predecessor, unmoved, read_before: 0 };
        let committer = Committer::new(&self.pipelines, store, Some(files), options, &clock);
        let tables = Tables { raw, windows, commits: Some((committer, self.interval)) };
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
        let mut committer = ended.committer.unwrap();
        committer.finish(of).await.unwrap();
        assert_eq!((committer.unmoved(), committer.lost()), (0, 0));
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
        assert_eq!(self.uncommitted().await, Vec::<String>::new(), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_fails_and_processes_that_die_change_no_row() {
    let faults = Arc::new(Faults::default());
    let (mut killed, mut refused, mut committed) = (0, 0, 0);
    let first = Scene::new().await;
    for seed in 0..6 {
        let scene = first.anew();
        let lake = scene.failing(seed, &faults).with_upload_parts_of(PART_BYTES);
        let mut rng = SmallRng::seed_from_u64(seed ^ 0x5eed);
        let mut last = 0;
        for _ in 0..20 {
            let Ok(mut job) = scene.start(&lake).await else {
                refused += 1;
                continue;
            };
            committed += job.number - last - 1;
            last = job.number;
            // Until it has made some commits, and then to any point of the next one.
            let (commits, pause) = (rng.random_range(0..4), Duration::from_millis(rng.random_range(0..80)));
            let board = Arc::clone(&job.board);
            let made = async {
                while board.status().commits.map_or(0, |made| made.commits) < commits {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            };
            let alive = async {
                let _ = tokio::time::timeout(Duration::from_secs(2), made).await;
                tokio::time::sleep(pause).await;
            };
            let ended = tokio::select! {
                ended = &mut job.running => Ok(ended),
                () = alive => Err(()),
            };
            match ended {
                // The tasks end where they are.
                Err(()) => {
                    job.running.abort();
                    let _ = job.running.await;
                    killed += 1;
                }
                Ok(ended) => panic!("seed {seed}: the job did not outlive a fault: {ended:?}"),
            }
        }
        scene.finish().await;
        scene.compare(&format!("seed {seed}")).await;
    }
    let (how, what) = faults.all();
    assert!(how.iter().all(|n| *n > 5) && what.iter().all(|n| *n > 0), "too little went wrong: {faults:?}");
    assert!(faults.uploads() > 20, "too few files failed: {faults:?}");
    assert!(killed > 20 && committed > 50, "killed {killed}, starts refused {refused}, committed {committed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_outlives_a_store_that_fails_for_as_long_as_it_lives() {
    let (scene, faults) = (Scene::new().await, Arc::new(Faults::default()));
    // The more parts, the more often the whole file is sent again: here a few.
    let lake = scene.failing(7, &faults).with_upload_parts_of(2 * PART_BYTES);
    let starting = async {
        loop {
            if let Ok(job) = scene.start(&lake).await {
                break job;
            }
        }
    };
    let job = within("a start succeeds", starting).await;
    let committed = async {
        while faults.uploads() < 10 || job.board.status().commits.is_none_or(|commits| commits.commits < 3) {
            tokio::time::sleep(Duration::from_millis(5)).await;
            assert!(!job.running.is_finished());
        }
    };
    within("files fail, and it commits", committed).await;
    job.ending.stop.cancel();
    let ended = within("the job ends", job.running).await.unwrap().unwrap();
    let of = CommitOf::new(ended.state, vec![], &job.board.status());
    ended.committer.unwrap().finish(of).await.unwrap();
    scene.finish().await;
    scene.compare("after a life of faults").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shards_are_read_on_while_the_files_of_a_cut_are_finished() {
    let mut scene = Scene::new().await;
    // Soon a shard has only reads in which nothing comes.
    scene.shards.iter_mut().for_each(|(_, records)| records.truncate(30));
    let (store, arrived, letting_in) = Failing::holding(&scene.inner);
    let job = scene.start(&Lake::in_store(Arc::new(store), "holding")).await.unwrap();
    within("a cut's files are being finished", arrived.notified()).await;
    let reads = || job.board.status().shards.values().map(|shard| shard.reads).sum::<u64>();
    let then = reads();
    let read_on = async {
        while reads() < then + 20 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    within("shards are read on", read_on).await;
    assert_eq!(job.board.status().commits.map(|commits| commits.commits), Some(0), "and it is not committed");
    letting_in.send(true).unwrap();
    let committed = async {
        while job.board.status().commits.is_none_or(|commits| commits.commits < 2) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    within("it is committed", committed).await;
    job.ending.stop.cancel();
    let ended = within("the job ends", job.running).await.unwrap().unwrap();
    let of = CommitOf::new(ended.state, vec![], &job.board.status());
    ended.committer.unwrap().finish(of).await.unwrap();
    let rows = fixture::table(&scene.lake(), "user_events").await.len();
    assert_eq!(rows, 60, "each once, whichever cut it was before");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_commits_before_its_memory_runs_out() {
    let scene = Scene { interval: Duration::from_secs(3_600), ..Scene::new().await };
    let job = scene.start(&scene.lake()).await.unwrap();
    let commits = async |wanted| {
        while job.board.status().commits.is_none_or(|made| made.commits < wanted) {
            assert!(!job.running.is_finished());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within("the first commit is made", commits(1)).await;
    let memory = &scene.pipelines.memory;
    let mut great = memory.reserve("something great");
    great.hold(memory.bytes_max() / 8 * 7).unwrap();
    within("it commits an hour before its time", commits(2)).await;
    job.ending.stop.cancel();
    within("the job ends", job.running).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_file_that_cannot_be_moved_is_in_the_way_of_no_other_and_one_that_is_gone_is_counted() {
    let (folder, pipelines) = (fixture::TempLake::new(), shipped(&Options::default()).await);
    let (lake, clock): (_, Arc<dyn Clock>) = (folder.lake.clone(), Arc::new(SystemClock));
    let file = |hour: &str| {
        let to = format!("t/year=2026/month=01/day=31/hour={hour}/run-0-000000.parquet");
        Move { from: format!("_uncommitted/{APPLICATION}/run-0/{to}"), to }
    };
    let [stuck, free, gone] = ["17", "18", "19"].map(file);
    let at = |path: &str| folder.folder.path().join(path);
    for Move { from, .. } in [&stuck, &free] {
        std::fs::create_dir_all(at(from).parent().unwrap()).unwrap();
        std::fs::write(at(from), "rows").unwrap();
    }
    let in_the_way = at(&stuck.to).parent().unwrap().to_owned();
    std::fs::create_dir_all(in_the_way.parent().unwrap()).unwrap();
    std::fs::write(&in_the_way, "a file, where the hour's folder is to be").unwrap();

    let store = CheckpointStore::new(&lake, APPLICATION);
    let options = CommitOptions {
        stream: STREAM.to_owned(),
        run: "run-1".to_owned(),
        last: 0,
        generation: 1,
        predecessor: String::new(),
        unmoved: vec![stuck.clone(), free.clone(), gone],
        read_before: 0,
    };
    let files = Uncommitted::new(&lake, APPLICATION, "run-1");
    let mut committer = Committer::new(&pipelines, store.clone(), Some(files), options, &clock);
    let nothing = || CommitOf::new(JobState::default(), vec![], &Board::default().status());
    assert_eq!(committer.commit(nothing()).await.unwrap().files, 3);
    assert_eq!((committer.unmoved(), committer.lost()), (1, 1));
    assert!(at(&free.to).exists() && at(&stuck.from).exists());
    assert_eq!(committer.commit(nothing()).await.unwrap().files, 1, "it is named until it is moved");

    // Starts go on with it, however often.
    for run in ["run-2", "run-3"] {
        let files = Uncommitted::new(&lake, APPLICATION, run);
        let taking_over = TakeOver {
            store: &store,
            files: Some(&files),
            run,
            pipelines: &pipelines,
            stream: STREAM,
            on_changed: OnChangedPipeline::Refuse,
            clock: Arc::clone(&clock),
        };
        let looked = taking_over.look().await.unwrap();
        assert_eq!(taking_over.run(looked, None).await.unwrap().unmoved, std::slice::from_ref(&stuck));
        assert!(at(&stuck.from).exists(), "what a commit names is nobody's leftover");
    }
    std::fs::remove_file(in_the_way).unwrap();
    let files = Uncommitted::new(&lake, APPLICATION, "run-3");
    let moved = files.publish(std::slice::from_ref(&stuck)).await;
    assert!(moved.left.is_empty() && moved.gone.is_empty() && at(&stuck.to).exists());
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
