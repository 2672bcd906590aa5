//! Counting sessions: minimum, average, peak, uniques, and under which values a session counts.

use crate::reference::Options;

use super::scene::{Job, concurrency, int, late, lines, scene};

const MEASURES: &str = "window_start viewers_min viewers_avg viewers_max viewers_current unique_viewers viewer_minutes";

fn job(partition: &[&str]) -> Job {
    Job::new(&[concurrency("table", 60, partition)], Options::default())
}

#[test]
fn uniques_and_peaks_do_not_add_up_averages_do() {
    let job =
        Job::new(&[concurrency("total", 60, &[]), concurrency("of_stream", 60, &["stream_id"])], Options::default());
    // One viewer goes from one stream to another.
    let run = job.run(&scene("A:J0=v A:L30=v z~B:J30=v z~B:L50=v"));
    assert_eq!(
        lines(&run.tables["of_stream"], "stream_id viewers_min viewers_avg viewers_max unique_viewers viewer_minutes"),
        ["s 0 0.5000 1 1 0.5000", "z 0 0.3333 1 1 0.3333"]
    );
    assert_eq!(
        lines(&run.tables["total"], "viewers_min viewers_avg viewers_max unique_viewers viewer_minutes"),
        ["0 0.8333 1 1 0.8333"]
    );
}

#[test]
fn the_current_count_is_that_just_before_the_end_of_the_window() {
    let job = job(&[]);
    let run = job.run(&scene("J0 H30 L60 B:J60 C119"));
    // What happens at 60 belongs to the next window: A's end, B's beginning.
    assert_eq!(lines(&run.tables["table"], MEASURES), ["0 1 1.0000 1 1 1 1.0000", "60 1 1.0000 1 1 1 1.0000"]);
}

#[test]
fn the_minimum_and_the_peak_are_of_the_step_function_over_the_window() {
    let job = job(&[]);
    let run = job.run(&scene("A:J50 B:J55 A:H70 B:L80 C90 C:J100 A:L110 C179"));
    // Presence: A [50,110), B [55,80), C [100,160).
    assert_eq!(
        lines(&run.tables["table"], MEASURES),
        ["0 0 0.2500 2 2 2 0.2500", "60 1 1.5000 2 1 3 1.5000", "120 0 0.6667 1 0 1 0.6667"]
    );
}

#[test]
fn nobody_counts_twice_where_one_leaves_as_another_comes() {
    let run = job(&[]).run(&scene("A:J0 A:L30 B:J30 C59"));
    assert_eq!(lines(&run.tables["table"], "viewers_min viewers_max"), ["1 1"]);
}

#[test]
fn presence_of_no_length_leaves_no_trace() {
    let run = job(&["stream_id"]).run(&scene("J10 L10 B:J20 B:P20 C59"));
    assert_eq!(lines(&run.tables["table"], "window_start"), Vec::<String>::new());
}

#[test]
fn a_session_counts_under_the_last_values_that_its_counted_touches_gave() {
    let job = Job::new(&[concurrency("table", 60, &["country"]), concurrency("total", 60, &[])], Options::default());
    let run = job.run(&scene("J0=- H20=v#DE H30=w P35=x#BR R40=-#US L50 H55=y#FR"));
    // [0,20) nowhere, nobody known. [20,35) in Germany, as v and from 30 as w. The pause says nothing. [40,50) in the US,
    // still w. The touch after the end says nothing.
    assert_eq!(
        lines(&run.tables["table"], "country viewer_minutes viewers_max unique_viewers"),
        ["null 0.3333 1 0", "DE 0.2500 1 2", "US 0.1667 1 1"]
    );
    assert_eq!(lines(&run.tables["total"], "viewer_minutes viewers_max unique_viewers"), ["0.7500 1 2"]);
}

#[test]
fn uniques_are_distinct_viewers_and_a_session_without_one_is_none() {
    let run = job(&[]).run(&scene("A:J0=v B:J10=v C:J20=w D:J30=- C59"));
    assert_eq!(lines(&run.tables["table"], "viewers_max unique_viewers"), ["4 2"]);
}

#[test]
fn a_viewer_of_two_groups_is_unique_in_each() {
    let run = job(&["country"]).run(&scene("A:J0=v#DE B:J0=v#US A:H30=v#US C59"));
    assert_eq!(
        lines(&run.tables["table"], "country viewers_max unique_viewers viewer_minutes"),
        ["DE 1 1 0.5000", "US 2 1 1.5000"]
    );
}

