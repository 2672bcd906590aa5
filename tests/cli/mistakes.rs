//! Mistakes and failures: one clear message, the right exit code, no backtrace.

use super::program::Place;

const EVENT: &str = r#"{"schema_version":"1","event_id":"1","event_type":"user.logged_in","event_time":1767290400000}"#;

/// Whatever is not under test works: an event to read, a port to serve on.
fn place() -> Place {
    let place = Place::new();
    place.write("one.ndjson", EVENT);
    place
}

const ANY_PORT: (&str, &str) = ("HEADCOUNT__SERVE__LISTEN", "127.0.0.1:0");

#[test]
fn usage() {
    let place = place();
    place.run(&["backfill"], &[]).fails(2, &["--input"]);
    place.run(&["simulate", "--events", "0", "--out", "o"], &[]).fails(2, &["1 or more"]);
    place.run(&["nonsense"], &[]).fails(2, &["nonsense"]);
    for help in
        [&["--help"][..], &["run", "--help"], &["backfill", "--help"], &["check", "--help"], &["simulate", "--help"]]
    {
        place.run(help, &[]).works(&["Usage", "headcount run"][..1 + usize::from(help.len() == 1)]);
    }
    place.run(&["explain", "--help"], &[]).works(&["Usage", "headcount explain concurrent_viewers"]);
}

#[test]
fn inputs_that_are_not_there_or_are_nothing() {
    let place = place();
    place.run(&["backfill", "--input", "none.ndjson", "--lake", "l"], &[]).fails(2, &["none.ndjson", "no such file"]);
    place.run(&["backfill", "--input", "no*.ndjson", "--lake", "l"], &[]).fails(2, &["no*.ndjson", "no file matches"]);
    place.write("notes.txt", "x");
    place.run(&["backfill", "--input", "notes.txt", "--lake", "l"], &[]).fails(2, &["notes.txt", ".ndjson"]);
    place.run(&["backfill", "--input", "ftp://x/a.json", "--lake", "l"], &[]).fails(2, &["ftp://"]);
    place.write("cut.ndjson.gz", "no gzip at all");
    place.run(&["backfill", "--input", "cut.ndjson.gz", "--lake", "l"], &[]).fails(1, &["cut.ndjson.gz"]);
    let half = ["backfill", "--input", "one.ndjson", "--lake", "l", "--from", "2026-01-01T18:30:00Z"];
    place.run(&half, &[]).fails(2, &["--from", "whole hour"]);
    assert!(place.parquet("l").is_empty());
}

#[test]
fn lakes_that_cannot_be() {
    let place = place();
    place.write("file", "x");
    let into = |lake: &str| place.run(&["backfill", "--input", "one.ndjson", "--lake", lake], &[]);
    into("file").fails(2, &["file", "not a folder"]);
    into("ftp://host/lake").fails(2, &["ftp://host/lake", "s3://"]);
    into("http:///").fails(2, &["http:///"]);
    into("s3://").fails(2, &["s3://"]);
    // Nobody can make a folder there, not even root.
    #[cfg(target_os = "linux")]
    {
        into("/proc/lake").fails(1, &["/proc/lake", "cannot make the lake's folder"]);
        let lake = ("HEADCOUNT__LAKE__URL", "/proc/lake");
        place.run(&["run", "--for", "1s"], &[ANY_PORT, lake]).fails(1, &["/proc/lake"]);
    }
}

#[test]
fn configurations() {
    let place = place();
    place.write("c.toml", "[lake]\nurl = \"x\"\nraw_rol_secs = 3\n\n[time]\nwatermark_delay_secs = \"soon\"\n");
    let named = ["c.toml:3", "lake.raw_rol_secs", "raw_roll_secs", "1 more"];
    place.run(&["run", "--config", "c.toml"], &[]).fails(2, &named);
    place.run(&["backfill", "--input", "one.ndjson", "--config", "c.toml"], &[]).fails(2, &named);
    let every = ["c.toml:3", "lake.raw_rol_secs", "c.toml:6", "time.watermark_delay_secs", "2 problems"];
    place.run(&["check", "--config", "c.toml"], &[]).fails(1, &every);
    place.run(&["run", "--config", "none.toml"], &[]).fails(2, &["none.toml", "no such configuration file"]);
    place.write("broken.toml", "[lake\n");
    place.run(&["run", "--config", "broken.toml"], &[]).fails(2, &["broken.toml:1"]);
}

#[test]
fn overrides_of_the_environment() {
    let place = place();
    let run = |name, value| place.run(&["run"], &[(name, value)]);
    let delay = "HEADCOUNT__TIME__WATERMARK_DELAY_SECS";
    run(delay, "soon").fails(2, &[delay, "time.watermark_delay_secs", "soon"]);
    run("HEADCOUNT__TYME__X", "1").fails(2, &["HEADCOUNT__TYME__X", "[time]"]);
    run("HEADCOUNT__SERVE", "1").fails(2, &["HEADCOUNT__SERVE", "HEADCOUNT__SECTION__KEY"]);
    run("HEADCOUNT__SERVE__LISTEN", "here").fails(2, &["HEADCOUNT__SERVE__LISTEN", "serve.listen"]);
    place.run(&["check"], &[(delay, "soon")]).fails(1, &[delay, "1 problem"]);
    run("RUST_LOG", "headcount=loud").fails(2, &["RUST_LOG"]);
}

