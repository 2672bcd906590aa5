//! The platform's promises: same bytes, right rate, all kinds of events, every fault.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;

use serde_json::Value;

use super::*;
use crate::types::{MICROS_PER_SEC, Micros, parse_rfc3339};

fn config(seed: u64, events_per_sec: u32) -> SimulatorConfig {
    SimulatorConfig { seed, events_per_sec, ..SimulatorConfig::default() }
}

/// All records that arrive in the first `secs` seconds.
fn play(config: SimulatorConfig, secs: i64) -> Vec<SimEvent> {
    let end = config.start + secs * MICROS_PER_SEC;
    Simulator::new(config).unwrap().take_while(|e| e.arrival_time < end).collect()
}

/// The events of a record that are JSON objects.
fn events_of(record: &SimEvent) -> Vec<Value> {
    match serde_json::from_slice(&record.data) {
        Ok(Value::Array(events)) => events,
        Ok(event @ Value::Object(_)) => vec![event],
        _ => record.data.split(|&b| b == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect(),
    }
}

fn time_of(event: &Value, field: &str) -> Option<Micros> {
    match event.get(field)? {
        Value::String(text) => parse_rfc3339(text),
        Value::Number(millis) => Some(millis.as_i64()? * 1_000),
        _ => None,
    }
}

/// FNV-1a of everything that a record carries.
fn fingerprint(records: &[SimEvent]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for r in records {
        for b in r.arrival_time.to_be_bytes().iter().chain(r.partition_key.as_bytes()).chain(&r.data) {
            hash = (hash ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let first = play(config(7, 200), 60);
    assert_eq!(first, play(config(7, 200), 60));
    let ids = |records: &[SimEvent]| -> HashSet<String> {
        records.iter().flat_map(events_of).filter_map(|e| Some(e["event_id"].as_str()?.to_owned())).collect()
    };
    assert!(ids(&first).is_disjoint(&ids(&play(config(8, 200), 60))));
    // The same on every machine and in every release. Changing the simulator on purpose changes this number.
    assert_eq!(fingerprint(&first), PINNED, "{}", String::from_utf8_lossy(&first[0].data));
}

const PINNED: u64 = 995_310_866_828_813_635;

#[test]
fn the_rate_is_right_from_the_first_seconds_and_stays() {
    for (rate, secs) in [(2_000u32, 180i64), (200, 600)] {
        let config = config(3, rate);
        let start = config.start;
        let mut per_10s = vec![0u64; secs as usize / 10];
        for record in play(config, secs) {
            let events =
                if matches!(record.form, RecordForm::Lines | RecordForm::Array) { events_of(&record).len() } else { 1 };
            per_10s[((record.arrival_time - start) / (10 * MICROS_PER_SEC)) as usize] += events as u64;
        }
        let rates: Vec<f64> = per_10s.iter().map(|&n| n as f64 / 10.0 / f64::from(rate)).collect();
        let average = rates.iter().sum::<f64>() / rates.len() as f64;
        assert!((0.96..1.04).contains(&average), "{rate}: {average} {rates:.3?}");
        assert!(rates.iter().all(|r| (0.8..1.2).contains(r)), "{rate}: {rates:.3?}");
    }
}

#[test]
fn records_come_in_arrival_order_at_whole_milliseconds() {
    let records = play(config(5, 500), 120);
    assert!(records.is_sorted_by_key(|r| r.arrival_time));
    assert!(records.iter().all(|r| r.arrival_time % 1_000 == 0 && r.arrival_time >= DEFAULT_START));
}

#[test]
fn every_kind_of_event_comes_several_times_a_minute() {
    let records = play(config(11, 2_000), 120);
    let mut kinds: BTreeMap<String, u64> = BTreeMap::new();
    let mut fatal = 0;
    // Parsing a quarter of a million events would take longer than playing them.
    for text in records.iter().filter(|r| r.form == RecordForm::Object).map(|r| std::str::from_utf8(&r.data).unwrap()) {
        fatal += u64::from(text.contains("\"fatal\":true"));
        let kind = text.split("\"event_type\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        *kinds.entry(kind.to_owned()).or_default() += 1;
    }
    let expected = [
        "chat.message_sent",
        "stream.ended",
        "stream.quality_changed",
        "stream.started",
        "tip.sent",
        "user.logged_in",
        "user.registered",
        "user.subscription_changed",
        "view.ended",
        "view.error",
        "view.heartbeat",
        "view.paused",
        "view.resumed",
        "view.started",
    ];
    assert_eq!(kinds.keys().map(String::as_str).collect::<Vec<_>>(), expected);
    assert!(kinds.values().all(|&n| n >= 8), "{kinds:?}");
    assert!(fatal >= 6, "{fatal}");
}

#[test]
fn every_field_of_the_contract_is_used_and_no_other() {
    let fields: HashSet<String> = play(config(11, 500), 60)
        .iter()
        .flat_map(events_of)
        .flat_map(|e| e.as_object().unwrap().keys().cloned().collect::<Vec<_>>())
        .collect();
    let contract: HashSet<String> = [
        "schema_version",
        "event_id",
        "event_type",
        "event_time",
        "sent_at",
        "source",
        "stream_id",
        "channel_id",
        "session_id",
        "previous_session_id",
        "viewer_id",
        "user_id",
        "country",
        "device_type",
        "platform",
        "cdn",
        "player_state",
        "rendition",
        "bitrate_kbps",
        "startup_ms",
        "played_ms",
        "stall_ms",
        "live_latency_ms",
        "error_code",
        "fatal",
        "plan_from",
        "plan_to",
        "billing_interval",
        "amount_minor",
        "currency",
        "properties",
    ]
    .map(String::from)
    .into();
    assert_eq!(fields, contract);
}

#[test]
fn events_are_partitioned_so_that_a_streams_end_takes_another_way_than_its_heartbeats() {
    for record in play(config(13, 500), 60).iter().filter(|r| r.form != RecordForm::Malformed) {
        let event = &events_of(record)[0];
        let kind = event["event_type"].as_str().unwrap();
        let key = match kind.split('.').next().unwrap() {
            "view" => "session_id",
            "stream" => "stream_id",
            "user" => "user_id",
            _ => "viewer_id",
        };
        if let Some(expected) = event.get(key) {
            assert_eq!(expected.as_str(), Some(record.partition_key.as_str()), "{kind}");
        } else {
            assert_eq!(kind, "chat.message_sent", "only bots have no viewer");
        }
    }
}

#[test]
fn faults_come_in_their_shares() {
    // More of the rare ones than usual, so that a short play tells.
    let disturbance = Disturbance {
        malformed_ppm: 10_000,
        late_ppm: 10_000,
        bad_clocks_ppm: 20_000,
        bundled_ppm: 10_000,
        ..Disturbance::default()
    };
    let records = play(SimulatorConfig { disturbance, ..config(17, 300) }, 120);
    let share = |n: usize| n as f64 / records.len() as f64;
    let of_form = |form| share(records.iter().filter(|r| r.form == form).count());
    assert!((0.007..0.013).contains(&of_form(RecordForm::Malformed)));
    assert!(
        (0.002..0.007).contains(&of_form(RecordForm::Lines)) && (0.002..0.007).contains(&of_form(RecordForm::Array))
    );

    let (mut seen, mut duplicates, mut late, mut disordered, mut ahead, mut epoch) =
        (HashSet::new(), 0, 0, 0, [0, 0], 0);
    for record in records.iter().filter(|r| r.form != RecordForm::Malformed) {
        for event in events_of(record) {
            let (id, at) = (event["event_id"].as_str().unwrap(), time_of(&event, "event_time").unwrap());
            if !seen.insert(id.to_owned()) {
                duplicates += 1;
                continue;
            }
            epoch += usize::from(event["event_time"].is_i64());
            let behind = record.arrival_time - at;
            late += usize::from(behind > 60 * MICROS_PER_SEC);
            disordered += usize::from((3 * MICROS_PER_SEC..=60 * MICROS_PER_SEC).contains(&behind));
            if behind < -30 * MICROS_PER_SEC {
                ahead[usize::from(event.get("sent_at").is_some())] += 1;
            } else if let Some(sent) = time_of(&event, "sent_at") {
                assert!(
                    sent <= record.arrival_time && sent >= at - 1_000,
                    "a sane clock sends between event and arrival"
                );
            }
        }
    }
    assert!((0.004..0.01).contains(&share(duplicates)), "{duplicates}");
    assert!(late > 20, "{late}");
    assert!((0.015..0.035).contains(&share(disordered)), "{disordered}");
    assert!(ahead.iter().all(|&n| n > 50), "{ahead:?}");
    assert!(share(epoch) < 0.02 && epoch > 20, "{epoch}");
}

#[test]
fn sessions_do_what_sessions_do() {
    let records = play(config(19, 100), 600);
    let mut by_session: HashMap<String, Vec<(Micros, String)>> = HashMap::new();
    let mut taken_over = HashSet::new();
    let mut stream_ends: HashMap<String, Micros> = HashMap::new();
    let mut after_stream_end = 0;
    for event in records.iter().flat_map(events_of) {
        let Some(at) = time_of(&event, "event_time") else { continue };
        let (Some(kind), Some(stream)) = (event["event_type"].as_str(), event["stream_id"].as_str()) else { continue };
        if kind == "stream.ended" {
            stream_ends.insert(stream.to_owned(), at);
        }
        if kind == "view.heartbeat" && stream_ends.get(stream).is_some_and(|&end| at > end) {
            after_stream_end += 1;
        }
        if let Some(previous) = event["previous_session_id"].as_str() {
            assert_ne!(Some(previous), event["session_id"].as_str());
            taken_over.insert(previous.to_owned());
        }
        if let Some(session) = event["session_id"].as_str() {
            by_session.entry(session.to_owned()).or_default().push((at, kind.to_owned()));
        }
    }
    let (mut beats, mut regular, mut after_end, mut unended) = (0, 0, 0, 0);
    for events in by_session.values_mut() {
        events.sort();
        let heartbeats: Vec<Micros> = events.iter().filter(|e| e.1 == "view.heartbeat").map(|e| e.0).collect();
        for pair in heartbeats.windows(2) {
            beats += 1;
            regular += i32::from((pair[1] - pair[0] - 20 * MICROS_PER_SEC).abs() < MICROS_PER_SEC);
        }
        let end = events.iter().find(|e| e.1 == "view.ended").map(|e| e.0);
        after_end += i32::from(end.is_some_and(|end| heartbeats.iter().any(|&h| h > end)));
        let last = events.last().unwrap().0;
        unended += i32::from(end.is_none() && last < DEFAULT_START + 400 * MICROS_PER_SEC);
    }
    assert!(f64::from(regular) > 0.9 * f64::from(beats), "{regular} of {beats}");
    assert!(
        taken_over.len() > 15 && after_end > 5 && unended > 15 && after_stream_end > 5,
        "{} {after_end} {unended} {after_stream_end}",
        taken_over.len()
    );
    assert!(taken_over.iter().filter(|id| by_session.contains_key(*id)).count() > 15);
}

#[test]
fn a_platform_without_faults_sends_each_event_once_and_in_time() {
    let calm = SimulatorConfig { disturbance: Disturbance::none(), ..config(23, 500) };
    let mut ids = HashSet::new();
    for record in play(calm, 60) {
        assert_eq!(record.form, RecordForm::Object);
        let event = &events_of(&record)[0];
        assert!(ids.insert(event["event_id"].as_str().unwrap().to_owned()));
        let behind = record.arrival_time - time_of(event, "event_time").unwrap();
        assert!((0..3 * MICROS_PER_SEC).contains(&behind), "{behind}");
    }
}

#[test]
fn a_small_platform_plays_too() {
    let records = play(config(1, 1), 600);
    assert!((400..900).contains(&records.len()), "{}", records.len());
}

#[test]
fn files_hold_exactly_the_events_asked_for_each_in_its_shard_with_its_arrival() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("new/folder");
    let written = write_files(&config(7, 1_000), 10_000, 4, &out).unwrap();
    assert_eq!(written.events, 10_000);
    assert_eq!(written.files.iter().map(|f| f.events).sum::<u64>(), 10_000);
    let mut malformed = 0;
    for (shard, file) in written.files.iter().enumerate() {
        assert_eq!(file.path, out.join(format!("shardId-{shard:012}.ndjson")));
        let text = fs::read_to_string(&file.path).unwrap();
        assert_eq!((text.lines().count() as u64, text.len() as u64), (file.events, file.bytes));
        assert!(file.events > 2_000, "the load is spread");
        let mut last = 0;
        for line in text.lines() {
            let arrival = serde_json::from_str::<Value>(line).ok().and_then(|e| {
                assert!(e.get("ingest_time").is_none() || e["event_id"].is_string());
                time_of(&e, "ingest_time")
            });
            match arrival {
                Some(at) => {
                    assert!(at >= last);
                    last = at;
                }
                None => malformed += 1,
            }
        }
    }
    assert!((1..20).contains(&malformed), "{malformed}");
    let (first, last) = written.span.unwrap();
    assert!(first >= DEFAULT_START && last - first > 9 * MICROS_PER_SEC && last - first < 11 * MICROS_PER_SEC);
}

#[test]
fn writing_again_gives_the_same_bytes_and_leaves_no_stale_shard() {
    let dir = tempfile::tempdir().unwrap();
    let read_all = || -> Vec<(String, Vec<u8>)> {
        let mut files: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().path()).collect();
        files.sort();
        files.iter().map(|f| (f.file_name().unwrap().to_string_lossy().into_owned(), fs::read(f).unwrap())).collect()
    };
    write_files(&config(9, 500), 3_000, 2, dir.path()).unwrap();
    let first = read_all();
    write_files(&config(9, 500), 1_000, 5, dir.path()).unwrap();
    assert_eq!(read_all().len(), 5);
    write_files(&config(9, 500), 3_000, 2, dir.path()).unwrap();
    assert_eq!(read_all(), first);
    assert_eq!(write_files(&config(9, 500), 0, 1, dir.path()).unwrap().span, None);
}

#[test]
fn a_folder_that_cannot_take_the_files_is_the_users_error() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("notes.txt"), "mine").unwrap();
    let e = write_files(&config(1, 100), 10, 1, dir.path()).unwrap_err();
    assert_eq!(e.exit_code(), 2);
    assert!(e.message().contains("notes.txt") && e.remedy().is_some(), "{e}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing was written");

    let e = write_files(&config(1, 100), 10, 1, &dir.path().join("notes.txt/sub")).unwrap_err();
    assert_eq!(e.exit_code(), 2);
    let e = write_files(&config(1, 100), 10, 0, dir.path()).unwrap_err();
    assert_eq!(e.exit_code(), 2);
    let e = write_files(&config(1, 0), 10, 1, dir.path()).unwrap_err();
    assert_eq!(e.exit_code(), 2);
}
