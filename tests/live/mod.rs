//! Live runs against the embedded Kinesis: what is put by PutRecords and read by GetRecords ends up in the same rows as
//! `backfill --lateness replay` of what lies in the shards gives.
//!
//! The stream stamps arrivals with the real clock, so events are given times around now. Two runs differ in what drives the
//! watermark: the events alone, over five minutes of them; or mostly the arrivals, and a while of silence, with events of the last
//! minute and a half.

mod changing;
mod failing;
mod failing_store;
mod fencing;
mod now;
mod resuming;
mod service;
mod verifying;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use headcount::clock::{Clock, SystemClock};
use headcount::config::OnChangedPipeline;
use headcount::engine::board::{Board, Status};
use headcount::engine::changes::{self, Changes};
use headcount::engine::checkpoint::{Checkpoint, Header, Summary};
use headcount::engine::counters::Counters;
use headcount::engine::job_state::JobState;
use headcount::engine::left_out::{leave_out, put_back};
use headcount::engine::live::{self, Ended, Ending};
use headcount::engine::tables::{Target, open_tables};
use headcount::engine::{EngineOptions, Pipelines};
use headcount::pipeline::PipelineFile;
use headcount::schema::Contract;
use headcount::source::embedded::{EmbeddedKinesis, EmbeddedOptions};
use headcount::source::kinesis::{KinesisOptions, KinesisSource, PutRecord};
use headcount::source::simulator::{Disturbance, Simulator, SimulatorConfig};
use headcount::types::{MICROS_PER_MINUTE, MICROS_PER_SEC, Micros, Record, ShardId, format_micros};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::fixture::{self, How, Letter, TempLake, all_tables, dead_letters, window_tables};
use crate::harness::{self, difference};
use crate::reference::{self, Val};

/// Parts in which the records are put, each read before the next is put, so that watermarks take several steps.
const PARTS: usize = 6;

/// A wait for something that must happen ends with the test's failure after this long.
const PATIENCE: Duration = Duration::from_secs(60);

struct Case {
    options: EngineOptions,
    /// Simulated time up to now.
    span: Micros,
    events_per_sec: u32,
    /// After this part nothing is put until the silence alone has moved the watermark of every shard.
    silence_after: Option<usize>,
    /// After these parts the job is stopped, its state put away, and another started from it.
    stops_after: Vec<usize>,
    /// Windows of `platform_totals` that must be out before the drain.
    early_windows: u64,
}