#[test]
fn queries() {
    let place = place();
    let header = "/*\ntitle = \"t\"\n*/\n";
    place.write("p/column.sql", &format!("{header}SELECT event_id, nope\nFROM user_events\n"));
    place.write("p/endless.sql", &format!("{header}SELECT\n  COUNT(*)\nFROM user_events\n"));
    place.write("p/headless.sql", "SELECT 1");
    place.write("p/syntax.sql", &format!("{header}SELEC 1\n"));
    let dir = ("HEADCOUNT__PIPELINES__DIR", "p");
    let every = [
        "column.sql:4",
        "nope",
        "endless.sql:",
        "TUMBLE",
        "headless.sql:1",
        "syntax.sql:4: Expected: an SQL statement, found: SELEC",
        "4 problems",
    ];
    place.run(&["check"], &[dir]).fails(1, &every);
    place.run(&["run", "--for", "1s"], &[dir, ANY_PORT]).fails(2, &[".sql:", "3 more"]);
    place.run(&["backfill", "--input", "one.ndjson", "--lake", "l"], &[dir]).fails(2, &[".sql:", "3 more"]);
    let gone = ("HEADCOUNT__PIPELINES__DIR", "q");
    place.run(&["run"], &[gone, ANY_PORT]).fails(2, &["q"]);
    place.run(&["check"], &[gone]).fails(1, &["q"]);
    assert!(!place.path().join("data").exists(), "no lake is made for a query that is wrong");
}

#[test]
fn pipelines_that_cannot_be_explained() {
    let place = place();
    let known = ["there is no pipeline concurent_viewers", "did you mean concurrent_viewers?", "revenue", "built in"];
    place.run(&["explain", "concurent_viewers"], &[]).fails(2, &known);
    place.run(&["explain", "none.sql"], &[]).fails(2, &["none.sql", "cannot be read"]);
    place.run(&["explain"], &[]).fails(2, &["<PIPELINE>"]);
    let header = "/*\ntitle = \"t\"\n*/\n";
    place.write("p/endless.sql", &format!("{header}SELECT\n  COUNT(*)\nFROM user_events\n"));
    place.write("p/headless.sql", "SELECT 1");
    place.run(&["explain", "p/endless.sql"], &[]).fails(2, &["endless.sql:", "TUMBLE"]);
    let dir = ("HEADCOUNT__PIPELINES__DIR", "p");
    place.run(&["explain", "endless"], &[dir]).fails(2, &["endless.sql:", "TUMBLE"]);
    place.run(&["explain", "headless"], &[dir]).fails(2, &["headless.sql:1", "the header is missing"]);
    place.run(&["explain", "revenue"], &[dir]).fails(2, &["the pipelines are endless"]);
    // 7 s do not fit into the shipped windows of 10 s, and 10 s not into 7 s.
    let from = "TABLE(CONCURRENCY(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '7' SECOND))";
    place.write("odd.sql", &format!("{header}SELECT window_start, window_end, viewers_max FROM {from}\n"));
    place.run(&["explain", "odd.sql"], &[]).fails(2, &["odd.sql", "no multiple"]);
    // What a run refuses of times that contradict each other.
    let longer = from.replace("'7' SECOND", "'1' MINUTE, SESSION_TIMEOUT => INTERVAL '11' MINUTE");
    place.write("longer.sql", &format!("{header}SELECT window_start, window_end, viewers_max FROM {longer}\n"));
    let said = ["longer.sql:4", "closed_retention_secs is 10 min", "SESSION_TIMEOUT is 11 min"];
    place.run(&["explain", "longer.sql"], &[]).fails(2, &said);
    let counts = "SELECT window_start, window_end, COUNT(*) AS n
        FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' HOUR)) GROUP BY window_start, window_end";
    place.write("waits.sql", &format!("/*\ntitle = \"t\"\nwatermark_delay_secs = 700000\n*/\n{counts}\n"));
    place.run(&["explain", "waits.sql"], &[]).fails(2, &["waits.sql:3", "more than time.max_event_age_secs"]);
}

#[test]
fn a_port_that_is_taken() {
    let place = place();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let run = |key: &str, value: &str| place.run(&["run", "--for", "1s"], &[ANY_PORT, (key, value)]);
    run("HEADCOUNT__SERVE__LISTEN", &address).fails(2, &[&address, "serve.listen"]);
    if cfg!(feature = "embedded") {
        let port = taken.local_addr().unwrap().port().to_string();
        run("HEADCOUNT__EMBEDDED__PORT", &port).fails(2, &[&port, "in use"]);
    }
}
