//! The golden queries: whichever way the input goes through the engine, the rows are those that are written down.

use std::any::Any;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::logical_expr::Volatility;
use futures::FutureExt;
use headcount::decode::Provenance;
use headcount::engine::Pipelines;
use headcount::operator::memory::StateMemory;
use headcount::pipeline::{Compiler, ContinuousPlan, PipelineFile};
use headcount::schema::Contract;

use super::plain::{self, Late};
use super::{input, text};
use crate::fixture::{self, How, TempLake};
use crate::harness::longest::longest;
use crate::harness::{self, Cut, Run};
use crate::reference::{self, Options, RefRecord, Row, Val};

/// Whether lateness is judged, as a live run does, or ignored, as a backfill does unless it is told to replay.
const MODES: [&str; 2] = ["lateness judged", "lateness ignored"];
const AS_JUDGED: &str = "the same rows";
const QUERIES_MIN: usize = 60;
/// What plain DataFusion chooses among rows that the order leaves equal is not defined; here the keys decide.
const TIES: &str = "_with_ties";

fn queries() -> Vec<PipelineFile> {
    let all = PipelineFile::load_dir(&input::folder("queries")).unwrap();
    let all: Vec<PipelineFile> =
        all.into_iter().map(|file| file.unwrap_or_else(|e| panic!("{}", e.report()))).collect();
    assert!(all.len() >= QUERIES_MIN, "only {} queries were found", all.len());
    let wanted = std::env::var("HEADCOUNT_SQL").unwrap_or_default();
    all.into_iter().filter(|file| file.name.contains(&wanted)).collect()
}

/// Texts by query.
type Texts = BTreeMap<String, String>;

/// Queries of one job, and its input.
struct Job {
    files: Vec<PipelineFile>,
    pipelines: Arc<Pipelines>,
    /// By name.
    lookups: Vec<(String, RecordBatch)>,
    records: Vec<RefRecord>,
    /// What is written down, by mode.
    expected: [Texts; 2],
    problems: Vec<String>,
}

impl Job {
    async fn new(files: Vec<PipelineFile>) -> Self {
        let lookups = input::lookups().await;
        let tables: Vec<_> = lookups.iter().map(|lookup| Arc::clone(&lookup.table)).collect();
        let contract = Arc::new(Contract::shipped().unwrap());
        let mut compiler = Compiler::with_lookups(&contract, &tables, StateMemory::new(usize::MAX)).unwrap();
        compiler.register(longest(Volatility::Immutable)).unwrap();
        let options = harness::engine_options(&Options::default());
        let pipelines = Pipelines::compile_by(&compiler, contract, &files, &lookups, options).await;
        let mut job = Self {
            files,
            pipelines: Arc::new(pipelines.unwrap_or_else(|e| panic!("{e:?}"))),
            lookups: lookups.into_iter().map(|lookup| (lookup.table.name.to_string(), lookup.content.rows)).collect(),
            records: input::records(),
            expected: Default::default(),
            problems: vec![],
        };
        if std::env::var_os("HEADCOUNT_REGOLD").is_some() {
            job.write().await;
        } else {
            job.read();
        }
        job
    }

    /// Writes down what comes of all records at once.
    async fn write(&mut self) {
        for (i, mode) in MODES.iter().enumerate() {
            self.set(mode);
            self.expected[i] = self.texts(&self.live(1_000, false).await);
        }
        let [judged, ignored] = &self.expected;
        for (name, judged) in judged {
            let again = if ignored[name] == *judged { format!("{AS_JUDGED}\n") } else { ignored[name].clone() };
            let path = input::folder("queries").join(format!("{name}.txt"));
            std::fs::write(path, format!("{}\n{judged}\n{}\n{again}", MODES[0], MODES[1])).unwrap();
        }
    }

    fn read(&mut self) {
        for file in &self.files {
            let path = input::folder("queries").join(format!("{}.txt", file.name));
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let parts = text.strip_prefix(&format!("{}\n", MODES[0]));
            let parts = parts.and_then(|rest| rest.split_once(&format!("\n{}\n", MODES[1])));
            let (judged, ignored) = parts
                .unwrap_or_else(|| panic!("the rows of {}.sql are not written down: see tests/sql/mod.rs", file.name));
            let ignored = if ignored.trim_end() == AS_JUDGED { judged } else { ignored };
            for (expected, text) in self.expected.iter_mut().zip([judged, ignored]) {
                expected.insert(file.name.clone(), text.to_owned());
            }
        }
    }

