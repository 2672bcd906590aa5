//! A whole backfill.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::buffer::TimeBuckets;
use super::columns::WaitingColumns;
use super::options::{BackfillOptions, BackfillSummary, Range, Stage, Watch, hours_of_windows};
use super::partials::{PartialWindows, Waiting};
use super::read::{Reading, RowsTo, Span, WorkerRead};
use super::windows::{Windowed, compute, put_together};
use crate::clock::Clock;
use crate::dead_letters::NewLetters;
use crate::engine::Pipelines;
use crate::engine::counters::{Counters, PipelineCounts};
use crate::engine::tables::{RawRows, RawTables, TableSummary, Target, WindowTables, open_tables};
use crate::error::{Error, Result};
use crate::limits::{BACKFILL_BUCKET_SECS, BACKFILL_RAW_WRITERS_MAX, LAKE_QUEUE_BATCHES_MAX};
use crate::sink::lake::{DEAD_LETTERS, Lake, Replacement};
use crate::source::file::{FileKind, FileShard, Progress};
use crate::types::{MICROS_PER_SEC, Micros, format_micros};

/// How often the watcher is told while files are read.
const WATCH_EVERY: Duration = Duration::from_millis(200);

/// Computes every table from `shards` and puts the hours in the place of the lake's, in one step.
///
/// # Errors
/// User, if an input is not what it seems; external, if a file or the lake fails, or if it is stopped before the exchange began:
/// the lake is unchanged then. An exchange that has begun is not stopped.
pub async fn run(
    pipelines: Arc<Pipelines>,
    shards: Vec<FileShard>,
    lake: &Lake,
    options: BackfillOptions,
    clock: Arc<dyn Clock>,
    watch: &dyn Watch,
    stop: CancellationToken,
) -> Result<BackfillSummary> {
    let mut replacement = Replacement::begin(lake, &options.prefix).await?;
    let staging = async {
        let Staged { summary, tables, letters } =
            staged(&pipelines, shards, &replacement, &options, &clock, watch).await?;
        let hours = hours_by_table(&pipelines, &tables, &options, &summary.hours)?;
        if options.range != Range::default() && !summary.hours.iter().any(|hour| options.range.contains(*hour)) {
            // Not what anybody asks for: hours would be replaced by nothing.
            let span = summary.events.map_or_else(
                || "the input holds no events at all".to_owned(),
                |(first, last)| format!("its events are from {} to {}", format_micros(first), format_micros(last)),
            );
            return Err(Error::user(format!("no event of the input lies within --from and --to: {span}"))
                .hint("give a range that holds some of them, or none; the lake is unchanged"));
        }
        let files = (options.prefix.as_str(), options.tables.roll);
        // Letters that nobody writes take no others' place.
        let old_letters =
            if options.raw { Some(letters.stage_rest(lake, &replacement, files, &clock, &stop).await?) } else { None };
        Ok((summary, tables, hours, old_letters))
    };
    let staged = tokio::select! {
        staged = staging => staged,
        () = stop.cancelled() => Err(Error::external("interrupted: the lake is unchanged")),
    };
    match staged {
        Ok((mut summary, tables, hours, old_letters)) => {
            if let Some(old_letters) = old_letters {
                replacement.add_to(DEAD_LETTERS);
                old_letters.into_iter().for_each(|file| replacement.take_away(file));
            }
            for (table, hours) in hours {
                replacement.replace_hours(&table, hours);
            }
            summary.replaced = replacement.commit().await?;
            summary.tables = tables;
            Ok(summary)
        }
        Err(e) => {
            if let Err(also) = replacement.abort().await {
                tracing::warn!(error = %also, "the staging folder could not be removed");
            }
            Err(e)
        }
    }
}

/// What is staged, without what stays of the lake's dead letters.
struct Staged {
    summary: BackfillSummary,
    tables: Vec<TableSummary>,
    letters: NewLetters,
}

