//! Windows that hop: which windows an event is in, lateness for some of them, revisions, what runs over them; and, whatever the query,
//! that they equal the brute-force reference.

use headcount::decode::Provenance;
use headcount::pipeline::PipelineFile;
use proptest::prelude::*;
use serde_json::json;

use crate::harness::{self, Cut, Run, difference};
use crate::reference::{self, Lateness, Options, SEC, Scenario, Shape};

use super::scene::{Job, int, late, lines, pipeline, scene, spread};

/// Windows of a minute, one every 20 seconds: counts by stream.
fn by_stream(header: &str, tail: &str) -> PipelineFile {
    let sql = format!(
        "SELECT window_start, window_end, stream_id, COUNT(*) AS events, MAX(channel_id) AS channel
         FROM TABLE(HOP(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '20' SECOND, INTERVAL '1' MINUTE))
         GROUP BY window_start, window_end, stream_id {tail}"
    );
    pipeline("table", &format!("keys = [\"stream_id\"]\n{header}"), &sql)
}

fn run(file: PipelineFile, text: &str) -> Run {
    Job::new(&[file], Options::default()).run(&scene(text))
}

fn rows(run: &Run) -> Vec<String> {
    lines(&run.tables["table"], "window_start revision stream_id events")
}

#[test]
fn an_event_is_in_every_window_that_holds_it() {
    let file = pipeline(
        "table",
        "keys = []",
        "SELECT window_start, window_end, window_time, COUNT(*) AS events
         FROM TABLE(HOP(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '20' SECOND, INTERVAL '1' MINUTE))
         GROUP BY window_start, window_end, window_time",
    );
    // Nothing is between 30 and 300: windows without events have no rows.
    let run = run(file, "U0 U19 U20 U300");
    assert_eq!(
        lines(&run.tables["table"], "window_start window_end window_time events"),
        [
            "-40 20 19.999 2",
            "-20 40 39.999 3",
            "0 60 59.999 3",
            "20 80 79.999 1",
            "260 320 319.999 1",
            "280 340 339.999 1",
            "300 360 359.999 1",
        ]
    );
    assert_eq!((run.counters.pipelines["table"].in_windows, run.counters.pipelines["table"].partly_late), (4, 0));
}

#[test]
fn a_row_that_is_late_for_some_of_its_windows_is_in_the_others_and_counted_apart() {
    // At C95 the watermark is 65: [-20,40) and [0,60) were emitted, [20,80) was not.
    let run = run(by_stream("", ""), "C10 C95 Q30 Q15");
    assert_eq!(
        rows(&run),
        ["-40 0 other 1", "-20 0 other 1", "0 0 other 1", "20 0 s 1", "40 0 other 1", "60 0 other 1", "80 0 other 1"]
    );
    assert_eq!(late(&run, "table"), ["0/4"], "late for all: whole");
    let counts = run.counters.pipelines["table"];
    assert_eq!((counts.in_windows, counts.late, counts.partly_late), (3, 1, 1));
}

#[test]
fn each_window_is_revised_by_what_it_allows() {
    // At C95 the watermark is 65: Q30 is on time for [20,80), within the 20 s of [0,60) and late for [-20,40).
    let run = run(by_stream("allowed_lateness_secs = 20", ""), "C10 Q21 C95 Q30");
    assert_eq!(
        rows(&run),
        [
            "-40 0 other 1",
            "-20 0 other 1",
            "-20 0 s 1",
            "0 0 other 1",
            "0 0 s 1",
            "0 1 s 2",
            "20 0 s 2",
            "40 0 other 1",
            "60 0 other 1",
            "80 0 other 1",
        ]
    );
    assert_eq!((late(&run, "table").len(), run.counters.pipelines["table"].partly_late), (0, 1));
}

#[test]
fn a_window_of_which_everything_came_after_its_end_is_revision_1() {
    let run = run(by_stream("allowed_lateness_secs = 60", ""), "C125 Q30");
    // At C125 the watermark is 95: the three windows of Q30 have ended, and the first is past what is allowed at 100.
    let of_stream: Vec<String> = rows(&run).into_iter().filter(|row| row.contains(" s ")).collect();
    assert_eq!(of_stream, ["-20 1 s 1", "0 1 s 1", "20 1 s 1"]);
}

