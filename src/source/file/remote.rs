//! Inputs in S3 buckets: finding objects, and reading them from a thread that may block.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::Arc;

use ::bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectMeta, ObjectStore, ObjectStoreExt};
use tokio::runtime::Handle;

use super::discover::unknown_kind;
use super::input::{FileKind, InputFile, Place};
use crate::aws::BucketOptions;
use crate::error::{Error, Result};

/// The buckets that inputs named so far.
pub(super) struct Buckets<'a> {
    options: &'a BucketOptions,
    open: BTreeMap<String, Arc<dyn ObjectStore>>,
}

impl<'a> Buckets<'a> {
    pub(super) fn new(options: &'a BucketOptions) -> Self {
        Self { options, open: BTreeMap::new() }
    }

    /// The files that `bucket/key` names, where key is an object, a prefix, or a glob.
    pub(super) async fn find(&mut self, bucket_and_key: &str, input: &str) -> Result<Vec<InputFile>> {
        let (bucket, key) = bucket_and_key.split_once('/').unwrap_or((bucket_and_key, ""));
        find_objects(self.bucket(bucket, input)?, bucket, key, input).await
    }

    fn bucket(&mut self, bucket: &str, input: &str) -> Result<Arc<dyn ObjectStore>> {
        if let Some(store) = self.open.get(bucket) {
            return Ok(store.clone());
        }
        let store = self.options.open(bucket, input)?;
        self.open.insert(bucket.to_owned(), store.clone());
        Ok(store)
    }
}

async fn find_objects(store: Arc<dyn ObjectStore>, bucket: &str, key: &str, input: &str) -> Result<Vec<InputFile>> {
    let path = |text: &str| Path::parse(text).map_err(|e| Error::user("not a usable key").at(input).because(e));
    let url = |meta: &ObjectMeta| format!("s3://{bucket}/{}", meta.location);
    let file = |meta: ObjectMeta, kind| InputFile {
        name: url(&meta),
        kind,
        bytes: meta.size,
        place: Place::Remote(store.clone(), meta.location),
    };
    let wild = key.find(['*', '?', '[']);
    if let (None, Some(kind)) = (wild, FileKind::of_name(key)) {
        return match store.head(&path(key)?).await {
            Ok(meta) => Ok(vec![file(meta, kind)]),
            Err(StoreError::NotFound { .. }) => Err(Error::user("there is no such object").at(input)),
            Err(e) => Err(unreachable_bucket(input, e)),
        };
    }
    // Everything below the last `/` before the first wildcard is listed, the rest of the pattern is matched here.
    let folder = match wild.map(|at| key.get(..at).unwrap_or_default()) {
        Some(head) => head.rsplit_once('/').map_or("", |(folder, _)| folder),
        None => key,
    };
    let pattern = match wild {
        Some(_) => Some(glob::Pattern::new(key).map_err(|e| Error::user("not a usable glob").at(input).because(e))?),
        None => None,
    };
    let options = glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::default() };
    let prefix = path(folder)?;
    let listed: Vec<ObjectMeta> =
        store.list(Some(&prefix)).try_collect().await.map_err(|e| unreachable_bucket(input, e))?;
    let mut files = Vec::new();
    for meta in listed {
        let below =
            meta.location.prefix_match(&prefix).map(|mut parts| parts.any(|p| p.as_ref().starts_with(['.', '_'])));
        match (&pattern, FileKind::of_name(meta.location.as_ref())) {
            (Some(pattern), _) if !pattern.matches_with(meta.location.as_ref(), options) => {}
            (Some(_), None) => return Err(unknown_kind(&url(&meta))),
            (None, None) => {}
            (None, Some(_)) if below == Some(true) => {}
            (_, Some(kind)) => files.push(file(meta, kind)),
        }
    }
    Ok(files)
}

fn unreachable_bucket(place: &str, e: StoreError) -> Error {
    let message = "cannot read from the bucket";
    let error = match &e {
        StoreError::Generic { .. } => Error::transient(message),
        _ => Error::external(message),
    };
    error.at(place).hint("check the bucket's name, the region, the credentials and the network").because(e)
}

/// Reads an object front to back. Only for threads that may block.
pub(super) struct ObjectRead {
    handle: Handle,
    chunks: BoxStream<'static, object_store::Result<Bytes>>,
    chunk: Bytes,
}

impl ObjectRead {
    pub(super) fn open(store: &dyn ObjectStore, path: &Path) -> io::Result<Self> {
        let handle = Handle::current();
        let found = handle.block_on(store.get(path)).map_err(io::Error::from)?;
        Ok(Self { handle, chunks: found.into_stream(), chunk: Bytes::new() })
    }
}

impl Read for ObjectRead {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self.handle.block_on(self.chunks.next()) {
                Some(chunk) => self.chunk = chunk.map_err(io::Error::from)?,
                None => return Ok(0),
            }
        }
        let n = to.len().min(self.chunk.len());
        to[..n].copy_from_slice(&self.chunk.split_to(n));
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    async fn bucket(keys: &[&str]) -> Arc<dyn ObjectStore> {
        let store = InMemory::new();
        for key in keys {
            store.put(&Path::parse(key).unwrap(), "{}".into()).await.unwrap();
        }
        Arc::new(store)
    }

    #[tokio::test]
    async fn keys_prefixes_and_globs_name_objects() {
        let store =
            bucket(&["p/a.ndjson", "p/b.json.gz", "p/q/c.parquet", "p/_late/d.parquet", "p/x.txt", "r.ndjson"]).await;
        let find = async |key: &str| {
            let files = find_objects(store.clone(), "b", key, "s3://b/…").await?;
            Ok::<_, Error>(files.into_iter().map(|f| f.name).collect::<Vec<_>>())
        };
        assert_eq!(find("p/a.ndjson").await.unwrap(), ["s3://b/p/a.ndjson"]);
        assert_eq!(find("p/").await.unwrap(), ["s3://b/p/a.ndjson", "s3://b/p/b.json.gz", "s3://b/p/q/c.parquet"]);
        assert_eq!(find("").await.unwrap().len(), 4);
        assert_eq!(find("*.ndjson").await.unwrap(), ["s3://b/r.ndjson"]);
        assert_eq!(find("**/*.ndjson").await.unwrap().len(), 2);
        assert_eq!(find("p/q/*").await.unwrap(), ["s3://b/p/q/c.parquet"]);
        assert!(find("none/*.ndjson").await.unwrap().is_empty());
        assert_eq!(find("p/gone.ndjson").await.unwrap_err().exit_code(), 2);
        assert_eq!(find("p/*").await.unwrap_err().place(), Some("s3://b/p/x.txt"));
    }
}
