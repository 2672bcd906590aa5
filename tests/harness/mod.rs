//! Runs the engine in memory, without a lake or a stream, and gives its tables in the reference's plain form.
#![allow(dead_code, unreachable_pub, reason = "each test uses the part of the harness that it needs")]

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use headcount::decode::{DeadLetter, Provenance};
use headcount::engine::counters::Counters;
use headcount::engine::judge::{JudgeOptions, SkewLimits};
use headcount::engine::lookups::LoadedLookup;
use headcount::engine::{Combine, Emission, EngineOptions, Intake, Pipelines, ShardMessage, ShardStage};
use headcount::operator::concurrency::ConcurrencyOptions;
use headcount::operator::window::Lateness;
use headcount::pipeline::PipelineFile;
use headcount::schema::Contract;
use headcount::types::{ReadBatch, Record, ShardId};

use crate::reference::{self, RefRecord, Row, Val};

/// What a run of the engine gave.
#[derive(Debug, Default)]
pub struct Run {
    /// By table, sorted.
    pub tables: BTreeMap<String, Vec<Row>>,
    /// Late rows by pipeline: (shard, sequence number, sub-sequence number).
    pub late: BTreeMap<String, Vec<(String, String, i64)>>,
    /// The judged raw events.
    pub events: Vec<Row>,
    pub dead_letters: Vec<DeadLetter>,
    pub counters: Counters,
    /// In the order in which they came.
    pub emissions: Vec<Emission>,
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
            announced_timeout: 48 * 3_600 * SEC,
        },
        lateness,
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

/// Runs all records through the engine, cut as `cut` says.
pub async fn run(pipelines: &Arc<Pipelines>, records: &[RefRecord], provenance: Provenance, cut: Cut) -> Run {
    run_with(pipelines, records, provenance, cut, &mut |_| ()).await
}

/// As [`run`]; `before` is called before each step, which reads once from every shard.
pub async fn run_with(
    pipelines: &Arc<Pipelines>,
    records: &[RefRecord],
    provenance: Provenance,
    cut: Cut,
    before: &mut dyn FnMut(usize),
) -> Run {
    let mut shards: BTreeMap<String, Vec<Record>> = BTreeMap::new();
    for r in records {
        shards.entry(r.shard.clone()).or_default().push(Record {
            data: r.bytes.clone().into(),
            sequence_number: r.sequence.to_string().into(),
            arrival_time: r.arrival,
        });
    }
    let mut run = Run::default();
    for plan in &pipelines.plans {
        run.tables.insert(plan.name.clone(), vec![]);
        run.late.insert(plan.name.clone(), vec![]);
    }
    let mut combine = Combine::try_new(Arc::clone(pipelines)).unwrap();
    let mut tasks: Vec<_> = shards
        .into_iter()
        .map(|(name, records)| {
            let shard: ShardId = name.into();
            let contract = Arc::clone(&pipelines.contract);
            let intake = Intake::try_new(contract, provenance, pipelines.options.judge).unwrap();
            (shard, records, intake, ShardStage::try_new(Arc::clone(pipelines)).unwrap())
        })
        .collect();
    if cut.reversed {
        tasks.reverse();
    }
    tasks.iter().for_each(|t| combine.join(Arc::clone(&t.0)));
    let longest = tasks.iter().map(|t| t.1.len()).max().unwrap_or(0);
    for step in 0..longest.div_ceil(cut.records) {
        before(step);
        for (shard, records, intake, stage) in &mut tasks {
            let part: Vec<Record> = records.iter().skip(step * cut.records).take(cut.records).cloned().collect();
            if part.is_empty() {
                continue;
            }
            let read =
                ReadBatch { shard: Arc::clone(shard), records: part, millis_behind_latest: None, polled_at: None };
            let taken = intake.take(&read).unwrap();
            run.dead_letters.extend(taken.dead_letters);
            let events = taken.judged.into_kept().unwrap();
            run.events.extend(rows(&events));
            let processed = stage.process(&events).await.unwrap();
            note_late(pipelines, &processed.late, &mut run);
            let watermark = intake.high_time().map(|h| h - pipelines.options.watermark_delay);
            let watermark = watermark.filter(|_| pipelines.options.lateness == Lateness::Judge);
            let partials = watermark.map(|w| stage.close(w).unwrap()).unwrap_or_default();
            let message = ShardMessage { shard: Arc::clone(shard), seen: processed.seen, partials, watermark };
            emit(pipelines, combine.handle(message).await.unwrap(), &mut run);
        }
    }
    for (shard, _, intake, stage) in &mut tasks {
        let partials = stage.close(i64::MAX).unwrap();
        let message = ShardMessage { shard: Arc::clone(shard), seen: vec![], partials, watermark: None };
        emit(pipelines, combine.handle(message).await.unwrap(), &mut run);
        let (read, undecodable, judged) = intake.counts();
        run.counters.add_shard(read, undecodable, &judged);
        for (plan, counts) in pipelines.plans.iter().zip(stage.counts()) {
            run.counters.add_pipeline(&plan.name, counts);
        }
    }
    emit(pipelines, combine.finish().await.unwrap(), &mut run);
    for i in pipelines.concurrency_plans() {
        run.counters.ignore_touches(&pipelines.plans[i].name, combine.ignored_touches());
    }
    run.tables.values_mut().for_each(|rows| rows.sort());
    run.events.sort();
    run.late.values_mut().for_each(|rows| rows.sort());
    run
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
        other => panic!("no plain form of {other}"),
    }
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
