//! The configuration as a user meets it: files, environment, and what is said when they are wrong.

use std::io::Write;
use std::path::Path;

use super::raw::RawConfig;
use super::*;
use crate::error::{Domain, Error};
use crate::types::{MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SEC};

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(".toml").tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn no_env() -> impl Iterator<Item = (String, String)> {
    std::iter::empty()
}

fn env(pairs: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect::<Vec<_>>().into_iter()
}

fn load(text: &str) -> Config {
    Config::load(Some(file(text).path()), no_env()).unwrap()
}

/// The reports of everything wrong with a file, with its name cut to `FILE`.
fn reports(text: &str) -> Vec<String> {
    let file = file(text);
    let name = file.path().display().to_string();
    let problems = Config::problems(Some(file.path()), no_env());
    assert!(problems.iter().all(|p| p.domain() == Domain::User), "{problems:?}");
    problems.iter().map(|p| p.report().replace(&name, "FILE")).collect()
}

fn report(text: &str) -> String {
    let mut all = reports(text);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

#[test]
fn the_defaults_are_the_definition() {
    let config = load("");
    assert_eq!(config.source.kind, SourceKind::Embedded);
    assert_eq!(config.source.start, Start::TrimHorizon);
    assert_eq!(config.source.poll_interval, 250_000);
    assert_eq!(config.time.watermark_delay, 30 * MICROS_PER_SEC);
    assert_eq!(config.time.idle_timeout, 30 * MICROS_PER_SEC);
    assert_eq!(config.time.max_future_skew, 30 * MICROS_PER_SEC);
    assert_eq!(config.time.sent_at_skew, 5 * MICROS_PER_SEC);
    assert_eq!(config.time.max_event_age, 7 * MICROS_PER_DAY);
    assert_eq!(config.time.dedupe_horizon, 2 * MICROS_PER_MINUTE);
    assert_eq!(config.concurrency.session_timeout, MICROS_PER_MINUTE);
    assert_eq!(config.concurrency.closed_retention, 10 * MICROS_PER_MINUTE);
    assert_eq!(config.concurrency.stream_timeout, 2 * MICROS_PER_MINUTE);
    assert_eq!(config.concurrency.announced_timeout, 48 * MICROS_PER_HOUR);
    assert_eq!(config.lake.url, "./data/lake");
    assert_eq!(config.lake.region, None);
    assert_eq!(config.lake.raw_roll_bytes, 128 << 20);
    assert_eq!(config.serve.listen, "127.0.0.1:8080".parse().unwrap());
    assert!(!config.cloudwatch.enabled && !config.cloudwatch.by_the_second);
    assert_eq!(config.cloudwatch.namespace, "Custom/Streaming");
    assert_eq!((config.cloudwatch.flush, config.cloudwatch.retry), (2 * MICROS_PER_SEC, 300 * MICROS_PER_SEC));
}

#[test]
fn local_toml_is_the_defaults_but_for_the_two_keys_it_names() {
    let mut expected = load("");
    expected.lake.raw_roll = 30 * MICROS_PER_SEC;
    expected.lake.gather = MICROS_PER_MINUTE;
    assert_eq!(Config::load(None, no_env()).unwrap(), expected);
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/local.toml");
    assert_eq!(Config::load(Some(&shipped), no_env()).unwrap(), expected);
}

#[test]
fn local_toml_explains_every_key() {
    let text = include_str!("../../config/local.toml");
    for (section, keys) in RawConfig::sections() {
        let explained = |words: &str| text.lines().any(|line| line.trim_start_matches("# ").starts_with(words));
        assert!(explained(&format!("[{section}]")), "[{section}] is missing");
        for key in keys {
            let explained = explained(&format!("{key} = "));
            assert!(explained, "{section}.{key} is missing");
        }
    }
}

#[test]
fn aws_toml_is_valid_and_reads_aws() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/aws.toml");
    let config = Config::load(Some(&shipped), no_env()).unwrap();
    assert_eq!(config.source.kind, SourceKind::Kinesis);
    assert_eq!(config.source.endpoint_url, None);
    assert!(config.lake.url.starts_with("s3://"));
    assert_eq!(config.lake.region.as_deref(), Some("eu-west-2"));
    assert!(config.cloudwatch.enabled);
    assert_eq!((&*config.cloudwatch.namespace, &*config.cloudwatch.region), ("Custom/Streaming", "eu-west-2"));
}

