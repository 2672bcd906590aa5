//! What the shipped metrics say: their names, times and statistics, and what CloudWatch makes of them over longer periods.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, TimestampMicrosecondArray};
use headcount::decode::Provenance;
use headcount::engine::tables::{Target, open_tables, published_tables};
use headcount::engine::{Emission, Pipelines};
use headcount::pipeline::PipelineFile;
use headcount::sink::cloudwatch::CloudWatch;
use headcount::types::{MICROS_PER_SEC, Micros};

use super::scene::{NOW, clock, options};
use crate::cloudwatch_double::{Double, PutDatum, Sample, statistics};
use crate::fixture::{TempLake, table_options};
use crate::harness::{self, Cut};
use crate::reference::{self, Options, Row, SEC, Scenario, Shape, Val};

/// Writes emissions as a live job does, at the time `now`; what CloudWatch got.
async fn publish(pipelines: &Arc<Pipelines>, emissions: &[Emission], now: Micros) -> Vec<PutDatum> {
    let clock = clock(now);
    let double = Double::start(Arc::clone(&clock)).await;
    let lake = TempLake::new();
    let (_, mut tables) = open_tables(pipelines, Target::Lake(&lake.lake), table_options(), "t", &clock);
    tables.publish_to(
        CloudWatch::connect(&options(&double), published_tables(pipelines), Arc::clone(&clock)).await.unwrap(),
    );
    for emission in emissions {
        tables.write(emission).await.unwrap();
    }
    tables.close().await.unwrap();
    assert!(double.refusals().is_empty(), "{:?}", double.refusals());
    double.data()
}

/// A window of `platform_totals` that ends at [`NOW`].
fn totals(pipelines: &Pipelines, revision: i32) -> Emission {
    let (pipeline, plan) = pipelines.plans.iter().enumerate().find(|(_, p)| p.name == "platform_totals").unwrap();
    let column = |name: &str| -> ArrayRef {
        let time = |t: Micros| Arc::new(TimestampMicrosecondArray::from(vec![t]).with_timezone("UTC"));
        match name {
            "window_start" => time(NOW - 10 * MICROS_PER_SEC),
            "window_end" => time(NOW),
            "revision" => Arc::new(Int32Array::from(vec![revision])),
            "active_streams" => Arc::new(Int64Array::from(vec![3])),
            "active_streams_min" => Arc::new(Int64Array::from(vec![2])),
            "active_streams_avg" => Arc::new(Float64Array::from(vec![3.5])),
            "active_streams_max" => Arc::new(Int64Array::from(vec![4])),
            "viewers_min" => Arc::new(Int64Array::from(vec![1])),
            "viewers_avg" => Arc::new(Float64Array::from(vec![2.5])),
            "viewers_max" => Arc::new(Int64Array::from(vec![5])),
            "viewers_current" | "unique_viewers" => Arc::new(Int64Array::from(vec![2])),
            "viewer_minutes" => Arc::new(Float64Array::from(vec![25.0 / 60.0])),
            other => panic!("what is {other}?"),
        }
    };
    let columns = plan.schema().fields().iter().map(|f| column(f.name())).collect();
    let rows = RecordBatch::try_new(Arc::clone(plan.schema()), columns).unwrap();
    Emission { pipeline, window_end: NOW, revision, rows }
}

#[tokio::test]
async fn the_shipped_metrics_of_a_worked_window() {
    let pipelines = harness::pipelines(&harness::shipped(), &Options::default()).await;
    let mut data = publish(&pipelines, &[totals(&pipelines, 0), totals(&pipelines, 1)], NOW).await;
    data.sort_by(|a, b| a.metric.cmp(&b.metric));
    let datum = |metric: &str, sum, minimum, maximum| PutDatum {
        metric: metric.to_owned(),
        dimensions: BTreeMap::new(),
        // The window's time, its last millisecond.
        time_millis: NOW / 1_000 - 1,
        unit: Some("Count".to_owned()),
        resolution: 60,
        sample: Sample { count: 10.0, sum, minimum, maximum },
    };
    // Ten seconds each: 2.5 viewers are 25 viewer-seconds, 3.5 streams 35 stream-seconds. Revision 1 is not published.
    assert_eq!(data, [datum("ActiveStreams", 35.0, 2.0, 4.0), datum("ConcurrentViewers", 25.0, 1.0, 5.0)]);
}

