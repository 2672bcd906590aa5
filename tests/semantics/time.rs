//! Time: skew, age, duplicates, high time, lateness, the end of input.

use headcount::decode::Provenance;
use headcount::pipeline::PipelineFile;
use serde_json::{Value, json};

use crate::harness::{self, Run};
use crate::reference::{Lateness, Options, RefRecord, Row, SEC, Scenario, Shape, Val};

use super::scene::{Event, Job, at, broken, concurrency, event, late, lines, pipeline, scene, time};

const WEEK: i64 = 7 * 86_400;

/// Counts all events by the minute.
fn counts() -> PipelineFile {
    pipeline(
        "counts",
        "keys = []",
        "SELECT window_start, window_end, COUNT(*) AS events
         FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' MINUTE))
         GROUP BY window_start, window_end",
    )
}

fn job() -> Job {
    Job::new(&[counts()], Options::default())
}

fn login(id: &str, t: i64) -> Event {
    event("user.logged_in", t).with("event_id", json!(id))
}

fn windows(run: &Run) -> Vec<String> {
    lines(&run.tables["counts"], "window_start events revision")
}

fn ids(run: &Run) -> Vec<String> {
    lines(&run.events, "shard_id sequence_number event_id")
}

#[test]
fn an_event_far_ahead_of_its_arrival_is_set_to_its_arrival() {
    let run =
        job().run(&[login("a", 130).arriving(100), login("b", 131).arriving(100), login("c", 9_999).arriving(101)]);
    assert_eq!(
        lines(&run.events, "event_id event_time event_time_original"),
        ["a 130 null", "b 100 131", "c 101 9999"],
        "30 s are let be"
    );
    assert_eq!((run.counters.clamped, run.counters.shifted), (2, 0));
}

#[test]
fn a_clock_that_is_ahead_by_what_the_client_says_is_shifted() {
    let sent = |id: &str, t: i64, sent: i64| login(id, t).arriving(100).with("sent_at", time(at(sent)));
    let run = job().run(&[
        sent("a", 90, 105),  // 5 s are let be
        sent("b", 90, 106),  // shifted by 6 s
        sent("c", 500, 520), // shifted by 420 s
        sent("d", 600, 520), // shifted to 180, still too far ahead: set to arrival
        sent("e", 500, 400), // shifted by 300 s to 200: set to arrival
        sent("f", 90, 20),   // sent before it arrived, as it should be
    ]);
    assert_eq!(
        lines(&run.events, "event_id event_time event_time_original"),
        ["a 90 null", "b 84 90", "c 80 500", "d 100 600", "e 100 500", "f 90 null"]
    );
}

#[test]
fn a_repaired_row_is_never_repaired_again() {
    let carried = login("a", 9_999).with("event_time_original", time(at(12_000))).with("ingest_time", time(at(0)));
    let row = |event: Event, arrival| {
        vec![RefRecord { shard: "0".to_owned(), sequence: 1, arrival, bytes: event.body.to_string().into_bytes() }]
    };
    let job = job();
    let replayed = job.run_records(&row(carried.clone(), None), Provenance::Row);
    assert_eq!(lines(&replayed.events, "event_time event_time_original ingest_time"), ["9999 12000 0"]);
    let live = job.run_records(&row(carried, Some(at(20))), Provenance::Record);
    assert_eq!(lines(&live.events, "event_time event_time_original"), ["20 9999"], "a producer cannot say so");
}

#[test]
fn an_event_older_than_a_week_at_its_arrival_is_a_dead_letter() {
    let run = job().run(&[
        login("a", 0).arriving(WEEK),
        login("b", 0).arriving(WEEK + 1),
        login("b", WEEK).arriving(WEEK + 2), // the id of a dead letter is not remembered
    ]);
    assert_eq!(lines(&run.events, "event_id sequence_number"), ["a 1", "b 3"]);
    let reasons: Vec<_> = run.dead_letters.iter().map(|d| (d.sequence_number.to_string(), d.reason.code())).collect();
    assert_eq!(reasons, [("2".to_owned(), "too_old")]);
}