#[test]
fn an_unknown_key_is_refused_with_its_line_and_the_closest_key() {
    assert_eq!(
        report("[lake]\nurl = 'a'\ncompresion_level = 3\n"),
        "FILE:3: lake.compresion_level is not a known key\n  remedy: did you mean compression_level?"
    );
    assert_eq!(
        report("\n[laek]\nurl = 'a'\n"),
        "FILE:2: there is no section [laek]\n  remedy: the sections are source, embedded, time, concurrency, lake, cloudwatch, \
         pipelines, schema, lookup.name, serve, log, run"
    );
    assert_eq!(
        report("raw_roll_secs = 30"),
        "FILE:1: raw_roll_secs stands outside any section\n  remedy: move it under [lake], or write lake.raw_roll_secs"
    );
    assert_eq!(
        report("lake = 's3://a'"),
        "FILE:1: lake is a section, not a key\n  remedy: write [lake] on a line of its own and its keys below"
    );
    assert_eq!(
        report("[[lake]]\nurl = 'a'"),
        "FILE:1: lake is a section, not a key\n  remedy: write [lake] on a line of its own and its keys below"
    );
    assert_eq!(
        report("[lake.s3]\nregion = 'a'"),
        "FILE:1: lake.s3 is not a known key\n  remedy: the keys of [lake] are url, region, endpoint_url, raw_roll_bytes, \
         raw_roll_secs, gather_secs, compression_level"
    );
}

#[test]
fn a_wrong_unit_is_refused_with_the_line_to_write() {
    assert_eq!(
        report("[lake]\nroll_minutes = 5"),
        "FILE:2: lake.roll_minutes is not a known key\n  remedy: write raw_roll_secs = 300, in seconds"
    );
    assert_eq!(
        report("[lake]\nraw_roll_secs = '5min'"),
        "FILE:2: lake.raw_roll_secs must be a whole number, 0 or more, not string \"5min\"\n  remedy: the unit is in the key's \
         name: write raw_roll_secs = 300"
    );
    assert_eq!(
        report("[concurrency]\nannounced_timeout_secs = 172800000"),
        "FILE:2: concurrency.announced_timeout_secs is 172800000, which is more than a year\n  remedy: write a number of seconds, \
         not milliseconds"
    );
}

#[test]
fn wrong_types_are_said_in_words() {
    assert_eq!(report("[source]\nkind = 'kafka'"), "FILE:2: source.kind must be `embedded` or `kinesis`, not `kafka`");
    assert_eq!(report("[serve]\nenabled = 'yes'"), "FILE:2: serve.enabled must be true or false, not string \"yes\"");
    assert!(report("[run]\nstatus_interval_secs = -1").contains("must be a whole number, 0 or more, not integer -1"));
    assert!(
        report("[lake]\nraw_roll_bytes = 1.5").contains("must be a whole number, 0 or more, not floating point 1.5")
    );
}

#[test]
fn numbers_out_of_range_say_the_range_and_why() {
    assert!(report("[source]\npoll_interval_ms = 100").starts_with(
        "FILE:2: source.poll_interval_ms is 100, but must be between 200 and 60000\n  remedy: Kinesis allows 5 reads a second"
    ));
    for (section, key, value) in [
        ("time", "idle_timeout_secs", "0"),
        ("concurrency", "session_timeout_secs", "0"),
        ("lake", "raw_roll_secs", "0"),
        ("lake", "raw_roll_bytes", "1073741825"),
        ("lake", "gather_secs", "3601"),
        ("lake", "compression_level", "23"),
        ("cloudwatch", "storage_resolution_secs", "10"),
        ("cloudwatch", "flush_secs", "61"),
        ("cloudwatch", "retry_secs", "0"),
        ("cloudwatch", "series_max", "100001"),
        ("embedded", "port", "65536"),
        ("embedded", "shards", "0"),
        ("run", "status_interval_secs", "0"),
        ("run", "worker_threads", "0"),
        ("run", "memory_mib_max", "0"),
        ("run", "status_interval_secs", "9223372036854775807"),
    ] {
        let said = report(&format!("[{section}]\n{key} = {value}"));
        assert!(said.starts_with(&format!("FILE:2: {section}.{key} is {value}")), "{said}");
    }
}

