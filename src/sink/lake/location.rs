//! A lake's place: a folder or an S3 bucket, opened from what the user wrote.

use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;

use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::basic::ZstdLevel;
use url::Url;

use crate::aws::BucketOptions;
use crate::error::{Error, Result};
use crate::limits::LAKE_UPLOAD_PART_BYTES;

/// How to reach a lake and how to write to it.
#[derive(Debug, Clone)]
pub struct LakeOptions {
    /// How to reach its bucket, if it is in one.
    pub bucket: BucketOptions,
    /// zstd level of new files, 1 to 22.
    pub compression_level: i32,
}

impl Default for LakeOptions {
    /// AWS itself, region from the environment, zstd level 1 (higher ones cost several times the encoding for some percent of size).
    fn default() -> Self {
        Self { bucket: BucketOptions::default(), compression_level: 1 }
    }
}

/// An open lake. Clones share the connection.
#[derive(Debug, Clone)]
pub struct Lake {
    pub(super) store: Arc<dyn ObjectStore>,
    /// Where the lake begins within the store.
    prefix: Path,
    /// The lake's folder, if it is one.
    pub(super) folder: Option<PathBuf>,
    /// As the user wrote it, for messages.
    url: Arc<str>,
    pub(super) compression: ZstdLevel,
    /// Bytes of a part of an upload.
    pub(super) part_bytes: usize,
}

impl Lake {
    /// Opens the lake at `url`: a path, a `file://` URL, or `s3://bucket/prefix`. A folder is made if it is missing, and tried for writing; a
    /// bucket is not asked until it is first used ([`Lake::recover`] does).
    ///
    /// # Errors
    /// User, if the URL cannot be a lake, the path is a file, or the level is out of range; external, if the folder cannot be made or written.
    pub fn open(url: &str, options: &LakeOptions) -> Result<Self> {
        let compression = compression(options)?;
        match LakePlace::of(url)? {
            LakePlace::Folder(path) => Self::open_folder(&path, url, compression),
            LakePlace::Bucket(parsed) => Self::open_bucket(&parsed, url, options, compression),
        }
    }

    /// As [`Lake::open`], of a lake that is only read: nothing is made or tried, and a folder that is not there is no lake.
    ///
    /// # Errors
    /// As [`Lake::open`].
    pub fn existing(url: &str, options: &LakeOptions) -> Result<Option<Self>> {
        let compression = compression(options)?;
        match LakePlace::of(url)? {
            LakePlace::Folder(path) if !path.exists() => Ok(None),
            LakePlace::Folder(path) => Self::over_folder(&path, url, compression).map(Some),
            LakePlace::Bucket(parsed) => Self::open_bucket(&parsed, url, options, compression).map(Some),
        }
    }

    /// A lake in a store of one's own, such as one in memory, or one that fails. `url` is for messages.
    pub fn in_store(store: Arc<dyn ObjectStore>, url: &str) -> Self {
        Self::over(store, Path::default(), None, url, ZstdLevel::default())
    }

    /// The same lake, whose files are uploaded in parts of `bytes`, at least 1. S3 takes none below 5 MiB: for a store of one's own.
    pub fn with_upload_parts_of(self, bytes: usize) -> Self {
        Self { part_bytes: bytes.max(1), ..self }
    }

    /// For tests: a lake that lasts as long as its folder's handle.
    #[cfg(test)]
    pub(super) fn in_temp_folder() -> (tempfile::TempDir, Self) {
        let dir = tempfile::tempdir().unwrap();
        let lake = Self::open(dir.path().to_str().unwrap(), &LakeOptions::default()).unwrap();
        (dir, lake)
    }

    fn open_folder(path: &FsPath, url: &str, compression: ZstdLevel) -> Result<Self> {
        if !path.exists() {
            std::fs::create_dir_all(path).map_err(|e| unusable("cannot make the lake's folder", url, e))?;
        }
        let lake = Self::over_folder(path, url, compression)?;
        tempfile::tempfile_in(path).map_err(|e| unusable("cannot write into the lake's folder", url, e))?;
        Ok(lake)
    }

