//! Two processes of one application, of which one stands still at the wrong instant; and states that are given up under a process that goes
//! on. Whoever was shut out moves no file into a table.
//!
//! The store is in memory, and stops or fails where a test says.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, RecordBatch, TimestampMicrosecondArray};
use async_trait::async_trait;
use futures::stream::BoxStream;
use headcount::clock::{Clock, SystemClock};
use headcount::config::OnChangedPipeline;
use headcount::engine::Pipelines;
use headcount::engine::board::{Board, Status};
use headcount::engine::checkpoint::{Checkpoint, Header, Summary, read_header};
use headcount::engine::commits::{CommitOf, CommitOptions, Committer};
use headcount::engine::front::RESET;
use headcount::engine::job_state::JobState;
use headcount::engine::live::{self, Ending, Tables};
use headcount::engine::reset::{self, Reset};
use headcount::engine::tables::{Target, open_tables};
use headcount::engine::take_over::{Found, TakeOver};
use headcount::sink::lake::{CheckpointStore, Lake, Move, RollPolicy, TableSpec, Uncommitted};
use headcount::types::ShardPosition;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use xxhash_rust::xxh3::xxh3_128;

use super::resuming::{Listed, evening, shipped};
use super::within;
use crate::fixture;
use crate::reference::Options;

const APPLICATION: &str = "app";
const STREAM: &str = "a stream";

/// Where the next put of a checkpoint stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pause {
    /// After the list, before anything is there.
    Before,
    /// When it is there.
    After,
}

/// A store on which one process stops and fails.
#[derive(Debug)]
struct Gate {
    inner: Arc<InMemory>,
    pause: Option<Pause>,
    armed: AtomicBool,
    /// Given when somebody stands at the gate, and to let that one on.
    arrived: Semaphore,
    opened: Semaphore,
    /// So many puts fail: every second one when all was done.
    failures: AtomicU32,
    /// Nothing can be read, and it will not pass.
    forbidden: AtomicBool,
}

impl std::fmt::Display for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("gate")
    }
}

impl Gate {
    fn new(inner: &Arc<InMemory>, pause: Option<Pause>) -> Arc<Self> {
        let (arrived, opened) = (Semaphore::new(0), Semaphore::new(0));
        let (armed, forbidden, failures) = (AtomicBool::new(false), AtomicBool::new(false), AtomicU32::new(0));
        Arc::new(Self { inner: Arc::clone(inner), pause, armed, arrived, opened, failures, forbidden })
    }

    fn lake(self: &Arc<Self>) -> Lake {
        Lake::in_store(self.clone(), "memory")
    }

    async fn stand(&self, at: Pause) {
        if self.pause == Some(at) && self.armed.swap(false, Ordering::SeqCst) {
            self.arrived.add_permits(1);
            self.opened.acquire().await.unwrap().forget();
        }
    }
}

fn broken() -> Error {
    Error::Generic { store: "gate", source: "as the test says".into() }
}

#[async_trait]
impl ObjectStore for Gate {
    async fn put_opts(&self, to: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        if !to.as_ref().ends_with(".checkpoint") {
            return self.inner.put_opts(to, payload, options).await;
        }
        let failing = self.failures.try_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        if failing.is_ok_and(|n| n % 2 == 0) {
            return Err(broken());
        }
        self.stand(Pause::Before).await;
        let done = self.inner.put_opts(to, payload, options).await;
        self.stand(Pause::After).await;
        if failing.is_ok() { Err(broken()) } else { done }
    }

    async fn put_multipart_opts(&self, to: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(to, options).await
    }

