//! Tumbling windows: borders, groups, revisions, and what runs over complete windows.

use headcount::pipeline::PipelineFile;
use serde_json::json;

use crate::harness::Run;
use crate::reference::{Lateness, Options, SEC, Val};

use super::scene::{Event, Job, ZERO, at, event, int, late, lines, pipeline, scene, shipped, spread, time};

/// Counts by stream and minute; `tail` is what follows the GROUP BY.
fn by_stream(header: &str, tail: &str) -> PipelineFile {
    let sql = format!(
        "SELECT window_start, window_end, stream_id, COUNT(*) AS events, MAX(channel_id) AS channel
         FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
         GROUP BY window_start, window_end, stream_id {tail}"
    );
    pipeline("table", &format!("keys = [\"stream_id\"]\n{header}"), &sql)
}

fn run(file: PipelineFile, events: &[Event]) -> Run {
    Job::new(&[file], Options::default()).run(events)
}

fn rows(run: &Run) -> Vec<String> {
    lines(&run.tables["table"], "window_start revision stream_id events")
}

#[test]
fn windows_are_half_open_and_the_last_millisecond_is_their_time() {
    let file = pipeline(
        "table",
        "keys = []",
        "SELECT window_start, window_end, window_time, COUNT(*) AS events
         FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
         GROUP BY window_start, window_end, window_time",
    );
    let just_before = event("user.logged_in", 59).with("event_time", time(at(60) - 1));
    let run = run(file, &[just_before, event("user.logged_in", 60), event("user.logged_in", 119)]);
    assert_eq!(
        lines(&run.tables["table"], "window_start window_end window_time events"),
        ["0 60 59.999 1", "60 120 119.999 2"]
    );
}

#[test]
fn windows_are_aligned_to_the_epoch() {
    let file = pipeline(
        "table",
        "keys = []",
        "SELECT window_start, window_end, COUNT(*) AS events
         FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '7' MINUTE))
         GROUP BY window_start, window_end",
    );
    let run = run(file, &scene("U0 U1000"));
    for row in &run.tables["table"] {
        assert_eq!(int(row, "window_start") % (7 * 60 * SEC), 0);
    }
    // 1 800 000 000 s are 4 285 714 × 420 s and 120 s.
    assert_eq!(lines(&run.tables["table"], "window_start window_end"), ["-120 300", "720 1140"]);
    assert_eq!(ZERO / SEC % 420, 120);
}

#[test]
fn a_window_without_rows_is_not_emitted() {
    assert_eq!(rows(&run(by_stream("", ""), &scene("C10 Q300"))), ["0 0 other 1", "300 0 s 1"]);
}

#[test]
fn groups_of_all_shards_are_merged() {
    let events = scene("Q0 C1 Q2 z~Q3 Q4 C5 Q6!x");
    for shards in 1..=3 {
        let run = run(by_stream("", ""), &spread(&events, shards));
        assert_eq!(rows(&run), ["0 0 other 2", "0 0 s 4", "0 0 z 1"], "{shards} shards");
    }
}

#[test]
fn null_is_a_group_of_its_own() {
    assert_eq!(rows(&run(by_stream("", ""), &scene("U0 C1 U2"))), ["0 0 null 2", "0 0 other 1"]);
}

#[test]
fn distinct_values_of_all_shards_are_counted_once() {
    let file = pipeline(
        "table",
        "keys = []",
        "SELECT window_start, window_end, COUNT(DISTINCT session_id) AS sessions, COUNT(DISTINCT viewer_id) AS viewers
         FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
         GROUP BY window_start, window_end",
    );
    let run = run(file, &scene("0/A:J0=v 1/A:H1=v 2/B:J2=v 1/B:H3=- C4"));
    assert_eq!(lines(&run.tables["table"], "sessions viewers"), ["2 1"]);
}

