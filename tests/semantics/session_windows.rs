//! Windows that are sessions: where they begin and end, which rows are late, which join, what runs over them; and, whatever the query,
//! that they equal the brute-force reference.

use std::sync::Arc;

use headcount::decode::Provenance;
use headcount::engine::{Combine, ShardMessage, ShardStage};
use headcount::pipeline::PipelineFile;
use proptest::prelude::*;

use crate::harness::{self, Cut, Run, difference};
use crate::reference::{self, Kept, Lateness, Options, SEC, Scenario, Shape};

use super::scene::{Job, at, late, lines, pipeline, records, scene, spread};

/// Sessions of a session id with a gap of 20 seconds, by these columns.
fn by_session(columns: &str) -> PipelineFile {
    let sql = format!(
        "SELECT window_start, window_end, {columns}, COUNT(*) AS events
         FROM TABLE(SESSION(TABLE user_events PARTITION BY session_id, DESCRIPTOR(event_time), INTERVAL '20' SECOND))
         WHERE event_type LIKE 'view.%' GROUP BY window_start, window_end, {columns}"
    );
    pipeline("table", "keys = [\"session_id\"]", &sql)
}

fn run(file: PipelineFile, text: &str) -> Run {
    Job::new(&[file], Options::default()).run(&scene(text))
}

fn rows(text: &str) -> Vec<String> {
    lines(&run(by_session("session_id"), text).tables["table"], "session_id window_start window_end events")
}

#[test]
fn a_session_ends_a_gap_after_its_last_event() {
    assert_eq!(rows("J0 H20 H41"), ["A 0 40 2", "A 41 61 1"], "exactly a gap apart is one session");
    assert_eq!(rows("J0 b:J5 H10 b:H26"), ["A 0 30 2", "b 5 25 1", "b 26 46 1"]);
    assert_eq!(rows("0/J0 1/H20 2/H40 0/H60"), ["A 0 80 4"], "whichever shard they come through");
}

#[test]
fn an_event_out_of_order_joins_two_sessions_up() {
    assert_eq!(rows("J0 H40"), ["A 0 20 1", "A 40 60 1"]);
    assert_eq!(rows("J0 H40 H20"), ["A 0 60 3"]);
    assert_eq!(rows("0/J0 1/H40 2/H20 1/H21"), ["A 0 60 4"]);
    assert_eq!(rows("J30 H12 H5"), ["A 5 50 3"], "what begins earlier than it seemed");
}

/// As in Flink SQL, whose planner puts the condition below the windows too: with `WHERE` a session is of the rows that it lets through.
#[test]
fn a_row_that_a_condition_drops_holds_no_session_open() {
    let all = "event_type LIKE 'view.%'";
    let started = "event_type IN ('view.started', 'view.ended')";
    let query = |condition: &str, filter: &str| {
        let file = by_session("session_id");
        let sql = file.sql.replace(all, condition).replace("COUNT(*)", &format!("COUNT(*){filter}"));
        let run = run(pipeline("table", "keys = [\"session_id\"]", &sql), "J0 H15 L30");
        lines(&run.tables["table"], "session_id window_start window_end events")
    };
    assert_eq!(query(started, ""), ["A 0 20 1", "A 30 50 1"]);
    // What is only not counted is a row of the session all the same.
    assert_eq!(query(all, &format!(" FILTER (WHERE {started})")), ["A 0 50 2"]);
}

#[test]
fn an_event_is_late_if_the_session_that_it_alone_makes_is_over() {
    // At C95 the watermark is 65.
    let run = run(by_session("session_id"), "C95 b:H45 H46");
    assert_eq!(lines(&run.tables["table"], "session_id window_start window_end"), ["A 46 66"]);
    assert_eq!(late(&run, "table"), ["0/2"]);
    let counts = run.counters.pipelines["table"];
    assert_eq!((counts.in_windows, counts.late, counts.partly_late, counts.filtered), (1, 1, 0, 1));
}

#[test]
fn an_event_does_not_join_what_had_ended_when_it_was_read() {
    // H40 makes a session until 60; when H50 is read, the watermark of its shard is 65.
    assert_eq!(rows("H40 C95 H50"), ["A 40 60 1", "A 50 70 1"]);
    // An event of another shard, read in time, holds it open until 75: one session.
    assert_eq!(rows("0/H40 1/H55 0/C95 0/H50"), ["A 40 75 3"]);
    // The same event, read by its shard when that was as far.
    assert_eq!(rows("0/H40 1/C95 1/H55 0/C95 0/H50"), ["A 40 60 1", "A 50 75 2"]);
}