    async fn get_opts(&self, from: &Path, options: GetOptions) -> Result<GetResult> {
        if self.forbidden.load(Ordering::SeqCst) {
            return Err(Error::PermissionDenied { path: from.to_string(), source: "as the test says".into() });
        }
        self.inner.get_opts(from, options).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

/// One lake, and what runs on it.
struct Scene {
    pipelines: Arc<Pipelines>,
    inner: Arc<InMemory>,
    lake: Lake,
    store: CheckpointStore,
}

/// A run that has taken over, without its job.
struct Run {
    found: Found,
    files: Uncommitted,
    committer: Committer,
    /// Files that no commit names yet.
    written: Vec<Move>,
}

impl Scene {
    async fn new() -> Self {
        let inner = Arc::new(InMemory::new());
        let lake = Lake::in_store(inner.clone(), "memory");
        let store = CheckpointStore::new(&lake, APPLICATION);
        Self { pipelines: shipped(&Options::default()).await, inner, lake, store }
    }

    async fn start(&self, lake: &Lake, run: &str, begin: Option<&JobState>) -> headcount::Result<Run> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (store, files) = (CheckpointStore::new(lake, APPLICATION), Uncommitted::new(lake, APPLICATION, run));
        let taking_over = TakeOver {
            store: &store,
            files: Some(&files),
            run,
            pipelines: &self.pipelines,
            stream: STREAM,
            on_changed: OnChangedPipeline::Refuse,
            clock: Arc::clone(&clock),
        };
        let found = taking_over.run(taking_over.look().await?, begin).await?;
        let options = CommitOptions {
            stream: STREAM.to_owned(),
            run: run.to_owned(),
            last: found.last,
            generation: found.generation,
            predecessor: found.predecessor.clone(),
            unmoved: found.unmoved.clone(),
            read_before: 0,
        };
        let committer = Committer::new(&self.pipelines, store, Some(files.clone()), options, &clock);
        Ok(Run { found, files, committer, written: Vec::new() })
    }

    /// The files of the only table.
    async fn published(&self) -> usize {
        self.lake.list("events").await.unwrap().len()
    }

    /// A record of a run that was killed before its only file was moved.
    async fn killed(&self, run: &str) -> (u64, Vec<u8>, Move) {
        let mut run = self.start(&self.lake, run, None).await.unwrap();
        run.write().await;
        let file = run.written.remove(0);
        let mut header = Header::new(&self.pipelines, STREAM, 0, Summary::default());
        header.outline.files = vec![file.clone()];
        let record = Checkpoint { header, state: JobState::default(), source: vec![] }.to_bytes().unwrap();
        (run.found.last, record, file)
    }

    async fn reset(&self, lake: &Lake) -> headcount::Result<Reset> {
        reset::reset(&CheckpointStore::new(lake, APPLICATION), lake, APPLICATION, &SystemClock).await
    }

    async fn numbers(&self) -> Vec<u64> {
        self.store.list().await.unwrap().iter().map(|stored| stored.number).collect()
    }

    async fn header(&self, number: u64) -> Header {
        read_header(&self.store.read(number).await.unwrap().unwrap()).unwrap()
    }
}

impl Run {
    /// Writes a file that no commit names yet.
    async fn write(&mut self) {
        let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![1, 2]).with_timezone("UTC"));
        let rows = RecordBatch::try_from_iter([("event_time", times)]).unwrap();
        let name = self.files.clone();
        let spec = TableSpec::new("events", "event_time", format!("{}", self.found.last));
        let mut writer = name.table_writer(spec, RollPolicy::default(), Arc::new(SystemClock));
        writer.write(&rows).await.unwrap();
        writer.close().await.unwrap();
        self.written.extend(writer.take_finished());
    }

    async fn commit(&mut self) -> headcount::Result<u64> {
        self.committer.take_files(std::mem::take(&mut self.written));
        let of = CommitOf::new(JobState::default(), vec![], &Status::default());
        self.committer.commit(of).await.map(|done| done.number)
    }

    fn is_told(&self, e: &headcount::Error, why: &str) {
        assert!(self.committer.is_shut_out() && e.message().contains(why), "{e}");
        assert_eq!(e.exit_code(), 3, "{e}");
    }
}

/// Lets a run commit until it comes to its gate, where it sleeps; what it has to say when it wakes up.
async fn asleep(gate: &Gate, mut run: Run) -> JoinHandle<(Run, headcount::Result<u64>)> {
    gate.armed.store(true, Ordering::SeqCst);
    let sleeping = tokio::spawn(async move {
        let done = run.commit().await;
        (run, done)
    });
    gate.arrived.acquire().await.unwrap().forget();
    sleeping
}

