//! The second pass: buckets in time order become windows.

use std::sync::Arc;

use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;
use arrow::record_batch::RecordBatch;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;

use super::buffer::{TimeBuckets, merge_buckets};
use super::columns::WaitingColumns;
use super::options::{Range, Watch};
use super::partials::{Waiting, in_time_order};
use crate::engine::counters::PipelineCounts;
use crate::engine::tables::{RawRows, TableSummary, WindowTables};
use crate::engine::{Combine, Emission, Pipelines, Progress, ShardMessage, ShardStage};
use crate::error::{Error, Result};
use crate::limits::{COMBINE_QUEUE_MAX, SHARD_QUEUE_BATCHES_MAX};
use crate::operator::window::Windowing;
use crate::schema::WINDOW_START;
use crate::sink::lake::time_values;
use crate::types::{Micros, ShardId};

/// What a worker of the second pass is given.
enum Work {
    Rows(RecordBatch),
    /// The watermark: every row before it has been given, with its verdicts. No table waits for more.
    Until(Micros),
}

/// What the second pass gives.
pub(super) struct Windowed {
    /// By pipeline, touches that were ignored still counted as in windows.
    pub counts: Vec<PipelineCounts>,
    /// By pipeline.
    pub ignored_touches: Vec<u64>,
    pub tables: Vec<TableSummary>,
}

/// Computes all windows and writes those in `range`; raw rows go to `raw`.
pub(super) async fn compute(
    pipelines: &Arc<Pipelines>,
    waiting: (Vec<TimeBuckets>, &WaitingColumns),
    bucket: Micros,
    workers: usize,
    (tables, range): (WindowTables, Range),
    raw: Vec<Sender<RawRows>>,
    watch: &dyn Watch,
) -> Result<Windowed> {
    let (to_combine, messages) = channel(COMBINE_QUEUE_MAX);
    let mut combine = Combine::try_new(Arc::clone(pipelines))?.going_by(Progress::RowsGiven);
    let mut stages: JoinSet<Result<Vec<PipelineCounts>>> = JoinSet::new();
    let mut queues = Vec::new();
    let late = raw.first().cloned().ok_or_else(|| Error::internal("a backfill without a writer"))?;
    for i in 0..workers {
        let (queue, work) = channel(SHARD_QUEUE_BATCHES_MAX);
        queues.push(queue);
        let worker: ShardId = format!("worker {i}").into();
        combine.join(Arc::clone(&worker));
        let stage = ShardStage::try_new(Arc::clone(pipelines))?.going_by(Progress::RowsGiven);
        stages.spawn(run_stage(worker, stage, work, to_combine.clone(), (late.clone(), range, pipelines.clone())));
    }
    drop((to_combine, late));
    let combining = tokio::spawn(write_windows(Arc::clone(pipelines), combine, messages, tables, range));
    let fed = feed(pipelines, waiting, bucket, range, &queues, &raw, watch).await;
    drop((queues, raw));
    let mut counts = vec![PipelineCounts::default(); pipelines.plans.len()];
    let mut failed = None;
    while let Some(done) = stages.join_next().await {
        match done.map_err(broke_off).flatten() {
            Ok(of_worker) => counts.iter_mut().zip(of_worker).for_each(|(all, one)| *all += one),
            Err(e) => failed = failed.or(Some(e)),
        }
    }
    // Every task has ended before this is left: nothing may be staged behind the back of an abort. The errors of the others are
    // mostly the echo of this one, and the feeder's of theirs.
    let (ignored_touches, tables) = combining.await.map_err(broke_off).flatten()?;
    failed.map_or(fed, Err)?;
    Ok(Windowed { counts, ignored_touches, tables })
}

fn broke_off(e: tokio::task::JoinError) -> Error {
    Error::internal("a task of the backfill broke off").because(e)
}

async fn feed(
    pipelines: &Pipelines,
    (buffers, columns): (Vec<TimeBuckets>, &WaitingColumns),
    bucket: Micros,
    range: Range,
    queues: &[Sender<Work>],
    raw: &[Sender<RawRows>],
    watch: &dyn Watch,
) -> Result<()> {
    let ended = |_| Error::internal("a worker of the backfill ended before its work");
    let time = pipelines.contract.time_field();
    let mut rows_done = 0;
    let mut turn = queues.iter().cycle();
    let mut writer = raw.iter().cycle();
    for of_time in merge_buckets(buffers) {
        for (_, part) in of_time.parts {
            for batch in part {
                let batch = columns.widen(batch?)?;
                rows_done += batch.num_rows() as u64;
                if let (Some(rows), Some(writer)) = (within(&batch, time, range)?, writer.next()) {
                    let sent = writer.send(RawRows::Events(rows)).await;
                    sent.map_err(|_| Error::internal("the writer of raw rows ended"))?;
                }
                if let Some(queue) = turn.next() {
                    queue.send(Work::Rows(batch)).await.map_err(|e| ended(e.0))?;
                }
                watch.done(rows_done, rows_done);
            }
        }
        let given = of_time.start.saturating_add(bucket);
        for queue in queues {
            queue.send(Work::Until(given)).await.map_err(|e| ended(e.0))?;
        }
    }
    Ok(())
}

