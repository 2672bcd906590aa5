//! Decoding, skew, duplicates, lateness.

use super::super::reference::{DAY, Lateness, MINUTE, Options, Provenance, SEC, judge, tables};
use super::*;

fn login(id: &str, t: i64) -> Value {
    event("user.logged_in", t, json!({"event_id": id}))
}

#[test]
fn a_record_is_an_object_an_array_or_lines() {
    let (a, b) = (login("a", 1), login("b", 2));
    let judged = judge(
        &[
            record(1, Some(1), &a.to_string()),
            record(2, Some(2), &format!("[{b}, 7, {{}}]")),
            record(3, Some(3), &format!("{}\n\n{{broken\r\n{}\n", login("c", 3), login("d", 3))),
            record(4, Some(4), ""),
        ],
        Provenance::Record,
    );
    assert_eq!(kept_ids(&judged), ["a", "b", "c", "d"]);
    let refused: Vec<_> =
        judged.dead_letters.iter().map(|d| (d.place.sequence, d.place.sub_sequence, d.reason)).collect();
    assert_eq!(refused, [(2, 1, "wrong_type"), (2, 2, "missing_field"), (3, 1, "not_json")]);
    assert_eq!(judged.kept[3].place.sub_sequence, 2);
    assert_eq!(judged.events_read(), 7);
}

#[test]
fn every_reason_for_a_dead_letter() {
    let refused = |change: Value| {
        let mut event = event("view.started", 0, json!({"stream_id": "s", "session_id": "A"}));
        for (field, value) in change.as_object().expect("fields") {
            event[field] = value.clone();
        }
        judged(&[(0, event)]).dead_letters.first().map(|d| d.reason)
    };
    assert_eq!(refused(json!({})), None);
    assert_eq!(refused(json!({"event_id": null})), Some("missing_field"));
    assert_eq!(refused(json!({"stream_id": null})), Some("missing_field"));
    assert_eq!(refused(json!({"session_id": null})), Some("missing_field"));
    assert_eq!(refused(json!({"event_type": "chat.message_sent", "session_id": null})), None);
    assert_eq!(refused(json!({"event_type": "poll.answered", "stream_id": null})), None);
    assert_eq!(refused(json!({"played_ms": "20"})), Some("wrong_type"));
    assert_eq!(refused(json!({"played_ms": 2_147_483_648_i64})), Some("wrong_type"));
    assert_eq!(refused(json!({"amount_minor": 2_147_483_648_i64})), None);
    assert_eq!(refused(json!({"fatal": 1})), Some("wrong_type"));
    assert_eq!(refused(json!({"viewer_id": 12})), Some("wrong_type"));
    assert_eq!(refused(json!({"event_time": "2027-01-15T08:00:00"})), Some("bad_timestamp"));
    assert_eq!(refused(json!({"event_time": "2027-01-15T09:00:00+01:00"})), None);
    assert_eq!(refused(json!({"sent_at": "soon"})), Some("bad_timestamp"));
    assert_eq!(refused(json!({"event_time": true})), Some("bad_timestamp"));
    assert_eq!(refused(json!({"never_heard_of": []})), None);
}

#[test]
fn skew_by_the_time_sent_then_by_the_arrival() {
    let time = |event_time: i64, sent: Option<i64>, arrival: i64| {
        let mut event = login("a", event_time);
        if let Some(sent) = sent {
            event["sent_at"] = json!(at(sent) / 1000);
        }
        let kept = judged(&[(arrival, event)]).kept.remove(0);
        ((kept.event_time - ZERO) / SEC, kept.event_time_original.map(|t| (t - ZERO) / SEC))
    };
    assert_eq!(time(130, None, 100), (130, None), "30 s ahead is let be");
    assert_eq!(time(131, None, 100), (100, Some(131)));
    assert_eq!(time(90, Some(105), 100), (90, None), "5 s ahead is let be");
    assert_eq!(time(90, Some(106), 100), (84, Some(90)));
    assert_eq!(time(500, Some(520), 100), (80, Some(500)));
    assert_eq!(time(500, Some(400), 100), (100, Some(500)), "shifted by 300, still too far ahead");
    assert_eq!(time(90, Some(20), 100), (90, None), "sent before it arrived is the normal case");
}

#[test]
fn nothing_is_repaired_twice_or_without_an_arrival() {
    let ahead = login("a", 10_000);
    let unknown = judge(&[record(1, None, &ahead.to_string())], Provenance::Record);
    assert_eq!((unknown.kept[0].event_time, unknown.kept[0].event_time_original), (at(10_000), None));

    let mut repaired = login("b", 10_000);
    repaired["event_time_original"] = json!(at(12_000) / 1000);
    repaired["ingest_time"] = json!(at(0) / 1000);
    let row = judge(&[record(1, None, &repaired.to_string())], Provenance::Row);
    assert_eq!(row.kept[0].event_time, at(10_000));
    assert_eq!(row.kept[0].event_time_original, Some(at(12_000)));
    assert_eq!(row.kept[0].arrival, Some(at(0)));

    let live = judge(&[record(1, Some(20), &repaired.to_string())], Provenance::Record);
    assert_eq!(live.kept[0].event_time, at(20), "a producer's event cannot say that it was repaired");
}