    fn set(&mut self, mode: &str) {
        let options = if mode == MODES[0] { Options::default() } else { Options::default().ignoring_lateness() };
        Arc::get_mut(&mut self.pipelines).unwrap().options = harness::engine_options(&options);
    }

    async fn live(&self, records: usize, reversed: bool) -> Run {
        let cut = Cut { records, reversed };
        let run = harness::run(&self.pipelines, &self.records, Provenance::Record, cut).await;
        assert_eq!(run.counters.contradictions(), Vec::<String>::new(), "something vanished");
        run
    }

    /// What people read of a run: of each query the rows, and which events were late for it.
    fn texts(&self, run: &Run) -> Texts {
        let text = |plan: &ContinuousPlan| {
            let late = run.late[&plan.name].iter().map(|(shard, number, _)| format!("{shard}/{number}"));
            (plan.name.clone(), text_of(plan, &run.tables[&plan.name], late.collect()))
        };
        self.pipelines.plans.iter().map(text).collect()
    }

    /// Notes which queries' texts are not as written down in this mode.
    fn compare(&mut self, way: &str, mode: &str, texts: &Texts) {
        let expected = &self.expected[usize::from(mode != MODES[0])];
        for (name, got) in texts.iter().filter(|(name, got)| expected[*name] != **got) {
            let difference = text::difference(got, &expected[name]);
            self.problems.push(format!("{name}.sql, {way}, {mode}{difference}"));
        }
    }
}

fn text_of(plan: &ContinuousPlan, rows: &[Row], mut late: Vec<String>) -> String {
    late.sort();
    let late = if late.is_empty() { String::new() } else { format!("late: {}\n", late.join(" ")) };
    format!("{}{late}", text::table(plan.schema(), &plan.header.keys, rows))
}

fn without_late(text: &str) -> String {
    text.lines().filter(|line| !line.starts_with("late: ")).map(|line| format!("{line}\n")).collect()
}

/// Whether its job decides what comes of a query: all concurrency tables of a job share their verdicts on lateness.
fn is_alone(file: &PipelineFile) -> bool {
    file.sql.contains("CONCURRENCY(")
}

