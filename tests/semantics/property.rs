//! Whatever the windows, the partition columns, the timeouts (a query's own among them), the delay of the watermark and the split over
//! shards: concurrency equals the brute-force reference. And what it says of a window that is not complete does, whenever it is asked.
//!
//! A failing case is shrunk by proptest, which prints its seed, the query, the options and the events that are left of it.

use std::cell::RefCell;
use std::collections::BTreeMap;

use headcount::decode::Provenance;
use headcount::engine::Combine;
use headcount::engine::inquiry::Unclosed;
use headcount::pipeline::PipelineFile;
use proptest::prelude::*;

use crate::harness::{self, Cut, difference};
use crate::reference::{self, Kept, Lateness, Options, Row, Scenario, Shape, Val};

use super::scene::concurrency_by;

const PARTITIONS: [&[&str]; 6] =
    [&[], &["stream_id"], &["country"], &["country", "device_type"], &["stream_id", "country"], &["viewer_id"]];

/// One concurrency table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Query {
    /// Size of the window in seconds.
    pub(super) seconds: i64,
    partition: &'static [&'static str],
    /// In seconds, if they are its own: the timeout of sessions and their retention; the timeouts of streams.
    own: [Option<(i64, i64)>; 2],
}

impl Query {
    pub(super) fn file(self, name: &str) -> PipelineFile {
        let names = [("SESSION_TIMEOUT", "CLOSED_RETENTION"), ("stream_timeout", "announced_timeout")];
        let own = names.into_iter().zip(self.own).filter_map(|(names, own)| Some((names, own?)));
        let timeouts: Vec<_> = own.flat_map(|((a, b), (x, y))| [(a, x), (b, y)]).collect();
        concurrency_by(name, self.seconds, self.partition, &timeouts)
    }

    /// Its rows by the reference, sorted.
    pub(super) fn expected(self, kept: &[Kept], job: Options) -> Vec<Row> {
        let (options, size) = (self.options(job), self.seconds * reference::SEC);
        let mut expected = reference::concurrency(kept, &options, size, self.partition);
        if self.partition != ["stream_id"] {
            // Only a table of streams names their channel.
            expected.iter_mut().for_each(|row| drop(row.remove("channel_id")));
        }
        expected.sort();
        expected
    }

