//! Every metric of the program: name, kind, unit, labels and meaning.
//!
//! Names follow Prometheus: prefix `headcount_`, the unit in the name, `_total` on counters. Labels are few and bounded (shards,
//! pipelines, tables, reasons), never a stream or a viewer.
//!
//! The counters are the books of the pipeline, counted in events, and they balance at every checkpoint:
//!
//! ```text
//! events_read = events_kept + duplicates + dead_letters
//! per pipeline: events_kept = windowed_rows + late_rows + ignored_touches + filtered_rows
//! ```

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

    /// Read calls made to a shard, with or without records.
    Counter Count READ_CALLS_TOTAL ["shard"] = "headcount_read_calls_total";
    /// Records read from a shard.
    Counter Count RECORDS_READ_TOTAL ["shard"] = "headcount_records_read_total";
    /// Payload bytes of the records read.
    Counter Bytes BYTES_READ_TOTAL [] = "headcount_bytes_read_total";
    /// Calls to a service that were made again after throttling, a timeout or a server error.
    Counter Count RETRIES_TOTAL ["service"] = "headcount_retries_total";
    /// How far the last read of a shard was behind its tip.
    Gauge Milliseconds LAG_MILLIS ["shard"] = "headcount_lag_millis";

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

    /// Rows that went into at least one window of a pipeline.
    Counter Count WINDOWED_ROWS_TOTAL ["pipeline"] = "headcount_windowed_rows_total";
    /// Rows too late for every window they belong to, kept under _late.
    Counter Count LATE_ROWS_TOTAL ["pipeline"] = "headcount_late_rows_total";
    /// Rows that a pipeline's own WHERE leaves out.
    Counter Count FILTERED_ROWS_TOTAL ["pipeline"] = "headcount_filtered_rows_total";
    /// Heartbeats of sessions that had ended, ignored.
    Counter Count IGNORED_TOUCHES_TOTAL [] = "headcount_ignored_touches_total";
    /// Windows whose result was emitted.
    Counter Count WINDOWS_EMITTED_TOTAL ["pipeline"] = "headcount_windows_emitted_total";
    /// Watermark of a shard, as seconds since 1970 in event time.
    Gauge Seconds WATERMARK_SECONDS ["shard"] = "headcount_watermark_seconds";
    /// Viewers present at the end of the last window, all streams together.
    Gauge Count CONCURRENT_VIEWERS [] = "headcount_concurrent_viewers";
    /// Streams active at the end of the last window.
    Gauge Count ACTIVE_STREAMS [] = "headcount_active_streams";

    /// Rows written to a table of the lake.
    Counter Count ROWS_WRITTEN_TOTAL ["table"] = "headcount_rows_written_total";
    /// Files finished in a table of the lake.
    Counter Count FILES_WRITTEN_TOTAL ["table"] = "headcount_files_written_total";
    /// Bytes of the files finished in a table of the lake.
    Counter Bytes BYTES_WRITTEN_TOTAL ["table"] = "headcount_bytes_written_total";

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
            ::metrics::gauge!(LAG_MILLIS, "shard" => "shardId-000000000000").set(250.0);
        });
        let page = handle.render();
        for line in [
            "# HELP headcount_late_rows_total Rows too late for every window they belong to, kept under _late.",
            "# TYPE headcount_late_rows_total counter",
            "headcount_late_rows_total{pipeline=\"revenue\"} 3",
            "# TYPE headcount_lag_millis gauge",
            "headcount_lag_millis{shard=\"shardId-000000000000\"} 250",
            "headcount_duplicates_total 0",
        ] {
            assert!(page.lines().any(|shown| shown == line), "{line} is missing in:\n{page}");
        }
    }
}
