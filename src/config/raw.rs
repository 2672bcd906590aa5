//! What was typed: one struct a section, the keys under the names they have in the file, with their defaults.
//!
//! Nothing here is checked beyond its type; `validate` turns it into [`Config`](super::Config). Numbers are read as `u64`
//! whatever they become, so that a number out of range gets a message that knows the range.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::fields::fields;
use super::sections::{ColumnType, LogFormat, LogLevel, LookupFormat, OnChangedPipeline, SourceKind};

/// The section of lookup tables, each a table of its own in it.
pub(super) const LOOKUP: &str = "lookup";
/// What stands for the section of any lookup table.
pub(super) const LOOKUP_NAME: &str = "lookup.name";

/// A configuration file with its defaults filled in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawConfig {
    pub(super) source: RawSource,
    pub(super) embedded: RawEmbedded,
    pub(super) time: RawTime,
    pub(super) concurrency: RawConcurrency,
    pub(super) lake: RawLake,
    pub(super) cloudwatch: RawCloudWatch,
    pub(super) pipelines: RawPipelines,
    pub(super) schema: RawSchema,
    pub(super) lookup: BTreeMap<String, RawLookup>,
    pub(super) serve: RawServe,
    pub(super) log: RawLog,
    pub(super) run: RawRun,
}

