//! Runs the engine in memory, without a lake or a stream, and gives its tables in the reference's plain form.
#![allow(dead_code, unreachable_pub, reason = "each test uses the part of the harness that it needs")]

pub mod heap;
pub mod longest;
pub mod reshard;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow::util::display::array_value_to_string;
use headcount::decode::{DeadLetter, Provenance};
use headcount::engine::counters::Counters;
use headcount::engine::judge::{JudgeOptions, SkewLimits};
use headcount::engine::lookups::LoadedLookup;
use headcount::engine::{
    Combine, Emission, EngineOptions, Intake, Pipelines, ShardMessage, ShardPartials, ShardStage, Taken,
};
use headcount::operator::concurrency::{ConcurrencyOptions, Seen};
use headcount::operator::window::{Lateness, rows_by_number};
use headcount::pipeline::PipelineFile;
use headcount::schema::Contract;
use headcount::types::{ReadBatch, Record, ShardId};
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::reference::{self, Place, RefRecord, Row, Val};

/// What a run of the engine gave.
#[derive(Debug, Default)]
pub struct Run {
    /// By table, sorted.
    pub tables: BTreeMap<String, Vec<Row>>,
    /// Late rows by pipeline: (shard, sequence number, sub-sequence number).
    pub late: BTreeMap<String, Vec<(String, String, i64)>>,
    /// The judged raw events, sorted.
    pub events: Vec<Row>,
    /// The same, as they were judged.
    pub judged: Vec<RecordBatch>,
    pub dead_letters: Vec<DeadLetter>,
    pub counters: Counters,
    /// In the order in which they came.
    pub emissions: Vec<Emission>,
}

impl Run {
    /// Nothing yet, of each of these pipelines.
    fn of(pipelines: &Pipelines) -> Self {
        let mut run = Self::default();
        for plan in &pipelines.plans {
            run.tables.insert(plan.name.clone(), vec![]);
            run.late.insert(plan.name.clone(), vec![]);
        }
        run
    }
}

/// How the input is cut and interleaved; none of it may matter.
#[derive(Debug, Clone, Copy)]
pub struct Cut {
    /// Records a read.
    pub records: usize,
    /// Whether the last shard is read first.
    pub reversed: bool,
}

/// The engine's options for the reference's.
pub fn engine_options(options: &reference::Options) -> EngineOptions {
    const SEC: i64 = 1_000_000;
    let (lateness, watermark_delay) = match options.lateness {
        reference::Lateness::Ignore => (Lateness::Ignore, 30 * SEC),
        reference::Lateness::Replay { delay, .. } => (Lateness::Judge, delay),
    };
    EngineOptions {
        judge: JudgeOptions {
            skew: SkewLimits { max_future_skew: 30 * SEC, sent_at_skew: 5 * SEC, max_event_age: 7 * 86_400 * SEC },
            idle_timeout: 30 * SEC,
            dedupe_horizon: 120 * SEC,
        },
        watermark_delay,
        concurrency: ConcurrencyOptions {
            session_timeout: options.session_timeout,
            closed_retention: options.closed_retention,
            stream_timeout: options.stream_timeout,
            announced_timeout: options.announced_timeout,
        },
        lateness,
        memory_bytes_max: usize::MAX,
    }
}

/// The shipped pipelines.
pub fn shipped() -> Vec<PipelineFile> {
    PipelineFile::shipped().into_iter().map(|f| f.unwrap()).collect()
}

/// Compiles `files` for `options`.
pub async fn pipelines(files: &[PipelineFile], options: &reference::Options) -> Arc<Pipelines> {
    let contract = Arc::new(Contract::shipped().unwrap());
    let compiled = Pipelines::compile(contract, files, engine_options(options)).await;
    Arc::new(compiled.unwrap_or_else(|e| panic!("{e:?}")))
}

/// Compiles `files`, which may join `lookups`.
pub async fn pipelines_with(
    files: &[PipelineFile],
    lookups: &[LoadedLookup],
    options: &reference::Options,
) -> Arc<Pipelines> {
    let contract = Arc::new(Contract::shipped().unwrap());
    let compiled = Pipelines::with_lookups(contract, files, lookups, engine_options(options)).await;
    Arc::new(compiled.unwrap_or_else(|e| panic!("{e:?}")))
}

