//! `headcount dead-letters`: a schema is wrong, somebody looks why, mends it, and takes the events in again.

use std::collections::BTreeMap;

use super::program::Place;
use crate::fixture;
use crate::reference::Row;

const STRICT: (&str, &str) = ("HEADCOUNT__SCHEMA__PATH", "strict.json");

fn view(id: &str, kind: &str, time: &str, more: &str) -> String {
    format!(
        r#"{{"schema_version":"1","event_id":"{id}","event_type":"view.{kind}","event_time":"2026-02-03T{time}Z","stream_id":"s","session_id":"v-{id}"{more}}}"#
    )
}

/// A lake that a strict schema has made, and the lines that it was made of.
fn place() -> Place {
    let place = Place::new();
    place.write("strict.json", &crate::dead_letters::scene::strict_schema());
    let tv = r#","device_type":"tv""#;
    let red = [
        view("1", "started", "10:00:00", ""),
        view("2", "started", "10:59:50", tv),
        "half a line, \u{1b}[31m{".to_owned(),
        view("3", "started", "11:30:00", ""),
    ];
    place.write("in/red.ndjson", &red.join("\n"));
    place.write(
        "in/blue.ndjson",
        &[view("4", "started", "10:30:00", tv), view("5", "ended", "10:30:30", "")].join("\n"),
    );
    let done = place.run(&["backfill", "--input", "in/*.ndjson", "--lake", "a lake"], &[STRICT]);
    done.works(&["kept 3, duplicates 0, dead letters 3"]);
    place
}

fn tables(place: &Place, lake: &str) -> BTreeMap<String, Vec<Row>> {
    let lake = fixture::open(&place.path().join(lake));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut tables = BTreeMap::new();
    for name in ["user_events", "concurrent_viewers", "platform_totals", "stream_engagement", "playback_quality"] {
        let mut rows = runtime.block_on(fixture::table(&lake, name));
        assert!(!rows.is_empty(), "{name}");
        // Known by the order of a shard only, which is not that of a replay.
        rows.iter_mut().for_each(|row| drop(row.remove("shard_high_time")));
        rows.sort();
        tables.insert(name.to_owned(), rows);
    }
    tables
}

#[test]
fn letters_are_listed_shown_and_replayed() {
    let place = place();
    let run = |line: &str| {
        let words: Vec<&str> = ["dead-letters"].into_iter().chain(line.split_whitespace()).collect();
        place.run(&[&words[..], &["--lake", "a lake"]].concat(), &[])
    };
    let listed = run("list").works(&[
        "wrong_type  red 2:0",
        "`device_type` is \"tv\", not one of web, mobile",
        "dead letters: 3; the newest 3 are above",
        "headcount dead-letters show",
        "headcount dead-letters replay --dry-run --lake 'a lake'",
    ]);
    assert!(!listed.stdout.contains('\u{1b}'), "nothing steers the terminal");
    let json = run("list --reason wrong_type --shard blue --json").works(&[]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&json["reason"], &json["sequence_number"], &json["arrival_time"]),
        (&"wrong_type".into(), &"1".into(), &serde_json::Value::Null)
    );
    run("list --limit 0").works(&["newest 0 are above"]);
    run("list --reason too_old").works(&["no such dead letters"]);
    run("show 3").works(&["reason               not_json", "half a line, \\u{1b}[31m{", "_dead_letters/year="]);
    let raw = run("show 3 --raw").works(&[]).stdout;
    assert_eq!(raw, "half a line, \u{1b}[31m{");

    let numbers = |said: &str| -> Vec<(String, String)> {
        let lines = said.lines().filter_map(|line| line.rsplit_once(' '));
        lines.map(|(what, n)| (what.trim().to_owned(), n.to_owned())).take(7).collect()
    };
    let summary = |would: &str| {
        let lines = [
            ("dead letters read".to_owned(), 3),
            (format!("rows {would}added"), 2),
            (format!("duplicates {would}left out"), 0),
            (format!("letters {would}gone"), 2),
            (format!("hours of raw events {would}touched"), 1),
            ("still letters".to_owned(), 1),
            ("not_json".to_owned(), 1),
        ];
        lines.map(|(what, n)| (what, n.to_string())).to_vec()
    };
    let dry = run("replay --dry-run").works(&["rows would be added", "nothing was done. To do it"]);
    assert!(!dry.stdout.contains("headcount backfill"), "{dry:#?}");
    assert_eq!(numbers(&dry.stdout), summary("would be "));
    run("list").works(&["dead letters: 3;"]);
    let done = run("replay").works(&["headcount backfill"]);
    assert_eq!(numbers(&done.stdout), summary(""));
    run("replay").works(&["nothing changes in a lake"]);
    run("list").works(&["dead letters: 1; the newest 1 are above"]);

    // The command that it names makes the lake what it would be, had the schema been right.
    let right = ["backfill", "--input", "in/*.ndjson", "--lake", "right"];
    place.run(&right, &[]).works(&["kept 5"]);
    assert_ne!(tables(&place, "a lake"), tables(&place, "right"));
    let line = done.stdout.lines().find(|l| l.contains("headcount backfill")).unwrap().trim();
    let named = "headcount backfill --input 'a lake/user_events' --lake 'a lake' --from 2026-02-03T10:00:00Z --to 2026-02-03T12:00:00Z";
    assert_eq!(line, named);
    let words = line.replace("'a lake", "'a\u{a0}lake").replace('\'', "");
    let words: Vec<String> = words.split(' ').skip(1).map(|word| word.replace('\u{a0}', " ")).collect();
    place.run(&words.iter().map(String::as_str).collect::<Vec<_>>(), &[]).works(&[]);
    assert_eq!(tables(&place, "a lake"), tables(&place, "right"));
}