/// Runs every query by some way and tells of all that fail. Most are one job; if that panics, each is run by itself to find out which.
fn every_query(way: impl AsyncFn(&mut Job)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let problems = |files: Vec<PipelineFile>| {
        let checked = async {
            let mut job = Job::new(files).await;
            way(&mut job).await;
            job.problems
        };
        runtime.block_on(AssertUnwindSafe(checked).catch_unwind()).map_err(|panic| cause(panic.as_ref()))
    };
    let (alone, together): (Vec<_>, Vec<_>) = queries().into_iter().partition(is_alone);
    // A job without sessions computes windows otherwise, where no raw rows are written.
    let (sessions, windows) = together.into_iter().partition(|file| file.sql.contains("SESSION("));
    let mut jobs: Vec<Vec<PipelineFile>> = alone.into_iter().map(|file| vec![file]).collect();
    let mut found = Vec::new();
    for together in [windows, sessions] {
        match problems(Vec::clone(&together)) {
            Ok(problems) => found.extend(problems),
            Err(cause) => {
                found.push(cause);
                jobs.extend(together.into_iter().map(|file| vec![file]));
            }
        }
    }
    for job in jobs {
        let name = job[0].name.clone();
        found.extend(problems(job).unwrap_or_else(|cause| vec![format!("{name}.sql: {cause}")]));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

fn cause(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

#[test]
fn live_in_batches_of_1_and_7_and_1000() {
    every_query(async |job| {
        for mode in MODES {
            job.set(mode);
            for (records, reversed) in [(1, false), (7, true), (1_000, true), (1_000, false)] {
                let texts = job.texts(&job.live(records, reversed).await);
                job.compare(&format!("live in batches of {records}"), mode, &texts);
            }
        }
    });
}

#[test]
fn put_away_and_taken_up_again_after_every_read() {
    every_query(async |job| {
        for mode in MODES {
            job.set(mode);
            let cut = Cut { records: 6, reversed: false };
            let run = harness::run_with_stops(&job.pipelines, &job.records, Provenance::Record, cut).await;
            assert_eq!(run.counters.contradictions(), Vec::<String>::new(), "something vanished");
            job.compare("put away and taken up again", mode, &job.texts(&run));
        }
    });
}

#[test]
fn dealt_over_1_and_3_and_8_shards() {
    every_query(async |job| {
        job.set(MODES[0]);
        let judged = job.live(1_000, false).await.judged;
        for mode in MODES {
            job.set(mode);
            for shards in [1, 3, 8] {
                let run = harness::run_dealt(&job.pipelines, &judged, shards, 10).await;
                job.compare(&format!("dealt over {shards} shards"), mode, &job.texts(&run));
            }
        }
    });
}

/// Where a late row of a lake came from.
fn place(row: &Row) -> String {
    match (&row["shard_id"], &row["sequence_number"]) {
        (Val::Str(shard), Val::Str(number)) => format!("{shard}/{number}"),
        other => panic!("a late row at {other:?}"),
    }
}

#[test]
fn as_a_backfill() {
    every_query(async |job| {
        for mode in MODES {
            job.set(mode);
            let lake = TempLake::new();
            let inputs = [input::folder("input").to_str().unwrap().to_owned()];
            fixture::backfill(&job.pipelines, &inputs, &lake.lake, How::default()).await;
            let mut texts = Texts::new();
            for plan in &job.pipelines.plans {
                let late = lake.table(&format!("_late/{}", plan.name)).await.iter().map(place).collect();
                texts.insert(plan.name.clone(), text_of(plan, &lake.table(&plan.name).await, late));
            }
            job.compare("as a backfill", mode, &texts);
        }
    });
}

#[test]
fn as_a_backfill_of_windows_alone() {
    every_query(async |job| {
        // Late rows are raw ones.
        job.expected.iter_mut().flat_map(Texts::values_mut).for_each(|text| *text = without_late(text));
        let inputs = [input::folder("input").to_str().unwrap().to_owned()];
        for mode in MODES {
            job.set(mode);
            // All that waits is on disk, or none of it.
            for memory_bytes_max in [1, 64 << 20] {
                let (lake, how) = (TempLake::new(), How { raw: false, memory_bytes_max, ..How::default() });
                fixture::backfill(&job.pipelines, &inputs, &lake.lake, how).await;
                let mut texts = Texts::new();
                for plan in &job.pipelines.plans {
                    texts.insert(plan.name.clone(), text_of(plan, &lake.table(&plan.name).await, vec![]));
                }
                job.compare("as a backfill of windows alone", mode, &texts);
            }
        }
    });
}

#[test]
fn as_plain_datafusion_says() {
    let said = Cell::new(0);
    every_query(async |job| {
        // Which rows are late it does not say.
        job.expected.iter_mut().flat_map(Texts::values_mut).for_each(|text| *text = without_late(text));
        job.set(MODES[0]);
        let judged = job.live(1_000, false).await.judged;
        let kept = reference::judge(&job.records, reference::Provenance::Record).kept;
        for (mode, late) in [(MODES[0], Late::Judged), (MODES[1], Late::Never)] {
            let mut texts = Texts::new();
            for plan in &job.pipelines.plans {
                let file = job.files.iter().find(|file| file.name == plan.name).unwrap();
                let revised = late == Late::Judged && plan.header.allowed_lateness_secs > 0;
                let open = revised || plan.name.ends_with(TIES);
                let delay = file.header.watermark_delay_secs.unwrap_or(30);
                let Some(query) = plain::query(&file.sql, late, delay).filter(|_| !open) else { continue };
                let presence = query.presence(&kept, late);
                let tables = presence.into_iter().chain(job.lookups.clone()).collect();
                let rows = plain::rows(&query.sql, plan.schema(), &judged, tables).await;
                let Some(rows) = rows else { continue };
                said.set(said.get() + 1);
                texts.insert(plan.name.clone(), text_of(plan, &rows, vec![]));
            }
            job.compare("as plain DataFusion says", mode, &texts);
        }
    });
    let filtered = std::env::var_os("HEADCOUNT_SQL").is_some();
    assert!(filtered || said.get() >= QUERIES_MIN, "plain DataFusion was asked {} times only", said.get());
}

#[test]
fn every_text_has_its_query() {
    for entry in std::fs::read_dir(input::folder("queries")).unwrap() {
        let path = entry.unwrap().path();
        let other = path.with_extension(if path.extension().is_some_and(|e| e == "sql") { "txt" } else { "sql" });
        assert!(other.exists(), "{} is missing", other.display());
    }
}
