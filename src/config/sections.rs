//! What is meant: the validated configuration, one struct a section. Every time is in microseconds.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::types::Micros;

/// A configuration in which every value is in range and no two contradict each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Where events come from.
    pub source: Source,
    /// The Kinesis that `run` starts itself; only looked at when [`Source::kind`] is [`SourceKind::Embedded`].
    pub embedded: Embedded,
    /// Lateness, clock skew and duplicates.
    pub time: Time,
    /// How long presence lasts without news.
    pub concurrency: Concurrency,
    /// Where the tables go.
    pub lake: Lake,
    /// Metrics of Amazon CloudWatch.
    pub cloudwatch: CloudWatch,
    /// Where the queries come from.
    pub pipelines: Pipelines,
    /// Where the event contract comes from.
    pub schema: Schema,
    /// Tables that queries may join, in the order of their names.
    pub lookups: Vec<Lookup>,
    /// Metrics and health over HTTP.
    pub serve: Serve,
    /// The program's own log.
    pub log: Log,
    /// The process.
    pub run: Run,
}

/// `[source]`: the stream that is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Which Kinesis.
    pub kind: SourceKind,
    /// The stream's name.
    pub stream_name: String,
    /// The AWS region of the stream.
    pub region: String,
    /// An `http(s)://` address to call instead of the region's own, for emulators and private endpoints.
    pub endpoint_url: Option<String>,
    /// Where a shard is read from when no position is known.
    pub start: Start,
    /// The pause between two reads of a shard that has no more to give; at least 200 ms.
    pub poll_interval: Micros,
}

/// Which Kinesis is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// One inside the process, fed by the simulator.
    Embedded,
    /// The service, or whatever listens at `endpoint_url`.
    Kinesis,
}

/// Where a shard is read from when no position is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// From the oldest record that the stream still keeps.
    TrimHorizon,
    /// From records that arrive after the start.
    Latest,
    /// From the first record that arrived at or after this time.
    At(Micros),
}

/// `[embedded]`: the Kinesis inside the process and the simulator that feeds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Embedded {
    /// The loopback port it listens on; 0 takes any free one.
    pub port: u16,
    /// Shards of the stream.
    pub shards: u32,
    /// Events that the simulator puts each second.
    pub events_per_sec: u64,
    /// Seed of the simulator: the same seed plays the same story.
    pub seed: u64,
    /// Records older than this are forgotten, which bounds the memory of a long run.
    pub retain: Micros,
}

/// `[time]`: how event time is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Time {
    /// An event time further than this after its arrival is set to the arrival time.
    pub max_future_skew: Micros,
    /// A `sent_at` further than this after the arrival shifts the event time by the difference.
    pub sent_at_skew: Micros,
    /// An event older than this at its arrival is a dead letter.
    pub max_event_age: Micros,
    /// How long a silent shard holds back the others.
    pub idle_timeout: Micros,
    /// How far the watermark stays behind the highest time seen: how long windows wait for late rows.
    pub watermark_delay: Micros,
    /// A repeated `event_id` is dropped while the shard's watermark has advanced by at most this.
    pub dedupe_horizon: Micros,
}

/// `[concurrency]`: how long presence lasts without news.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concurrency {
    /// A start or heartbeat holds its session present for this long.
    pub session_timeout: Micros,
    /// An ended session stays closed to late heartbeats for this long, in event time.
    pub closed_retention: Micros,
    /// A stream that was never announced stays active for this long after its last event.
    pub stream_timeout: Micros,
    /// An announced stream whose end is lost stays active for this long after its last event.
    pub announced_timeout: Micros,
}

/// `[lake]`: where the tables go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lake {
    /// A folder, a `file://` URL or `s3://bucket/prefix`.
    pub url: String,
    /// The AWS region of the bucket: always there for an `s3://` URL, never otherwise.
    pub region: Option<String>,
    /// An `http(s)://` address of an S3-compatible store; only with an `s3://` URL.
    pub endpoint_url: Option<String>,
    /// A file of raw events is finished at this size, in bytes …
    pub raw_roll_bytes: u64,
    /// … or when it has been open for this long, whichever comes first.
    pub raw_roll: Micros,
    /// The windows of this much event time share one file of an aggregate table.
    pub gather: Micros,
    /// Zstandard level, 1 to 22.
    pub compression_level: i32,
}

