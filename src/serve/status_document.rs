//! The answer of `/api/status`: a typed document, whose keys a test pins.
//!
//! Keys may be added; a key is not renamed or given another meaning without a new path.

use std::collections::BTreeMap;

use serde::Serialize;

use super::answers::ReadyDocument;
use super::commit_document::CommitDocument;
use super::lookup_document::LookupDocument;
use crate::engine::board::{Phase, Readiness, ShardStatus, Status, TableStatus};
use crate::engine::counters::PipelineCounts;
use crate::sink::cloudwatch::{CloudWatchCounts, Dropped};
use crate::types::{CALENDAR_LAST, MICROS_PER_SEC, Micros, ShardId, format_micros};

/// What a job is doing. Times are RFC 3339 in UTC; everything is of one moment, so that figures add up.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StatusDocument {
    /// The program's version.
    pub version: &'static str,
    /// When the process began.
    pub started_at: String,
    /// For how long it has run.
    pub uptime_secs: f64,
    /// `starting`, `running`, `stopping` or `failed`.
    pub phase: &'static str,
    /// The answer of `/readyz`.
    pub readiness: ReadyDocument,
    /// Windows that end by then are complete: the lowest of the shards' watermarks. Unknown at the start, and at the end of
    /// all input, when every window is complete.
    pub watermark: Option<String>,
    /// The longest lag of a shard that is not drained.
    pub lag_millis: Option<i64>,
    /// Over the last ten seconds.
    pub throughput: ThroughputDocument,
    /// What became of every event: read = kept + duplicates + dead_letters.
    pub events: EventsDocument,
    /// By shard, in the order of their names.
    pub shards: Vec<ShardDocument>,
    /// By pipeline, in the order of their names.
    pub pipelines: Vec<PipelineDocument>,
    /// Presence; null where no table counts it, and until the first bucket of time is resolved.
    pub concurrency: Option<ConcurrencyDocument>,
    /// What is complete and visible, by table.
    pub sinks: SinksDocument,
    /// The lookup tables that queries join, in the order of their names.
    pub lookups: Vec<LookupDocument>,
    /// The commits; null where the job is committed at its end only, and until it reads.
    pub commits: Option<CommitDocument>,
    /// What waits between the tasks of the job, by queue, in messages.
    pub queues: BTreeMap<&'static str, usize>,
    /// What went wrong last, also if it passed.
    pub last_error: Option<TroubleDocument>,
}

/// Rates of reading.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ThroughputDocument {
    /// The time that they are taken over; 0 in the first second.
    pub over_secs: f64,
    /// Records a second.
    pub records_per_sec: f64,
    /// Payload bytes a second.
    pub bytes_per_sec: f64,
    /// Events a second.
    pub events_per_sec: f64,
}

/// What became of the events of all shards.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EventsDocument {
    /// Events found in the records.
    pub read: u64,
    /// Those that went on to the pipelines.
    pub kept: u64,
    /// Those dropped because their id was seen before.
    pub duplicates: u64,
    /// Those that could not be used.
    pub dead_letters: u64,
    /// The same by reason.
    pub dead_letters_by_reason: BTreeMap<&'static str, u64>,
    /// Times that were shifted by the client's own clock.
    pub skew_shifted: u64,
    /// Times that were set to arrival.
    pub skew_clamped: u64,
    /// Fields that the contract does not know, and how often they came.
    pub unknown_fields: BTreeMap<String, u64>,
}

/// One shard.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShardDocument {
    /// Its name.
    pub shard: String,
    /// Records read.
    pub records: u64,
    /// Payload bytes read.
    pub bytes: u64,
    /// Events found in the records.
    pub events: u64,
    /// Read calls that were answered.
    pub read_calls: u64,
    /// When the last one was answered.
    pub last_read_at: Option<String>,
    /// How far it was behind the shard's tip.
    pub lag_millis: Option<i64>,
    /// The shard's watermark.
    pub watermark: Option<String>,
    /// Event ids remembered, to tell duplicates by.
    pub remembered_event_ids: usize,
    /// It was read to its end.
    pub drained: bool,
}

