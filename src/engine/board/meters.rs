//! A status as metrics: every name of [`telemetry::metrics`](crate::telemetry::metrics) but those that the source and the
//! recorder themselves write.
//!
//! All of it is set from one copy of the board, so that what a page of metrics shows belongs together, whether or not anybody
//! looks at the status line.

use super::readiness::{Fitness, Readiness};
use super::status::{LookupStatus, ShardStatus, Status};
use crate::decode;
use crate::telemetry::metrics as names;
use crate::types::{MICROS_PER_SEC, Micros};

use metrics::{counter, gauge};

impl Status {
    /// Sets every metric of the job to what is known at `now`.
    pub fn report(&self, now: Micros) {
        let fitness = Readiness::of(self, now).fitness;
        gauge!(names::READY).set(f64::from(u8::from(fitness != Fitness::NotReady)));
        gauge!(names::DEGRADED).set(f64::from(u8::from(fitness == Fitness::Degraded)));
        gauge!(names::START_TIMESTAMP_SECONDS).set(secs(self.started_at));
        for (shard, status) in &self.shards {
            report_shard(shard, status);
        }
        for (table, status) in &self.lookups {
            report_lookup(table, status);
        }
        for (queue, length) in &self.queues {
            gauge!(names::QUEUE_LENGTH, "queue" => *queue).set(*length as f64);
        }
        self.report_events();
        self.report_pipelines();
        self.report_presence();
        self.report_memory();
        self.report_tables();
        self.report_commits();
    }

    fn report_commits(&self) {
        let Some(commits) = &self.commits else { return };
        counter!(names::COMMITS_TOTAL).absolute(commits.commits);
        counter!(names::COMMIT_FAILURES_TOTAL).absolute(commits.failures);
        gauge!(names::LAST_COMMIT_TIMESTAMP_SECONDS).set(secs(commits.last));
        gauge!(names::COMMIT_STOOD_SECONDS).set(secs(commits.stood));
        gauge!(names::UNMOVED_FILES).set(commits.unmoved as f64);
        counter!(names::LOST_FILES_TOTAL).absolute(commits.lost);
    }

    fn report_events(&self) {
        let counters = self.counters();
        counter!(names::BYTES_READ_TOTAL).absolute(self.shards.values().map(|s| s.bytes).sum());
        counter!(names::EVENTS_READ_TOTAL).absolute(counters.read);
        counter!(names::EVENTS_KEPT_TOTAL).absolute(counters.kept);
        counter!(names::DUPLICATES_TOTAL).absolute(counters.duplicates);
        counter!(names::SKEW_REPAIRED_TOTAL, "kind" => "shifted").absolute(counters.shifted);
        counter!(names::SKEW_REPAIRED_TOTAL, "kind" => "clamped").absolute(counters.clamped);
        let letters = self.dead_letters();
        // Those that never came are zero, so that a rate can be taken of the first one.
        for reason in decode::Reason::ALL.map(|r| r.code()) {
            let count = letters.get(reason).copied().unwrap_or(0);
            counter!(names::DEAD_LETTERS_TOTAL, "reason" => reason).absolute(count);
        }
        for (field, count) in self.unknown_fields() {
            counter!(names::UNKNOWN_FIELDS_TOTAL, "field" => field.to_owned()).absolute(count);
        }
        for (pipeline, counts) in &counters.pipelines {
            let pipeline = || pipeline.clone();
            // A touch turns out to be ignored when its bucket is resolved, after it was counted, and a counter only grows.
            let taken = counts.in_windows + counts.ignored_touches;
            counter!(names::WINDOWED_ROWS_TOTAL, "pipeline" => pipeline()).absolute(taken);
            counter!(names::LATE_ROWS_TOTAL, "pipeline" => pipeline()).absolute(counts.late);
            counter!(names::PARTLY_LATE_ROWS_TOTAL, "pipeline" => pipeline()).absolute(counts.partly_late);
            counter!(names::FILTERED_ROWS_TOTAL, "pipeline" => pipeline()).absolute(counts.filtered);
        }
        for (pipeline, ignored) in
            self.pipelines.iter().zip(&self.combine.ignored_touches).filter(|(p, _)| p.concurrency)
        {
            counter!(names::IGNORED_TOUCHES_TOTAL, "pipeline" => pipeline.name.clone()).absolute(*ignored);
        }
    }