#[test]
fn addresses_and_names_are_checked() {
    for (section, key, value) in [
        ("source", "start", "yesterday"),
        ("source", "start", "2026-01-31"),
        ("serve", "listen", "8080"),
        ("lake", "url", "gs://bucket/lake"),
        ("lake", "url", "s3://"),
        ("lake", "url", ""),
        ("cloudwatch", "namespace", ""),
        ("cloudwatch", "namespace", "AWS/Kinesis"),
        ("cloudwatch", "namespace", "Zürich"),
        ("cloudwatch", "region", "London"),
        ("cloudwatch", "endpoint_url", "localhost:4566"),
        ("pipelines", "dir", "/no/such/folder"),
        ("schema", "path", "/no/such/file.json"),
    ] {
        let said = report(&format!("[{section}]\n{key} = '{value}'"));
        assert!(said.starts_with(&format!("FILE:2: {section}.{key} is ")) && said.contains("remedy"), "{said}");
    }
    let kinesis = |line: &str| report(&format!("[source]\nkind = 'kinesis'\n{line}"));
    assert!(kinesis("endpoint_url = 'localhost:4566'").contains("as in \"http://127.0.0.1:4566\""));
    assert!(kinesis("region = 'London'").contains("\"London\", which is no AWS region"));
    assert!(kinesis("stream_name = 'user events'").contains("which no Kinesis stream can be called"));
}

#[test]
fn start_takes_a_time_quoted_or_not() {
    let at = Start::At(crate::types::parse_rfc3339("2026-01-31T18:00:00Z").unwrap());
    assert_eq!(load("[source]\nkind = 'kinesis'\nstart = '2026-01-31T18:00:00Z'").source.start, at);
    assert_eq!(load("[source]\nkind = 'kinesis'\nstart = 2026-01-31T19:00:00+01:00").source.start, at);
    assert_eq!(load("[source]\nstart = 'latest'").source.start, Start::Latest);
}

#[test]
fn contradictions_are_refused() {
    assert_eq!(
        report("[source]\nkind = 'kinesis'\n[embedded]\nshards = 2"),
        "FILE:3: [embedded] is set, but source.kind = \"kinesis\" does not start one\n  remedy: remove [embedded], or set \
         source.kind = \"embedded\""
    );
    assert!(
        report("[source]\nkind = 'embedded'\nendpoint_url = 'http://a'")
            .starts_with("FILE:3: source.endpoint_url is set")
    );
    assert!(
        report("[source]\nstream_name = 'orders'")
            .starts_with("FILE:2: source.stream_name is set, but source.kind is not")
    );
    assert!(report("[lake]\nregion = 'eu-west-2'").starts_with("FILE:2: lake.region is set, but lake.url"));
    assert!(report("[concurrency]\nclosed_retention_secs = 30").contains("less than session_timeout_secs = 60"));
    assert!(report("[concurrency]\nannounced_timeout_secs = 100").contains("less than stream_timeout_secs = 120"));
    assert!(report("[time]\nmax_event_age_secs = 10").contains("less than watermark_delay_secs = 30"));
}

#[test]
fn every_problem_is_reported_in_the_order_of_the_file() {
    let text =
        "[lake]\nroll_minutes = 5\nraw_roll_secs = 0\n[source]\nkind = 'kafka'\n[log]\nlevel = 3\ncolour = true\n";
    let all = reports(text);
    let places: Vec<&str> = all.iter().map(|report| report.split(": ").next().unwrap()).collect();
    assert_eq!(places, ["FILE:2", "FILE:3", "FILE:5", "FILE:7", "FILE:8"]);
    let first = Config::load(Some(file(text).path()), no_env()).unwrap_err();
    assert_eq!(first.remedy(), Some("write raw_roll_secs = 300, in seconds; `headcount check` lists this and 4 more"));
    assert_eq!(first.exit_code(), 2);
}

