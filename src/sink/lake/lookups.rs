//! Versions of lookup tables as objects of the lake: `_lookups/<application>/<hash>.arrow`.
//!
//! A checkpoint names the versions that its job joined with; here is what was in them, whatever has become of the tables since. The
//! name is the hash of the content, so a version is written once and never changed, and what is read back can be checked.
//!
//! The object is an Arrow IPC stream of one batch, compressed with zstd.

use std::collections::BTreeSet;
use std::io::Read;

use arrow::array::RecordBatch;
use futures::TryStreamExt;
use object_store::{Error as StoreError, ObjectStoreExt};
use xxhash_rust::xxh3::xxh3_128;

use super::location::{Lake, failed};
use crate::error::{Error, Result};
use crate::limits::LOOKUP_BYTES_MAX;
use crate::types::arrow_bytes;

pub(super) const FOLDER: &str = "_lookups";
const SUFFIX: &str = ".arrow";
/// Written while the job reads on, and read at a start: the fastest is small enough.
const ZSTD_LEVEL: i32 = 1;

/// The versions of one application's lookup tables in a lake.
#[derive(Debug, Clone)]
pub struct LookupStore {
    lake: Lake,
    application: String,
}

impl LookupStore {
    /// Those of `application`, a name without `/`.
    pub fn new(lake: &Lake, application: &str) -> Self {
        Self { lake: lake.clone(), application: application.to_owned() }
    }

    /// Which version a table's content is: a hash of its columns and rows, 32 hexadecimal digits.
    ///
    /// # Errors
    /// Internal, if a column cannot be stored.
    pub fn hash(rows: &RecordBatch) -> Result<String> {
        Ok(hash_of(&arrow_bytes::to_bytes(rows)?))
    }

    /// Keeps a version; its hash. One that is there already is left as it is.
    ///
    /// # Errors
    /// External or transient if the store fails.
    pub async fn write(&self, rows: &RecordBatch) -> Result<String> {
        let bytes = arrow_bytes::to_bytes(rows)?;
        let hash = hash_of(&bytes);
        let path = self.path(&hash);
        let object = self.lake.object(&path);
        match self.lake.store.head(&object).await {
            Ok(_) => return Ok(hash),
            Err(StoreError::NotFound { .. }) => {}
            Err(e) => return Err(failed("cannot look for a version of a lookup table", self.lake.place(&path), e)),
        }
        let packed = tokio::task::spawn_blocking(move || zstd::bulk::compress(&bytes, ZSTD_LEVEL))
            .await
            .map_err(|e| Error::internal("a compression broke off").because(e))??;
        let put = self.lake.store.put(&object, packed.into()).await;
        put.map_err(|e| failed("cannot keep a version of a lookup table", self.lake.place(&path), e))?;
        Ok(hash)
    }

    /// A version's rows; none if it is not there.
    ///
    /// # Errors
    /// External if it is damaged or the store fails, or transient.
    pub async fn read(&self, hash: &str) -> Result<Option<RecordBatch>> {
        let path = self.path(hash);
        let Some(packed) = self.lake.fetch(&path).await? else { return Ok(None) };
        let damaged = || Error::external("a kept version of a lookup table is damaged").at(self.lake.place(&path));
        let mut bytes = Vec::new();
        // Arrow's framing is a little more than the rows in memory.
        let most = 2 * LOOKUP_BYTES_MAX as u64;
        let decoder = zstd::stream::read::Decoder::with_buffer(packed.as_ref()).map_err(|e| damaged().because(e))?;
        decoder.take(most).read_to_end(&mut bytes).map_err(|e| damaged().because(e))?;
        if hash_of(&bytes) != hash {
            return Err(damaged());
        }
        arrow_bytes::from_bytes(&bytes).map(Some).map_err(|e| damaged().because(e))
    }

    /// The hashes of the versions that are there.
    ///
    /// # Errors
    /// External or transient if the store cannot be listed.
    pub async fn list(&self) -> Result<BTreeSet<String>> {
        let folder = self.lake.object(&self.prefix());
        let listed: Result<Vec<_>, StoreError> = self.lake.store.list(Some(&folder)).try_collect().await;
        let place = || self.lake.place(&self.prefix());
        let listed = listed.map_err(|e| failed("cannot list the versions of lookup tables", place(), e))?;
        let hash = |name: &str| name.strip_suffix(SUFFIX).map(str::to_owned);
        Ok(listed.iter().filter_map(|object| hash(object.location.filename()?)).collect())
    }

    /// Removes versions; how many.
    ///
    /// # Errors
    /// External or transient if the store fails.
    pub async fn remove(&self, hashes: impl IntoIterator<Item = &String>) -> Result<usize> {
        let mut removed = 0;
        for hash in hashes {
            let path = self.path(hash);
            match self.lake.store.delete(&self.lake.object(&path)).await {
                Ok(()) | Err(StoreError::NotFound { .. }) => removed += 1,
                Err(e) => return Err(failed("cannot remove a version of a lookup table", self.lake.place(&path), e)),
            }
        }
        Ok(removed)
    }

    /// Where a version is, for messages.
    pub fn place(&self, hash: &str) -> String {
        self.lake.place(&self.path(hash))
    }

    fn prefix(&self) -> String {
        format!("{FOLDER}/{}", self.application)
    }

    fn path(&self, hash: &str) -> String {
        format!("{}/{hash}{SUFFIX}", self.prefix())
    }
}

fn hash_of(bytes: &[u8]) -> String {
    format!("{:032x}", xxh3_128(bytes))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, StringArray};

    use super::*;

    fn rows(ids: &[Option<&str>]) -> RecordBatch {
        let ids: ArrayRef = Arc::new(StringArray::from(ids.to_vec()));
        RecordBatch::try_from_iter_with_nullable([("channel_id", ids, true)]).unwrap()
    }

    #[tokio::test]
    async fn a_version_is_kept_under_its_hash_until_nobody_names_it() {
        let (_dir, lake) = Lake::in_temp_folder();
        let (store, other) = (LookupStore::new(&lake, "app"), LookupStore::new(&lake, "other"));
        let (one, two) = (rows(&[Some("a"), None]), rows(&[Some("b"), None]));
        let first = store.write(&one).await.unwrap();
        assert_eq!(store.write(&one).await.unwrap(), first);
        assert_eq!(LookupStore::hash(&one).unwrap(), first);
        let second = store.write(&two).await.unwrap();
        other.write(&two).await.unwrap();
        assert_ne!(first, second);
        assert_eq!(store.read(&first).await.unwrap().unwrap(), one);
        assert_eq!(store.remove([&first]).await.unwrap(), 1);
        assert!(store.read(&first).await.unwrap().is_none());
        assert_eq!(store.read(&second).await.unwrap().unwrap(), two);
        assert!(other.read(&second).await.unwrap().is_some(), "another application's are its own");
    }

    #[tokio::test]
    async fn damage_is_told() {
        let (dir, lake) = Lake::in_temp_folder();
        let store = LookupStore::new(&lake, "app");
        let hash = store.write(&rows(&[Some("a")])).await.unwrap();
        let path = dir.path().join(format!("{FOLDER}/app/{hash}{SUFFIX}"));
        let forged = zstd::bulk::compress(&arrow_bytes::to_bytes(&rows(&[Some("b")])).unwrap(), 1).unwrap();
        for bytes in [forged, b"junk".to_vec()] {
            std::fs::write(&path, bytes).unwrap();
            let e = store.read(&hash).await.unwrap_err();
            assert_eq!((e.exit_code(), e.place().unwrap()), (1, store.place(&hash).as_str()));
        }
    }
}