#[test]
fn a_letter_that_is_no_text_is_dumped() {
    let place = Place::new();
    let mut bytes = vec![0x1f, 0x8b];
    bytes.extend((0..700).map(|i| if i % 7 == 0 { b'\n' + 1 } else { b'a' }));
    fixture::write(place.path().join("in.ndjson"), [b"x".as_slice(), &bytes].concat());
    // Its first byte keeps the file from being taken for a compressed one.
    place.run(&["backfill", "--input", "in.ndjson", "--lake", "l"], &[]).works(&["dead letters 1"]);
    let shown = place.run(&["dead-letters", "show", "1", "--lake", "l"], &[]);
    shown.works(&["00000000  78 1f 8b", "000001f0", "… and 191 bytes more: --raw writes them all"]);
}

#[test]
fn lakes_and_letters_that_are_not_there() {
    let place = place();
    let run = |line: &[&str]| place.run(&[&["dead-letters"], line].concat(), &[]);
    for action in [&["list"][..], &["show", "1"], &["replay"]] {
        run(&[action, &["--lake", "none"]].concat()).fails(2, &["none", "there is no such lake", "--config"]);
        let url = format!("file://{}", place.path().join("none").display());
        run(&[action, &["--lake", &url]].concat()).fails(2, &["there is no such lake"]);
    }
    assert!(!place.path().join("none").exists());
    run(&["list"]).fails(2, &["data/lake", "there is no such lake"]);
    std::fs::create_dir(place.path().join("empty")).unwrap();
    run(&["list", "--lake", "empty"]).works(&["no dead letters in empty"]);
    run(&["list", "--lake", "empty", "--json"]).works(&[]);
    run(&["replay", "--lake", "empty"]).works(&["nothing changes in empty"]);
    run(&["show", "77", "--lake", "a lake"]).fails(2, &["77", "there is no such dead letter", "dead-letters list"]);
    run(&["list", "--reason", "bad"]).fails(2, &["not_json, missing_field"]);
    // Two files, one number.
    place.write("more/green.ndjson", "x\nx\nbroken too");
    place.run(&["backfill", "--input", "more", "--lake", "a lake"], &[]).works(&["dead letters 3"]);
    run(&["show", "3", "--lake", "a lake"]).fails(2, &["several", "3:0 --shard green, 3:0 --shard red"]);
    run(&["show", "3", "--shard", "green", "--lake", "a lake"]).works(&["broken too"]);
}