#[test]
fn an_aggregate_with_an_order_goes_by_it_over_all_shards() {
    let file = pipeline(
        "table",
        "keys = []",
        "SELECT window_start, window_end,
           FIRST_VALUE(stream_id ORDER BY event_time) AS first,
           LAST_VALUE(stream_id ORDER BY event_time) AS last
         FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
         GROUP BY window_start, window_end",
    );
    let run = run(file, &scene("0/b~Q7 0/a~Q5 1/d~Q9 1/c~Q3"));
    assert_eq!(lines(&run.tables["table"], "first last"), ["c d"]);
}

#[test]
fn a_ratio_is_null_on_nothing_over_nothing() {
    let started = |second: i64, played: Option<i64>, stall: Option<i64>| {
        let [event] = scene(&format!("J{second}")).try_into().unwrap();
        event.with("played_ms", json!(played)).with("stall_ms", json!(stall))
    };
    let job = Job::new(&[shipped("playback_quality"), shipped("stream_engagement")], Options::default());
    let run = job.run(&[
        started(0, None, None),
        started(60, Some(0), Some(0)),
        started(120, Some(300), Some(100)),
        started(180, Some(0), Some(5)).with("bitrate_kbps", json!(1_000)),
    ]);
    assert_eq!(
        lines(&run.tables["playback_quality"], "window_start played_ms stall_ms rebuffer_ratio"),
        ["0 0 0 null", "60 0 0 null", "120 300 100 0.2500", "180 0 5 1.0000"]
    );
    assert_eq!(
        lines(&run.tables["stream_engagement"], "window_start rebuffer_ratio bitrate_kbps_avg"),
        ["0 null null", "60 null null", "120 0.2500 null", "180 1.0000 null"]
    );
}

#[test]
fn averages_are_one_division_at_the_end() {
    let heartbeat = |shard: usize, second: i64, kbps: i64, played: i64| {
        let [mut event] = scene(&format!("H{second}")).try_into().unwrap();
        event.shard = shard;
        event.with("bitrate_kbps", json!(kbps)).with("played_ms", json!(played))
    };
    // (1000 × 1 + 2000 × 2 + 6000 × 3) ÷ 6, not an average of the shards' averages.
    let events = [heartbeat(0, 1, 1_000, 1), heartbeat(0, 2, 2_000, 2), heartbeat(1, 3, 6_000, 3)];
    let run = Job::new(&[shipped("stream_engagement")], Options::default()).run(&events);
    assert_eq!(lines(&run.tables["stream_engagement"], "bitrate_kbps_avg"), ["3833.3333"]);
}

#[test]
fn percentiles_are_of_the_nearest_rank() {
    let startups = [900, 100, 300, 200];
    let events: Vec<Event> = (0..)
        .zip(startups)
        .map(|(i, startup)| {
            let [event] = scene(&format!("{i}/J{i}")).try_into().unwrap();
            event.with("startup_ms", json!(startup))
        })
        .collect();
    let run = Job::new(&[shipped("playback_quality")], Options::default()).run(&events);
    // The 2nd and the 4th of 100, 200, 300, 900.
    assert_eq!(lines(&run.tables["playback_quality"], "starts startup_ms_p50 startup_ms_p95"), ["4 200 900"]);
    let run = Job::new(&[shipped("playback_quality")], Options::default()).run(&scene("J0 V1"));
    assert_eq!(lines(&run.tables["playback_quality"], "starts startup_ms_p50 errors"), ["1 null 1"]);
}

#[test]
fn within_the_allowed_lateness_changed_groups_are_emitted_once_more() {
    // At C95 the watermark is 65: [0,60) was emitted. Q30 and z's change it. At C150 the watermark is 120, the end of what
    // is allowed: Q40 is late.
    let events = scene("C10 Q20 C95 Q30 z~Q35 C149 Q36 C150 Q40");
    let run = run(by_stream("allowed_lateness_secs = 60", ""), &events);
    assert_eq!(
        rows(&run),
        [
            "0 0 other 1",
            "0 0 s 1", // on time
            "0 1 s 3",
            "0 1 z 1", // what changed; `other` did not
            "60 0 other 1",
            "120 0 other 2",
        ]
    );
    assert_eq!(late(&run, "table"), ["0/9"]);
}