#[test]
fn age_is_judged_after_the_clock_is_repaired() {
    // Sent 200 s and a week after arrival, says the client: its clock is ahead, and the event is a week and 50 s old.
    let slow = login("a", 300).arriving(150).with("sent_at", time(at(150 + WEEK + 200)));
    let run = job().run(&[slow]);
    assert_eq!((run.counters.kept, run.counters.dead_letters), (0, 1));
}

#[test]
fn without_an_arrival_time_nothing_is_repaired_or_too_old() {
    let run = job().run(&[
        login("a", 100).without_arrival(),
        login("b", 9_999_999).without_arrival().with("sent_at", time(at(99_999_999))),
    ]);
    assert_eq!(lines(&run.events, "event_id event_time event_time_original"), ["a 100 null", "b 9999999 null"]);
}

#[test]
fn the_high_time_is_that_before_the_row_with_its_own_arrival() {
    let run = job().run(&[
        login("a", 5).without_arrival(), // nothing is known yet
        login("b", 50).without_arrival(),
        login("c", 20).arriving(60), // arrival − 30 s is less than the 50 s of b
        login("d", 85).arriving(60), // counts as 60, its arrival
        broken(61),
        broken(200), // a dead letter's arrival counts
        login("e", 70).arriving(70),
    ]);
    assert_eq!(lines(&run.events, "event_id shard_high_time"), ["a null", "b 5", "c 50", "d 50", "e 170"]);
}

#[test]
fn the_first_row_of_a_shard_is_judged_by_its_arrival() {
    let run = job().run(&[login("a", 95).arriving(100)]);
    assert_eq!(lines(&run.events, "shard_high_time"), ["70"]);
}

#[test]
fn a_clock_ahead_moves_no_watermark() {
    // 130 is let be, 9999 is not, and neither raises the high time above its arrival.
    let run =
        job().run(&[login("a", 130).arriving(100), login("b", 9_999).arriving(100), login("c", 20).arriving(101)]);
    assert_eq!(lines(&run.events, "event_id shard_high_time"), ["a 70", "b 100", "c 100"]);
    assert_eq!(windows(&run), ["60 1 0", "120 1 0"], "a is in the window of its own time");
    assert_eq!(late(&run, "counts"), ["0/3"], "the watermark is 70");
}

#[test]
fn the_high_time_never_goes_back() {
    let run = job().run(&scene("U500 U100 U501 U499"));
    assert_eq!(lines(&run.events, "sequence_number shard_high_time"), ["1 470", "2 500", "3 500", "4 501"]);
}

#[test]
fn late_is_when_the_watermark_has_reached_the_windows_end() {
    let job = job();
    let run = job.run(&scene("C89 C59"));
    assert_eq!((windows(&run), late(&run, "counts").len()), (vec!["0 1 0".to_owned(), "60 1 0".to_owned()], 0));
    let run = job.run(&scene("C90 C59 C60"));
    assert_eq!((windows(&run), late(&run, "counts")), (vec!["60 2 0".to_owned()], vec!["0/2".to_owned()]));
}

#[test]
fn the_watermark_is_the_delay_behind_the_high_time() {
    let options = Options { lateness: Lateness::Replay { delay: 100 * SEC, allowed: 0 }, ..Options::default() };
    let job = Job::new(&[counts()], options);
    assert_eq!(late(&job.run(&scene("C159 C59")), "counts"), Vec::<String>::new());
    assert_eq!(late(&job.run(&scene("C160 C59")), "counts"), ["0/2"]);
}

#[test]
fn lateness_is_judged_by_the_rows_own_shard() {
    // Shard 0 is far ahead when shard 1 reads the same minute.
    let run = job().run(&scene("0/C600 0/C10 1/C11 1/C12"));
    assert_eq!(windows(&run), ["0 2 0", "600 1 0"]);
    assert_eq!(late(&run, "counts"), ["0/2"]);
}

