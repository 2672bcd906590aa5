//! What a running job shows over HTTP: readiness that turns, a status that adds up, and every metric of the catalogue.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use headcount::engine::tables::published_tables;
use headcount::serve::{Exhibits, Server};
use headcount::sink::cloudwatch::{CloudWatch, CloudWatchOptions};
use headcount::telemetry::metrics::{ALL, BUILD_INFO};
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::cloudwatch_double::Double;

/// Status code and body of a GET.
pub(super) async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

async fn ready(address: SocketAddr) -> (u16, Vec<String>) {
    let (code, body) = get(address, "/readyz").await;
    let document: Value = serde_json::from_str(&body).unwrap();
    let reasons = document["reasons"].as_array().unwrap();
    (code, reasons.iter().map(|r| r["code"].as_str().unwrap().to_owned()).collect())
}

/// The status, which adds up whenever it is asked for.
async fn status(address: SocketAddr) -> Value {
    let (code, body) = get(address, "/api/status").await;
    assert_eq!(code, 200, "{body}");
    let status: Value = serde_json::from_str(&body).unwrap();
    let sum = |of: &Value, keys: &[&str]| keys.iter().map(|k| of[k].as_u64().unwrap()).sum::<u64>();
    let events = &status["events"];
    assert_eq!(sum(events, &["read"]), sum(events, &["kept", "duplicates", "dead_letters"]), "{status:#}");
    let by_reason: u64 =
        events["dead_letters_by_reason"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(sum(events, &["dead_letters"]), by_reason, "{status:#}");
    let of_shards: u64 = items(&status["shards"]).map(|s| sum(s, &["events"])).sum();
    assert_eq!(sum(events, &["read"]), of_shards, "{status:#}");
    if of_shards > 0 {
        for pipeline in items(&status["pipelines"]) {
            let accounted = sum(pipeline, &["in_windows", "late", "ignored_touches", "filtered"]);
            assert_eq!(sum(events, &["kept"]), accounted, "{status:#}");
        }
    }
    status
}

fn items(array: &Value) -> impl Iterator<Item = &Value> {
    array.as_array().unwrap().iter()
}

/// Asks for the status until it is as it must become.
async fn status_until(what: &str, address: SocketAddr, fits: impl Fn(&Value) -> bool) -> Value {
    let asking = async {
        loop {
            let now = status(address).await;
            if fits(&now) {
                return now;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within(what, asking).await
}

/// The value of a line of the page of metrics.
fn metric(page: &str, name: &str) -> f64 {
    let line = page.lines().find_map(|l| l.strip_prefix(name).and_then(|rest| rest.strip_prefix(' ')));
    line.unwrap_or_else(|| panic!("{name} is not in\n{page}")).parse().unwrap()
}

/// The page says of the job what its status says, and has every metric of the catalogue. Nothing was described to the recorder,
/// so what is on the page was written by the code that counts.
fn page_agrees(page: &str, status: &Value) {
    let name = |line: &'_ str| line.split(['{', ' ']).next().unwrap_or_default().to_owned();
    let shown: BTreeSet<String> = page.lines().filter(|l| !l.starts_with('#') && !l.is_empty()).map(name).collect();
    let known: BTreeSet<String> = ALL.iter().map(|m| m.name.to_owned()).filter(|n| n != BUILD_INFO).collect();
    // This job has no lookup tables: `cli::lookups` sees theirs. It commits at its end: `meters` sees what others have.
    let elsewhere = |name: &str| {
        ["_lookup_", "_commit", "_last_commit_", "_unmoved_files", "_lost_files_"]
            .iter()
            .any(|of| name.strip_prefix("headcount").is_some_and(|rest| rest.starts_with(of)))
    };
    let missing: Vec<_> = known.difference(&shown).filter(|name| !elsewhere(name)).collect();
    assert!(missing.is_empty(), "declared and never written: {missing:?}\n{page}");
    let unknown: Vec<_> = shown.difference(&known).filter(|n| n.starts_with("headcount_")).collect();
    assert!(unknown.is_empty(), "written and not declared: {unknown:?}");
    for line in page.lines().filter(|l| l.starts_with("headcount_")) {
        let metric = ALL.iter().find(|m| m.name == name(line)).unwrap();
        let labels = line.split_once('{').map_or("", |(_, rest)| rest.split('}').next().unwrap());
        let labels: Vec<&str> =
            labels.split("\",").filter(|l| !l.is_empty()).map(|l| l.split('=').next().unwrap()).collect();
        assert_eq!(labels, metric.labels, "{line}");
    }

    let is = |name: &str, value: &Value| assert_eq!(metric(page, name), value.as_f64().unwrap(), "{name}");
    is("headcount_events_read_total", &status["events"]["read"]);
    is("headcount_duplicates_total", &status["events"]["duplicates"]);
    is("headcount_remembered_sessions", &status["concurrency"]["remembered_sessions"]);
    for pipeline in items(&status["pipelines"]) {
        let of = |name: &str| format!("headcount_{name}{{pipeline={}}}", pipeline["pipeline"]);
        let taken = pipeline["in_windows"].as_u64().unwrap() + pipeline["ignored_touches"].as_u64().unwrap();
        is(&of("windowed_rows_total"), &taken.into());
        is(&of("partly_late_rows_total"), &pipeline["partly_late"]);
        is(&of("windows_emitted_total"), &pipeline["windows_emitted"]);
        is(&of("open_windows"), &pipeline["open_windows"]);
    }
    for shard in items(&status["shards"]) {
        is(&format!("headcount_remembered_event_ids{{shard={}}}", shard["shard"]), &shard["remembered_event_ids"]);
    }
    assert_eq!(status["sinks"]["cloudwatch"], Value::Null, "nothing is published here");
    for table in items(&status["sinks"]["lake"]) {
        is(&format!("headcount_rows_written_total{{table={}}}", table["table"]), &table["rows"]);
    }
}

/// On one thread, so that the recorder of the test is that of all its tasks, and of no other test.
#[tokio::test]
async fn a_job_says_how_it_is_over_http() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let board = Arc::new(Board::new(clock.now()));
    let server = Server::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = server.address();
    let exhibits = Exhibits { metrics: recorder.handle(), board: Arc::clone(&board), clock: Arc::clone(&clock) };
    let stop_serving = CancellationToken::new();
    let serving = tokio::spawn(server.run(exhibits, stop_serving.clone()));
    assert_eq!(ready(address).await, (503, vec!["lake_not_reached".to_owned(), "stream_not_reached".to_owned()]));
    assert_eq!(status(address).await["phase"], "starting");

    let lake = TempLake::new();
    board.lake_reached();
    assert_eq!(ready(address).await, (503, vec!["stream_not_reached".to_owned()]));
    let options = harness::engine_options(&reference::Options::default());
    let contract = Arc::new(Contract::shipped().unwrap());
    let compiled = Pipelines::compile(contract, &harness::shipped(), options).await;
    let pipelines = Arc::new(compiled.unwrap_or_else(|e| panic!("{e:?}")));
    let (embedded, source) = start().await;
    board.watch(source.trouble());
    let shards = source.list_shards().await.unwrap();
    let readers = shards.into_iter().map(|s| source.shard_reader(s.id, None)).collect();
    let mut tables = open_tables(&pipelines, Target::Lake(&lake.lake), fixture::table_options(), "live", &clock);
    let cloudwatch = Double::start(Arc::clone(&clock)).await;
    let publishing = CloudWatchOptions::loopback("Custom/Streaming", cloudwatch.endpoint());
    let sink = CloudWatch::connect(&publishing, published_tables(&pipelines), Arc::clone(&clock)).await.unwrap();
    tables.1.publish_to(sink);
    let ending = Ending::default();
    let job = live::run(
        Arc::clone(&pipelines),
        readers,
        None,
        tables,
        Arc::clone(&board),
        ending.clone(),
        Arc::clone(&clock),
    );
    let job = tokio::spawn(job);
    status_until("readiness", address, |s| s["readiness"]["status"] == "ready").await;
    assert_eq!(ready(address).await, (200, vec![]));

    let case = Case {
        options,
        span: MICROS_PER_MINUTE,
        events_per_sec: 10,
        silence_after: None,
        stops_after: vec![],
        early_windows: 0,
    };
    let mut records = records(&case, clock.now());
    let time = format_micros(clock.now());
    let red = format!(
        r#"{{"schema_version":"1","event_id":"red","event_type":"user.logged_in","event_time":"{time}","colour":"red"}}"#
    );
    records.push(PutRecord { partition_key: "x".into(), data: red.into_bytes() });
    let put = records.len() as u64;
    source.producer().put(records).await.unwrap();
    let all_read = |s: &Value| items(&s["shards"]).map(|s| s["records"].as_u64().unwrap()).sum::<u64>() == put;
    let running = status_until("every record is read", address, all_read).await;
    assert_eq!(running["phase"], "running");
    assert_eq!(items(&running["shards"]).count(), 4);
    assert!(items(&running["shards"]).all(|s| s["last_read_at"].is_string()), "{running:#}");
    let open = |s: &Value| items(&s["pipelines"]).any(|p| p["open_windows"].as_u64() > Some(0));
    status_until("open windows are counted", address, open).await;
    let busy = |s: &Value| s["throughput"]["events_per_sec"].as_f64() > Some(0.0);
    status_until("throughput is measured", address, busy).await;

    board.stopping();
    assert_eq!(ready(address).await, (503, vec!["stopping".to_owned()]));
    ending.drain.cancel();
    within("the job ends", job).await.unwrap().unwrap();
    let ended = status(address).await;
    assert_eq!(ended["phase"], "stopping");
    assert!(ended["events"]["dead_letters"].as_u64() > Some(0) && ended["events"]["duplicates"].as_u64() > Some(0));
    for pipeline in items(&ended["pipelines"]) {
        assert_eq!((&pipeline["open_windows"], &pipeline["open_groups"]), (&0.into(), &0.into()), "{pipeline:#}");
    }
    let raw = items(&ended["sinks"]["lake"]).find(|t| t["table"] == "user_events").unwrap();
    assert_eq!(raw["rows"], ended["events"]["kept"]);
    assert!(raw["last_file"].as_str().unwrap().ends_with(".parquet") && raw["last_file_at"].is_string(), "{raw:#}");
    let page = get(address, "/metrics").await.1;
    page_agrees(&page, &ended);
    assert_eq!(metric(&page, "headcount_cloudwatch_published_total"), cloudwatch.data().len() as f64);
    assert!(
        !cloudwatch.data().is_empty() && metric(&page, "headcount_cloudwatch_dropped_total{reason=\"refused\"}") == 0.0
    );

    stop_serving.cancel();
    within("the server ends", serving).await.unwrap().unwrap();
    embedded.shutdown().await;
}