#[test]
fn too_old_is_judged_on_the_repaired_time() {
    let week = 7 * DAY / SEC;
    let judged = judged(&[(week, login("a", 0)), (week + 1, login("b", 0)), (week + 2, login("b", week))]);
    assert_eq!(kept_ids(&judged), ["a", "b"], "a refused id is not remembered");
    assert_eq!(judged.dead_letters_by_reason(), [("too_old", 1)].into());

    let mut slow = login("c", 100);
    slow["sent_at"] = json!(at(week + 200) / 1000);
    let fast_clock = super::judged(&[(150, slow)]);
    assert_eq!(fast_clock.dead_letters_by_reason(), [("too_old", 1)].into(), "shifted back by a week and 50 s");
}

#[test]
fn the_high_time_is_that_before_the_row_with_its_own_arrival() {
    let judged = judge(
        &[
            record(1, None, &login("a", 5).to_string()),
            record(2, None, &login("b", 50).to_string()),
            record(3, Some(60), &login("c", 20).to_string()),
            record(4, Some(60), &login("d", 85).to_string()),
            record(5, Some(61), "broken"),
            record(6, Some(200), "broken"),
            record(7, Some(70), &login("e", 70).to_string()),
        ],
        Provenance::Record,
    );
    let highs: Vec<_> = judged.kept.iter().map(|e| e.shard_high_time.map(|t| (t - ZERO) / SEC)).collect();
    // Nothing known; the first row; the second; c does not raise it; the arrival of a dead letter counts.
    assert_eq!(highs, [None, Some(5), Some(50), Some(50), Some(170)]);
}

#[test]
fn an_event_ahead_of_its_arrival_raises_the_high_time_to_the_arrival_only() {
    let judged = judged(&[(100, login("a", 120)), (101, login("b", 101))]);
    assert_eq!(judged.kept[1].shard_high_time, Some(at(100)));
}

#[test]
fn a_repeat_is_dropped_while_the_high_time_is_within_the_horizon() {
    // a is judged at high time 70 (its arrival − 30 s), then known by its event time, 100.
    let outcome = |second: i64| {
        let judged = judged(&[(100, login("a", 100)), (second, login("x", second)), (second, login("a", 100))]);
        judged.duplicates.len()
    };
    assert_eq!(outcome(190), 1, "high time 190 at the repeat, 120 s on");
    assert_eq!(outcome(191), 0);
}

#[test]
fn a_dropped_repeat_renews_nothing_and_a_kept_one_does() {
    let judged = judged(&[
        (100, login("a", 100)), // at high 70
        (150, login("a", 150)), // at high 120 (arrival): dropped
        (191, login("x", 191)),
        (191, login("a", 191)), // at high 191: kept
        (311, login("y", 311)),
        (311, login("a", 311)), // at high 311, 120 s after 191: dropped
    ]);
    assert_eq!(kept_ids(&judged), ["a", "x", "a", "y"]);
    assert_eq!(judged.duplicates.len(), 2);
}

#[test]
fn repeats_are_judged_shard_by_shard() {
    let mut other = record(1, Some(0), &login("a", 0).to_string());
    other.shard = "1".to_owned();
    let judged = judge(&[record(1, Some(0), &login("a", 0).to_string()), other], Provenance::Record);
    assert_eq!(judged.kept.len(), 2);
}

#[test]
fn a_late_event_is_kept_and_its_id_remembered() {
    let judged = judged(&[(200, login("x", 200)), (200, login("late", 20)), (201, login("late", 20))]);
    assert_eq!(kept_ids(&judged), ["x", "late"]);
    let tables = tables(&judged.kept, &Options::default());
    assert_eq!(tables.late["user_activity"], [judged.kept[1].place.clone()]);
}

#[test]
fn late_when_the_window_ended_at_or_before_the_watermark() {
    let late = |window_end_plus: i64, allowed: i64| {
        // The high time is 90 + more, the watermark 60 + more; the window of second 59 ends at 60.
        let high = 90 + window_end_plus;
        let judged = judged(&[(high, login("x", high)), (high, login("a", 59))]);
        let options =
            Options { lateness: Lateness::Replay { delay: 30 * SEC, allowed: allowed * SEC }, ..Options::default() };
        options.is_late(&judged.kept[1], MINUTE)
    };
    assert!(!late(-1, 0));
    assert!(late(0, 0));
    assert!(!late(4, 5));
    assert!(late(5, 5));
}

#[test]
fn ignoring_lateness_still_drops_repeats_and_mends_clocks() {
    let judged = judged(&[(200, login("x", 300)), (200, login("late", 20)), (201, login("late", 20))]);
    let options = Options::default().ignoring_lateness();
    let tables = tables(&judged.kept, &options);
    assert!(tables.late["user_activity"].is_empty());
    assert_eq!(tables.rows["user_activity"].len(), 2);
    assert_eq!(judged.kept[0].event_time, at(200));
    assert_eq!(judged.duplicates.len(), 1);
}

#[test]
fn a_row_that_carries_its_high_time_was_judged_before() {
    let mut row = login("a", 10_000);
    row["shard_high_time"] = json!(at(77) / 1000);
    row["ingest_time"] = json!(at(100) / 1000);
    row["shard_id"] = json!("seven");
    row["sequence_number"] = json!("70");
    row["sub_sequence_number"] = json!(2);
    let judged = judge(&[record(1, None, &row.to_string()), record(2, None, &row.to_string())], Provenance::Row);
    assert_eq!(judged.kept.len(), 2, "no repeat is looked for");
    let kept = &judged.kept[0];
    assert_eq!(kept.event_time, at(10_000), "no clock is mended");
    assert_eq!(kept.shard_high_time, Some(at(77)));
    assert_eq!((kept.place.shard.as_str(), kept.place.sequence, kept.place.sub_sequence), ("seven", 70, 2));
}