/// The rows of `batch` in the range; `None` if there are none.
fn within(batch: &RecordBatch, time: &str, range: Range) -> Result<Option<RecordBatch>> {
    if range == Range::default() {
        return Ok(Some(batch.clone()));
    }
    let times = time_values(batch, time, None)?;
    let inside: BooleanArray = times.iter().map(|t| Some(range.contains(*t))).collect();
    let rows = filter_record_batch(batch, &inside)?;
    Ok((rows.num_rows() > 0).then_some(rows))
}

/// Puts windows together whose parts wait, and writes those in `range`.
pub(super) async fn put_together(
    pipelines: &Arc<Pipelines>,
    waiting: Vec<Waiting>,
    bucket: Micros,
    (mut tables, range): (WindowTables, Range),
    watch: &dyn Watch,
) -> Result<Vec<TableSummary>> {
    let reader: ShardId = "readers".into();
    let mut combine = Combine::try_new(Arc::clone(pipelines))?.going_by(Progress::RowsGiven);
    combine.join(Arc::clone(&reader));
    let mut done = 0;
    for of_time in in_time_order(waiting) {
        let (start, partials) = of_time?;
        done += partials.windows.iter().map(|(_, _, partial)| partial.groups as u64).sum::<u64>();
        let watermark = Some(start.saturating_add(bucket));
        let message = ShardMessage { shard: Arc::clone(&reader), seen: vec![], partials, watermark };
        write(pipelines, &mut tables, combine.handle(message).await?, range).await?;
        watch.done(done, done);
    }
    write(pipelines, &mut tables, combine.finish().await?, range).await?;
    tables.close().await
}

async fn run_stage(
    worker: ShardId,
    mut stage: ShardStage,
    mut work: Receiver<Work>,
    to_combine: Sender<ShardMessage>,
    (raw, range, pipelines): (Sender<RawRows>, Range, Arc<Pipelines>),
) -> Result<Vec<PipelineCounts>> {
    let ended = |_| Error::internal("the place where windows meet ended before its workers");
    let time = pipelines.contract.time_field();
    let mut seen = Vec::new();
    while let Some(next) = work.recv().await {
        match next {
            Work::Rows(batch) => {
                let processed = stage.process(&batch).await?;
                seen.extend(processed.seen);
                for (pipeline, rows) in processed.late {
                    if let Some(rows) = within(&rows, time, range)? {
                        let sent = raw.send(RawRows::Late(pipeline, rows)).await;
                        sent.map_err(|_| Error::internal("the writer of late rows ended"))?;
                    }
                }
            }
            Work::Until(watermark) => {
                let partials = stage.close(watermark)?;
                let seen = std::mem::take(&mut seen);
                let message = ShardMessage { shard: Arc::clone(&worker), seen, partials, watermark: Some(watermark) };
                to_combine.send(message).await.map_err(|e| ended(e.0))?;
            }
        }
    }
    let message = ShardMessage { shard: worker, seen, partials: stage.close(Micros::MAX)?, watermark: None };
    to_combine.send(message).await.map_err(|e| ended(e.0))?;
    Ok(stage.counts())
}

async fn write_windows(
    pipelines: Arc<Pipelines>,
    mut combine: Combine,
    mut messages: Receiver<ShardMessage>,
    mut tables: WindowTables,
    range: Range,
) -> Result<(Vec<u64>, Vec<TableSummary>)> {
    while let Some(message) = messages.recv().await {
        let emissions = combine.handle(message).await?;
        write(&pipelines, &mut tables, emissions, range).await?;
    }
    let emissions = combine.finish().await?;
    write(&pipelines, &mut tables, emissions, range).await?;
    Ok((combine.ignored_touches(), tables.close().await?))
}

async fn write(pipelines: &Pipelines, tables: &mut WindowTables, emissions: Vec<Emission>, range: Range) -> Result<()> {
    for emission in emissions {
        let windowing = pipelines.plans.get(emission.pipeline).map_or(Windowing::tumbling(0), |p| p.windowing());
        if windowing.session {
            // Its windows begin when they like.
            if let Some(rows) = within(&emission.rows, WINDOW_START, range)? {
                tables.write(&Emission { rows, ..emission }).await?;
            }
        } else if range.contains(emission.window_end - windowing.size) {
            tables.write(&emission).await?;
        }
    }
    Ok(())
}
