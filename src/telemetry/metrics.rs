//! Every metric of the program: name, kind, unit, labels and meaning.
//!
//! Names follow Prometheus: prefix `headcount_`, the unit in the name, `_total` on counters. Labels are few and bounded (shards,
//! pipelines, tables, reasons), never a stream or a viewer.
//!
//! The counters are the books of the pipeline, counted in events, and they balance whenever they are reported, once a second:
//!
//! ```text
//! events_read = events_kept + duplicates + dead_letters
//! per pipeline: events_kept = windowed_rows + late_rows + filtered_rows
//! ```
//!
//! `docs/metrics.md` is written from this file: a test compares, and rewrites it with `HEADCOUNT_REGENERATE=1`.

use ::metrics::{Unit, describe_counter, describe_gauge};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use crate::error::{Error, Result};

/// What a metric does over time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// One metric.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its full name.
    pub name: &'static str,
    /// What it does over time.
    pub kind: Kind,
    /// What it counts.
    pub unit: Unit,
    /// The labels that it is always given.
    pub labels: &'static [&'static str],
    /// What it says, as one sentence.
    pub help: &'static str,
}

macro_rules! catalogue {
    ($($(#[doc = $help:literal])+ $kind:ident $unit:ident $name:ident [$($label:literal),*] = $text:literal;)+) => {
        $($(#[doc = $help])+ pub const $name: &str = $text;)+

        /// Every metric, in the order in which data flows.
        pub const ALL: &[Metric] = &[$(Metric {
            name: $name,
            kind: Kind::$kind,
            unit: Unit::$unit,
            labels: &[$($label),*],
            help: concat!($($help),+).trim_ascii(),
        },)+];
    };
}

catalogue! {
    /// Version of the running program; always 1.
    Gauge Count BUILD_INFO ["version"] = "headcount_build_info";
    /// When the process began, as seconds since 1970.
    Gauge Seconds START_TIMESTAMP_SECONDS [] = "headcount_start_timestamp_seconds";
    /// 1 while /readyz answers 200, degraded or not; else 0.
    Gauge Count READY [] = "headcount_ready";
    /// 1 while /readyz says degraded: the job works, but a shard is behind or silent, or the lake does not take a write or a commit; else 0.
    Gauge Count DEGRADED [] = "headcount_degraded";

    /// Read calls made to a shard, with or without records.
    Counter Count READ_CALLS_TOTAL ["shard"] = "headcount_read_calls_total";
    /// Records read from a shard.
    Counter Count RECORDS_READ_TOTAL ["shard"] = "headcount_records_read_total";
    /// Payload bytes of the records read.
    Counter Bytes BYTES_READ_TOTAL [] = "headcount_bytes_read_total";
    /// Calls to a service (kinesis, cloudwatch) that were made again after throttling, a timeout or a server error; files of the lake (lake)
    /// that were written again after any.
    Counter Count RETRIES_TOTAL ["service"] = "headcount_retries_total";
    /// How far the last read of a shard was behind its tip.
    Gauge Seconds LAG_SECONDS ["shard"] = "headcount_lag_seconds";
    /// When the last read of a shard was answered, as seconds since 1970.
    Gauge Seconds LAST_READ_TIMESTAMP_SECONDS ["shard"] = "headcount_last_read_timestamp_seconds";

    /// Events found in the records: kept, duplicates and dead letters together.
    Counter Count EVENTS_READ_TOTAL [] = "headcount_events_read_total";
    /// Events that went on to the pipelines and to the raw table.
    Counter Count EVENTS_KEPT_TOTAL [] = "headcount_events_kept_total";
    /// Events dropped because their event_id was seen before.
    Counter Count DUPLICATES_TOTAL [] = "headcount_duplicates_total";
    /// Records and events that could not be used, kept with their bytes under _dead_letters.
    Counter Count DEAD_LETTERS_TOTAL ["reason"] = "headcount_dead_letters_total";
    /// Events whose time was repaired: set to the arrival time (future) or shifted by the client's clock (sent_at).
    Counter Count SKEW_REPAIRED_TOTAL ["kind"] = "headcount_skew_repaired_total";
    /// Fields in events that the contract does not know, ignored.
    Counter Count UNKNOWN_FIELDS_TOTAL ["field"] = "headcount_unknown_fields_total";
    /// Event ids that a shard remembers, to tell duplicates by: 30 to 60 bytes each.
    Gauge Count REMEMBERED_IDS ["shard"] = "headcount_remembered_event_ids";
    /// Memory that a shard's remembered event ids take.
    Gauge Bytes REMEMBERED_ID_BYTES ["shard"] = "headcount_remembered_event_id_bytes";

    /// Rows that went into at least one window of a pipeline, ignored touches included.
    Counter Count WINDOWED_ROWS_TOTAL ["pipeline"] = "headcount_windowed_rows_total";
    /// Rows too late for every window they belong to, kept under _late.
    Counter Count LATE_ROWS_TOTAL ["pipeline"] = "headcount_late_rows_total";
    /// Rows too late for some of the windows they belong to, and in the others: a part of the windowed rows. Only windows that hop have any.
    Counter Count PARTLY_LATE_ROWS_TOTAL ["pipeline"] = "headcount_partly_late_rows_total";
    /// Rows that a pipeline's own WHERE leaves out.
    Counter Count FILTERED_ROWS_TOTAL ["pipeline"] = "headcount_filtered_rows_total";
    /// Touches of sessions that had ended, ignored: a part of the windowed rows of a pipeline that counts concurrency.
    Counter Count IGNORED_TOUCHES_TOTAL ["pipeline"] = "headcount_ignored_touches_total";
    /// Windows whose result was emitted.
    Counter Count WINDOWS_EMITTED_TOTAL ["pipeline"] = "headcount_windows_emitted_total";
    /// Windows of a pipeline that have events and are not complete.
    Gauge Count OPEN_WINDOWS ["pipeline"] = "headcount_open_windows";
    /// Groups in the open windows of a pipeline, counted in each shard that holds them.
    Gauge Count OPEN_GROUPS ["pipeline"] = "headcount_open_groups";
    /// Watermark of a shard, as seconds since 1970 in event time.
    Gauge Seconds WATERMARK_TIMESTAMP_SECONDS ["shard"] = "headcount_watermark_timestamp_seconds";
    /// Viewers present at the end of the last window, all streams together; by the timeouts of the configuration, or, where no table
    /// counts by these, by the set with the shortest `SESSION_TIMEOUT` that a table has.
    Gauge Count CONCURRENT_VIEWERS [] = "headcount_concurrent_viewers";
    /// Streams active at the end of the last window, by the same timeouts as the viewers.
    Gauge Count ACTIVE_STREAMS [] = "headcount_active_streams";
    /// Sessions that concurrency remembers, present or not; once for each set of timeouts.
    Gauge Count REMEMBERED_SESSIONS [] = "headcount_remembered_sessions";
    /// Streams that concurrency remembers, active or not; once for each set of timeouts.
    Gauge Count REMEMBERED_STREAMS [] = "headcount_remembered_streams";
    /// Memory that the state takes: open windows, sessions, remembered ids.
    Gauge Bytes STATE_BYTES [] = "headcount_state_bytes";
    /// What it may take (run.memory_mib_max).
    Gauge Bytes STATE_BYTES_MAX [] = "headcount_state_bytes_max";
    /// Messages that wait between the tasks of the job: batches for the raw tables' writer (raw), news for the combine stage (combine).
    Gauge Count QUEUE_LENGTH ["queue"] = "headcount_queue_length";

    /// Versions of a lookup table that came into use since the start.
    Counter Count LOOKUP_RELOADS_TOTAL ["table"] = "headcount_lookup_reloads_total";
    /// Looks at a lookup table that failed: the version before stays in use.
    Counter Count LOOKUP_RELOAD_FAILURES_TOTAL ["table"] = "headcount_lookup_reload_failures_total";
    /// Rows of a lookup table's version in use.
    Gauge Count LOOKUP_ROWS ["table"] = "headcount_lookup_rows";
    /// When the version in use of a lookup table was loaded, as seconds since 1970.
    Gauge Seconds LOOKUP_LOADED_TIMESTAMP_SECONDS ["table"] = "headcount_lookup_loaded_timestamp_seconds";

    /// Rows written to a table of the lake.
    Counter Count ROWS_WRITTEN_TOTAL ["table"] = "headcount_rows_written_total";
    /// Files finished in a table of the lake.
    Counter Count FILES_WRITTEN_TOTAL ["table"] = "headcount_files_written_total";
    /// Bytes of the files finished in a table of the lake.
    Counter Bytes BYTES_WRITTEN_TOTAL ["table"] = "headcount_bytes_written_total";
    /// When the last file of a table was finished, as seconds since 1970.
    Gauge Seconds LAST_FILE_TIMESTAMP_SECONDS ["table"] = "headcount_last_file_timestamp_seconds";

    /// Commits of a job that is committed while it runs.
    Counter Count COMMITS_TOTAL [] = "headcount_commits_total";
    /// Commits that failed: the next one made up for each.
    Counter Count COMMIT_FAILURES_TOTAL [] = "headcount_commit_failures_total";
    /// When the last commit stood, as seconds since 1970; before the first one, when the job began to read.
    Gauge Seconds LAST_COMMIT_TIMESTAMP_SECONDS [] = "headcount_last_commit_timestamp_seconds";
    /// For how long no shard was read at the last commit's cut.
    Gauge Seconds COMMIT_STOOD_SECONDS [] = "headcount_commit_stood_seconds";
    /// Committed files that could not be moved into their tables yet.
    Gauge Count UNMOVED_FILES [] = "headcount_unmoved_files";
    /// Committed files that were gone before they were moved into their tables: their rows are lost.
    Counter Count LOST_FILES_TOTAL [] = "headcount_lost_files_total";

    /// Metric data that CloudWatch took.
    Counter Count CLOUDWATCH_PUBLISHED_TOTAL [] = "headcount_cloudwatch_published_total";
    /// Metric data that were left out or dropped instead of published to CloudWatch.
    Counter Count CLOUDWATCH_DROPPED_TOTAL ["reason"] = "headcount_cloudwatch_dropped_total";
}

/// Tells the recorder what each metric means, and starts the counters without labels at zero, so that a rate can be taken of the
/// first event. Call it once, after the recorder is installed.
pub fn describe() {
    for metric in ALL {
        match metric.kind {
            Kind::Counter => describe_counter!(metric.name, metric.unit, metric.help),
            Kind::Gauge => describe_gauge!(metric.name, metric.unit, metric.help),
        }
        if metric.kind == Kind::Counter && metric.labels.is_empty() {
            ::metrics::counter!(metric.name).increment(0);
        }
    }
    ::metrics::gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}

/// Makes Prometheus the recorder of the whole process and describes every metric; `render()` of the handle is the page to serve.
///
/// # Errors
/// An internal error if the process has a recorder already.
pub fn install_prometheus() -> Result<PrometheusHandle> {
    let handle = PrometheusBuilder::new()
        .install_recorder()
        .map_err(|e| Error::internal("the metrics recorder was installed twice").because(e))?;
    describe();
    Ok(handle)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_follow_the_convention() {
        let mut seen = BTreeSet::new();
        for metric in ALL {
            assert!(seen.insert(metric.name), "{} twice", metric.name);
            assert!(metric.name.starts_with("headcount_"), "{}", metric.name);
            assert_eq!(metric.name.ends_with("_total"), metric.kind == Kind::Counter, "{}", metric.name);
            // Base units, in the name, before `_total`: https://prometheus.io/docs/practices/naming/
            let stem = metric.name.strip_suffix("_total").unwrap_or(metric.name);
            assert_eq!(stem.ends_with("_seconds"), metric.unit == Unit::Seconds, "{}", metric.name);
            assert!(matches!(metric.unit, Unit::Seconds | Unit::Bytes | Unit::Count), "{}", metric.name);
            assert_eq!(stem.contains("bytes"), metric.unit == Unit::Bytes, "{}", metric.name);
            assert!(metric.help.ends_with('.') && !metric.help.contains("  "), "{}: {}", metric.name, metric.help);
            let fits = |c: char| c.is_ascii_lowercase() || c == '_';
            assert!(metric.name.chars().all(fits) && metric.labels.iter().all(|label| label.chars().all(fits)));
        }
    }

    #[test]
    fn the_page_explains_what_it_shows() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        ::metrics::with_local_recorder(&recorder, || {
            describe();
            ::metrics::counter!(LATE_ROWS_TOTAL, "pipeline" => "revenue").increment(3);
            ::metrics::gauge!(LAG_SECONDS, "shard" => "shardId-000000000000").set(0.25);
        });
        let page = handle.render();
        for line in [
            "# HELP headcount_late_rows_total Rows too late for every window they belong to, kept under _late.",
            "# TYPE headcount_late_rows_total counter",
            "headcount_late_rows_total{pipeline=\"revenue\"} 3",
            "# TYPE headcount_lag_seconds gauge",
            "headcount_lag_seconds{shard=\"shardId-000000000000\"} 0.25",
            "headcount_duplicates_total 0",
        ] {
            assert!(page.lines().any(|shown| shown == line), "{line} is missing in:\n{page}");
        }
    }

    /// The catalogue as a page.
    fn page() -> String {
        let mut page = PAGE_BEGIN.to_owned();
        for metric in ALL {
            let kind = if metric.kind == Kind::Counter { "counter" } else { "gauge" };
            let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
            let labels = if labels.is_empty() { "–".to_owned() } else { labels.join(", ") };
            page += &format!("| `{}` | {kind} | {labels} | {} |\n", metric.name, metric.help);
        }
        page
    }

    const PAGE_BEGIN: &str = "\
# Metrics

<!-- Written from src/telemetry/metrics.rs: HEADCOUNT_REGENERATE=1 cargo test --lib telemetry::metrics -->

`headcount run` serves these at `/metrics`, in the Prometheus text format. They are brought up to date once a second, together,
so that what one page shows belongs together. [Operations](operations.md) says which of them to watch.

Counters are counted in events, rows or calls since the start of the process, and the books balance
([semantics](semantics.md#6-guarantees)): read = kept + duplicates + dead letters, and for each pipeline kept = windowed + late +
filtered rows. Which touches are ignored is known only after they were counted, and a counter never goes back: so here, other than
in `/api/status`, they are a part of the windowed rows.

| metric | kind | labels | meaning |
|---|---|---|---|
";

    #[test]
    fn the_documentation_is_what_the_catalogue_says() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
        if std::env::var_os("HEADCOUNT_REGENERATE").is_some() {
            std::fs::write(path, page()).unwrap();
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            written == page(),
            "docs/metrics.md is not up to date: set HEADCOUNT_REGENERATE=1 and run this test again"
        );
    }
}
