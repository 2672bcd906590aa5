//! The windowed tables, by hand.

use super::super::reference::{Options, Val, tables, user_events};
use super::*;

fn rows_of(table: &str, events: &[(i64, Value)]) -> Vec<Row> {
    let judged = judged(events);
    assert_eq!(judged.kept.len(), events.len(), "{:?}", judged.dead_letters);
    tables(&judged.kept, &Options::default()).rows.remove(table).expect("a shipped table")
}

fn row(start: i64, columns: &[(&str, Val)]) -> Row {
    let mut row: Row = columns.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    row.insert("window_start".to_owned(), Val::Int(at(start)));
    row.insert("window_end".to_owned(), Val::Int(at(start + 60)));
    row.insert("revision".to_owned(), Val::Int(0));
    row
}

fn int(value: i64) -> Val {
    Val::Int(value)
}

fn text(value: &str) -> Val {
    Val::Str(value.to_owned())
}

/// An event with an id of its own.
fn numbered(number: usize, event_type: &str, t: i64, more: Value) -> (i64, Value) {
    let mut event = event(event_type, t, more);
    event["event_id"] = json!(format!("n{number}"));
    (t, event)
}

#[test]
fn stream_engagement() {
    let view = |n: usize, kind: &str, t: i64, session: &str, measures: [Option<i64>; 3]| {
        numbered(
            n,
            kind,
            t,
            json!({"stream_id": "s", "session_id": session, "viewer_id": "v",
            "played_ms": measures[0], "stall_ms": measures[1], "bitrate_kbps": measures[2]}),
        )
    };
    let chat = |n: usize, t: i64, stream: &str, viewer: Option<&str>, user: Option<&str>| {
        numbered(n, "chat.message_sent", t, json!({"stream_id": stream, "viewer_id": viewer, "user_id": user}))
    };
    let rows = rows_of(
        "stream_engagement",
        &[
            view(0, "view.started", 0, "A", [None, None, None]),
            view(1, "view.heartbeat", 10, "A", [Some(8000), Some(2000), Some(3000)]),
            view(2, "view.heartbeat", 20, "B", [Some(2000), None, Some(500)]),
            view(3, "view.heartbeat", 20, "B", [Some(4000), Some(0), None]),
            view(4, "view.resumed", 21, "C", [Some(1), Some(1), Some(1)]),
            chat(5, 30, "s", Some("v"), Some("u")),
            chat(6, 30, "s", None, Some("v")),
            chat(7, 30, "s", None, Some("w")),
            chat(8, 30, "s", None, None),
            chat(9, 59, "t", Some("x"), None),
            view(10, "view.started", 60, "A", [None, None, None]),
            numbered(11, "view.ended", 60, json!({"stream_id": "u", "session_id": "A"})),
        ],
    );
    let expected = [
        row(
            0,
            &[
                ("stream_id", text("s")),
                ("sessions", int(2)),
                ("viewers", int(1)),
                ("events", int(4)),
                ("played_ms", int(14_000)),
                ("stall_ms", int(2000)),
                ("rebuffer_ratio", Val::Float(2000.0 / 16_000.0)),
                ("bitrate_kbps_avg", Val::Float(25_000_000.0 / 10_000.0)),
                ("chat_messages", int(4)),
                ("chatters", int(2)),
            ],
        ),
        row(
            0,
            &[
                ("stream_id", text("t")),
                ("sessions", int(0)),
                ("viewers", int(0)),
                ("events", int(0)),
                ("played_ms", int(0)),
                ("stall_ms", int(0)),
                ("rebuffer_ratio", Val::Null),
                ("bitrate_kbps_avg", Val::Null),
                ("chat_messages", int(1)),
                ("chatters", int(1)),
            ],
        ),
        row(
            60,
            &[
                ("stream_id", text("s")),
                ("sessions", int(1)),
                ("viewers", int(1)),
                ("events", int(1)),
                ("played_ms", int(0)),
                ("stall_ms", int(0)),
                ("rebuffer_ratio", Val::Null),
                ("bitrate_kbps_avg", Val::Null),
                ("chat_messages", int(0)),
                ("chatters", int(0)),
            ],
        ),
    ];
    assert_eq!(rows, expected);
}