    fn over_folder(path: &FsPath, url: &str, compression: ZstdLevel) -> Result<Self> {
        if !path.is_dir() {
            return Err(Error::user("the lake is a file, not a folder").at(url).hint("give a folder"));
        }
        let folder = path.canonicalize().map_err(|e| unusable("cannot read the lake's folder", url, e))?;
        std::fs::read_dir(&folder).map_err(|e| unusable("cannot read the lake's folder", url, e))?;
        let store = LocalFileSystem::new_with_prefix(&folder)?;
        Ok(Self::over(Arc::new(store), Path::default(), Some(folder), url, compression))
    }

    fn open_bucket(parsed: &Url, url: &str, options: &LakeOptions, compression: ZstdLevel) -> Result<Self> {
        let prefix = Path::from_url_path(parsed.path())
            .map_err(|e| Error::user("not a usable prefix of a bucket").at(url).because(e))?;
        let store = options.bucket.open(parsed.host_str().unwrap_or_default(), url)?;
        Ok(Self::over(store, prefix, None, url, compression))
    }

    pub(super) fn over(
        store: Arc<dyn ObjectStore>,
        prefix: Path,
        folder: Option<PathBuf>,
        url: &str,
        compression: ZstdLevel,
    ) -> Self {
        Self { store, prefix, folder, url: url.into(), compression, part_bytes: LAKE_UPLOAD_PART_BYTES }
    }

    /// The URL or path that the lake was opened with.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The object at a path relative to the lake, whose parts are separated by `/`.
    pub(super) fn object(&self, relative: &str) -> Path {
        relative.split('/').filter(|p| !p.is_empty()).fold(self.prefix.clone(), |path, part| path.join(part))
    }

    /// The path relative to the lake of an object below it.
    pub(super) fn relative(&self, object: &Path) -> String {
        let parts: Vec<_> = object.parts().skip(self.prefix.parts_count()).collect();
        parts.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join("/")
    }

    /// What the user sees of an object: `<lake>/<path>`.
    pub fn place(&self, relative: &str) -> String {
        format!("{}/{relative}", self.url.trim_end_matches('/'))
    }

    /// On a disk, an object is written under another name, with a `#` and a number after its own, until it is whole. One that was cut short
    /// stays, and no listing shows it. Removes those in a folder, as far as that can be done: they count nowhere.
    pub(super) fn remove_cut_short(&self, relative: &str) {
        let Some(folder) = &self.folder else { return };
        // None: nothing was written there yet.
        let entries = std::fs::read_dir(folder.join(relative)).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.file_name().to_string_lossy().contains('#')) {
            let place = self.place(&format!("{relative}/{}", entry.file_name().to_string_lossy()));
            match std::fs::remove_file(entry.path()) {
                Ok(()) => tracing::debug!(place, "an object that was cut short was removed"),
                Err(e) => tracing::warn!(place, error = %e, "an object that was cut short was not removed"),
            }
        }
    }

    /// Reads a whole object, or none if there is none.
    pub(super) async fn fetch(&self, relative: &str) -> Result<Option<bytes::Bytes>> {
        let failed = |e| failed("cannot read from the lake", self.place(relative), e);
        match self.store.get(&self.object(relative)).await {
            Ok(found) => Ok(Some(found.bytes().await.map_err(failed)?)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(failed(e)),
        }
    }
}

/// What a URL of a lake names.
enum LakePlace {
    Folder(PathBuf),
    Bucket(Url),
}