#[test]
fn the_verdict_is_of_the_rows_own_shard() {
    // Shard 0 is past [0,60), shard 1 past nothing.
    let run = run(by_stream("", ""), "0/C95 0/Q30 1/Q31 1/Q90");
    let of_stream: Vec<String> = rows(&run).into_iter().filter(|row| row.contains(" s ")).collect();
    assert_eq!(of_stream, ["-20 0 s 1", "0 0 s 1", "20 0 s 2", "40 0 s 1", "60 0 s 1", "80 0 s 1"]);
}

#[test]
fn a_slide_as_long_as_the_window_is_a_tumbling_window() {
    let query = |call: &str| {
        let sql = format!(
            "SELECT window_start, window_end, stream_id, COUNT(*) AS events, COUNT(DISTINCT session_id) AS sessions
             FROM TABLE({call}) GROUP BY window_start, window_end, stream_id"
        );
        pipeline("table", "keys = [\"stream_id\"]\nallowed_lateness_secs = 60", &sql)
    };
    let tumble = query("TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)");
    let hop = query("HOP(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '60' SECOND, INTERVAL '1' MINUTE)");
    let events = "C10 Q20 C95 Q30 z~Q35 C149 Q36 C150 Q40";
    let (tumble, hop) = (run(tumble, events), run(hop, events));
    assert_eq!(tumble.tables, hop.tables);
    assert_eq!((tumble.late, tumble.counters), (hop.late, hop.counters));
}

#[test]
fn arguments_may_be_named_in_any_order() {
    let query = |call: &str| {
        let sql = format!(
            "SELECT window_start, window_end, COUNT(*) AS events FROM TABLE({call}) GROUP BY window_start, window_end"
        );
        pipeline("table", "keys = []", &sql)
    };
    let tables = |call: &str| run(query(call), "U0 U19 U70").tables;
    let by_place = tables("HOP(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '20' SECOND, INTERVAL '1' MINUTE)");
    let slide_and_size = "SLIDE => INTERVAL '20' SECOND, SIZE => INTERVAL '1' MINUTE";
    assert_eq!(
        by_place,
        tables(&format!("HOP(DATA => TABLE user_events, TIMECOL => DESCRIPTOR(event_time), {slide_and_size})"))
    );
    assert_eq!(
        by_place,
        tables(&format!("hop({slide_and_size}, timecol => DESCRIPTOR(event_time), data => TABLE user_events)"))
    );
    let tumble = "TUMBLE(DATA => TABLE user_events, TIMECOL => DESCRIPTOR(event_time), SIZE => INTERVAL '1' MINUTE)";
    assert_eq!(tables(tumble), tables("TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)"));
}

#[test]
fn the_rest_of_the_query_runs_over_each_window() {
    let file = pipeline(
        "table",
        "keys = [\"place\"]",
        "WITH views AS (SELECT event_time, stream_id FROM user_events WHERE event_type = 'stream.quality_changed'),
         counted AS (
           SELECT window_start, window_end, stream_id, COUNT(*) AS events
           FROM TABLE(HOP(TABLE views, DESCRIPTOR(event_time), INTERVAL '30' SECOND, INTERVAL '1' MINUTE))
           GROUP BY window_start, window_end, stream_id)
         SELECT window_start, window_end, place, stream_id, events FROM (
           SELECT *, ROW_NUMBER() OVER (ORDER BY events DESC, stream_id) AS place FROM counted
           WHERE window_end > window_start)
         WHERE place = 1",
    );
    let run = run(file, "0/a~Q0 1/b~Q10 0/b~Q20 1/a~Q40 0/a~Q50 C59");
    assert_eq!(
        lines(&run.tables["table"], "window_start place stream_id events"),
        ["-30 1 b 2", "0 1 a 3", "30 1 a 2"]
    );
}