#[test]
fn every_syntax_error_has_its_line() {
    let all = reports("[lake]\nurl = \n\n[log\nlevel = 'info'\n");
    assert!(all[0].starts_with("FILE:2: not valid TOML: "), "{all:?}");
    assert!(all.iter().any(|report| report.starts_with("FILE:4: not valid TOML: ")), "{all:?}");
    assert!(report("[lake]\nurl = 'a'\nurl = 'b'\n").starts_with("FILE:3: not valid TOML: duplicate key"));
}

#[test]
fn the_environment_overrides_key_by_key() {
    let file = file("[lake]\nurl = 'a'\nraw_roll_secs = 100\n");
    let vars = env(&[
        ("HEADCOUNT__LAKE__RAW_ROLL_SECS", "7"),
        ("HEADCOUNT__SERVE__ENABLED", "false"),
        ("HEADCOUNT__LAKE__GATHER_SECS", ""),
        ("HEADCOUNT__SOURCE__KIND", "kinesis"),
        ("HEADCOUNT__SOURCE__STREAM_NAME", "2026"),
        ("HEADCOUNT__SOURCE__START", "2026-01-31T18:00:00Z"),
        ("PATH", "/bin"),
    ]);
    let config = Config::load(Some(file.path()), vars).unwrap();
    assert_eq!(config.lake.url, "a");
    assert_eq!(config.lake.raw_roll, 7 * MICROS_PER_SEC);
    assert_eq!(config.lake.gather, 300 * MICROS_PER_SEC);
    assert!(!config.serve.enabled);
    assert_eq!(config.source.stream_name, "2026");
    assert!(matches!(config.source.start, Start::At(_)));
}

#[test]
fn the_built_in_embedded_section_does_not_contradict_the_environment() {
    let config = Config::load(None, env(&[("HEADCOUNT__SOURCE__KIND", "kinesis")])).unwrap();
    assert_eq!(config.source.kind, SourceKind::Kinesis);
    let both = env(&[("HEADCOUNT__SOURCE__KIND", "kinesis"), ("HEADCOUNT__EMBEDDED__SHARDS", "2")]);
    let error = Config::load(None, both).unwrap_err();
    assert_eq!(error.place(), Some("environment variable HEADCOUNT__EMBEDDED__SHARDS"));
}

#[test]
fn a_problem_of_the_environment_names_the_variable() {
    let said = |name, value| -> String {
        let all: Vec<Error> = Config::problems(None, env(&[(name, value)]));
        assert_eq!(all.len(), 1, "{all:?}");
        all[0].report()
    };
    assert_eq!(
        said("HEADCOUNT__LAKE__RAW_ROLL_SECS", "30s"),
        "environment variable HEADCOUNT__LAKE__RAW_ROLL_SECS: lake.raw_roll_secs must be a whole number, 0 or more, not string \
         \"30s\"\n  remedy: the unit is in the key's name: write raw_roll_secs = 30"
    );
    assert!(said("HEADCOUNT__LAKE__ROLL_MINUTES", "5").ends_with("remedy: write raw_roll_secs = 300, in seconds"));
    assert!(said("HEADCOUNT__LAKES__URL", "a").ends_with("remedy: did you mean [lake]?"));
    assert!(said("HEADCOUNT__LAKE", "a").contains("names no key"));
    assert!(said("HEADCOUNT__LAKE__RAW_ROLL_SECS", "0").contains("is 0, but must be at least 1"));
}

#[test]
fn a_file_that_cannot_be_read_is_one_clear_error() {
    let said = |path: &Path| Config::load(Some(path), no_env()).unwrap_err();
    let missing = said(Path::new("/no/such/config.toml"));
    assert_eq!(missing.place(), Some("/no/such/config.toml"));
    assert_eq!(missing.message(), "no such configuration file");
    assert_eq!(missing.exit_code(), 2);
    let folder = said(&std::env::temp_dir());
    assert_eq!(folder.message(), "is a folder, not a configuration file");
    let mut binary = tempfile::NamedTempFile::new().unwrap();
    binary.write_all(&[0xff, 0xfe, 0x00]).unwrap();
    assert_eq!(said(binary.path()).message(), "is not UTF-8 text");
}

