//! What works: check, simulate and backfill, and a platform of one's own that ends when it is told to.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::program::Place;

const TABLES: [&str; 8] = [
    "concurrent_viewers",
    "platform_totals",
    "playback_quality",
    "revenue",
    "stream_engagement",
    "stream_quality_changes",
    "user_activity",
    "user_events",
];

#[test]
fn check_says_what_would_run() {
    let checked = Place::new().run(&["check"], &[]).works(&TABLES[..7]);
    assert!(checked.stdout.contains("All is well.") && checked.stderr.is_empty(), "{checked:#?}");
    // Both shipped configurations, from a folder that is not the project's.
    for name in ["local.toml", "aws.toml"] {
        let config = format!("{}/config/{name}", env!("CARGO_MANIFEST_DIR"));
        Place::new().run(&["check", "--config", &config], &[]).works(&[name, "All is well."]);
    }
}

#[test]
fn what_simulate_writes_backfill_reads() {
    let place = Place::new();
    let simulate = ["simulate", "--events", "3_000", "--seed", "7", "--shards", "3", "--out", "sim"];
    place.run(&simulate, &[]).works(&["3000 events", "shardId-000000000002.ndjson"]);
    let first = std::fs::read(place.path().join("sim/shardId-000000000000.ndjson")).unwrap();
    place.run(&simulate, &[]).works(&[]);
    assert!(
        std::fs::read(place.path().join("sim/shardId-000000000000.ndjson")).unwrap() == first,
        "same seed, same bytes"
    );

    let backfill = ["backfill", "--input", "sim/*.ndjson", "--lake", "lake", "--lateness", "replay"];
    let done = place.run(&backfill, &[]).works(&["3,000 events in ", "events/s", "user_events", "platform_totals"]);
    for table in ["user_events", "concurrent_viewers", "platform_totals", "stream_engagement", "playback_quality"] {
        assert!(!place.parquet(&format!("lake/{table}")).is_empty(), "{table} is empty: {done:#?}");
    }
    assert!(!place.path().join("data").exists(), "only the lake that was asked for");
    let rows = |text: &str| {
        let lines = text.lines().filter(|l| l.contains(" rows ")).map(|l| l.split(" files").next().unwrap().to_owned());
        lines.collect::<Vec<_>>()
    };
    // Once more from the lake's own raw events: the same rows of the same tables.
    let again = ["backfill", "--input", "lake/user_events", "--lake", "again", "--lateness", "replay"];
    let again = place.run(&again, &[]).works(&[]);
    let without_letters: Vec<_> = rows(&done.stdout).into_iter().filter(|l| !l.contains("_dead_letters")).collect();
    assert_eq!(rows(&again.stdout), without_letters);
}

/// A small platform, on free ports.
#[cfg(feature = "embedded")]
const SMALL: [(&str, &str); 3] = [
    ("HEADCOUNT__SERVE__LISTEN", "127.0.0.1:0"),
    ("HEADCOUNT__EMBEDDED__EVENTS_PER_SEC", "300"),
    ("HEADCOUNT__RUN__STATUS_INTERVAL_SECS", "1"),
];

/// Exit code 0 says that it ended within its own bound of 9 s: after that it gives up, with code 1.
#[cfg(feature = "embedded")]
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

#[cfg(feature = "embedded")]
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
#[cfg(feature = "embedded")]
fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
