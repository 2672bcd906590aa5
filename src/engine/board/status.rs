//! A job's state of affairs at one moment, as plain data.

use std::collections::{BTreeMap, BTreeSet};

use super::throughput::Throughput;
use crate::engine::counters::{Counters, PipelineCounts};
use crate::engine::judge::JudgeCounts;
use crate::limits::DEGRADED_COMMITS;
use crate::sink::cloudwatch::CloudWatchCounts;
use crate::sink::lake::WriteSummary;
use crate::telemetry::Trouble;
use crate::types::{Micros, ShardId};

/// How far a job is in its life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Phase {
    /// The lake is being opened, the stream looked for, the queries compiled.
    #[default]
    Starting,
    /// Shards are read.
    Running,
    /// What is open is being written; nothing new will be taken on.
    Stopping,
    /// A task failed; the process is about to end.
    Failed,
}

/// A pipeline, and whether it reads the shared concurrency state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineName {
    /// Its name, which is its table's.
    pub name: String,
    /// Whether touches of closed sessions are to be taken from its rows.
    pub concurrency: bool,
}

/// The open windows of one pipeline, in one shard or where shards meet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenWindows {
    /// When they end.
    pub ends: BTreeSet<Micros>,
    /// How many there are besides: sessions, of which any number may end at a time.
    pub sessions: usize,
    /// The groups in them, each window's counted by itself.
    pub groups: usize,
}

impl OpenWindows {
    /// How many windows there are.
    pub fn count(&self) -> usize {
        self.ends.len() + self.sessions
    }
}

/// One shard's state of affairs.
#[derive(Debug, Clone, Default)]
pub struct ShardStatus {
    /// Records read.
    pub records: u64,
    /// Payload bytes read.
    pub bytes: u64,
    /// Read calls.
    pub reads: u64,
    /// When the last read call was answered.
    pub last_read: Option<Micros>,
    /// How far the last read was behind the tip, in milliseconds.
    pub lag_millis: Option<i64>,
    /// The shard's watermark.
    pub watermark: Option<Micros>,
    /// Events read, those that could not be decoded included.
    pub events_read: u64,
    /// Dead letters of the decoder.
    pub undecodable: u64,
    /// Dead letters of the decoder and of the judge, by the code of their reason.
    pub dead_letters: BTreeMap<&'static str, u64>,
    /// How often each field came that the contract does not know.
    pub unknown_fields: BTreeMap<String, u64>,
    /// What the judge did.
    pub judged: JudgeCounts,
    /// Event ids remembered, to tell duplicates by.
    pub remembered_ids: usize,
    /// Memory that they take, in bytes.
    pub remembered_id_bytes: usize,
    /// By pipeline.
    pub pipelines: Vec<PipelineCounts>,
    /// By pipeline.
    pub open: Vec<OpenWindows>,
    /// The shard was read to its end.
    pub drained: bool,
}

/// The state of affairs where shards meet.
#[derive(Debug, Clone, Default)]
pub struct CombineStatus {
    /// The pipeline watermark.
    pub watermark: Option<Micros>,
    /// (concurrent viewers, active streams) as far as resolved, by the configuration's timeouts if a table counts by them; `None`
    /// without a concurrency table.
    pub presence: Option<(i64, i64)>,
    /// (sessions, streams) remembered by the concurrency state, once for each set of timeouts.
    pub remembered: (usize, usize),
    /// Touches of closed sessions, by pipeline.
    pub ignored_touches: Vec<u64>,
    /// What the state of all shards takes in memory, and what it may, in bytes.
    pub state_bytes: (usize, usize),
    /// By pipeline.
    pub open: Vec<OpenWindows>,
}

/// What is complete and visible of one table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableStatus {
    /// Rows, files, bytes.
    pub written: WriteSummary,
    /// The file that was finished last, and when.
    pub last_file: Option<(String, Micros)>,
}

/// One lookup table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LookupStatus {
    /// The version in use: a hash of its content.
    pub version: String,
    /// Its rows.
    pub rows: usize,
    /// When it came into use.
    pub loaded_at: Micros,
    /// Versions that came into use since the start.
    pub reloads: u64,
    /// Looks at the table that failed.
    pub failures: u64,
    /// Why the last one failed, if it did.
    pub failing: Option<String>,
}