#[test]
fn every_lookup_table_has_its_own_section() {
    let text = "[lookup.tiers]\nlocation = \"s3://example-data/tiers/\"\n\n[lookup.creators]\nlocation = \"./creators.csv\"\n\
        format = \"csv\"\nrefresh_secs = 300\ncolumns = { channel_id = \"text\", since = \"timestamp\" }\n";
    let config = load(text);
    let names: Vec<&str> = config.lookups.iter().map(|l| l.name.as_str()).collect();
    assert_eq!(names, ["creators", "tiers"]);
    let creators = &config.lookups[0];
    assert_eq!((creators.location.as_str(), creators.format), ("./creators.csv", Some(LookupFormat::Csv)));
    assert_eq!(creators.refresh, 5 * MICROS_PER_MINUTE);
    assert_eq!(creators.columns["since"], ColumnType::Timestamp);
    assert_eq!((config.lookups[1].refresh, config.lookups[1].format), (MICROS_PER_MINUTE, None));
    assert!(load("").lookups.is_empty());
}

#[test]
fn the_environment_reaches_a_lookup_table() {
    let file = file("[lookup.creators]\nlocation = \"a.csv\"\n");
    let variables = env(&[
        ("HEADCOUNT__LOOKUP__CREATORS__LOCATION", "b.csv"),
        ("HEADCOUNT__LOOKUP__CREATORS__REFRESH_SECS", "0"),
        ("HEADCOUNT__LOOKUP__TIERS__LOCATION", "2026"),
    ]);
    let config = Config::load(Some(file.path()), variables).unwrap();
    let found: Vec<_> = config.lookups.iter().map(|l| (l.name.as_str(), l.location.as_str(), l.refresh)).collect();
    assert_eq!(found, [("creators", "b.csv", 0), ("tiers", "2026", MICROS_PER_MINUTE)]);
    // Of one underscore too few.
    let e = Config::load(Some(file.path()), env(&[("HEADCOUNT__LOOKUP__CREATORS_REFRESH_SECS", "0")])).unwrap_err();
    assert_eq!(e.exit_code(), 2);
    assert!(e.report().contains("creators_refresh_secs is no key of a lookup table"), "{}", e.report());
    assert!(e.report().contains("HEADCOUNT__LOOKUP__CREATORS_REFRESH_SECS"), "{}", e.report());
}

#[test]
fn what_is_wrong_with_a_lookup_table_is_told_with_its_line() {
    let first = |text: &str| report(text).lines().next().unwrap().to_owned();
    assert_eq!(first("[lookup.creators]\nrefresh_secs = 5"), "FILE:1: lookup.creators.location is missing");
    assert_eq!(
        first("[lookup.creators]\nlocation = \"gs://b/x\""),
        "FILE:2: lookup.creators.location is \"gs://b/x\", which is no place for a lookup table"
    );
    assert_eq!(first("[lookup.Top]\nlocation = \"a.csv\""), "FILE:1: [lookup.Top] is no name for a table");
    assert_eq!(
        report("[lookup.creators]\nlocation = \"a.csv\"\nrefesh_secs = 5"),
        "FILE:3: lookup.creators.refesh_secs is not a known key\n  remedy: write refresh_secs = 5, in seconds"
    );
    assert_eq!(
        first("[lookup.creators]\nlocation = \"a.csv\"\nformat = \"xml\""),
        "FILE:3: lookup.creators.format must be one of `parquet`, `csv`, `ndjson`, not `xml`"
    );
    assert!(
        first("[lookup.creators]\nlocation = \"a.csv\"\ncolumns = { n = \"float\" }")
            .starts_with("FILE:3: lookup.creators.columns must be")
    );
    assert!(
        first("[lookup]\nlocation = \"a.csv\"").starts_with("FILE:2: lookup.location"),
        "{}",
        first("[lookup]\nlocation = \"a.csv\"")
    );
}
