//! Checkpoints as objects of the lake: `_checkpoints/<application>/<number>.checkpoint`.
//!
//! Each is one object that is put whole and never changed, under the number after the one that its writer went on from. The highest
//! number counts. A number that is taken shows that another process writes for the same application: nothing is overwritten. So a process
//! that takes the next number shuts out whoever went on from the one before.
//!
//! ```text
//!  list: nothing higher ─► put, only if it is not there ─► list again: it is there, and nothing higher ─► it counts
//! ```
//!
//! **Why it is listed again.** A process may stand still, or its store try again, between the list and the put; meanwhile another one takes
//! the number, goes on, and removes it as too old. Then the number is free, and the put succeeds. But the highest number is never removed, so
//! a number that was freed has a higher one beside it, which was put before: a list after the put shows it, as lists of S3 and of disks show
//! what was put before them. A record that was put so is left where it is. It does not count, whoever prunes next removes it; and a higher
//! number beside one's own may as well be of a process that goes on from it.
//!
//! **Numbers only grow.** Nobody removes the highest but with a higher one put before it: a reset too is a record. A list without the number
//! that a process went on from, or any higher, is of a folder that somebody has removed by hand: what is put there counts as nothing.
//!
//! A store may fail to say what became of a put, or say that the number is taken because a first try, of which it gave no word, has
//! succeeded. So what is there is read back before anybody is told.

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{Error as StoreError, ObjectStoreExt, PutMode, PutOptions};

use super::location::{Lake, failed};
use crate::error::{Error, Result};
use crate::limits::CHECKPOINTS_KEPT;

pub(super) const FOLDER: &str = "_checkpoints";
const SUFFIX: &str = ".checkpoint";

/// The checkpoints of one application in a lake.
#[derive(Debug, Clone)]
pub struct CheckpointStore {
    lake: Lake,
    application: String,
}

/// What became of an object that was to be put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It is there, under this number, and it was the last one when that was looked at.
    Done(u64),
    /// It does not count: its number was taken, or there is a higher one, or what it goes on from is gone.
    Taken,
}

/// One object, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoredCheckpoint {
    /// Its number.
    pub number: u64,
    /// Its size.
    pub bytes: u64,
}

impl CheckpointStore {
    /// Those of `application`, a name without `/`.
    pub fn new(lake: &Lake, application: &str) -> Self {
        Self { lake: lake.clone(), application: application.to_owned() }
    }

    /// What is there, oldest first.
    ///
    /// # Errors
    /// External or transient if the store cannot be listed.
    pub async fn list(&self) -> Result<Vec<StoredCheckpoint>> {
        let folder = self.lake.object(&self.prefix());
        let listed: Result<Vec<_>, StoreError> = self.lake.store.list(Some(&folder)).try_collect().await;
        let listed = listed.map_err(|e| failed("cannot list the checkpoints", self.folder(), e))?;
        let number = |name: &str| name.strip_suffix(SUFFIX)?.parse().ok();
        let mut found: Vec<StoredCheckpoint> = listed
            .iter()
            .filter_map(|m| Some(StoredCheckpoint { number: number(m.location.filename()?)?, bytes: m.size }))
            .collect();
        found.sort_unstable();
        Ok(found)
    }

    /// An object's bytes; none if it is not there.
    ///
    /// # Errors
    /// External or transient if the store fails.
    pub async fn read(&self, number: u64) -> Result<Option<Bytes>> {
        self.lake.fetch(&self.path(number)).await
    }

