//! The board: what a live job knows about itself, for the status line, the metrics and the end of the run.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::counters::{Counters, PipelineCounts};
use super::judge::JudgeCounts;
use crate::telemetry::metrics as names;
use crate::types::{MICROS_PER_SEC, Micros, ShardId};

/// One shard's state of affairs.
#[derive(Debug, Clone, Default)]
pub struct ShardStatus {
    /// Records read.
    pub records: u64,
    /// Payload bytes read.
    pub bytes: u64,
    /// Read calls.
    pub reads: u64,
    /// How far the last read was behind the tip, in milliseconds.
    pub lag_millis: Option<i64>,
    /// The shard's watermark.
    pub watermark: Option<Micros>,
    /// Events read, and those that could not be decoded.
    pub events_read: u64,
    /// Dead letters of the decoder.
    pub undecodable: u64,
    /// How often each field came that the contract does not know.
    pub unknown_fields: BTreeMap<String, u64>,
    /// What the judge did.
    pub judged: JudgeCounts,
    /// By pipeline.
    pub pipelines: Vec<PipelineCounts>,
    /// The shard was read to its end.
    pub drained: bool,
}

/// The whole job's state of affairs.
#[derive(Debug, Clone, Default)]
pub struct Status {
    /// By shard.
    pub shards: BTreeMap<ShardId, ShardStatus>,
    /// The pipeline watermark.
    pub watermark: Option<Micros>,
    /// (concurrent viewers, active streams) at the end of the last window.
    pub presence: Option<(i64, i64)>,
    /// Touches of closed sessions.
    pub ignored_touches: u64,
    /// Windows emitted, by pipeline.
    pub windows: BTreeMap<String, u64>,
}

/// Shared by the tasks of a job. The lock is held for copies only, once a batch.
#[derive(Debug, Default)]
pub struct Board(Mutex<Status>);

impl Board {
    fn lock(&self) -> MutexGuard<'_, Status> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A shard's news.
    pub fn shard(&self, shard: &ShardId, status: ShardStatus) {
        let name = shard.to_string();
        metrics::counter!(names::RECORDS_READ_TOTAL, "shard" => name.clone()).absolute(status.records);
        metrics::counter!(names::READ_CALLS_TOTAL, "shard" => name.clone()).absolute(status.reads);
        if let Some(lag) = status.lag_millis {
            metrics::gauge!(names::LAG_MILLIS, "shard" => name.clone()).set(lag as f64);
        }
        if let Some(watermark) = status.watermark {
            metrics::gauge!(names::WATERMARK_SECONDS, "shard" => name).set(watermark as f64 / MICROS_PER_SEC as f64);
        }
        self.lock().shards.insert(shard.clone(), status);
    }

    /// News of the place where shards meet.
    pub fn combined(&self, watermark: Option<Micros>, presence: Option<(i64, i64)>, ignored_touches: u64) {
        if let Some((viewers, streams)) = presence {
            metrics::gauge!(names::CONCURRENT_VIEWERS).set(viewers as f64);
            metrics::gauge!(names::ACTIVE_STREAMS).set(streams as f64);
        }
        metrics::counter!(names::IGNORED_TOUCHES_TOTAL).absolute(ignored_touches);
        let mut status = self.lock();
        status.watermark = watermark;
        status.presence = presence;
        status.ignored_touches = ignored_touches;
    }

    /// A window of a pipeline was emitted.
    pub fn emitted(&self, pipeline: &str) {
        metrics::counter!(names::WINDOWS_EMITTED_TOTAL, "pipeline" => pipeline.to_owned()).increment(1);
        *self.lock().windows.entry(pipeline.to_owned()).or_default() += 1;
    }

    /// A copy of everything.
    pub fn status(&self) -> Status {
        self.lock().clone()
    }
}

impl Status {
    /// What became of every event. `pipelines` are the names, with whether they read the concurrency state.
    pub fn counters(&self, pipelines: &[(String, bool)]) -> Counters {
        let mut counters = Counters::default();
        for shard in self.shards.values() {
            counters.add_shard(shard.events_read, shard.undecodable, &shard.judged);
            for ((name, _), counts) in pipelines.iter().zip(&shard.pipelines) {
                counters.add_pipeline(name, *counts);
            }
        }
        for (name, _) in pipelines.iter().filter(|(_, concurrency)| *concurrency) {
            counters.ignore_touches(name, self.ignored_touches);
        }
        counters
    }

    /// How often each unknown field came, all shards together.
    fn unknown_fields(&self) -> BTreeMap<&str, u64> {
        let mut all = BTreeMap::new();
        for (field, count) in self.shards.values().flat_map(|s| &s.unknown_fields) {
            *all.entry(field.as_str()).or_default() += count;
        }
        all
    }

    /// Reports the totals that have no label of a shard.
    pub fn report(&self, counters: &Counters) {
        let bytes = self.shards.values().map(|s| s.bytes).sum();
        metrics::counter!(names::BYTES_READ_TOTAL).absolute(bytes);
        metrics::counter!(names::EVENTS_READ_TOTAL).absolute(counters.read);
        metrics::counter!(names::EVENTS_KEPT_TOTAL).absolute(counters.kept);
        metrics::counter!(names::DUPLICATES_TOTAL).absolute(counters.duplicates);
        metrics::counter!(names::SKEW_REPAIRED_TOTAL, "kind" => "shifted").absolute(counters.shifted);
        metrics::counter!(names::SKEW_REPAIRED_TOTAL, "kind" => "clamped").absolute(counters.clamped);
        for (field, count) in self.unknown_fields() {
            metrics::counter!(names::UNKNOWN_FIELDS_TOTAL, "field" => field.to_owned()).absolute(count);
        }
        for (name, counts) in &counters.pipelines {
            let pipeline = || name.clone();
            metrics::counter!(names::WINDOWED_ROWS_TOTAL, "pipeline" => pipeline()).absolute(counts.in_windows);
            metrics::counter!(names::LATE_ROWS_TOTAL, "pipeline" => pipeline()).absolute(counts.late);
            metrics::counter!(names::FILTERED_ROWS_TOTAL, "pipeline" => pipeline()).absolute(counts.filtered);
        }
    }
}
