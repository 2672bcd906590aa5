//! Crashes at every step of a replacement, on a store that fails on demand.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::Int64Type;
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutResult,
};
use parquet::basic::ZstdLevel;

use super::*;
use crate::clock::ManualClock;
use crate::sink::lake::Recovery;
use crate::types::{MICROS_PER_DAY, MICROS_PER_HOUR};

const H: Micros = MICROS_PER_HOUR;

/// Passes on to another store until a number of changes were made; then every call fails, as after a crash. The change that hits the limit is
/// made or not, but reported as failed either way.
#[derive(Debug, Clone)]
struct Crashing {
    inner: Arc<dyn ObjectStore>,
    changes_left: Arc<AtomicI64>,
    last_is_made: bool,
    changes: Arc<AtomicUsize>,
}

impl Crashing {
    fn new(inner: Arc<dyn ObjectStore>, changes_max: i64, last_is_made: bool) -> Self {
        let changes_left = Arc::new(AtomicI64::new(changes_max));
        Self { inner, changes_left, last_is_made, changes: Arc::default() }
    }

    fn crashed() -> object_store::Error {
        object_store::Error::Generic { store: "test", source: "crashed".into() }
    }

    /// Whether a change is to be made, and whether that is to be reported.
    fn change(&self) -> (bool, bool) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        match self.changes_left.fetch_sub(1, Ordering::SeqCst) {
            n if n > 0 => (true, true),
            0 => (self.last_is_made, false),
            _ => (false, false),
        }
    }

    fn alive(&self) -> object_store::Result<()> {
        if self.changes_left.load(Ordering::SeqCst) < 0 { Err(Self::crashed()) } else { Ok(()) }
    }
}

impl fmt::Display for Crashing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Crashing({})", self.inner)
    }
}

#[async_trait]
impl ObjectStore for Crashing {
    async fn put_opts(&self, to: &Path, payload: PutPayload, opts: PutOptions) -> object_store::Result<PutResult> {
        let (make, report) = self.change();
        let made = if make { self.inner.put_opts(to, payload, opts).await } else { Err(Self::crashed()) };
        if report { made } else { Err(Self::crashed()) }
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        Err(Self::crashed())
    }

    async fn get_opts(&self, from: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        self.alive()?;
        self.inner.get_opts(from, options).await
    }

    async fn get_ranges(&self, from: &Path, ranges: &[Range<u64>]) -> object_store::Result<Vec<Bytes>> {
        self.alive()?;
        self.inner.get_ranges(from, ranges).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        let this = self.clone();
        let delete = move |path: Path| {
            let this = this.clone();
            async move {
                let (make, report) = this.change();
                let made = if make { this.inner.delete(&path).await } else { Err(Self::crashed()) };
                if report { made.map(|()| path) } else { Err(Self::crashed()) }
            }
        };
        paths.and_then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        match self.alive() {
            Ok(()) => self.inner.list(prefix),
            Err(e) => stream::once(async { Err(e) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
        self.alive()?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
        let (make, report) = self.change();
        let made = if make { self.inner.copy_opts(from, to, options).await } else { Err(Self::crashed()) };
        if report { made } else { Err(Self::crashed()) }
    }
}

fn lake_over(store: Arc<dyn ObjectStore>) -> Lake {
    Lake::over(store, Path::from("some/lake"), None, "memory", ZstdLevel::default())
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::at(0))
}

fn spec(table: &str, prefix: &str) -> TableSpec {
    TableSpec::new(table, "t", prefix)
}

fn rows(rows: &[(Micros, i64)]) -> RecordBatch {
    let t: ArrayRef = Arc::new(TimestampMicrosecondArray::from_iter_values(rows.iter().map(|r| r.0)));
    let n: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.1)));
    RecordBatch::try_from_iter([("t", t), ("n", n)]).unwrap()
}

async fn numbers(lake: &Lake, table: &str) -> Vec<i64> {
    let rows = lake.read_table(table, None).await.unwrap();
    let mut all: Vec<i64> =
        rows.iter().flat_map(|b| b.column(1).as_primitive::<Int64Type>().values().to_vec()).collect();
    all.sort_unstable();
    all
}

