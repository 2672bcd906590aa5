//! Active streams, channels, and which windows there are.

use super::super::reference::{
    DAY, MINUTE, Options, SEC, Val, accepted_for_concurrency, active_at, active_intervals, channel_before, concurrency,
    tables,
};
use super::*;

/// When stream "s" is active, in seconds; intervals that meet are joined.
fn active(text: &str, options: &Options) -> Vec<(i64, i64)> {
    let judged = scene(text);
    let accepted = accepted_for_concurrency(&judged.kept, options);
    let mut joined: Vec<(i64, i64)> = Vec::new();
    for (from, to) in active_intervals("s", &accepted, &presence_of(&judged, options), options) {
        let (from, to) = ((from - ZERO) / SEC, (to - ZERO) / SEC);
        match joined.last_mut() {
            Some(last) if last.1 == from => last.1 = to,
            _ => joined.push((from, to)),
        }
    }
    joined
}

fn shows(text: &str, expected: &[(i64, i64)]) {
    assert_eq!(active(text, &Options::default().ignoring_lateness()), expected, "{text}");
}

const TWO_DAYS: i64 = 2 * DAY / SEC;

#[test]
fn announced_from_start_to_end() {
    shows("S10 E50", &[(10, 50)]);
    shows("S10 Q30", &[(10, 30 + TWO_DAYS)]);
    shows("Q5", &[]);
    shows("S10 E50 S70 E90", &[(10, 50), (70, 90)]);
    shows("S10 E50 Q60", &[(10, 50)]);
    shows("S10 S50 E50 E60", &[(10, 60)]); // at one instant it ends, then starts
}

#[test]
fn never_announced_from_the_first_counted_touch() {
    shows("Q5 J10", &[(10, 130)]);
    shows("J10 L20 Q40", &[(10, 160)]);
    shows("J10 Q300", &[(10, 130), (300, 420)]); // it has had its touch, so any event wakes it
    let long = Options { session_timeout: 500 * SEC, ..Options::default() };
    assert_eq!(active("J10", &long), [(10, 510)], "as long as somebody is present");
    assert_eq!(active("J10 P20", &long), [(10, 140)]);
}

#[test]
fn after_the_end_only_a_counted_touch_or_a_start() {
    shows("S0 J10 E50 H60", &[(0, 50)]); // the touch is ignored
    shows("S0 J10 E50 J60", &[(0, 50), (60, 180)]);
    shows("S0 E50 B:H60", &[(0, 50), (60, 180)]);
    shows("J10 E50", &[(10, 50)]);
    shows("J10 E50 B:H50", &[(10, 170)]); // at one instant the touch comes after the end
    shows("E50 Q60 J70", &[(70, 190)]);
}

#[test]
fn two_days_of_silence() {
    let silent = |more: i64| format!("S0 Q{}", TWO_DAYS + more);
    shows(&silent(-1), &[(0, 2 * TWO_DAYS - 1)]);
    shows(&silent(0), &[(0, 2 * TWO_DAYS)]);
    shows(&silent(1), &[(0, TWO_DAYS)]); // forgotten: the stream is as never announced
    shows(&format!("J0 Q{}", TWO_DAYS + 1), &[(0, 120)]);
    shows(&format!("J0 Q{TWO_DAYS}"), &[(0, 120), (TWO_DAYS, TWO_DAYS + 120)]);
    // Activity of another stream does not count.
    shows(&format!("S0 C{} Q{}", TWO_DAYS / 2, TWO_DAYS + 1), &[(0, TWO_DAYS)]);
}

#[test]
fn the_channel_is_the_last_one_named_before_the_end_of_the_window() {
    let named = |id: &str, t: i64, channel: Option<&str>| {
        (t, event("stream.quality_changed", t, json!({"event_id": id, "stream_id": "s", "channel_id": channel})))
    };
    let far = 3 * TWO_DAYS;
    let judged = judged(&[
        named("b", 10, Some("second")),
        named("a", 10, Some("first")),
        named("c", 20, None),
        named("d", 60, Some("third")),
        named("e", far, None),
    ]);
    let options = Options::default().ignoring_lateness();
    let accepted = accepted_for_concurrency(&judged.kept, &options);
    let channel = |second: i64| channel_before("s", &accepted, &options, at(second));
    assert_eq!(channel(10), None);
    assert_eq!(channel(60), Some("second".to_owned()));
    assert_eq!(channel(61), Some("third".to_owned()));
    assert_eq!(channel(far), Some("third".to_owned()));
    assert_eq!(channel(far + 1), None, "forgotten over the silence");
}

