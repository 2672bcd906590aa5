//! What a running job says of windows that are not complete: asked over HTTP while it reads.

use std::net::SocketAddr;

use chrono::DateTime;
use headcount::serve::{Exhibits, Server};
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio_util::sync::CancellationToken;

use super::service::get;
use super::*;

/// A table of `seconds` by stream.
fn table(name: &str, seconds: i64) -> PipelineFile {
    let sql = format!(
        "/*\ntitle = \"{name}\"\nkeys = [\"stream_id\"]\n*/\nSELECT window_start, window_end, stream_id, viewers_max\n\
         FROM TABLE(CONCURRENCY(TABLE user_events PARTITION BY stream_id, DESCRIPTOR(event_time), INTERVAL '{seconds}' SECOND))\n"
    );
    PipelineFile::parse(&format!("pipelines/{name}.sql"), &sql).unwrap()
}

/// A job that waits a second for what is late, and a second in silence.
async fn hasty() -> Arc<Pipelines> {
    let mut options = harness::engine_options(&reference::Options::default());
    options.watermark_delay = MICROS_PER_SEC;
    options.judge.idle_timeout = MICROS_PER_SEC;
    let contract = Arc::new(Contract::shipped().unwrap());
    let compiled = Pipelines::compile(contract, &[table("seconds", 1), table("hours", 3_600)], options).await;
    Arc::new(compiled.unwrap_or_else(|e| panic!("{e:?}")))
}

/// An event of a session, which is its own viewer.
fn view(kind: &str, (stream, session): (&str, &str), time: Micros) -> PutRecord {
    let at = format_micros(time);
    let data = format!(
        r#"{{"schema_version":"1","event_id":"{session} {kind}","event_type":"{kind}","event_time":"{at}","stream_id":"{stream}","session_id":"{session}","viewer_id":"{session}"}}"#
    );
    PutRecord { partition_key: session.to_owned(), data: data.into_bytes() }
}

async fn now(address: SocketAddr, question: &str) -> Value {
    let (code, body) = get(address, &format!("/api/now?{question}")).await;
    assert_eq!(code, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

fn time(value: &Value) -> Micros {
    DateTime::parse_from_rfc3339(value.as_str().unwrap()).unwrap().timestamp_micros()
}

/// Asks for the table's window until it is known beyond `after`.
async fn beyond(after: Micros, address: SocketAddr, question: &str) -> Value {
    let asking = async {
        loop {
            let document = now(address, question).await;
            if let Some(window) = document["windows"].get(0).filter(|window| time(&window["as_of"]) > after) {
                return window.clone();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    within("presence is resolved", asking).await
}

/// Presence of sessions `[from, to)` over `[start, end)`: fewest, most, and the sum in microseconds.
fn figures(sessions: &[(Micros, Micros)], start: Micros, end: Micros) -> (i64, i64, Micros) {
    let at = |t: Micros| sessions.iter().filter(|(from, to)| *from <= t && t < *to).count() as i64;
    let changes = sessions.iter().flat_map(|(from, to)| [*from, *to]).filter(|t| start < *t && *t < end);
    let counts: Vec<i64> = changes.chain([start]).map(at).collect();
    let within = |(from, to): &(Micros, Micros)| ((*to).min(end) - (*from).max(start)).max(0);
    (*counts.iter().min().unwrap(), *counts.iter().max().unwrap(), sessions.iter().map(within).sum())
}

#[tokio::test]
async fn a_running_job_says_who_is_watching_now() {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let (pipelines, lake) = (hasty().await, TempLake::new());
    let (embedded, source) = start().await;
    let running = Running::start(&pipelines, &source, &lake, (None, 0)).await;
    let server = Server::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
    let address = server.address();
    let metrics = PrometheusBuilder::new().build_recorder().handle();
    let exhibits = Exhibits { metrics, board: Arc::clone(&running.board), clock: Arc::clone(&clock) };
    let stop_serving = CancellationToken::new();
    let serving = tokio::spawn(server.run(exhibits, stop_serving.clone()));

    // Three come to one stream, of whom one goes again at once; one comes to another.
    let began = clock.now() - MICROS_PER_SEC / 2;
    let ended = began + MICROS_PER_SEC / 5;
    let mut records: Vec<PutRecord> =
        ["a", "b", "c"].map(|session| view("view.started", ("busy", session), began)).to_vec();
    records.push(view("view.started", ("quiet", "d"), began));
    records.push(view("view.ended", ("busy", "c"), ended));
    source.producer().put(records).await.unwrap();

    let hour = beyond(ended, address, "table=hours").await;
    let (start, end, as_of) = (time(&hour["window_start"]), time(&hour["window_end"]), time(&hour["as_of"]));
    assert_eq!((end - start, start % (3_600 * MICROS_PER_SEC)), (3_600 * MICROS_PER_SEC, 0));
    assert!(start < as_of && as_of <= end && as_of % MICROS_PER_SEC == 0, "{hour:#}");
    let age = hour["age_secs"].as_f64().unwrap();
    assert!((0.0..60.0).contains(&age), "{hour:#}");
    assert_eq!((&hour["given_up"], &hour["rows_total"]), (&false.into(), &2.into()), "{hour:#}");
    let expected = [
        ("busy", &[(began, Micros::MAX), (began, Micros::MAX), (began, ended)][..], 2),
        ("quiet", &[(began, Micros::MAX)][..], 1),
    ];
    let rows = hour["rows"].as_array().unwrap();
    assert_eq!(rows.len(), expected.len(), "{hour:#}");
    for (row, (stream, sessions, current)) in rows.iter().zip(expected) {
        let (min, max, sum) = figures(sessions, start, as_of);
        assert_eq!((&row["stream_id"], &row["viewers_current"]), (&stream.into(), &current.into()), "{hour:#}");
        assert_eq!((&row["viewers_min"], &row["viewers_max"]), (&min.into(), &max.into()), "{hour:#}");
        let average = row["viewers_avg"].as_f64().unwrap();
        assert_eq!((average * (as_of - start) as f64).round() as Micros, sum, "{hour:#}");
    }

    // Presence holds on, so that the finest window has it; it is the one just closed.
    let second = beyond(ended + MICROS_PER_SEC, address, "table=seconds&stream_id=busy&limit=1").await;
    assert_eq!(second["window_end"], second["as_of"]);
    let row = &second["rows"][0];
    let figures = ["viewers_min", "viewers_max", "viewers_current", "unique_viewers"].map(|column| &row[column]);
    assert!(figures.iter().all(|figure| **figure == 2), "{second:#}");
    assert_eq!((second["rows"].as_array().unwrap().len(), &second["rows_total"]), (1, &1.into()));

    let (code, body) = get(address, "/api/now?table=user_events").await;
    assert_eq!((code, body.contains("those that do: seconds, hours")), (400, true), "{body}");
    let (code, body) = get(address, "/api/now?table=hours&country=DE").await;
    assert_eq!((code, body.contains("country is no partition column")), (400, true), "{body}");

    running.ending.stop.cancel();
    let mut left = (BTreeMap::new(), Counters::default());
    running.end(&mut left).await;
    stop_serving.cancel();
    within("the server ends", serving).await.unwrap().unwrap();
    embedded.shutdown().await;
}