/// Tables `a` (hours 0, 1, 2) and `b` (hour 0), in several files.
async fn fill(lake: &Lake) {
    for (i, (table, content)) in
        [("a", vec![(0, 1), (H, 2), (2 * H, 3)]), ("a", vec![(H, 4)]), ("b", vec![(0, 5)])].iter().enumerate()
    {
        let mut w = TableWriter::new(lake.clone(), spec(table, &format!("old{i}")), RollPolicy::default(), clock());
        w.write(&rows(content)).await.unwrap();
        w.close().await.unwrap();
    }
}

/// Replaces hours 0 and 1 of `a` by other rows and hour 0 of `b` by nothing.
async fn replace(lake: &Lake) -> Result<ReplaceSummary> {
    let mut r = Replacement::begin(lake, "backfill-1").await?;
    let mut w = r.table_writer(spec("a", "new"), RollPolicy::default(), clock());
    w.write(&rows(&[(0, 10), (1, 11), (H, 12)])).await?;
    w.close().await?;
    r.replace_hours("a", [0, H]);
    r.replace_hours("b", [5]);
    r.commit().await
}

async fn contents(lake: &Lake) -> (Vec<i64>, Vec<i64>) {
    (numbers(lake, "a").await, numbers(lake, "b").await)
}

fn old() -> (Vec<i64>, Vec<i64>) {
    (vec![1, 2, 3, 4], vec![5])
}

fn new() -> (Vec<i64>, Vec<i64>) {
    (vec![3, 10, 11, 12], vec![])
}

#[tokio::test]
async fn named_and_written_hours_are_replaced_and_others_stand() {
    let (dir, lake) = Lake::in_temp_folder();
    fill(&lake).await;
    let summary = replace(&lake).await.unwrap();
    assert_eq!((summary.hours, summary.files, summary.files_removed), (3, 2, 4));
    assert_eq!(contents(&lake).await, new());
    assert!(!dir.path().join("_staging/backfill-1").exists());
    assert_eq!(lake.recover(0).await.unwrap(), Recovery::default());
}

#[tokio::test]
async fn a_crash_at_any_step_leaves_the_old_hours_or_after_recovery_the_new_ones() {
    let (mut seen_old, mut seen_completed) = (0, 0);
    for last_is_made in [false, true] {
        for step in 0.. {
            let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
            let healthy = lake_over(store.clone());
            fill(&healthy).await;
            let crashing = Crashing::new(store, step, last_is_made);
            let changes = crashing.changes.clone();
            let outcome = replace(&lake_over(Arc::new(crashing))).await;
            let recovery = healthy.recover(i64::MAX).await.unwrap();
            let got = contents(&healthy).await;
            assert!(got == old() || got == new(), "step {step}: {got:?}");
            seen_old += usize::from(got == old());
            seen_completed += recovery.completed.len();
            let left = healthy.staged_objects("backfill-1").await.unwrap().count();
            assert_eq!(left, 0, "step {step}: recovery cleans up");
            if outcome.is_ok() {
                assert_eq!(got, new());
                assert!(changes.load(Ordering::SeqCst) > 8, "every change goes through the store");
                break;
            }
        }
    }
    assert!(seen_old >= 4 && seen_completed >= 12, "{seen_old} {seen_completed}");
}

#[tokio::test]
async fn recovery_itself_may_crash_at_any_step() {
    for step in 0.. {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let healthy = lake_over(store.clone());
        fill(&healthy).await;
        // Two staged files and the record are written; then the process dies.
        replace(&lake_over(Arc::new(Crashing::new(store.clone(), 3, false)))).await.unwrap_err();
        let outcome = lake_over(Arc::new(Crashing::new(store, step, step % 2 == 0))).recover(0).await;
        healthy.recover(0).await.unwrap();
        assert_eq!(contents(&healthy).await, new(), "step {step}");
        if outcome.is_ok() {
            assert!(step > 6);
            break;
        }
    }
}