#[test]
fn further_columns_group_inside_of_a_session() {
    let run = run(by_session("event_type, session_id"), "J0 H10 H20 b:J0 L25");
    assert_eq!(
        lines(&run.tables["table"], "session_id event_type window_start window_end events"),
        ["A view.ended 0 45 1", "A view.heartbeat 0 45 2", "A view.started 0 45 1", "b view.started 0 20 1"]
    );
}

#[test]
fn null_is_a_key_of_its_own() {
    let file = pipeline(
        "table",
        "keys = [\"country\", \"stream_id\"]",
        "SELECT window_start, window_end, country, stream_id, COUNT(*) AS events
         FROM TABLE(SESSION(TABLE user_events PARTITION BY country, stream_id, DESCRIPTOR(event_time), INTERVAL '20' SECOND))
         GROUP BY window_start, window_end, country, stream_id",
    );
    let run = run(file, "J0#DE J10 J20#DE J35 z~J30");
    assert_eq!(
        lines(&run.tables["table"], "country stream_id window_start window_end events"),
        ["null s 10 30 1", "null s 35 55 1", "null z 30 50 1", "DE s 0 40 2"]
    );
}

#[test]
fn arguments_may_be_named_and_columns_in_brackets() {
    let query = |call: &str| {
        let sql = format!(
            "SELECT window_start, window_end, window_time, stream_id, session_id, COUNT(*) AS events FROM TABLE({call})
             GROUP BY window_start, window_end, window_time, stream_id, session_id"
        );
        pipeline("table", "keys = [\"session_id\"]", &sql)
    };
    let tables = |call: &str| run(query(call), "J0 H19 H70").tables;
    let gap = "INTERVAL '20' SECOND";
    let by_place = tables(&format!(
        "SESSION(TABLE user_events PARTITION BY stream_id, session_id, DESCRIPTOR(event_time), {gap})"
    ));
    let times = lines(&by_place["table"], "window_start window_end window_time events");
    assert_eq!(times, ["0 39 38.999 2", "70 90 89.999 1"]);
    let named = format!("TIMECOL => DESCRIPTOR(event_time), GAP => {gap}");
    let data = "TABLE user_events PARTITION BY";
    assert_eq!(by_place, tables(&format!("SESSION(DATA => {data} stream_id, session_id, {named})")));
    assert_eq!(by_place, tables(&format!("session({data} (session_id, stream_id), DESCRIPTOR(event_time), {gap})")));
    assert_eq!(by_place, tables(&format!("SESSION({named}, DATA => {data} (stream_id, session_id))")));
}

#[test]
fn the_rest_of_the_query_runs_over_each_session() {
    let file = pipeline(
        "table",
        "keys = [\"place\"]",
        "WITH views AS (SELECT event_time, stream_id AS stream, viewer_id FROM user_events WHERE event_type LIKE 'view.%'),
         counted AS (
           SELECT window_start, window_end, stream, viewer_id, COUNT(*) AS events
           FROM TABLE(SESSION(TABLE views PARTITION BY stream, DESCRIPTOR(event_time), INTERVAL '20' SECOND))
           GROUP BY window_start, window_end, stream, viewer_id)
         SELECT window_start, window_end, place, stream, viewer_id, events FROM (
           SELECT *, ROW_NUMBER() OVER (ORDER BY events DESC, stream) AS place FROM counted)
         WHERE place <= 2",
    );
    // Streams y and z have sessions of the same bounds, which are one window.
    let run = run(file, "y~a:J0 z~b:J0 z~c:J0 s~a:J1 s~b:H2 y~d:J30 z~b:H30 z~b:H30!h");
    assert_eq!(
        lines(&run.tables["table"], "window_start window_end place stream viewer_id events"),
        [
            "0 20 1 y viewer a 1",
            "0 20 2 z viewer b 1",
            "1 22 1 s viewer a 1",
            "1 22 2 s viewer b 1",
            "30 50 1 z viewer b 2",
            "30 50 2 y viewer d 1",
        ]
    );
}

