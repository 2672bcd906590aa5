//! Windows that are sessions: rows are taken in by the order of their watermarks, as one reader would that had all shards.

use super::hop::window_rows;
use super::{Kept, Lateness, Options, Place, Row};

/// A table of sessions.
#[derive(Debug, Clone, Default)]
pub struct SessionTable {
    /// Sorted.
    pub rows: Vec<Row>,
    /// Events that are late, sorted.
    pub late: Vec<Place>,
}

/// Sessions of the text field `keys[0]` with this gap, of all events, by all text fields `keys`; the columns are those of
/// [`hopping`](super::hopping).
pub fn sessions(kept: &[Kept], options: &Options, gap: i64, keys: &[&str]) -> SessionTable {
    let mut table = SessionTable::default();
    let mut judged = Vec::new();
    for event in kept {
        let watermark = watermark(options, event);
        if event.event_time + gap <= watermark {
            table.late.push(event.place.clone());
        } else {
            judged.push((watermark, event));
        }
    }
    table.late.sort();
    judged.sort_by_key(|(watermark, _)| *watermark);
    let mut open: Vec<Vec<&Kept>> = Vec::new();
    let mut over = Vec::new();
    for (watermark, event) in judged {
        let (ended, mut others): (Vec<_>, Vec<_>) = open.into_iter().partition(|s| last(s) + gap <= watermark);
        over.extend(ended);
        let joins = |session: &Vec<&Kept>| {
            session[0].text(keys[0]) == event.text(keys[0])
                && event.event_time <= last(session) + gap
                && first(session) <= event.event_time + gap
        };
        let mut joined: Vec<&Kept> = others.iter().filter(|session| joins(session)).flatten().copied().collect();
        joined.push(event);
        others.retain(|session| !joins(session));
        others.push(joined);
        open = others;
    }
    for session in over.into_iter().chain(open) {
        table.rows.extend(window_rows((first(&session), last(&session) + gap), &session, keys, 0));
    }
    table.rows.sort();
    table
}

fn first(session: &[&Kept]) -> i64 {
    session.iter().map(|event| event.event_time).min().unwrap_or_default()
}

fn last(session: &[&Kept]) -> i64 {
    session.iter().map(|event| event.event_time).max().unwrap_or_default()
}

/// The watermark of the event's shard when it was judged; the least there is, where nothing is late.
fn watermark(options: &Options, event: &Kept) -> i64 {
    match (options.lateness, event.shard_high_time) {
        (Lateness::Replay { delay, .. }, Some(high)) => high - delay,
        _ => i64::MIN,
    }
}
