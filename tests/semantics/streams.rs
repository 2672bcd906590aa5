//! Streams: when one is active, which channel it has, and which windows there are.

use crate::reference::{Options, SEC};

use super::scene::{Event, Job, ZERO, concurrency, event, int, joined, late, latest, lines, scene};
use serde_json::json;

const TWO_DAYS: i64 = 48 * 3_600;

fn platform(seconds: i64, options: Options) -> Job {
    Job::new(&[concurrency("total", seconds, &[])], options)
}

/// When stream `s` is active, as far as windows of `size` show it: nothing else may be. `C` is of a stream nobody watches.
fn active(job: &Job, size: i64, text: &str) -> Vec<(i64, i64)> {
    let run = job.run(&scene(text));
    let mut starts: Vec<i64> = run.tables["total"]
        .iter()
        .filter(|r| int(r, "active_streams_max") == 1)
        .map(|r| {
            assert_eq!(int(r, "active_streams"), 1, "{text}: active for a part of a window");
            int(r, "window_start")
        })
        .collect();
    starts.sort_unstable();
    joined(starts, size)
}

/// The same to ten seconds, for a quarter of an hour.
#[track_caller]
fn shows(job: &Job, text: &str, expected: &[(i64, i64)]) {
    let after = latest(&scene(text)) + 200;
    assert_eq!(active(job, 10, &format!("{text} C{after}")), expected, "{text}");
}

fn lenient() -> Options {
    Options::default().ignoring_lateness()
}

#[test]
fn an_announced_stream_is_active_from_start_to_end() {
    let job = platform(10, lenient());
    shows(&job, "S10 E50", &[(10, 50)]);
    shows(&job, "S10 E50 S70 E90", &[(10, 50), (70, 90)]);
    shows(&job, "S10 S50 E50 E60", &[(10, 60)]); // at one instant it ends, then starts
    shows(&job, "Q0", &[]);
    shows(&job, "E0", &[]);
}

#[test]
fn a_stream_never_announced_is_active_from_its_first_counted_touch() {
    let job = platform(10, lenient());
    shows(&job, "Q0 J10", &[(10, 130)]); // its last event and 120 s
    shows(&job, "J10 L20 Q40", &[(10, 160)]);
    shows(&job, "J10 Q300", &[(10, 130), (300, 420)]); // it has had its touch: any event wakes it
    shows(&job, "P10 Q20", &[]);
}

#[test]
fn a_stream_never_announced_is_active_as_long_as_somebody_is_present() {
    let long = platform(10, Options { session_timeout: 300 * SEC, ..lenient() });
    shows_until(&long, "J10", &[(10, 310)]);
    shows_until(&long, "J10 P20", &[(10, 140)]);
}

#[track_caller]
fn shows_until(job: &Job, text: &str, expected: &[(i64, i64)]) {
    assert_eq!(active(job, 10, &format!("{text} C400")), expected, "{text}");
}

#[test]
fn after_its_end_only_a_start_or_a_counted_touch_makes_a_stream_active() {
    let job = platform(10, lenient());
    shows(&job, "S0 J10 E50 Q60", &[(0, 50)]);
    shows(&job, "S0 J10 E50 H60", &[(0, 50)]); // the touch is ignored: its session was closed
    shows(&job, "S0 J10 E50 J60", &[(0, 50), (60, 180)]);
    shows(&job, "S0 E50 B:H60", &[(0, 50), (60, 180)]); // a session that the end did not find
    shows(&job, "J10 E50", &[(10, 50)]);
    shows(&job, "J10 E50 B:H50", &[(10, 170)]); // at one instant the touch comes after the end
    shows(&job, "S0 E50 S70 E80", &[(0, 50), (70, 80)]);
}

#[test]
fn a_stream_is_ended_by_whichever_shard_says_so() {
    let job = platform(10, lenient());
    shows(&job, "0/S0 1/J10 2/E50 1/H60", &[(0, 50)]);
    shows(&job, "2/E50 1/H60 1/J10 0/S0", &[(0, 50)]);
}

