//! The bytes of one file on their way to the store, tried again until they are there.
//!
//! ```text
//!  put(bytes) ──► parts, 4 on their way at a time ──► complete
//!                   │ kept                               │ failed: pause, then all parts again, under the same name
//!                   └────────────────────────────────────┘
//! ```
//!
//! The store's client has its own tries of each call; what comes back from it is an outage, a full disk, or a mistake of somebody's. The
//! rows are nowhere else, so the encoded bytes stay in memory until the file is complete: as many as a file may have. Meanwhile its writer
//! waits, and with it all who send to it. Whichever try has succeeded, even one of which the store gave no word, the file has the same
//! bytes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{Error as StoreError, MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload, PutPayloadMut};
use tokio::task::JoinSet;
use tokio::time::Instant;
use xxhash_rust::xxh3::xxh3_64;

use super::location::{Lake, failed};
use crate::aws::{Backoff, Pauses};
use crate::error::{Error, Result};
use crate::limits::{
    LAKE_UPLOAD_BACKOFF_MILLIS_MAX, LAKE_UPLOAD_BACKOFF_MILLIS_MIN, LAKE_UPLOAD_SECS_MAX, LAKE_UPLOADS_MAX,
};
use crate::telemetry::metrics as names;

const PAUSES: Pauses = Pauses {
    millis_min: LAKE_UPLOAD_BACKOFF_MILLIS_MIN,
    millis_max: LAKE_UPLOAD_BACKOFF_MILLIS_MAX,
    floor: Duration::ZERO,
    tries: u32::MAX,
};

/// What is done about an upload that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnFailure {
    /// It is tried again, for which its bytes are kept.
    TryAgain,
    /// It is an error: who writes begins anew as a whole.
    GiveUp,
}

/// A file that appears when it is complete.
pub(super) struct Upload {
    // Properties.
    store: Arc<dyn ObjectStore>,
    path: Path,
    place: String,
    part_bytes: usize,
    /// For how long it is tried again.
    patience: Duration,
    on_failure: OnFailure,
    // State.
    /// Those that are full, if they are kept.
    parts: Vec<PutPayload>,
    /// What does not fill a part yet.
    rest: PutPayloadMut,
    /// The first try, once a part is full.
    sending: Option<Multipart>,
    /// Why the first try failed.
    failed: Option<StoreError>,
}

impl Upload {
    /// A file at `relative` within the lake.
    pub(super) fn new(lake: &Lake, relative: &str, on_failure: OnFailure) -> Self {
        Self {
            store: lake.store.clone(),
            path: lake.object(relative),
            place: lake.place(relative),
            part_bytes: lake.part_bytes,
            patience: Duration::from_secs(LAKE_UPLOAD_SECS_MAX),
            on_failure,
            parts: Vec::new(),
            rest: PutPayloadMut::new(),
            sending: None,
            failed: None,
        }
    }

    /// Adds bytes. An error is final.
    pub(super) async fn put(&mut self, mut bytes: Bytes) -> Result<()> {
        while !bytes.is_empty() {
            let room = self.part_bytes - self.rest.content_length();
            self.rest.push(bytes.split_to(bytes.len().min(room)));
            if self.rest.content_length() == self.part_bytes {
                let part = std::mem::take(&mut self.rest).freeze();
                self.send(part).await?;
            }
        }
        Ok(())
    }

    async fn send(&mut self, part: PutPayload) -> Result<()> {
        if self.on_failure == OnFailure::TryAgain {
            self.parts.push(part.clone());
        }
        if self.failed.is_some() {
            return Ok(());
        }
        match (self.first_try(part).await, self.on_failure) {
            (Ok(()), _) => Ok(()),
            (Err(e), OnFailure::TryAgain) => {
                self.failed = Some(e);
                Ok(())
            }
            (Err(e), OnFailure::GiveUp) => Err(failed("cannot write a file of the lake", self.place.clone(), e)),
        }
    }

    async fn first_try(&mut self, part: PutPayload) -> Result<(), StoreError> {
        let mut sending = match self.sending.take() {
            Some(sending) => sending,
            None => Multipart::begin(self.store.as_ref(), &self.path).await?,
        };
        match sending.put(part).await {
            Ok(()) => {
                self.sending = Some(sending);
                Ok(())
            }
            Err(e) => {
                sending.abort().await;
                Err(e)
            }
        }
    }

    /// Makes the file visible, however many tries it takes.
    pub(super) async fn complete(self) -> Result<()> {
        let Self { store, path, place, patience, on_failure, parts, rest, sending, failed: failure, .. } = self;
        let last = rest.freeze();
        let mut done = match (failure, sending) {
            (Some(e), _) => Err(e),
            (None, Some(sending)) => sending.complete(last.clone()).await,
            (None, None) => store.put(&path, last.clone()).await.map(drop),
        };
        let mut backoff = Backoff::new(xxh3_64(path.as_ref().as_bytes()), PAUSES);
        let begun = Instant::now();
        while let Err(e) = done {
            if on_failure == OnFailure::GiveUp {
                return Err(failed("cannot complete a file of the lake", place, e));
            }
            let pause = backoff.next_pause().filter(|_| begun.elapsed() < patience);
            let Some(pause) = pause else { return Err(given_up(place, patience, e)) };
            tracing::warn!(place, error = %e, "a file of the lake was not written: it is tried again");
            ::metrics::counter!(names::RETRIES_TOTAL, "service" => "lake").increment(1);
            tokio::time::sleep(pause).await;
            done = once_more(store.as_ref(), &path, &parts, &last).await;
        }
        Ok(())
    }