/// The commits of a job that is committed while it runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CommitStatus {
    /// The pause between two of them.
    pub interval: Micros,
    /// When the last one stood; before the first one, when the job began.
    pub last: Micros,
    /// Its number; none before the first one.
    pub number: Option<u64>,
    /// Commits since the start.
    pub commits: u64,
    /// Tries that failed since the start. The next one made up for each.
    pub failures: u64,
    /// Why the last one failed, if it did.
    pub failing: Option<String>,
    /// For how long the shards stood still at the last cut, in microseconds.
    pub stood: Micros,
    /// Committed files that are not at their places yet.
    pub unmoved: usize,
    /// Committed files that were gone before they were moved.
    pub lost: u64,
}

impl CommitStatus {
    /// How long ago the last one was, if that is longer than it may be.
    pub fn overdue(&self, now: Micros) -> Option<Micros> {
        let since = now.saturating_sub(self.last);
        (since > self.interval.saturating_mul(DEGRADED_COMMITS)).then_some(since)
    }
}

/// The whole job's state of affairs.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// When the job was started.
    pub started_at: Micros,
    /// How far it is.
    pub phase: Phase,
    /// The lake answered.
    pub lake_reached: bool,
    /// By name; the order in which shards count them.
    pub pipelines: Vec<PipelineName>,
    /// The shards that are to be read; `None` until the stream was asked.
    pub expected: Option<BTreeSet<ShardId>>,
    /// By shard, once it was read.
    pub shards: BTreeMap<ShardId, ShardStatus>,
    /// Where shards meet.
    pub combine: CombineStatus,
    /// Windows emitted, by pipeline.
    pub windows: BTreeMap<String, u64>,
    /// By table.
    pub tables: BTreeMap<String, TableStatus>,
    /// By lookup table.
    pub lookups: BTreeMap<String, LookupStatus>,
    /// Its commits, if it is committed while it runs.
    pub commits: Option<CommitStatus>,
    /// What waits in each queue of the job, by the queue's name.
    pub queues: BTreeMap<&'static str, usize>,
    /// What became of the metrics for CloudWatch, where windows are published.
    pub published: Option<CloudWatchCounts>,
    /// Writers of the lake that are at work, since when.
    pub writing_since: BTreeMap<&'static str, Micros>,
    /// Over the last seconds.
    pub throughput: Throughput,
    /// What went wrong last.
    pub trouble: Option<Trouble>,
}

impl Status {
    /// What became of every event.
    pub fn counters(&self) -> Counters {
        let mut counters = Counters::default();
        for shard in self.shards.values() {
            counters.add_shard(shard.events_read, shard.undecodable, &shard.judged);
            for (pipeline, counts) in self.pipelines.iter().zip(&shard.pipelines) {
                counters.add_pipeline(&pipeline.name, *counts);
            }
        }
        // Before a shard was read there is nothing to take touches from.
        for (pipeline, ignored) in self.pipelines.iter().zip(&self.combine.ignored_touches) {
            counters.ignore_touches(&pipeline.name, *ignored);
        }
        counters
    }

    /// How often each unknown field came, all shards together.
    pub fn unknown_fields(&self) -> BTreeMap<&str, u64> {
        let mut all = BTreeMap::new();
        for (field, count) in self.shards.values().flat_map(|s| &s.unknown_fields) {
            *all.entry(field.as_str()).or_default() += count;
        }
        all
    }

    /// Dead letters by the code of their reason, all shards together.
    pub fn dead_letters(&self) -> BTreeMap<&'static str, u64> {
        let mut all = BTreeMap::new();
        for (reason, count) in self.shards.values().flat_map(|s| &s.dead_letters) {
            *all.entry(*reason).or_default() += count;
        }
        all
    }

    /// The open windows and groups of each pipeline: a window that several shards hold is one, its groups are each shard's.
    pub fn open_windows(&self) -> Vec<(&str, usize, usize)> {
        let mut all = Vec::with_capacity(self.pipelines.len());
        for (i, pipeline) in self.pipelines.iter().enumerate() {
            let places = self.shards.values().map(|s| &s.open).chain([&self.combine.open]);
            let open: Vec<&OpenWindows> = places.filter_map(|open| open.get(i)).collect();
            let ends: BTreeSet<Micros> = open.iter().flat_map(|o| &o.ends).copied().collect();
            let sessions: usize = open.iter().map(|o| o.sessions).sum();
            all.push((pipeline.name.as_str(), ends.len() + sessions, open.iter().map(|o| o.groups).sum()));
        }
        all
    }

    /// The longest lag of a shard that is not drained.
    pub fn lag_millis(&self) -> Option<i64> {
        self.shards.values().filter(|s| !s.drained).filter_map(|s| s.lag_millis).max()
    }
}
