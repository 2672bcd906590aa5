//! Whatever the windows, the partition columns and the timeouts, a query's own among them: concurrency equals the brute-force reference.
//!
//! A failing case is shrunk by proptest, which prints the query, the options and the events that are left of it.

use headcount::decode::Provenance;
use headcount::pipeline::PipelineFile;
use proptest::prelude::*;

use crate::harness::{self, Cut, difference};
use crate::reference::{self, Options, Scenario, Shape};

use super::scene::concurrency_by;

const PARTITIONS: [&[&str]; 6] =
    [&[], &["stream_id"], &["country"], &["country", "device_type"], &["stream_id", "country"], &["viewer_id"]];

/// One concurrency table.
#[derive(Debug, Clone, Copy)]
struct Query {
    /// Size of the window in seconds.
    seconds: i64,
    partition: &'static [&'static str],
    /// In seconds, if they are its own: the timeout of sessions and their retention; the timeouts of streams.
    own: [Option<(i64, i64)>; 2],
}

impl Query {
    fn file(self, name: &str) -> PipelineFile {
        let names = [("SESSION_TIMEOUT", "CLOSED_RETENTION"), ("stream_timeout", "announced_timeout")];
        let own = names.into_iter().zip(self.own).filter_map(|(names, own)| Some((names, own?)));
        let timeouts: Vec<_> = own.flat_map(|((a, b), (x, y))| [(a, x), (b, y)]).collect();
        concurrency_by(name, self.seconds, self.partition, &timeouts)
    }

    /// What it counts by in a job with these options.
    fn options(self, job: Options) -> Options {
        let mut options = job;
        if let Some((timeout, retention)) = self.own[0] {
            options.session_timeout = timeout * reference::SEC;
            options.closed_retention = retention * reference::SEC;
        }
        if let Some((timeout, announced)) = self.own[1] {
            options.stream_timeout = timeout * reference::SEC;
            options.announced_timeout = announced * reference::SEC;
        }
        options
    }
}

/// Timeouts of a query's own, half of the time; the second of each two is not less than the first.
fn own() -> impl Strategy<Value = [Option<(i64, i64)>; 2]> {
    let pair = |first: std::ops::Range<i64>, more: std::ops::Range<i64>| {
        prop::option::of((first, more).prop_map(|(first, more)| (first, first + more)))
    };
    (pair(1..200, 0..700), pair(1..300, 0..3_000)).prop_map(|(sessions, streams)| [sessions, streams])
}

/// Up to three tables, the first of which has the finest windows; the others' are multiples of it.
fn queries(finest: &'static [i64], multiples: &'static [i64]) -> impl Strategy<Value = Vec<Query>> {
    let asked = || (prop::sample::select(&PARTITIONS[..]), own());
    let more = prop::collection::vec((prop::sample::select(multiples), asked()), 0..3);
    (prop::sample::select(finest), asked(), more).prop_map(|(finest, (partition, own), more)| {
        let mut queries = vec![Query { seconds: finest, partition, own }];
        queries.extend(more.into_iter().map(|(times, (partition, own))| Query {
            seconds: finest * times,
            partition,
            own,
        }));
        queries
    })
}

fn options() -> impl Strategy<Value = Options> {
    let timeout = prop_oneof![Just(60i64), Just(90), 1..200i64];
    let retention = prop_oneof![Just(600i64), 1..900i64];
    let stream_timeout = prop_oneof![Just(120i64), 1..300i64];
    (timeout, retention, stream_timeout, any::<bool>()).prop_map(|(timeout, retention, stream_timeout, ignore)| {
        let options = Options {
            session_timeout: timeout * reference::SEC,
            closed_retention: retention * reference::SEC,
            stream_timeout: stream_timeout * reference::SEC,
            ..Options::default()
        };
        if ignore { options.ignoring_lateness() } else { options }
    })
}

#[derive(Debug, Clone)]
struct Setup {
    queries: Vec<Query>,
    options: Options,
    scenario: Scenario,
    records_a_read: usize,
    reversed: bool,
}

/// Everything that differs from the reference, in words.
fn differences(runtime: &tokio::runtime::Runtime, setup: &Setup) -> Vec<String> {
    let finest = setup.queries.iter().map(|q| q.seconds).min().unwrap();
    let options = Options { finest_window: finest * reference::SEC, ..setup.options };
    let files: Vec<PipelineFile> =
        setup.queries.iter().enumerate().map(|(i, q)| q.file(&format!("query_{i}"))).collect();
    let records = setup.scenario.records(&options);
    let (run, stops) = runtime.block_on(async {
        let pipelines = harness::pipelines(&files, &options).await;
        let cut = Cut { records: setup.records_a_read, reversed: setup.reversed };
        let run = harness::run(&pipelines, &records, Provenance::Record, cut).await;
        (run, harness::run_with_stops(&pipelines, &records, Provenance::Record, cut).await)
    });
    let kept = reference::judge(&records, reference::Provenance::Record).kept;
    let mut late: Vec<_> = kept
        .iter()
        .filter(|e| e.stream().is_some() && options.is_late(e, options.finest_window))
        .map(|e| (e.place.shard.clone(), e.place.sequence.to_string(), e.place.sub_sequence as i64))
        .collect();
    late.sort();
    let accepted = reference::accepted_for_concurrency(&kept, &options);
    let mut problems = run.counters.contradictions();
    for (file, query) in files.iter().zip(&setup.queries) {
        let (name, options) = (&file.name, query.options(options));
        let ignored = reference::presence(&accepted, &options).ignored.len() as u64;
        let mut expected = reference::concurrency(&kept, &options, query.seconds * reference::SEC, query.partition);
        if query.partition != ["stream_id"] {
            // Only a table of streams names their channel.
            expected.iter_mut().for_each(|row| drop(row.remove("channel_id")));
        }
        expected.sort();
        problems.extend(difference(name, &run.tables[name], &expected));
        problems.extend(difference(&format!("{name} with stops"), &stops.tables[name], &expected));
        if run.late[name] != late {
            problems.push(format!("late for {name}: {:?}, the reference {late:?}", run.late[name]));
        }
        let ours = run.counters.pipelines[name].ignored_touches;
        if ours != ignored {
            problems.push(format!("{name}: {ours} ignored touches, the reference has {ignored}"));
        }
    }
    problems
}

fn check(cases: u32, shape: Shape, finest: &'static [i64], multiples: &'static [i64]) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let scenarios = reference::scenarios(shape);
    let setups = (queries(finest, multiples), options(), scenarios, 1..40usize, any::<bool>()).prop_map(
        |(queries, options, scenario, records_a_read, reversed)| Setup {
            queries,
            options,
            scenario,
            records_a_read,
            reversed,
        },
    );
    harness::hold(cases, 1_500, &setups, |setup| differences(&runtime, &setup));
}

#[test]
fn any_windows_and_partition_equal_the_reference() {
    check(80, Shape { steps: 50, ..Shape::default() }, &[5, 10, 15, 60], &[1, 2, 3, 4, 6, 12]);
}

#[test]
fn records_that_hold_several_events_equal_the_reference() {
    check(40, Shape { steps: 50, arrays: true, ..Shape::default() }, &[10, 60], &[1, 3, 6]);
}

#[test]
fn long_gaps_equal_the_reference() {
    check(60, Shape { steps: 40, long_gaps: true, ..Shape::default() }, &[900, 3_600], &[1, 2, 24, 96]);
}