impl LakePlace {
    fn of(url: &str) -> Result<Self> {
        let parsed = match url.contains("://") {
            true => Some(Url::parse(url).map_err(|e| Error::user("not a URL of a lake").at(url).because(e))?),
            false => None,
        };
        match parsed.as_ref().map(|u| (u, u.scheme())) {
            None if url.is_empty() => Err(Error::user("the lake has no place").hint("give a folder or an s3:// URL")),
            None => Ok(Self::Folder(url.into())),
            Some((u, "file")) => match u.to_file_path() {
                Ok(path) => Ok(Self::Folder(path)),
                Err(()) => Err(Error::user("not the URL of a folder on this machine").at(url)),
            },
            Some((u, "s3")) => Ok(Self::Bucket(u.clone())),
            Some((_, scheme)) => Err(Error::user(format!("a lake cannot be at a {scheme}:// URL"))
                .at(url)
                .hint("give a folder, a file:// or an s3:// URL")),
        }
    }
}

fn compression(options: &LakeOptions) -> Result<ZstdLevel> {
    ZstdLevel::try_new(options.compression_level).map_err(|e| {
        let message = format!("zstd has no level {}", options.compression_level);
        Error::user(message).hint("use 1 (fast) to 22 (small)").because(e)
    })
}

fn unusable(message: &str, url: &str, e: std::io::Error) -> Error {
    Error::external(message).at(url).hint("check the folder's owner, mode and free space").because(e)
}

/// An error of the store with the object's place; whether a retry may help is the store's word.
pub(super) fn failed(message: &str, place: String, e: object_store::Error) -> Error {
    let hint = match &e {
        object_store::Error::PermissionDenied { .. } | object_store::Error::Unauthenticated { .. } => {
            "check the credentials and the bucket's policy"
        }
        _ => "check that the place exists, may be written, and has free space",
    };
    let error = match &e {
        object_store::Error::Generic { .. } => Error::transient(message),
        _ => Error::external(message),
    };
    error.at(place).hint(hint).because(e)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str) -> Error {
        Lake::open(url, &LakeOptions::default()).unwrap_err()
    }

    #[test]
    fn a_folder_is_made_and_named_in_three_ways() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b c");
        let plain = Lake::open(path.to_str().unwrap(), &LakeOptions::default()).unwrap();
        let url = Url::from_directory_path(&path).unwrap();
        let by_url = Lake::open(url.as_str(), &LakeOptions::default()).unwrap();
        assert!(path.is_dir());
        assert_eq!(plain.folder, by_url.folder);
    }

    #[test]
    fn a_file_is_not_a_lake() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let e = refused(file.path().to_str().unwrap());
        assert_eq!((e.exit_code(), e.message()), (2, "the lake is a file, not a folder"));
        let below = file.path().join("lake");
        assert_eq!(refused(below.to_str().unwrap()).exit_code(), 1);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_that_cannot_be_written_is_an_external_error() {
        for place in ["/proc/lake", "/proc"] {
            let e = refused(place);
            assert_eq!(e.exit_code(), 1, "{place}");
            assert!(e.remedy().is_some());
        }
    }

    #[test]
    fn bad_urls_are_the_users() {
        for url in ["", "gs://bucket/x", "s3:///x", "file://elsewhere/x", "http://[", "s3://b/a//b"] {
            assert_eq!(refused(url).exit_code(), 2, "{url}");
        }
        let options = LakeOptions { compression_level: 23, ..LakeOptions::default() };
        assert_eq!(Lake::open("/tmp", &options).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn a_bucket_has_a_prefix() {
        let options = LakeOptions {
            bucket: BucketOptions { region: Some("eu-west-1".into()), endpoint_url: None },
            ..LakeOptions::default()
        };
        let lake = Lake::open("s3://bucket/some/lake/", &options).unwrap();
        let object = lake.object("user_events/year=2026");
        assert_eq!(object.as_ref(), "some/lake/user_events/year=2026");
        assert_eq!(lake.relative(&object), "user_events/year=2026");
        assert_eq!(lake.place("x"), "s3://bucket/some/lake/x");
    }
}