#[test]
fn a_window_waits_for_every_shard() {
    // Shard 2 has read nothing beyond 20 when the others pass 60: its row comes with revision 0 all the same.
    let run = job().run(&scene("0/C10 1/C15 2/C20 0/C200 1/C210 0/C300 1/C310 2/C50"));
    assert_eq!(windows(&run), ["0 4 0", "180 2 0", "300 2 0"]);
}

#[test]
fn a_shard_that_wakes_up_does_not_lose_rows() {
    // Shard 1 was silent for an hour while shard 0 went on. What it reads is judged by when it arrived.
    let run = job().run(&scene("0/C0 1/C10 0/C1800 0/C3600 0/C3700 1/C3595@3600 1/C3580@3605 1/C3500@3605"));
    assert_eq!(windows(&run), ["0 2 0", "1800 1 0", "3540 2 0", "3600 1 0", "3660 1 0"]);
    assert_eq!(late(&run, "counts"), ["1/4"], "its watermark has come up to 3565 by then");
}

#[test]
fn arrivals_move_the_watermark_of_a_shard_whose_events_stand_still() {
    // Arrival 150 and no later event: the high time is 120, the watermark 90.
    let run = job().run(&[login("a", 10).arriving(10), broken(150), login("b", 59).arriving(150)]);
    assert_eq!(lines(&run.events, "event_id shard_high_time"), ["a -20", "b 120"]);
    assert_eq!(late(&run, "counts"), ["0/3"]);
}

#[test]
fn nothing_is_late_before_the_shard_knows_a_time() {
    let run = job().run(&[
        login("a", 0).without_arrival(),
        login("b", 500).without_arrival(),
        login("c", 1).without_arrival(),
    ]);
    assert_eq!(windows(&run), ["0 1 0", "480 1 0"]);
    assert_eq!(late(&run, "counts"), ["0/3"], "only by events then");
}

#[test]
fn a_late_row_goes_whole_to_the_late_output_and_stays_among_the_raw_events() {
    let run = job().run(&scene("C500 C10"));
    assert_eq!(windows(&run), ["480 1 0"]);
    assert_eq!(late(&run, "counts"), ["0/2"]);
    assert_eq!(
        lines(&run.events, "sequence_number event_time shard_high_time stream_id"),
        ["1 500 470 other", "2 10 500 other"]
    );
}

#[test]
fn each_pipeline_judges_lateness_by_its_own_windows() {
    let hourly = pipeline(
        "hourly",
        "keys = []",
        "SELECT window_start, window_end, COUNT(*) AS events
         FROM TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '1' HOUR))
         GROUP BY window_start, window_end",
    );
    let run = Job::new(&[counts(), hourly], Options::default()).run(&scene("C500 C10"));
    assert_eq!((late(&run, "counts").len(), late(&run, "hourly").len()), (1, 0));
    assert_eq!(lines(&run.tables["hourly"], "window_start events"), ["0 2"]);
}

#[test]
fn ignoring_lateness_puts_every_row_into_its_window() {
    let job = Job::new(&[counts()], Options::default().ignoring_lateness());
    let run = job.run(&scene("C500@200 C10 C10 C9999@201"));
    // Clocks are mended and repeats dropped all the same.
    assert_eq!(windows(&run), ["0 1 0", "180 2 0"]);
    assert_eq!((late(&run, "counts").len(), run.counters.duplicates, run.counters.clamped), (0, 1, 2));
}

#[test]
fn skew_is_judged_before_lateness() {
    // It says 9999, came at 20, and the watermark is 170: late in the window of 20.
    let run = job().run(&scene("C200 C9999@20"));
    assert_eq!((windows(&run), late(&run, "counts")), (vec!["180 1 0".to_owned()], vec!["0/2".to_owned()]));
}

