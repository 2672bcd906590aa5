//! Small, nasty event sets: a proptest strategy, and the same from a seed.
//!
//! A [`Scenario`] is a list of [`Step`]s, each of which says how one event relates to those before it ("exactly the
//! session timeout after the last event of its session"). Steps do not depend on absolute times, so that proptest can
//! drop any of them and shrink the others. [`Scenario::records`] turns them into JSON lines with `ingest_time`, shard
//! by shard in arrival order, which both the reference and the product read.

mod body;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, SecondsFormat};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

use super::{DAY, HOUR, Options, RefRecord, SEC, floor};

/// What event sets are made of.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// At most this many steps.
    pub steps: usize,
    /// Number of shards.
    pub shards: u8,
    /// Number of streams that are watched; one more only has chat.
    pub streams: u8,
    /// Number of session names, the same in every stream.
    pub sessions: u8,
    /// Whether events may come late, out of order, or from clocks that are wrong.
    pub disorder: bool,
    /// Whether malformed lines and events too old are among them.
    pub malformed: bool,
    /// Whether gaps of a day and of two days occur. They make runs longer: every window of a day is filled.
    pub long_gaps: bool,
    /// Whether some records hold an array of events.
    pub arrays: bool,
    /// Whether several events may have one id: of different times, or what follows from them would depend on which is looked at first.
    pub equal_ids: bool,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            steps: 60,
            shards: 3,
            streams: 3,
            sessions: 4,
            disorder: true,
            malformed: true,
            long_gaps: false,
            arrays: false,
            equal_ids: false,
        }
    }
}

/// What a step's event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    ViewStarted,
    Heartbeat,
    HeartbeatPaused,
    HeartbeatEnded,
    Resumed,
    Paused,
    Ended,
    ViewError,
    StreamStarted,
    StreamEnded,
    QualityChanged,
    /// In a stream that is watched.
    Chat,
    /// In the stream that nobody watches.
    LonelyChat,
    Tip,
    Registered,
    LoggedIn,
    SubscriptionChanged,
    /// A type that the product does not know, with a stream.
    Unknown,
    Malformed(Malformed),
}

/// Ways to be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Malformed {
    NotJson,
    NotAnObject,
    NoEventTime,
    NoSession,
    NoStream,
    EmptySession,
    EmptyStream,
    TextForNumber,
    BadTime,
}

/// What a step's event time is measured from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// The event before it.
    Previous,
    /// The last event of the same session, if any, else the event before it.
    Session,
    /// The last event of the same stream, if any, else the event before it.
    Stream,
}

/// How far from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    Micros(i64),
    /// The session timeout and this much more.
    Timeout(i64),
    /// The closed retention and this much more.
    Retention(i64),
    /// The stream timeout and this much more.
    StreamTimeout(i64),
    /// As far as the next minute's start, and this much more.
    ToMinute(i64),
    /// As far as the next 10 seconds' start, and this much more.
    ToTenSeconds(i64),
}

/// One event and how it relates to those before it.
#[derive(Debug, Clone)]
pub struct Step {
    pub what: What,
    pub stream: u8,
    pub session: u8,
    pub since: Since,
    pub span: Span,
    /// Arrival time − event time.
    pub delay: i64,
    /// How far it is out of arrival order in its shard.
    pub displaced: i64,
    pub shard: u8,
    /// `sent_at` − arrival time.
    pub sent: Option<i64>,
    /// The same event once more: in this shard, arriving that much later.
    pub repeat: Option<(u8, i64)>,
    pub viewer: Option<u8>,
    pub country: Option<u8>,
    pub channel: Option<u8>,
    pub previous_session: Option<u8>,
    /// Makes up the measures: small numbers, many ties, sometimes nothing.
    pub measures: u16,
    /// Decides the order of ids at one event time.
    pub id: u8,
    /// Whether `event_time` is written as epoch milliseconds, if it is a whole number of them.
    pub epoch: bool,
}

/// A list of steps, from which records are made.
#[derive(Debug, Clone)]
pub struct Scenario {
    pub shape: Shape,
    pub steps: Vec<Step>,
}

