//! Over generated event sets: laws that must hold, and proof that the sets are as nasty as they claim to be.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::super::reference::{
    Kept, Lateness, MINUTE, Options, Provenance, Scenario, Shape, Tables, concurrency, judge, scenarios, tables,
};
use super::*;

fn judged_rows(scenario: &Scenario, options: &Options) -> Judged {
    judge(&scenario.records(options), Provenance::Row)
}

/// The same tables whatever the order of events, given the verdicts.
fn shuffled(kept: &[Kept]) -> Vec<Kept> {
    let mut kept = kept.to_vec();
    kept.sort_by_key(|e| (e.event_id().to_owned(), e.place.clone()));
    kept.reverse();
    kept
}

fn check_laws(scenario: &Scenario, options: &Options) {
    let judged = judged_rows(scenario, options);
    let all = tables(&judged.kept, options);

    let reordered = tables(&shuffled(&judged.kept), options);
    assert_eq!(all.rows, reordered.rows, "the result depends on the set of events only");
    assert_eq!(all.late, reordered.late);

    for row in all.rows["platform_totals"].iter().chain(&all.rows["concurrent_viewers"]) {
        let number = |column: &str| match &row[column] {
            Val::Int(n) => *n as f64,
            Val::Float(f) => *f,
            other => panic!("{column} is {other:?}"),
        };
        assert!(number("viewers_min") <= number("viewers_avg"), "{row:?}");
        assert!(number("viewers_avg") <= number("viewers_max"), "{row:?}");
        assert!(number("viewers_min") <= number("viewers_current"), "{row:?}");
        assert!(number("viewers_current") <= number("viewers_max"), "{row:?}");
        assert!((number("viewer_minutes") > 0.0) == (number("viewers_max") > 0.0), "{row:?}");
    }
    let minutes = |rows: &[Row]| {
        let mut by_window: BTreeMap<Val, f64> = BTreeMap::new();
        for row in rows {
            if let Val::Float(minutes) = row["viewer_minutes"] {
                *by_window.entry(row["window_start"].clone()).or_default() += minutes;
            }
        }
        by_window.retain(|_, m| *m > 0.0);
        by_window
    };
    let by_stream = minutes(&all.rows["concurrent_viewers"]);
    for partition in [&[][..], &["country"], &["stream_id", "viewer_id"], &["session_id"]] {
        let grouped = minutes(&concurrency(&judged.kept, options, MINUTE, partition));
        assert_eq!(grouped.len(), by_stream.len(), "by {partition:?}");
        for (window, minutes) in &grouped {
            assert!((minutes - by_stream[window]).abs() < 1e-9, "averages add up by {partition:?}");
        }
    }
    for (table, rows) in &all.rows {
        assert!(rows.iter().is_sorted_by_key(|r| r["window_start"].clone()), "{table} is sorted");
    }
}