#[test]
fn active_streams_just_before_the_end_and_at_most() {
    let judged = scene("S12 C13 E18 C29");
    let rows = concurrency(&judged.kept, &Options::default(), 10 * SEC, &[]);
    let seen: Vec<_> = rows.iter().map(|r| (&r["active_streams"], &r["active_streams_max"])).collect();
    assert_eq!(seen, [(&Val::Int(0), &Val::Int(1)), (&Val::Int(0), &Val::Int(0))]);
    let at_borders = concurrency(&scene("C5 S20 E30 C31").kept, &Options::default(), 10 * SEC, &[]);
    let seen: Vec<_> = at_borders.iter().map(|r| (&r["active_streams"], &r["active_streams_max"])).collect();
    let (zero, one) = (&Val::Int(0), &Val::Int(1));
    assert_eq!(seen, [(zero, zero), (zero, zero), (one, one), (zero, zero)]);
    assert!(active_at(
        "s",
        &accepted_for_concurrency(&judged.kept, &Options::default()),
        &Default::default(),
        &Options::default(),
        at(12)
    ));
}

fn starts(text: &str, table: &str) -> Vec<i64> {
    let tables = tables(&scene(text).kept, &Options::default());
    let seconds = |row: &Row| match row["window_start"] {
        Val::Int(start) => (start - ZERO) / SEC,
        _ => panic!("a window starts at a time"),
    };
    tables.rows[table].iter().map(seconds).collect()
}

#[test]
fn totals_from_the_first_events_window_to_the_last() {
    assert_eq!(starts("C25 C48", "platform_totals"), [20, 30, 40]);
    assert_eq!(starts("C25 C50", "platform_totals"), [20, 30, 40, 50]);
}

#[test]
fn a_gap_of_more_than_a_day_is_not_filled() {
    let day = DAY / SEC;
    assert_eq!(starts(&format!("C5 C{}", day + 5), "platform_totals").len() as i64, day / 10 + 1);
    assert_eq!(starts(&format!("C5 C{}", day + 6), "platform_totals"), [0, day]);
    // Where somebody is present, there are windows all the same.
    assert_eq!(starts(&format!("J5 C{}", day + 6), "platform_totals"), [0, 10, 20, 30, 40, 50, 60, day]);
}

#[test]
fn presence_is_not_extrapolated_beyond_the_last_events_window() {
    assert_eq!(starts("J10 C70", "concurrent_viewers"), [0, 60]);
    assert_eq!(starts("J10", "concurrent_viewers"), [0]);
    assert_eq!(starts("J10", "platform_totals"), [10]);
    // The window that holds the last event is complete to its end.
    let rows = &tables(&scene("J10").kept, &Options::default()).rows["concurrent_viewers"];
    assert_eq!(rows[0]["viewer_minutes"], Val::Float(50e6 / 60e6));
    assert_eq!(rows[0]["viewers_current"], Val::Int(1));
}

#[test]
fn a_window_without_presence_has_a_total_and_no_stream_row() {
    assert_eq!(starts("J0 L10 C200", "concurrent_viewers"), [0]);
    assert_eq!(starts("J0 L10 C69", "platform_totals"), [0, 10, 20, 30, 40, 50, 60]);
}

#[test]
fn late_events_open_no_window() {
    let judged = scene("C500 C501 C100");
    let tables = tables(&judged.kept, &Options::default());
    assert_eq!(tables.rows["platform_totals"].len(), 1);
    assert_eq!(tables.late["platform_totals"], [judged.kept[2].place.clone()]);
    let all = concurrency(&judged.kept, &Options::default().ignoring_lateness(), MINUTE, &[]);
    assert_eq!(all.len(), 8);
}