    /// What it counts by in a job with these options.
    pub(super) fn options(self, job: Options) -> Options {
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
pub(super) fn queries(finest: &'static [i64], multiples: &'static [i64]) -> impl Strategy<Value = Vec<Query>> {
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

pub(super) fn options() -> impl Strategy<Value = Options> {
    let timeout = prop_oneof![Just(60i64), Just(90), 1..200i64];
    let retention = prop_oneof![Just(600i64), 1..900i64];
    let stream_timeout = prop_oneof![Just(120i64), 1..300i64];
    let announced_more = prop_oneof![3 => Just(None), 1 => (0..3_000i64).prop_map(Some)];
    let delay = prop_oneof![3 => Just(Some(30i64)), 2 => (0..200i64).prop_map(Some), 3 => Just(None)];
    (timeout, retention, stream_timeout, announced_more, delay).prop_map(
        |(timeout, retention, stream_timeout, announced_more, delay)| {
            let announced_timeout = announced_more.map(|more| (stream_timeout + more) * reference::SEC);
            let lateness = delay.map(|delay| Lateness::Replay { delay: delay * reference::SEC, allowed: 0 });
            Options {
                lateness: lateness.unwrap_or(Lateness::Ignore),
                session_timeout: timeout * reference::SEC,
                closed_retention: retention * reference::SEC,
                stream_timeout: stream_timeout * reference::SEC,
                announced_timeout: announced_timeout.unwrap_or(Options::default().announced_timeout),
                ..Options::default()
            }
        },
    )
}

#[derive(Debug, Clone)]
struct Setup {
    queries: Vec<Query>,
    options: Options,
    scenario: Scenario,
    records_a_read: usize,
    reversed: bool,
    /// Over how many shards the judged rows are dealt out, and how many of them a batch has.
    dealt: (u32, usize),
}

/// Answers of a table, by the instant that they are of.
type Answers = BTreeMap<i64, Unclosed>;

/// Asks for the unclosed windows of every table, twice, and keeps the answers.
fn ask(combine: &Combine, tables: &[PipelineFile], answers: &mut [Answers], problems: &mut Vec<String>) {
    for (table, answers) in tables.iter().zip(answers) {
        let answer = combine.unclosed(&table.name).unwrap();
        if combine.unclosed(&table.name).unwrap() != answer {
            problems.push(format!("{}: asked twice, it says another thing", table.name));
        }
        for unclosed in answer {
            let (name, of) = (&table.name, unclosed.window.as_of);
            match answers.insert(of, unclosed.clone()) {
                // The span of what is known may stay as it is; then so does what is known.
                Some(before) if before != unclosed => {
                    problems.push(format!("{name}: at {of} {before:?}, then {unclosed:?}"))
                }
                _ => {}
            }
        }
    }
}

/// What differs between an answer and the window that ends where presence is resolved to.
fn answer_problems(what: &str, unclosed: &Unclosed, kept: &[Kept], options: &Options, query: Query) -> Option<String> {
    let window = &unclosed.window;
    let size = query.seconds * reference::SEC;
    let holds = window.window_start < window.as_of && window.as_of <= window.window_end;
    if !holds || window.window_end - window.window_start != size || window.window_start % size != 0 {
        return Some(format!("{what}: no window of it holds the instant before {}: {window:?}", window.as_of));
    }
    let mut ours = harness::rows(&window.rows);
    let mut theirs: Vec<Row> =
        reference::concurrency_within(kept, options, (window.window_start, window.as_of), query.partition);
    for row in &mut ours {
        row.remove("window_time");
        if row.insert("window_end".to_owned(), Val::Int(window.as_of)) != Some(Val::Int(window.window_end)) {
            return Some(format!("{what}: rows of another window than {window:?}"));
        }
    }
    for row in &mut theirs {
        row.remove("revision");
        if query.partition != ["stream_id"] {
            row.remove("channel_id");
        }
    }
    ours.sort();
    theirs.sort();
    difference(&format!("{what}, unclosed at {}", window.as_of), &ours, &theirs)
}

/// Everything that differs from the reference, in words.
fn differences(runtime: &tokio::runtime::Runtime, setup: &Setup) -> Vec<String> {
    let finest = setup.queries.iter().map(|q| q.seconds).min().unwrap();
    let options = Options { finest_window: finest * reference::SEC, ..setup.options };
    let files: Vec<PipelineFile> =
        setup.queries.iter().enumerate().map(|(i, q)| q.file(&format!("query_{i}"))).collect();
    let records = setup.scenario.records(&options);
    let (mut answers, mut problems) = (vec![Answers::new(); files.len()], Vec::new());
    let (run, asked, stops, dealt) = runtime.block_on(async {
        let pipelines = harness::pipelines(&files, &options).await;
        let cut = Cut { records: setup.records_a_read, reversed: setup.reversed };
        let run = harness::run(&pipelines, &records, Provenance::Record, cut).await;
        let mut asking = |combine: &Combine| ask(combine, &files, &mut answers, &mut problems);
        let asked = harness::run_asking(&pipelines, &records, Provenance::Record, cut, &mut asking).await;
        let stops = harness::run_with_stops(&pipelines, &records, Provenance::Record, cut).await;
        let (shards, batch) = setup.dealt;
        let dealt = match run.judged.is_empty() {
            true => None,
            false => Some(harness::run_dealt(&pipelines, &run.judged, shards, batch).await),
        };
        (run, asked, stops, dealt)
    });
    if asked.emissions != run.emissions {
        problems.push("the windows of a run that was asked are not those of one that was not".to_owned());
    }
    let kept = reference::judge(&records, reference::Provenance::Record).kept;
    let late = harness::places(late(&kept, &options).map(|event| &event.place));
    let accepted = reference::accepted_for_concurrency(&kept, &options);
    problems.extend(run.counters.contradictions());
    ANSWERS.with_borrow_mut(|all| *all += answers.iter().map(Answers::len).sum::<usize>());
    for ((file, query), answers) in files.iter().zip(&setup.queries).zip(&answers) {
        let expected = query.expected(&kept, options);
        let (name, options) = (&file.name, query.options(options));
        let ignored = reference::presence(&accepted, &options).ignored.len() as u64;
        problems.extend(difference(name, &run.tables[name], &expected));
        problems.extend(difference(&format!("{name} with stops"), &stops.tables[name], &expected));
        let dealt = dealt.as_ref().map_or(&run, |dealt| dealt);
        problems.extend(difference(&format!("{name} dealt"), &dealt.tables[name], &expected));
        problems.extend(answers.values().filter_map(|a| answer_problems(name, a, &kept, &options, *query)));
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

/// Events that are late for presence.
pub(super) fn late<'k>(kept: &'k [Kept], options: &Options) -> impl Iterator<Item = &'k Kept> {
    kept.iter().filter(|e| e.stream().is_some() && options.is_late(e, options.finest_window))
}

thread_local! {
    /// How many answers were compared: a property of nothing would hold.
    static ANSWERS: RefCell<usize> = const { RefCell::new(0) };
}

fn check(cases: u32, shape: Shape, finest: &'static [i64], multiples: &'static [i64]) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let scenarios = (reference::scenarios(Shape { shards: SHARDS_MAX, ..shape }), 1..=SHARDS_MAX).prop_map(over_shards);
    let cut = (1..40usize, any::<bool>(), (1..9u32, 1..40usize));
    let setups = (queries(finest, multiples), options(), scenarios, cut).prop_map(
        |(queries, options, scenario, (records_a_read, reversed, dealt))| Setup {
            queries,
            options,
            scenario,
            records_a_read,
            reversed,
            dealt,
        },
    );
    harness::hold(cases, 1_500, &setups, |setup| differences(&runtime, &setup));
    let answers = ANSWERS.take();
    assert!(4 * answers > cases as usize, "asked in vain: {answers} answers in {cases} cases");
}

pub(super) const SHARDS_MAX: u8 = 6;

/// The same events over so many shards.
pub(super) fn over_shards((mut scenario, shards): (Scenario, u8)) -> Scenario {
    for step in &mut scenario.steps {
        step.shard %= shards;
        step.repeat = step.repeat.map(|(shard, later)| (shard % shards, later));
    }
    scenario
}

#[test]
fn any_windows_and_partition_equal_the_reference() {
    check(60, Shape { steps: 50, equal_ids: true, ..Shape::default() }, &[5, 10, 15, 60], &[1, 2, 3, 4, 6, 12]);
}

#[test]
fn records_that_hold_several_events_equal_the_reference() {
    check(30, Shape { steps: 50, arrays: true, ..Shape::default() }, &[10, 60], &[1, 3, 6]);
}

#[test]
fn long_gaps_equal_the_reference() {
    check(
        40,
        Shape { steps: 40, long_gaps: true, equal_ids: true, ..Shape::default() },
        &[900, 3_600],
        &[1, 2, 24, 96],
    );
}
