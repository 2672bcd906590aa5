//! Concurrent viewers over windows: presence intervals, counted at every instant where the count could change.

use std::collections::{BTreeMap, BTreeSet};

use super::options::UNFILLED_GAP;
use super::{
    Kept, Options, Presence, Row, Segment, Val, accepted_for_concurrency, active_intervals, channel_before, floor,
    presence,
};

/// Concurrency of `events` (kept ones; late ones are left out here) over windows of `size`, per `partition` columns.
///
/// Columns: `window_start`, `window_end`, `revision`, the partition columns, `viewers_min`, `viewers_avg`,
/// `viewers_max`, `viewers_current`, `unique_viewers`, `viewer_minutes`. Partitioned by `stream_id` also `channel_id`.
/// Without partition also `active_streams` with `_min`, `_avg` and `_max`, and every window from the first event's to the
/// last's; with partition only rows with some presence. Sorted by window, then partition columns.
pub fn concurrency(events: &[Kept], options: &Options, size: i64, partition: &[&str]) -> Vec<Row> {
    let accepted = accepted_for_concurrency(events, options);
    let presence = presence(&accepted, options);
    let windows = windows(&accepted, &presence, size).into_iter().map(|start| (start, start + size));
    rows_of(windows, &accepted, &presence, options, partition)
}

/// The rows of one window `[start, end)`, of whatever length, as [`concurrency`] has them.
pub fn concurrency_within(
    events: &[Kept],
    options: &Options,
    (start, end): (i64, i64),
    partition: &[&str],
) -> Vec<Row> {
    let accepted = accepted_for_concurrency(events, options);
    let presence = presence(&accepted, options);
    rows_of([(start, end)], &accepted, &presence, options, partition)
}

fn rows_of(
    windows: impl IntoIterator<Item = (i64, i64)>,
    accepted: &[&Kept],
    presence: &Presence,
    options: &Options,
    partition: &[&str],
) -> Vec<Row> {
    let mut rows = Vec::new();
    for (start, end) in windows {
        let present: Vec<&Segment> = presence.segments.iter().filter(|s| s.from < end && start < s.to).collect();
        let groups = groups(&present, partition);
        for (values, segments) in groups {
            let mut row = measures(&segments, start, end);
            for (column, value) in partition.iter().zip(&values) {
                row.insert((*column).to_owned(), value.clone());
                if let ("stream_id", Val::Str(stream)) = (*column, value) {
                    let channel = channel_before(stream, accepted, options, end);
                    row.insert("channel_id".to_owned(), Val::text(channel.as_deref()));
                }
            }
            rows.push(row);
        }
    }
    if partition.is_empty() {
        add_active_streams(&mut rows, accepted, presence, options);
    }
    rows
}

/// The segments of each group, by the values of the partition columns. Without columns there is one group, always.
fn groups<'a>(present: &[&'a Segment], partition: &[&str]) -> BTreeMap<Vec<Val>, Vec<&'a Segment>> {
    let mut groups: BTreeMap<Vec<Val>, Vec<&Segment>> = BTreeMap::new();
    if partition.is_empty() {
        groups.insert(Vec::new(), Vec::new());
    }
    for segment in present {
        let value = |column: &&str| match *column {
            "stream_id" => Val::Str(segment.stream.clone()),
            "session_id" => Val::Str(segment.session.clone()),
            dimension => Val::text(segment.dims.get(dimension).map(String::as_str)),
        };
        groups.entry(partition.iter().map(value).collect()).or_default().push(segment);
    }
    groups
}

/// The starts of the windows that are emitted: from the first event's to the last's. Between neighbouring events more
/// than a day apart, only those with some presence.
fn windows(accepted: &[&Kept], presence: &Presence, size: i64) -> Vec<i64> {
    let mut times: Vec<i64> = accepted.iter().map(|e| e.event_time).collect();
    times.sort_unstable();
    let (Some(first), Some(last)) = (times.first(), times.last()) else { return Vec::new() };
    let gaps: Vec<(i64, i64)> = times
        .windows(2)
        .filter(|pair| pair[1] - pair[0] > UNFILLED_GAP)
        .map(|pair| (floor(pair[0], size), floor(pair[1], size)))
        .collect();
    let mut windows = Vec::new();
    let mut start = floor(*first, size);
    while start <= *last {
        let in_gap = gaps.iter().any(|(before, after)| *before < start && start < *after);
        if !in_gap || presence.segments.iter().any(|s| s.from < start + size && start < s.to) {
            windows.push(start);
        }
        start += size;
    }
    windows
}

/// The measures over `[start, end)` of the sessions in `segments`, each of which reaches into that window.
fn measures(segments: &[&Segment], start: i64, end: i64) -> Row {
    let viewers_at = |at: i64| segments.iter().filter(|s| s.from <= at && at < s.to).count();
    let mut instants = BTreeSet::from([start]);
    instants.extend(segments.iter().flat_map(|s| [s.from, s.to]).filter(|t| start < *t && *t < end));
    let counts: Vec<usize> = instants.into_iter().map(viewers_at).collect();
    let presence: i64 = segments.iter().map(|s| s.to.min(end) - s.from.max(start)).sum();
    let viewers: BTreeSet<&String> = segments.iter().filter_map(|s| s.dims.get("viewer_id")).collect();
    let columns = [
        ("window_start", Val::Int(start)),
        ("window_end", Val::Int(end)),
        ("revision", Val::Int(0)),
        ("viewers_min", Val::count(*counts.iter().min().expect("asked at the start at least"))),
        ("viewers_avg", Val::ratio(presence, end - start)),
        ("viewers_max", Val::count(*counts.iter().max().expect("asked at the start at least"))),
        ("viewers_current", Val::count(viewers_at(end - 1))),
        ("unique_viewers", Val::count(viewers.len())),
        ("viewer_minutes", Val::ratio(presence, 60_000_000)),
    ];
    columns.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn add_active_streams(rows: &mut [Row], accepted: &[&Kept], presence: &Presence, options: &Options) {
    let streams: BTreeSet<&str> = accepted.iter().filter_map(|e| e.stream()).collect();
    let active: Vec<Vec<(i64, i64)>> =
        streams.into_iter().map(|s| active_intervals(s, accepted, presence, options)).collect();
    let active_at = |at: i64| active.iter().filter(|of| of.iter().any(|(from, to)| *from <= at && at < *to)).count();
    let changes: BTreeSet<i64> = active.iter().flatten().flat_map(|(from, to)| [*from, *to]).collect();
    for row in rows {
        let (Val::Int(start), Val::Int(end)) = (&row["window_start"], &row["window_end"]) else {
            unreachable!("windows are times")
        };
        let (start, end) = (*start, *end);
        let instants = std::iter::once(start).chain(changes.range(start..end).copied());
        let counts: Vec<usize> = instants.map(active_at).collect();
        let lowest = *counts.iter().min().expect("asked at the start at least");
        let highest = *counts.iter().max().expect("asked at the start at least");
        let within = |(from, to): &(i64, i64)| ((*to).min(end) - (*from).max(start)).max(0);
        let activity: i64 = active.iter().flatten().map(within).sum();
        row.insert("active_streams".to_owned(), Val::count(active_at(end - 1)));
        row.insert("active_streams_min".to_owned(), Val::count(lowest));
        row.insert("active_streams_avg".to_owned(), Val::ratio(activity, end - start));
        row.insert("active_streams_max".to_owned(), Val::count(highest));
    }
}
