//! An object store in memory that fails as a seed says: it refuses, it does what it is told and gives an error all the same, its disk is
//! full for a while, it is slow. Every call can fail, each part of an upload too.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::sync::{Notify, watch};

/// How often what went wrong.
#[derive(Debug, Default)]
pub(super) struct Faults {
    pub refused: AtomicU64,
    /// It was done, and an error given.
    pub unsaid: AtomicU64,
    pub full: AtomicU64,
    pub slow: AtomicU64,
    /// Errors by what was asked for.
    pub puts: AtomicU64,
    /// Files that wait for a commit, in one piece or as they begin.
    pub files: AtomicU64,
    pub parts: AtomicU64,
    pub completions: AtomicU64,
    pub lists: AtomicU64,
    pub deletes: AtomicU64,
    pub copies: AtomicU64,
    pub reads: AtomicU64,
}

impl Faults {
    /// Tries to write a file of a table that went wrong.
    pub(super) fn uploads(&self) -> u64 {
        [&self.files, &self.parts, &self.completions].iter().map(|n| n.load(Ordering::Relaxed)).sum()
    }

    /// By how it went wrong, and by what was asked for.
    pub(super) fn all(&self) -> ([u64; 4], [u64; 8]) {
        let Self { refused, unsaid, full, slow, puts, files, parts, completions, lists, deletes, copies, reads } = self;
        let count = |n: &AtomicU64| n.load(Ordering::Relaxed);
        let how = [refused, unsaid, full, slow].map(count);
        (how, [puts, files, parts, completions, lists, deletes, copies, reads].map(count))
    }
}

/// What becomes of a call.
enum Fate {
    Done,
    Refused,
    Unsaid,
}

/// Says what happens next.
#[derive(Debug)]
struct Chance {
    /// The seed's numbers, and how many writes more find the disk full; none if all goes well.
    next: Option<Mutex<(SmallRng, u32)>>,
    faults: Arc<Faults>,
}

/// What holds files of raw events back.
#[derive(Debug)]
struct Gate {
    arrived: Arc<Notify>,
    open: watch::Receiver<bool>,
}

impl Gate {
    async fn pass(&self, to: &Path) {
        if to.as_ref().contains("/user_events/") {
            self.arrived.notify_one();
            // Who holds it is gone: so is what it held back.
            let _ = self.open.clone().wait_for(|open| *open).await;
        }
    }
}

impl Chance {
    /// `percent` is how often each of two things goes wrong, besides a full disk.
    fn fate(&self, writes: bool, percent: u32) -> (Option<Duration>, Fate) {
        let Some(next) = &self.next else { return (None, Fate::Done) };
        let (rng, full) = &mut *next.lock().unwrap();
        let pause = rng.random_ratio(1, 10).then(|| Duration::from_millis(rng.random_range(1..30)));
        if pause.is_some() {
            self.faults.slow.fetch_add(1, Ordering::Relaxed);
        }
        if writes && *full == 0 && rng.random_ratio(1, 40) {
            *full = rng.random_range(1..10);
        }
        let fate = match rng.random_range(0..100) / percent {
            _ if writes && *full > 0 => {
                *full -= 1;
                self.faults.full.fetch_add(1, Ordering::Relaxed);
                Fate::Refused
            }
            0 => {
                self.faults.refused.fetch_add(1, Ordering::Relaxed);
                Fate::Refused
            }
            1 if writes => {
                self.faults.unsaid.fetch_add(1, Ordering::Relaxed);
                Fate::Unsaid
            }
            _ => Fate::Done,
        };
        (pause, fate)
    }

    async fn call<T>(&self, writes: bool, of: &AtomicU64, done: impl Future<Output = Result<T>>) -> Result<T> {
        self.call_often(writes, 3, of, done).await
    }

    async fn call_often<T>(
        &self,
        writes: bool,
        percent: u32,
        of: &AtomicU64,
        done: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let (pause, fate) = self.fate(writes, percent);
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
        let outcome = match fate {
            Fate::Done => return done.await,
            Fate::Refused => Err(broken()),
            Fate::Unsaid => done.await.and_then(|_| Err(broken())),
        };
        of.fetch_add(u64::from(outcome.is_err()), Ordering::Relaxed);
        outcome
    }
}