/// The stream's content: a disturbed platform, and some events made for what it lacks.
fn records(case: &Case, now: Micros) -> Vec<PutRecord> {
    let config = SimulatorConfig {
        seed: 11,
        events_per_sec: case.events_per_sec,
        start: now - case.span,
        disturbance: Disturbance {
            duplicates_ppm: 30_000,
            late_ppm: 30_000,
            // A clock set to arrival, which is now, would close the windows of all that are yet to be put.
            bad_clocks_ppm: 0,
            malformed_ppm: 5_000,
            bundled_ppm: 10_000,
            heartbeats_after_end_ppm: 300_000,
            ..Disturbance::default()
        },
        ..SimulatorConfig::default()
    };
    let simulated = Simulator::new(config).unwrap().take_while(|e| e.arrival_time < now);
    let mut records: Vec<PutRecord> =
        simulated.map(|e| PutRecord { partition_key: e.partition_key, data: e.data }).collect();
    let event = |id: &str, kind: &str, ago: Micros, more: &str| {
        let time = format_micros(now - ago);
        format!(r#"{{"schema_version":"1","event_id":"{id}","event_type":"{kind}","event_time":"{time}"{more}}}"#)
    };
    let put = |key: &str, data: String| PutRecord { partition_key: key.to_owned(), data: data.into_bytes() };
    let tip =
        |id: &str, ago| event(id, "tip.sent", ago, r#","stream_id":"s","amount_minor":5,"properties":{"a": [1, 2]}"#);
    let day = 86_400 * MICROS_PER_SEC;
    let eighth = records.len() / 9;
    let ahead = |secs| format!(r#","sent_at":"{}""#, format_micros(now + secs * MICROS_PER_SEC));
    let made = [
        // An array with an element that is no event; lines of which one is broken.
        put("x", format!("[{},3,{}]", tip("array-0", 0), tip("array-2", MICROS_PER_SEC))),
        put("y", format!("{}\n{{\"broken\n{}\n", tip("line-0", 0), tip("line-2", 2 * MICROS_PER_SEC))),
        put("x", event("too-old", "user.logged_in", 8 * day, "")),
        put("z", event("old", "user.logged_in", day / 8, "")),
        // The same id in one shard, and in another.
        put("x", tip("array-0", 0)),
        put("z", tip("array-0", 0)),
    ];
    for (i, record) in made.into_iter().enumerate() {
        records.insert((i + 1) * eighth, record);
    }
    for i in 0..8 {
        // Late for every window, whatever drives the watermark and however minutes lie.
        let late = event(&format!("late-{i}"), "chat.message_sent", 10 * MICROS_PER_MINUTE, r#","stream_id":"s""#);
        records.insert((i + 1) * eighth, put(&format!("late-{i}"), late));
    }
    let end = records.len();
    let view = |id: &str, kind: &str, ago| event(id, kind, ago, r#","stream_id":"s","session_id":"v""#);
    // From the end backwards.
    let last = [
        put("y", event("clamped", "user.registered", -3_600 * MICROS_PER_SEC, "")),
        put("z", event("shifted", "user.registered", -MICROS_PER_MINUTE, &ahead(90))),
        put("v", view("heartbeat-after-end", "view.heartbeat", MICROS_PER_SEC)),
        put("v", view("end", "view.ended", 2 * MICROS_PER_SEC)),
        put("x", event("clamped-twice", "user.registered", -3_600 * MICROS_PER_SEC, &ahead(60))),
    ];
    for record in last {
        records.insert(end, record);
    }
    records
}

/// Waits for what must come.
async fn until<T>(what: &str, mut ready: impl FnMut() -> Option<T>) -> T {
    let waiting = async {
        loop {
            if let Some(found) = ready() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    within(what, waiting).await
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("waited in vain: {what}"))
}

async fn start() -> (EmbeddedKinesis, KinesisSource) {
    let options = EmbeddedOptions { retain: Duration::from_secs(3_600), ..EmbeddedOptions::default() };
    let embedded = EmbeddedKinesis::start(options).await.unwrap();
    let options = KinesisOptions::loopback(embedded.stream_name(), embedded.endpoint_url());
    (embedded, KinesisSource::connect(options, Arc::new(SystemClock)).await.unwrap())
}

/// A job under way.
struct Running {
    board: Arc<Board>,
    ending: Ending,
    job: tokio::task::JoinHandle<headcount::Result<Ended>>,
    /// Records that earlier runs of the job have read.
    before: u64,
}

impl Running {
    async fn start(
        pipelines: &Arc<Pipelines>,
        source: &KinesisSource,
        lake: &TempLake,
        (from, before): (Option<JobState>, u64),
    ) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let shards = source.list_shards().await.unwrap();
        assert_eq!(shards.len(), 4);
        let position = |shard: &ShardId| from.as_ref().and_then(|f| f.shards.get(shard)?.position.clone());
        let readers = shards.into_iter().map(|s| source.shard_reader(s.id.clone(), position(&s.id))).collect();
        let prefix = format!("live-{before}");
        let tables = open_tables(pipelines, Target::Lake(&lake.lake), fixture::table_options(), &prefix, &clock);
        let (board, ending) = (Arc::new(Board::default()), Ending::default());
        let job = live::run(Arc::clone(pipelines), readers, from, tables, board.clone(), ending.clone(), clock);
        Self { board, ending, job: tokio::spawn(job), before }
    }

    fn records(&self) -> u64 {
        self.before + self.board.status().shards.values().map(|s| s.records).sum::<u64>()
    }

    async fn end(self, (written, counters): &mut (BTreeMap<String, u64>, Counters)) -> (JobState, Status) {
        let ended = within("the job ends", self.job).await.unwrap().unwrap();
        for (table, summary) in ended.tables {
            *written.entry(table).or_default() += summary.rows;
        }
        let status = self.board.status();
        assert_eq!(status.counters().contradictions(), Vec::<String>::new());
        counters.add(&status.counters());
        (ended.state, status)
    }
}

/// As it comes back from the lake; so do the ids of events and the marks that wait, from their rows.
async fn put_away(pipelines: &Pipelines, lake: &TempLake, state: JobState) -> JobState {
    let (state, changes) = taken_up((pipelines, pipelines), lake, state, OnChangedPipeline::Refuse).await.unwrap();
    assert_eq!(Changes { presence_anew: BTreeSet::new(), ..changes }, Changes::default());
    state
}

/// What a job `left` in the lake, as another one `now` takes it up; the changes too.
async fn taken_up(
    (left, now): (&Pipelines, &Pipelines),
    lake: &TempLake,
    mut state: JobState,
    on_changed: OnChangedPipeline,
) -> headcount::Result<(JobState, Changes)> {
    leave_out(&mut state);
    let positions_only = state.combine.is_none();
    let header = Header { positions_only, ..Header::new(left, "a stream", 0, Summary::default()) };
    let bytes = Checkpoint { header: header.clone(), state, source: vec![1, 2] }.to_bytes().unwrap();
    let mut back = Checkpoint::from_bytes(&bytes).unwrap();
    assert_eq!((&back.header, back.source.as_slice()), (&header, [1, 2].as_slice()));
    assert_eq!(changes::fit(&mut back.clone(), now, "another", on_changed).unwrap_err().exit_code(), 2);
    for at in [0, 6, bytes.len() / 2, bytes.len() - 1] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        assert!(Checkpoint::from_bytes(&damaged).is_err(), "a wrong bit at {at} is noticed");
    }
    let changes = changes::fit(&mut back, now, "a stream", on_changed)?;
    let mut state = back.state;
    let back = put_back(&mut state, &lake.lake, now, &[]).await.unwrap();
    assert_eq!((back.ids.found, back.marks.found), (back.ids.left_out, back.marks.left_out), "{back:?}");
    Ok((state, changes))
}

/// Runs the job over all records, part by part, to the drained end; its counters.
async fn live_run(case: &Case, pipelines: &Arc<Pipelines>, source: &KinesisSource, lake: &TempLake) -> Counters {
    let clock = SystemClock;
    let mut running = Running::start(pipelines, source, lake, (None, 0)).await;
    let mut written = (BTreeMap::new(), Counters::default());
    let records = records(case, clock.now());
    let mut producer = source.producer();
    let mut put = 0;
    let mut watermarks = BTreeSet::new();
    for (i, part) in records.chunks(records.len().div_ceil(PARTS)).enumerate() {
        producer.put(part.to_vec()).await.unwrap();
        put += part.len() as u64;
        until("every record is read", || {
            watermarks.extend(running.board.status().combine.watermark);
            assert!(!running.job.is_finished(), "the job ended by itself");
            (running.records() == put).then_some(())
        })
        .await;
        if case.silence_after == Some(i) {
            // No record that was put by now can move a watermark there.
            let beyond = clock.now() - case.options.watermark_delay;
            until("silence moves the watermarks", || {
                running.board.status().shards.values().all(|s| s.watermark > Some(beyond)).then_some(())
            })
            .await;
        }
        if case.stops_after.contains(&i) {
            let suspend = if i % 2 == 0 { &running.ending.catch_up } else { &running.ending.stop };
            suspend.cancel();
            let (state, _) = running.end(&mut written).await;
            assert!(state.has_open_windows());
            running =
                Running::start(pipelines, source, lake, (Some(put_away(pipelines, lake, state).await), put)).await;
        }
    }
    until("windows come before the end", || {
        let status = running.board.status();
        watermarks.extend(status.combine.watermark);
        (status.windows.get("platform_totals") >= Some(&case.early_windows)).then_some(())
    })
    .await;
    assert!(watermarks.len() > 2, "the watermark took few steps: {watermarks:?}");
    running.ending.drain.cancel();
    let (_, status) = running.end(&mut written).await;

    assert!(status.shards.values().all(|s| s.drained));
    let (written, counters) = written;
    assert_eq!(written["user_events"], counters.kept);
    assert_eq!(written["_dead_letters"], counters.dead_letters);
    for (name, counts) in &counters.pipelines {
        assert_eq!(written[&format!("_late/{name}")], counts.late, "{name}");
    }
    counters
}

/// A record's events: the elements of an array, the lines, or the one object.
fn elements(data: &str) -> Vec<String> {
    if data.trim_start().starts_with('[')
        && let Ok(items) = serde_json::from_str::<Vec<&RawValue>>(data)
    {
        return items.iter().map(|item| item.get().to_owned()).collect();
    }
    data.split('\n').filter(|line| !line.trim().is_empty()).map(str::to_owned).collect()
}

/// A line for each event of a shard. An object says where it lay; what is none is left as it was.
fn lines(shard: &str, records: &[Record]) -> String {
    let mut out = String::new();
    for record in records {
        let arrival = format_micros(record.arrival_time.unwrap());
        for (i, event) in elements(std::str::from_utf8(&record.data).unwrap()).iter().enumerate() {
            let event = event.trim();
            match (serde_json::from_str::<Value>(event), event.strip_suffix('}')) {
                (Ok(Value::Object(_)), Some(open)) => writeln!(
                    out,
                    r#"{open},"shard_id":"{shard}","sequence_number":"{}","sub_sequence_number":{i},"ingest_time":"{arrival}"}}"#,
                    record.sequence_number
                )
                .unwrap(),
                _ => writeln!(out, "{event}").unwrap(),
            }
        }
    }
    out
}

/// Reason, content without the provenance that [`lines`] adds, and place. A line that is no event cannot say what its place was.
async fn letters(lake: &TempLake) -> Vec<(String, String, Option<(String, String)>)> {
    let bare = |data: String| match data.split_once(r#","shard_id":""#) {
        Some((event, _)) => format!("{event}}}"),
        None => data.trim().to_owned(),
    };
    let letter = |l: Letter| {
        let place = (l.reason == "too_old").then_some((l.shard, l.sequence_number));
        (l.reason, bare(l.data), place)
    };
    let mut letters: Vec<_> = dead_letters(&lake.lake).await.into_iter().map(letter).collect();
    letters.sort();
    letters
}

/// The shipped pipelines, and some that make windows of windows.
fn pipeline_files() -> Vec<PipelineFile> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sql/queries");
    let of_windows = ["cascade_of_concurrency", "cascade_of_four_levels_revised", "cascade_of_hopping"];
    let of_windows = of_windows.map(|name| PipelineFile::load(&folder.join(format!("{name}.sql"))).unwrap());
    harness::shipped().into_iter().chain(of_windows).collect()
}

async fn check(case: Case) {
    let files = pipeline_files();
    let contract = Arc::new(Contract::shipped().unwrap());
    let compiled = Pipelines::compile(contract, &files, case.options).await;
    let pipelines = Arc::new(compiled.unwrap_or_else(|e| panic!("{e:?}")));
    let (embedded, source) = start().await;
    let live = TempLake::new();
    let counters = live_run(&case, &pipelines, &source, &live).await;
    // The case is one in which something happens.
    assert!(counters.duplicates > 0 && counters.dead_letters > 2, "{counters:?}");
    assert!(counters.shifted > 0 && counters.clamped > 1, "{counters:?}");
    for name in ["platform_totals", "stream_engagement"] {
        let counts = counters.pipelines[name];
        assert!(counts.late > 5 && counts.in_windows > 100, "{name}: {counts:?}");
    }
    assert!(counters.pipelines["concurrent_viewers"].ignored_touches > 0, "{counters:?}");

    let folder = tempfile::tempdir().unwrap();
    for (shard, records) in fixture::stored(&source).await {
        assert!(!records.is_empty(), "{shard} is empty");
        fixture::write(folder.path().join(format!("{shard}.ndjson")), lines(&shard, &records));
    }
    embedded.shutdown().await;

    let expected = all_tables(&live.lake, &pipelines).await;
    for (name, rows) in expected.iter().filter(|(name, _)| !name.starts_with("_late/")) {
        assert!(!rows.is_empty(), "{name} is empty");
    }

    let replayed = TempLake::new();
    let inputs = [folder.path().to_str().unwrap().to_owned()];
    let summary = fixture::backfill(&pipelines, &inputs, &replayed.lake, How::default()).await;
    let mut problems = Vec::new();
    compare("replay of the shards", &expected, &all_tables(&replayed.lake, &pipelines).await, &mut problems);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert_eq!(summary.counters, counters);
    let buried = letters(&live).await;
    for reason in ["not_json", "too_old", "wrong_type"] {
        assert!(buried.iter().any(|l| l.0 == reason), "no {reason}: {buried:#?}");
    }
    assert_eq!(letters(&replayed).await, buried);

    let again = TempLake::new();
    let inputs = [live.path("user_events")];
    let summary = fixture::backfill(&pipelines, &inputs, &again.lake, How { workers: 1, ..How::default() }).await;
    let windows = window_tables(&live.lake, &pipelines).await;
    compare("replay of the lake", &windows, &window_tables(&again.lake, &pipelines).await, &mut problems);
    compare("raw rows of the lake", &expected, &all_tables(&again.lake, &pipelines).await, &mut problems);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert_eq!((summary.counters.read, summary.counters.kept), (counters.kept, counters.kept));
    assert!(expected["platform_totals"].iter().all(|r| r["revision"] == Val::Int(0)));
}

type Tables = BTreeMap<String, Vec<reference::Row>>;

fn compare(what: &str, expected: &Tables, got: &Tables, problems: &mut Vec<String>) {
    assert!(expected.keys().eq(got.keys()));
    for (name, rows) in expected {
        problems.extend(difference(&format!("{what}, {name}"), &got[name], rows));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_run_driven_by_its_events_equals_the_replay_of_its_shards() {
    let mut options = harness::engine_options(&reference::Options::default());
    // Arrivals are all of this minute: they must not close windows of five minutes ago before their events are read.
    options.judge.idle_timeout = 60 * MICROS_PER_MINUTE;
    let (span, events_per_sec, early_windows) = (5 * MICROS_PER_MINUTE, 8, 12);
    check(Case { options, span, events_per_sec, silence_after: None, stops_after: vec![], early_windows }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_stopped_and_started_again_equals_the_replay_of_its_shards() {
    let mut options = harness::engine_options(&reference::Options::default());
    options.judge.idle_timeout = 60 * MICROS_PER_MINUTE;
    let (span, events_per_sec, early_windows) = (5 * MICROS_PER_MINUTE, 8, 1);
    check(Case { options, span, events_per_sec, silence_after: None, stops_after: vec![0, 2, 3], early_windows }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_run_driven_by_arrivals_and_silence_equals_the_replay_of_its_shards() {
    let mut options = harness::engine_options(&reference::Options::default());
    // Shorter than shipped, so that the test need not wait for half a minute; the delay makes up for it.
    options.judge.idle_timeout = MICROS_PER_SEC;
    options.watermark_delay = MICROS_PER_MINUTE;
    let (span, events_per_sec, early_windows) = (90 * MICROS_PER_SEC, 20, 1);
    check(Case { options, span, events_per_sec, silence_after: Some(3), stops_after: vec![], early_windows }).await;
}
