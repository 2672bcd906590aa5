//! When each session was present: its marks, walked in their order.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Kept, Options, Place};

/// The order of marks: event time, rank of the type, event id.
pub type Key = (i64, u8, String);

/// A stretch of one session's presence under unchanging dimensions, `[from, to)`, never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Stream.
    pub stream: String,
    /// Session within the stream.
    pub session: String,
    /// First instant.
    pub from: i64,
    /// First instant after.
    pub to: i64,
    /// Last non-null value of every text field (`viewer_id`, `country`, …) that counted touches gave up to `from`.
    pub dims: BTreeMap<String, String>,
}

/// The outcome of walking all sessions.
#[derive(Debug, Clone, Default)]
pub struct Presence {
    /// Presence of all sessions; per session in time order.
    pub segments: Vec<Segment>,
    /// Counted touches: the stream, and the touch's place in the order of marks.
    pub counted: Vec<(String, Key)>,
    /// Touches ignored because their session was closed.
    pub ignored: Vec<Place>,
}

impl Presence {
    /// The presence intervals of one session: its segments, those that meet joined.
    pub fn intervals(&self, stream: &str, session: &str) -> Vec<(i64, i64)> {
        let mut intervals: Vec<(i64, i64)> = Vec::new();
        for segment in self.segments.iter().filter(|s| s.stream == stream && s.session == session) {
            match intervals.last_mut() {
                Some(last) if last.1 == segment.from => last.1 = segment.to,
                _ => intervals.push((segment.from, segment.to)),
            }
        }
        intervals
    }
}

/// Walks every session of `accepted` (the events that are not late).
pub fn presence(accepted: &[&Kept], options: &Options) -> Presence {
    let sessions: BTreeSet<(&str, &str)> =
        accepted.iter().filter(|e| is_mark(e)).filter_map(|e| Some((e.stream()?, e.text("session_id")?))).collect();
    let mut presence = Presence::default();
    for (stream, session) in sessions {
        walk(stream, session, accepted, options, &mut presence);
    }
    presence
}

/// The rank of an event type in the order of marks.
pub fn rank(event_type: &str) -> u8 {
    match event_type {
        "stream.ended" => 0,
        "stream.started" => 1,
        "view.started" => 2,
        "view.heartbeat" | "view.resumed" => 3,
        "view.paused" => 4,
        "view.ended" => 5,
        other => unreachable!("{other} is no mark"),
    }
}

/// The place of a mark in the order of marks.
pub fn key(event: &Kept) -> Key {
    (event.event_time, rank(event.event_type()), event.event_id().to_owned())
}

fn is_mark(event: &Kept) -> bool {
    ["view.started", "view.heartbeat", "view.resumed", "view.paused", "view.ended"].contains(&event.event_type())
}

fn is_touch(event: &Kept) -> bool {
    match event.event_type() {
        "view.started" | "view.resumed" => true,
        "view.heartbeat" => !matches!(event.text("player_state"), Some("paused" | "ended")),
        _ => false,
    }
}

/// What a mark does to the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    StreamEnds,
    StreamStarts,
    Starts,
    Touches,
    Pauses,
    Ends,
    /// A heartbeat that says paused or ended: a mark, no touch.
    Nothing,
}

/// All that bears on one session, in the order of marks.
fn marks<'a>(stream: &str, session: &str, accepted: &[&'a Kept]) -> Vec<(Key, Deed, &'a Kept)> {
    let mut marks = Vec::new();
    for event in accepted.iter().copied().filter(|e| e.stream() == Some(stream)) {
        let deed = match event.event_type() {
            "stream.ended" => Deed::StreamEnds,
            "stream.started" => Deed::StreamStarts,
            "view.started" => Deed::Starts,
            "view.paused" => Deed::Pauses,
            "view.ended" => Deed::Ends,
            _ if is_touch(event) => Deed::Touches,
            _ => Deed::Nothing,
        };
        let of_the_stream = matches!(deed, Deed::StreamEnds | Deed::StreamStarts);
        if of_the_stream || (is_mark(event) && event.text("session_id") == Some(session)) {
            marks.push((key(event), deed, event));
        }
        let takes_over = is_touch(event) && event.text("session_id") != Some(session);
        if takes_over && event.text("previous_session_id") == Some(session) {
            let key = (event.event_time, rank("view.ended"), event.event_id().to_owned());
            marks.push((key, Deed::Ends, event));
        }
    }
    marks.sort_by(|a, b| a.0.cmp(&b.0));
    marks
}

fn walk(stream: &str, session: &str, accepted: &[&Kept], options: &Options, presence: &mut Presence) {
    let mut segments: Vec<Segment> = Vec::new();
    let mut dims: BTreeMap<String, String> = BTreeMap::new();
    let mut own_closure: Option<i64> = None;
    let mut stream_closure: Option<i64> = None;
    let mut mark_times: Vec<i64> = Vec::new();

    for (key, deed, event) in marks(stream, session, accepted) {
        let t = key.0;
        let holds = |closure: Option<i64>| closure.is_some_and(|c| t < c + options.closed_retention);

        match deed {
            Deed::StreamStarts => {
                stream_closure = None;
                continue;
            }
            Deed::StreamEnds => {
                if mark_times.iter().any(|m| (t - options.closed_retention..t).contains(m)) {
                    cut(&mut segments, t);
                    stream_closure = Some(t);
                }
                continue;
            }
            _ => {}
        }

        // The session is forgotten once its retention, its closures and its presence are all over.
        if let Some(last_mark) = mark_times.last() {
            let presence_end = segments.last().map_or(i64::MIN, |s| s.to);
            let closed = own_closure.max(stream_closure).unwrap_or(i64::MIN);
            if t > (closed.max(*last_mark) + options.closed_retention).max(presence_end) {
                dims.clear();
                own_closure = None;
                stream_closure = None;
            }
        }
        mark_times.push(t);

        match deed {
            Deed::Ends => {
                cut(&mut segments, t);
                own_closure = Some(t);
            }
            Deed::Pauses => cut(&mut segments, t),
            Deed::Touches if holds(own_closure) || holds(stream_closure) => {
                presence.ignored.push(event.place.clone());
                own_closure = own_closure.filter(|_| holds(own_closure)).map(|_| t);
                stream_closure = stream_closure.filter(|_| holds(stream_closure)).map(|_| t);
            }
            Deed::Starts | Deed::Touches => {
                own_closure = None;
                stream_closure = None;
                for (field, value) in &event.fields {
                    if let Value::String(text) = value {
                        dims.insert(field.clone(), text.clone());
                    }
                }
                // From here on it counts under the new dimensions; what was before stays.
                cut(&mut segments, t);
                segments.push(Segment {
                    stream: stream.to_owned(),
                    session: session.to_owned(),
                    from: t,
                    to: t + options.session_timeout,
                    dims: dims.clone(),
                });
                presence.counted.push((stream.to_owned(), key));
            }
            Deed::Nothing | Deed::StreamStarts | Deed::StreamEnds => {}
        }
    }
    presence.segments.extend(segments.into_iter().filter(|s| s.from < s.to));
}

/// Nothing is present at `t` or after it, as far as the marks before `t` say.
fn cut(segments: &mut [Segment], t: i64) {
    for segment in segments {
        segment.to = segment.to.min(t);
    }
}