#[test]
fn two_results_of_the_same_windows_are_joined_window_by_window() {
    let windowed = |types: &str| {
        format!(
            "SELECT window_start, window_end, COUNT(*) AS n
             FROM TABLE(HOP(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '30' SECOND, INTERVAL '1' MINUTE))
             WHERE event_type = '{types}' GROUP BY window_start, window_end"
        )
    };
    let sql = format!(
        "SELECT a.window_start, a.window_end, a.n AS started, b.n AS ended FROM ({}) a LEFT JOIN ({}) b
         ON a.window_start = b.window_start AND a.window_end = b.window_end",
        windowed("view.started"),
        windowed("view.ended")
    );
    // L10 comes when the watermark is 40: late for [-30,30) of its windows, in both halves of the query or none.
    let run = run(pipeline("table", "keys = []", &sql), "J5 J70 L10");
    assert_eq!(
        lines(&run.tables["table"], "window_start started ended"),
        ["-30 1 null", "0 1 1", "30 1 null", "60 1 null"]
    );
    let counts = run.counters.pipelines["table"];
    assert_eq!((counts.in_windows, counts.late, counts.partly_late, counts.filtered), (3, 0, 1, 0));
}

#[test]
fn an_hour_by_10_seconds_is_the_sum_of_its_panes() {
    let query = |name: &str, call: &str| {
        let sql = format!(
            "SELECT window_start, window_end, COUNT(*) AS events, COUNT(DISTINCT viewer_id) AS viewers
             FROM TABLE({call}) WHERE event_type = 'view.heartbeat' GROUP BY window_start, window_end"
        );
        pipeline(name, "keys = []", &sql)
    };
    let hop = "HOP(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND, INTERVAL '1' HOUR)";
    let text: Vec<String> = (0..1_500).map(|i| format!("v{}:H{}!{i}", i * i % 97, i * 5 + i % 3)).collect();
    let events = spread(&scene(&text.join(" ")), 3);
    let run = Job::new(&[query("table", hop)], Options::default()).run(&events);
    let of = |from: i64| -> (i64, i64) {
        let inside = (0..1_500).filter(|i| (from..from + 3_600).contains(&(i * 5 + i % 3)));
        let viewers: std::collections::BTreeSet<i64> = inside.clone().map(|i| i * i % 97).collect();
        (inside.count() as i64, viewers.len() as i64)
    };
    let table = &run.tables["table"];
    assert_eq!(table.len(), 360 + 749, "a window ends every 10 s from the first event's pane on");
    for row in table {
        let from = (int(row, "window_start") - super::scene::ZERO) / SEC;
        assert_eq!((int(row, "events"), int(row, "viewers")), of(from), "the hour from {from}");
    }
}

/// One table of windows that hop.
#[derive(Debug, Clone, Copy)]
struct Query {
    /// In seconds.
    slide: i64,
    panes: i64,
    key: Option<&'static str>,
    /// In seconds.
    allowed: i64,
    /// The delay of its watermark in seconds, if it is not the job's.
    delay: Option<i64>,
}

impl Query {
    fn file(self) -> PipelineFile {
        let (comma, keys) = self.key.map_or((String::new(), String::new()), |k| (format!(", {k}"), format!("\"{k}\"")));
        let sql = format!(
            "SELECT window_start, window_end{comma}, COUNT(*) AS events, COUNT(DISTINCT viewer_id) AS viewers,
               COALESCE(SUM(played_ms), 0) AS played_ms, MIN(event_time) AS first, MAX(event_id) AS last_id,
               PERCENTILE(startup_ms, 0.5) AS startup_p50
             FROM TABLE(HOP(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '{}' SECOND, INTERVAL '{}' SECOND))
             GROUP BY window_start, window_end{comma}",
            self.slide,
            self.slide * self.panes,
        );
        let delay = self.delay.map_or(String::new(), |secs| format!("\nwatermark_delay_secs = {secs}"));
        pipeline("table", &format!("keys = [{keys}]\nallowed_lateness_secs = {}{delay}", self.allowed), &sql)
    }
}

fn queries() -> impl Strategy<Value = Query> {
    let key = prop::sample::select(vec![None, Some("stream_id"), Some("country"), Some("event_type")]);
    let slide = prop::sample::select(vec![1i64, 3, 5, 10, 20, 60]);
    let panes = prop::sample::select(vec![1i64, 2, 3, 4, 5, 6, 7, 12, 30]);
    let allowed = prop_oneof![Just(0i64), Just(10), Just(60), 1..300i64];
    let delay = prop::option::of(prop::sample::select(vec![0i64, 1, 10, 31, 60, 300]));
    (slide, panes, key, allowed, delay).prop_map(|(slide, panes, key, allowed, delay)| Query {
        slide,
        panes,
        key,
        allowed,
        delay,
    })
}