    /// An object's first bytes, `length` of them or all; none if it is not there.
    ///
    /// # Errors
    /// External or transient if the store fails.
    pub async fn read_start(&self, stored: StoredCheckpoint, length: usize) -> Result<Option<Bytes>> {
        // A range of nothing is refused; an object of nothing is what a disk may leave that lost its power.
        let length = stored.bytes.min(length as u64);
        if length == 0 {
            return Ok(Some(Bytes::new()));
        }
        let path = self.path(stored.number);
        match self.lake.store.get_range(&self.lake.object(&path), 0..length).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(e) => Err(failed("cannot read a checkpoint", self.lake.place(&path), e)),
        }
    }

    /// The last one; none if there is none.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub async fn last(&self) -> Result<Option<StoredCheckpoint>> {
        Ok(self.list().await?.pop())
    }

    /// Puts a new object after `last`, the number that its state went on from (0: none), whole or not at all.
    ///
    /// # Errors
    /// External or transient if the store fails, and whether the object is there, or counts, is not known: it may be tried again.
    pub async fn put(&self, last: u64, bytes: Bytes) -> Result<Put> {
        let number = last + 1;
        let known = self.last().await?.map_or(0, |known| known.number);
        if known > number || known < last {
            return Ok(Put::Taken);
        }
        let path = self.path(number);
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        if let Err(e) = self.lake.store.put_opts(&self.lake.object(&path), bytes.clone().into(), options).await {
            match self.read(number).await {
                Ok(Some(found)) if found == bytes => {}
                Ok(Some(_)) => return Ok(Put::Taken),
                _ => return Err(failed("cannot write a checkpoint", self.lake.place(&path), e)),
            }
        }
        match self.last().await? {
            Some(known) if known.number == number => Ok(Put::Done(number)),
            // Higher: whoever took over went on from this one, or put theirs before it. None: it was removed as too old already.
            _ => Ok(Put::Taken),
        }
    }

    /// As [`put`](Self::put), and removes those too old to keep. Its number.
    ///
    /// # Errors
    /// As [`put`](Self::put); [`taken`](Self::taken) if another process has put one meanwhile.
    pub async fn write(&self, last: u64, bytes: Vec<u8>) -> Result<u64> {
        match self.put(last, bytes.into()).await? {
            Put::Done(number) => {
                self.remove_old(number).await?;
                Ok(number)
            }
            Put::Taken => Err(self.taken(last + 1)),
        }
    }

    /// Why this process must stop: another one has put what was its to put.
    pub fn taken(&self, number: u64) -> Error {
        Error::taken_over(
            "another process goes on with this application: it has taken over, and nothing more is written here",
        )
        .at(self.place(number))
        .hint("leave it to that one: started again, this one would take over in its turn; run one process for an application, or give each its own run.application")
    }

    /// Why this process must stop: what it goes on from was given up meanwhile.
    pub fn reset(&self, number: u64) -> Error {
        Error::taken_over("the checkpoints of this application were reset while it ran: nothing more is written here")
            .at(self.place(number))
            .hint("start it again by hand: it begins where the reset says")
    }

    /// Removes all but the last few up to `number`. Those behind it are of others, who may go on from it.
    ///
    /// # Errors
    /// External or transient if the store fails.
    pub async fn remove_old(&self, number: u64) -> Result<()> {
        let is_old = |known: &&StoredCheckpoint| known.number + CHECKPOINTS_KEPT as u64 <= number;
        for old in self.list().await?.iter().filter(is_old) {
            self.remove(old.number).await?;
        }
        Ok(())
    }

    /// Removes all below `number`, which must be the last; how many.
    ///
    /// # Errors
    /// External or transient if the store fails.
    pub async fn remove_before(&self, number: u64) -> Result<usize> {
        let mut removed = 0;
        for old in self.list().await?.iter().filter(|known| known.number < number) {
            self.remove(old.number).await?;
            removed += 1;
        }
        Ok(removed)
    }

    /// Removes one; it need not be there.
    async fn remove(&self, number: u64) -> Result<()> {
        let path = self.path(number);
        match self.lake.store.delete(&self.lake.object(&path)).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(e) => Err(failed("cannot remove a checkpoint", self.lake.place(&path), e)),
        }
    }

    /// Where an object is, for messages.
    pub fn place(&self, number: u64) -> String {
        self.lake.place(&self.path(number))
    }

    /// Where all of them are, for messages.
    pub fn folder(&self) -> String {
        self.lake.place(&self.prefix())
    }

    fn prefix(&self) -> String {
        format!("{FOLDER}/{}", self.application)
    }

    fn path(&self, number: u64) -> String {
        format!("{}/{number:012}{SUFFIX}", self.prefix())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_last_few_are_kept_and_numbers_only_grow() {
        let (_dir, lake) = Lake::in_temp_folder();
        let store = CheckpointStore::new(&lake, "app");
        let other = CheckpointStore::new(&lake, "other");
        assert!(store.list().await.unwrap().is_empty());
        for n in 1..=CHECKPOINTS_KEPT as u64 + 2 {
            assert_eq!(store.write(n - 1, vec![n as u8; n as usize]).await.unwrap(), n);
        }
        other.write(0, vec![7]).await.unwrap();
        for last in [0, 1, 3] {
            let e = store.write(last, vec![0]).await.unwrap_err();
            assert!(e.message().contains("another process"), "{e}");
        }
        let kept: Vec<u64> = store.list().await.unwrap().iter().map(|c| c.number).collect();
        assert_eq!(kept, [3, 4, 5]);
        assert_eq!(store.read(5).await.unwrap().unwrap(), vec![5; 5]);
        assert_eq!(store.read(1).await.unwrap(), None);
        assert_eq!(store.remove_before(5).await.unwrap(), 2);
        assert_eq!(store.list().await.unwrap().len(), 1);
        store.remove(99).await.unwrap();
        let start = |length| store.read_start(StoredCheckpoint { number: 5, bytes: 5 }, length);
        assert_eq!((start(2).await.unwrap().unwrap().len(), start(9).await.unwrap().unwrap().len()), (2, 5));
        store.remove(5).await.unwrap();
        assert_eq!(start(9).await.unwrap(), None);
        let e = store.write(5, vec![0]).await.unwrap_err();
        assert_eq!(e.exit_code(), 3, "what it went on from is gone");
        assert!(store.list().await.unwrap().is_empty());
        assert_eq!(other.list().await.unwrap().len(), 1);
    }
}
