//! A platform of one's own: `run` without anything else, until its time has come or it is told to end.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use arrow::array::AsArray;
use headcount::clock::SystemClock;
use headcount::sink::lake::{Lake, LakeOptions};

use super::program::{Outcome, Place};
use crate::cloudwatch_double::Double;

/// A small platform, on free ports.
const SMALL: [(&str, &str); 3] = [
    ("HEADCOUNT__SERVE__LISTEN", "127.0.0.1:0"),
    ("HEADCOUNT__EMBEDDED__EVENTS_PER_SEC", "300"),
    ("HEADCOUNT__RUN__STATUS_INTERVAL_SECS", "1"),
];

/// No run comes after it: every window is closed at the end.
const ALONE: (&str, &str) = ("HEADCOUNT__RUN__CHECKPOINTS", "false");

/// Exit code 0 says that it ended within its own bound of 9 s: after that it gives up, with code 1.
#[test]
fn a_platform_for_three_seconds() {
    let place = Place::new();
    let words = ["events/s  lag", "concurrent viewers", "stopping", "read ", "kept "];
    let ended = place.run(&["run", "--for", "3s"], &[&SMALL[..], &[ALONE]].concat()).works(&words);
    for table in ["user_events", "concurrent_viewers", "platform_totals", "stream_engagement", "playback_quality"] {
        assert!(!place.parquet(&format!("data/lake/{table}")).is_empty(), "{table} is empty: {ended:#?}");
        assert!(ended.stdout.contains(table), "{table} is not in {ended:#?}");
    }
}

#[test]
fn a_terminated_platform_writes_what_is_open() {
    let place = Place::new();
    let mut running = place.start(&["run"], &[&SMALL[..], &[ALONE]].concat());
    let address = running.address();
    running.wait_for("reading 4 shards");
    // Two lines on: something was read.
    running.wait_for("events/s  lag");
    running.wait_for("events/s  lag");
    assert!(get(&address, "/healthz").starts_with("HTTP/1.1 200"));
    let metrics = get(&address, "/metrics");
    assert!(metrics.starts_with("HTTP/1.1 200") && metrics.contains("headcount_"), "{metrics}");
    running.terminate();
    let ended = running.end().works(&["stopping", "read ", "kept "]);
    assert!(!place.parquet("data/lake/user_events").is_empty(), "{ended:#?}");
    assert!(!place.parquet("data/lake/platform_totals").is_empty(), "{ended:#?}");
    assert!(TcpStream::connect(&address).is_err(), "nobody serves any more");
}

/// A pipe that breaks, as `headcount run | head` does, ends no consumer.
#[test]
fn a_platform_that_nobody_listens_to() {
    let place = Place::new();
    place.run_unheard(&["run", "--for", "3s"], &SMALL).works(&[]);
    place.run(&["checkpoint", "list"], &[]).works(&["     1  "]);
    place.run_unheard(&["check"], &[]).works(&[]);
}

#[test]
fn a_signal_while_it_is_set_up_ends_it_well() {
    let place = Place::new();
    let mut running = place.start(&["run"], &SMALL);
    running.wait_for("metrics at http://");
    running.terminate();
    running.end().works(&["stop"]);
}

/// Nothing is lost between two runs, and nothing comes twice.
#[test]
fn a_platform_that_is_stopped_goes_on_where_it_was() {
    let place = Place::new();
    place.run(&["checkpoint", "list"], &[]).works(&["no checkpoints"]);
    assert!(!place.path().join("data").exists(), "who lists makes nothing");
    let kept = |run: &Outcome| -> usize {
        run.stdout.split("kept ").nth(1).and_then(|rest| rest.split(',').next()).unwrap().parse().unwrap()
    };
    let mut all = kept(&place.run(&["run", "--for", "3s"], &SMALL).works(&["checkpoint 1:"]));
    all += kept(&place.run(&["run", "--for", "3s"], &SMALL).works(&["going on from checkpoint 1", "checkpoint 2:"]));
    place.run(&["verify", "--lake", "data/lake"], &SMALL).works(&["no difference"]);
    place.run(&["checkpoint", "show"], &[]).works(&["checkpoint    2", "shardId-000000000003  after "]);
    place.run(&["checkpoint", "reset", "--keep-positions"], &[]).works(&["checkpoint 3:", "are not written"]);
    all += kept(&place.run(&["run", "--for", "3s"], &SMALL).works(&["going on from checkpoint 3", "checkpoint 4:"]));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let lake = Lake::open(place.path().join("data/lake").to_str().unwrap(), &LakeOptions::default()).unwrap();
    let rows = runtime.block_on(lake.read_table("user_events", Some(&["event_id"]))).unwrap();
    let ids: Vec<&str> = rows.iter().flat_map(|b| b.column(0).as_string::<i32>().iter().flatten()).collect();
    let distinct: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!((ids.len(), distinct.len()), (all, all));
    place.run(&["checkpoint", "reset"], &[]).works(&["removed 3 checkpoints"]);
}

/// The program publishes what it writes, and ends well. A demonstration that nobody configured keeps to itself.
#[test]
fn a_platform_that_publishes_to_cloudwatch() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let double = runtime.block_on(Double::start(Arc::new(SystemClock)));
    let place = Place::new();
    let publishing = [
        ("HEADCOUNT__CLOUDWATCH__ENABLED", "true"),
        ("HEADCOUNT__CLOUDWATCH__ENDPOINT_URL", double.endpoint()),
        ("HEADCOUNT__CLOUDWATCH__STORAGE_RESOLUTION_SECS", "1"),
        ("AWS_ACCESS_KEY_ID", "k"),
        ("AWS_SECRET_ACCESS_KEY", "s"),
    ];
    let said = format!("publishing to CloudWatch namespace `Custom/Streaming` in eu-west-2 at {}", double.endpoint());
    place.run(&["run", "--for", "3s"], &[&SMALL[..], &[ALONE], &publishing].concat()).works(&[&said]);
    assert!(double.refusals().is_empty(), "{:?}", double.refusals());
    let data = double.data();
    for metric in ["ConcurrentViewers", "ActiveStreams"] {
        let published: Vec<_> = data.iter().filter(|d| d.metric == metric).collect();
        assert!(!published.is_empty(), "{metric} is not published");
        assert!(published.iter().all(|d| d.dimensions.is_empty() && d.resolution == 1), "{published:?}");
    }

    let calls = double.calls();
    let ended = place.run(&["run", "--for", "1s"], &[&SMALL[..], &publishing[1..]].concat());
    assert_eq!((ended.code, double.calls()), (Some(0), calls), "{ended:#?}");
    assert!(ended.stderr.contains("cloudwatch.enabled is false"), "{ended:#?}");
}

/// The whole answer to a GET.
/// The answer to a request, head and body.
pub(super) fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
