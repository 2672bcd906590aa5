//! Which files form a shard, and in what order.

use std::collections::BTreeMap;

use regex::Regex;

use super::input::{FileKind, InputFile};
use crate::error::{Error, Result};
use crate::types::ShardId;

/// Files that are read one after the other, as one shard.
#[derive(Debug, Clone)]
pub struct FileShard {
    /// Its name; rows that do not carry a shard of their own get it.
    pub name: ShardId,
    /// Its files, in the order in which they are read.
    pub files: Vec<InputFile>,
}

impl FileShard {
    /// Stored bytes of all its files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|f| f.bytes).sum()
    }
}

/// Groups files into shards, sorted by name.
///
/// With `shard_from`, the files whose names (without folders) give the same first capture group, or the same match if there is no group, are one
/// shard, in name order. Without it every file is a shard of its own, named by its stem, or by its whole name where two stems are the same.
/// The rows of a Parquet file mostly carry their shard (column `shard_id`), whatever the file's; so a Parquet file need not match.
///
/// # Errors
/// User, if a file of JSON does not match `shard_from`.
pub fn shards(files: Vec<InputFile>, shard_from: Option<&Regex>) -> Result<Vec<FileShard>> {
    let mut stems: BTreeMap<String, usize> = BTreeMap::new();
    for file in &files {
        *stems.entry(file.stem().to_owned()).or_default() += 1;
    }
    let mut shards: BTreeMap<String, Vec<InputFile>> = BTreeMap::new();
    for file in files {
        let matched = match shard_from {
            Some(regex) => shard_of(&file, regex)?,
            None => None,
        };
        let name = matched.unwrap_or_else(|| match stems.get(file.stem()) {
            Some(1) => file.stem().to_owned(),
            _ => file.name.clone(),
        });
        shards.entry(name).or_default().push(file);
    }
    let shard = |(name, mut files): (String, Vec<InputFile>)| {
        files.sort_by(|a, b| a.name.cmp(&b.name));
        FileShard { name: name.into(), files }
    };
    Ok(shards.into_iter().map(shard).collect())
}

fn shard_of(file: &InputFile, regex: &Regex) -> Result<Option<String>> {
    match regex.captures(file.file_name()) {
        Some(found) => Ok(found.get(1).or_else(|| found.get(0)).map(|m| m.as_str().to_owned())),
        None if file.kind == FileKind::Parquet => Ok(None),
        None => Err(Error::user(format!("the file's name does not match --shard-from {regex}"))
            .at(&file.name)
            .hint("change the pattern, or leave it out to make every file a shard")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::input::Place;
    use super::*;

    fn files(names: &[&str]) -> Vec<InputFile> {
        let kind = |n: &str| FileKind::of_name(n).unwrap();
        let file = |n: &&str| InputFile { name: (*n).into(), kind: kind(n), bytes: 2, place: Place::Local(n.into()) };
        names.iter().map(file).collect()
    }

    fn grouped(names: &[&str], regex: Option<&str>) -> Result<Vec<(String, Vec<String>)>> {
        let regex = regex.map(|r| Regex::new(r).unwrap());
        let shards = shards(files(names), regex.as_ref())?;
        Ok(shards.into_iter().map(|s| (s.name.to_string(), s.files.into_iter().map(|f| f.name).collect())).collect())
    }

    fn want(shards: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
        shards.iter().map(|(n, f)| ((*n).into(), f.iter().map(|f| (*f).into()).collect())).collect()
    }

    #[test]
    fn every_file_is_a_shard_named_by_its_stem() {
        let got = grouped(&["d/b.ndjson.gz", "d/a.parquet"], None).unwrap();
        assert_eq!(got, want(&[("a", &["d/a.parquet"]), ("b", &["d/b.ndjson.gz"])]));
        assert_eq!(shards(files(&["x.json"]), None).unwrap()[0].bytes(), 2);
    }

    #[test]
    fn equal_stems_do_not_become_one_shard() {
        let got = grouped(&["d/a.json", "e/a.json"], None).unwrap();
        assert_eq!(got, want(&[("d/a.json", &["d/a.json"]), ("e/a.json", &["e/a.json"])]));
    }

    #[test]
    fn the_pattern_groups_files_in_name_order() {
        let names = ["d/s1-10.json", "d/s0-2.json", "d/s1-09.json"];
        let by_group = grouped(&names, Some(r"s(\d)-")).unwrap();
        assert_eq!(by_group, want(&[("0", &["d/s0-2.json"]), ("1", &["d/s1-09.json", "d/s1-10.json"])]));
        assert_eq!(grouped(&names, Some(r"s\d")).unwrap()[0].0, "s0");
    }

    #[test]
    fn a_file_of_lines_must_match_and_a_parquet_file_need_not() {
        let e = grouped(&["d/a.json"], Some("x")).unwrap_err();
        assert_eq!((e.exit_code(), e.place()), (2, Some("d/a.json")));
        assert_eq!(grouped(&["d/a.parquet"], Some("x")).unwrap(), want(&[("a", &["d/a.parquet"])]));
    }
}