/// `[cloudwatch]`: metrics of Amazon CloudWatch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudWatch {
    /// Whether to publish at all.
    pub enabled: bool,
    /// The namespace of the metrics.
    pub namespace: String,
    /// The AWS region.
    pub region: String,
    /// An `http(s)://` address to call instead of the region's own.
    pub endpoint_url: Option<String>,
    /// Stored by the second instead of by the minute.
    pub by_the_second: bool,
    /// How long data wait for others to share a call with.
    pub flush: Micros,
    /// Data that CloudWatch has not taken after this long are dropped.
    pub retry: Micros,
    /// Combinations of dimension values that may be published.
    pub series_max: usize,
}

/// `[pipelines]`: where the queries come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pipelines {
    /// The folder that was configured, if any. It existed when the configuration was loaded.
    pub dir: Option<PathBuf>,
}

impl Pipelines {
    /// The folder to read `*.sql` from: the configured one, else `pipelines/` in the working folder if it is there.
    /// `None` means the queries that the program carries.
    pub fn folder(&self) -> Option<PathBuf> {
        self.dir.clone().or_else(|| Some(PathBuf::from("pipelines")).filter(|dir| dir.is_dir()))
    }
}

/// `[schema]`: where the event contract comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schema {
    /// The file that was configured, if any. It existed when the configuration was loaded.
    pub path: Option<PathBuf>,
}

impl Schema {
    /// The contract's file: the configured one, else `schemas/user_event.v1.json` in the working folder if it is there.
    /// `None` means the contract that the program carries.
    pub fn file(&self) -> Option<PathBuf> {
        let beside = Path::new("schemas").join("user_event.v1.json");
        self.path.clone().or_else(|| Some(beside).filter(|file| file.is_file()))
    }
}

/// `[lookup.name]`: a table that queries may join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// Its name in `FROM`.
    pub name: String,
    /// A file, a folder, a `file://` URL or `s3://bucket/key`.
    pub location: String,
    /// What the files hold; `None` takes what their names end with.
    pub format: Option<LookupFormat>,
    /// How often it is looked at for changes; 0 for never.
    pub refresh: Micros,
    /// The columns that are read, and their types; all of them, by what they hold, if it is empty.
    pub columns: BTreeMap<String, ColumnType>,
}

/// What a file of a lookup table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LookupFormat {
    /// Apache Parquet.
    Parquet,
    /// Values between commas, one row a line, under a line with the columns' names.
    Csv,
    /// One JSON object a line.
    Ndjson,
}

/// The type of a column of a lookup table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// `Utf8`.
    Text,
    /// `Int64`.
    Integer,
    /// `Float64`.
    Number,
    /// `Boolean`.
    Boolean,
    /// Microseconds, UTC.
    Timestamp,
    /// Days.
    Date,
}

/// `[serve]`: metrics and health over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serve {
    /// Whether to listen at all.
    pub enabled: bool,
    /// The address to listen on.
    pub listen: SocketAddr,
}

/// `[log]`: the program's own log, on standard error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// For people or for machines.
    pub format: LogFormat,
    /// The least important level that is written.
    pub level: LogLevel,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One readable line.
    Text,
    /// One JSON object.
    Json,
}

/// How important a log line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Something failed for good.
    Error,
    /// Something failed and was handled, or is about to.
    Warn,
    /// What an operator wants to see of a healthy run.
    Info,
    /// What helps to understand a run.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// The level's name: `info`.
    pub fn as_str(self) -> &'static str {
        match self {
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
            LogLevel::Trace => "trace",
        }
    }
}

/// `[run]`: the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The name under which the state of a stopped run is kept in the lake: letters, digits, `-` and `_`.
    pub application: String,
    /// Whether a stop writes the state, and a start goes on from it.
    pub checkpoints: bool,
    /// The pause between two commits of a job that reads a stream of Kinesis.
    pub commit_interval: Micros,
    /// What becomes of the state of pipelines that have changed since.
    pub on_changed_pipeline: OnChangedPipeline,
    /// The pause between two status lines.
    pub status_interval: Micros,
    /// What the state of a job may take in memory, in bytes; `None`: a share of what the machine or the container has.
    pub memory_bytes_max: Option<usize>,
    /// Threads that do the work; `None` takes one for each core.
    pub worker_threads: Option<usize>,
}

/// What a start does if the saved state does not fit some pipeline any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnChangedPipeline {
    /// It ends with an error.
    Refuse,
    /// That pipeline begins anew where the others go on.
    Fresh,
}