const TAKEN_OVER: &str = "another process goes on with this application";

#[tokio::test]
async fn who_sleeps_between_list_and_put_until_the_number_is_free_again_moves_nothing() {
    let scene = Scene::new().await;
    let gate = Gate::new(&scene.inner, Some(Pause::Before));
    let mut sleeper = scene.start(&gate.lake(), "sleeper", None).await.unwrap();
    assert_eq!(sleeper.commit().await.unwrap(), 2);
    sleeper.write().await;
    let sleeping = asleep(&gate, sleeper).await;
    // Meanwhile another one takes over under the number that was to be put, and goes on until it is removed.
    let mut next = scene.start(&scene.lake, "next", None).await.unwrap();
    assert_eq!(next.found.last, 3);
    next.write().await;
    for number in 4..=6 {
        assert_eq!(next.commit().await.unwrap(), number);
    }
    assert_eq!(scene.numbers().await, [4, 5, 6], "3 is free");
    gate.opened.add_permits(1);
    let (mut sleeper, done) = within("it wakes up", sleeping).await.unwrap();
    sleeper.is_told(&done.unwrap_err(), TAKEN_OVER);
    assert_eq!(scene.published().await, 1, "the file of the one that goes on, and no other");
    let again = sleeper.commit().await.unwrap_err();
    sleeper.is_told(&again, TAKEN_OVER);
    // What it put counts as nothing, and goes with the next commit.
    assert_eq!(next.commit().await.unwrap(), 7);
    assert_eq!(scene.numbers().await, [5, 6, 7]);
    assert_eq!(scene.start(&scene.lake, "last", None).await.unwrap().found.checkpoint.unwrap().0, 7);
}

#[tokio::test]
async fn who_sleeps_after_the_put_is_gone_on_from_and_removes_nothing() {
    let scene = Scene::new().await;
    let gate = Gate::new(&scene.inner, Some(Pause::After));
    let mut sleeper = scene.start(&gate.lake(), "sleeper", None).await.unwrap();
    sleeper.write().await;
    let sleeping = asleep(&gate, sleeper).await;
    let next = scene.start(&scene.lake, "next", None).await.unwrap();
    assert_eq!(next.found.checkpoint.unwrap().0, 2, "it goes on from the sleeper's commit");
    assert_eq!(scene.published().await, 1, "and has moved its file");
    gate.opened.add_permits(1);
    let (sleeper, done) = within("it wakes up", sleeping).await.unwrap();
    sleeper.is_told(&done.unwrap_err(), TAKEN_OVER);
    assert_eq!(scene.published().await, 1);
    assert_eq!(scene.numbers().await, [1, 2, 3], "who comes next finds the state");
    assert_eq!(scene.start(&scene.lake, "last", None).await.unwrap().found.checkpoint.unwrap().0, 2);
}

#[tokio::test]
async fn a_take_over_is_tried_again_and_is_one_whatever_the_store_says() {
    let scene = Scene::new().await;
    let gate = Gate::new(&scene.inner, None);
    // Refused, and done without a word, in turns.
    for failures in 1..=4 {
        gate.failures.store(failures, Ordering::SeqCst);
        let run = format!("run-{failures}");
        let found = scene.start(&gate.lake(), &run, None).await.unwrap().found;
        assert_eq!((found.last, found.generation), (u64::from(failures), u64::from(failures)));
        let before = if failures == 1 { String::new() } else { format!("run-{}", failures - 1) };
        assert_eq!(found.predecessor, before);
    }
}

