//! Every shipped table, from kept events.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::judge::contract_columns;
use super::options::TABLE_WINDOW;
use super::{Kept, Options, Place, Row, SEC, Val, accepted_for_concurrency, concurrency, floor, presence};

/// The shipped tables.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    /// Rows by table name, sorted by window and key columns, all of revision 0.
    pub rows: BTreeMap<String, Vec<Row>>,
    /// Late rows by table name, sorted: among the rows of the event types that the table is about, those that are late
    /// for its window; for the two concurrency tables, events of any type that are late for the finest window.
    pub late: BTreeMap<String, Vec<Place>>,
    /// Touches after the end of their session, which all concurrency tables ignore.
    pub ignored_touches: usize,
}

/// Computes all shipped tables from kept events.
pub fn tables(kept: &[Kept], options: &Options) -> Tables {
    let mut tables = Tables::default();

    let mut late: Vec<Place> =
        kept.iter().filter(|e| options.is_late(e, options.finest_window)).map(|e| e.place.clone()).collect();
    late.sort();
    tables.add("concurrent_viewers", concurrency(kept, options, TABLE_WINDOW, &["stream_id"]), late.clone());
    tables.add("platform_totals", concurrency(kept, options, 10 * SEC, &[]), late);
    tables.ignored_touches = presence(&accepted_for_concurrency(kept, options), options).ignored.len();

    let mut tumble = |table: &str, types: &[&str], keys: &[&str], columns: fn(&[&Kept]) -> Vec<(&'static str, Val)>| {
        let (rows, late) = tumbling(kept, options, types, keys, columns);
        tables.add(table, rows, late);
    };
    tumble(
        "stream_engagement",
        &["view.started", "view.heartbeat", "chat.message_sent"],
        &["stream_id"],
        stream_engagement,
    );
    tumble(
        "playback_quality",
        &["view.started", "view.heartbeat", "view.error"],
        &["country", "device_type", "cdn"],
        playback_quality,
    );
    tumble("revenue", &["tip.sent", "user.subscription_changed"], &["currency"], revenue);
    tumble("user_activity", &["user.registered", "user.logged_in", "user.subscription_changed"], &[], user_activity);
    tumble("stream_quality_changes", &["stream.quality_changed"], &["stream_id"], stream_quality_changes);
    tables
}

impl Tables {
    fn add(&mut self, table: &str, rows: Vec<Row>, late: Vec<Place>) {
        self.rows.insert(table.to_owned(), rows);
        self.late.insert(table.to_owned(), late);
    }
}

/// The rows of table `user_events`: every contract column, and provenance. Sorted by place.
pub fn user_events(kept: &[Kept]) -> Vec<Row> {
    let mut kept: Vec<&Kept> = kept.iter().collect();
    kept.sort_by(|a, b| a.place.cmp(&b.place));
    kept.into_iter().map(user_event).collect()
}

fn user_event(event: &Kept) -> Row {
    let mut row: Row = contract_columns()
        .map(|column| {
            let value = match event.fields.get(column) {
                None | Some(Value::Null) => Val::Null,
                Some(Value::Bool(flag)) => Val::Bool(*flag),
                Some(Value::Number(number)) => Val::int(number.as_i64()),
                Some(Value::String(text)) => Val::Str(text.clone()),
                Some(json @ (Value::Object(_) | Value::Array(_))) => Val::Str(json.to_string()),
            };
            (column.to_owned(), value)
        })
        .collect();
    row.insert("event_time".to_owned(), Val::Int(event.event_time));
    row.insert("shard_id".to_owned(), Val::Str(event.place.shard.clone()));
    row.insert("sequence_number".to_owned(), Val::Str(event.place.sequence.to_string()));
    row.insert("sub_sequence_number".to_owned(), Val::Int(event.place.sub_sequence.try_into().expect("small")));
    row.insert("ingest_time".to_owned(), Val::int(event.arrival));
    row.insert("event_time_original".to_owned(), Val::int(event.event_time_original));
    row.insert("shard_high_time".to_owned(), Val::int(event.shard_high_time));
    row
}

