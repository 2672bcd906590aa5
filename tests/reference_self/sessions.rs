//! Sessions: closures, hand-overs, forgetting, dimensions.

use super::super::reference::{MINUTE, Options, SEC, Val, concurrency};
use super::*;

fn shows(text: &str, expected: &[(i64, i64)], ignored: usize) {
    let judged = scene(text);
    let options = Options::default().ignoring_lateness();
    assert_eq!(intervals(&judged, "A", &options), expected, "presence in {text}");
    assert_eq!(presence_of(&judged, &options).ignored.len(), ignored, "ignored touches in {text}");
}

#[test]
fn a_closure_lasts_until_its_retention_has_passed_without_a_touch() {
    shows("J0 L10 H609", &[(0, 10)], 1);
    shows("J0 L10 H610", &[(0, 10), (610, 670)], 0);
    shows("J0 L10 H500 H1099", &[(0, 10)], 2);
    shows("J0 L10 H500 H1100", &[(0, 10), (1100, 1160)], 1);
    shows("J0 L10 H20 J30 H40", &[(0, 10), (30, 100)], 1);
    shows("J0 L10 L500 H1099", &[(0, 10)], 1);
}

#[test]
fn a_pause_cuts_and_closes_nothing() {
    shows("J0 P20 H30", &[(0, 20), (30, 90)], 0);
    shows("J0 P20 R20", &[(0, 20)], 0); // at one instant the touch comes first
    shows("P20 H30", &[(30, 90)], 0);
    shows("J0 L10 P20 R30", &[(0, 10)], 1);
}

#[test]
fn a_heartbeat_that_says_paused_is_no_touch() {
    shows("J0 h50 H100", &[(0, 60), (100, 160)], 0);
    shows("h0 H10", &[(10, 70)], 0);
    // … but it is a mark, which a stream's end looks for, and which keeps the session remembered.
    shows("h0 E10 H20", &[], 1);
    shows("J0 L10 h605 H609", &[(0, 10)], 1);
}

#[test]
fn the_end_of_a_stream_closes_sessions_with_a_recent_mark() {
    shows("J0 E30 H40", &[(0, 30)], 1);
    shows("J0 E30 S35 H40", &[(0, 30), (40, 100)], 0);
    shows("J0 E30 J40 H50", &[(0, 30), (40, 110)], 0);
    shows("J0 L10 E600 H601", &[(0, 10)], 1); // both closures hold
    shows("J0 P10 E600 S600 H601", &[(0, 10), (601, 661)], 0);
    shows("J0 P10 E610 H610", &[(0, 10)], 1); // a mark exactly the retention before the end
    shows("J0 P10 E611 H611", &[(0, 10), (611, 671)], 0); // no mark within the retention
    shows("E30 H40", &[(40, 100)], 0); // no mark before the end
    shows("E30 H30", &[(30, 90)], 0); // a mark at the end itself is not before it
    shows("J30 E30", &[(30, 90)], 0);
}

#[test]
fn starting_the_stream_lifts_only_what_ending_it_closed() {
    shows("J0 L10 E20 S30 H40", &[(0, 10)], 1);
    shows("J0 L10 S30 H40", &[(0, 10)], 1);
    // A stream's end is no mark of the session, but its closure is remembered as long as it holds.
    shows("J0 P10 E600 H610", &[(0, 10)], 1);
    shows("J0 P10 E600 H611", &[(0, 10)], 1); // the closure holds its 600 s, though the last mark is further back
    // At one instant the stream ends before it starts.
    shows("J0 S30 E30 H40", &[(0, 30), (40, 100)], 0);
}

#[test]
fn ignored_touches_renew_each_closure_that_holds() {
    // Own closure at 10, stream closure at 500: H605 is within both, H1204 within both renewed ones.
    shows("J0 E30 H600 H700", &[(0, 30)], 2);
    shows("J0 L10 h495 E500 H605 S610 H1204", &[(0, 10)], 2);
    // The own closure runs out at 610; the touch at 620 renews the stream's closure only, which the start lifts.
    shows("J0 L10 h495 E500 H620 S630 H640", &[(0, 10), (640, 700)], 1);
}