#[test]
fn null_is_a_group_of_its_own() {
    let run = job(&["country", "device_type"]).run(&scene("A:J0#DE B:J0 C:J30 C59"));
    assert_eq!(
        lines(&run.tables["table"], "country device_type viewers_max viewer_minutes"),
        ["null null 2 1.5000", "DE null 1 1.0000"]
    );
}

#[test]
fn groups_by_stream_and_country_are_kept_apart() {
    let run = job(&["stream_id", "country"]).run(&scene("A:J0#DE B:J0#US z~A:J30#DE C59"));
    assert_eq!(
        lines(&run.tables["table"], "stream_id country viewers_max viewer_minutes"),
        ["s DE 1 1.0000", "s US 1 1.0000", "z DE 1 0.5000"]
    );
}

#[test]
fn a_late_mark_changes_nothing() {
    let job =
        Job::new(&[concurrency("total", 10, &[]), concurrency("of_stream", 10, &["stream_id"])], Options::default());
    // When they are read the watermark is 40, so that the bucket [20,30) is closed and [40,50) is not.
    let run = job.run(&scene("J0 C70 L25 z~S25 z~J25 B:J45<A%c H50"));
    let rows = &run.tables["of_stream"];
    assert_eq!(
        lines(rows, "window_start stream_id channel_id viewers_max unique_viewers viewers_avg"),
        [
            "0 s null 1 1 1.0000",
            "10 s null 1 1 1.0000",
            "20 s null 1 1 1.0000",
            "30 s null 1 1 1.0000",
            "40 s c 1 2 1.0000",
            "50 s c 1 1 1.0000",
            "60 s c 1 1 1.0000",
            "70 s c 1 1 1.0000",
        ]
    );
    assert_eq!(lines(&run.tables["total"], "window_start active_streams_max").len(), 8);
    assert!(run.tables["total"].iter().all(|r| int(r, "active_streams_max") == 1), "z is not active");
    assert_eq!(late(&run, "total"), ["0/3", "0/4", "0/5"]);
    assert_eq!(late(&run, "of_stream"), late(&run, "total"));
    assert_eq!(run.counters.pipelines["total"].ignored_touches, 1, "H50 comes after A's end");
}

#[test]
fn all_concurrency_tables_share_the_verdict_of_the_finest_window() {
    // At C70 the watermark is 40: the mark at 25 is late for [20,30), not for [0,60).
    let minute = concurrency("minute", 60, &[]);
    let events = scene("J0 C70 L25");
    let alone = Job::new(std::slice::from_ref(&minute), Options::default()).run(&events);
    assert_eq!(lines(&alone.tables["minute"], "window_start viewers_avg"), ["0 0.4167", "60 0.0000"]);
    let both = Job::new(&[minute, concurrency("fine", 10, &[])], Options::default()).run(&events);
    assert_eq!(lines(&both.tables["minute"], "window_start viewers_avg"), ["0 1.0000", "60 0.0000"]);
    assert_eq!((late(&both, "minute"), late(&both, "fine")), (vec!["0/3".to_owned()], vec!["0/3".to_owned()]));
}

#[test]
fn one_state_gives_windows_of_every_size() {
    let sizes = [10, 30, 120];
    let files: Vec<_> = sizes.iter().map(|s| concurrency(&format!("every_{s}"), *s, &[])).collect();
    let run = Job::new(&files, Options::default()).run(&scene("J5 B:J15 B:L25 L35 C119"));
    let measures = |size: i64| lines(&run.tables[&format!("every_{size}")], "window_start viewers_avg viewers_max");
    assert_eq!(measures(10)[..4], ["0 0.5000 1", "10 1.5000 2", "20 1.5000 2", "30 0.5000 1"]);
    assert_eq!(measures(30), ["0 1.1667 2", "30 0.1667 1", "60 0.0000 0", "90 0.0000 0"]);
    assert_eq!(measures(120), ["0 0.3333 2"]);
}

#[test]
fn counts_never_drift_or_go_below_zero() {
    // Ends without starts, starts without ends, everything twice.
    let run = job(&[]).run(&scene("L0 A:L1 B:L2 J3 J4 L5 L6 B:J7 B:P8 B:P9 B:L10 E11 E12 C119"));
    assert_eq!(
        lines(&run.tables["table"], "window_start viewers_min viewers_max viewers_current viewer_minutes"),
        ["0 0 1 0 0.0500", "60 0 0 0 0.0000"]
    );
}
