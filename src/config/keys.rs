//! What every section and key means, in words: the one place that `docs/configuration.md` is made of.
//!
//! Only what the structs of `raw` do not say stands here. Names, types, choices and defaults are taken from them, units from the
//! ends of the names. A key without words, and words without a key, fail a test that says what to add.

/// A section in words.
#[derive(Debug)]
pub(super) struct SectionWords {
    /// As in the file.
    pub name: &'static str,
    /// What it is about, in one line.
    pub title: &'static str,
    /// When it applies and what is worth knowing of it; may be empty.
    pub about: &'static str,
    /// Its keys; the page has them in the order of the structs.
    pub keys: &'static [KeyWords],
}

/// A key in words.
#[derive(Debug)]
pub(super) struct KeyWords {
    /// As in the file.
    pub name: &'static str,
    /// A value, as it stands in the file behind `=`.
    pub example: &'static str,
    /// What it decides, within which bounds.
    pub meaning: &'static str,
    /// The release that brought it.
    pub since: &'static str,
    /// Where the name does not end with its unit: what a number counts.
    pub unit: Option<&'static str>,
    /// Where there is no default: what holds when the key is left out.
    pub left_out: Option<&'static str>,
}

/// A key of the first release: its name, an example and its meaning.
const fn key(name: &'static str, example: &'static str, meaning: &'static str) -> KeyWords {
    KeyWords { name, example, meaning, since: "0.1.0", unit: None, left_out: None }
}

impl KeyWords {
    const fn unit(self, unit: &'static str) -> Self {
        Self { unit: Some(unit), ..self }
    }

    const fn left_out(self, what: &'static str) -> Self {
        Self { left_out: Some(what), ..self }
    }
}

