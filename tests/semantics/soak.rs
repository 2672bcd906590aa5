//! What is left of many hours: streams, sessions, viewers and ids that come and go, through judge, windows and presence, in simulated time.
//! Whatever a job remembers of an hour, it remembers no more of the next one; and of nobody it remembers nothing.
//!
//! `HEADCOUNT_SOAK_HOURS=1000` goes on for longer and prints a line an hour, with what the process has resident:
//! `HEADCOUNT_SOAK_HOURS=1000 cargo nextest run --no-capture soak`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use headcount::decode::Provenance;
use headcount::engine::{Combine, Emission, EngineOptions, Intake, Pipelines, ShardMessage, ShardStage};
use headcount::pipeline::PipelineFile;
use headcount::schema::Contract;
use headcount::types::{ReadBatch, Record};

use crate::harness::{self, heap::held_bytes};
use crate::reference::{HOUR, Options, SEC, Val};

use super::scene::{at, concurrency, concurrency_by, int, pipeline};

/// Hours that are looked at unless said: the first of them fill the state.
const HOURS: i64 = 48;
/// By then everything that is remembered for a while has been forgotten once: streams are remembered for three hours.
const FULL_AFTER: usize = 6;
/// The part of the run that is compared with the hours after [`FULL_AFTER`]: as many at the end.
const COMPARED: usize = 12;
/// Seconds a read: with windows of as much, each read closes some.
const STEP: i64 = 300;
const SHARDS: i64 = 2;

fn tables() -> Vec<PipelineFile> {
    let tumble = "TABLE(TUMBLE(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '5' MINUTE))";
    let hop = "TABLE(HOP(TABLE user_events, DESCRIPTOR(event_time), INTERVAL '5' MINUTE, INTERVAL '30' MINUTE))";
    let session =
        "TABLE(SESSION(TABLE user_events PARTITION BY session_id, DESCRIPTOR(event_time), INTERVAL '2' MINUTE))";
    let counted = |from: &str| {
        format!(
            "SELECT window_start, window_end, stream_id, COUNT(*) AS events, COUNT(DISTINCT viewer_id) AS viewers\nFROM {from}\n\
             WHERE stream_id IS NOT NULL GROUP BY window_start, window_end, stream_id"
        )
    };
    let visits = format!(
        "SELECT window_start, window_end, session_id, COUNT(*) AS events FROM {session}\n\
         WHERE session_id IS NOT NULL GROUP BY window_start, window_end, session_id"
    );
    let hours = format!(
        "WITH minutes AS (SELECT window_time AS rowtime, stream_id, COUNT(*) AS events FROM {tumble}\n\
         GROUP BY window_start, window_end, window_time, stream_id)\n\
         SELECT window_start, window_end, SUM(events) AS events\n\
         FROM TABLE(TUMBLE(TABLE minutes, DESCRIPTOR(rowtime), INTERVAL '1' HOUR)) GROUP BY window_start, window_end"
    );
    vec![
        concurrency("totals", 300, &[]),
        concurrency("streams", 900, &["stream_id"]),
        // As many groups as there are viewers, and a value for each of them.
        concurrency("viewers", 300, &["stream_id", "country", "viewer_id"]),
        concurrency_by("impatient", 300, &["country"], &[("SESSION_TIMEOUT", 20), ("CLOSED_RETENTION", 60)]),
        pipeline("engagement", "keys = [\"stream_id\"]\nallowed_lateness_secs = 900", &counted(tumble)),
        pipeline("hopping", "keys = [\"stream_id\"]", &counted(hop)),
        pipeline("visits", "keys = [\"session_id\"]", &visits),
        pipeline("hours", "keys = []", &hours),
    ]
}

/// One event: its second, the second of its arrival, its shard, its text.
struct Event {
    arrival: i64,
    shard: i64,
    text: String,
}

/// The stream that a session is of.
fn stream_of(session: i64) -> i64 {
    (20 * session / 420 - session % 6).max(0)
}

/// Where a session is at a second: it changes every three minutes.
fn country(session: i64, second: i64) -> &'static str {
    ["DE", "US", "BR"][((session + second / 180) % 3).unsigned_abs() as usize]
}