fn broken() -> Error {
    Error::Generic { store: "failing", source: "as a seed says".into() }
}

/// The store.
#[derive(Debug)]
pub(super) struct Failing {
    inner: Arc<InMemory>,
    chance: Arc<Chance>,
    gate: Option<Gate>,
}

impl Failing {
    pub(super) fn new(inner: &Arc<InMemory>, seed: u64, faults: &Arc<Faults>) -> Self {
        let next = Some(Mutex::new((SmallRng::seed_from_u64(seed), 0)));
        let chance = Arc::new(Chance { next, faults: Arc::clone(faults) });
        Self { inner: Arc::clone(inner), chance, gate: None }
    }

    /// One that fails in nothing, and holds files of raw events back until it is told to let them in; and who says that one has come.
    pub(super) fn holding(inner: &Arc<InMemory>) -> (Self, Arc<Notify>, watch::Sender<bool>) {
        let ((letting_in, open), arrived) = (watch::channel(false), Arc::new(Notify::new()));
        let chance = Arc::new(Chance { next: None, faults: Arc::default() });
        let gate = Some(Gate { arrived: Arc::clone(&arrived), open });
        (Self { inner: Arc::clone(inner), chance, gate }, arrived, letting_in)
    }

    fn of(&self, to: &Path) -> &AtomicU64 {
        let Faults { puts, files, .. } = self.chance.faults.as_ref();
        if to.as_ref().starts_with("_uncommitted/") { files } else { puts }
    }

    async fn write<T>(&self, of: &AtomicU64, done: impl Future<Output = Result<T>>) -> Result<T> {
        self.chance.call(true, of, done).await
    }

    async fn read<T>(&self, of: &AtomicU64, done: impl Future<Output = Result<T>>) -> Result<T> {
        self.chance.call(false, of, done).await
    }
}

impl std::fmt::Display for Failing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("failing")
    }
}

#[async_trait]
impl ObjectStore for Failing {
    async fn put_opts(&self, to: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        if let Some(gate) = &self.gate {
            gate.pass(to).await;
        }
        self.write(self.of(to), self.inner.put_opts(to, payload, options)).await
    }

    async fn put_multipart_opts(&self, to: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let inner = self.write(self.of(to), self.inner.put_multipart_opts(to, options)).await?;
        Ok(Box::new(Uploading { inner, chance: Arc::clone(&self.chance) }))
    }

    async fn get_opts(&self, from: &Path, options: GetOptions) -> Result<GetResult> {
        self.read(&self.chance.faults.reads, self.inner.get_opts(from, options)).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let (inner, chance) = (Arc::clone(&self.inner), Arc::clone(&self.chance));
        let delete = move |path: Result<Path>| {
            let (inner, chance) = (Arc::clone(&inner), Arc::clone(&chance));
            async move {
                let path = path?;
                chance.call(true, &chance.faults.deletes, inner.delete(&path)).await.map(|()| path)
            }
        };
        paths.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (listed, chance) = (self.inner.list(prefix), Arc::clone(&self.chance));
        let begin = async move { chance.call(false, &chance.faults.lists, std::future::ready(Ok(listed))).await };
        stream::once(begin).try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.read(&self.chance.faults.lists, self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.write(&self.chance.faults.copies, self.inner.copy_opts(from, to, options)).await
    }
}

/// A file that comes in parts.
#[derive(Debug)]
struct Uploading {
    inner: Box<dyn MultipartUpload>,
    chance: Arc<Chance>,
}

#[async_trait]
impl MultipartUpload for Uploading {
    fn put_part(&mut self, part: PutPayload) -> UploadPart {
        let (done, chance) = (self.inner.put_part(part), Arc::clone(&self.chance));
        Box::pin(async move { chance.call(true, &chance.faults.parts, done).await })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let Self { inner, chance } = self;
        // There is one a file, and it is where a fault does most.
        chance.call_often(true, 15, &chance.faults.completions, inner.complete()).await
    }

    async fn abort(&mut self) -> Result<()> {
        let Self { inner, chance } = self;
        chance.call(true, &AtomicU64::new(0), inner.abort()).await
    }
}
