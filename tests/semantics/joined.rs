//! Presence beside counts of rows, in one query: whatever the windows, the rows and the lateness, what a `FULL JOIN` gives is what the
//! brute-force references of both say, put together by hand.

use std::collections::{BTreeMap, BTreeSet};

use headcount::decode::Provenance;
use headcount::pipeline::PipelineFile;
use proptest::prelude::*;

use crate::harness::{self, Cut, Run, difference};
use crate::reference::{self, Kept, Lateness, Options, Place, Row, SEC, Scenario, Shape, Val};

use super::scene::{Job, late, lines, pipeline, scene};

/// Viewers and events of each stream over windows of `seconds`, of the events that `condition` lets through.
fn viewers_and_events(seconds: i64, header: &str, condition: &str) -> PipelineFile {
    let sql = format!(
        "SELECT COALESCE(v.window_start, e.window_start) AS window_start, COALESCE(v.window_end, e.window_end) AS window_end,
           COALESCE(v.stream_id, e.stream_id) AS stream_id, v.viewers_avg, v.viewers_max, e.events
         FROM TABLE(CONCURRENCY(TABLE user_events PARTITION BY stream_id, DESCRIPTOR(event_time), INTERVAL '{seconds}' SECOND)) v
         FULL JOIN (
           SELECT window_start, window_end, stream_id, COUNT(*) AS events
           FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '{seconds}' SECOND))
           WHERE {condition} GROUP BY window_start, window_end, stream_id
         ) e ON v.window_start = e.window_start AND v.window_end = e.window_end AND v.stream_id = e.stream_id"
    );
    pipeline("table", &format!("keys = [\"stream_id\"]\n{header}"), &sql)
}

fn rows(run: &Run) -> Vec<String> {
    lines(&run.tables["table"], "window_start revision stream_id viewers_max events")
}

#[test]
fn a_window_has_what_either_side_has() {
    let job = Job::new(&[viewers_and_events(60, "", "event_type LIKE 'chat.%'")], Options::default());
    let run = job.run(&scene("J10 C20 C130 C200"));
    assert_eq!(
        rows(&run),
        ["0 0 other null 1", "0 0 s 1 null", "60 0 s 1 null", "120 0 other null 1", "180 0 other null 1"]
    );
}

#[test]
fn late_rows_are_counted_beside_the_presence_of_before() {
    let header = "allowed_lateness_secs = 60";
    let job = Job::new(&[viewers_and_events(60, header, "event_type LIKE 'view.%'")], Options::default());
    // At C100 the watermark is 70: H50 and B are late, and change no presence; the last one is later than that.
    let run = job.run(&scene("J10 L30 C100 H50 B:J55 C160 H40 C250"));
    assert_eq!(rows(&run), ["0 0 s 1 2", "0 1 s 1 4"]);
    assert_eq!(late(&run, "table"), ["0/7"]);
}

/// A row may be late for the finest window of presence, and in time for its own: then no event is known by which presence goes.
#[test]
fn a_window_that_presence_knows_nothing_of_waits_for_the_next_event() {
    let finer = super::scene::concurrency("finer", 10, &[]);
    let job = Job::new(&[viewers_and_events(60, "", "TRUE"), finer], Options::default());
    // At C100 the watermark is 70: the bucket of H65 is over, its window is not.
    let run = job.run(&scene("z~C100@100 H65@100 C400"));
    assert_eq!(rows(&run), ["60 0 other null 1", "60 0 s null 1", "360 0 other null 1"]);
    // Without a next one it is out at the end of all input.
    let run = job.run(&scene("U100@100 H65@100"));
    assert_eq!(rows(&run), ["60 0 null null 1", "60 0 s null 1"]);
}

/// Events that are late for the finest window and in time for their own, from one minute to the next: presence goes by none of them.
const LATE_FOR_PRESENCE: &str = "H65@135 C125@195 C185@255 C245@315";

