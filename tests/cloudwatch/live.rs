//! Live jobs that publish: over the embedded Kinesis, and as the built program.

use std::sync::Arc;

use headcount::clock::{Clock, SystemClock};
use headcount::engine::Pipelines;
use headcount::engine::board::Board;
use headcount::engine::live::{self, Ending};
use headcount::engine::tables::{Target, open_tables, published_tables};
use headcount::sink::cloudwatch::{CloudWatch, CloudWatchCounts, CloudWatchOptions, Dropped};
use headcount::source::embedded::{EmbeddedKinesis, EmbeddedOptions};
use headcount::source::kinesis::{KinesisOptions, KinesisSource, PutRecord};
use headcount::source::simulator::{Simulator, SimulatorConfig};
use headcount::types::MICROS_PER_SEC;

use super::scene::options;
use crate::cloudwatch_double::{Double, Trouble, statistics};
use crate::fixture::{self, TempLake};
use crate::harness;
use crate::reference::{Options, Row, Val};

/// Puts two minutes of a simulated platform into an embedded Kinesis and runs a job over them to their end.
async fn run(cloudwatch: CloudWatchOptions, pipelines: &Arc<Pipelines>, lake: &TempLake) -> CloudWatchCounts {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let embedded = EmbeddedKinesis::start(EmbeddedOptions::default()).await.unwrap();
    let options = KinesisOptions::loopback(embedded.stream_name(), embedded.endpoint_url());
    let source = KinesisSource::connect(options, Arc::clone(&clock)).await.unwrap();
    let now = clock.now();
    let config = SimulatorConfig {
        seed: 5,
        events_per_sec: 20,
        start: now - 120 * MICROS_PER_SEC,
        ..SimulatorConfig::default()
    };
    let events = Simulator::new(config).unwrap().take_while(|e| e.arrival_time < now);
    let records = events.map(|e| PutRecord { partition_key: e.partition_key, data: e.data }).collect();
    source.producer().put(records).await.unwrap();

    let readers = source.list_shards().await.unwrap().into_iter().map(|s| source.shard_reader(s.id, None)).collect();
    let mut tables = open_tables(pipelines, Target::Lake(&lake.lake), fixture::table_options(), "live", &clock);
    let sink = CloudWatch::connect(&cloudwatch, published_tables(pipelines), Arc::clone(&clock)).await.unwrap();
    tables.1.publish_to(sink);
    let board = Arc::new(Board::default());
    board.publishing(tables.1.published().unwrap());
    let ending = Ending::default();
    ending.drain.cancel();
    live::run(Arc::clone(pipelines), readers, None, tables, Arc::clone(&board), ending, clock).await.unwrap();
    embedded.shutdown().await;
    board.status().published.unwrap()
}

fn int(row: &Row, column: &str) -> i64 {
    match row[column] {
        Val::Int(i) => i,
        ref other => panic!("{column} is {other:?}"),
    }
}

fn float(row: &Row, column: &str) -> f64 {
    match row[column] {
        Val::Float(f) => f,
        ref other => panic!("{column} is {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_job_publishes_every_window_that_it_writes() {
    let pipelines = harness::pipelines(&harness::shipped(), &Options::default()).await;
    let (double, lake) = (Double::start(Arc::new(SystemClock)).await, TempLake::new());
    double.trouble(&[Trouble::Throttling, Trouble::InternalServiceFault]);
    let counts = run(options(&double), &pipelines, &lake).await;
    assert!(double.refusals().is_empty(), "{:?}", double.refusals());
    let windows = lake.table("platform_totals").await;
    assert!(windows.len() > 5, "{} windows", windows.len());
    assert_eq!((counts.published, counts.dropped_total()), (2 * windows.len() as u64, 0));
    assert!(double.puts().iter().all(|p| p.namespace == "Custom/Streaming"));
    let data = double.data();
    let (viewers, streams) = (statistics(&data, "ConcurrentViewers", 10), statistics(&data, "ActiveStreams", 10));
    assert_eq!((viewers.len(), streams.len()), (windows.len(), windows.len()));
    for row in &windows {
        let start = int(row, "window_start") / MICROS_PER_SEC;
        for (got, of) in [(viewers[&start], "viewers"), (streams[&start], "active_streams")] {
            assert!((got.average() - float(row, &format!("{of}_avg"))).abs() < 1e-9, "{of}: {row:?}");
            let extremes = (int(row, &format!("{of}_min")), int(row, &format!("{of}_max")));
            assert_eq!((got.minimum as i64, got.maximum as i64), extremes, "{of}: {row:?}");
        }
    }
    assert!(viewers.values().any(|v| v.maximum > 0.0), "somebody watched");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cloudwatch_that_is_down_does_the_lake_no_harm() {
    let pipelines = harness::pipelines(&harness::shipped(), &Options::default()).await;
    let (double, lake) = (Double::start(Arc::new(SystemClock)).await, TempLake::new());
    double.always(Some(Trouble::Unavailable));
    let counts = run(options(&double), &pipelines, &lake).await;
    let windows = lake.table("platform_totals").await;
    assert!(windows.len() > 5, "{} windows", windows.len());
    assert_eq!((counts.published, counts.dropped(Dropped::Stopped)), (0, 2 * windows.len() as u64), "{counts:?}");
    assert!(counts.retries > 0 && double.puts().is_empty());
    assert!(!lake.table("user_events").await.is_empty());
}