#[test]
fn playback_quality() {
    let view = |n: usize, kind: &str, more: Value| {
        let mut event = numbered(n, kind, 5, json!({"stream_id": "s", "session_id": "A", "country": "DE"}));
        for (field, value) in more.as_object().expect("fields") {
            event.1[field] = value.clone();
        }
        event
    };
    let mut events: Vec<_> = (1..=20).map(|n| view(n, "view.started", json!({"startup_ms": n * 10}))).collect();
    events.push(view(30, "view.started", json!({"startup_ms": null})));
    events.push(view(31, "view.heartbeat", json!({"startup_ms": 9999, "stall_ms": 1, "played_ms": 3})));
    events.push(view(32, "view.error", json!({"fatal": true, "stall_ms": 5000})));
    events.push(view(33, "view.error", json!({"fatal": false})));
    events.push(view(34, "view.error", json!({"country": null, "cdn": "east"})));
    events.push(view(35, "view.paused", json!({"country": "US"})));
    let rows = rows_of("playback_quality", &events);
    let expected = [
        row(
            0,
            &[
                ("country", Val::Null),
                ("device_type", Val::Null),
                ("cdn", text("east")),
                ("starts", int(0)),
                ("startup_ms_p50", Val::Null),
                ("startup_ms_p95", Val::Null),
                ("stall_ms", int(0)),
                ("played_ms", int(0)),
                ("rebuffer_ratio", Val::Null),
                ("errors", int(1)),
                ("fatal_errors", int(0)),
            ],
        ),
        row(
            0,
            &[
                ("country", text("DE")),
                ("device_type", Val::Null),
                ("cdn", Val::Null),
                ("starts", int(21)),
                ("startup_ms_p50", int(100)),
                ("startup_ms_p95", int(190)),
                ("stall_ms", int(1)),
                ("played_ms", int(3)),
                ("rebuffer_ratio", Val::Float(0.25)),
                ("errors", int(2)),
                ("fatal_errors", int(1)),
            ],
        ),
    ];
    assert_eq!(rows, expected);
}

#[test]
fn nearest_rank_of_few_values() {
    let percentiles = |values: &[i64]| {
        let events: Vec<_> = values
            .iter()
            .enumerate()
            .map(|(n, v)| numbered(n, "view.started", 5, json!({"stream_id": "s", "session_id": "A", "startup_ms": v})))
            .collect();
        let row = rows_of("playback_quality", &events).remove(0);
        (row["startup_ms_p50"].clone(), row["startup_ms_p95"].clone())
    };
    assert_eq!(percentiles(&[7]), (int(7), int(7)));
    assert_eq!(percentiles(&[9, 1]), (int(1), int(9)));
    assert_eq!(percentiles(&[3, 1, 2]), (int(2), int(3)));
    assert_eq!(percentiles(&[4, 4, 1, 1]), (int(1), int(4)));
}

