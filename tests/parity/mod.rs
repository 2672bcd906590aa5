//! The engine against the brute-force reference: the same tables, whatever the cut.

use std::sync::Arc;

use headcount::decode::Provenance;
use proptest::prelude::*;

use crate::harness::{self, Cut, Run, difference};
use crate::reference::{self, Options, RefRecord, Scenario, Shape, Val};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

/// Everything that differs, in words.
fn compare(records: &[RefRecord], options: &Options, run: &Run) -> Vec<String> {
    let judged = reference::judge(records, reference::Provenance::Record);
    let expected = reference::tables(&judged.kept, options);
    let mut problems = Vec::new();
    let read = run.counters.read as usize;
    if read != judged.events_read() {
        problems.push(format!("read {read}, the reference {}", judged.events_read()));
    }
    let duplicates = run.counters.duplicates as usize;
    if duplicates != judged.duplicates.len() {
        problems.push(format!("{duplicates} duplicates, the reference has {}", judged.duplicates.len()));
    }
    problems.extend(run.counters.contradictions());
    let mut raw = reference::user_events(&judged.kept);
    raw.sort();
    problems.extend(difference("user_events", &run.events, &raw));
    for (name, rows) in &expected.rows {
        let mut rows = rows.clone();
        rows.sort();
        problems.extend(difference(name, &run.tables[name], &rows));
    }
    for (name, places) in &expected.late {
        let concurrency = matches!(name.as_str(), "concurrent_viewers" | "platform_totals");
        // An event without a stream is none of concurrency's business, late or not.
        let of_stream =
            |p: &&reference::Place| !concurrency || judged.kept.iter().any(|k| k.place == **p && k.stream().is_some());
        let places = harness::places(places.iter().filter(of_stream));
        if run.late[name] != places {
            problems.push(format!("late for {name}: {:?}, the reference {places:?}", run.late[name]));
        }
    }
    let ignored = run.counters.pipelines["platform_totals"].ignored_touches as usize;
    if ignored != expected.ignored_touches {
        problems.push(format!("{ignored} ignored touches, the reference has {}", expected.ignored_touches));
    }
    problems
}

fn check(options: Options, shape: Shape, cases: u32) {
    let runtime = runtime();
    let pipelines = runtime.block_on(harness::pipelines(&harness::shipped(), &options));
    let strategy = (reference::generate::scenarios(shape), 1usize..40, any::<bool>());
    harness::hold(cases, 2_000, &strategy, |(scenario, records, reversed)| {
        let input = scenario.records(&options);
        let cut = Cut { records, reversed };
        let run = runtime.block_on(harness::run(&pipelines, &input, Provenance::Record, cut));
        compare(&input, &options, &run)
    });
}

#[test]
fn tables_equal_the_reference_with_lateness_replayed() {
    check(Options::default(), Shape::default(), 150);
}

#[test]
fn tables_equal_the_reference_with_lateness_ignored() {
    check(Options::default().ignoring_lateness(), Shape::default(), 100);
}

#[test]
fn the_cut_of_the_input_does_not_matter() {
    let options = Options::default();
    let runtime = runtime();
    let pipelines = runtime.block_on(harness::pipelines(&harness::shipped(), &options));
    for seed in 0..20 {
        let input = Scenario::seeded(seed, Shape::default()).records(&options);
        let mut first: Option<Run> = None;
        for records in [1, 7, 1_000] {
            for reversed in [false, true] {
                let run = runtime.block_on(harness::run(
                    &Arc::clone(&pipelines),
                    &input,
                    Provenance::Record,
                    Cut { records, reversed },
                ));
                if let Some(first) = &first {
                    assert_eq!(first.tables, run.tables, "seed {seed}, {records} records a read, reversed: {reversed}");
                    assert_eq!(first.late, run.late, "seed {seed}");
                } else {
                    assert!(run.tables["platform_totals"].iter().all(|r| r["revision"] == Val::Int(0)));
                    first = Some(run);
                }
            }
        }
    }
}