/// One pipeline: kept = in_windows + late + ignored_touches + filtered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PipelineDocument {
    /// Its name.
    pub pipeline: String,
    /// Rows that entered a window.
    pub in_windows: u64,
    /// Rows that were late for every window they belong to.
    pub late: u64,
    /// Of the rows in windows, those that were late for another window they belong to.
    pub partly_late: u64,
    /// Touches of closed sessions (concurrency only).
    pub ignored_touches: u64,
    /// Rows that the query does not ask for.
    pub filtered: u64,
    /// Windows whose rows were emitted.
    pub windows_emitted: u64,
    /// Windows that have events and are not complete.
    pub open_windows: usize,
    /// Groups in them, counted in each shard that holds them.
    pub open_groups: usize,
}

/// Presence, as far as the watermark has come: by the timeouts of the configuration, or, where no table counts by these, by the set with
/// the shortest session timeout that a table has.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConcurrencyDocument {
    /// Sessions present.
    pub concurrent_viewers: i64,
    /// Streams active.
    pub active_streams: i64,
    /// Sessions remembered, present or not.
    pub remembered_sessions: usize,
    /// Streams remembered, active or not.
    pub remembered_streams: usize,
}

/// Where rows go.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SinksDocument {
    /// The lake's tables, in the order of their names.
    pub lake: Vec<TableDocument>,
    /// What became of the metrics for CloudWatch; null where nothing is published.
    pub cloudwatch: Option<CloudWatchDocument>,
}

/// What became of the metrics, in data: one value set of one metric and window.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CloudWatchDocument {
    /// Data that CloudWatch took.
    pub published: u64,
    /// Calls that it took.
    pub calls: u64,
    /// Calls made again after one that failed.
    pub retries: u64,
    /// Data left out or dropped, by reason; reasons that did not occur are not listed.
    pub dropped: BTreeMap<&'static str, u64>,
}

/// One table of the lake.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TableDocument {
    /// Its path below the lake.
    pub table: String,
    /// Rows of finished files.
    pub rows: u64,
    /// Finished files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The file that was finished last.
    pub last_file: Option<String>,
    /// When that was.
    pub last_file_at: Option<String>,
}

/// What went wrong last.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TroubleDocument {
    /// When.
    pub at: String,
    /// What, where, and what to do about it.
    pub message: String,
}

impl StatusDocument {
    /// The document of a status at `now`.
    pub fn of(status: &Status, now: Micros) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            started_at: format_micros(status.started_at),
            uptime_secs: secs(now.saturating_sub(status.started_at)),
            phase: match status.phase {
                Phase::Starting => "starting",
                Phase::Running => "running",
                Phase::Stopping => "stopping",
                Phase::Failed => "failed",
            },
            readiness: ReadyDocument::of(&Readiness::of(status, now)),
            watermark: status.combine.watermark.and_then(time),
            lag_millis: status.lag_millis(),
            throughput: ThroughputDocument {
                over_secs: secs(status.throughput.over),
                records_per_sec: status.throughput.records_per_sec,
                bytes_per_sec: status.throughput.bytes_per_sec,
                events_per_sec: status.throughput.events_per_sec,
            },
            events: events(status),
            shards: status.shards.iter().map(|(name, s)| shard(name, s)).collect(),
            pipelines: pipelines(status),
            concurrency: status.combine.presence.map(|(concurrent_viewers, active_streams)| ConcurrencyDocument {
                concurrent_viewers,
                active_streams,
                remembered_sessions: status.combine.remembered.0,
                remembered_streams: status.combine.remembered.1,
            }),
            sinks: SinksDocument {
                lake: status.tables.iter().map(|(name, t)| table(name, t)).collect(),
                cloudwatch: status.published.as_ref().map(cloudwatch),
            },
            lookups: status.lookups.iter().map(|(name, l)| LookupDocument::of(name, l)).collect(),
            commits: status.commits.as_ref().map(CommitDocument::of),
            queues: status.queues.clone(),
            last_error: status
                .trouble
                .as_ref()
                .map(|t| TroubleDocument { at: format_micros(t.at), message: t.message.clone() }),
        }
    }
}

fn cloudwatch(counts: &CloudWatchCounts) -> CloudWatchDocument {
    let dropped = Dropped::ALL.into_iter().map(|why| (why.code(), counts.dropped(why)));
    CloudWatchDocument {
        published: counts.published,
        calls: counts.puts,
        retries: counts.retries,
        dropped: dropped.filter(|(_, data)| *data > 0).collect(),
    }
}

