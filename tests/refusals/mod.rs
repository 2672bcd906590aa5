//! Pipelines that are refused, and how: each `error_*.sql` here with what a person reads in `error_*.txt`, word for word.
//!
//! Each text names the file and the line, says the reason, and ends with the remedy. `HEADCOUNT_REGOLD=1` writes the texts
//! anew; read them before you commit them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use headcount::engine::Pipelines;
use headcount::error::{Domain, Error};
use headcount::operator::memory::StateMemory;
use headcount::pipeline::{Compiler, LookupTable, PipelineFile};
use headcount::schema::Contract;

use crate::harness;
use crate::reference::Options;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/refusals")
}

fn cases() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder()).unwrap().map(|e| e.unwrap().path());
    let mut cases: Vec<PathBuf> = entries.filter(|p| p.extension().is_some_and(|e| e == "sql")).collect();
    cases.sort();
    assert!(cases.len() > 20, "the cases were not found");
    cases
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

/// Compiles queries that may join the lookup tables `creators`, `tiers` and `prices`.
fn compiler() -> Compiler {
    let column = |name: &str, t| Field::new(name, t, true);
    let table = |name: &str, columns: Vec<Field>| {
        let place = format!("{name}.csv");
        Arc::new(LookupTable { name: name.into(), schema: Arc::new(Schema::new(columns)), place, refresh: 60_000_000 })
    };
    let creators = vec![
        column("channel_id", DataType::Utf8),
        column("tier", DataType::Utf8),
        column("number", DataType::Int64),
        column("share", DataType::Float64),
    ];
    let tiers = vec![column("tier", DataType::Utf8), column("rank", DataType::Int64)];
    let time = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let prices = vec![column("country", DataType::Utf8), column("since", time()), column("price", DataType::Int64)];
    Compiler::with_lookups(
        &Contract::shipped().unwrap(),
        &[table("creators", creators), table("tiers", tiers), table("prices", prices)],
        StateMemory::new(usize::MAX),
    )
    .unwrap()
}

/// The error that a file gives; `None` if it compiles.
async fn refusal(compiler: &Compiler, path: &Path) -> Option<Error> {
    let text = std::fs::read_to_string(path).unwrap();
    match PipelineFile::parse(&format!("pipelines/{}", name(path)), &text) {
        Ok(file) => compiler.compile(&file).await.err(),
        Err(e) => Some(e),
    }
}