/// Places as [`Run::late`] has them.
pub fn places<'p>(places: impl Iterator<Item = &'p Place>) -> Vec<(String, String, i64)> {
    let mut places: Vec<_> = places.map(|p| (p.shard.clone(), p.sequence.to_string(), p.sub_sequence as i64)).collect();
    places.sort();
    places
}

/// Lets proptest look for a case of `cases` in which `problems` finds some, and shrink it; panics with what is left.
///
/// `HEADCOUNT_PROPERTY_CASES=<number>` looks at more cases, `HEADCOUNT_PROPERTY_SEED=<seed>` at those of an earlier run, which said it.
pub fn hold<S: Strategy>(cases: u32, shrink_iters: u32, strategy: &S, problems: impl Fn(S::Value) -> Vec<String>) {
    let cases = number("HEADCOUNT_PROPERTY_CASES").map_or(cases, |n| u32::try_from(n).unwrap());
    let seed = number("HEADCOUNT_PROPERTY_SEED").unwrap_or_else(rand::random);
    println!("HEADCOUNT_PROPERTY_SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = Config { cases, failure_persistence: None, max_shrink_iters: shrink_iters, ..Config::default() };
    TestRunner::new_with_rng(config, rng)
        .run(strategy, |case| match problems(case).as_slice() {
            [] => Ok(()),
            found => Err(TestCaseError::fail(found.join("\n"))),
        })
        .unwrap_or_else(|e| panic!("HEADCOUNT_PROPERTY_SEED={seed}: {e}"));
}

/// The number that an environment variable is set to, if it is.
pub fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is no number")))
}

/// Runs all records through the engine, cut as `cut` says.
pub async fn run(pipelines: &Arc<Pipelines>, records: &[RefRecord], provenance: Provenance, cut: Cut) -> Run {
    drive(pipelines, records, provenance, cut, Hooks::default()).await
}

/// As [`run`]; `asking` is shown the place where shards meet after each of their news.
pub async fn run_asking(
    pipelines: &Arc<Pipelines>,
    records: &[RefRecord],
    provenance: Provenance,
    cut: Cut,
    asking: &mut dyn FnMut(&Combine),
) -> Run {
    drive(pipelines, records, provenance, cut, Hooks { asking: Some(asking), ..Hooks::default() }).await
}

/// As [`run`]; `before` is called before each step, which reads once from every shard.
pub async fn run_with(
    pipelines: &Arc<Pipelines>,
    records: &[RefRecord],
    provenance: Provenance,
    cut: Cut,
    before: &mut dyn FnMut(usize),
) -> Run {
    drive(pipelines, records, provenance, cut, Hooks { before: Some(before), ..Hooks::default() }).await
}

/// As [`run`]. After every round of reads the whole job is put away as bytes, and another one goes on from them.
pub async fn run_with_stops(
    pipelines: &Arc<Pipelines>,
    records: &[RefRecord],
    provenance: Provenance,
    cut: Cut,
) -> Run {
    drive(pipelines, records, provenance, cut, Hooks { stops: true, ..Hooks::default() }).await
}

/// What happens beside a run.
#[derive(Default)]
struct Hooks<'h> {
    /// Whether the job is put away and taken up again after each step.
    stops: bool,
    before: Option<&'h mut dyn FnMut(usize)>,
    asking: Option<&'h mut dyn FnMut(&Combine)>,
}

