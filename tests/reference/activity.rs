//! When a stream was active, and the channel it belongs to.

use std::collections::BTreeSet;

use super::presence::key;
use super::{Kept, Options, Presence};

/// The stream's accepted events up to and including `upto`, by time, since it was last forgotten over a long silence.
fn remembered<'a>(stream: &str, accepted: &[&'a Kept], options: &Options, upto: i64) -> Vec<&'a Kept> {
    let mut events: Vec<&Kept> =
        accepted.iter().copied().filter(|e| e.stream() == Some(stream) && e.event_time <= upto).collect();
    events.sort_by_key(|e| e.event_time);
    let is_silence = |i: &usize| events[*i].event_time - events[i - 1].event_time > options.announced_timeout;
    let mut silences = (1..events.len()).filter(is_silence);
    let since = silences.next_back().unwrap_or(0);
    events.split_off(since)
}

/// The channel of `stream` as of `before`: that of its greatest (event time, event id) with a channel.
pub fn channel_before(stream: &str, accepted: &[&Kept], options: &Options, before: i64) -> Option<String> {
    let events = remembered(stream, accepted, options, before - 1);
    let named = events.iter().filter(|e| e.text("channel_id").is_some());
    let last = named.max_by_key(|e| (e.event_time, e.event_id()))?;
    last.text("channel_id").map(str::to_owned)
}

/// Whether `stream` is active at `at`.
pub fn active_at(stream: &str, accepted: &[&Kept], presence: &Presence, options: &Options, at: i64) -> bool {
    let events = remembered(stream, accepted, options, at);
    let (Some(first), Some(last)) = (events.first(), events.last()) else { return false };
    let announcements = events.iter().filter(|e| ["stream.started", "stream.ended"].contains(&e.event_type()));
    let announced = announcements.max_by_key(|e| key(e));
    if announced.is_some_and(|e| e.event_type() == "stream.started") {
        return at < last.event_time + options.announced_timeout;
    }
    // Never announced, or ended: only a counted touch since then makes it active.
    let touched = presence.counted.iter().any(|(touched_stream, touch)| {
        touched_stream == stream
            && touch.0 >= first.event_time
            && touch.0 <= at
            && announced.is_none_or(|ended| *touch > key(ended))
    });
    let watched = presence.segments.iter().any(|s| s.stream == stream && s.from <= at && at < s.to);
    touched && (watched || at < last.event_time + options.stream_timeout)
}

/// The intervals in which `stream` is active: asked at every instant where the answer could change.
pub fn active_intervals(stream: &str, accepted: &[&Kept], presence: &Presence, options: &Options) -> Vec<(i64, i64)> {
    let mut instants = BTreeSet::new();
    for event in accepted.iter().filter(|e| e.stream() == Some(stream)) {
        instants.insert(event.event_time);
        instants.insert(event.event_time + options.stream_timeout);
        instants.insert(event.event_time + options.announced_timeout);
    }
    for segment in presence.segments.iter().filter(|s| s.stream == stream) {
        instants.insert(segment.from);
        instants.insert(segment.to);
    }
    let instants: Vec<i64> = instants.into_iter().collect();
    let mut intervals = Vec::new();
    for (index, at) in instants.iter().enumerate() {
        if active_at(stream, accepted, presence, options, *at) {
            let next = instants.get(index + 1).expect("no stream is active at the last instant");
            intervals.push((*at, *next));
        }
    }
    intervals
}