#[test]
fn previous_session_ends_the_older_one() {
    shows("J0 B:J30<A H40", &[(0, 30)], 1);
    shows("B:J30<A H40", &[], 1); // before any mark of A
    shows("J0 H30<A H40", &[(0, 100)], 0); // never itself
    shows("J0 B:L20 B:H30<A H40", &[(0, 30)], 2); // also where the touch that says so is ignored
    shows("J0 B:P30<A", &[(0, 60)], 0); // not on what is no touch
    // At one instant, the hand-over comes after A's touches, in the rank of an end.
    shows("J0 B:J30<A J30", &[(0, 30)], 0);
    shows("J0 B:J30<A J30 H31", &[(0, 30)], 1);
}

#[test]
fn ties_are_resolved_by_rank_whatever_the_order_of_reading() {
    shows("J0 L0 H0", &[], 0);
    shows("L5 J5", &[], 0);
    shows("H5 J5", &[(5, 65)], 0);
}

#[test]
fn a_session_is_forgotten_after_its_retention_and_its_presence() {
    let view = |t: i64, more: Value| {
        let mut event = event("view.heartbeat", t, json!({"stream_id": "s", "session_id": "A"}));
        for (field, value) in more.as_object().expect("fields") {
            event[field] = value.clone();
        }
        (t, event)
    };
    let countries = |second: i64, timeout: i64| {
        let judged = judged(&[view(0, json!({"country": "DE"})), view(second, json!({}))]);
        let options = Options { session_timeout: timeout * SEC, ..Options::default() };
        let segments = presence_of(&judged, &options).segments;
        segments.last().expect("present").dims.get("country").cloned()
    };
    assert_eq!(countries(600, 60), Some("DE".to_owned()));
    assert_eq!(countries(601, 60), None);
    assert_eq!(countries(900, 900), Some("DE".to_owned()), "still present up to there");
    assert_eq!(countries(901, 900), None);
}

#[test]
fn a_session_counts_under_the_last_values_its_counted_touches_gave() {
    let view = |kind: &str, t: i64, country: Option<&str>, viewer: Option<&str>| {
        let more = json!({"stream_id": "s", "session_id": "A", "country": country, "viewer_id": viewer});
        (t, event(kind, t, more))
    };
    let judged = judged(&[
        view("view.started", 0, None, None),
        view("view.heartbeat", 20, Some("DE"), Some("v")),
        view("view.heartbeat", 30, None, Some("w")),
        view("view.paused", 35, Some("BR"), Some("x")),
        view("view.resumed", 40, Some("US"), None),
        view("view.ended", 50, None, None),
        view("view.heartbeat", 55, Some("FR"), Some("y")),
    ]);
    let options = Options::default();
    let rows = concurrency(&judged.kept, &options, MINUTE, &["country"]);
    let seen: Vec<_> =
        rows.iter().map(|r| (r["country"].clone(), r["viewer_minutes"].clone(), r["unique_viewers"].clone())).collect();
    let minutes = |seconds: i64| Val::Float((seconds * SEC) as f64 / 60e6);
    assert_eq!(
        seen,
        [
            (Val::Null, minutes(20), Val::Int(0)),
            (Val::Str("DE".to_owned()), minutes(15), Val::Int(2)),
            (Val::Str("US".to_owned()), minutes(10), Val::Int(1)),
        ]
    );
    let total = concurrency(&judged.kept, &options, MINUTE, &[]);
    assert_eq!(window(&total, 0)["unique_viewers"], Val::Int(2));
}

#[test]
fn a_session_is_named_within_its_stream() {
    let started = |stream: &str, t: i64| (t, event("view.started", t, json!({"stream_id": stream, "session_id": "A"})));
    let judged = judged(&[started("s", 0), started("z", 1)]);
    assert_eq!(intervals(&judged, "A", &Options::default()), [(0, 60)]);
    assert_eq!(window(&concurrency(&judged.kept, &Options::default(), MINUTE, &[]), 0)["viewers_max"], Val::Int(2));
}

#[test]
fn a_late_mark_changes_nothing() {
    // At H200 the watermark is 170; the end at 100 belongs to a window that closed at 110.
    let judged = scene("J90 H140 H200 L100 L175");
    assert_eq!(intervals(&judged, "A", &Options::default()), [(90, 175)]);
    assert_eq!(intervals(&judged, "A", &Options::default().ignoring_lateness()), [(90, 100)]);
}
