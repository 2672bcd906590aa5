//! Windows that hop: every event is put into every window that holds it, one by one.

use std::collections::BTreeMap;

use super::tables::{distinct, percentile, sum};
use super::{Kept, Lateness, Options, Place, Row, Val};

/// A table of hopping windows.
#[derive(Debug, Clone, Default)]
pub struct HopTable {
    /// Rows of both revisions, sorted.
    pub rows: Vec<Row>,
    /// Events that are late for every window that holds them, sorted.
    pub late: Vec<Place>,
    /// Events that are late for some of the windows that hold them.
    pub partly_late: u64,
}

/// What becomes of an event in one window.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    OnTime,
    Allowed,
    Late,
}

/// Windows of `size`, one every `slide`, of all events, by the text field `key` if any: counts, distinct viewers, a sum, extremes and a
/// percentile. With an allowed lateness the rows that late events changed come once more, as revision 1.
pub fn hopping(kept: &[Kept], options: &Options, (slide, size): (i64, i64), key: Option<&str>) -> HopTable {
    let mut table = HopTable::default();
    let mut windows: BTreeMap<i64, Vec<(&Kept, Verdict)>> = BTreeMap::new();
    for event in kept {
        let mut verdicts = Vec::new();
        // Every window that holds the event, from the last to the first.
        let mut start = event.event_time - event.event_time.rem_euclid(slide);
        while start + size > event.event_time {
            verdicts.push((start, verdict(options, event, start + size)));
            start -= slide;
        }
        let late = verdicts.iter().filter(|(_, v)| *v == Verdict::Late).count();
        if late == verdicts.len() {
            table.late.push(event.place.clone());
        } else if late > 0 {
            table.partly_late += 1;
        }
        for (start, verdict) in verdicts.into_iter().filter(|(_, v)| *v != Verdict::Late) {
            windows.entry(start).or_default().push((event, verdict));
        }
    }
    table.late.sort();
    for (start, events) in windows {
        let on_time = events.iter().filter(|(_, v)| *v == Verdict::OnTime).map(|(e, _)| *e).collect::<Vec<_>>();
        let first = window_rows((start, start + size), &on_time, key.as_slice(), 0);
        if on_time.len() < events.len() {
            let all = events.iter().map(|(e, _)| *e).collect::<Vec<_>>();
            let again = window_rows((start, start + size), &all, key.as_slice(), 1);
            let same = |row: &Row| {
                first.iter().any(|old| old.iter().all(|(name, value)| name == "revision" || row[name] == *value))
            };
            table.rows.extend(again.into_iter().filter(|row| !same(row)));
        }
        table.rows.extend(first);
    }
    table.rows.sort();
    table
}

fn verdict(options: &Options, event: &Kept, window_end: i64) -> Verdict {
    let Lateness::Replay { delay, allowed } = options.lateness else { return Verdict::OnTime };
    let Some(high) = event.shard_high_time else { return Verdict::OnTime };
    let watermark = high - delay;
    if window_end + allowed <= watermark {
        Verdict::Late
    } else if window_end <= watermark {
        Verdict::Allowed
    } else {
        Verdict::OnTime
    }
}

/// What is told of the `events` of a window, by the text fields `keys`.
pub(super) fn window_rows((start, end): (i64, i64), events: &[&Kept], keys: &[&str], revision: i64) -> Vec<Row> {
    let mut groups: BTreeMap<Vec<Val>, Vec<&Kept>> = BTreeMap::new();
    for event in events {
        groups.entry(keys.iter().map(|key| Val::text(event.text(key))).collect()).or_default().push(event);
    }
    let row = |(group, events): (Vec<Val>, Vec<&Kept>)| {
        let mut row = Row::new();
        row.insert("window_start".to_owned(), Val::Int(start));
        row.insert("window_end".to_owned(), Val::Int(end));
        row.insert("revision".to_owned(), Val::Int(revision));
        for (key, value) in keys.iter().zip(group) {
            row.insert((*key).to_owned(), value);
        }
        row.insert("events".to_owned(), Val::count(events.len()));
        row.insert("viewers".to_owned(), distinct(events.iter().map(|e| e.text("viewer_id"))));
        row.insert("played_ms".to_owned(), Val::Int(sum(&events, "played_ms")));
        row.insert("first".to_owned(), Val::int(events.iter().map(|e| e.event_time).min()));
        row.insert("last_id".to_owned(), Val::text(events.iter().map(|e| e.event_id()).max()));
        row.insert("startup_p50".to_owned(), percentile(&events, "startup_ms", 50));
        row
    };
    groups.into_iter().map(row).collect()
}
