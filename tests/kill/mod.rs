//! A consumer that is killed again and again ends with the same rows as one that never was.
//!
//! ```text
//!  a simulated platform ─► headcount kinesis ─► headcount run, killed by SIGKILL and started again ─► lake
//!                               │                                                                      ║ the same rows, each once
//!                               └─► what lies in the shards ─► headcount backfill --lateness replay ─► lake
//! ```
//!
//! `scripts/kill-test` runs the same with other numbers: `HEADCOUNT_KILLS`, `HEADCOUNT_KILL_SEED`, `HEADCOUNT_BINARY`.
//!
//! Events are of a past time, which runs faster than the clock, so that minutes of windows pass in seconds. Watermarks are driven by them
//! alone.

mod process;
mod starts;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headcount::clock::{Clock, SystemClock};
use headcount::source::kinesis::{KinesisOptions, KinesisSource, PutRecord};
use headcount::source::simulator::{Disturbance, Simulator, SimulatorConfig};
use headcount::types::{MICROS_PER_SEC, Micros, Record, format_micros, parse_rfc3339};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::fixture::{self, dead_letters, open, table};
use crate::reference::{Row, Val};
use process::{PATIENCE, Process, Program};

const KILLS: u32 = 10;
const STREAM: &str = "user-events";
/// Simulated seconds in a second.
const SPEED: i64 = 8;
/// Events in a simulated second.
const EVENTS_PER_SEC: u32 = 40;
/// A kill takes at most so long, on average: what is simulated must not overtake the clock.
const KILL_SECS: i64 = 12;
/// Before one kill in so many another consumer takes over.
const TAKEN_OVER_EVERY: u32 = 8;
/// What a run says when it has read something, and at the steps of a commit.
const STEPS: [&str; 5] =
    ["goes on with the application", "commit cut", "commit recorded", "commit published", " committed "];

/// Queries beside those that are shipped: of what these have none of, sessions, windows of windows, late rows that revise others.
const MORE: [&str; 5] = [
    "cascade_of_concurrency_joined_revised",
    "cascade_of_three_levels",
    "cascade_revised",
    "session_counts",
    "session_of_two_keys",
];
/// What those of them that are revised say.
const ALLOWED_LATENESS: Micros = 60 * MICROS_PER_SEC;

/// How a test is run.
#[derive(Debug, Clone, Copy)]
struct Plan {
    kills: u32,
    seed: u64,
}

impl Plan {
    fn of_environment() -> Self {
        let number = |name: &str| std::env::var(name).ok().map(|n| n.parse().unwrap_or_else(|_| panic!("{name}={n}")));
        let kills = number("HEADCOUNT_KILLS").map_or(KILLS, |n| u32::try_from(n).unwrap());
        Self { kills, seed: number("HEADCOUNT_KILL_SEED").unwrap_or(1) }
    }
}

