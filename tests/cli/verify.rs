//! The tables of a lake beside its raw events: what a backfill wrote is equal, and what was tampered with is named.

use std::fs;
use std::path::{Path, PathBuf};

use super::program::Place;

/// A lake of some events, and beside it a lake of half of them.
fn place() -> Place {
    let place = Place::new();
    place.run(&["simulate", "--events", "4_000", "--seed", "7", "--shards", "2", "--out", "sim"], &[]).works(&[]);
    let all = fs::read_to_string(place.path().join("sim/shardId-000000000000.ndjson")).unwrap();
    let half: Vec<&str> = all.lines().take(1_000).collect();
    place.write("half.ndjson", &half.join("\n"));
    place.run(&["backfill", "--input", "sim/*.ndjson", "--lake", "l", "--lateness", "replay"], &[]).works(&[]);
    place.run(&["backfill", "--input", "half.ndjson", "--lake", "half", "--lateness", "replay"], &[]).works(&[]);
    place
}

fn files(place: &Place, table: &str) -> Vec<PathBuf> {
    let files = place.parquet(table);
    assert!(!files.is_empty(), "{table}");
    files
}

/// Puts the files of a table of the lake of half of the events in the place of the whole one's.
fn replace(place: &Place, table: &str) {
    for file in files(place, &format!("l/{table}")) {
        fs::remove_file(file).unwrap();
    }
    add(place, table);
}