#[derive(Debug, Clone)]
struct Setup {
    query: Query,
    ignore: bool,
    scenario: Scenario,
    cut: Cut,
}

/// Everything that differs from the reference, in words: of a run, of one that stops after every read, of rows dealt over other shards.
fn differences(runtime: &tokio::runtime::Runtime, setup: &Setup) -> Vec<String> {
    let lateness = Lateness::Replay { delay: 30 * SEC, allowed: setup.query.allowed * SEC };
    let options = Options { lateness, ..Options::default() };
    let options = if setup.ignore { options.ignoring_lateness() } else { options };
    let records = setup.scenario.records(&options);
    let kept = reference::judge(&records, reference::Provenance::Record).kept;
    let windows = (setup.query.slide * SEC, setup.query.slide * setup.query.panes * SEC);
    let own = Lateness::Replay { delay: setup.query.delay.unwrap_or(30) * SEC, allowed: setup.query.allowed * SEC };
    let own = if setup.ignore { options } else { Options { lateness: own, ..options } };
    let expected = reference::hopping(&kept, &own, windows, setup.query.key);
    let late = harness::places(expected.late.iter());
    let compare = |what: &str, run: &Run| {
        let mut problems = harness::problems(what, run, &expected.rows, &late);
        let partly_late = run.counters.pipelines["table"].partly_late;
        if partly_late != expected.partly_late {
            problems.push(format!("{what}: {partly_late} partly late, the reference {}", expected.partly_late));
        }
        problems
    };
    runtime.block_on(async {
        let pipelines = harness::pipelines(&[setup.query.file()], &options).await;
        let run = harness::run(&pipelines, &records, Provenance::Record, setup.cut).await;
        let mut problems = compare("a run", &run);
        let stops = harness::run_with_stops(&pipelines, &records, Provenance::Record, setup.cut).await;
        problems.extend(compare("stops", &stops));
        if !run.judged.is_empty() {
            let dealt = harness::run_dealt(&pipelines, &run.judged, 3, 7).await;
            problems.extend(difference("dealt", &dealt.tables["table"], &expected.rows));
        }
        problems
    })
}

#[test]
fn any_windows_that_hop_equal_the_reference() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let scenarios = reference::scenarios(Shape { steps: 50, arrays: true, ..Shape::default() });
    let cut = (1..40usize, any::<bool>()).prop_map(|(records, reversed)| Cut { records, reversed });
    let setups = (queries(), prop::bool::weighted(0.2), scenarios, cut)
        .prop_map(|(query, ignore, scenario, cut)| Setup { query, ignore, scenario, cut });
    harness::hold(80, 1_500, &setups, |setup| differences(&runtime, &setup));
}

#[test]
fn exact_aggregates_do_not_depend_on_how_events_are_spread() {
    let file = pipeline(
        "table",
        "keys = [\"country\"]",
        "SELECT window_start, window_end, country,
           COUNT(*) FILTER (WHERE event_type = 'view.started') AS starts,
           AVG(played_ms) AS played_avg, SUM(played_ms) FILTER (WHERE played_ms > 10) AS long_ms,
           PERCENTILE(played_ms, 0.9) AS p90, MIN(session_id) AS first_session, COUNT(DISTINCT played_ms) AS different
         FROM TABLE(HOP(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '5' SECOND, INTERVAL '35' SECOND))
         GROUP BY window_start, window_end, country",
    );
    let countries = ["DE", "FR", "-"];
    let text: Vec<String> = (0..200).map(|i| format!("v{}:H{}#{}!{i}", i % 11, i, countries[i % 3])).collect();
    let played = |i: usize| json!((i * 37 % 50) as i64);
    let events: Vec<_> =
        scene(&text.join(" ")).into_iter().enumerate().map(|(i, e)| e.with("played_ms", played(i))).collect();
    let job = Job::new(&[file], Options::default());
    let one = job.run(&events).tables;
    for shards in [2, 5] {
        assert_eq!(job.run(&spread(&events, shards)).tables, one, "over {shards} shards");
    }
    assert!(one["table"].len() > 100);
}
