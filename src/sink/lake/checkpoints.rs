//! Checkpoints as objects of the lake: `_checkpoints/<application>/<number>.checkpoint`.
//!
//! Each is one object that is put whole and never changed, under the number after the one that its writer went on from. The highest
//! number counts. A number that is taken shows that another process writes for the same application: nothing is overwritten. So a process
//! that takes the next number shuts out whoever went on from the one before.
//!
//! A store may fail to say what became of a put, or say that the number is taken because a first try, of which it gave no word, has
//! succeeded. So what is there is read back before anybody is told.

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{Error as StoreError, ObjectStoreExt, PutMode, PutOptions};

use super::location::{Lake, failed};
use crate::error::{Error, Result};
use crate::limits::CHECKPOINTS_KEPT;

const FOLDER: &str = "_checkpoints";
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
    /// It is there, under this number.
    Done(u64),
    /// There is another one.
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

    /// An object's first bytes, all of it if it has no more; none if it is not there.
    ///
    /// # Errors
    /// External or transient if the store fails.
    pub async fn read_start(&self, number: u64, bytes: u64) -> Result<Option<Bytes>> {
        let path = self.path(number);
        match self.lake.store.get_range(&self.lake.object(&path), 0..bytes).await {
            Ok(start) => Ok(Some(start)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(e) => Err(failed("cannot read a checkpoint", self.lake.place(&path), e)),
        }
    }

    /// Puts a new object after `last`, the number that its state went on from (0: none), whole or not at all.
    ///
    /// # Errors
    /// External or transient if the store fails, and whether the object is there is not known: it may be tried again.
    pub async fn put(&self, last: u64, bytes: Bytes) -> Result<Put> {
        let number = last + 1;
        if self.list().await?.last().is_some_and(|known| known.number > number) {
            return Ok(Put::Taken);
        }
        let path = self.path(number);
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let Err(e) = self.lake.store.put_opts(&self.lake.object(&path), bytes.clone().into(), options).await else {
            return Ok(Put::Done(number));
        };
        match self.read(number).await {
            Ok(Some(found)) if found == bytes => Ok(Put::Done(number)),
            Ok(Some(_)) => Ok(Put::Taken),
            _ => Err(failed("cannot write a checkpoint", self.lake.place(&path), e)),
        }
    }

    /// As [`put`](Self::put), and removes those too old to keep. Its number.
    ///
    /// # Errors
    /// As [`put`](Self::put); external if another process has put one meanwhile.
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
        Error::external(
            "another process goes on with this application: it has taken over, and nothing more is written here",
        )
        .at(self.place(number))
        .hint("run one process for an application, or give each its own run.application")
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

    /// Removes one; it need not be there.
    ///
    /// # Errors
    /// External or transient if the store fails.
    pub async fn remove(&self, number: u64) -> Result<()> {
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
        for n in kept {
            store.remove(n).await.unwrap();
        }
        store.remove(99).await.unwrap();
        assert!(store.list().await.unwrap().is_empty());
        assert_eq!(other.list().await.unwrap().len(), 1);
    }
}
