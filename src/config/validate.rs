//! From what was typed to what is meant: every range and every contradiction, and nothing that needs a network.
//!
//! The only input besides the values are the paths that must exist. Everything is judged even after a problem; a value that is out
//! of range is clamped so that the rest can be judged, and the configuration is not used.

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use url::Url;

use super::layers::{Layers, Origin};
use super::problems::Problems;
use super::raw::{
    LOOKUP, RawCloudWatch, RawConcurrency, RawConfig, RawEmbedded, RawLake, RawLookup, RawSource, RawTime,
};
use super::sections::{
    CloudWatch, Concurrency, Config, Embedded, Lake, Log, Lookup, Pipelines, Run, Schema, Serve, Source, SourceKind,
    Start, Time,
};
use crate::error::Error;
use crate::limits::{
    CLOUDWATCH_NAME_CHARS_MAX, EMBEDDED_EVENTS_PER_SEC_PER_SHARD_MAX, LAKE_RAW_ROLL_BYTES_MAX,
    SIMULATOR_EVENTS_PER_SEC_MAX,
};
use crate::types::{MICROS_PER_SEC, Micros, is_metric_name, parse_rfc3339};

/// No time in a configuration is longer: whoever types more has most likely typed milliseconds.
const SECS_MAX: u64 = 366 * 24 * 60 * 60;

/// Judges what was typed.
pub(super) fn validate(raw: &RawConfig, layers: &Layers, problems: &mut Problems) -> Config {
    let mut judge = Judge { layers, problems };
    Config {
        source: judge.source(&raw.source),
        embedded: judge.embedded(&raw.embedded, &raw.source),
        time: judge.time(&raw.time),
        concurrency: judge.concurrency(&raw.concurrency),
        lake: judge.lake(&raw.lake, &raw.source.region),
        cloudwatch: judge.cloudwatch(&raw.cloudwatch, &raw.source.region),
        pipelines: Pipelines { dir: judge.existing("pipelines", "dir", raw.pipelines.dir.as_deref(), Path::is_dir) },
        schema: Schema { path: judge.existing("schema", "path", raw.schema.path.as_deref(), Path::is_file) },
        lookups: raw.lookup.iter().map(|(name, raw)| judge.lookup(name, raw)).collect(),
        serve: Serve { enabled: raw.serve.enabled, listen: judge.address("serve", "listen", &raw.serve.listen) },
        log: Log { format: raw.log.format, level: raw.log.level },
        run: Run {
            application: judge.application(&raw.run.application),
            checkpoints: raw.run.checkpoints,
            commit_interval: judge.whole(
                "run",
                "commit_interval_secs",
                raw.run.commit_interval_secs,
                1..=3_600,
                "10 to 300 suit most lakes: each commit is a file of every table of raw rows",
            ) as Micros
                * MICROS_PER_SEC,
            on_changed_pipeline: raw.run.on_changed_pipeline,
            status_interval: judge.secs("run", "status_interval_secs", raw.run.status_interval_secs, 1),
            memory_bytes_max: raw.run.memory_mib_max.map(|mib| {
                let remedy = "leave it out for half of what the machine or the container has";
                (judge.whole("run", "memory_mib_max", mib, 1..=1 << 24, remedy) as usize) << 20
            }),
            worker_threads: raw.run.worker_threads.map(|threads| {
                judge.whole("run", "worker_threads", threads, 1..=1024, "leave it out for one a core") as usize
            }),
        },
    }
}

struct Judge<'a> {
    layers: &'a Layers,
    problems: &'a mut Problems,
}