/// Scenarios of a shape.
pub fn scenarios(shape: Shape) -> impl Strategy<Value = Scenario> {
    prop::collection::vec(step(shape), 1..=shape.steps).prop_map(move |steps| Scenario { shape, steps })
}

/// Mostly the usual; the unusual in so many percent, if it is wanted at all.
fn also<T: std::fmt::Debug + 'static>(
    usual: impl Strategy<Value = T> + 'static,
    wanted: bool,
    percent: u32,
    unusual: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<T> {
    if wanted { prop_oneof![100 - percent => usual, percent => unusual].boxed() } else { usual.boxed() }
}

fn what(shape: Shape) -> BoxedStrategy<What> {
    let malformed = prop_oneof![
        Just(Malformed::NotJson),
        Just(Malformed::NotAnObject),
        Just(Malformed::NoEventTime),
        Just(Malformed::NoSession),
        Just(Malformed::NoStream),
        Just(Malformed::EmptySession),
        Just(Malformed::EmptyStream),
        Just(Malformed::TextForNumber),
        Just(Malformed::BadTime),
    ];
    let well_formed = prop_oneof![
        12 => Just(What::ViewStarted),
        18 => Just(What::Heartbeat),
        2 => Just(What::HeartbeatPaused),
        2 => Just(What::HeartbeatEnded),
        4 => Just(What::Resumed),
        4 => Just(What::Paused),
        6 => Just(What::Ended),
        2 => Just(What::ViewError),
        3 => Just(What::StreamStarted),
        3 => Just(What::StreamEnded),
        1 => Just(What::QualityChanged),
        2 => Just(What::Chat),
        1 => Just(What::LonelyChat),
        2 => Just(What::Tip),
        1 => Just(What::Registered),
        1 => Just(What::LoggedIn),
        1 => Just(What::SubscriptionChanged),
        1 => Just(What::Unknown),
    ];
    also(well_formed, shape.malformed, 3, malformed.prop_map(What::Malformed))
}

fn span(shape: Shape) -> BoxedStrategy<Span> {
    let nudge = || prop_oneof![2 => Just(0), 1 => Just(1), 1 => Just(-1), 1 => Just(-SEC)];
    let gap = prop_oneof![Just(DAY), Just(2 * DAY), Just(DAY + HOUR), Just(2 * DAY + HOUR)];
    let short = prop_oneof![
        6 => Just(Span::Micros(0)),
        2 => prop_oneof![Just(Span::Micros(1)), Just(Span::Micros(250_001))],
        14 => (0..40i64).prop_map(|s| Span::Micros(s * SEC)),
        3 => (-60..0i64).prop_map(|s| Span::Micros(s * SEC)),
        2 => (60..900i64).prop_map(|s| Span::Micros(s * SEC)),
        4 => nudge().prop_map(Span::Timeout),
        3 => nudge().prop_map(Span::Retention),
        2 => nudge().prop_map(Span::StreamTimeout),
        3 => nudge().prop_map(Span::ToMinute),
        3 => nudge().prop_map(Span::ToTenSeconds),
    ];
    also(short, shape.long_gaps, 4, (gap, nudge()).prop_map(|(gap, nudge)| Span::Micros(gap + nudge)))
}

fn delay(shape: Shape) -> BoxedStrategy<i64> {
    if !shape.disorder {
        return (0..3i64).prop_map(|s| s * SEC).boxed();
    }
    let usual = prop_oneof![
        10 => Just(0),
        10 => (0..15i64).prop_map(|s| s * SEC),
        6 => (15..75i64).prop_map(|s| s * SEC),
        2 => (75..400i64).prop_map(|s| s * SEC),
        // The client's clock is ahead: within what is tolerated, exactly that, and beyond.
        1 => prop_oneof![Just(-10 * SEC), Just(-30 * SEC), Just(-30 * SEC - 1), Just(-500 * SEC)],
    ];
    also(usual, shape.malformed, 3, prop_oneof![Just(7 * DAY), Just(7 * DAY + 1), Just(8 * DAY)])
}