#[tokio::test]
async fn only_platform_totals_is_published_as_shipped() {
    let pipelines = harness::pipelines(&harness::shipped(), &Options::default()).await;
    let published: Vec<_> = pipelines
        .plans
        .iter()
        .flat_map(|p| p.metrics.iter().map(|m| (p.name.as_str(), m.metric.as_str(), m.dimensions.len())))
        .collect();
    assert_eq!(published, [("platform_totals", "ConcurrentViewers", 0), ("platform_totals", "ActiveStreams", 0)]);
}

fn float(row: &Row, column: &str) -> f64 {
    match &row[column] {
        Val::Int(i) => *i as f64,
        Val::Float(f) => *f,
        other => panic!("{column} is {other:?}"),
    }
}

fn start_secs(row: &Row) -> i64 {
    float(row, "window_start") as i64 / SEC
}

/// Publishes windows of 10 seconds, has CloudWatch aggregate them by the minute, and compares with the reference's windows of a minute.
#[tokio::test]
async fn statistics_of_a_minute_are_those_of_the_reference() {
    let options = Options::default();
    let pipelines = harness::pipelines(&harness::shipped(), &options).await;
    let mut minutes = 0;
    for seed in 0..6 {
        let records = Scenario::seeded(seed, Shape { steps: 150, ..Shape::default() }).records(&options);
        let cut = Cut { records: 5, reversed: false };
        let run = harness::run(&pipelines, &records, Provenance::Record, cut).await;
        let latest = run.emissions.iter().map(|e| e.window_end).max().unwrap();
        let data = publish(&pipelines, &run.emissions, latest).await;
        let viewers = statistics(&data, "ConcurrentViewers", 60);
        let streams = statistics(&data, "ActiveStreams", 60);
        let judged = reference::judge(&records, reference::Provenance::Record);
        for row in reference::concurrency(&judged.kept, &options, 60 * SEC, &[]) {
            // At its ends the stream does not fill the minute.
            let Some(v) = viewers.get(&start_secs(&row)).filter(|v| v.sample_count == 60.0) else { continue };
            for (got, of) in [(v, "viewers"), (&streams[&start_secs(&row)], "active_streams")] {
                let want = |what: &str| float(&row, &format!("{of}_{what}"));
                let (average, wanted) = (got.average(), want("avg"));
                assert!((average - wanted).abs() < 1e-9, "seed {seed}: {of} {average} instead of {wanted}: {row:?}");
                assert_eq!((got.minimum, got.maximum), (want("min"), want("max")), "seed {seed}: {of}: {row:?}");
                assert_eq!(got.sample_count, 60.0, "{row:?}");
            }
            minutes += usize::from(float(&row, "viewers_avg") > 0.0);
        }
    }
    assert!(minutes > 20, "{minutes} minutes with viewers");
}

/// A metric of counts by a dimension: one sample a row, and rows without the dimension are left out.
#[tokio::test]
async fn a_plain_value_with_a_dimension() {
    let file = PipelineFile::parse(
        "pipelines/tips.sql",
        "/*\ntitle = \"t\"\nkeys = [\"currency\"]\nsinks = [\"lake\", \"cloudwatch\"]\n[[cloudwatch]]\nmetric = \"Tips\"\n\
         unit = \"Count\"\nvalue = \"tips\"\ndimensions = [\"currency\"]\n*/\n\
         SELECT window_start, window_end, currency, COUNT(*) AS tips\n\
         FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))\n\
         WHERE event_type = 'tip.sent' GROUP BY window_start, window_end, currency",
    )
    .unwrap();
    let options = Options::default();
    let pipelines = harness::pipelines(&[file], &options).await;
    let tip = |i: u64, currency: &str| {
        reference::RefRecord {
        shard: "0".to_owned(),
        sequence: i,
        arrival: Some(NOW),
        bytes: format!(
            r#"{{"schema_version":"1","event_id":"{i}","event_type":"tip.sent","stream_id":"s","event_time":{}{currency}}}"#,
            NOW / 1_000
        )
        .into_bytes(),
    }
    };
    let gbp = r#","currency":"GBP""#;
    let records = [tip(1, gbp), tip(2, gbp), tip(3, r#","currency":"EUR""#), tip(4, "")];
    let run = harness::run(&pipelines, &records, Provenance::Record, Cut { records: 10, reversed: false }).await;
    let data = publish(&pipelines, &run.emissions, NOW).await;
    let found: Vec<_> =
        data.iter().map(|d| (d.dimensions["currency"].as_str(), d.sample.sum, d.sample.count)).collect();
    assert_eq!(found, [("EUR", 1.0, 1.0), ("GBP", 2.0, 1.0)]);
}