#[tokio::test]
async fn a_folder_with_a_living_owner_is_left_alone_and_an_orphan_is_removed() {
    let (dir, lake) = Lake::in_temp_folder();
    let r = Replacement::begin(&lake, "x").await.unwrap();
    let mut w = r.table_writer(spec("a", "new"), RollPolicy::default(), clock());
    w.write(&rows(&[(0, 1)])).await.unwrap();
    w.close().await.unwrap();
    assert_eq!(lake.recover(i64::MAX).await.unwrap(), Recovery::default());
    assert!(Replacement::begin(&lake, "x").await.is_err(), "the name is taken");
    drop(r);
    assert_eq!(lake.recover(0).await.unwrap().removed, vec!["x"]);
    assert!(!dir.path().join("_staging/x").exists());
    assert!(lake.list("a").await.unwrap().is_empty());
}

#[tokio::test]
async fn in_a_bucket_an_orphan_is_removed_once_it_is_old() {
    let lake = lake_over(Arc::new(InMemory::new()));
    let r = Replacement::begin(&lake, "x").await.unwrap();
    let mut w = r.table_writer(spec("a", "new"), RollPolicy::default(), clock());
    w.write(&rows(&[(0, 1)])).await.unwrap();
    w.close().await.unwrap();
    assert!(Replacement::begin(&lake, "x").await.is_err(), "the name is taken");
    let changed = lake.staged_objects("x").await.unwrap().map(|(_, t)| t).max().unwrap();
    assert_eq!(lake.recover(changed + MICROS_PER_DAY - 1).await.unwrap(), Recovery::default());
    assert_eq!(lake.recover(changed + MICROS_PER_DAY).await.unwrap().removed, vec!["x"]);
    let e = r.commit().await.unwrap_err();
    assert_eq!(e.message(), "0 staged files are there, but 1 were written");
}

#[tokio::test]
async fn a_commit_with_an_open_writer_is_refused() {
    let lake = lake_over(Arc::new(InMemory::new()));
    let r = Replacement::begin(&lake, "x").await.unwrap();
    let mut w = r.table_writer(spec("a", "new"), RollPolicy::default(), clock());
    w.write(&rows(&[(0, 1)])).await.unwrap();
    assert!(r.commit().await.unwrap_err().message().contains("not finished"));
}

#[tokio::test]
async fn an_aborted_replacement_changes_nothing() {
    let lake = lake_over(Arc::new(InMemory::new()));
    fill(&lake).await;
    let mut r = Replacement::begin(&lake, "x").await.unwrap();
    let mut g = r.gather_writer(spec("a", "new"), H, clock());
    g.write(&rows(&[(0, 10)])).await.unwrap();
    g.close().await.unwrap();
    r.replace_hours("b", [0]);
    r.abort().await.unwrap();
    assert_eq!(contents(&lake).await, old());
    assert_eq!(lake.staged_objects("x").await.unwrap().count(), 0);
}

#[tokio::test]
async fn an_unreadable_record_is_named() {
    let lake = lake_over(Arc::new(InMemory::new()));
    for text in ["{", r#"{"version":2,"publish":[],"remove":[]}"#] {
        lake.store.put(&lake.object(&intent_path("x")), text.into()).await.unwrap();
        let e = lake.recover(0).await.unwrap_err();
        assert_eq!(e.place(), Some("memory/_staging/x/replace.json"));
    }
    for id in ["", "a/b", ".hidden", "a b"] {
        assert!(Replacement::begin(&lake, id).await.is_err(), "{id:?}");
    }
}

/// Adds rows to two hours of `a` and takes `b`'s file away for another, as one step.
async fn exchange(lake: &Lake) -> Result<ReplaceSummary> {
    let taken = lake.list("b").await?;
    let mut r = Replacement::begin_alone(lake, "exchange").await?;
    r.add_to("a");
    r.add_to("b");
    let mut w = r.table_writer(spec("a", "new"), RollPolicy::default(), clock());
    w.write(&rows(&[(1, 10), (2 * H, 11)])).await?;
    w.close().await?;
    let mut w = r.table_writer(spec("b", "new"), RollPolicy::default(), clock());
    w.write(&rows(&[(1, 12)])).await?;
    w.close().await?;
    taken.into_iter().for_each(|file| r.take_away(file));
    r.commit().await
}