#[test]
fn where_nobody_is_present_a_window_does_not_wait_for_the_next_event() {
    let files = [
        pipeline("minutes", "keys = []", "SELECT window_start, window_end, COUNT(*) AS n
            FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end"),
        viewers_and_events(60, "", "TRUE"),
        super::scene::concurrency("finer", 10, &[]),
    ];
    let job = Job::new(&files, Options::default());
    // (table, second at which the window ends), in the order in which they come.
    let emitted = |text: &str| {
        let emissions = job.run(&scene(text)).emissions;
        let of_minutes = emissions.iter().filter(|e| e.pipeline < 2);
        of_minutes.map(|e| (e.pipeline, (e.window_end - super::scene::ZERO) / SEC)).collect::<Vec<_>>()
    };
    let side_by_side =
        [(0, 60), (1, 60), (0, 120), (1, 120), (0, 180), (1, 180), (0, 240), (1, 240), (0, 300), (1, 300)];
    assert_eq!(emitted(&format!("J10@10 L20@20 {LATE_FOR_PRESENCE}")), side_by_side);
    // Who is present would be there in the next window too, if an event told of it: the end of the input says that none does.
    let waits = [(0, 60), (1, 60), (0, 120), (0, 180), (0, 240), (0, 300), (1, 120), (1, 180), (1, 240), (1, 300)];
    assert_eq!(emitted(&format!("J10@10 {LATE_FOR_PRESENCE}")), waits);
}

#[derive(Debug, Clone)]
struct Setup {
    seconds: i64,
    /// In seconds.
    allowed: i64,
    condition: &'static str,
    /// Whether a finer table of presence decides on its lateness.
    finer: bool,
    ignore: bool,
    scenario: Scenario,
    cut: Cut,
}

const CONDITIONS: [&str; 3] = ["TRUE", "event_type = 'chat.message_sent'", "event_type LIKE 'view.%'"];

fn passes(condition: &str, event: &Kept) -> bool {
    match condition {
        "TRUE" => true,
        "event_type LIKE 'view.%'" => event.event_type().starts_with("view."),
        _ => event.event_type() == "chat.message_sent",
    }
}

/// What the references of both sides say together: rows, and which events are late.
fn expected(kept: &[Kept], setup: &Setup, options: &Options) -> (Vec<Row>, BTreeSet<Place>) {
    let size = setup.seconds * SEC;
    let counted: Vec<Kept> = kept.iter().filter(|e| passes(setup.condition, e)).cloned().collect();
    let counts = reference::hopping(&counted, options, (size, size), Some("stream_id"));
    let lateness = match options.lateness {
        Lateness::Replay { delay, .. } => Lateness::Replay { delay, allowed: 0 },
        Lateness::Ignore => Lateness::Ignore,
    };
    let of_presence = Options { lateness, ..*options };
    let key = |row: &Row| (row["window_start"].clone(), row["stream_id"].clone());
    let presence: BTreeMap<_, Row> = reference::concurrency(kept, &of_presence, size, &["stream_id"])
        .into_iter()
        .map(|row| (key(&row), row))
        .collect();
    let joined = |at: &(Val, Val), revision: i64, events: Val| -> Row {
        let Val::Int(start) = at.0 else { panic!("windows are times") };
        let of_viewers = |name: &str| presence.get(at).map_or(Val::Null, |row| row[name].clone());
        [
            ("window_start", at.0.clone()),
            ("window_end", Val::Int(start + size)),
            ("revision", Val::Int(revision)),
            ("stream_id", at.1.clone()),
            ("viewers_avg", of_viewers("viewers_avg")),
            ("viewers_max", of_viewers("viewers_max")),
            ("events", events),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    };
    let mut rows: Vec<Row> = counts
        .rows
        .iter()
        .map(|row| (row, key(row)))
        .map(|(row, at)| (joined_revision(row), at, row["events"].clone()))
        .map(|(revision, at, events)| joined(&at, revision, events))
        .collect();
    let on_time: BTreeSet<_> = counts.rows.iter().filter(|row| joined_revision(row) == 0).map(key).collect();
    rows.extend(presence.keys().filter(|at| !on_time.contains(at)).map(|at| joined(at, 0, Val::Null)));
    rows.sort();
    // Late is who is late for one side, and in time for none.
    let late_of_presence = |e: &&Kept| e.stream().is_some() && of_presence.is_late(e, of_presence.finest_window);
    let late_of_counts: BTreeSet<Place> = counts.late.into_iter().collect();
    let taken = |e: &&Kept| {
        passes(setup.condition, e) && !late_of_counts.contains(&e.place) || e.stream().is_some() && !late_of_presence(e)
    };
    let late = |e: &&Kept| !taken(e) && (late_of_presence(e) || late_of_counts.contains(&e.place));
    (rows, kept.iter().filter(late).map(|e| e.place.clone()).collect())
}

fn joined_revision(row: &Row) -> i64 {
    match row["revision"] {
        Val::Int(revision) => revision,
        ref other => panic!("{other:?}"),
    }
}

fn differences(runtime: &tokio::runtime::Runtime, setup: &Setup) -> Vec<String> {
    let lateness = Lateness::Replay { delay: 30 * SEC, allowed: setup.allowed * SEC };
    let finest = if setup.finer { 5 } else { setup.seconds };
    let options = Options { lateness, finest_window: finest * SEC, ..Options::default() };
    let options = if setup.ignore { options.ignoring_lateness() } else { options };
    let records = setup.scenario.records(&options);
    let kept = reference::judge(&records, reference::Provenance::Record).kept;
    let (expected, late) = expected(&kept, setup, &options);
    let late = harness::places(late.iter());
    let header = format!("allowed_lateness_secs = {}", setup.allowed);
    let mut files = vec![viewers_and_events(setup.seconds, &header, setup.condition)];
    if setup.finer {
        files.push(super::scene::concurrency("finer", finest, &[]));
    }
    runtime.block_on(async {
        let pipelines = harness::pipelines(&files, &options).await;
        let run = harness::run(&pipelines, &records, Provenance::Record, setup.cut).await;
        let mut problems = harness::problems("a run", &run, &expected, &late);
        let stops = harness::run_with_stops(&pipelines, &records, Provenance::Record, setup.cut).await;
        problems.extend(harness::problems("stops", &stops, &expected, &late));
        if !run.judged.is_empty() {
            for shards in [1, 3] {
                let dealt = harness::run_dealt(&pipelines, &run.judged, shards, 7).await;
                problems.extend(difference(&format!("dealt over {shards}"), &dealt.tables["table"], &expected));
            }
        }
        problems
    })
}

#[test]
fn presence_beside_counts_equals_the_references() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for (cases, long_gaps, seconds) in [(30, false, vec![10i64, 15, 60]), (10, true, vec![900, 3_600])] {
        let scenarios = reference::scenarios(Shape { steps: 40, long_gaps, ..Shape::default() });
        let allowed = prop_oneof![Just(0i64), Just(10), 1..300i64];
        let cut = (1..40usize, any::<bool>()).prop_map(|(records, reversed)| Cut { records, reversed });
        let query = (prop::sample::select(seconds), allowed, prop::sample::select(&CONDITIONS[..]), any::<bool>());
        let setups = (query, prop::bool::weighted(0.2), scenarios, cut).prop_map(
            |((seconds, allowed, condition, finer), ignore, scenario, cut)| Setup {
                seconds,
                allowed,
                condition,
                finer,
                ignore,
                scenario,
                cut,
            },
        );
        harness::hold(cases, 1_500, &setups, |setup| differences(&runtime, &setup));
    }
}
