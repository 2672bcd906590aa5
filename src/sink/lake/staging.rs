//! Files that are complete and not yet part of any table: where they wait, and how they come to their places.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectStoreExt;
use serde::{Deserialize, Serialize};

use super::location::{Lake, failed};
use crate::error::{Error, Result};
use crate::limits::LAKE_MOVES_MAX;

/// A complete file that is to come to its table. Paths are relative to the lake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// Where it was written.
    pub from: String,
    /// Where it will be read.
    pub to: String,
}

/// Shared by writers and by who makes their files count: where files go, and how many there must be.
#[derive(Debug, Clone)]
pub(super) struct StagingToken(Arc<Staging>);

#[derive(Debug)]
struct Staging {
    root: String,
    open: AtomicU64,
    finished: AtomicU64,
    /// Where finished files are, until they are asked for.
    paths: Mutex<Vec<String>>,
}

impl StagingToken {
    pub(super) fn new(root: String) -> Self {
        let (open, finished, paths) = (AtomicU64::new(0), AtomicU64::new(0), Mutex::default());
        Self(Arc::new(Staging { root, open, finished, paths }))
    }

    /// The folder that tables are written into, with a slash at its end.
    pub(super) fn root(&self) -> &str {
        &self.0.root
    }

    pub(super) fn opened(&self) {
        self.0.open.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn finished(&self, path: String) {
        self.0.finished.fetch_add(1, Ordering::SeqCst);
        self.paths().push(path);
        self.gave_up();
    }

    /// Where each file goes that was finished since this was last asked.
    pub(super) fn take_finished(&self) -> Vec<Move> {
        let paths = std::mem::take(&mut *self.paths());
        let to = |path: &str| path.strip_prefix(self.root()).unwrap_or(path).to_owned();
        paths.into_iter().map(|from| Move { to: to(&from), from }).collect()
    }

    fn paths(&self) -> MutexGuard<'_, Vec<String>> {
        // A list is whole after each of its pushes.
        self.0.paths.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn gave_up(&self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }

    /// Whether every file that was begun is finished and still there.
    pub(super) fn check(&self, found: u64) -> Result<()> {
        let (open, finished) = (self.0.open.load(Ordering::SeqCst), self.0.finished.load(Ordering::SeqCst));
        if open > 0 {
            return Err(Error::internal(format!("{open} staged files were not finished before the commit")));
        }
        if finished != found {
            let message = format!("{found} staged files are there, but {finished} were written");
            return Err(Error::external(message).hint("see what else works on this lake, then run again"));
        }
        Ok(())
    }
}

/// What it means if a file to be moved is neither at its old place nor at its new one.
#[derive(Debug, Clone, Copy)]
pub(super) enum Missing {
    /// Somebody interfered.
    IsAnError,
    /// At recovery: a later replacement of the same hours may have removed it already.
    IsDone,
}

/// What became of files that were to be moved to their places: those that are in neither list are there.
#[derive(Debug, Default)]
pub struct Moved {
    /// Those that could not be moved, and may be tried again.
    pub left: Vec<Move>,
    /// Why one of them could not.
    pub error: Option<Error>,
    /// Those that are neither where they were written nor at their places.
    pub gone: Vec<Move>,
}

impl Moved {
    /// # Errors
    /// If a file could not be moved: external or transient.
    pub fn all(self) -> Result<()> {
        self.error.map_or(Ok(()), Err)
    }
}

/// Where a file is after it was to be moved.
enum Whereabouts {
    AtItsPlace,
    Gone,
}

impl Lake {
    /// Moves files to their places. It may be called again after any failure.
    pub(super) async fn publish_all(&self, files: &[Move], missing: Missing) -> Result<()> {
        let moves = stream::iter(files.to_vec()).map(Ok);
        let publish = |m: Move| async move {
            match (self.publish(&m).await?, missing) {
                (Whereabouts::AtItsPlace, _) => Ok(()),
                (Whereabouts::Gone, Missing::IsDone) => {
                    tracing::warn!(file = %self.place(&m.to), "a file that was to be moved to its place is gone; a later replacement seems to have removed it");
                    Ok(())
                }
                (Whereabouts::Gone, Missing::IsAnError) => Err(Error::external("a staged file is gone")
                    .at(self.place(&m.from))
                    .hint("see what else works on this lake")),
            }
        };
        moves.try_for_each_concurrent(LAKE_MOVES_MAX, publish).await
    }

    /// Moves as many files to their places as can be moved. It may be called again with the rest.
    pub(super) async fn publish_each(&self, files: &[Move]) -> Moved {
        let publish = |m: Move| async move {
            let done = self.publish(&m).await;
            (m, done)
        };
        let done = stream::iter(files.to_vec()).map(publish).buffer_unordered(LAKE_MOVES_MAX);
        let note = |mut moved: Moved, (file, done)| async move {
            match done {
                Ok(Whereabouts::AtItsPlace) => {}
                Ok(Whereabouts::Gone) => moved.gone.push(file),
                Err(e) => {
                    moved.left.push(file);
                    moved.error = Some(e);
                }
            }
            moved
        };
        done.fold(Moved::default(), note).await
    }

    async fn publish(&self, Move { from, to }: &Move) -> Result<Whereabouts> {
        let destination = self.object(to);
        match self.store.rename(&self.object(from), &destination).await {
            Ok(()) => Ok(Whereabouts::AtItsPlace),
            Err(object_store::Error::NotFound { .. }) => match self.store.head(&destination).await {
                Ok(_) => Ok(Whereabouts::AtItsPlace),
                Err(object_store::Error::NotFound { .. }) => Ok(Whereabouts::Gone),
                Err(e) => Err(failed("cannot read from the lake", self.place(to), e)),
            },
            Err(e) => Err(failed("cannot move a file into its table", self.place(from), e)),
        }
    }
}