    /// Gives the file up: nothing of it stays, unless the store fails.
    pub(super) async fn abort(self) {
        if let Some(sending) = self.sending {
            sending.abort().await;
        }
    }
}

/// Sends the whole file.
async fn once_more(
    store: &dyn ObjectStore,
    path: &Path,
    parts: &[PutPayload],
    last: &PutPayload,
) -> Result<(), StoreError> {
    if parts.is_empty() {
        return store.put(path, last.clone()).await.map(drop);
    }
    let mut sending = Multipart::begin(store, path).await?;
    for part in parts {
        if let Err(e) = sending.put(part.clone()).await {
            sending.abort().await;
            return Err(e);
        }
    }
    sending.complete(last.clone()).await
}

fn given_up(place: String, patience: Duration, e: StoreError) -> Error {
    Error::external(format!("a file of the lake could not be written for {} s", patience.as_secs()))
        .at(place)
        .hint(
            "check that the place may be written and has free space, then start again: nothing is lost, the start goes on from the last \
             checkpoint",
        )
        .because(e)
}

/// One try of a file of several parts.
struct Multipart {
    upload: Box<dyn MultipartUpload>,
    on_their_way: JoinSet<Result<(), StoreError>>,
}

impl Multipart {
    async fn begin(store: &dyn ObjectStore, path: &Path) -> Result<Self, StoreError> {
        Ok(Self { upload: store.put_multipart(path).await?, on_their_way: JoinSet::new() })
    }

    async fn put(&mut self, part: PutPayload) -> Result<(), StoreError> {
        self.wait(LAKE_UPLOADS_MAX - 1).await?;
        self.on_their_way.spawn(self.upload.put_part(part));
        Ok(())
    }

    /// Waits until at most so many parts are on their way.
    async fn wait(&mut self, most: usize) -> Result<(), StoreError> {
        while self.on_their_way.len() > most {
            match self.on_their_way.join_next().await {
                Some(done) => done.map_err(|source| StoreError::JoinError { source }).flatten()?,
                None => break,
            }
        }
        Ok(())
    }

    async fn complete(mut self, last: PutPayload) -> Result<(), StoreError> {
        let done = async {
            if last.content_length() > 0 {
                self.put(last).await?;
            }
            self.wait(0).await?;
            self.upload.complete().await
        };
        match done.await {
            Ok(_) => Ok(()),
            Err(e) => {
                self.abort().await;
                Err(e)
            }
        }
    }

    /// Has the store forget the parts. If it cannot, they are in the way of nobody: a bucket's lifecycle removes them.
    async fn abort(mut self) {
        self.on_their_way.shutdown().await;
        if let Err(e) = self.upload.abort().await {
            tracing::debug!(error = %e, "the parts of an upload that failed may be there still");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A lake in which nothing can be written below `t` until that file is removed.
    fn blocked() -> (tempfile::TempDir, Lake) {
        let (dir, lake) = Lake::in_temp_folder();
        std::fs::write(dir.path().join("t"), "in the way").unwrap();
        (dir, lake.with_upload_parts_of(16))
    }

    #[tokio::test]
    async fn a_file_that_fails_is_written_again_as_a_whole() {
        let (dir, lake) = blocked();
        let bytes: Vec<u8> = (0..100).collect();
        let mut upload = Upload::new(&lake, "t/x", OnFailure::TryAgain);
        for some in bytes.chunks(21) {
            upload.put(Bytes::copy_from_slice(some)).await.unwrap();
        }
        assert!(upload.failed.is_some(), "parts were refused");
        std::fs::remove_file(dir.path().join("t")).unwrap();
        upload.complete().await.unwrap();
        assert_eq!(std::fs::read(dir.path().join("t/x")).unwrap(), bytes);
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_written_is_an_error_that_says_what_to_do() {
        let (_dir, lake) = blocked();
        for parts in [0, 3] {
            let mut upload = Upload::new(&lake, "t/x", OnFailure::TryAgain);
            upload.patience = Duration::from_millis(20);
            upload.put(Bytes::from(vec![0; 16 * parts + 1])).await.unwrap();
            let begun = Instant::now();
            let e = upload.complete().await.unwrap_err();
            assert!(begun.elapsed() >= Duration::from_millis(20), "it is tried for as long as it may be");
            assert_eq!((e.exit_code(), e.place().unwrap()), (1, lake.place("t/x").as_str()));
            assert!(
                e.message().contains("could not be written") && e.remedy().unwrap().contains("last checkpoint"),
                "{e}"
            );
        }
    }

    #[tokio::test]
    async fn who_begins_anew_as_a_whole_is_told_at_once() {
        let (_dir, lake) = blocked();
        let mut upload = Upload::new(&lake, "t/x", OnFailure::GiveUp);
        assert!(upload.put(Bytes::from(vec![0; 17])).await.is_err());
        let mut upload = Upload::new(&lake, "t/x", OnFailure::GiveUp);
        upload.put(Bytes::from(vec![0; 15])).await.unwrap();
        assert!(upload.complete().await.is_err());
        assert!(upload_of_nothing_kept(&lake).await);
    }

    /// Whether a file of several parts leaves none of them in memory.
    async fn upload_of_nothing_kept(lake: &Lake) -> bool {
        let mut upload = Upload::new(lake, "u/x", OnFailure::GiveUp);
        upload.put(Bytes::from(vec![0; 100])).await.unwrap();
        let kept = upload.parts.len();
        upload.abort().await;
        kept == 0
    }
}