async fn staged(
    pipelines: &Arc<Pipelines>,
    shards: Vec<FileShard>,
    replacement: &Replacement,
    options: &BackfillOptions,
    clock: &Arc<dyn Clock>,
    watch: &dyn Watch,
) -> Result<Staged> {
    let (raw_tables, window_tables) =
        open_tables(pipelines, Target::Staging(replacement), options.tables, &options.prefix, clock);
    // Encoding raw rows is half of the second pass, and one file is encoded by one thread.
    let more = (1..options.workers.clamp(1, BACKFILL_RAW_WRITERS_MAX)).map(|i| {
        let prefix = format!("{}-{i}", options.prefix);
        open_tables(pipelines, Target::Staging(replacement), options.tables, &prefix, clock).0
    });
    let mut writers: JoinSet<Result<Vec<TableSummary>>> = JoinSet::new();
    let mut raw = Vec::new();
    for tables in std::iter::once(raw_tables).chain(more) {
        let (to, rows) = channel(LAKE_QUEUE_BATCHES_MAX);
        if options.raw {
            writers.spawn(write_raw(tables, rows));
        } else {
            writers.spawn(drop_raw(rows));
        }
        raw.push(to);
    }
    let dead_letters = raw.first().cloned().ok_or_else(|| Error::internal("a backfill without a writer"))?;
    watch.begin(Stage::Read, shards.iter().map(FileShard::bytes).sum());
    let lines = shards.iter().filter(|s| s.files.iter().any(|f| f.kind == FileKind::Json));
    let reading = Arc::new(Reading {
        of_lines: Arc::new(lines.map(|s| s.name.clone()).collect()),
        pipelines: Arc::clone(pipelines),
        schema: pipelines.contract.events_schema(),
        columns: Arc::new(WaitingColumns::of(pipelines, options.raw)?),
        range: options.range,
        shards: Mutex::new(shards.into()),
        progress: Progress::default(),
        events: AtomicU64::new(0),
        dead_letters,
        now: clock.now(),
    });
    let done = read_and_compute(pipelines, reading, options, (window_tables, raw), watch).await;
    // The writers have ended before this is left, whatever failed: nothing may be staged behind the back of an abort.
    let mut tables: Vec<TableSummary> = Vec::new();
    let mut failed = None;
    while let Some(written) = writers.join_next().await {
        match written.map_err(|e| Error::internal("a writer of raw rows broke off").because(e)).flatten() {
            Ok(written) => add_up(&mut tables, written),
            Err(e) => failed = failed.or(Some(e)),
        }
    }
    // Their error comes first: that of the others is mostly the echo.
    if let Some(e) = failed {
        return Err(e);
    }
    let mut done = done?;
    tables.append(&mut done.tables);
    Ok(Staged { tables, ..done })
}

/// Both passes; the summary, and what the pipelines' tables got.
async fn read_and_compute(
    pipelines: &Arc<Pipelines>,
    reading: Arc<Reading>,
    options: &BackfillOptions,
    (window_tables, raw): (WindowTables, Vec<Sender<RawRows>>),
    watch: &dyn Watch,
) -> Result<Staged> {
    let bucket = BACKFILL_BUCKET_SECS * MICROS_PER_SEC;
    let AllRead { buffers, windows, counts, mut counters, span, letters } =
        read_all(&reading, options, bucket, watch).await?;
    let columns = Arc::clone(&reading.columns);
    drop(reading);
    let to = (window_tables, options.range);
    let spilled = buffers.iter().map(TimeBuckets::spilled_bytes).chain(windows.iter().map(Waiting::spilled_bytes));
    let spilled_bytes = spilled.sum();
    let computed = if goes_into_windows(pipelines, options) {
        drop(raw);
        watch.begin(Stage::Write, windows.iter().map(Waiting::groups).sum());
        let tables = put_together(pipelines, windows, bucket, to, watch).await?;
        Windowed { counts, ignored_touches: vec![], tables }
    } else {
        watch.begin(Stage::Write, buffers.iter().map(TimeBuckets::rows).sum());
        compute(pipelines, (buffers, &columns), bucket, options.workers, to, raw, watch).await?
    };
    for (plan, counts) in pipelines.plans.iter().zip(computed.counts) {
        counters.add_pipeline(&plan.name, counts);
    }
    for (plan, ignored) in pipelines.plans.iter().zip(computed.ignored_touches) {
        counters.ignore_touches(&plan.name, ignored);
    }
    let Span { events, hours } = span;
    let summary =
        BackfillSummary { counters, events, hours, tables: vec![], replaced: Default::default(), spilled_bytes };
    Ok(Staged { summary, tables: computed.tables, letters })
}