/// Every section in words.
pub(super) const SECTIONS: &[SectionWords] = &[
    SectionWords {
        name: "source",
        title: "where events come from",
        about: "`run` reads this stream. `backfill` reads files, and takes `region` from here only as the default of `lake.region`.",
        keys: &[
            key(
                "kind",
                "\"kinesis\"",
                "Which Kinesis is read: `embedded` is one inside the process, fed by a simulator; \
                `kinesis` is the service, or whatever listens at `endpoint_url`. A file that names a stream or a region must \
                say which is meant.",
            ),
            key("stream_name", "\"user-events\"", "The stream: 1 to 128 letters, digits, `_`, `-` and `.`."),
            key("region", "\"eu-west-2\"", "The AWS region of the stream, by its code."),
            key(
                "endpoint_url",
                "\"http://127.0.0.1:4566\"",
                "An `http://` or `https://` address to call instead of the \
                region's own: an emulator or a private endpoint. Only with `kind = \"kinesis\"`.",
            )
            .left_out("the region's own endpoint"),
            key(
                "start",
                "\"2026-01-31T18:00:00Z\"",
                "Where a shard is read from when no position is known: `trim_horizon` is \
                the oldest record that the stream keeps, `latest` what arrives from now on, an RFC 3339 time the first record \
                that arrived at or after it. The first start of an application decides; those after it go on from there.",
            ),
            key(
                "poll_interval_ms",
                "500",
                "The pause between two reads of a shard that has no more to give, 200 to 60000: \
                Kinesis allows five reads a second of a shard, shared by all of its readers. Longer adds to the lag.",
            ),
        ],
    },
    SectionWords {
        name: "embedded",
        title: "the Kinesis inside the process, and the simulator that feeds it",
        about: "Only with `source.kind = \"embedded\"`; refused with `kinesis`.",
        keys: &[
            key("port", "4567", "The loopback port of the embedded Kinesis, 0 to 65535; 0 takes any free one."),
            key("shards", "8", "Shards of the stream, 1 to 256.").unit("shards"),
            key(
                "events_per_sec",
                "8000",
                "What the simulated platform produces, 1 to 100000. What its shards cannot carry is refused, with \
                the bound: many events take many shards.",
            )
            .unit("events a second"),
            key("seed", "7", "Seed of the simulator: the same seed tells the same story."),
            key("retain_secs", "300", "Older records are forgotten, which bounds the memory of a long run."),
        ],
    },
    SectionWords {
        name: "time",
        title: "how event time is judged",
        about: "For `run` and `backfill` alike; [semantics](semantics.md#2-time) has the exact rules. A time may be a year at most.",
        keys: &[
            key(
                "max_future_skew_secs",
                "60",
                "An event whose time is further than this after its arrival is set to its \
                arrival; `event_time_original` keeps what it said.",
            ),
            key(
                "sent_at_skew_secs",
                "10",
                "A client whose clock (`sent_at`) is further than this ahead of the arrival has \
                its event times moved back by the difference.",
            ),
            key(
                "max_event_age_secs",
                "86400",
                "An event older than this at its arrival is a dead letter, `too_old`. Not less \
                than `watermark_delay_secs`.",
            ),
            key(
                "idle_timeout_secs",
                "60",
                "How long a shard that has fallen silent may hold the windows of the others back; \
                at least 1.",
            ),
            key(
                "watermark_delay_secs",
                "60",
                "How long a window waits for rows that come out of order: the watermark stays \
                this far behind the highest time seen. More is later and loses fewer rows; open windows, and memory, grow \
                with it. A pipeline may have [its own](sql.md#how-long-a-table-waits).",
            ),
            key(
                "dedupe_horizon_secs",
                "600",
                "How long a repeated `event_id` of a shard is recognised and dropped, in event \
                time. Every id of that span is remembered.",
            ),
        ],
    },
    SectionWords {
        name: "concurrency",
        title: "how long presence lasts without news",
        about: "What [`CONCURRENCY`](sql.md#concurrency) counts by, unless a query sets its own; [semantics](semantics.md#4-concurrency) \
            has the exact rules. All in event time, each at least 1 s.",
        keys: &[
            key(
                "session_timeout_secs",
                "90",
                "A start or heartbeat holds its session present for this long. Take three times \
                the players' heartbeat interval, so that two lost ones do not lose a viewer.",
            ),
            key(
                "closed_retention_secs",
                "900",
                "An ended session stays closed to late heartbeats for this long, and is \
                remembered for this long after its last sign. Not less than `session_timeout_secs`.",
            ),
            key(
                "stream_timeout_secs",
                "300",
                "A stream that nobody announced is active for this long after its last event.",
            ),
            key(
                "announced_timeout_secs",
                "86400",
                "An announced stream whose end was lost is active for this long after its \
                last event; any stream is forgotten then. Not less than `stream_timeout_secs`.",
            ),
        ],
    },
    SectionWords {
        name: "lake",
        title: "where the tables go",
        about: "`backfill --lake` takes the place of `url`.",
        keys: &[
            key("url", "\"s3://example-lake/headcount\"", "A folder, `file:///…`, or `s3://bucket/prefix`."),
            key("region", "\"eu-west-2\"", "The AWS region of the bucket. Only with an `s3://` URL.")
                .left_out("`source.region`"),
            key(
                "endpoint_url",
                "\"http://127.0.0.1:9000\"",
                "The `http://` or `https://` address of an S3-compatible store. \
                Only with an `s3://` URL.",
            )
            .left_out("the region's own endpoint"),
            key(
                "raw_roll_bytes",
                "268435456",
                "A file of raw events, which a run has in memory until it is complete, is finished at this size, 65536 (64 KiB) to \
                1073741824 (1 GiB), …",
            ),
            key(
                "raw_roll_secs",
                "60",
                "… or when it has been open for this long, whichever comes first: how long a raw event \
                may take to appear. Short times make many small files, which are slow to read.",
            ),
            key(
                "gather_secs",
                "600",
                "The windows of this much event time share one file of an aggregate table, 1 to 3600: \
                how long a window may take to appear after it is complete.",
            ),
            key("compression_level", "3", "Zstandard level, 1 (fast) to 22 (small)."),
        ],
    },
    SectionWords {
        name: "cloudwatch",
        title: "metrics of complete windows",
        about: "For `run`, and pipelines whose header has `[[cloudwatch]]` ([CloudWatch](cloudwatch.md)). A backfill publishes nothing.",
        keys: &[
            key("enabled", "true", "Whether to publish."),
            key("namespace", "\"Custom/Streaming\"", "The namespace of the metrics."),
            key("region", "\"eu-west-2\"", "The AWS region to publish in.").left_out("`source.region`"),
            key("endpoint_url", "\"http://127.0.0.1:4566\"", "An emulator or a private endpoint to call instead.")
                .left_out("the region's own endpoint"),
            key("storage_resolution_secs", "1", "1 keeps single seconds, for three hours; or 60."),
            key("flush_secs", "5", "How long metrics wait for others to share a call with, 0 to 60."),
            key("retry_secs", "600", "Metrics that CloudWatch has not taken after this long are dropped, counted and warned of; at least 1."),
            key(
                "series_max",
                "1000",
                "Combinations of dimension values, 0 to 100000, over the life of the process: each is billed by the month. What is over is \
                dropped and counted.",
            )
            .unit("combinations"),
        ],
    },
    SectionWords {
        name: "pipelines",
        title: "what is computed",
        about: "",
        keys: &[key(
            "dir",
            "\"pipelines\"",
            "The folder of the queries, `*.sql`; it takes the place of the shipped ones. Relative to \
                the folder that Headcount is started in.",
        )
        .left_out("`./pipelines` if it is there, else the shipped queries that are built in")],
    },
    SectionWords {
        name: "schema",
        title: "what an event looks like",
        about: "",
        keys: &[key(
            "path",
            "\"schemas/user_event.v1.json\"",
            "The event contract, a JSON Schema. Relative to the folder that \
                Headcount is started in.",
        )
        .left_out("`./schemas/user_event.v1.json` if it is there, else the one that is built in")],
    },
    SectionWords {
        name: "lookup.name",
        title: "a table that queries may join",
        about: "One section a table, as `[lookup.creators]`; `name` stands for the name that queries use, of lower-case letters, digits \
            and underscores. [SQL](sql.md#lookup-tables) says how it is joined, [operations](operations.md#lookup-tables) how it is \
            brought up to date. For `run` and `backfill` alike; a bucket is reached with `lake.region` and `lake.endpoint_url`.",
        keys: &[
            key(
                "location",
                "\"s3://example-data/creators/\"",
                "Where it is: a file, a folder whose files together are the table, `file:///…`, or `s3://bucket/key` of an object or of a \
                prefix that ends with `/`. Names in a folder that begin with `.` or `_` are passed over. Relative to the folder that \
                Headcount is started in.",
            )
            .left_out("refused, since a table has to be somewhere"),
            key(
                "format",
                "\"csv\"",
                "What its files hold: `parquet`; `csv`, with the columns' names in the first line, where an empty value is NULL; `ndjson`, \
                one JSON object a line. The last two may be compressed (`.gz`, `.zst`).",
            )
            .left_out("by the ends of the files' names: `.parquet`, `.csv`, `.ndjson`, `.jsonl`"),
            key(
                "refresh_secs",
                "300",
                "How often it is looked at for changes, by the time of modification and the ETag of its files. 0 reads it at the start \
                only.",
            ),
            key(
                "columns",
                "{ channel_id = \"text\", tier = \"text\" }",
                "The columns to read, each with its type: `text`, `integer`, `number`, `boolean`, `timestamp` (RFC 3339) or `date`. Where it \
                is empty, all are read and have the types that their values have; then an id of digits is a number, and does not fit a \
                text of the events. Only in a file.",
            ),
        ],
    },
    SectionWords {
        name: "serve",
        title: "metrics and health over HTTP",
        about: "For `run` only.",
        keys: &[
            key("enabled", "false", "Whether to listen at all."),
            key(
                "listen",
                "\"0.0.0.0:9090\"",
                "Address and port of `/api/status`, `/metrics`, `/readyz` and `/healthz` ([operations](operations.md)). Port 0 takes \
                any free one.",
            ),
        ],
    },
    SectionWords {
        name: "log",
        title: "the program's own log, on standard error",
        about: "`RUST_LOG` is the finer tool, and goes before `level`.",
        keys: &[
            key("format", "\"json\"", "`text` for people, `json` for machines."),
            key("level", "\"debug\"", "The least important level that is written."),
        ],
    },
    SectionWords {
        name: "run",
        title: "the process",
        about: "",
        keys: &[
            key(
                "application",
                "\"headcount-eu\"",
                "The name under which the state of a stopped run is kept in the lake, below `_checkpoints/`: 1 to 64 letters, digits, \
                `-` and `_`. Two consumers of one stream need two names.",
            ),
            key(
                "checkpoints",
                "false",
                "Whether a stop writes what is open into the lake, and the next start goes on from it. If not, open windows are \
                given up at a stop; those of an embedded stream are closed.",
            ),
            key(
                "commit_interval_secs",
                "10",
                "Pause between two commits of a job that reads a stream of Kinesis, 1 to 3600; the first one comes after three seconds \
                at the latest, and one comes between when seven eighths of `run.memory_mib_max` are taken. A commit makes rows visible in the lake, and \
                a start after a crash goes on from the last one: it reads at most so much again, and no row comes twice. Each commit \
                finishes the files of raw rows, dead letters and late rows that are open, so a short pause makes small files.",
            ),
            key(
                "on_changed_pipeline",
                "\"fresh\"",
                "What a start does if the saved state does not fit a pipeline any more, because its query or what else its state \
                depends on has changed: `refuse` ends it with an error that says what has changed; `fresh` lets that pipeline give up its \
                windows that are open and begin with the first window that is read whole, while the others go on. A new pipeline \
                begins so, and one that is gone is dropped, whatever is set here.",
            ),
            key("status_interval_secs", "30", "The pause between two status lines of `run`; at least 1."),
            key(
                "memory_mib_max",
                "1024",
                "What the state of a job may take: open windows, sessions, lookup tables and remembered ids, of `run` and of \
                `backfill`. A job that needs more ends with an error that names what takes most. Reads and files under way come on top. \
                1 to 16777216.",
            )
            .unit("MiB")
            .left_out("half of what the machine or the container has"),
            key("worker_threads", "2", "Threads that do the work, 1 to 1024.").unit("threads").left_out("one a core"),
        ],
    },
];