async fn drive(
    pipelines: &Arc<Pipelines>,
    records: &[RefRecord],
    provenance: Provenance,
    cut: Cut,
    mut hooks: Hooks<'_>,
) -> Run {
    let mut shards: BTreeMap<String, Vec<Record>> = BTreeMap::new();
    for r in records {
        shards.entry(r.shard.clone()).or_default().push(Record {
            data: r.bytes.clone().into(),
            sequence_number: r.sequence.to_string().into(),
            arrival_time: r.arrival,
        });
    }
    let mut run = Run::of(pipelines);
    let mut combine = Combine::try_new(Arc::clone(pipelines)).unwrap();
    let mut tasks: Vec<_> =
        shards.into_iter().map(|(name, records)| (Task::new(pipelines, provenance, name.into()), records)).collect();
    if cut.reversed {
        tasks.reverse();
    }
    tasks.iter().for_each(|(task, _)| combine.join(Arc::clone(&task.shard)));
    let longest = tasks.iter().map(|(_, records)| records.len()).max().unwrap_or(0);
    for step in 0..longest.div_ceil(cut.records) {
        if let Some(before) = &mut hooks.before {
            before(step);
        }
        for (task, records) in &mut tasks {
            let part: Vec<Record> = records.iter().skip(step * cut.records).take(cut.records).cloned().collect();
            if part.is_empty() {
                continue;
            }
            let shard = Arc::clone(&task.shard);
            let read = ReadBatch { shard, records: part, millis_behind_latest: None, polled_at: None };
            let taken = task.intake.take(&read).unwrap();
            let seen = task.process(pipelines, taken, &mut run).await;
            let watermark = task.watermark(pipelines);
            let partials = watermark.map(|w| task.stage.close(w).unwrap()).unwrap_or_default();
            let message = ShardMessage { shard: Arc::clone(&task.shard), seen, partials, watermark };
            emit(pipelines, combine.handle(message).await.unwrap(), &mut run);
            if let Some(asking) = &mut hooks.asking {
                asking(&combine);
            }
        }
        if hooks.stops {
            for (task, _) in &mut tasks {
                task.count(pipelines, &mut run);
                let state = through_bytes(&(task.intake.state(), task.stage.suspend().unwrap()));
                *task = Task::new(pipelines, provenance, Arc::clone(&task.shard));
                task.intake.restore(state.0);
                task.stage = ShardStage::resume(Arc::clone(pipelines), state.1).unwrap();
            }
            combine = Combine::resume(Arc::clone(pipelines), through_bytes(&combine.suspend().unwrap())).unwrap();
        }
    }
    end(pipelines, tasks.into_iter().map(|(task, _)| task).collect(), combine, run).await
}

/// Runs events that were judged before, as rows of a lake are: dealt in turn over so many shards, in batches of `batch` rows. They
/// are in no shard's order then, so that no window closes before all are read.
pub async fn run_dealt(pipelines: &Arc<Pipelines>, judged: &[RecordBatch], shards: u32, batch: usize) -> Run {
    let mut run = Run::of(pipelines);
    let mut combine = Combine::try_new(Arc::clone(pipelines)).unwrap();
    let all = concat_batches(&pipelines.contract.events_schema(), judged).unwrap();
    let rows: Vec<u32> = (0..u32::try_from(all.num_rows()).unwrap()).collect();
    let mut tasks = Vec::new();
    for shard in 0..shards {
        let mut task = Task::new(pipelines, Provenance::Row, format!("dealt-{shard}").into());
        combine.join(Arc::clone(&task.shard));
        let dealt: Vec<u32> = rows.iter().copied().filter(|row| row % shards == shard).collect();
        for part in dealt.chunks(batch) {
            let taken = task.intake.take_rows(&rows_by_number(&all, part).unwrap()).unwrap();
            let seen = task.process(pipelines, taken, &mut run).await;
            let (shard, partials) = (Arc::clone(&task.shard), ShardPartials::default());
            let message = ShardMessage { shard, seen, partials, watermark: None };
            emit(pipelines, combine.handle(message).await.unwrap(), &mut run);
        }
        tasks.push(task);
    }
    end(pipelines, tasks, combine, run).await
}

/// The end of all input: what is open is handed over, and what comes of it emitted.
async fn end(pipelines: &Arc<Pipelines>, tasks: Vec<Task>, mut combine: Combine, mut run: Run) -> Run {
    for mut task in tasks {
        let partials = task.stage.close(i64::MAX).unwrap();
        let message = ShardMessage { shard: Arc::clone(&task.shard), seen: vec![], partials, watermark: None };
        emit(pipelines, combine.handle(message).await.unwrap(), &mut run);
        task.count(pipelines, &mut run);
    }
    emit(pipelines, combine.finish().await.unwrap(), &mut run);
    for (plan, ignored) in pipelines.plans.iter().zip(combine.ignored_touches()) {
        run.counters.ignore_touches(&plan.name, ignored);
    }
    run.tables.values_mut().for_each(|rows| rows.sort());
    run.events.sort();
    run.late.values_mut().for_each(|rows| rows.sort());
    run
}

/// A shard's part of a job.
struct Task {
    shard: ShardId,
    intake: Intake,
    stage: ShardStage,
}

impl Task {
    fn new(pipelines: &Arc<Pipelines>, provenance: Provenance, shard: ShardId) -> Self {
        let contract = Arc::clone(&pipelines.contract);
        let intake = Intake::try_new(contract, provenance, pipelines.options.judge).unwrap();
        Self { shard, intake, stage: ShardStage::try_new(Arc::clone(pipelines)).unwrap() }
    }