#[tokio::test]
async fn refusals_are_worded_as_written_down() {
    let compiler = compiler();
    let mut wrong = Vec::new();
    for path in cases() {
        let Some(error) = refusal(&compiler, &path).await else {
            wrong.push(format!("{} is accepted", name(&path)));
            continue;
        };
        let report = format!("{}\n", error.report());
        let golden = path.with_extension("txt");
        if std::env::var_os("HEADCOUNT_REGOLD").is_some() {
            std::fs::write(&golden, &report).unwrap();
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        if report != expected {
            wrong.push(format!("{} says\n{report}instead of\n{expected}", name(&path)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn every_refusal_has_its_line_and_a_remedy() {
    let compiler = compiler();
    for path in cases() {
        let name = name(&path);
        let error = refusal(&compiler, &path).await.unwrap_or_else(|| panic!("{name} is accepted"));
        assert_eq!(error.domain(), Domain::User, "{name}");
        let text = std::fs::read_to_string(&path).unwrap();
        // The line to be named is the one that is marked, in a comment that neither TOML nor SQL minds.
        let marked = text.lines().position(|l| l.ends_with("-- here") || l.ends_with("# here")).map(|i| i + 1);
        let line = marked.unwrap_or_else(|| panic!("{name} marks no line"));
        assert_eq!(error.place(), Some(format!("pipelines/{name}:{line}").as_str()), "{}", error.report());
        assert!(error.remedy().is_some_and(|r| !r.is_empty()), "{}", error.report());
        assert!(!error.message().contains('\n'), "{}", error.report());
        // What DataFusion says of itself helps nobody: each refusal that is known has a remedy of its own.
        assert!(!error.report().contains("SQL reference of DataFusion"), "{}", error.report());
    }
}

async fn problems(texts: &[(&str, &str)]) -> Vec<String> {
    let files: Vec<_> = texts.iter().map(|(name, text)| PipelineFile::parse(name, text).unwrap()).collect();
    let contract = Arc::new(Contract::shipped().unwrap());
    let compiled = Pipelines::compile(contract, &files, harness::engine_options(&Options::default())).await;
    compiled.unwrap_err().iter().map(Error::report).collect()
}

fn totals(seconds: u32) -> String {
    format!(
        "/*\ntitle = \"t\"\n*/\nSELECT window_start, window_end, viewers_max\n\
         FROM TABLE(CONCURRENCY(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '{seconds}' SECOND))\n"
    )
}

#[tokio::test]
async fn concurrency_windows_must_be_multiples_of_the_finest() {
    assert_eq!(
        problems(&[
            ("pipelines/a.sql", &totals(10)),
            ("pipelines/b.sql", &totals(60)),
            ("pipelines/c.sql", &totals(25))
        ])
        .await,
        ["pipelines/c.sql:5: a concurrency window of 25 s is no multiple of the finest one in use, 10 s\n  \
          remedy: all concurrency tables share one state: make every window a multiple of the finest"]
    );
}

/// The totals of a minute by these timeouts.
fn totals_by(timeouts: &str) -> String {
    totals(60).replace("SECOND))", &format!("SECOND, {timeouts}))"))
}

#[tokio::test]
async fn timeouts_of_a_query_must_fit_each_other_and_those_of_the_job() {
    assert_eq!(
        problems(&[
            ("pipelines/a.sql", &totals_by("SESSION_TIMEOUT => INTERVAL '11' MINUTE")),
            (
                "pipelines/b.sql",
                &totals_by("CLOSED_RETENTION => INTERVAL '10' SECOND, SESSION_TIMEOUT => INTERVAL '10500' MILLISECOND")
            ),
            ("pipelines/c.sql", &totals_by("ANNOUNCED_TIMEOUT => INTERVAL '1' MINUTE")),
            ("pipelines/d.sql", &totals_by("SESSION_TIMEOUT => INTERVAL '10' MINUTE")),
        ])
        .await,
        [
            "pipelines/a.sql:5: concurrency.closed_retention_secs is 10 min, and SESSION_TIMEOUT is 11 min: sessions still present \
             would survive the end of their stream\n  remedy: set CLOSED_RETENTION => INTERVAL '660' SECOND or more",
            "pipelines/b.sql:5: CLOSED_RETENTION is 10 s, and SESSION_TIMEOUT is 10500 ms: sessions still present would survive the \
             end of their stream\n  remedy: set CLOSED_RETENTION => INTERVAL '11' SECOND or more",
            "pipelines/c.sql:5: ANNOUNCED_TIMEOUT is 1 min, and concurrency.stream_timeout_secs is 2 min: an announced stream would be \
             given up before an unannounced one\n  remedy: set ANNOUNCED_TIMEOUT => INTERVAL '120' SECOND or more",
        ]
    );
}

#[tokio::test]
async fn sets_of_timeouts_are_counted() {
    let tables = |n: usize| -> Vec<(String, String)> {
        let text = |i| totals_by(&format!("SESSION_TIMEOUT => INTERVAL '{}' SECOND", 60 + i / 2));
        (0..n).map(|i| (format!("pipelines/t{i:02}.sql"), text(i))).collect()
    };
    let all = tables(20);
    let files: Vec<_> = all.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    assert_eq!(
        problems(&files).await,
        ["pipelines/t16.sql:5: the queries of CONCURRENCY have more than 8 sets of timeouts\n  \
          remedy: give some of them the same timeouts: who is present is remembered once for each set"]
    );
}

#[tokio::test]
async fn no_table_waits_for_events_that_would_be_dead_letters() {
    let waiting = |secs: u32| {
        format!(
            "/*\ntitle = \"t\"\nwatermark_delay_secs = {secs}\n*/\nSELECT window_start, window_end, COUNT(*) AS n\n\
             FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' HOUR)) GROUP BY window_start, window_end\n"
        )
    };
    assert_eq!(
        problems(&[("pipelines/a.sql", &waiting(7 * 86_400)), ("pipelines/b.sql", &waiting(7 * 86_400 + 3_600))]).await,
        [
            "pipelines/b.sql:3: watermark_delay_secs is 169 h, more than time.max_event_age_secs, 168 h: events that windows wait for \
          would be dead letters\n  remedy: shorten it, or raise time.max_event_age_secs"
        ]
    );
}

#[tokio::test]
async fn no_table_may_have_the_name_of_the_stream() {
    assert_eq!(
        problems(&[("pipelines/user_events.sql", &totals(10))]).await,
        ["pipelines/user_events.sql: the table of raw events has this name\n  remedy: rename the file"]
    );
}

#[tokio::test]
async fn two_tables_do_not_publish_one_metric() {
    let published = |seconds| {
        let header =
            "title = \"t\"\nsinks = [\"cloudwatch\"]\n[[cloudwatch]]\nmetric = \"Viewers\"\nvalue = \"viewers_max\"";
        totals(seconds).replace("title = \"t\"", header)
    };
    assert_eq!(
        problems(&[("pipelines/a.sql", &published(10)), ("pipelines/b.sql", &published(60))]).await,
        ["pipelines/b.sql:5: the table a publishes the metric Viewers already\n  \
          remedy: rename one, or give it another dimension: CloudWatch would mix their values"]
    );
}

#[tokio::test]
async fn every_problem_of_every_file_is_told() {
    let found = problems(&[
        ("pipelines/a.sql", &totals(10).replace("viewers_max", "viewers_mix")),
        ("pipelines/b.sql", &totals(60)),
        ("pipelines/c.sql", &totals(60).replace("TABLE user_events", "TABLE user_event")),
    ])
    .await;
    let places: Vec<_> = found.iter().map(|f| f.split_once(": ").unwrap().0).collect();
    assert_eq!(places, ["pipelines/a.sql:4", "pipelines/c.sql:5"], "{found:?}");
}