#[test]
fn two_results_of_the_same_sessions_are_joined() {
    let windowed = |types: &str| {
        format!(
            "SELECT window_start, window_end, session_id, COUNT(*) FILTER (WHERE event_type = '{types}') AS n
             FROM TABLE(SESSION(TABLE user_events PARTITION BY session_id, DESCRIPTOR(event_time), INTERVAL '20' SECOND))
             GROUP BY window_start, window_end, session_id"
        )
    };
    let sql = format!(
        "SELECT a.window_start, a.window_end, a.session_id, a.n AS started, b.n AS ended FROM ({}) a JOIN ({}) b
         ON a.window_start = b.window_start AND a.window_end = b.window_end AND a.session_id = b.session_id",
        windowed("view.started"),
        windowed("view.ended")
    );
    let run = run(pipeline("table", "keys = [\"session_id\"]", &sql), "J5 b:J5 b:L10 L25 J70 C200 L150");
    assert_eq!(
        lines(&run.tables["table"], "session_id window_start window_end started ended"),
        ["A 5 45 1 1", "A 70 90 1 0", "b 5 30 1 1"]
    );
    let counts = run.counters.pipelines["table"];
    assert_eq!((counts.in_windows, counts.late, counts.filtered), (6, 1, 0));
}

#[test]
fn a_session_is_as_long_as_it_goes_on() {
    // Three sessions without an end until the end of the input, and many that end; more groups than are merged at a time.
    let long = (0..1_200).map(|i| format!("v{}:H{}", i % 3, i * 5));
    let text: Vec<String> = long.chain((0..600).map(|i| format!("w{i}:H{}", i * 10))).collect();
    let mut events = scene(&text.join(" "));
    events.sort_by_key(|e| e.body["event_time"].as_str().unwrap().to_owned());
    for e in &mut events {
        e.arrival = None;
    }
    let run = Job::new(&[by_session("session_id, event_type")], Options::default()).run(&spread(&events, 2));
    let table = lines(&run.tables["table"], "session_id window_start window_end events");
    assert_eq!(table.len(), 603);
    assert_eq!(table[..3], ["v0 0 6005 400", "v1 5 6010 400", "v2 10 6015 400"]);
    assert!(table[3..].iter().all(|row| row.ends_with(" 1")));
}

#[test]
fn sessions_are_given_up_that_may_have_begun_before_the_job() {
    let options = Options::default();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let rows = runtime.block_on(async {
        let pipelines = harness::pipelines(&[by_session("session_id")], &options).await;
        let events = records(&scene("J90 b:J119 b:H125 c:J120 d:J130 d:H150"));
        let cut = Cut { records: 1_000, reversed: false };
        let judged = harness::run(&pipelines, &events, Provenance::Record, cut).await.judged;
        let mut stage = ShardStage::try_new(Arc::clone(&pipelines)).unwrap();
        for batch in &judged {
            stage.process(batch).await.unwrap();
        }
        let mut combine = Combine::try_new(Arc::clone(&pipelines)).unwrap();
        combine.give_up_before(|_| Some(at(100)));
        combine.join("0".into());
        let partials = stage.close(i64::MAX).unwrap();
        let message = ShardMessage { shard: "0".into(), seen: vec![], partials, watermark: None };
        let mut emissions = combine.handle(message).await.unwrap();
        emissions.extend(combine.finish().await.unwrap());
        emissions.iter().flat_map(|e| harness::rows(&e.rows)).collect::<Vec<_>>()
    });
    // What begins within the 20 seconds after it may go on from an event that was not read.
    assert_eq!(lines(&rows, "session_id window_start window_end"), ["c 120 140", "d 130 170"]);
}

/// One table of sessions.
#[derive(Debug, Clone, Copy)]
struct Query {
    /// In seconds.
    gap: i64,
    key: &'static str,
    further: Option<&'static str>,
    /// Rows that it drops are in no session, and hold none open.
    condition: &'static str,
}

const CONDITIONS: [&str; 3] = ["TRUE", "event_type LIKE 'view.%'", "country IS NOT NULL"];

fn passes(condition: &str, event: &Kept) -> bool {
    match condition {
        "TRUE" => true,
        "country IS NOT NULL" => event.text("country").is_some(),
        _ => event.event_type().starts_with("view."),
    }
}