fn step(shape: Shape) -> impl Strategy<Value = Step> {
    let since = prop_oneof![4 => Just(Since::Previous), 5 => Just(Since::Session), 2 => Just(Since::Stream)];
    let displaced = if shape.disorder {
        prop_oneof![12 => Just(0i64), 1 => (-20..20i64).prop_map(|s| s * SEC)].boxed()
    } else {
        Just(0).boxed()
    };
    let sent = if shape.disorder {
        let ahead = prop_oneof![Just(-SEC), Just(0), Just(5 * SEC), Just(5 * SEC + 1), Just(20 * SEC), Just(300 * SEC)];
        prop_oneof![8 => Just(None), 2 => ahead.prop_map(Some)].boxed()
    } else {
        Just(None).boxed()
    };
    // Just below, at and above the horizon within which a repeat is dropped, in watermark time.
    let later = prop_oneof![4 => (0..20i64).prop_map(|s| s * SEC), 1 => Just(120 * SEC), 1 => Just(151 * SEC)];
    let repeat = prop_oneof![10 => Just(None), 1 => (0..shape.shards, later).prop_map(Some)];
    // An empty text is a text: not the same as none.
    let names = (
        prop_oneof![2 => Just(None), 6 => (0..3u8).prop_map(Some), 1 => Just(Some(EMPTY))],
        prop_oneof![4 => Just(None), 6 => (0..3u8).prop_map(Some), 1 => Just(Some(EMPTY))],
        prop_oneof![8 => Just(None), 4 => (0..3u8).prop_map(Some), 1 => Just(Some(EMPTY))],
        prop_oneof![36 => Just(None), 3 => (0..shape.sessions).prop_map(Some), 1 => Just(Some(EMPTY))],
    );
    let place = (0..shape.streams, 0..shape.sessions, 0..shape.shards);
    let time = (since, span(shape), delay(shape), displaced, sent);
    (what(shape), place, time, repeat, names, (any::<u16>(), any::<u8>(), any::<bool>())).prop_map(
        |(
            what,
            (stream, session, shard),
            (since, span, delay, displaced, sent),
            repeat,
            names,
            (measures, id, epoch),
        )| {
            let (viewer, country, channel, previous_session) = names;
            Step {
                what,
                stream,
                session,
                since,
                span,
                delay,
                displaced,
                shard,
                sent,
                repeat,
                viewer,
                country,
                channel,
                previous_session,
                measures,
                id,
                epoch,
            }
        },
    )
}

/// A line before it has its place in a shard.
struct Line {
    shard: u8,
    arrival: i64,
    order: i64,
    malformed: bool,
    /// JSON text without `ingest_time` if it is an object.
    body: Result<Value, String>,
}

/// The number of the name that is an empty text.
const EMPTY: u8 = u8::MAX;

/// Where the first event lies: shortly before a new day.
const BEGINNING: i64 = 1_772_409_480 * SEC; // 2026-03-01T23:58:00Z

