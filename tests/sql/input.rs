//! The events of all golden queries, and the lookup tables that they may join: three shards with late events, repeats, nulls, ties, broken lines, wrong clocks and odd text.
//!
//! Numbers that are summed as floats are whole or dyadic, so that no order of adding them matters.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use headcount::aws::BucketOptions;
use headcount::config::Lookup;
use headcount::engine::lookups::LoadedLookup;
use headcount::types::parse_rfc3339;

use crate::reference::RefRecord;

/// A folder of these tests.
pub(super) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sql").join(name)
}

/// The tables `markets` and `channels`.
pub(super) async fn lookups() -> Vec<LoadedLookup> {
    let mut loaded = Vec::new();
    for name in ["markets", "channels"] {
        let location = folder("lookups").join(format!("{name}.csv")).to_str().unwrap().to_owned();
        let columns = BTreeMap::new();
        let config = Lookup { name: name.to_owned(), location, format: None, refresh: 60_000_000, columns };
        loaded.push(LoadedLookup::load(&config, &BucketOptions::default()).await.unwrap());
    }
    loaded
}

/// The input as a stream's records: a record a line, a shard a file, arrived when `ingest_time` says. A line that does not say has
/// arrived with the one before it.
pub(super) fn records() -> Vec<RefRecord> {
    let mut paths: Vec<_> = std::fs::read_dir(folder("input")).unwrap().map(|e| e.unwrap().path()).collect();
    paths.sort();
    let mut records = Vec::new();
    for path in paths {
        let shard = path.file_stem().unwrap().to_str().unwrap();
        let mut arrival = None;
        for (line, sequence) in std::fs::read_to_string(&path).unwrap().lines().zip(1..) {
            let event: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
            arrival = event["ingest_time"].as_str().map(|t| parse_rfc3339(t).unwrap()).or(arrival);
            records.push(RefRecord { shard: shard.to_owned(), sequence, arrival, bytes: line.as_bytes().to_vec() });
        }
    }
    records
}