/// Groups the events of `types` by window and `keys`; a row for each group, and the late events.
fn tumbling(
    kept: &[Kept],
    options: &Options,
    types: &[&str],
    keys: &[&str],
    columns: fn(&[&Kept]) -> Vec<(&'static str, Val)>,
) -> (Vec<Row>, Vec<Place>) {
    let mut groups: BTreeMap<(i64, Vec<Val>), Vec<&Kept>> = BTreeMap::new();
    let mut late = Vec::new();
    for event in kept.iter().filter(|e| types.contains(&e.event_type())) {
        if options.is_late(event, TABLE_WINDOW) {
            late.push(event.place.clone());
        } else {
            let key = keys.iter().map(|k| Val::text(event.text(k))).collect();
            groups.entry((floor(event.event_time, TABLE_WINDOW), key)).or_default().push(event);
        }
    }
    late.sort();
    let mut rows = Vec::new();
    for ((start, key), events) in groups {
        let mut row = Row::new();
        row.insert("window_start".to_owned(), Val::Int(start));
        row.insert("window_end".to_owned(), Val::Int(start + TABLE_WINDOW));
        row.insert("revision".to_owned(), Val::Int(0));
        row.extend(keys.iter().map(|k| (*k).to_owned()).zip(key));
        row.extend(columns(&events).into_iter().map(|(name, value)| (name.to_owned(), value)));
        rows.push(row);
    }
    (rows, late)
}

/// The events of these types.
fn of<'a>(events: &[&'a Kept], types: &[&str]) -> Vec<&'a Kept> {
    events.iter().copied().filter(|e| types.contains(&e.event_type())).collect()
}

/// How many different values there are; NULL is none.
pub(super) fn distinct<'a>(values: impl Iterator<Item = Option<&'a str>>) -> Val {
    Val::count(values.flatten().collect::<BTreeSet<&str>>().len())
}

/// The sum of a field; NULL adds nothing.
pub(super) fn sum(events: &[&Kept], field: &str) -> i64 {
    events.iter().filter_map(|e| e.int(field)).sum()
}

fn stream_engagement(events: &[&Kept]) -> Vec<(&'static str, Val)> {
    let views = of(events, &["view.started", "view.heartbeat"]);
    let chats = of(events, &["chat.message_sent"]);
    let (played, stall) = (sum(&views, "played_ms"), sum(&views, "stall_ms"));
    let rated: Vec<&Kept> = views.iter().copied().filter(|e| e.int("bitrate_kbps").is_some()).collect();
    let weighted = rated.iter().filter_map(|e| Some(e.int("bitrate_kbps")? * e.int("played_ms")?)).sum();
    vec![
        ("sessions", distinct(views.iter().map(|e| e.text("session_id")))),
        ("viewers", distinct(views.iter().map(|e| e.text("viewer_id")))),
        ("events", Val::count(views.len())),
        ("played_ms", Val::Int(played)),
        ("stall_ms", Val::Int(stall)),
        ("rebuffer_ratio", Val::ratio(stall, stall + played)),
        ("bitrate_kbps_avg", Val::ratio(weighted, sum(&rated, "played_ms"))),
        ("chat_messages", Val::count(chats.len())),
        ("chatters", distinct(chats.iter().map(|e| e.text("viewer_id").or(e.text("user_id"))))),
    ]
}

fn playback_quality(events: &[&Kept]) -> Vec<(&'static str, Val)> {
    let starts = of(events, &["view.started"]);
    let views = of(events, &["view.started", "view.heartbeat"]);
    let errors = of(events, &["view.error"]);
    let (played, stall) = (sum(&views, "played_ms"), sum(&views, "stall_ms"));
    vec![
        ("starts", Val::count(starts.len())),
        ("startup_ms_p50", percentile(&starts, "startup_ms", 50)),
        ("startup_ms_p95", percentile(&starts, "startup_ms", 95)),
        ("stall_ms", Val::Int(stall)),
        ("played_ms", Val::Int(played)),
        ("rebuffer_ratio", Val::ratio(stall, stall + played)),
        ("errors", Val::count(errors.len())),
        ("fatal_errors", Val::count(errors.iter().filter(|e| e.flag("fatal") == Some(true)).count())),
    ]
}

/// The nearest-rank percentile: the smallest value that at least `percent` of the values are not above.
pub(super) fn percentile(events: &[&Kept], field: &str, percent: usize) -> Val {
    let mut values: Vec<i64> = events.iter().filter_map(|e| e.int(field)).collect();
    values.sort_unstable();
    let enough = |value: &&i64| values.iter().filter(|v| v <= value).count() * 100 >= percent * values.len();
    Val::int(values.iter().find(enough).copied())
}

fn revenue(events: &[&Kept]) -> Vec<(&'static str, Val)> {
    let tips = of(events, &["tip.sent"]);
    vec![
        ("tips", Val::count(tips.len())),
        ("amount_minor", Val::Int(sum(&tips, "amount_minor"))),
        ("subscription_changes", Val::count(of(events, &["user.subscription_changed"]).len())),
    ]
}

fn user_activity(events: &[&Kept]) -> Vec<(&'static str, Val)> {
    vec![
        ("registrations", Val::count(of(events, &["user.registered"]).len())),
        ("logins", Val::count(of(events, &["user.logged_in"]).len())),
        ("subscription_changes", Val::count(of(events, &["user.subscription_changed"]).len())),
    ]
}

fn stream_quality_changes(events: &[&Kept]) -> Vec<(&'static str, Val)> {
    vec![("changes", Val::count(events.len()))]
}