/// Puts a platform's events until it is told to stop.
async fn produce(source: KinesisSource, seed: u64, start: Micros, stop: Arc<AtomicBool>) -> Vec<PutRecord> {
    let disturbance = Disturbance {
        duplicates_ppm: 20_000,
        late_ppm: 10_000,
        // A clock set to arrival, which is now, would close the windows of all that are yet to be put.
        bad_clocks_ppm: 0,
        malformed_ppm: 3_000,
        bundled_ppm: 5_000,
        ..Disturbance::default()
    };
    let config =
        SimulatorConfig { seed, events_per_sec: EVENTS_PER_SEC, start, disturbance, ..SimulatorConfig::default() };
    let mut events = Simulator::new(config).unwrap().peekable();
    let (mut producer, mut put, begun) = (source.producer(), Vec::new(), Instant::now());
    while !stop.load(Ordering::Relaxed) {
        let now = start + SPEED * i64::try_from(begun.elapsed().as_micros()).unwrap();
        let mut due = Vec::new();
        while let Some(event) = events.next_if(|event| event.arrival_time < now) {
            due.push(PutRecord { partition_key: event.partition_key, data: event.data });
        }
        producer.put(due.clone()).await.unwrap();
        put.extend(due);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    put
}

/// As `aws kinesis get-records` prints them.
fn get_records(records: &[Record]) -> Value {
    let entry = |r: &Record| {
        json!({
            "SequenceNumber": r.sequence_number.as_ref(),
            "ApproximateArrivalTimestamp": format_micros(r.arrival_time.unwrap()).replace('Z', "+00:00"),
            "Data": STANDARD.encode(&r.data),
            "PartitionKey": "k",
        })
    };
    json!({ "Records": records.iter().map(entry).collect::<Vec<_>>(), "MillisBehindLatest": 0 })
}

/// Starts a consumer beside the one that runs, which must end by itself and say why.
fn take_over(program: &Program, consumer: &mut Option<Process>) {
    let mut running = consumer.take().unwrap_or_else(|| program.start(&["run"]));
    running.wait_for(" committed ");
    *consumer = Some(program.start(&["run"]));
    let status = running.end();
    let said = running.said.join("\n");
    assert_eq!(status.code(), Some(3), "who is shut out says so:\n{said}");
    assert!(said.contains("another process goes on with this application"), "{said}");
}

/// Kills the consumer once, at an instant that the seed chooses, and starts it again. What happened, in words.
fn kill_once(program: &Program, consumer: &mut Option<Process>, rng: &mut SmallRng) -> String {
    let mut running = consumer.take().unwrap_or_else(|| program.start(&["run"]));
    let pause = Duration::from_micros(rng.random_range(0..30_000));
    let at = if rng.random_ratio(1, 4) {
        let pause = Duration::from_millis(rng.random_range(0..4_000));
        std::thread::sleep(pause);
        format!("{} ms after its start", pause.as_millis())
    } else {
        // The later steps come once a commit, the first one once a start.
        let step = STEPS[rng.random_range(0..STEPS.len())];
        for _ in 0..if step == STEPS[0] { 1 } else { rng.random_range(1..=2) } {
            running.wait_for(step);
        }
        // Half of them at once.
        let pause = if rng.random() { pause } else { Duration::ZERO };
        std::thread::sleep(pause);
        format!("{} µs after {step:?}", pause.as_micros())
    };
    running.kill();
    format!("killed {at}")
}

/// Waits until a commit stands at the end of every shard, then ends the consumer in good order; what it said at the end.
fn end(program: &Program, consumer: Option<Process>, ends: &BTreeMap<String, String>) -> String {
    let mut running = consumer.unwrap_or_else(|| program.start(&["run"]));
    let begun = Instant::now();
    loop {
        let shown = program.run(&["checkpoint", "show"]);
        if ends.iter().all(|(shard, end)| shown.contains(&format!("{shard}  after {end}"))) {
            break;
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "the end of the stream is not committed:\n{shown}\n{}",
            running.said.join("\n")
        );
        running.hears(" committed ", Duration::from_secs(2));
    }
    running.terminate();
    let status = running.end();
    let said = running.said.join("\n");
    assert!(status.success(), "the last run ended with {status}, as its counters must add up:\n{said}");
    program.run(&["checkpoint", "show"])
}

fn value(shown: &str, name: &str) -> String {
    let line = shown.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {shown}"));
    line[name.len()..].trim().to_owned()
}

/// Rows that are in one table more often than in the other.
fn difference(name: &str, killed: &[Row], replayed: &[Row]) -> Option<String> {
    let mut counts: BTreeMap<&Row, i64> = BTreeMap::new();
    killed.iter().for_each(|row| *counts.entry(row).or_default() += 1);
    replayed.iter().for_each(|row| *counts.entry(row).or_default() -= 1);
    let wrong: Vec<_> = counts.into_iter().filter(|(_, n)| *n != 0).collect();
    let shown = |(row, n): &(&Row, i64)| format!("  {n:+} {row:?}");
    let first: Vec<_> = wrong.iter().take(4).map(shown).collect();
    (!wrong.is_empty()).then(|| {
        format!(
            "{name}: {} rows after the kills, {} in the replay, {} differ (+: after the kills only)\n{}",
            killed.len(),
            replayed.len(),
            wrong.len(),
            first.join("\n")
        )
    })
}

/// The rows of windows that were complete for both, and of revisions.
fn complete(rows: Vec<Row>, watermark: Micros) -> Vec<Row> {
    let number = |row: &Row, name: &str| match row.get(name) {
        Some(Val::Int(number)) => Some(*number),
        _ => None,
    };
    let is_complete = |row: &Row| {
        let later = if number(row, "revision").is_some_and(|revision| revision > 0) { ALLOWED_LATENESS } else { 0 };
        number(row, "window_end").is_none_or(|end| end + later <= watermark)
    };
    rows.into_iter().filter(is_complete).collect()
}

/// The queries of all runs, where they are taken from if nothing else is said.
fn write_pipelines(folder: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shipped = root.join("pipelines").read_dir().unwrap().map(|entry| entry.unwrap().path());
    let more = MORE.map(|name| root.join(format!("tests/sql/queries/{name}.sql")));
    for file in shipped.chain(more) {
        fixture::write(folder.join("pipelines").join(file.file_name().unwrap()), std::fs::read(&file).unwrap());
    }
}

/// Every table after the kills is what the replay says, and the raw rows are what was put.
async fn compare(folder: &Path, put: &[PutRecord], watermark: Micros) -> String {
    let (killed, replayed) = (open(&folder.join("lake")), open(&folder.join("replayed")));
    let mut tables = killed.tables().await.unwrap();
    tables.extend(replayed.tables().await.unwrap());
    tables.sort();
    tables.dedup();
    tables.retain(|name| name != "_dead_letters");
    let (mut problems, mut compared) = (Vec::new(), Vec::new());
    for name in tables {
        let rows = complete(table(&killed, &name).await, watermark);
        problems.extend(difference(&name, &rows, &complete(table(&replayed, &name).await, watermark)));
        compared.push(format!("{name} {}", rows.len()));
    }
    let letters = (dead_letters(&killed).await, dead_letters(&replayed).await);
    compared.push(format!("_dead_letters {}", letters.0.len()));
    if letters.0 != letters.1 {
        problems.push(format!("{} dead letters after the kills, {} in the replay", letters.0.len(), letters.1.len()));
    }
    let mut ids: Vec<String> = put.iter().flat_map(|record| fixture::ids_in(&record.data)).collect();
    ids.sort();
    ids.dedup();
    let id = |row: &Row| match &row["event_id"] {
        Val::Str(id) => id.clone(),
        other => panic!("{other:?}"),
    };
    let mut raw: Vec<String> = table(&killed, "user_events").await.iter().map(id).collect();
    raw.sort();
    if let Some(pair) = raw.windows(2).find(|pair| pair[0] == pair[1]) {
        problems.push(format!("the event {} is there twice", pair[0]));
    }
    // What was spoilt may have an id too.
    let spoilt: Vec<String> = letters.0.iter().flat_map(|letter| fixture::ids_in(letter.data.as_bytes())).collect();
    ids.retain(|id| raw.binary_search(id).is_ok() || !spoilt.contains(id));
    if ids != raw {
        let lost: Vec<_> = ids.iter().filter(|id| raw.binary_search(id).is_err()).take(4).collect();
        problems.push(format!("{} events were put and {} are there; not there: {lost:?}", ids.len(), raw.len()));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(raw.len() > 100, "too little happened: {compared:?}");
    compared.join(", ")
}

/// Where `headcount kinesis` says that it is.
fn url_of(kinesis: &mut Process) -> String {
    let said = kinesis.wait_for("Kinesis at ");
    said.split("Kinesis at ").nth(1).unwrap().split(": stream").next().unwrap().to_owned()
}

fn environment(folder: &Path, url: &str) -> Vec<(String, String)> {
    let lake = folder.join("lake");
    [
        ("AWS_ACCESS_KEY_ID", "none"),
        ("AWS_SECRET_ACCESS_KEY", "none"),
        ("RUST_LOG", "headcount=debug"),
        ("HEADCOUNT__SOURCE__KIND", "kinesis"),
        ("HEADCOUNT__SOURCE__STREAM_NAME", STREAM),
        ("HEADCOUNT__SOURCE__ENDPOINT_URL", url),
        ("HEADCOUNT__SOURCE__POLL_INTERVAL_MS", "200"),
        ("HEADCOUNT__LAKE__URL", lake.to_str().unwrap()),
        ("HEADCOUNT__RUN__COMMIT_INTERVAL_SECS", "1"),
        ("HEADCOUNT__SERVE__ENABLED", "false"),
        // Arrivals move no watermark, and what came twice is known however late.
        ("HEADCOUNT__TIME__IDLE_TIMEOUT_SECS", "86400"),
        ("HEADCOUNT__TIME__DEDUPE_HORIZON_SECS", "1800"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

async fn killed_and_compared(plan: Plan) {
    eprintln!("{} kills, seed {}", plan.kills, plan.seed);
    let folder = tempfile::tempdir().unwrap();
    write_pipelines(folder.path());
    let mut program = Program::new(folder.path());
    let mut kinesis = program.start(&["kinesis", "--port", "0", "--stream", STREAM, "--retain", "24h"]);
    let url = url_of(&mut kinesis);
    program.env = environment(folder.path(), &url);
    let source = KinesisSource::connect(KinesisOptions::loopback(STREAM, &url), Arc::new(SystemClock)).await.unwrap();

    let start = SystemClock.now() - (i64::from(plan.kills) + 10) * KILL_SECS * SPEED * MICROS_PER_SEC;
    let stop = Arc::new(AtomicBool::new(false));
    let producer = source.clone();
    let producing = tokio::spawn(produce(producer, plan.seed, start, Arc::clone(&stop)));
    let mut rng = SmallRng::seed_from_u64(plan.seed);
    let (program, mut consumer) = tokio::task::spawn_blocking(move || {
        let mut consumer = None;
        for kill in 1..=plan.kills {
            if kill % TAKEN_OVER_EVERY == 4 {
                take_over(&program, &mut consumer);
                eprintln!("      taken over by another one");
            }
            let what = kill_once(&program, &mut consumer, &mut rng);
            eprintln!("{kill:>4}  {what}");
        }
        (program, consumer)
    })
    .await
    .unwrap();
    stop.store(true, Ordering::Relaxed);
    let put = producing.await.unwrap();

    let shards = fixture::stored(&source).await;
    let ends = shards.iter().map(|(shard, records)| {
        let last = records.last().unwrap_or_else(|| panic!("{shard} is empty"));
        (shard.clone(), last.sequence_number.to_string())
    });
    let shown = end(&program, consumer.take(), &ends.collect());
    for (shard, records) in &shards {
        let file = folder.path().join(format!("shards/{shard}.json"));
        fixture::write(file, get_records(records).to_string());
    }
    let replay = program.run(&["backfill", "--input", "shards", "--lake", "replayed", "--lateness", "replay"]);
    let watermark = parse_rfc3339(&value(&shown, "watermark")).unwrap();
    assert!(watermark > start, "{shown}");
    let compared = compare(folder.path(), &put, watermark).await;
    assert!(MORE.iter().all(|name| compared.contains(name) || name.contains("three_levels")), "{compared}");
    let read = value(&shown, "events read");
    let counted = replay.lines().any(|line| line.starts_with(&format!("{read} events in ")));
    assert!(counted, "{read} events were read over all commits, but not in the replay:\n{replay}");
    let left = folder.path().join("lake/_uncommitted/headcount");
    let left: Vec<_> = left.read_dir().map(|d| d.flatten().collect()).unwrap_or_default();
    assert!(left.is_empty(), "uncommitted files are left: {left:?}");
    eprintln!("{} records put, {read} events read; the same rows: {compared}", put.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_that_is_killed_ends_with_the_rows_of_a_replay() {
    killed_and_compared(Plan::of_environment()).await;
}

#[test]
fn a_row_that_is_there_once_more_or_less_is_a_difference() {
    let row = |n| Row::from([("n".to_owned(), Val::Int(n))]);
    assert_eq!(difference("t", &[row(1), row(2), row(2)], &[row(2), row(1), row(2)]), None);
    for (killed, shown) in [(vec![row(1), row(2)], "-1"), (vec![row(1), row(2), row(2), row(2)], "+1")] {
        let said = difference("t", &killed, &[row(1), row(2), row(2)]).unwrap();
        assert!(said.contains(shown) && said.contains("1 differ"), "{said}");
    }
}
