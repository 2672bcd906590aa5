//! The files of a lookup table: which there are, whether they have changed, what is in them.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectMeta, ObjectStore, ObjectStoreExt};
use url::Url;

use crate::aws::BucketOptions;
use crate::config::LookupFormat;
use crate::error::{Error, Result};
use crate::limits::LOOKUP_BYTES_MAX;

/// What tells one state of a table's files from another: names, sizes, times of modification and ETags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileStamps(Vec<(String, u64, i64, Option<String>)>);

/// A file that was found.
#[derive(Debug, Clone)]
pub(super) struct LookupFile {
    /// Its path or URL.
    pub name: String,
    pub format: LookupFormat,
    meta: ObjectMeta,
}

/// Where a table's files are.
#[derive(Debug)]
pub(super) struct Files {
    store: Arc<dyn ObjectStore>,
    /// The file, or the folder.
    path: Path,
    /// Before the path of a file in its name.
    root: String,
    format: Option<LookupFormat>,
    location: String,
}

impl Files {
    /// The files at `location`. Nothing is asked of a bucket yet.
    pub(super) fn open(location: &str, format: Option<LookupFormat>, buckets: &BucketOptions) -> Result<Self> {
        let bad = |e| Error::user("not a usable place of a lookup table").at(location).because(e);
        let (store, path, root): (Arc<dyn ObjectStore>, Path, String) = match location.split_once("://") {
            Some(("s3", rest)) => {
                let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
                (
                    buckets.open(bucket, location)?,
                    Path::parse(key.trim_end_matches('/')).map_err(bad)?,
                    format!("s3://{bucket}/"),
                )
            }
            scheme => {
                let local = match scheme {
                    Some(_) => Url::parse(location).ok().and_then(|u| u.to_file_path().ok()),
                    None => Some(PathBuf::from(location)),
                };
                let local = local.ok_or_else(|| {
                    Error::user("not the URL of a file on this machine").at(location).hint("write file:///path")
                })?;
                let absolute = std::path::absolute(&local)
                    .map_err(|e| Error::user("not a usable path").at(location).because(e))?;
                (Arc::new(LocalFileSystem::new()), Path::from_absolute_path(absolute).map_err(bad)?, "/".to_owned())
            }
        };
        Ok(Self { store, path, root, format, location: location.to_owned() })
    }

    /// The files that are there now, by name; at least one.
    pub(super) async fn find(&self) -> Result<Vec<LookupFile>> {
        let unreadable = |e| self.failed("cannot be looked for", e);
        let mut found = match self.store.head(&self.path).await {
            Ok(meta) => vec![self.named(meta)?],
            // Of a folder there is no head; a disk says so in its own words.
            Err(_) => {
                let listed: Result<Vec<ObjectMeta>, StoreError> = self.store.list(Some(&self.path)).try_collect().await;
                let below = |meta: &ObjectMeta| {
                    let mut parts = meta.location.prefix_match(&self.path)?;
                    Some(!parts.any(|part| part.as_ref().starts_with(['.', '_'])))
                };
                let kept = listed.map_err(unreadable)?.into_iter().filter(|meta| below(meta) == Some(true));
                let known = kept.filter(|meta| self.format.or(format_of(meta.location.as_ref())).is_some());
                known.map(|meta| self.named(meta)).collect::<Result<_>>()?
            }
        };
        if found.is_empty() {
            return Err(Error::user("there is no file of a lookup table").at(&self.location).hint(KINDS));
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    fn named(&self, meta: ObjectMeta) -> Result<LookupFile> {
        let name = format!("{}{}", self.root, meta.location);
        let format = self.format.or_else(|| format_of(&name));
        let format = format.ok_or_else(|| Error::user("its name does not tell what it holds").at(&name).hint(KINDS))?;
        Ok(LookupFile { name, format, meta })
    }

    /// A file's bytes, of the very state that was found.
    pub(super) async fn fetch(&self, file: &LookupFile) -> Result<Bytes> {
        let unreadable = |e| self.failed("cannot be read", e).at(&file.name);
        if file.meta.size > LOOKUP_BYTES_MAX as u64 {
            return Err(too_large(&file.name));
        }
        let got = self.store.get(&file.meta.location).await.map_err(unreadable)?;
        // A listing and an answer may tell the time to different fractions of a second.
        let same = match (&got.meta.e_tag, &file.meta.e_tag) {
            (Some(now), Some(then)) => now == then,
            _ => {
                got.meta.size == file.meta.size
                    && got.meta.last_modified.timestamp() == file.meta.last_modified.timestamp()
            }
        };
        if !same {
            return Err(Error::transient("it was changed while it was read").at(&file.name));
        }
        got.bytes().await.map_err(unreadable)
    }

    fn failed(&self, what: &str, e: StoreError) -> Error {
        let message = format!("the lookup table {what}");
        let error = match &e {
            StoreError::NotFound { .. } => Error::user("there is no such file").hint(KINDS),
            StoreError::Generic { .. } => Error::transient(message).hint("check the network"),
            _ => Error::external(message)
                .hint("check owner and mode, or the bucket's name, the region and the credentials"),
        };
        error.at(&self.location).because(e)
    }
}

impl FileStamps {
    pub(super) fn of(files: &[LookupFile]) -> Self {
        let stamp = |f: &LookupFile| {
            (f.name.clone(), f.meta.size, f.meta.last_modified.timestamp_micros(), f.meta.e_tag.clone())
        };
        Self(files.iter().map(stamp).collect())
    }
}

const KINDS: &str = "give a file, or a folder of files, that end in .parquet, .csv, .ndjson or .jsonl (also with .gz or .zst), or say format";

pub(super) fn too_large(place: &str) -> Error {
    let most = LOOKUP_BYTES_MAX / (1024 * 1024);
    Error::user(format!("the lookup table is larger than {most} MiB, which is what one may take in memory"))
        .at(place)
        .hint("declare the columns that queries need in [lookup.NAME.columns], and leave out keys that do not occur in the stream")
}

fn format_of(name: &str) -> Option<LookupFormat> {
    let name = name.to_ascii_lowercase();
    if name.ends_with(".parquet") {
        return Some(LookupFormat::Parquet);
    }
    let plain = [".gz", ".zst", ".zstd"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
    if plain.ends_with(".csv") {
        return Some(LookupFormat::Csv);
    }
    (plain.ends_with(".ndjson") || plain.ends_with(".jsonl")).then_some(LookupFormat::Ndjson)
}