fn exchanged() -> (Vec<i64>, Vec<i64>) {
    (vec![1, 2, 3, 4, 10, 11], vec![12])
}

#[tokio::test]
async fn added_files_replace_nothing_and_taken_ones_go() {
    let (dir, lake) = Lake::in_temp_folder();
    fill(&lake).await;
    let summary = exchange(&lake).await.unwrap();
    assert_eq!((summary.hours, summary.files, summary.files_removed), (0, 3, 1));
    assert_eq!(contents(&lake).await, exchanged());
    assert!(!dir.path().join("_staging/exchange").exists());
}

#[tokio::test]
async fn a_crash_at_any_step_of_an_exchange_leaves_all_or_nothing() {
    let (mut seen_old, mut seen_completed) = (0, 0);
    for last_is_made in [false, true] {
        for step in 0.. {
            let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
            let healthy = lake_over(store.clone());
            fill(&healthy).await;
            let outcome = exchange(&lake_over(Arc::new(Crashing::new(store, step, last_is_made)))).await;
            let recovery = healthy.recover(i64::MAX).await.unwrap();
            let got = contents(&healthy).await;
            assert!(got == old() || got == exchanged(), "step {step}: {got:?}");
            seen_old += usize::from(got == old());
            seen_completed += recovery.completed.len();
            assert_eq!(healthy.staged_objects("exchange").await.unwrap().count(), 0, "step {step}");
            if outcome.is_ok() {
                assert_eq!(got, exchanged());
                break;
            }
        }
    }
    assert!(seen_old >= 4 && seen_completed >= 8, "{seen_old} {seen_completed}");
}

#[tokio::test]
async fn files_that_came_meanwhile_stay_and_one_that_went_stops_the_exchange() {
    let lake = lake_over(Arc::new(InMemory::new()));
    fill(&lake).await;
    let add = async |n: i64| {
        let mut w = TableWriter::new(lake.clone(), spec("b", &format!("run{n}")), RollPolicy::default(), clock());
        w.write(&rows(&[(0, n)])).await.unwrap();
        w.close().await.unwrap();
    };
    let read = lake.list("b").await.unwrap();
    add(6).await;
    let mut r = Replacement::begin_alone(&lake, "exchange").await.unwrap();
    read.iter().cloned().for_each(|file| r.take_away(file));
    add(7).await;
    r.commit().await.unwrap();
    assert_eq!(numbers(&lake, "b").await, [6, 7]);

    // The same again: its files are gone.
    let mut r = Replacement::begin_alone(&lake, "exchange").await.unwrap();
    r.add_to("a");
    let mut w = r.table_writer(spec("a", "new"), RollPolicy::default(), clock());
    w.write(&rows(&[(0, 99)])).await.unwrap();
    w.close().await.unwrap();
    read.into_iter().for_each(|file| r.take_away(file));
    let e = r.commit().await.unwrap_err();
    assert!(e.message().contains("not there any more") && e.place().unwrap().contains("/b/year="), "{e}");
    assert!(!numbers(&lake, "a").await.contains(&99));
}

#[tokio::test]
async fn there_is_one_of_those_that_must_be_alone() {
    let (_dir, folder) = Lake::in_temp_folder();
    for lake in [folder, lake_over(Arc::new(InMemory::new()))] {
        let first = Replacement::begin_alone(&lake, "alone").await.unwrap();
        let e = Replacement::begin_alone(&lake, "alone").await.unwrap_err();
        assert!(e.remedy().unwrap().contains("wait for it to end"), "{e}");
        first.abort().await.unwrap();
        Replacement::begin_alone(&lake, "alone").await.unwrap().abort().await.unwrap();
    }
}