    async fn process(&mut self, pipelines: &Pipelines, taken: Taken, run: &mut Run) -> Vec<Seen> {
        run.dead_letters.extend(taken.dead_letters);
        let events = taken.judged.into_kept().unwrap();
        run.events.extend(rows(&events));
        let processed = self.stage.process(&events).await.unwrap();
        run.judged.push(events);
        note_late(pipelines, &processed.late, run);
        processed.seen
    }

    fn count(&self, pipelines: &Pipelines, run: &mut Run) {
        let (read, undecodable, judged) = self.intake.counts();
        run.counters.add_shard(read, undecodable, &judged);
        for (plan, counts) in pipelines.plans.iter().zip(self.stage.counts()) {
            run.counters.add_pipeline(&plan.name, counts);
        }
    }
}

/// What is left of a state that was written and read again.
fn through_bytes<T: Serialize + DeserializeOwned>(state: &T) -> T {
    postcard::from_bytes(&postcard::to_stdvec(state).unwrap()).unwrap()
}

fn emit(pipelines: &Pipelines, emissions: Vec<Emission>, run: &mut Run) {
    for e in emissions {
        let name = &pipelines.plans[e.pipeline].name;
        run.tables.entry(name.clone()).or_default().extend(rows(&e.rows));
        run.emissions.push(e);
    }
}

fn note_late(pipelines: &Pipelines, late: &[(usize, RecordBatch)], run: &mut Run) {
    for (pipeline, batch) in late {
        let to = run.late.entry(pipelines.plans[*pipeline].name.clone()).or_default();
        for row in rows(batch) {
            let text = |name: &str| match &row[name] {
                Val::Str(s) => s.clone(),
                other => panic!("{name} is {other:?}"),
            };
            let Val::Int(sub) = row["sub_sequence_number"] else { panic!("no sub-sequence number") };
            to.push((text("shard_id"), text("sequence_number"), sub));
        }
    }
}

/// Arrow rows in the reference's form.
pub fn rows(batch: &RecordBatch) -> Vec<Row> {
    let schema = batch.schema();
    (0..batch.num_rows())
        .map(|i| {
            schema.fields().iter().zip(batch.columns()).map(|(f, c)| (f.name().clone(), cell(c.as_ref(), i))).collect()
        })
        .collect()
}

fn cell(column: &dyn Array, i: usize) -> Val {
    if column.is_null(i) {
        return Val::Null;
    }
    match column.data_type() {
        DataType::Utf8 => Val::Str(column.as_string::<i32>().value(i).to_owned()),
        DataType::Int64 => Val::Int(column.as_primitive::<Int64Type>().value(i)),
        DataType::Int32 => Val::Int(i64::from(column.as_primitive::<Int32Type>().value(i))),
        DataType::Float64 => Val::Float(column.as_primitive::<Float64Type>().value(i)),
        DataType::Boolean => Val::Bool(column.as_boolean().value(i)),
        DataType::Timestamp(_, _) => Val::Int(column.as_primitive::<TimestampMicrosecondType>().value(i)),
        // Lists, dates, decimals: as text.
        _ => Val::Str(array_value_to_string(column, i).unwrap()),
    }
}

/// What is wrong with a run of one table called `table`, in words: what vanished, and what differs from these rows and late rows.
pub fn problems(what: &str, run: &Run, rows: &[Row], late: &[(String, String, i64)]) -> Vec<String> {
    let mut problems = run.counters.contradictions();
    problems.extend(difference(what, &run.tables["table"], rows));
    if run.late["table"] != late {
        problems.push(format!("{what}: late {:?}, the reference {late:?}", run.late["table"]));
    }
    problems
}

/// The first difference between two lists of sorted rows, in words.
pub fn difference(what: &str, ours: &[Row], theirs: &[Row]) -> Option<String> {
    if ours == theirs {
        return None;
    }
    let only = |a: &[Row], b: &[Row]| a.iter().filter(|r| !b.contains(r)).take(3).cloned().collect::<Vec<_>>();
    Some(format!(
        "{what}: {} rows, the reference has {}\n  only ours: {:#?}\n  only the reference: {:#?}",
        ours.len(),
        theirs.len(),
        only(ours, theirs),
        only(theirs, ours)
    ))
}