/// Hours to seconds, and an event of another stream in every 20th hour, so that windows are filled.
fn over_days(text: &str, hours: i64) -> String {
    let fill: Vec<String> = (0..=hours / 20).map(|i| format!("C{}", i * 20 * 3_600)).collect();
    format!("{text} {} C{}", fill.join(" "), hours * 3_600)
}

#[test]
fn an_announced_stream_is_active_for_two_days_after_its_last_event() {
    let job = platform(3_600, lenient());
    let hours = |text: &str| -> Vec<(i64, i64)> {
        active(&job, 3_600, &over_days(text, 120)).iter().map(|(a, b)| (a / 3_600, b / 3_600)).collect()
    };
    assert_eq!(hours("S0"), [(0, 48)]);
    assert_eq!(hours(&format!("S0 Q{}", 36_000)), [(0, 58)]);
    assert_eq!(hours(&format!("S0 Q{TWO_DAYS}")), [(0, 96)], "exactly two days are no silence");
    assert_eq!(hours(&format!("S0 Q{}", TWO_DAYS + 3_600)), [(0, 48)], "after it the stream is as never announced");
}

#[test]
fn a_stream_is_forgotten_over_more_than_two_days_of_silence() {
    let job = Job::new(&[concurrency("of_stream", 3_600, &["stream_id"])], lenient());
    let channel = |second: i64| {
        let run = job.run(&scene(&format!("J0%c J{second}")));
        lines(&run.tables["of_stream"], "window_start channel_id").pop().unwrap()
    };
    assert_eq!(channel(TWO_DAYS), format!("{TWO_DAYS} c"));
    assert_eq!(channel(TWO_DAYS + 1), format!("{TWO_DAYS} null"));
}

#[test]
fn the_channel_is_that_of_the_greatest_time_and_id_before_the_windows_end() {
    let job = Job::new(&[concurrency("of_stream", 60, &["stream_id"])], lenient());
    // An event without a channel takes none away; what is at the window's end belongs to the next.
    let run = job.run(&scene("J0 Q10%second!b Q10%first!a H20 Q60%third H70 C119"));
    assert_eq!(lines(&run.tables["of_stream"], "window_start channel_id"), ["0 second", "60 third"]);
    let run = job.run(&scene("0/J0 1/Q10%first!a 2/Q10%second!b C59"));
    assert_eq!(lines(&run.tables["of_stream"], "window_start channel_id"), ["0 second"]);
}

#[test]
fn active_streams_are_those_just_before_the_end_and_at_most() {
    let job = platform(10, Options::default());
    let seen =
        |text: &str| lines(&job.run(&scene(text)).tables["total"], "window_start active_streams active_streams_max");
    assert_eq!(seen("S12 C13 E18 C29"), ["10 0 1", "20 0 0"]);
    // What happens at a border belongs to the window that begins there.
    assert_eq!(seen("C5 S20 E30 C31"), ["0 0 0", "10 0 0", "20 1 1", "30 0 0"]);
    assert_eq!(seen("S0 z~S5 E8 C9"), ["0 1 2"]);
}

#[test]
fn active_streams_are_averaged_by_time() {
    let job = platform(10, Options::default());
    let columns = "window_start active_streams_min active_streams_avg active_streams_max";
    let seen = |text: &str| lines(&job.run(&scene(text)).tables["total"], columns);
    // Six of ten seconds.
    assert_eq!(seen("S12 C13 E18 C29"), ["10 0 0.6000 1", "20 0 0.0000 0"]);
    assert_eq!(seen("C5 S20 E30 C31"), ["0 0 0.0000 0", "10 0 0.0000 0", "20 1 1.0000 1", "30 0 0.0000 0"]);
    // One for eight seconds, the other for the last five.
    assert_eq!(seen("S0 z~S5 E8 C9"), ["0 1 1.3000 2"]);
}

fn starts(job: &Job, text: &str) -> Vec<i64> {
    let run = job.run(&scene(text));
    let mut starts: Vec<i64> = run.tables["total"].iter().map(|r| (int(r, "window_start") - ZERO) / SEC).collect();
    starts.sort_unstable();
    starts
}