/// Puts them beside the whole one's.
fn add(place: &Place, table: &str) {
    let half = place.path().join("half");
    for file in files(place, &format!("half/{table}")) {
        let to = place.path().join("l").join(file.strip_prefix(&half).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(&file, to).unwrap();
    }
}

fn bytes_below(folder: &Path) -> u64 {
    let pattern = folder.join("**/*");
    let files = glob::glob(pattern.to_str().unwrap()).unwrap().map(Result::unwrap);
    files.map(|file| fs::metadata(file).unwrap().len()).sum()
}

#[test]
fn what_a_backfill_wrote_is_equal_and_nothing_is_changed() {
    let place = place();
    let before = bytes_below(&place.path().join("l"));
    let temp = place.path().join("temporary");
    fs::create_dir(&temp).unwrap();
    let found = place.run(&["verify", "--lake", "l"], &[("TMPDIR", temp.to_str().unwrap())]);
    let found = found.works(&["l: 3,", "raw events", "judged late or not", "concurrent_viewers", "no difference"]);
    for word in ["different", "missing", "too many", "still to be written", " 0 rows equal"] {
        assert!(!found.stdout.contains(word), "{word}: {}", found.stdout);
    }
    assert_eq!(bytes_below(&place.path().join("l")), before);
    assert_eq!(bytes_below(&temp), 0, "nothing stays");
}

#[test]
fn what_differs_is_named_and_ends_with_1() {
    let place = place();
    replace(&place, "stream_engagement");
    add(&place, "playback_quality");
    for file in files(&place, "l/platform_totals") {
        fs::remove_file(file).unwrap();
    }
    let found = place.run(&["verify", "--lake", "l", "--differences", "2"], &[]);
    assert_eq!(found.code, Some(1), "{found:#?}");
    let of = |table: &str| {
        let mut lines = found.stdout.lines().skip_while(|line| !line.starts_with(&format!("  {table}")));
        let summary = lines.next().unwrap_or_else(|| panic!("{table}: {found:#?}"));
        (summary.to_owned(), lines.take_while(|line| line.starts_with("    ")).map(str::to_owned).collect::<Vec<_>>())
    };
    let (summary, told) = of("stream_engagement");
    assert!(summary.contains(" different") && told.len() == 2, "{summary} {told:?}");
    assert!(told[0].starts_with("    window_start=20") && told[0].contains(" stream_id="), "{told:?}");
    assert!(told[0].contains(", and the raw events give "), "{told:?}");
    let (summary, told) = of("playback_quality");
    assert!(summary.contains(" too many"), "{summary} {told:?}");
    let is_too_many = |line: &String| line.contains("is in the lake, and the raw events do not give it");
    assert!(told.iter().any(is_too_many), "{told:?}");
    // A backfill leaves nothing for later, and a run would have written them by now.
    let (summary, told) = of("platform_totals");
    assert!(summary.contains(" 0 rows equal, ") && summary.contains(" missing") && told.len() == 1, "{summary}");
    assert!(told[0].contains("is missing, and the raw events give it"), "{told:?}");
    assert!(of("concurrent_viewers").0.ends_with(" rows equal"), "{found:#?}");
    assert!(found.stdout.contains(" rows differ"), "{found:#?}");
}

/// What a live run would give of the last window before a silence, it gives with the next event, which is in a file of later.
#[test]
fn a_range_before_a_quiet_hour_is_computed_with_what_comes_after_it() {
    let place = Place::new();
    let view = |n: u32, kind: &str, time: &str| {
        let id =
            format!(r#""schema_version":"1","event_id":"{n}","event_type":"{kind}","event_time":"2026-01-01T{time}Z""#);
        format!(r#"{{{id},"stream_id":"s","session_id":"v","viewer_id":"v","ingest_time":"2026-01-01T{time}Z"}}"#)
    };
    let events = [
        view(1, "view.started", "17:10:00"),
        view(2, "view.heartbeat", "17:58:50"),
        view(3, "view.heartbeat", "19:10:00"),
        view(4, "view.ended", "21:30:00"),
    ];
    place.write("events.ndjson", &events.join("\n"));
    place.run(&["backfill", "--input", "events.ndjson", "--lake", "l", "--lateness", "replay"], &[]).works(&[]);
    place.run(&["verify", "--lake", "l"], &[]).works(&["no difference", " 4 raw events"]);
    let hours = ["--from", "2026-01-01T17:00:00Z", "--to", "2026-01-01T18:00:00Z"];
    let verify = ["verify", "--lake", "l"];
    // Up to the event that ends the silence, and no further.
    place.run(&[&verify[..], &hours].concat(), &[]).works(&["no difference", " 3 raw events"]);
    let rows =
        place.run(&["query", "select count(*) from platform_totals where hour = 17", "--csv", "--lake", "l"], &[]);
    assert!(rows.works(&[]).stdout.contains("300"), "all windows of ten seconds from 17:10 to 18:00");
}

/// A sum of floats depends on the order in which they were added; the raw rows of a lake are in another one than the run's.
#[test]
fn sums_of_floats_are_equal_as_far_as_their_order_tells() {
    let place = Place::new();
    let sql = "/*\ntitle = \"t\"\n*/\nSELECT window_start, window_end, SUM(CAST(amount_minor AS DOUBLE) / 10) AS x\n\
        FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end\n";
    place.write("sums/sums.sql", sql);
    let tips = |order: &[u32]| {
        let tip = |n: &u32| {
            let amount = [1, 2, 3][*n as usize];
            format!(
                r#"{{"schema_version":"1","event_id":"{n}","event_type":"tip.sent","event_time":"2026-01-01T18:00:0{n}Z","stream_id":"s","amount_minor":{amount}}}"#
            )
        };
        order.iter().map(tip).collect::<Vec<_>>().join("\n")
    };
    let sums = [("HEADCOUNT__PIPELINES__DIR", "sums")];
    for (lake, order) in [("l", [2, 1, 0]), ("other", [0, 1, 2])] {
        place.write(&format!("{lake}.ndjson"), &tips(&order));
        let input = format!("{lake}.ndjson");
        place.run(&["backfill", "--input", &input, "--lake", lake], &sums).works(&[]);
    }
    let sum = |lake: &str| {
        let query = ["query", "select arrow_cast(x, 'Utf8') from sums", "--csv", "--lake", lake];
        place.run(&query, &sums).works(&[]).stdout
    };
    assert_ne!(sum("l"), sum("other"), "the order tells");
    for file in files(&place, "l/sums") {
        fs::remove_file(file).unwrap();
    }
    for file in files(&place, "other/sums") {
        let to = place.path().join("l").join(file.strip_prefix(place.path().join("other")).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(&file, to).unwrap();
    }
    let verify = ["verify", "--lake", "l", "--lateness", "ignore"];
    place.run(&verify, &sums).works(&["1 rows equal", "no difference"]);
}

#[test]
fn late_rows_count_as_the_tables_say() {
    let place = Place::new();
    place.run(&["simulate", "--events", "4_000", "--seed", "7", "--shards", "2", "--out", "sim"], &[]).works(&[]);
    place.run(&["backfill", "--input", "sim/*.ndjson", "--lake", "l", "--lateness", "ignore"], &[]).works(&[]);
    let ignore = ["verify", "--lake", "l", "--lateness", "ignore"];
    place.run(&ignore, &[]).works(&["none of them late", "no difference"]);
    let hours = ["--from", "2026-01-01T18:00:00Z", "--to", "2026-01-01T19:00:00Z"];
    place.run(&[&ignore[..], &hours].concat(), &[]).works(&["no difference"]);
}

#[test]
fn a_lake_without_raw_events_cannot_be_verified() {
    let place = place();
    place.run(&["verify", "--lake", "nowhere"], &[]).fails(2, &["nowhere: there is no such lake"]);
    for file in files(&place, "l/user_events") {
        fs::remove_file(file).unwrap();
    }
    place.run(&["verify", "--lake", "l"], &[]).fails(2, &["l/user_events: the lake has no raw events"]);
    let range = ["verify", "--lake", "l", "--from", "2026-01-01T18:30:00Z"];
    place.run(&range, &[]).fails(2, &["--from: 2026-01-01T18:30:00Z is not a whole hour"]);
    let nothing = ["verify", "--lake", "l", "--from", "2026-01-02T18:00:00Z", "--to", "2026-01-01T18:00:00Z"];
    place.run(&nothing, &[]).fails(2, &["holds no time"]);
}
