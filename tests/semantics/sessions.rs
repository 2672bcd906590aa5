//! Sessions: leases, closures, hand-overs, forgetting. Presence is read off windows of one second.

use crate::reference::{Options, SEC};

use super::scene::{Job, concurrency, int, joined, latest, lines, scene};

/// Shows presence to the second.
struct Stage {
    job: Job,
    timeout: i64,
}

impl Stage {
    fn new() -> Self {
        Self::with_timeout(60)
    }

    fn with_timeout(timeout: i64) -> Self {
        let options = Options { session_timeout: timeout * SEC, ..Options::default().ignoring_lateness() };
        Self { job: Job::new(&[concurrency("by_session", 1, &["stream_id", "session_id"])], options), timeout }
    }

    /// The presence of session `A` of stream `s`, and how many touches were ignored.
    #[track_caller]
    fn shows(&self, text: &str, presence: &[(i64, i64)], ignored: u64) {
        let mut events = scene(text);
        // Presence is not extrapolated beyond the last event.
        events.extend(scene(&format!("C{}", latest(&events) + self.timeout)));
        let run = self.job.run(&events);
        let rows = run.tables["by_session"].iter();
        let mut starts: Vec<i64> = rows
            .filter(|r| lines(&[(*r).clone()], "stream_id session_id") == ["s A"])
            .map(|r| {
                assert_eq!((int(r, "viewers_min"), int(r, "viewers_max")), (1, 1), "{text}: part of a second");
                int(r, "window_start")
            })
            .collect();
        starts.sort_unstable();
        assert_eq!(joined(starts, 1), presence, "presence in {text}");
        assert_eq!(run.counters.pipelines["by_session"].ignored_touches, ignored, "ignored touches in {text}");
    }
}

#[test]
fn a_touch_holds_a_session_for_the_timeout() {
    let stage = Stage::new();
    stage.shows("J0", &[(0, 60)], 0);
    stage.shows("H5", &[(5, 65)], 0); // needs no start
    stage.shows("R5", &[(5, 65)], 0);
    stage.shows("J0 H10 R20", &[(0, 80)], 0);
    Stage::with_timeout(7).shows("J0 H5", &[(0, 12)], 0);
}

#[test]
fn touches_at_most_the_timeout_apart_join() {
    let stage = Stage::new();
    stage.shows("J0 H60", &[(0, 120)], 0);
    stage.shows("J0 H61", &[(0, 60), (61, 121)], 0);
}

#[test]
fn an_error_is_no_mark_of_its_session() {
    let stage = Stage::new();
    stage.shows("V0", &[], 0);
    stage.shows("V0 E10 H20", &[(20, 80)], 0); // nor one that the stream's end looks for
}

#[test]
fn marks_of_one_instant_go_by_rank_whatever_the_order_of_reading() {
    let stage = Stage::new();
    stage.shows("J0 L0 H0", &[], 0);
    stage.shows("L5 J5", &[], 0);
    stage.shows("J0 P20 R20", &[(0, 20)], 0); // the touch, then the pause
    stage.shows("J0 L20 J20 H30", &[(0, 20)], 1); // the start, then the end
    stage.shows("J0 J30 E30", &[(0, 90)], 0); // the stream's end, then its sessions' marks
    stage.shows("J0 H30 S30 E30 H40", &[(0, 100)], 0); // it ends, starts, and only then is touched
}

#[test]
fn marks_of_one_instant_and_rank_go_by_event_id() {
    let job = Job::new(&[concurrency("by_country", 60, &["country"])], Options::default());
    // The greater id is the later touch: its country is the last.
    for text in ["H0#DE!a H0#FR!b", "H0#FR!b H0#DE!a", "0/H0#FR!b 1/H0#DE!a"] {
        let run = job.run(&scene(text));
        assert_eq!(lines(&run.tables["by_country"], "window_start country viewers_max"), ["0 FR 1"], "{text}");
    }
}

#[test]
fn a_pause_cuts_the_lease_and_closes_nothing() {
    let stage = Stage::new();
    stage.shows("J0 P20", &[(0, 20)], 0);
    stage.shows("J0 P20 H30", &[(0, 20), (30, 90)], 0);
    stage.shows("P20 H30", &[(30, 90)], 0);
    stage.shows("J0 L10 P20 R30", &[(0, 10)], 1);
}

#[test]
fn a_heartbeat_that_says_paused_or_ended_is_a_mark_and_no_touch() {
    let stage = Stage::new();
    stage.shows("J0 h50 H100", &[(0, 60), (100, 160)], 0);
    stage.shows("J0 x50 H100", &[(0, 60), (100, 160)], 0);
    stage.shows("h0 E10 H20", &[], 1); // the stream's end found it
    stage.shows("x0 E10 H20", &[], 1);
    stage.shows("J0 L10 h605 H609", &[(0, 10)], 1); // it renews no closure
    stage.shows("J0 L10 h605 H610", &[(0, 10), (610, 670)], 0);
}

#[test]
fn an_end_holds_until_its_retention_has_passed_without_a_touch() {
    let stage = Stage::new();
    stage.shows("J0 L10 H609", &[(0, 10)], 1);
    stage.shows("J0 L10 H610", &[(0, 10), (610, 670)], 0);
}

#[test]
fn each_ignored_touch_renews_the_closure() {
    let stage = Stage::new();
    stage.shows("J0 L10 H500 H1099", &[(0, 10)], 2);
    stage.shows("J0 L10 H500 H1100", &[(0, 10), (1100, 1160)], 1);
    stage.shows("J0 L10 L500 H1099", &[(0, 10)], 1); // a second end too
}