/// What happens in the seconds `[from, to)`, in the order of arrival. A stream begins every seven minutes and ends after fifty, a session
/// every twenty seconds and ends after two to fifteen minutes; every one of them has names of its own.
fn events(from: i64, to: i64) -> Vec<Event> {
    let mut events = Vec::new();
    let mut happen = |second: i64, id: String, kind: &str, more: String| {
        // Some are ten minutes late, and some come twice.
        let number = second + id.len() as i64;
        let arrival = if number % 50 == 0 { second + 600 } else { second + number % 3 };
        if !(from..to).contains(&arrival) {
            return;
        }
        let time = at(second) / 1_000;
        let text = format!(
            r#"{{"schema_version":"1","event_id":"{id} {kind} {second}","event_type":"{kind}","event_time":{time}{more}}}"#
        );
        let shard = number % SHARDS;
        if number % 17 == 0 {
            events.push(Event { arrival, shard, text: text.clone() });
        }
        events.push(Event { arrival, shard, text });
    };
    for stream in ((from - 3_700) / 420 - 1).max(0)..=to / 420 {
        let channel = stream % 40;
        let names = || format!(r#","stream_id":"stream {stream}","channel_id":"channel {channel}""#);
        happen(420 * stream, format!("stream {stream}"), "stream.started", names());
        if stream % 4 > 0 {
            happen(420 * stream + 3_000, format!("stream {stream}"), "stream.ended", names());
        }
    }
    for session in ((from - 1_700) / 20 - 1).max(0)..=to / 20 {
        let began = 20 * session;
        let stream = stream_of(session);
        let ended = began + 120 + session * 7_919 % 780;
        let id = format!("session {session}");
        let names = |at: i64| {
            let country = country(session, at);
            let mut names = format!(
                r#","stream_id":"stream {stream}","session_id":"{id}","viewer_id":"viewer {session}","country":"{country}""#
            );
            if session % 11 == 0 {
                write!(names, r#","previous_session_id":"session {}""#, session - 1).unwrap();
            }
            names
        };
        happen(began, id.clone(), "view.started", names(began));
        for heartbeat in (began + 30..ended).step_by(30) {
            happen(heartbeat, id.clone(), "view.heartbeat", names(heartbeat));
        }
        if session % 5 == 0 {
            happen(began + 70, id.clone(), "view.paused", names(began));
            happen(began + 101, id.clone(), "view.resumed", names(began));
        }
        if session % 3 > 0 {
            happen(ended, id.clone(), "view.ended", names(ended));
        }
        if session % 7 == 0 {
            happen(ended + 31, id.clone(), "view.heartbeat", names(ended));
        }
    }
    events.sort_by_key(|event| event.arrival);
    events
}

/// Somebody logs in, so that time goes on.
fn silence(from: i64, to: i64) -> Vec<Event> {
    let event = |second: i64, shard| Event {
        arrival: second,
        shard,
        text: format!(
            r#"{{"schema_version":"1","event_id":"{shard} {second}","event_type":"user.logged_in","event_time":{}}}"#,
            at(second) / 1_000
        ),
    };
    (from..to).step_by(60).flat_map(|second| (0..SHARDS).map(move |shard| event(second, shard))).collect()
}

struct Job {
    pipelines: Arc<Pipelines>,
    shards: Vec<(Intake, ShardStage)>,
    combine: Combine,
    rows: usize,
}

impl Job {
    async fn new(options: EngineOptions) -> Self {
        let contract = Arc::new(Contract::shipped().unwrap());
        let compiled = Pipelines::compile(Arc::clone(&contract), &tables(), options).await;
        let pipelines = Arc::new(compiled.unwrap_or_else(|e| panic!("{e:?}")));
        let shard = |_| {
            let intake = Intake::try_new(Arc::clone(&contract), Provenance::Record, options.judge).unwrap();
            (intake, ShardStage::try_new(Arc::clone(&pipelines)).unwrap())
        };
        let mut combine = Combine::try_new(Arc::clone(&pipelines)).unwrap();
        (0..SHARDS).for_each(|shard| combine.join(shard.to_string().into()));
        Self { shards: (0..SHARDS).map(shard).collect(), pipelines, combine, rows: 0 }
    }

    /// Reads once from every shard.
    async fn read(&mut self, events: Vec<Event>) {
        let mut records: Vec<Vec<Record>> = vec![vec![]; self.shards.len()];
        for Event { arrival, shard, text } in events {
            let of_shard = &mut records[shard as usize];
            let sequence_number = of_shard.len().to_string().into();
            of_shard.push(Record { data: text.into(), sequence_number, arrival_time: Some(at(arrival)) });
        }
        for ((shard, (intake, stage)), records) in (0..).zip(&mut self.shards).zip(records) {
            let shard: headcount::types::ShardId = i64::to_string(&shard).into();
            let read = ReadBatch { shard: Arc::clone(&shard), records, millis_behind_latest: None, polled_at: None };
            let events = intake.take(&read).unwrap().judged.into_kept().unwrap();
            let seen = stage.process(&events).await.unwrap().seen;
            let watermark = intake.high_time().map(|high| high - self.pipelines.options.watermark_delay);
            let partials = watermark.map(|w| stage.close(w).unwrap()).unwrap_or_default();
            let out = self.combine.handle(ShardMessage { shard, seen, partials, watermark }).await.unwrap();
            self.rows += out.iter().map(|emission| emission.rows.num_rows()).sum::<usize>();
            check(&self.pipelines, &out);
        }
    }

    /// All that is remembered, by what it is.
    fn figures(&self) -> Figures {
        let status = self.combine.status();
        let of_shards = self.shards.iter().flat_map(|(_, stage)| stage.open_windows());
        let open: Vec<_> = of_shards.chain(status.open).collect();
        let ids = self.shards.iter().map(|(intake, _)| intake.remembered_ids());
        let (ids, id_bytes) = ids.fold((0, 0), |(n, bytes), more| (n + more.0, bytes + more.1));
        [
            ("sessions", status.remembered.0 as i64),
            ("streams", status.remembered.1 as i64),
            ("ids", ids as i64),
            ("bytes of ids", id_bytes as i64),
            ("open windows", open.iter().map(|open| open.count() as i64).sum()),
            ("open groups", open.iter().map(|open| open.groups as i64).sum()),
            ("accounted bytes", self.pipelines.memory.bytes() as i64),
            ("bytes held", held_bytes()),
        ]
    }
}

/// Whatever was forgotten meanwhile: each viewer counts in his stream and his country, and all of them add up to the total.
fn check(pipelines: &Pipelines, out: &[Emission]) {
    let mut sums: BTreeMap<i64, [i64; 2]> = BTreeMap::new();
    for emission in out {
        let of = match pipelines.plans[emission.pipeline].name.as_str() {
            "totals" => 0,
            "viewers" => 1,
            _ => continue,
        };
        for row in harness::rows(&emission.rows) {
            let Val::Float(average) = row["viewers_avg"] else { panic!("{row:?}") };
            let window = int(&row, "window_start");
            sums.entry(window).or_default()[of] += (average * (300 * SEC) as f64).round() as i64;
            if of == 1 {
                let text = |column: &str| match &row[column] {
                    Val::Str(text) => text.clone(),
                    other => panic!("{column} is {other:?}"),
                };
                let session: i64 = text("viewer_id").strip_prefix("viewer ").unwrap().parse().unwrap();
                assert_eq!(text("stream_id"), format!("stream {}", stream_of(session)), "{row:?}");
                let second = (window - at(0)) / SEC;
                let mut countries = (second - 200..second + 300).map(|second| country(session, second));
                assert!(countries.any(|country| country == text("country")), "{row:?}");
            }
        }
    }
    for (window, [total, viewers]) in sums {
        assert_eq!(total, viewers, "presence in the window at {window}");
    }
}

type Figures = [(&'static str, i64); 8];

/// Memory of the process, in bytes, where the system says.
fn resident_bytes() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<i64>().ok().map(|kib| kib * 1_024)
}

/// The highest of each figure.
fn highest(samples: &[Figures]) -> Figures {
    let mut highest = samples[0];
    for (i, (_, value)) in highest.iter_mut().enumerate() {
        *value = samples.iter().map(|sample| sample[i].1).max().unwrap();
    }
    highest
}

#[test]
fn after_many_hours_no_more_is_remembered_than_after_some() {
    let hours = harness::number("HEADCOUNT_SOAK_HOURS").map(|hours| i64::try_from(hours).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let options = Options { announced_timeout: 3 * HOUR, finest_window: STEP * SEC, ..Options::default() };
        let mut job = Job::new(harness::engine_options(&options)).await;
        let nothing = job.figures();
        let mut samples = Vec::new();
        let mut second = 0;
        for hour in 0..hours.unwrap_or(HOURS) {
            // What is forgotten in turns is highest somewhere within an hour.
            let mut within = Vec::new();
            while second < (hour + 1) * 3_600 {
                job.read(events(second, second + STEP)).await;
                second += STEP;
                within.push(job.figures());
            }
            let figures = highest(&within);
            if hours.is_some() {
                println!("hour {hour}: resident bytes {:?}, {} rows, {figures:?}", resident_bytes(), job.rows);
            }
            samples.push(figures);
        }
        assert!(samples.len() >= FULL_AFTER + 2 * COMPARED, "too few hours to compare");
        let first = highest(&samples[FULL_AFTER..FULL_AFTER + COMPARED]);
        let last = highest(&samples[samples.len() - COMPARED..]);
        for ((what, before), (_, after)) in first.into_iter().zip(last) {
            assert!(before > 0, "there are no {what}: {first:?}");
            // Tables of hashes grow by doubling: a little more or less may be a step.
            assert!(after * 8 <= before * 9, "{what} grow: {first:?} at first, {last:?} at the end");
        }
        // All go, and nothing is left of them.
        for _ in 0..5 * 3_600 / STEP {
            job.read(silence(second, second + STEP)).await;
            second += STEP;
        }
        let left = job.figures();
        for ((what, left), (_, nothing)) in left.into_iter().zip(nothing).take(2) {
            assert_eq!(left, nothing, "{what} of nobody");
        }
        println!("{nothing:?}\n{first:?}\n{last:?}\n{left:?}");
    });
}