impl Scenario {
    /// A scenario of exactly `shape.steps` steps, the same for the same seed.
    pub fn seeded(seed: u64, shape: Shape) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        let steps = prop::collection::vec(step(shape), shape.steps);
        let tree = steps.new_tree(&mut runner).expect("no step is ever rejected");
        Self { shape, steps: tree.current() }
    }

    /// The records, one JSON line each, in shard order; spans such as the session timeout come from `options`.
    /// `sequence` is the line number in the shard's file, from 1.
    pub fn records(&self, options: &Options) -> Vec<RefRecord> {
        let mut lines = self.lines(options);
        lines.sort_by_key(|l| (l.shard, l.order));
        let mut records: Vec<RefRecord> = Vec::new();
        let mut before: Option<(u8, i64)> = None;
        let mut joinable = false;
        for (index, mut line) in lines.into_iter().enumerate() {
            if line.malformed {
                // Its arrival moves nothing, so that it does not matter who looks for the arrival of a broken line.
                line.arrival = before.filter(|b| b.0 == line.shard).map_or(line.arrival.min(BEGINNING - DAY), |b| b.1);
            }
            before = Some((line.shard, line.arrival));
            let body = match line.body {
                Ok(mut json) => {
                    if let Some(object) = json.as_object_mut() {
                        object.insert("ingest_time".to_owned(), json!(rfc3339(line.arrival)));
                    }
                    json.to_string()
                }
                Err(text) => text,
            };
            let shard = format!("shard-{}", line.shard);
            let last = records.last_mut().filter(|last| last.shard == shard);
            match last {
                Some(last) if self.shape.arrays && index % 3 == 0 && !line.malformed && joinable => join(last, &body),
                last => {
                    let sequence = last.map_or(1, |last| last.sequence + 1);
                    records.push(RefRecord { shard, sequence, arrival: Some(line.arrival), bytes: body.into_bytes() });
                    joinable = !line.malformed;
                }
            }
        }
        records
    }

    /// The same records as the text of one NDJSON file a shard, by shard name.
    pub fn files(&self, options: &Options) -> BTreeMap<String, String> {
        let mut files: BTreeMap<String, String> = BTreeMap::new();
        for record in self.records(options) {
            let file = files.entry(record.shard).or_default();
            file.push_str(&String::from_utf8(record.bytes).expect("generated lines are text"));
            file.push('\n');
        }
        files
    }

    fn lines(&self, options: &Options) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut previous = BEGINNING;
        let mut last_of: BTreeMap<(u8, Option<u8>), i64> = BTreeMap::new();
        let mut ids: BTreeSet<(u8, i64)> = BTreeSet::new();
        for (index, step) in self.steps.iter().enumerate() {
            let session = (step.stream, Some(step.session));
            let stream = (step.stream, None);
            let from = match step.since {
                Since::Previous => previous,
                Since::Session => last_of.get(&session).copied().unwrap_or(previous),
                Since::Stream => last_of.get(&stream).copied().unwrap_or(previous),
            };
            let t = match step.span {
                Span::Micros(span) => from + span,
                Span::Timeout(more) => from + options.session_timeout + more,
                Span::Retention(more) => from + options.closed_retention + more,
                Span::StreamTimeout(more) => from + options.stream_timeout + more,
                Span::ToMinute(more) => floor(from, 60 * SEC) + 60 * SEC + more,
                Span::ToTenSeconds(more) => floor(from, 10 * SEC) + 10 * SEC + more,
            };
            if !matches!(step.what, What::Malformed(_)) {
                previous = t;
                last_of.insert(stream, t);
                last_of.insert(session, t);
            }
            let arrival = t + step.delay;
            let id = match step.shared_id().filter(|id| self.shape.equal_ids && ids.insert((*id, t))) {
                Some(shared) => format!("same-{shared}"),
                None => format!("{:02x}-{index}", step.id),
            };
            let line = |shard, arrival| Line {
                shard,
                arrival,
                order: arrival + step.displaced,
                malformed: matches!(step.what, What::Malformed(_)),
                body: step.body(&id, t, t + step.delay),
            };
            lines.push(line(step.shard, arrival));
            if let (Some((shard, later)), false) = (step.repeat, matches!(step.what, What::Malformed(_))) {
                lines.push(line(shard, arrival + later));
            }
        }
        lines
    }
}

impl Step {
    /// The id that the event shares with others, if its time will be left as it is.
    fn shared_id(&self) -> Option<u8> {
        let as_it_is = self.sent.is_none() && self.delay >= -30 * SEC && !matches!(self.what, What::Malformed(_));
        (as_it_is && self.id.is_multiple_of(5)).then_some(self.id / 5 % 4)
    }
}

/// Appends one more event to a record, which becomes an array.
fn join(record: &mut RefRecord, body: &str) {
    if record.bytes.first() == Some(&b'[') {
        record.bytes.pop();
    } else {
        record.bytes.insert(0, b'[');
    }
    record.bytes.extend_from_slice(format!(",{body}]").as_bytes());
}

fn rfc3339(t: i64) -> String {
    let time = DateTime::from_timestamp_micros(t).expect("generated times are of this century");
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