impl Query {
    fn keys(&self) -> Vec<&'static str> {
        [self.key].into_iter().chain(self.further.filter(|further| *further != self.key)).collect()
    }

    /// With a delay of its own, in seconds, if it has one.
    fn file(&self, delay: Option<i64>) -> PipelineFile {
        let keys = self.keys();
        let columns = keys.join(", ");
        let sql = format!(
            "SELECT window_start, window_end, {columns}, COUNT(*) AS events, COUNT(DISTINCT viewer_id) AS viewers,
               COALESCE(SUM(played_ms), 0) AS played_ms, MIN(event_time) AS first, MAX(event_id) AS last_id,
               PERCENTILE(startup_ms, 0.5) AS startup_p50
             FROM TABLE(SESSION(TABLE user_events PARTITION BY {}, DESCRIPTOR(event_time), INTERVAL '{}' SECOND))
             WHERE {} GROUP BY window_start, window_end, {columns}",
            self.key, self.gap, self.condition,
        );
        let delay = delay.map_or(String::new(), |secs| format!("\nwatermark_delay_secs = {secs}"));
        pipeline("table", &format!("keys = {keys:?}{delay}"), &sql)
    }
}

fn queries() -> impl Strategy<Value = Query> {
    let key = prop::sample::select(vec!["stream_id", "country", "event_type", "viewer_id"]);
    let further = prop::sample::select(vec![None, Some("event_type"), Some("device_type")]);
    let gap = prop_oneof![prop::sample::select(vec![1i64, 2, 5, 10, 20, 30, 60]), 1..120i64];
    let condition = prop::sample::select(&CONDITIONS[..]);
    (gap, key, further, condition).prop_map(|(gap, key, further, condition)| Query { gap, key, further, condition })
}

#[derive(Debug, Clone)]
struct Setup {
    query: Query,
    ignore: bool,
    /// The watermark's, in seconds.
    delay: i64,
    /// Whether the query says so, in a job that waits 30 seconds.
    own: bool,
    scenario: Scenario,
    cut: Cut,
}

/// Everything that differs from the reference, in words: of a run, of one that stops after every read, of rows dealt over other shards.
fn differences(runtime: &tokio::runtime::Runtime, setup: &Setup) -> Vec<String> {
    let lateness = Lateness::Replay { delay: setup.delay * SEC, allowed: 0 };
    let options = Options { lateness, ..Options::default() };
    let options = if setup.ignore { options.ignoring_lateness() } else { options };
    let records = setup.scenario.records(&options);
    let kept = reference::judge(&records, reference::Provenance::Record).kept;
    let kept: Vec<Kept> = kept.into_iter().filter(|event| passes(setup.query.condition, event)).collect();
    let expected = reference::sessions(&kept, &options, setup.query.gap * SEC, &setup.query.keys());
    let late = harness::places(expected.late.iter());
    runtime.block_on(async {
        let job = match (setup.own, setup.ignore) {
            (true, false) => Options { lateness: Options::default().lateness, ..options },
            _ => options,
        };
        let file = setup.query.file(setup.own.then_some(setup.delay));
        let pipelines = harness::pipelines(&[file], &job).await;
        let run = harness::run(&pipelines, &records, Provenance::Record, setup.cut).await;
        let mut problems = harness::problems("a run", &run, &expected.rows, &late);
        let stops = harness::run_with_stops(&pipelines, &records, Provenance::Record, setup.cut).await;
        problems.extend(harness::problems("stops", &stops, &expected.rows, &late));
        if !run.judged.is_empty() {
            for shards in [1, 3, 8] {
                let dealt = harness::run_dealt(&pipelines, &run.judged, shards, 7).await;
                problems.extend(difference(&format!("dealt over {shards}"), &dealt.tables["table"], &expected.rows));
            }
        }
        problems
    })
}

#[test]
fn any_sessions_equal_the_reference() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let scenarios = reference::scenarios(Shape { steps: 50, arrays: true, ..Shape::default() });
    let cut = (1..40usize, any::<bool>()).prop_map(|(records, reversed)| Cut { records, reversed });
    // A short delay makes many verdicts close ones.
    let delay = prop::sample::select(vec![0i64, 1, 5, 30]);
    let setups = (queries(), prop::bool::weighted(0.2), delay, any::<bool>(), scenarios, cut)
        .prop_map(|(query, ignore, delay, own, scenario, cut)| Setup { query, ignore, delay, own, scenario, cut });
    harness::hold(120, 1_500, &setups, |setup| differences(&runtime, &setup));
}
