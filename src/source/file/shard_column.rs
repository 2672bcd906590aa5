//! Event files that say themselves which shard they are of.

use std::collections::BTreeMap;

use super::input::{FileKind, InputFile, Progress};
use super::json::JsonReader;
use super::reader::FileBatch;
use super::shards::FileShard;
use crate::error::{Error, Result};

/// The field of an event that names its shard.
const SHARD_ID: &str = "shard_id";

/// Brings files of JSON together whose first event names the same shard: they are one shard then, in name order, whatever their
/// names. Files whose events do not say stay as they are. Needs a Tokio runtime.
///
/// # Errors
/// External, if a file cannot be opened or is damaged at its very beginning.
pub async fn group_by_shard_column(shards: Vec<FileShard>) -> Result<Vec<FileShard>> {
    let grouped = tokio::task::spawn_blocking(move || {
        let mut grouped: BTreeMap<String, FileShard> = BTreeMap::new();
        for shard in shards {
            for file in shard.files {
                let name = first_shard_id(&file)?.unwrap_or_else(|| shard.name.to_string());
                let of_name =
                    grouped.entry(name.clone()).or_insert_with(|| FileShard { name: name.into(), files: Vec::new() });
                of_name.files.push(file);
            }
        }
        let mut shards: Vec<FileShard> = grouped.into_values().collect();
        shards.iter_mut().for_each(|s| s.files.sort_by(|a, b| a.name.cmp(&b.name)));
        Ok(shards)
    });
    grouped.await.map_err(|e| Error::internal("the look into the input files broke off").because(e))?
}

fn first_shard_id(file: &InputFile) -> Result<Option<String>> {
    if file.kind != FileKind::Json {
        // The rows of a Parquet file carry their verdicts, so how they are grouped does not matter.
        return Ok(None);
    }
    let mut json = JsonReader::open(file, Progress::default())?;
    if matches!(json, JsonReader::Documents(_)) {
        // Records do not say which shard they were read from.
        return Ok(None);
    }
    let Some(FileBatch::Records(first)) = json.next(&"".into(), &mut 0)? else { return Ok(None) };
    let Some(record) = first.records.first() else { return Ok(None) };
    let event: Option<serde_json::Value> = serde_json::from_slice(&record.data).ok();
    Ok(event.as_ref().and_then(|e| e.get(SHARD_ID)).and_then(|s| s.as_str()).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::BucketOptions;
    use crate::source::file::{discover, shards};

    #[tokio::test]
    async fn files_that_name_one_shard_are_read_as_one() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("b.ndjson", "{\"shard_id\":\"s1\"}\n"),
            ("a.ndjson", "{\"shard_id\":\"s1\"}\n{}\n"),
            ("c.ndjson", "{\"x\":1}\n"),
            ("d.ndjson", "not json\n"),
            ("e.ndjson", ""),
        ] {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let pattern = format!("{}/*.ndjson", dir.path().display());
        let files = discover(&[pattern], &BucketOptions::default()).await.unwrap();
        let grouped = group_by_shard_column(shards(files, None).unwrap()).await.unwrap();
        let names: Vec<(String, usize)> = grouped.iter().map(|s| (s.name.to_string(), s.files.len())).collect();
        let want = [("c", 1), ("d", 1), ("e", 1), ("s1", 2)].map(|(n, f)| (n.to_owned(), f));
        assert_eq!(names, want);
        assert!(grouped[3].files[0].name.ends_with("a.ndjson"));
    }
}