#[test]
fn totals_run_from_the_first_events_window_to_the_last_events() {
    let job = platform(10, Options::default());
    assert_eq!(starts(&job, "C25 C48"), [20, 30, 40]);
    assert_eq!(starts(&job, "C25 C50"), [20, 30, 40, 50]);
    assert_eq!(starts(&job, "U25 U40"), [20, 30, 40], "events without a stream count too");
    assert_eq!(starts(&job, "J0 L5 C38"), [0, 10, 20, 30], "also where nobody is");
}

#[test]
fn streams_have_rows_where_somebody_was_present() {
    let job = Job::new(&[concurrency("of_stream", 60, &["stream_id"])], Options::default());
    let run = job.run(&scene("S0 J10 L20 z~Q30 C200"));
    assert_eq!(lines(&run.tables["of_stream"], "window_start stream_id"), ["0 s"]);
}

#[test]
fn a_gap_of_more_than_a_day_is_not_filled() {
    const DAY: i64 = 86_400;
    let job = platform(600, Options::default());
    assert_eq!(starts(&job, &format!("C5 C{}", DAY + 5)).len(), 145, "exactly a day is filled");
    assert_eq!(starts(&job, &format!("C5 C{}", DAY + 6)), [0, DAY]);
    assert_eq!(starts(&job, &format!("C5 C605 C{}", DAY + 606)), [0, 600, DAY + 600]);
    // Where somebody is present there are windows all the same.
    let long = platform(600, Options { session_timeout: 1_000 * SEC, ..Options::default() });
    assert_eq!(starts(&long, &format!("J500 C{}", DAY + 501)), [0, 600, 1_200, DAY]);
}

#[test]
fn presence_is_not_extrapolated_beyond_the_last_events_window() {
    let job = Job::new(&[concurrency("fine", 10, &[]), concurrency("minute", 60, &[])], Options::default());
    let run = job.run(&scene("J12"));
    // A lease counts to the end of the window that holds the last event: each table stops at its own.
    assert_eq!(lines(&run.tables["fine"], "window_start viewer_minutes viewers_current"), ["10 0.1333 1"]);
    assert_eq!(lines(&run.tables["minute"], "window_start viewer_minutes viewers_current"), ["0 0.8000 1"]);
}

#[test]
fn a_late_event_opens_no_window_and_keeps_no_stream_awake() {
    let job = platform(10, Options::default());
    let run = job.run(&scene("C500 C501 C100"));
    assert_eq!(lines(&run.tables["total"], "window_start"), ["500"]);
    assert_eq!(late(&run, "total"), ["0/3"]);
    // J0 holds the stream until 120; the event at 100 would until 220, but it is late.
    let run = job.run(&scene("J0 C200 Q100"));
    let rows = lines(&run.tables["total"], "window_start active_streams");
    assert_eq!(rows[11..13], ["110 1", "120 0"]);
}

#[test]
fn an_event_of_a_type_that_is_unknown_keeps_a_stream_awake() {
    let job = platform(10, lenient());
    let mut events: Vec<Event> = scene("J0 C400");
    events.push(event("poll.answered", 100).with("stream_id", json!("s")));
    let run = job.run(&events);
    let awake = run.tables["total"].iter().filter(|r| int(r, "active_streams") == 1).count();
    assert_eq!(awake, 22, "until 100 s and the timeout of 120 s");
}

#[test]
fn a_stream_that_is_forgotten_within_a_window_keeps_its_row() {
    // Windows of four days beside windows of an hour: the stream is forgotten on the third day, its row is due on the fourth.
    let days = 4 * 24 * 3_600;
    let files = [concurrency("hours", 3_600, &["stream_id"]), concurrency("days", days, &["stream_id"])];
    let run = Job::new(&files, lenient()).run(&scene(&over_days("J0%c", 120)));
    assert_eq!(lines(&run.tables["days"], "stream_id channel_id viewer_minutes"), ["s c 1.0000"]);
    // Nor does a later stream take its place.
    let text = over_days(&format!("J0%c z~J{}%d", 60 * 3_600), 120);
    let run = Job::new(&files, lenient()).run(&scene(&text));
    assert_eq!(lines(&run.tables["days"], "stream_id channel_id viewer_minutes"), ["s c 1.0000", "z d 1.0000"]);
}