#[test]
fn revenue_activity_and_quality_changes() {
    let events = [
        numbered(0, "tip.sent", 1, json!({"stream_id": "s", "amount_minor": 500, "currency": "EUR"})),
        numbered(1, "tip.sent", 2, json!({"stream_id": "s", "amount_minor": null, "currency": "EUR"})),
        numbered(2, "user.subscription_changed", 3, json!({"amount_minor": 999, "currency": "USD"})),
        numbered(3, "user.subscription_changed", 4, json!({})),
        numbered(4, "user.registered", 5, json!({})),
        numbered(5, "user.logged_in", 6, json!({})),
        numbered(6, "stream.quality_changed", 7, json!({"stream_id": "s"})),
        numbered(7, "stream.quality_changed", 8, json!({"stream_id": "s"})),
        numbered(8, "user.logged_in", 60, json!({})),
    ];
    let revenue = |currency: Val, tips: i64, amount: i64, changes: i64| {
        row(
            0,
            &[
                ("currency", currency),
                ("tips", int(tips)),
                ("amount_minor", int(amount)),
                ("subscription_changes", int(changes)),
            ],
        )
    };
    assert_eq!(
        rows_of("revenue", &events),
        [revenue(Val::Null, 0, 0, 1), revenue(text("EUR"), 2, 500, 0), revenue(text("USD"), 0, 0, 1),]
    );
    let activity = |start: i64, registrations: i64, logins: i64, changes: i64| {
        row(
            start,
            &[("registrations", int(registrations)), ("logins", int(logins)), ("subscription_changes", int(changes))],
        )
    };
    assert_eq!(rows_of("user_activity", &events), [activity(0, 1, 1, 2), activity(60, 0, 1, 0)]);
    assert_eq!(rows_of("stream_quality_changes", &events), [row(0, &[("stream_id", text("s")), ("changes", int(2))])]);
}

#[test]
fn the_concurrency_tables_have_their_columns() {
    let names = |table: &str| {
        let started = json!({"stream_id": "s", "session_id": "A", "channel_id": "c"});
        let row = rows_of(table, &[numbered(0, "view.started", 0, started)]).remove(0);
        row.into_keys().collect::<Vec<_>>()
    };
    assert_eq!(
        names("concurrent_viewers"),
        [
            "channel_id",
            "revision",
            "stream_id",
            "unique_viewers",
            "viewer_minutes",
            "viewers_avg",
            "viewers_current",
            "viewers_max",
            "viewers_min",
            "window_end",
            "window_start",
        ]
    );
    assert_eq!(
        names("platform_totals"),
        [
            "active_streams",
            "active_streams_avg",
            "active_streams_max",
            "active_streams_min",
            "revision",
            "unique_viewers",
            "viewer_minutes",
            "viewers_avg",
            "viewers_current",
            "viewers_max",
            "viewers_min",
            "window_end",
            "window_start",
        ]
    );
}

#[test]
fn late_rows_are_listed_by_table() {
    let chat = |n: usize, t: i64| numbered(n, "chat.message_sent", t, json!({"stream_id": "s"})).1;
    let tip = numbered(9, "tip.sent", 125, json!({"stream_id": "s"})).1;
    // Watermark 150 when the others are read.
    let judged = judged(&[(180, chat(0, 180)), (180, chat(1, 119)), (180, chat(2, 125)), (180, tip)]);
    let tables = tables(&judged.kept, &Options::default());
    let late = |table: &str| tables.late[table].iter().map(|p| p.sequence).collect::<Vec<_>>();
    assert_eq!(late("stream_engagement"), [2], "the window of 119 ended at 120, that of 125 has not");
    assert_eq!(late("revenue"), Vec::<u64>::new());
    assert_eq!(late("platform_totals"), [2, 3, 4], "their 10-second windows ended at 120 and 130");
    assert_eq!(late("concurrent_viewers"), late("platform_totals"));
}

#[test]
fn raw_events_have_every_column_and_the_provenance() {
    let judged = judged(&[numbered(0, "poll.answered", 1, json!({"properties": {"a": [1, "x"]}, "fatal": true}))]);
    let rows = user_events(&judged.kept);
    assert_eq!(rows[0].len(), 31 + 6);
    assert_eq!(rows[0]["event_time"], int(at(1)));
    assert_eq!(rows[0]["properties"], text(r#"{"a":[1,"x"]}"#));
    assert_eq!(rows[0]["fatal"], Val::Bool(true));
    assert_eq!(rows[0]["stream_id"], Val::Null);
    assert_eq!(rows[0]["shard_high_time"], int(at(-29)));
    assert_eq!(rows[0]["sub_sequence_number"], int(0));
}