fn events(status: &Status) -> EventsDocument {
    let counters = status.counters();
    EventsDocument {
        read: counters.read,
        kept: counters.kept,
        duplicates: counters.duplicates,
        dead_letters: counters.dead_letters,
        dead_letters_by_reason: status.dead_letters(),
        skew_shifted: counters.shifted,
        skew_clamped: counters.clamped,
        unknown_fields: status.unknown_fields().into_iter().map(|(field, n)| (field.to_owned(), n)).collect(),
    }
}

fn shard(name: &ShardId, shard: &ShardStatus) -> ShardDocument {
    ShardDocument {
        shard: name.to_string(),
        records: shard.records,
        bytes: shard.bytes,
        events: shard.events_read,
        read_calls: shard.reads,
        last_read_at: shard.last_read.map(format_micros),
        lag_millis: shard.lag_millis,
        watermark: shard.watermark.and_then(time),
        remembered_event_ids: shard.remembered_ids,
        drained: shard.drained,
    }
}

fn pipelines(status: &Status) -> Vec<PipelineDocument> {
    let counters = status.counters();
    let mut all: Vec<PipelineDocument> = Vec::new();
    for (name, open_windows, open_groups) in status.open_windows() {
        let PipelineCounts { in_windows, late, partly_late, ignored_touches, filtered } =
            counters.pipelines.get(name).copied().unwrap_or_default();
        all.push(PipelineDocument {
            pipeline: name.to_owned(),
            in_windows,
            late,
            partly_late,
            ignored_touches,
            filtered,
            windows_emitted: status.windows.get(name).copied().unwrap_or(0),
            open_windows,
            open_groups,
        });
    }
    all.sort_by(|a, b| a.pipeline.cmp(&b.pipeline));
    all
}

fn table(name: &str, table: &TableStatus) -> TableDocument {
    TableDocument {
        table: name.to_owned(),
        rows: table.written.rows,
        files: table.written.files,
        bytes: table.written.bytes,
        last_file: table.last_file.as_ref().map(|(file, _)| file.clone()),
        last_file_at: table.last_file.as_ref().map(|(_, at)| format_micros(*at)),
    }
}

fn secs(t: Micros) -> f64 {
    t as f64 / MICROS_PER_SEC as f64
}