impl Judge<'_> {
    fn application(&mut self, name: &str) -> String {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
            let message = "must be 1 to 64 letters, digits, - or _";
            self.refuse("run", "application", message, "it names a folder of the lake, as in \"headcount\"");
        }
        name.to_owned()
    }

    fn source(&mut self, raw: &RawSource) -> Source {
        if raw.kind == SourceKind::Embedded {
            self.embedded_source_alone();
            if raw.endpoint_url.is_some() {
                let message = "is set, but source.kind = \"embedded\" starts its own Kinesis";
                self.refuse(
                    "source",
                    "endpoint_url",
                    message,
                    "set source.kind = \"kinesis\", or leave endpoint_url out",
                );
            }
        }
        let name_fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if raw.stream_name.is_empty() || raw.stream_name.len() > 128 || !raw.stream_name.chars().all(name_fits) {
            let message = format!("is \"{}\", which no Kinesis stream can be called", raw.stream_name);
            self.refuse("source", "stream_name", message, "use 1 to 128 letters, digits, `_`, `-` and `.`");
        }
        self.region("source", &raw.region);
        self.endpoint("source", raw.endpoint_url.as_deref());
        let millis = self.whole(
            "source",
            "poll_interval_ms",
            raw.poll_interval_ms,
            200..=60_000,
            "Kinesis allows 5 reads a second of a shard, and forgets a reader that is silent for 5 minutes",
        );
        Source {
            kind: raw.kind,
            stream_name: raw.stream_name.clone(),
            region: raw.region.clone(),
            endpoint_url: raw.endpoint_url.clone(),
            start: self.start(&raw.start),
            poll_interval: millis as Micros * 1_000,
        }
    }

    /// Whoever names a stream and forgets the kind would read invented events and believe them.
    fn embedded_source_alone(&mut self) {
        if !cfg!(feature = "embedded") {
            let message = "is \"embedded\", which this build leaves out";
            self.refuse("source", "kind", message, "set source.kind = \"kinesis\", or build with --features embedded");
        }
        if *self.layers.origin("source", "kind") != Origin::Default {
            return;
        }
        for key in ["stream_name", "region"] {
            if self.layers.origin("source", key).is_deliberate() {
                let message = "is set, but source.kind is not, and it defaults to \"embedded\"";
                self.refuse("source", key, message, "say which is meant: source.kind = \"kinesis\" or \"embedded\"");
                return;
            }
        }
    }

    fn start(&mut self, text: &str) -> Start {
        match (text, parse_rfc3339(text)) {
            ("trim_horizon", _) => Start::TrimHorizon,
            ("latest", _) => Start::Latest,
            (_, Some(time)) => Start::At(time),
            (_, None) => {
                let message = format!("is \"{text}\", which is no place to start from");
                let hint = "write \"trim_horizon\", \"latest\" or an RFC 3339 time such as \"2026-01-31T18:00:00Z\"";
                self.refuse("source", "start", message, hint);
                Start::TrimHorizon
            }
        }
    }

    fn embedded(&mut self, raw: &RawEmbedded, source: &RawSource) -> Embedded {
        if source.kind == SourceKind::Kinesis
            && let Some(origin) = self.layers.deliberate("embedded").cloned()
        {
            let error = Error::user("[embedded] is set, but source.kind = \"kinesis\" does not start one");
            self.problems.push(&origin, error.hint("remove [embedded], or set source.kind = \"embedded\""));
        }
        let (section, hint) = ("embedded", "0 takes any free port");
        if raw.shards > 0 && raw.events_per_sec > raw.shards.saturating_mul(EMBEDDED_EVENTS_PER_SEC_PER_SHARD_MAX) {
            let message = format!("is {}, more than {} shards can carry", raw.events_per_sec, raw.shards);
            let hint = format!(
                "a shard is read at 2 MiB/s, {EMBEDDED_EVENTS_PER_SEC_PER_SHARD_MAX} events/s: take more shards"
            );
            self.refuse(section, "events_per_sec", message, &hint);
        }
        Embedded {
            port: self.whole(section, "port", raw.port, 0..=65_535, hint) as u16,
            shards: self.whole(section, "shards", raw.shards, 1..=256, "the demonstration needs no more") as u32,
            events_per_sec: self.whole(
                section,
                "events_per_sec",
                raw.events_per_sec,
                1..=u64::from(SIMULATOR_EVENTS_PER_SEC_MAX),
                "to stop the simulator, read a real stream with source.kind = \"kinesis\"",
            ),
            seed: raw.seed,
            retain: self.secs(section, "retain_secs", raw.retain_secs, 1),
        }
    }

    fn time(&mut self, raw: &RawTime) -> Time {
        let section = "time";
        if raw.max_event_age_secs < raw.watermark_delay_secs {
            let message = format!(
                "is {}, less than watermark_delay_secs = {}: events that windows wait for would be dead letters",
                raw.max_event_age_secs, raw.watermark_delay_secs
            );
            self.refuse(section, "max_event_age_secs", message, "make max_event_age_secs the larger of the two");
        }
        Time {
            max_future_skew: self.secs(section, "max_future_skew_secs", raw.max_future_skew_secs, 0),
            sent_at_skew: self.secs(section, "sent_at_skew_secs", raw.sent_at_skew_secs, 0),
            max_event_age: self.secs(section, "max_event_age_secs", raw.max_event_age_secs, 1),
            idle_timeout: self.secs(section, "idle_timeout_secs", raw.idle_timeout_secs, 1),
            watermark_delay: self.secs(section, "watermark_delay_secs", raw.watermark_delay_secs, 0),
            dedupe_horizon: self.secs(section, "dedupe_horizon_secs", raw.dedupe_horizon_secs, 0),
        }
    }

    fn concurrency(&mut self, raw: &RawConcurrency) -> Concurrency {
        let section = "concurrency";
        if raw.closed_retention_secs < raw.session_timeout_secs {
            let message = format!(
                "is {}, less than session_timeout_secs = {}: sessions still present would survive the end of their stream",
                raw.closed_retention_secs, raw.session_timeout_secs
            );
            self.refuse(section, "closed_retention_secs", message, "make closed_retention_secs at least as long");
        }
        if raw.announced_timeout_secs < raw.stream_timeout_secs {
            let message = format!(
                "is {}, less than stream_timeout_secs = {}: an announced stream would be given up before an unannounced one",
                raw.announced_timeout_secs, raw.stream_timeout_secs
            );
            self.refuse(section, "announced_timeout_secs", message, "make announced_timeout_secs at least as long");
        }
        Concurrency {
            session_timeout: self.secs(section, "session_timeout_secs", raw.session_timeout_secs, 1),
            closed_retention: self.secs(section, "closed_retention_secs", raw.closed_retention_secs, 1),
            stream_timeout: self.secs(section, "stream_timeout_secs", raw.stream_timeout_secs, 1),
            announced_timeout: self.secs(section, "announced_timeout_secs", raw.announced_timeout_secs, 1),
        }
    }

    fn lake(&mut self, raw: &RawLake, source_region: &str) -> Lake {
        let section = "lake";
        let on_s3 = self.lake_url(&raw.url);
        for (key, value) in [("region", &raw.region), ("endpoint_url", &raw.endpoint_url)] {
            if value.is_some() && !on_s3 {
                let message = format!("is set, but lake.url = \"{}\" is not on S3", raw.url);
                self.refuse(section, key, message, format!("leave {key} out, or write the lake to s3://bucket/prefix"));
            }
        }
        if let Some(region) = &raw.region {
            self.region(section, region);
        }
        self.endpoint(section, raw.endpoint_url.as_deref());
        let sizes = 64 * 1024..=LAKE_RAW_ROLL_BYTES_MAX;
        let sizes_hint = "files of 128 MiB read well; a run has each in memory until it is complete";
        let hours = "an aggregate file never spans two hours of the lake";
        Lake {
            url: raw.url.clone(),
            region: on_s3.then(|| raw.region.clone().unwrap_or_else(|| source_region.to_owned())),
            endpoint_url: raw.endpoint_url.clone(),
            raw_roll_bytes: self.whole(section, "raw_roll_bytes", raw.raw_roll_bytes, sizes, sizes_hint),
            raw_roll: self.secs(section, "raw_roll_secs", raw.raw_roll_secs, 1),
            gather: self.whole(section, "gather_secs", raw.gather_secs, 1..=3_600, hours) as Micros * MICROS_PER_SEC,
            compression_level: self.whole(
                section,
                "compression_level",
                raw.compression_level,
                1..=22,
                "Zstandard has the levels 1, fast, to 22, small",
            ) as i32,
        }
    }

    fn cloudwatch(&mut self, raw: &RawCloudWatch, source_region: &str) -> CloudWatch {
        let section = "cloudwatch";
        if !is_metric_name(&raw.namespace, CLOUDWATCH_NAME_CHARS_MAX) || raw.namespace.starts_with("AWS/") {
            let message = format!("is \"{}\", which cannot be a namespace of yours", raw.namespace);
            let hint =
                "use 1 to 255 printable ASCII characters, not beginning with `:` or `AWS/`, as in \"Custom/Streaming\"";
            self.refuse(section, "namespace", message, hint);
        }
        if let Some(region) = &raw.region {
            self.region(section, region);
        }
        self.endpoint(section, raw.endpoint_url.as_deref());
        if !matches!(raw.storage_resolution_secs, 1 | 60) {
            let message = format!("is {}, but CloudWatch stores by 1 or by 60", raw.storage_resolution_secs);
            self.refuse(section, "storage_resolution_secs", message, "write 1 for alarms of 10 s, else 60");
        }
        let call = "a call carries up to 1000 metrics: a second or two is enough to fill it";
        let combinations = "CloudWatch bills each combination of dimension values by the month";
        CloudWatch {
            enabled: raw.enabled,
            namespace: raw.namespace.clone(),
            region: raw.region.clone().unwrap_or_else(|| source_region.to_owned()),
            endpoint_url: raw.endpoint_url.clone(),
            by_the_second: raw.storage_resolution_secs == 1,
            flush: self.whole(section, "flush_secs", raw.flush_secs, 0..=60, call) as Micros * MICROS_PER_SEC,
            retry: self.secs(section, "retry_secs", raw.retry_secs, 1),
            series_max: self.whole(section, "series_max", raw.series_max, 0..=100_000, combinations) as usize,
        }
    }

    fn lookup(&mut self, name: &str, raw: &RawLookup) -> Lookup {
        let section = format!("{LOOKUP}.{name}");
        let begins = name.starts_with(|c: char| c.is_ascii_lowercase());
        if !begins || !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
            let error = Error::user(format!("[{section}] is no name for a table"));
            let hint =
                "use lower-case letters, digits and underscores, beginning with a letter, as in [lookup.creators]";
            self.problems.push(self.layers.section_origin(&section), error.hint(hint));
        }
        match &raw.location {
            None => {
                let error = Error::user(format!("{section}.location is missing"));
                let hint = "write location = \"./data/creators.csv\", a folder, or \"s3://bucket/key\"";
                self.problems.push(self.layers.section_origin(&section), error.hint(hint));
            }
            Some(location) => {
                let what = "a lookup table";
                self.place(
                    &section,
                    "location",
                    location,
                    what,
                    "write a file or a folder, file:///… or s3://bucket/key",
                );
            }
        }
        Lookup {
            name: name.to_owned(),
            location: raw.location.clone().unwrap_or_default(),
            format: raw.format,
            refresh: self.secs(&section, "refresh_secs", raw.refresh_secs, 0),
            columns: raw.columns.clone(),
        }
    }

    /// Whether the lake is on S3. A bare path may hold anything but `://`.
    fn lake_url(&mut self, text: &str) -> bool {
        let hint = "write a folder such as ./data/lake, file:///data/lake or s3://bucket/prefix";
        self.place("lake", "url", text, "a lake", hint)
    }

    /// Whether a path or URL is on S3; refused if nothing of `what` can be there.
    fn place(&mut self, section: &str, key: &str, text: &str, what: &str, hint: &str) -> bool {
        let Some((scheme, _)) = text.split_once("://") else {
            if text.trim().is_empty() {
                self.refuse(section, key, "is empty", hint);
            }
            return false;
        };
        let parsed = Url::parse(text).ok();
        let fits = match (scheme, &parsed) {
            ("s3", Some(url)) => url.host_str().is_some_and(|bucket| !bucket.is_empty()) && url.query().is_none(),
            ("file", Some(url)) => url.to_file_path().is_ok(),
            _ => false,
        };
        if !fits {
            self.refuse(section, key, format!("is \"{text}\", which is no place for {what}"), hint);
        }
        scheme == "s3"
    }

    fn region(&mut self, section: &'static str, region: &str) {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if region.is_empty() || !region.chars().all(fits) {
            let message = format!("is \"{region}\", which is no AWS region");
            self.refuse(section, "region", message, "write its code, as in \"eu-west-2\"");
        }
    }

    fn endpoint(&mut self, section: &'static str, endpoint: Option<&str>) {
        let Some(text) = endpoint else { return };
        let fits = |url: Url| matches!(url.scheme(), "http" | "https") && url.has_host();
        if !Url::parse(text).is_ok_and(fits) {
            let message = format!("is \"{text}\", which is no address to call");
            self.refuse(section, "endpoint_url", message, "write it with its scheme, as in \"http://127.0.0.1:4566\"");
        }
    }

    fn address(&mut self, section: &'static str, key: &'static str, text: &str) -> SocketAddr {
        let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        // The one name that needs no resolver.
        let local = text.strip_prefix("localhost:").and_then(|port| port.parse().ok()).map(loopback);
        if let Some(address) = local.or_else(|| text.parse().ok()) {
            return address;
        }
        let message = format!("is \"{text}\", which is no address to listen on");
        self.refuse(section, key, message, "write an IP address and a port, as in \"127.0.0.1:8080\"");
        loopback(0)
    }

    fn existing(
        &mut self,
        section: &'static str,
        key: &'static str,
        text: Option<&str>,
        is_there: fn(&Path) -> bool,
    ) -> Option<PathBuf> {
        let path = PathBuf::from(text?);
        if !is_there(&path) {
            let what = if key == "dir" { "folder" } else { "file" };
            let message = format!("is \"{}\", and there is no such {what}", path.display());
            let hint =
                "paths are relative to the folder that headcount is started in; leave it out for the shipped one";
            self.refuse(section, key, message, hint);
        }
        Some(path)
    }

    /// A number in its range.
    fn whole(
        &mut self,
        section: &'static str,
        key: &'static str,
        value: u64,
        range: RangeInclusive<u64>,
        hint: &str,
    ) -> u64 {
        let (low, high) = range.into_inner();
        if value < low || value > high {
            self.refuse(section, key, format!("is {value}, but must be between {low} and {high}"), hint);
        }
        value.clamp(low, high)
    }

    /// A time typed in seconds.
    fn secs(&mut self, section: &str, key: &str, value: u64, low: u64) -> Micros {
        if value < low {
            self.refuse(section, key, format!("is {value}, but must be at least {low}"), "write a number of seconds");
        } else if value > SECS_MAX {
            let message = format!("is {value}, which is more than a year");
            self.refuse(section, key, message, "write a number of seconds, not milliseconds");
        }
        value.clamp(low, SECS_MAX) as Micros * MICROS_PER_SEC
    }

    fn refuse(&mut self, section: &str, key: &str, message: impl AsRef<str>, hint: impl Into<String>) {
        let error = Error::user(format!("{section}.{key} {}", message.as_ref())).hint(hint);
        self.problems.push(self.layers.origin(section, key), error);
    }
}