#[test]
fn only_a_start_lifts_an_end() {
    let stage = Stage::new();
    stage.shows("J0 L10 H20 J30 H40", &[(0, 10), (30, 100)], 1);
    stage.shows("J0 L10 R20", &[(0, 10)], 1);
    stage.shows("J0 L10 S15 H20", &[(0, 10)], 1);
}

#[test]
fn the_previous_session_ends_at_the_touch_that_names_it() {
    let stage = Stage::new();
    stage.shows("J0 B:J30<A H40", &[(0, 30)], 1);
    stage.shows("J0 B:H30<A H40", &[(0, 30)], 1);
    stage.shows("B:J30<A H40", &[], 1); // before any mark of it
    stage.shows("J0 B:P30<A", &[(0, 60)], 0); // on what is no touch it says nothing
    stage.shows("J0 B:h30<A", &[(0, 60)], 0);
    stage.shows("J0 B:L20 B:H30<A H40", &[(0, 30)], 2); // though the touch is ignored itself
    stage.shows("J0 B:J30<A J30", &[(0, 30)], 0); // at one instant in the rank of an end
    stage.shows("J0 B:J30<A J31", &[(0, 30), (31, 91)], 0); // and a start lifts it
}

#[test]
fn a_session_never_ends_itself_as_its_own_previous() {
    Stage::new().shows("J0 H30<A H40", &[(0, 100)], 0);
}

#[test]
fn a_session_is_named_within_its_stream() {
    let stage = Stage::new();
    stage.shows("J0 z~L10", &[(0, 60)], 0);
    stage.shows("J0 z~B:J10<A", &[(0, 60)], 0);
    stage.shows("J0 z~E10", &[(0, 60)], 0);
}

#[test]
fn a_streams_end_closes_its_sessions_with_a_recent_mark() {
    let stage = Stage::new();
    stage.shows("J0 E30 H40", &[(0, 30)], 1);
    stage.shows("J0 P10 E610 H610", &[(0, 10)], 1); // a mark exactly the retention before
    stage.shows("J0 P10 E611 H611", &[(0, 10), (611, 671)], 0);
    stage.shows("E30 H40", &[(40, 100)], 0); // no mark before
    stage.shows("E30 H30 H40", &[(30, 100)], 0); // a mark at the end itself is not before it
    stage.shows("J0 E30 J40 H50", &[(0, 30), (40, 110)], 0); // a start of the session lifts it
}

#[test]
fn a_closure_by_the_stream_holds_its_whole_retention() {
    let stage = Stage::new();
    stage.shows("J0 P10 E600 H1199", &[(0, 10)], 1); // though the last mark is further back than that
    stage.shows("J0 P10 E600 H1200", &[(0, 10), (1200, 1260)], 0);
}

#[test]
fn a_streams_start_lifts_what_its_end_closed_and_nothing_else() {
    let stage = Stage::new();
    stage.shows("J0 E30 S35 H40", &[(0, 30), (40, 100)], 0);
    stage.shows("J0 L10 E20 S30 H40", &[(0, 10)], 1);
    stage.shows("J0 S30 E30 H40", &[(0, 30), (40, 100)], 0); // at one instant it ends, then starts
}

#[test]
fn an_ignored_touch_renews_each_closure_that_holds() {
    let stage = Stage::new();
    // Closed at 10 by itself and at 500 by the stream, which keeps it remembered; H605 is within both, H1204 within both renewed ones.
    stage.shows("J0 L10 h495 E500 H605 S610 H1204", &[(0, 10)], 2);
    // Its own closure runs out at 610: H620 renews the stream's only, which the start lifts.
    stage.shows("J0 L10 h495 E500 H620 S630 H640", &[(0, 10), (640, 700)], 1);
}

#[test]
fn a_streams_end_closes_sessions_that_another_shard_carries() {
    let stage = Stage::new();
    stage.shows("0/J0 1/E30 0/H40", &[(0, 30)], 1);
    stage.shows("2/J0 0/H20 1/E30 2/S35 0/H40", &[(0, 30), (40, 100)], 0);
}

#[test]
fn a_session_may_be_carried_by_several_shards() {
    let stage = Stage::new();
    stage.shows("0/J0 1/H50 2/H100 0/L130", &[(0, 130)], 0);
    stage.shows("1/L130 0/J0 2/H100 1/H50 0/H140", &[(0, 130)], 1);
    stage.shows("0/J0 1/B:J30<A 0/H40", &[(0, 30)], 1);
}

#[test]
fn a_session_is_forgotten_after_its_retention_and_its_presence() {
    let country = |text: &str, timeout: i64| {
        let options = Options { session_timeout: timeout * SEC, ..Options::default() };
        let run = Job::new(&[concurrency("by_country", 60, &["country"])], options).run(&scene(text));
        lines(&run.tables["by_country"], "window_start country").pop().unwrap()
    };
    assert_eq!(country("H0#DE H600", 60), "600 DE");
    assert_eq!(country("H0#DE H601", 60), "600 null");
    assert_eq!(country("H0#DE H900", 900), "900 DE", "still present up to there");
    assert_eq!(country("H0#DE H901", 900), "900 null");
    // Any mark keeps it remembered, an ignored touch among them.
    assert_eq!(country("H0#DE h500 H1100", 60), "1080 DE");
    assert_eq!(country("H0#DE P500 H1101", 60), "1080 null");
    assert_eq!(country("H0#DE L10 H500 H1100", 60), "1080 DE");
}
