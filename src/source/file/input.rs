//! One file to be read: its name, kind, size and place.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use object_store::ObjectStore;
use object_store::path::Path;

/// What a file holds, told by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// JSON, plain or compressed: `.ndjson`, `.jsonl`, `.json`, each also with `.gz` or `.zst`. How it is laid out its content tells.
    Json,
    /// Parquet with one row an event: `.parquet`.
    Parquet,
}

/// Endings of compressed files of JSON.
const COMPRESSED: [&str; 3] = [".gz", ".zst", ".zstd"];
/// Endings of files of JSON.
const JSON: [&str; 3] = [".ndjson", ".jsonl", ".json"];

impl FileKind {
    /// The kind of a file of that name, if it is one that can be read.
    pub fn of_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        if name.ends_with(".parquet") {
            return Some(Self::Parquet);
        }
        let plain = COMPRESSED.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
        JSON.iter().any(|end| plain.ends_with(end)).then_some(Self::Json)
    }
}

/// A file found by [`discover`](fn@super::discover).
#[derive(Debug, Clone)]
pub struct InputFile {
    /// Its path or URL, for messages and for the order of files.
    pub name: String,
    /// What it holds.
    pub kind: FileKind,
    /// Its size as stored, compressed or not.
    pub bytes: u64,
    pub(super) place: Place,
}

/// Where a file's bytes are.
#[derive(Debug, Clone)]
pub(super) enum Place {
    Local(PathBuf),
    Remote(Arc<dyn ObjectStore>, Path),
}

impl InputFile {
    /// The last part of its name.
    pub fn file_name(&self) -> &str {
        self.name.rsplit(['/', std::path::MAIN_SEPARATOR]).next().unwrap_or(&self.name)
    }

    /// Its file name without the endings that tell its kind: `shard-0` of `out/shard-0.ndjson.gz`.
    pub fn stem(&self) -> &str {
        let mut stem = self.file_name();
        for end in COMPRESSED.iter().chain(&JSON).chain(&[".parquet"]) {
            let split = stem.len().saturating_sub(end.len());
            if let (Some(head), Some(tail)) = (stem.get(..split), stem.get(split..))
                && tail.eq_ignore_ascii_case(end)
                && !head.is_empty()
            {
                stem = head;
            }
        }
        stem
    }

    /// For tests: a file of JSON that lasts as long as its folder's handle.
    #[cfg(test)]
    pub(super) fn in_temp_folder(name: &str, content: impl AsRef<[u8]>) -> (tempfile::TempDir, Self) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, content.as_ref()).unwrap();
        let bytes = content.as_ref().len() as u64;
        (dir, Self { name: name.into(), kind: FileKind::Json, bytes, place: Place::Local(path) })
    }
}

/// Counts the stored bytes that were read, over all files that share it. Compare it with the sum of [`InputFile::bytes`].
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<AtomicU64>);

impl Progress {
    /// Bytes read so far.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_tells_the_kind() {
        for name in ["a.ndjson", "b/a.jsonl.gz", "a.JSON.ZST", "a.json"] {
            assert_eq!(FileKind::of_name(name), Some(FileKind::Json), "{name}");
        }
        assert_eq!(FileKind::of_name("x/a.parquet"), Some(FileKind::Parquet));
        for name in ["a.csv", "a", "a.gz", "a.parquet.gz", "json", "a.ndjson.bz2"] {
            assert_eq!(FileKind::of_name(name), None, "{name}");
        }
    }

    #[test]
    fn the_stem_names_the_shard() {
        let file = |name: &str| InputFile {
            name: name.into(),
            kind: FileKind::Json,
            bytes: 0,
            place: Place::Local(name.into()),
        };
        for (name, stem) in
            [("out/shard-0.ndjson.gz", "shard-0"), ("s3://b/é.json", "é"), ("a.b.parquet", "a.b"), (".json", ".json")]
        {
            assert_eq!(file(name).stem(), stem);
        }
    }
}