#[test]
fn without_allowed_lateness_there_is_no_revision() {
    let run = run(by_stream("", ""), &scene("C10 C95 C30"));
    assert_eq!(rows(&run), ["0 0 other 1", "60 0 other 1"]);
    assert_eq!(late(&run, "table"), ["0/3"]);
}

#[test]
fn a_window_of_which_everything_came_after_its_end_is_revision_1() {
    let run = run(by_stream("allowed_lateness_secs = 60", ""), &scene("C95 Q30"));
    assert_eq!(rows(&run), ["0 1 s 1", "60 0 other 1"]);
}

#[test]
fn the_allowed_lateness_is_judged_by_the_rows_own_shard() {
    // Shard 0 has closed [0,60) and what is allowed after it; shard 1 has closed it only; shard 2 has read nothing.
    let events = scene("0/C150 1/C95 0/Q10 1/Q11 2/Q12");
    let run = run(by_stream("allowed_lateness_secs = 60", ""), &events);
    assert_eq!(rows(&run), ["0 0 s 1", "0 1 s 2", "60 0 other 1", "120 0 other 1"]);
    assert_eq!(late(&run, "table"), ["0/2"]);
}

#[test]
fn a_group_that_a_revision_made_vanish_is_emitted_with_zero_counts() {
    let file = by_stream("allowed_lateness_secs = 60", "HAVING COUNT(*) < 2");
    let run = run(file, &scene("C10 Q20%c C95 Q30"));
    assert_eq!(
        lines(&run.tables["table"], "window_start revision stream_id events channel"),
        ["0 0 other 1 null", "0 0 s 1 c", "0 1 s 0 null", "60 0 other 1 null"]
    );
}

#[test]
fn a_revision_that_changes_nothing_is_not_emitted() {
    let file = pipeline(
        "table",
        "keys = [\"stream_id\"]\nallowed_lateness_secs = 60",
        "SELECT window_start, window_end, stream_id, MAX(channel_id) AS channel
         FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
         GROUP BY window_start, window_end, stream_id",
    );
    let run = run(file, &scene("Q20%c C95 Q30%b"));
    assert_eq!(lines(&run.tables["table"], "window_start revision stream_id channel"), ["0 0 s c", "60 0 other null"]);
}

#[test]
fn ignoring_lateness_there_are_no_revisions() {
    let options = Options { lateness: Lateness::Ignore, ..Options::default() };
    let run = Job::new(&[by_stream("allowed_lateness_secs = 60", "")], options).run(&scene("C95 Q30 C500 Q31"));
    assert_eq!(rows(&run), ["0 0 s 2", "60 0 other 1", "480 0 other 1"]);
}

#[test]
fn the_best_of_a_window_are_chosen_over_all_shards() {
    let file = pipeline(
        "table",
        "keys = [\"place\"]",
        "SELECT window_start, window_end, place, stream_id, events FROM (
           SELECT window_start, window_end, stream_id, events,
             ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY events DESC, stream_id) AS place
           FROM (
             SELECT window_start, window_end, stream_id, COUNT(*) AS events
             FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
             GROUP BY window_start, window_end, stream_id))
         WHERE place <= 2",
    );
    // `a` leads in no shard and over all of them; `b` and `c` are equal, and the name decides.
    let events = scene("0/a~Q0 0/b~Q1 0/b~Q2 1/a~Q3 1/c~Q5 1/c~Q6 2/a~Q7 2/z~Q8 2/z~Q9!x 0/b~Q70");
    let run = run(file, &events);
    assert_eq!(lines(&run.tables["table"], "window_start place stream_id events"), ["0 1 a 3", "0 2 b 2", "60 1 b 1"]);
}

