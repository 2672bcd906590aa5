//! What works, from events to tables: check, explain, simulate, backfill.

use std::path::PathBuf;

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
        // A bucket is nothing that a test talks to.
        let lake = ("HEADCOUNT__LAKE__URL", "lake");
        let place = Place::new();
        place.run(&["check", "--config", &config], &[lake]).works(&[name, "lake       lake", "All is well."]);
        assert!(!place.path().join("lake").exists(), "nothing is made");
    }
}

#[test]
fn explain_says_what_runs_where_and_what_is_kept() {
    let place = Place::new();
    let of_viewers = ["concurrent_viewers: ", "combine ", "shard ", "batch ", "buckets of 10 s", "In words:"];
    let said = place.run(&["explain", "concurrent_viewers"], &[]).works(&of_viewers);
    assert!(said.stderr.is_empty(), "{said:#?}");
    // The times are the configuration's.
    let delay = ("HEADCOUNT__TIME__WATERMARK_DELAY_SECS", "45");
    place.run(&["explain", "revenue"], &[delay]).works(&["45 s (time.watermark_delay_secs)", "_late/revenue"]);
    place.write("c.toml", "[time]\nwatermark_delay_secs = 50\n");
    place.run(&["explain", "revenue", "--config", "c.toml"], &[]).works(&["50 s (time.watermark_delay_secs)"]);
    // A draft shares the concurrency state with the tables that run beside it: the shipped one of 10 s is the finest.
    let from = "TABLE(CONCURRENCY(TABLE user_events PARTITION BY country, DESCRIPTOR(event_time), INTERVAL '1' HOUR))";
    let draft = format!("/*\ntitle = \"t\"\n*/\nSELECT window_start, window_end, country, viewers_max FROM {from}\n");
    place.write("drafts/by_country.sql", &draft);
    let words = ["by_country: t", "windows of 1 h by country", "buckets of 10 s"];
    place.run(&["explain", "drafts/by_country.sql"], &[]).works(&words);
    place
        .run(&["explain", "by_country"], &[("HEADCOUNT__PIPELINES__DIR", "drafts")])
        .works(&["by_country: t", "in buckets of 1 h"]);
    assert!(!place.path().join("data").exists(), "nothing is opened");
}

#[test]
fn a_state_that_does_not_fit_into_memory_ends_the_job_with_what_takes_most() {
    let place = Place::new();
    place.run(&["simulate", "--events", "30_000", "--seed", "7", "--shards", "2", "--out", "sim"], &[]).works(&[]);
    let backfill = ["backfill", "--input", "sim/*.ndjson", "--lake", "lake"];
    let wants =
        ["the state of the job needs more memory than run.memory_mib_max", "remedy: ", "with top memory consumers"];
    place.run(&backfill, &[("HEADCOUNT__RUN__MEMORY_MIB_MAX", "1")]).fails(1, &wants);
    assert!(place.parquet("lake").is_empty(), "nothing of it is there");
    place.run(&backfill, &[("HEADCOUNT__RUN__MEMORY_MIB_MAX", "64")]).works(&[]);
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

#[test]
fn windows_only_gives_the_same_windows_and_leaves_raw_events_and_dead_letters_as_they_are() {
    let place = Place::new();
    // Over minutes, so that some are late.
    let slow = ["--seed", "7", "--shards", "2", "--events-per-sec", "60"];
    place.run(&[&["simulate", "--events", "20_000", "--out", "sim"], &slow[..]].concat(), &[]).works(&[]);
    let rows_of = |lake: &str, table: &str| {
        let sql = format!("select * from {table}");
        let done = place.run(&["query", "--lake", lake, "--csv", &sql], &[]).works(&["window_start"]);
        let mut rows: Vec<String> = done.stdout.lines().map(str::to_owned).collect();
        assert!(rows.len() > 1, "{table} has no rows: nothing would be compared");
        rows.sort();
        rows
    };
    let rows = |lake: &str| -> Vec<_> { TABLES[..7].iter().map(|table| rows_of(lake, table)).collect() };
    let others = |lake: &str| ["user_events", "_dead_letters", "_late"].map(|t| place.parquet(&format!("{lake}/{t}")));
    for lateness in ["ignore", "replay"] {
        let whole = ["backfill", "--input", "sim/*.ndjson", "--lateness", lateness, "--lake", lateness];
        let windows = [&whole[..], &["--windows-only"]].concat();
        place.run(&whole, &[]).works(&["user_events", "_dead_letters", "revenue"]);
        let (tables, raw, revenue) = (rows(lateness), others(lateness), place.parquet(&format!("{lateness}/revenue")));
        assert!(!raw[0].is_empty() && !raw[1].is_empty() && raw[2].is_empty() == (lateness == "ignore"), "{raw:?}");

        place.run(&windows, &[]).works(&["20,000 events in ", "revenue"]);
        assert_eq!(others(lateness), raw, "the lake keeps what is not written anew");
        assert_ne!(place.parquet(&format!("{lateness}/revenue")), revenue, "the windows are written anew");
        assert_eq!(rows(lateness), tables);

        let empty = format!("{lateness}-empty");
        let done = place.run(&[&windows[..6], &[&empty, "--windows-only"]].concat(), &[]).works(&["revenue"]);
        assert!(!done.stdout.contains("user_events"), "{}", done.stdout);
        assert_eq!(others(&empty), [const { Vec::<PathBuf>::new() }; 3]);
        assert_eq!(rows(&empty), tables);
    }
}

#[test]
fn an_undisturbed_platform_of_many_channels_loses_no_event() {
    let place = Place::new();
    let simulate = ["simulate", "--events", "5_000", "--channels", "300", "--undisturbed", "--out", "sim"];
    place.run(&simulate, &[]).works(&["5000 events"]);
    let done = place.run(&["backfill", "--input", "sim/*.ndjson", "--lake", "lake"], &[]);
    done.works(&["kept 5,000, duplicates 0, dead letters 0, clocks repaired 0"]);
    let streams =
        ["query", "--lake", "lake", "select count(distinct channel_id) as channels from user_events", "--csv"];
    let done = place.run(&streams, &[]).works(&["channels"]);
    let channels: usize = done.stdout.lines().last().unwrap().parse().unwrap();
    // Not every one is heard of within two seconds.
    assert!((100..=300).contains(&channels), "{channels}");
    place.run(&["simulate", "--events", "9", "--channels", "200_000", "--out", "o"], &[]).fails(2, &["--channels"]);
}