/// At the end of all input the watermark is beyond every time.
fn time(t: Micros) -> Option<String> {
    (t <= CALENDAR_LAST).then(|| format_micros(t))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::engine::board::{CombineStatus, CommitStatus, LookupStatus, OpenWindows, PipelineName, Throughput};
    use crate::engine::judge::JudgeCounts;
    use crate::sink::lake::WriteSummary;
    use crate::telemetry::Trouble;

    const START: Micros = 1_767_290_400_000_000;

    fn status() -> Status {
        let shard = ShardStatus {
            records: 9,
            bytes: 900,
            reads: 3,
            last_read: Some(START),
            lag_millis: Some(250),
            watermark: Some(START),
            events_read: 10,
            undecodable: 1,
            dead_letters: BTreeMap::from([("not_json", 1)]),
            unknown_fields: BTreeMap::from([("colour".to_owned(), 4)]),
            judged: JudgeCounts { kept: 8, duplicates: 1, shifted: 2, ..JudgeCounts::default() },
            remembered_ids: 8,
            remembered_id_bytes: 400,
            pipelines: vec![PipelineCounts { in_windows: 6, late: 1, partly_late: 3, filtered: 1, ignored_touches: 0 }],
            open: vec![OpenWindows { ends: [1, 2].into(), sessions: 0, groups: 5 }],
            drained: false,
        };
        let written = WriteSummary { files: 1, rows: 8, bytes: 80 };
        Status {
            started_at: START,
            phase: Phase::Running,
            lake_reached: true,
            pipelines: vec![PipelineName { name: "p".into(), concurrency: true }],
            expected: Some(["a".into()].into()),
            shards: [("a".into(), shard)].into(),
            combine: CombineStatus {
                watermark: Some(START),
                presence: Some((3, 1)),
                remembered: (4, 2),
                ignored_touches: vec![2],
                state_bytes: (1_024, 2_048),
                open: vec![OpenWindows { ends: [2, 3].into(), sessions: 0, groups: 1 }],
            },
            windows: [("p".to_owned(), 7)].into(),
            tables: [("p".to_owned(), TableStatus { written, last_file: Some(("lake/p/x.parquet".into(), START)) })]
                .into(),
            lookups: [("creators".to_owned(), LookupStatus { version: "00ff".into(), ..LookupStatus::default() })]
                .into(),
            commits: Some(CommitStatus { interval: MICROS_PER_SEC, last: START, ..CommitStatus::default() }),
            queues: [("raw", 1)].into(),
            published: Some(CloudWatchCounts {
                published: 12,
                puts: 2,
                dropped: std::array::from_fn(|i| u64::from(i == Dropped::TooOld as usize)),
                ..CloudWatchCounts::default()
            }),
            writing_since: BTreeMap::new(),
            throughput: Throughput { over: 10 * MICROS_PER_SEC, events_per_sec: 1.0, ..Throughput::default() },
            trouble: Some(Trouble { at: START, message: "GetRecords is throttled".into() }),
        }
    }

    /// `a.b[].c` for every value.
    fn keys(value: &Value, path: &str, out: &mut Vec<String>) {
        match value {
            Value::Object(members) => members.iter().for_each(|(key, v)| {
                let dot = if path.is_empty() { "" } else { "." };
                keys(v, &format!("{path}{dot}{key}"), out);
            }),
            Value::Array(items) if !items.is_empty() => items.iter().for_each(|v| keys(v, &format!("{path}[]"), out)),
            _ => out.push(path.to_owned()),
        }
    }

    #[test]
    fn the_keys_are_a_contract() {
        let document = serde_json::to_value(StatusDocument::of(&status(), START + MICROS_PER_SEC)).unwrap();
        let mut found = Vec::new();
        keys(&document, "", &mut found);
        let expected = "version started_at uptime_secs phase readiness.status readiness.reasons watermark lag_millis \
            throughput.over_secs throughput.records_per_sec throughput.bytes_per_sec throughput.events_per_sec \
            events.read events.kept events.duplicates events.dead_letters events.dead_letters_by_reason.not_json \
            events.skew_shifted events.skew_clamped events.unknown_fields.colour \
            shards[].shard shards[].records shards[].bytes shards[].events shards[].read_calls shards[].last_read_at \
            shards[].lag_millis shards[].watermark shards[].remembered_event_ids shards[].drained \
            pipelines[].pipeline pipelines[].in_windows pipelines[].late pipelines[].partly_late \
            pipelines[].ignored_touches pipelines[].filtered pipelines[].windows_emitted pipelines[].open_windows pipelines[].open_groups \
            concurrency.concurrent_viewers concurrency.active_streams concurrency.remembered_sessions \
            concurrency.remembered_streams sinks.lake[].table sinks.lake[].rows sinks.lake[].files sinks.lake[].bytes \
            sinks.lake[].last_file sinks.lake[].last_file_at sinks.cloudwatch.published sinks.cloudwatch.calls \
            sinks.cloudwatch.retries sinks.cloudwatch.dropped.too_old lookups[].table lookups[].version lookups[].rows \
            lookups[].loaded_at lookups[].reloads lookups[].failures lookups[].failing \
            commits.interval_secs commits.last_at commits.number commits.commits commits.failures commits.failing commits.stood_secs \
            commits.unmoved_files commits.lost_files queues.raw last_error.at last_error.message";
        assert_eq!(found, expected.split_whitespace().collect::<Vec<_>>());
        let early = serde_json::to_value(StatusDocument::of(&Status::default(), 0)).unwrap();
        let top = |v: &Value| v.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(top(&early), top(&document), "what is not known yet is null, not absent");
    }

    #[test]
    fn figures_are_the_status_and_add_up() {
        let mut status = status();
        let document = StatusDocument::of(&status, START + 90 * MICROS_PER_SEC);
        assert_eq!((document.uptime_secs, document.phase), (90.0, "running"));
        assert_eq!(document.started_at, "2026-01-01T18:00:00Z");
        let p = &document.pipelines[0];
        assert_eq!((p.in_windows, p.late, p.partly_late, p.ignored_touches, p.filtered), (4, 1, 3, 2, 1));
        assert_eq!((p.open_windows, p.open_groups, p.windows_emitted), (3, 6, 7), "a window in two places is one");
        let e = &document.events;
        assert_eq!(e.read, e.kept + e.duplicates + e.dead_letters);
        assert_eq!(e.kept, p.in_windows + p.late + p.ignored_touches + p.filtered);
        status.combine.watermark = Some(Micros::MAX);
        assert_eq!(StatusDocument::of(&status, START).watermark, None, "the end of all input is no time");
    }
}
