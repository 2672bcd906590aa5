//! Tests of the brute-force reference itself, against cases worked out by hand.
#![allow(clippy::expect_used, clippy::panic, reason = "test code: a broken assumption shall stop the test")]

mod activity;
mod generated;
mod judging;
mod sessions;
mod tables;
mod worked;

use serde_json::{Value, json};

use super::reference::{
    Judged, Kept, Options, Presence, Provenance, RefRecord, Row, SEC, Val, accepted_for_concurrency, judge, presence,
};

/// Second 0 of every test: the start of an hour.
const ZERO: i64 = 1_800_000_000 * SEC;

/// Second `s` of the test.
fn at(s: i64) -> i64 {
    ZERO + s * SEC
}

/// An event of `event_type` at second `t`, with more fields.
fn event(event_type: &str, t: i64, more: Value) -> Value {
    let mut event = json!({
        "schema_version": "1", "event_id": format!("{event_type}@{t}"), "event_type": event_type,
        "event_time": at(t) / 1000,
    });
    for (field, value) in more.as_object().expect("fields") {
        event[field] = value.clone();
    }
    event
}

/// A record of shard "0" that arrives at second `arrival`.
fn record(sequence: u64, arrival: Option<i64>, bytes: &str) -> RefRecord {
    RefRecord { shard: "0".to_owned(), sequence, arrival: arrival.map(at), bytes: bytes.as_bytes().to_vec() }
}

/// Judges events of one shard, each with the second of its arrival.
fn judged(events: &[(i64, Value)]) -> Judged {
    let records: Vec<RefRecord> =
        events.iter().zip(1..).map(|((arrival, event), n)| record(n, Some(*arrival), &event.to_string())).collect();
    judge(&records, Provenance::Record)
}

/// Reads a scene such as `J10 H30 B:J40<A C119`: a letter for the type, the second, before it the session (A unless
/// said), after it the previous session. Each arrives when it happens, but never before the one that is written
/// before it. `S` and `E` start and end the stream, `C` is a chat of another stream.
fn scene(scene: &str) -> Judged {
    let mut now = i64::MIN;
    let mut events = Vec::new();
    for word in scene.split_whitespace() {
        let (session, rest) = word.split_once(':').unwrap_or(("A", word));
        let (rest, previous) = rest.split_once('<').map_or((rest, None), |(r, p)| (r, Some(p)));
        let (letter, second) = rest.split_at(1);
        let t: i64 = second.parse().expect("a second");
        let (event_type, stream) = match letter {
            "J" => ("view.started", "s"),
            "H" | "h" => ("view.heartbeat", "s"),
            "R" => ("view.resumed", "s"),
            "P" => ("view.paused", "s"),
            "L" => ("view.ended", "s"),
            "S" => ("stream.started", "s"),
            "E" => ("stream.ended", "s"),
            "Q" => ("stream.quality_changed", "s"),
            "C" => ("chat.message_sent", "other"),
            _ => panic!("{word}?"),
        };
        let mut event = event(event_type, t, json!({"stream_id": stream}));
        event["event_id"] = json!(word);
        if event_type.starts_with("view.") {
            event["session_id"] = json!(session);
            event["viewer_id"] = json!(format!("viewer {session}"));
        }
        if let Some(previous) = previous {
            event["previous_session_id"] = json!(previous);
        }
        if letter == "h" {
            event["player_state"] = json!("paused");
        }
        now = now.max(t);
        events.push((now, event));
    }
    judged(&events)
}

fn presence_of(judged: &Judged, options: &Options) -> Presence {
    presence(&accepted_for_concurrency(&judged.kept, options), options)
}

/// The presence intervals of a session of stream "s", in seconds.
fn intervals(judged: &Judged, session: &str, options: &Options) -> Vec<(i64, i64)> {
    let seconds = |t: i64| {
        assert_eq!((t - ZERO) % SEC, 0, "{t} is no whole second");
        (t - ZERO) / SEC
    };
    let intervals = presence_of(judged, options).intervals("s", session);
    intervals.into_iter().map(|(from, to)| (seconds(from), seconds(to))).collect()
}

/// The row whose window starts at `second`.
fn window(rows: &[Row], second: i64) -> &Row {
    let mut found = rows.iter().filter(|r| r["window_start"] == Val::Int(at(second)));
    let row = found.next().unwrap_or_else(|| panic!("no window at {second} in {rows:?}"));
    assert!(found.next().is_none(), "several rows in window {second}");
    row
}

fn kept_ids(judged: &Judged) -> Vec<&str> {
    judged.kept.iter().map(Kept::event_id).collect()
}