    fn report_pipelines(&self) {
        for (pipeline, windows, groups) in self.open_windows() {
            gauge!(names::OPEN_WINDOWS, "pipeline" => pipeline.to_owned()).set(windows as f64);
            gauge!(names::OPEN_GROUPS, "pipeline" => pipeline.to_owned()).set(groups as f64);
            let emitted = self.windows.get(pipeline).copied().unwrap_or(0);
            counter!(names::WINDOWS_EMITTED_TOTAL, "pipeline" => pipeline.to_owned()).absolute(emitted);
        }
    }

    fn report_memory(&self) {
        let (bytes, bytes_max) = self.combine.state_bytes;
        gauge!(names::STATE_BYTES).set(bytes as f64);
        gauge!(names::STATE_BYTES_MAX).set(bytes_max as f64);
    }

    fn report_presence(&self) {
        let Some((viewers, streams)) = self.combine.presence else { return };
        gauge!(names::CONCURRENT_VIEWERS).set(viewers as f64);
        gauge!(names::ACTIVE_STREAMS).set(streams as f64);
        let (sessions, streams) = self.combine.remembered;
        gauge!(names::REMEMBERED_SESSIONS).set(sessions as f64);
        gauge!(names::REMEMBERED_STREAMS).set(streams as f64);
    }

    fn report_tables(&self) {
        for (table, status) in &self.tables {
            let table = || table.clone();
            counter!(names::ROWS_WRITTEN_TOTAL, "table" => table()).absolute(status.written.rows);
            counter!(names::FILES_WRITTEN_TOTAL, "table" => table()).absolute(status.written.files);
            counter!(names::BYTES_WRITTEN_TOTAL, "table" => table()).absolute(status.written.bytes);
            if let Some((_, at)) = &status.last_file {
                gauge!(names::LAST_FILE_TIMESTAMP_SECONDS, "table" => table()).set(secs(*at));
            }
        }
    }
}

fn report_lookup(table: &str, status: &LookupStatus) {
    let table = || table.to_owned();
    counter!(names::LOOKUP_RELOADS_TOTAL, "table" => table()).absolute(status.reloads);
    counter!(names::LOOKUP_RELOAD_FAILURES_TOTAL, "table" => table()).absolute(status.failures);
    gauge!(names::LOOKUP_ROWS, "table" => table()).set(status.rows as f64);
    gauge!(names::LOOKUP_LOADED_TIMESTAMP_SECONDS, "table" => table()).set(secs(status.loaded_at));
}

fn report_shard(shard: &str, status: &ShardStatus) {
    let shard = || shard.to_owned();
    counter!(names::RECORDS_READ_TOTAL, "shard" => shard()).absolute(status.records);
    counter!(names::READ_CALLS_TOTAL, "shard" => shard()).absolute(status.reads);
    gauge!(names::REMEMBERED_IDS, "shard" => shard()).set(status.remembered_ids as f64);
    gauge!(names::REMEMBERED_ID_BYTES, "shard" => shard()).set(status.remembered_id_bytes as f64);
    if let Some(at) = status.last_read {
        gauge!(names::LAST_READ_TIMESTAMP_SECONDS, "shard" => shard()).set(secs(at));
    }
    if let Some(lag) = status.lag_millis {
        gauge!(names::LAG_SECONDS, "shard" => shard()).set(lag as f64 / 1e3);
    }
    if let Some(watermark) = status.watermark {
        gauge!(names::WATERMARK_TIMESTAMP_SECONDS, "shard" => shard()).set(secs(watermark));
    }
}

fn secs(t: Micros) -> f64 {
    t as f64 / MICROS_PER_SEC as f64
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;
    use crate::engine::board::CommitStatus;

    #[test]
    fn commits_are_on_the_page_of_a_job_that_makes_some() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let commits = CommitStatus {
            interval: 60 * MICROS_PER_SEC,
            last: 90 * MICROS_PER_SEC,
            commits: 7,
            failures: 2,
            stood: MICROS_PER_SEC / 4,
            unmoved: 3,
            lost: 1,
            ..CommitStatus::default()
        };
        let status = Status { commits: Some(commits), ..Status::default() };
        metrics::with_local_recorder(&recorder, || status.report(0));
        let page = handle.render();
        for line in [
            "headcount_commits_total 7",
            "headcount_commit_failures_total 2",
            "headcount_last_commit_timestamp_seconds 90",
            "headcount_commit_stood_seconds 0.25",
            "headcount_unmoved_files 3",
            "headcount_lost_files_total 1",
        ] {
            assert!(page.lines().any(|shown| shown == line), "{line} is missing in:\n{page}");
        }
    }
}