fn options_of(timeout: i64, retention: i64, stream_timeout: i64, ignore: bool) -> Options {
    let lateness = if ignore { Lateness::Ignore } else { Options::default().lateness };
    Options {
        lateness,
        session_timeout: timeout * SEC,
        closed_retention: retention * SEC,
        stream_timeout: stream_timeout * SEC,
        ..Options::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, rng_seed: RngSeed::Fixed(7), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn laws_hold(
        scenario in scenarios(Shape { arrays: true, ..Shape::default() }),
        timeout in prop_oneof![Just(60i64), Just(90), 1..200i64],
        retention in prop_oneof![Just(600i64), 1..900i64],
        stream_timeout in prop_oneof![Just(120i64), 1..300i64],
        ignore in any::<bool>(),
    ) {
        check_laws(&scenario, &options_of(timeout, retention, stream_timeout, ignore));
    }
}

#[test]
fn laws_hold_over_long_gaps() {
    for seed in 0..3 {
        let scenario = Scenario::seeded(seed, Shape { long_gaps: true, steps: 40, ..Shape::default() });
        check_laws(&scenario, &Options::default());
    }
}

#[test]
fn files_hold_the_records_and_give_their_own_arrival() {
    let options = Options::default();
    for seed in 0..20 {
        let scenario = Scenario::seeded(seed, Shape { arrays: true, ..Shape::default() });
        let from_files: Vec<RefRecord> = scenario
            .files(&options)
            .into_iter()
            .flat_map(|(shard, text)| {
                let line = |(sequence, line): (u64, &str)| RefRecord {
                    shard: shard.clone(),
                    sequence,
                    arrival: None,
                    bytes: line.as_bytes().to_vec(),
                };
                (1..).zip(text.lines()).map(line).collect::<Vec<_>>()
            })
            .collect();
        let (from_records, from_files) = (judged_rows(&scenario, &options), judge(&from_files, Provenance::Row));
        assert_eq!(from_records.kept, from_files.kept);
        assert_eq!(from_records.duplicates, from_files.duplicates);
        assert_eq!(from_records.dead_letters, from_files.dead_letters);
    }
}

#[test]
fn a_seed_gives_the_same_set_each_time() {
    let options = Options::default();
    let files = |seed| Scenario::seeded(seed, Shape::default()).files(&options);
    assert_eq!(files(7), files(7));
    assert_ne!(files(7), files(8));
}

#[test]
fn an_orderly_set_has_nothing_late_or_refused() {
    let options = Options::default();
    let shape = Shape { disorder: false, malformed: false, shards: 1, ..Shape::default() };
    for seed in 0..20 {
        assert!(judged_rows(&Scenario::seeded(seed, shape), &options).dead_letters.is_empty());
    }
}

#[test]
fn the_sets_are_nasty() {
    let options = Options::default();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut saw = |what: &str, times: usize| *seen.entry(what.to_owned()).or_default() += times;
    for seed in 0..100 {
        let judged = judged_rows(&Scenario::seeded(seed, Shape::default()), &options);
        let Tables { rows, late, ignored_touches } = tables(&judged.kept, &options);
        for (reason, times) in judged.dead_letters_by_reason() {
            saw(reason, times);
        }
        saw("duplicate", judged.duplicates.len());
        saw("repaired", judged.repaired());
        saw("ignored touch", ignored_touches);
        for (table, late) in late {
            saw(&format!("late for {table}"), late.len());
        }
        for (table, rows) in rows {
            saw(&format!("row of {table}"), rows.len());
        }
        let mut times: Vec<_> = judged.kept.iter().map(|e| (e.stream(), e.event_time)).collect();
        let on_border = times.iter().filter(|(_, t)| t % MINUTE == 0).count();
        saw("on a window border", on_border);
        times.sort_unstable();
        saw("tie of event time", times.windows(2).filter(|w| w[0] == w[1]).count());
        let mut ids: Vec<_> = judged.kept.iter().map(Kept::event_id).collect();
        ids.sort_unstable();
        saw("repeat that is kept", ids.windows(2).filter(|w| w[0] == w[1]).count());
        let gaps = |span: i64| {
            let mut marks: Vec<_> = judged
                .kept
                .iter()
                .filter(|e| e.event_type().starts_with("view."))
                .map(|e| (e.stream(), e.text("session_id"), e.event_time))
                .collect();
            marks.sort_unstable();
            marks.windows(2).filter(|w| (w[0].0, w[0].1) == (w[1].0, w[1].1) && w[1].2 - w[0].2 == span).count()
        };
        saw("gap exactly the session timeout", gaps(options.session_timeout));
        saw("gap just over the session timeout", gaps(options.session_timeout + 1));
        saw("gap exactly the closed retention", gaps(options.closed_retention));
        saw("gap just over the closed retention", gaps(options.closed_retention + 1));
        saw("event of a stream nobody watches", judged.kept.iter().filter(|e| e.stream() == Some("quiet")).count());
        saw("stream end", judged.kept.iter().filter(|e| e.event_type() == "stream.ended").count());
        saw("hand-over", judged.kept.iter().filter(|e| e.text("previous_session_id").is_some()).count());
    }
    let expected = [
        "not_json",
        "wrong_type",
        "missing_field",
        "bad_timestamp",
        "too_old",
        "duplicate",
        "repaired",
        "ignored touch",
        "late for concurrent_viewers",
        "late for stream_engagement",
        "late for user_activity",
        "row of concurrent_viewers",
        "row of platform_totals",
        "row of stream_engagement",
        "row of playback_quality",
        "row of revenue",
        "row of user_activity",
        "row of stream_quality_changes",
        "on a window border",
        "tie of event time",
        "repeat that is kept",
        "gap exactly the session timeout",
        "gap just over the session timeout",
        "gap exactly the closed retention",
        "gap just over the closed retention",
        "event of a stream nobody watches",
        "stream end",
        "hand-over",
    ];
    for what in expected {
        assert!(seen.get(what).is_some_and(|times| *times >= 3), "too few of: {what}\n{seen:#?}");
    }
}