/// Whether rows go into windows as they are read.
fn goes_into_windows(pipelines: &Pipelines, options: &BackfillOptions) -> bool {
    !options.raw && PartialWindows::suit(pipelines)
}

/// What the first pass leaves: rows, or windows in part and what became of their rows.
struct AllRead {
    buffers: Vec<TimeBuckets>,
    windows: Vec<Waiting>,
    counts: Vec<PipelineCounts>,
    counters: Counters,
    span: Span,
    letters: NewLetters,
}

async fn read_all(
    reading: &Arc<Reading>,
    options: &BackfillOptions,
    bucket: Micros,
    watch: &dyn Watch,
) -> Result<AllRead> {
    let mut workers: JoinSet<Result<WorkerRead>> = JoinSet::new();
    let pipelines = &reading.pipelines;
    let share = options.memory_bytes_max / options.workers.max(1);
    for _ in 0..options.workers.max(1) {
        let rows_to = if goes_into_windows(pipelines, options) {
            let windows = PartialWindows::try_new(pipelines, bucket, share, options.spill_dir.as_ref())?;
            RowsTo::Windows(Box::new(windows))
        } else {
            RowsTo::Buckets(TimeBuckets::new(bucket, share, options.spill_dir.clone()))
        };
        workers.spawn(Arc::clone(reading).work(rows_to));
    }
    let mut all = AllRead {
        buffers: vec![],
        windows: vec![],
        counts: vec![PipelineCounts::default(); pipelines.plans.len()],
        counters: Counters::default(),
        span: Span::default(),
        letters: NewLetters::of(Arc::clone(&reading.of_lines)),
    };
    let mut tick = tokio::time::interval(WATCH_EVERY);
    loop {
        tokio::select! {
            _ = tick.tick() => watch.done(reading.progress.bytes(), reading.events.load(Ordering::Relaxed)),
            done = workers.join_next() => {
                let Some(done) = done else { break };
                all.add(done.map_err(|e| Error::internal("a reader broke off").because(e))??);
            }
        }
    }
    watch.done(reading.progress.bytes(), reading.events.load(Ordering::Relaxed));
    Ok(all)
}

impl AllRead {
    fn add(&mut self, worker: WorkerRead) {
        self.counters.add(&worker.counters);
        self.span.add(worker.span);
        self.letters.join(worker.letters);
        match worker.rows {
            RowsTo::Buckets(buckets) => self.buffers.push(buckets),
            RowsTo::Windows(windows) => {
                let (waiting, counts) = windows.into_waiting();
                self.windows.extend(waiting);
                self.counts.iter_mut().zip(counts).for_each(|(all, one)| *all += one);
            }
        }
    }
}

/// The hours of each table that are replaced, given the hours with events. A window that began in an hour without any may hold
/// events: its row of the last time must go, also if there is none this time. Dead letters have hours of their own.
fn hours_by_table(
    pipelines: &Pipelines,
    tables: &[TableSummary],
    options: &BackfillOptions,
    events: &BTreeSet<Micros>,
) -> Result<Vec<(String, Vec<Micros>)>> {
    let mut hours = Vec::new();
    for (table, _) in tables.iter().filter(|(name, _)| name != DEAD_LETTERS) {
        let of_table = match pipelines.plans.iter().find(|plan| plan.name == *table) {
            Some(plan) => {
                options.range.hours(&hours_of_windows(events, plan.windowing(), plan.reach_of(plan.rest())))?
            }
            None => options.range.hours(events)?,
        };
        hours.push((table.clone(), of_table));
    }
    Ok(hours)
}

/// Adds what one more writer wrote; all write the same tables.
fn add_up(all: &mut Vec<TableSummary>, written: Vec<TableSummary>) {
    for (name, summary) in written {
        match all.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => known.add(summary),
            None => all.push((name, summary)),
        }
    }
}

async fn drop_raw(mut rows: Receiver<RawRows>) -> Result<Vec<TableSummary>> {
    while rows.recv().await.is_some() {}
    Ok(vec![])
}

async fn write_raw(mut tables: RawTables, mut rows: Receiver<RawRows>) -> Result<Vec<TableSummary>> {
    while let Some(rows) = rows.recv().await {
        tables.write(rows).await?;
    }
    tables.close().await
}