#[test]
fn an_aggregate_over_an_aggregate_sees_the_complete_window() {
    let file = pipeline(
        "table",
        "keys = []",
        "SELECT window_start, window_end, COUNT(*) AS streams, MAX(events) AS most, SUM(events) AS events
         FROM (SELECT window_start, window_end, stream_id, COUNT(*) AS events
               FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
               GROUP BY window_start, window_end, stream_id)
         GROUP BY window_start, window_end",
    );
    let run = run(file, &scene("0/a~Q0 1/a~Q1 1/b~Q2 0/a~Q3 1/b~Q60"));
    assert_eq!(lines(&run.tables["table"], "window_start streams most events"), ["0 2 3 4", "60 1 1 1"]);
}

#[test]
fn two_windowed_results_are_joined_window_by_window() {
    let windowed = |types: &str| {
        format!(
            "SELECT window_start, window_end, stream_id, COUNT(*) AS n
             FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
             WHERE event_type = '{types}' GROUP BY window_start, window_end, stream_id"
        )
    };
    let sql = format!(
        "SELECT a.window_start, a.window_end, a.stream_id, a.n AS started, b.n AS ended
         FROM ({}) a LEFT JOIN ({}) b
         ON a.window_start = b.window_start AND a.window_end = b.window_end AND a.stream_id = b.stream_id",
        windowed("view.started"),
        windowed("view.ended")
    );
    let file = pipeline("table", "keys = [\"stream_id\"]", &sql);
    let run = run(file, &scene("0/J0 1/L1 0/B:J2 z~J3 0/J60"));
    assert_eq!(
        lines(&run.tables["table"], "window_start stream_id started ended"),
        ["0 s 2 1", "0 z 1 null", "60 s 1 null"]
    );
}

#[test]
fn every_row_of_a_table_has_its_window_and_revision() {
    let run = run(by_stream("", ""), &scene("C10 Q300"));
    for row in &run.tables["table"] {
        assert_eq!(int(row, "window_end") - int(row, "window_start"), 60 * SEC);
        assert_eq!(row["revision"], Val::Int(0));
    }
}

#[test]
fn what_a_bound_is_cast_to_is_a_key_like_any_other() {
    let file = pipeline(
        "table",
        "keys = [\"date\"]",
        "SELECT e.window_start, e.window_end, CAST(CAST(e.window_end AS DATE) AS TEXT) AS date, COUNT(*) AS n
         FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE)) e
         GROUP BY e.window_start, e.window_end, CAST(e.window_end AS DATE)",
    );
    let run = run(file, &scene("C10 C20 C70 C500"));
    assert_eq!(lines(&run.tables["table"], "window_start n").len(), 3);
    let days: Vec<_> = run.tables["table"].iter().map(|row| row["date"].clone()).collect();
    assert!(days.iter().all(|day| matches!(day, Val::Str(day) if day.len() == 10)), "{days:?}");
}

/// A condition keeps every window below out of the longer one, which a late row is in all the same.
#[test]
fn a_window_of_nothing_has_no_revision() {
    let sql = "WITH tens AS (
          SELECT window_time, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '10' SECOND))
          GROUP BY window_start, window_end, window_time HAVING COUNT(*) > 9
        )
        SELECT minutes.window_start, minutes.window_end, one.n AS one, minutes.n
        FROM (VALUES (1)) one(n) LEFT JOIN (
          SELECT window_start, window_end, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE tens, DESCRIPTOR(window_time), INTERVAL '1' MINUTE))
          GROUP BY window_start, window_end
        ) minutes ON minutes.n >= one.n";
    let job = Job::new(&[pipeline("table", "allowed_lateness_secs = 60", sql)], Options::default());
    let run = job.run(&scene("C5 C95 C6 C300"));
    assert_eq!(run.counters.pipelines["table"].late, 0);
    assert_eq!(lines(&run.tables["table"], "window_start revision one n"), [""; 0]);
}