#[tokio::test]
async fn a_first_start_says_where_its_shards_begin_to_who_comes_next() {
    let scene = Scene::new().await;
    let at = |at| ShardPosition::At(at);
    let begin = |time| JobState::beginning([("a".into(), Some(at(time))), ("b".into(), Some(at(time + 1)))]);
    let first = scene.start(&scene.lake, "first", Some(&begin(7))).await.unwrap();
    assert!(first.found.checkpoint.is_none(), "it begins");
    // It is killed before anything is committed, and so is the next one. What these would begin with does not count.
    for (run, number) in [("second", 2), ("third", 3)] {
        let found = scene.start(&scene.lake, run, Some(&begin(50))).await.unwrap().found;
        let (of, checkpoint) = found.checkpoint.unwrap();
        assert_eq!((found.last, of), (number, 1));
        let positions: Vec<_> = checkpoint.state.shards.values().map(|shard| shard.position.clone().unwrap()).collect();
        assert_eq!(positions, [at(7), at(8)]);
        assert!(checkpoint.header.positions_only);
    }
    scene.reset(&scene.lake).await.unwrap();
    let found = scene.start(&scene.lake, "anew", Some(&begin(50))).await.unwrap().found;
    assert!(found.checkpoint.is_none() && found.predecessor == "third", "{found:?}");
}

#[tokio::test]
async fn a_reset_shuts_a_run_out_that_goes_on_and_numbers_go_on_too() {
    let scene = Scene::new().await;
    let mut run = scene.start(&scene.lake, "run", None).await.unwrap();
    assert_eq!(run.commit().await.unwrap(), 2);
    run.committer.look().await.unwrap();
    run.write().await;
    let done = scene.reset(&scene.lake).await.unwrap();
    assert_eq!(done, Reset { number: 3, removed: 2, unreadable: vec![] });
    assert_eq!(scene.numbers().await, [3]);
    assert_eq!(scene.reset(&scene.lake).await.unwrap(), Reset { number: 3, removed: 0, unreadable: vec![] });
    // With a look, and without one.
    for told in [run.committer.look().await.unwrap_err(), run.commit().await.unwrap_err()] {
        run.is_told(&told, "were reset while it ran");
    }
    let mut next = scene.start(&scene.lake, "next", None).await.unwrap();
    assert!(next.found.checkpoint.is_none() && next.found.last == 4);
    assert_eq!((next.found.predecessor.as_str(), next.found.leftovers), ("run", 0), "it may not know yet");
    run.commit().await.unwrap_err();
    assert_eq!(next.commit().await.unwrap(), 5);
    assert_eq!(scene.published().await, 0);
}

#[tokio::test]
async fn keeping_positions_shuts_a_run_out_that_goes_on() {
    let scene = Scene::new().await;
    assert!(reset::keep_positions(&scene.store, &SystemClock).await.unwrap().is_none());
    let mut run = scene.start(&scene.lake, "run", None).await.unwrap();
    assert_eq!(run.commit().await.unwrap(), 2);
    let kept = reset::keep_positions(&scene.store, &SystemClock).await.unwrap().unwrap();
    assert_eq!((kept.number, kept.of), (3, 2));
    let header = scene.header(3).await;
    assert_eq!((header.outline.run.as_str(), header.outline.predecessor.as_str()), (RESET, "run"));
    let told = run.commit().await.unwrap_err();
    run.is_told(&told, "were reset while it ran");
    assert_eq!(scene.start(&scene.lake, "next", None).await.unwrap().found.checkpoint.unwrap().0, 3);
}

/// The same record as one of another version of the format, or with something wrong.
fn of_version(record: &[u8], version: u32) -> Vec<u8> {
    let mut record = record.to_vec();
    let length = |at: usize| u32::from_le_bytes(record[at..at + 4].try_into().unwrap()) as usize;
    let end = 16 + length(8) + length(12);
    record[4..8].copy_from_slice(&version.to_le_bytes());
    let checksum = xxh3_128(&record[..end]).to_le_bytes();
    record[end..end + 16].copy_from_slice(&checksum);
    record
}

#[tokio::test]
async fn a_reset_moves_what_was_committed_whatever_has_become_of_the_state() {
    for what in ["whole", "of a later version", "with a damaged state"] {
        let scene = Scene::new().await;
        let (last, mut record, file) = scene.killed("killed").await;
        match what {
            "of a later version" => record = of_version(&record, 99),
            "with a damaged state" => *record.last_mut().unwrap() ^= 1,
            _ => {}
        }
        assert_eq!(Checkpoint::from_bytes(&record).is_ok(), what == "whole");
        scene.store.write(last, record).await.unwrap();
        assert_eq!(scene.published().await, 0);
        let done = scene.reset(&scene.lake).await.unwrap();
        assert_eq!(done.unreadable, Vec::<u64>::new(), "{what}");
        assert_eq!(scene.lake.list("events").await.unwrap()[0].path, file.to, "{what}");
        scene.start(&scene.lake, "next", None).await.unwrap();
        assert_eq!(scene.published().await, 1, "{what}");
    }
}

