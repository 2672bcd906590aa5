//! Finding the files that the user means: paths, globs, folders, `file://` and `s3://` URLs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use url::Url;

use super::input::{FileKind, InputFile, Place};
use super::remote::Buckets;
use crate::aws::BucketOptions;
use crate::error::{Error, Result};

const KINDS: &str = "event files end in .ndjson, .jsonl or .json (also with .gz or .zst), or in .parquet";

/// The files that `inputs` name, each once, sorted by name.
///
/// An input is a file, a folder (searched to any depth, without names that start with `.` or `_`), a glob (`*`, `**`, `?`, `[a-z]`), or a
/// `file://` or `s3://` URL of one of these. Every input must name at least one file.
///
/// # Errors
/// User, if an input names nothing or a file whose kind is unknown; external or transient, if a folder or bucket cannot be listed.
pub async fn discover(inputs: &[String], remote: &BucketOptions) -> Result<Vec<InputFile>> {
    let mut buckets = Buckets::new(remote);
    let mut found = BTreeMap::new();
    for input in inputs {
        let files = match input.split_once("://") {
            Some(("s3", rest)) => buckets.find(rest, input).await?,
            Some(("file", _)) => find_local(&local_path(input)?, input)?,
            Some((scheme, _)) => {
                let error = Error::user(format!("events cannot be read from a {scheme}:// URL")).at(input);
                return Err(error.hint("give a path, a file:// or an s3:// URL"));
            }
            None => find_local(input, input)?,
        };
        if files.is_empty() {
            return Err(Error::user("no event files there").at(input).hint(KINDS));
        }
        for file in files {
            found.entry(key(&file)).or_insert(file);
        }
    }
    if found.is_empty() {
        return Err(Error::user("no input was given").hint("name files, folders, globs or URLs"));
    }
    let mut files: Vec<InputFile> = found.into_values().collect();
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

/// What makes two files the same one.
fn key(file: &InputFile) -> PathBuf {
    match &file.place {
        Place::Local(path) => path.canonicalize().unwrap_or_else(|_| path.clone()),
        Place::Remote(..) => PathBuf::from(&file.name),
    }
}

fn local_path(url: &str) -> Result<String> {
    let path = Url::parse(url).ok().and_then(|u| u.to_file_path().ok());
    let path = path.and_then(|p| p.to_str().map(str::to_owned));
    path.ok_or_else(|| Error::user("not the URL of a file on this machine").at(url).hint("write file:///path"))
}

fn find_local(path: &str, input: &str) -> Result<Vec<InputFile>> {
    let literal = Path::new(path);
    let mut files = Vec::new();
    if literal.is_dir() {
        walk(literal, &mut files)?;
    } else if literal.exists() || !path.contains(['*', '?', '[']) {
        files.push(local_file(literal)?);
    } else {
        let bad = |e: glob::PatternError| Error::user("not a usable glob").at(input).because(e);
        for entry in glob::glob(path).map_err(bad)? {
            let entry = entry.map_err(|e| unreadable(e.path(), std::io::Error::from(e.error().kind())))?;
            if !entry.is_dir() {
                files.push(local_file(&entry)?);
            }
        }
        if files.is_empty() {
            return Err(Error::user("no file matches").at(input).hint("quote the glob, and see what is in the folder"));
        }
    }
    Ok(files)
}

/// Collects the event files below a folder; others are passed over.
fn walk(folder: &Path, files: &mut Vec<InputFile>) -> Result<()> {
    for entry in std::fs::read_dir(folder).map_err(|e| unreadable(folder, e))? {
        let path = entry.map_err(|e| unreadable(folder, e))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(['.', '_']) {
            continue;
        }
        if path.is_dir() {
            walk(&path, files)?;
        } else if FileKind::of_name(&name).is_some() {
            files.push(local_file(&path)?);
        }
    }
    Ok(())
}

fn local_file(path: &Path) -> Result<InputFile> {
    let name = path.display().to_string();
    let meta = std::fs::metadata(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => Error::user("there is no such file").at(&name),
        _ => unreadable(path, e),
    })?;
    let Some(kind) = FileKind::of_name(&name) else { return Err(unknown_kind(&name)) };
    Ok(InputFile { name, kind, bytes: meta.len(), place: Place::Local(path.to_owned()) })
}

/// The error for a file that was named but cannot be read as events.
pub(super) fn unknown_kind(name: &str) -> Error {
    Error::user("not a kind of file that holds events").at(name).hint(KINDS)
}

fn unreadable(path: &Path, e: std::io::Error) -> Error {
    let error = Error::external("cannot be read").at(path.display().to_string());
    error.hint("check its owner and mode").because(e)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn with(files: &[&str]) -> Self {
            let dir = tempfile::tempdir().unwrap();
            for file in files {
                let path = dir.path().join(file);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, "{}\n").unwrap();
            }
            Self(dir)
        }

        fn path(&self, below: &str) -> String {
            self.0.path().join(below).to_str().unwrap().to_owned()
        }

        /// What is found, relative to the folder.
        async fn find(&self, below: &[&str]) -> Result<Vec<String>> {
            let inputs: Vec<_> = below.iter().map(|b| self.path(b)).collect();
            let files = discover(&inputs, &BucketOptions::default()).await?;
            let root = self.path("");
            Ok(files.into_iter().map(|f| f.name.strip_prefix(&root).unwrap_or(&f.name).to_owned()).collect())
        }
    }

    #[tokio::test]
    async fn globs_paths_and_folders_name_files_once_in_order() {
        let f = Folder::with(&[
            "b.ndjson",
            "a.json.gz",
            "sub/c.parquet",
            "sub/deep/d.jsonl",
            "sub/_late/x.parquet",
            "sub/x.txt",
        ]);
        assert_eq!(f.find(&["b.ndjson", "*.*", "./b.ndjson"]).await.unwrap().len(), 2);
        assert_eq!(f.find(&["b.ndjson", "sub"]).await.unwrap(), ["b.ndjson", "sub/c.parquet", "sub/deep/d.jsonl"]);
        assert_eq!(f.find(&["**/*.jsonl"]).await.unwrap(), ["sub/deep/d.jsonl"]);
        let url = Url::from_file_path(f.path("b.ndjson")).unwrap().to_string();
        let files = discover(&[url], &BucketOptions::default()).await.unwrap();
        assert_eq!((files[0].bytes, files[0].kind), (3, FileKind::Json));
    }

    #[tokio::test]
    async fn a_name_with_glob_characters_is_found_literally() {
        let f = Folder::with(&["a[1].ndjson"]);
        assert_eq!(f.find(&["a[1].ndjson"]).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn what_names_nothing_is_the_users_mistake_and_named() {
        let f = Folder::with(&["sub/x.txt"]);
        for below in ["gone.ndjson", "*.ndjson", "sub", "sub/x.txt", "sub/*", "[.ndjson"] {
            let e = f.find(&[below]).await.unwrap_err();
            assert_eq!(e.exit_code(), 2, "{below}");
            assert!(e.place().unwrap().starts_with(&f.path("")), "{e}");
        }
        for input in ["ftp://x/y.ndjson", "file://elsewhere/x.json", "s3://", "s3:///x"] {
            let e = discover(&[input.to_owned()], &BucketOptions::default()).await.unwrap_err();
            assert_eq!((e.exit_code(), e.place()), (2, Some(input)));
        }
        assert_eq!(discover(&[], &BucketOptions::default()).await.unwrap_err().exit_code(), 2);
    }
}
