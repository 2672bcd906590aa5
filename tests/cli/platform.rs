//! A platform of one's own: `run` without anything else, until its time has come or it is told to end.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::program::Place;

/// A small platform, on free ports.
const SMALL: [(&str, &str); 3] = [
    ("HEADCOUNT__SERVE__LISTEN", "127.0.0.1:0"),
    ("HEADCOUNT__EMBEDDED__EVENTS_PER_SEC", "300"),
    ("HEADCOUNT__RUN__STATUS_INTERVAL_SECS", "1"),
];

/// Exit code 0 says that it ended within its own bound of 9 s: after that it gives up, with code 1.
#[test]
fn a_platform_for_three_seconds() {
    let place = Place::new();
    let words = ["events/s  lag", "concurrent viewers", "stopping", "read ", "kept "];
    let ended = place.run(&["run", "--for", "3s"], &SMALL).works(&words);
    for table in ["user_events", "concurrent_viewers", "platform_totals", "stream_engagement", "playback_quality"] {
        assert!(!place.parquet(&format!("data/lake/{table}")).is_empty(), "{table} is empty: {ended:#?}");
        assert!(ended.stdout.contains(table), "{table} is not in {ended:#?}");
    }
}

#[test]
fn a_terminated_platform_writes_what_is_open() {
    let place = Place::new();
    let mut running = place.start(&["run"], &SMALL);
    let address = running.wait_for("metrics at http://");
    let address = address.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
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

/// The whole answer to a GET.
fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