#[test]
fn duplicates_are_judged_before_lateness_and_late_ids_are_remembered() {
    let run = job().run(&scene("C200 C10!x C10!x C11!x"));
    assert_eq!(late(&run, "counts"), ["0/2"]);
    assert_eq!(run.counters.duplicates, 2);
}

#[test]
fn a_duplicate_is_dropped_while_the_shards_time_is_within_the_horizon() {
    let job = job();
    // x is judged at the high time 70 (its arrival − 30 s).
    assert_eq!(job.run(&scene("C100!x C190 C100!x@190")).counters.duplicates, 1, "120 s on");
    assert_eq!(job.run(&scene("C100!x C191 C100!x@191")).counters.duplicates, 0, "121 s on");
}

#[test]
fn a_dropped_duplicate_renews_nothing_and_a_kept_one_does() {
    let run = job().run(&scene("C100!x C150!x C191!y C191!x C311!z C311!x"));
    // Judged at 70; dropped at 120; kept at 191; dropped at 311.
    assert_eq!(ids(&run), ["0 1 x", "0 3 y", "0 4 x", "0 5 z"]);
    assert_eq!(run.counters.duplicates, 2);
}

#[test]
fn the_same_id_in_another_shard_is_no_duplicate() {
    let run = job().run(&scene("0/C10!x 1/C10!x 1/C10!x"));
    assert_eq!((run.counters.duplicates, run.counters.kept), (1, 2));
}

#[test]
fn a_duplicate_moves_no_time_but_its_arrival_does() {
    // The repeat says 120, which is not taken; it arrives at 145, which is.
    let run = job().run(&scene("C100!x C120!x@145 C90"));
    assert_eq!(lines(&run.events, "sequence_number shard_high_time"), ["1 70", "3 115"]);
}

#[test]
fn the_end_of_input_closes_every_window() {
    let run = job().run(&scene("0/C10 1/C70 0/C130"));
    assert_eq!(windows(&run), ["0 1 0", "60 1 0", "120 1 0"]);
}

/// Rows as a lake gives them, one JSON line each.
fn stored(rows: &[Row]) -> Vec<RefRecord> {
    let line = |row: &Row| {
        let fields = row.iter().map(|(name, value)| {
            let value = match value {
                Val::Null => Value::Null,
                Val::Bool(b) => json!(b),
                Val::Int(t) if name.ends_with("_time") || name == "sent_at" || name == "event_time_original" => {
                    time(*t)
                }
                Val::Int(i) => json!(i),
                Val::Float(f) => json!(f),
                Val::Str(s) if name == "properties" => serde_json::from_str(s).unwrap(),
                Val::Str(s) => json!(s),
            };
            (name.clone(), value)
        });
        Value::Object(fields.filter(|(_, value)| !value.is_null()).collect()).to_string().into_bytes()
    };
    (1..)
        .zip(rows)
        .map(|(sequence, row)| RefRecord { shard: "lake".to_owned(), sequence, arrival: None, bytes: line(row) })
        .collect()
}

#[test]
fn lateness_is_replayed_from_stored_rows_in_any_order() {
    let options = Options::default();
    let job = Job::new(&[counts(), concurrency("total", 10, &[]), concurrency("viewers", 60, &["stream_id"])], options);
    let mut late_rows = 0;
    for seed in 0..4 {
        let live = job.run_records(&Scenario::seeded(seed, Shape::default()).records(&options), Provenance::Record);
        let mut rows = live.events.clone();
        rows.reverse();
        let replayed = job.run_whole(&stored(&rows), Provenance::Row);
        for (table, expected) in &live.tables {
            assert_eq!(harness::difference(table, &replayed.tables[table], expected), None, "seed {seed}");
        }
        assert_eq!(replayed.late, live.late, "seed {seed}");
        assert_eq!(replayed.events, live.events, "seed {seed}");
        assert_eq!(replayed.counters.duplicates, 0, "they were dropped before");
        late_rows += late(&live, "counts").len();
    }
    assert!(late_rows > 0, "something was late");
}