impl RawConfig {
    /// Every section with its keys, in the order of the structs; one stands for all lookup tables.
    pub(super) fn sections() -> [(&'static str, &'static [&'static str]); 12] {
        [
            ("source", fields::<RawSource>()),
            ("embedded", fields::<RawEmbedded>()),
            ("time", fields::<RawTime>()),
            ("concurrency", fields::<RawConcurrency>()),
            ("lake", fields::<RawLake>()),
            ("cloudwatch", fields::<RawCloudWatch>()),
            ("pipelines", fields::<RawPipelines>()),
            ("schema", fields::<RawSchema>()),
            (LOOKUP_NAME, fields::<RawLookup>()),
            ("serve", fields::<RawServe>()),
            ("log", fields::<RawLog>()),
            ("run", fields::<RawRun>()),
        ]
    }
}

/// The section by the name under which its keys are listed: one for all lookup tables.
pub(super) fn listed(section: &str) -> &str {
    let of_lookup = section.strip_prefix(LOOKUP).is_some_and(|rest| rest.starts_with('.'));
    if of_lookup { LOOKUP_NAME } else { section }
}

/// Whether a section is one of ours.
pub(super) fn is_section(name: &str) -> bool {
    RawConfig::sections().iter().any(|(section, _)| *section == listed(name))
}

/// Whether a section of ours has this key.
pub(super) fn is_key(section: &str, key: &str) -> bool {
    RawConfig::sections().iter().any(|(name, keys)| *name == listed(section) && keys.contains(&key))
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawSource {
    pub(super) kind: SourceKind,
    pub(super) stream_name: String,
    pub(super) region: String,
    pub(super) endpoint_url: Option<String>,
    pub(super) start: String,
    pub(super) poll_interval_ms: u64,
}

impl Default for RawSource {
    fn default() -> Self {
        Self {
            kind: SourceKind::Embedded,
            stream_name: "user-events".to_owned(),
            region: "eu-west-2".to_owned(),
            endpoint_url: None,
            start: "trim_horizon".to_owned(),
            poll_interval_ms: 250,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawEmbedded {
    pub(super) port: u64,
    pub(super) shards: u64,
    pub(super) events_per_sec: u64,
    pub(super) seed: u64,
    pub(super) retain_secs: u64,
}

impl Default for RawEmbedded {
    fn default() -> Self {
        Self { port: 0, shards: 4, events_per_sec: 2_000, seed: 1, retain_secs: 120 }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawTime {
    pub(super) max_future_skew_secs: u64,
    pub(super) sent_at_skew_secs: u64,
    pub(super) max_event_age_secs: u64,
    pub(super) idle_timeout_secs: u64,
    pub(super) watermark_delay_secs: u64,
    pub(super) dedupe_horizon_secs: u64,
}

impl Default for RawTime {
    fn default() -> Self {
        Self {
            max_future_skew_secs: 30,
            sent_at_skew_secs: 5,
            max_event_age_secs: 604_800,
            idle_timeout_secs: 30,
            watermark_delay_secs: 30,
            dedupe_horizon_secs: 120,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawConcurrency {
    pub(super) session_timeout_secs: u64,
    pub(super) closed_retention_secs: u64,
    pub(super) stream_timeout_secs: u64,
    pub(super) announced_timeout_secs: u64,
}

impl Default for RawConcurrency {
    fn default() -> Self {
        Self {
            session_timeout_secs: 60,
            closed_retention_secs: 600,
            stream_timeout_secs: 120,
            announced_timeout_secs: 172_800,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawLake {
    pub(super) url: String,
    pub(super) region: Option<String>,
    pub(super) endpoint_url: Option<String>,
    pub(super) raw_roll_bytes: u64,
    pub(super) raw_roll_secs: u64,
    pub(super) gather_secs: u64,
    pub(super) compression_level: u64,
}

impl Default for RawLake {
    fn default() -> Self {
        Self {
            url: "./data/lake".to_owned(),
            region: None,
            endpoint_url: None,
            raw_roll_bytes: 128 * 1024 * 1024,
            raw_roll_secs: 300,
            gather_secs: 300,
            compression_level: 1,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawCloudWatch {
    pub(super) enabled: bool,
    pub(super) namespace: String,
    pub(super) region: Option<String>,
    pub(super) endpoint_url: Option<String>,
    pub(super) storage_resolution_secs: u64,
    pub(super) flush_secs: u64,
    pub(super) retry_secs: u64,
    pub(super) series_max: u64,
}

impl Default for RawCloudWatch {
    fn default() -> Self {
        Self {
            enabled: false,
            namespace: "Custom/Streaming".to_owned(),
            region: None,
            endpoint_url: None,
            storage_resolution_secs: 60,
            flush_secs: 2,
            retry_secs: 300,
            series_max: 100,
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawPipelines {
    pub(super) dir: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawSchema {
    pub(super) path: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawLookup {
    pub(super) location: Option<String>,
    pub(super) format: Option<LookupFormat>,
    pub(super) refresh_secs: u64,
    pub(super) columns: BTreeMap<String, ColumnType>,
}

impl Default for RawLookup {
    fn default() -> Self {
        Self { location: None, format: None, refresh_secs: 60, columns: BTreeMap::new() }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawServe {
    pub(super) enabled: bool,
    pub(super) listen: String,
}

impl Default for RawServe {
    fn default() -> Self {
        Self { enabled: true, listen: "127.0.0.1:8080".to_owned() }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawLog {
    pub(super) format: LogFormat,
    pub(super) level: LogLevel,
}

impl Default for RawLog {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: LogLevel::Info }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawRun {
    pub(super) application: String,
    pub(super) checkpoints: bool,
    pub(super) commit_interval_secs: u64,
    pub(super) on_changed_pipeline: OnChangedPipeline,
    pub(super) status_interval_secs: u64,
    pub(super) memory_mib_max: Option<u64>,
    pub(super) worker_threads: Option<u64>,
}

impl Default for RawRun {
    fn default() -> Self {
        Self {
            application: "headcount".to_owned(),
            checkpoints: true,
            commit_interval_secs: 60,
            on_changed_pipeline: OnChangedPipeline::Refuse,
            status_interval_secs: 5,
            memory_mib_max: None,
            worker_threads: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_sections_is_the_struct() {
        let listed: Vec<&str> =
            RawConfig::sections().iter().map(|(name, _)| if *name == LOOKUP_NAME { LOOKUP } else { *name }).collect();
        assert_eq!(listed, fields::<RawConfig>());
        assert!(RawConfig::sections().iter().all(|(_, keys)| !keys.is_empty()));
    }
}