#[tokio::test]
async fn a_reset_that_was_cut_short_is_completed_by_the_next_start() {
    let scene = Scene::new().await;
    let (last, record, _) = scene.killed("killed").await;
    let number = scene.store.write(last, record).await.unwrap();
    let before = scene.header(number).await.outline;
    let outline = headcount::engine::front::Outline { run: RESET.to_owned(), ..before };
    let record = Checkpoint { header: Header::of_nothing(outline), state: JobState::default(), source: vec![] };
    scene.store.put(number, record.to_bytes().unwrap().into()).await.unwrap();
    // So is a start that was.
    let found = scene.start(&scene.lake, "next", None).await.unwrap().found;
    assert!(found.checkpoint.is_none());
    assert_eq!(scene.header(found.last).await.outline.files.len(), 1);
    assert_eq!(scene.published().await, 1);
}

#[tokio::test]
async fn a_reset_changes_nothing_if_it_cannot_tell_what_was_committed() {
    let scene = Scene::new().await;
    let gate = Gate::new(&scene.inner, None);
    let (last, record, _) = scene.killed("killed").await;
    let number = scene.store.write(last, record.clone()).await.unwrap();
    gate.forbidden.store(true, Ordering::SeqCst);
    let e = scene.reset(&gate.lake()).await.unwrap_err();
    assert!(e.message().contains("cannot read a checkpoint"), "{e}");
    assert_eq!(scene.numbers().await, [1, number]);
    // A format from before there were outlines.
    let old = scene.store.write(number, of_version(&record, 11)).await.unwrap();
    let e = scene.reset(&scene.lake).await.unwrap_err();
    assert!(e.exit_code() == 2 && e.remedy().unwrap().contains("the version that wrote it"), "{e}");
    assert_eq!(scene.numbers().await, [1, number, old]);
    // One that says nothing at all: what an older one has named is known.
    let damaged = scene.store.write(number + 1, record[..30].to_vec()).await.unwrap();
    let e = scene.start(&scene.lake, "next", None).await.err().unwrap();
    assert!(e.message().contains("is damaged") && e.remedy().unwrap().contains("reset"), "{e}");
    let done = scene.reset(&scene.lake).await.unwrap();
    assert_eq!((done.number, done.unreadable), (damaged + 1, vec![damaged, old]));
    assert_eq!(scene.published().await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_commits_soon_after_its_start_and_soon_learns_that_it_was_shut_out() {
    let scene = Scene::new().await;
    let begun = Instant::now();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let first = scene.start(&scene.lake, "first", None).await.unwrap();
    let target = Target::Uncommitted(&first.files);
    let (raw, windows) = open_tables(&scene.pipelines, target, fixture::table_options(), "first", &clock);
    // Neither is a matter of the interval.
    let tables = Tables { raw, windows, commits: Some((first.committer, Duration::from_secs(3_600))) };
    let (board, ending) = (Arc::new(Board::default()), Ending::default());
    let shards = vec![Listed::new("a", &evening(20), false)];
    let job = tokio::spawn(live::run(Arc::clone(&scene.pipelines), shards, None, tables, board, ending, clock));
    let committed = async {
        while scene.store.last().await.unwrap().unwrap().number < first.found.last + 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within("it commits", committed).await;
    let next = scene.start(&scene.lake, "next", None).await.unwrap();
    assert_eq!(next.found.checkpoint.unwrap().0, 2);
    let e = within("it learns that it was shut out", job).await.unwrap().unwrap_err();
    assert!(e.message().contains(TAKEN_OVER), "{e}");
    assert_eq!(e.exit_code(), 3);
    assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
}
