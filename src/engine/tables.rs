//! The tables of a job: raw events, dead letters, late rows, windows; and what of the windows is published besides.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use futures::future::try_join_all;

use super::board::{Board, TableStatus};
use super::combine::Emission;
use super::pipelines::Pipelines;
use crate::clock::Clock;
use crate::decode::DeadLetter;
use crate::error::{Error, Result};
use crate::pipeline::ContinuousPlan;
use crate::schema::{Contract, WINDOW_START};
use crate::sink::cloudwatch::{CloudWatch, CloudWatchCounters, PublishedTable};
use crate::sink::lake::{
    DEAD_LETTERS, GatherWriter, Lake, Move, Replacement, RollPolicy, TableSpec, TableWriter, Uncommitted, WriteSummary,
    late_table,
};
use crate::types::arrow_bytes::StoredBatch;
use crate::types::{Micros, format_micros};

/// Where a job's tables go.
#[derive(Clone, Copy)]
pub enum Target<'a> {
    /// Straight into the lake.
    Lake(&'a Lake),
    /// Into the staging of a replacement.
    Staging(&'a Replacement),
    /// Among the files of a run that wait to be committed.
    Uncommitted(&'a Uncommitted),
}

/// When files are closed.
#[derive(Debug, Clone, Copy)]
pub struct TableOptions {
    /// Raw events, dead letters and late rows: by size or age.
    pub roll: RollPolicy,
    /// Windows: this much event time a file.
    pub gather: Micros,
}

/// Rows that go to the lake as they are read.
#[derive(Debug)]
pub enum RawRows {
    /// Judged events.
    Events(RecordBatch),
    /// What could not be used.
    DeadLetters {
        /// The letters.
        letters: Vec<DeadLetter>,
        /// Where those stand that came without an arrival time; by the clock, if nothing is better.
        undated: Option<Micros>,
    },
    /// Late rows of a pipeline.
    Late(usize, RecordBatch),
}

/// Writers of everything that is written as it is read.
pub struct RawTables {
    events: TableWriter,
    dead_letters: TableWriter,
    late: Vec<TableWriter>,
    names: Vec<String>,
}

/// Writers of the pipelines' tables.
pub struct WindowTables {
    writers: Vec<GatherWriter>,
    names: Vec<String>,
    cloudwatch: Option<CloudWatch>,
}

/// Rows, files and bytes of one table.
pub type TableSummary = (String, WriteSummary);

impl Target<'_> {
    fn table(self, spec: TableSpec, roll: RollPolicy, clock: &Arc<dyn Clock>) -> TableWriter {
        match self {
            Target::Lake(lake) => TableWriter::new(lake.clone(), spec, roll, Arc::clone(clock)),
            Target::Staging(replacement) => replacement.table_writer(spec, roll, Arc::clone(clock)),
            Target::Uncommitted(run) => run.table_writer(spec, roll, Arc::clone(clock)),
        }
    }

    fn windows(self, spec: TableSpec, gather: Micros, clock: &Arc<dyn Clock>) -> GatherWriter {
        match self {
            Target::Lake(lake) => GatherWriter::new(lake.clone(), spec, gather, Arc::clone(clock)),
            Target::Staging(replacement) => replacement.gather_writer(spec, gather, Arc::clone(clock)),
            Target::Uncommitted(run) => run.gather_writer(spec, gather, Arc::clone(clock)),
        }
    }
}

/// The start of the names of all files of a run: its time, so that names sort, and its process, so that two runs differ.
pub fn file_prefix(clock: &dyn Clock) -> String {
    let time: String = format_micros(clock.now()).chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    format!("{time}-{:x}", std::process::id())
}

/// The table of the raw events of a contract.
pub fn raw_spec(contract: &Contract, prefix: &str) -> TableSpec {
    TableSpec::new(contract.stream_name(), contract.time_field(), prefix)
}

/// Whose a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableOf {
    /// The event contract's: raw events and late rows.
    Contract,
    /// A pipeline's, which has its name.
    Pipeline,
    /// Headcount's own.
    Product,
}

/// A table, whose it is, and the columns of its files.
pub type TableColumns = (String, TableOf, SchemaRef);

/// The tables that are there without any pipeline: raw events and dead letters.
pub fn raw_schemas(contract: &Contract) -> Vec<TableColumns> {
    vec![
        (contract.stream_name().to_owned(), TableOf::Contract, contract.events_schema()),
        (DEAD_LETTERS.to_owned(), TableOf::Product, DeadLetter::schema()),
    ]
}

/// Every table that a job of `pipelines` writes.
pub fn table_schemas(pipelines: &Pipelines) -> Vec<TableColumns> {
    let events = pipelines.contract.events_schema();
    let mut tables = raw_schemas(&pipelines.contract);
    for plan in &pipelines.plans {
        tables.push((plan.name.clone(), TableOf::Pipeline, plan.schema().clone()));
        tables.push((late_table(&plan.name), TableOf::Contract, events.clone()));
    }
    tables
}

/// Opens the writers of all tables of `pipelines`.
pub fn open_tables(
    pipelines: &Pipelines,
    target: Target<'_>,
    options: TableOptions,
    prefix: &str,
    clock: &Arc<dyn Clock>,
) -> (RawTables, WindowTables) {
    let contract = &pipelines.contract;
    let mut names = vec![contract.stream_name().to_owned(), DEAD_LETTERS.to_owned()];
    names.extend(pipelines.plans.iter().map(|p| late_table(&p.name)));
    let raw_tables = RawTables {
        events: target.table(raw_spec(contract, prefix), options.roll, clock),
        dead_letters: target.table(TableSpec::dead_letters(prefix), options.roll, clock),
        late: pipelines
            .plans
            .iter()
            .map(|p| {
                let spec =
                    TableSpec { time_column: contract.time_field().to_owned(), ..TableSpec::late(&p.name, prefix) };
                target.table(spec, options.roll, clock)
            })
            .collect(),
        names,
    };
    let windows = |plan: &ContinuousPlan| {
        let sort = std::iter::once(WINDOW_START.to_owned()).chain(plan.header.keys.iter().cloned()).collect();
        let overlap = plan.windowing().size - plan.windowing().slide;
        let by_end = plan.windowing().session;
        let spec = TableSpec { overlap, by_end, ..TableSpec::windows(&plan.name, prefix, sort) };
        target.windows(spec, options.gather, clock)
    };
    let window_tables = WindowTables {
        writers: pipelines.plans.iter().map(windows).collect(),
        names: pipelines.plans.iter().map(|p| p.name.clone()).collect(),
        cloudwatch: None,
    };
    (raw_tables, window_tables)
}

impl RawTables {
    /// Writes rows to their table.
    pub async fn write(&mut self, rows: RawRows) -> Result<()> {
        match rows {
            RawRows::Events(batch) => self.events.write(&batch).await,
            RawRows::DeadLetters { letters, undated } => {
                for batch in DeadLetter::to_batches(&letters) {
                    self.dead_letters.write_undated(&batch?, undated).await?;
                }
                Ok(())
            }
            RawRows::Late(pipeline, batch) => match self.late.get_mut(pipeline) {
                Some(writer) => writer.write(&batch).await,
                None => Err(Error::internal("late rows of no pipeline")),
            },
        }
    }

    /// Closes files that are old enough.
    pub async fn roll_due(&mut self, now: Micros) -> Result<()> {
        for writer in self.writers() {
            writer.roll_due(now).await?;
        }
        Ok(())
    }

    /// Closes every file; what each table got.
    pub async fn close(&mut self) -> Result<Vec<TableSummary>> {
        // A bucket takes a while over each: beside each other, shards stand still for the longest only.
        let names = self.names.clone();
        let written = try_join_all(self.writers().map(TableWriter::close)).await?;
        Ok(names.into_iter().zip(written).collect())
    }

    /// The files that were finished since this was last asked, if they wait to be committed.
    pub(super) fn take_finished(&self) -> Vec<Move> {
        [&self.events, &self.dead_letters].into_iter().chain(&self.late).flat_map(TableWriter::take_finished).collect()
    }

    /// Posts how far each table is.
    pub fn post(&self, board: &Board) {
        let writers = [&self.events, &self.dead_letters].into_iter().chain(&self.late);
        let status = |w: &TableWriter| TableStatus { written: w.summary(), last_file: w.last_file().cloned() };
        writers.zip(&self.names).for_each(|(w, name)| board.table(name, status(w)));
    }

    fn writers(&mut self) -> impl Iterator<Item = &mut TableWriter> {
        [&mut self.events, &mut self.dead_letters].into_iter().chain(&mut self.late)
    }
}

/// What of each table's rows is published as metrics, in the order of the pipelines.
pub fn published_tables(pipelines: &Pipelines) -> Vec<PublishedTable> {
    let published = |p: &ContinuousPlan| PublishedTable { metrics: p.metrics.clone(), window: p.windowing().size };
    pipelines.plans.iter().map(published).collect()
}

impl WindowTables {
    /// Has the rows of windows published too. For live jobs only: CloudWatch cannot replace what it has, as a backfill would.
    pub fn publish_to(&mut self, cloudwatch: CloudWatch) {
        self.cloudwatch = Some(cloudwatch);
    }

    /// The counts of what is published, if anything is.
    pub fn published(&self) -> Option<Arc<CloudWatchCounters>> {
        self.cloudwatch.as_ref().map(CloudWatch::counters)
    }

    /// Writes the rows of a complete window.
    pub async fn write(&mut self, emission: &Emission) -> Result<()> {
        match self.writers.get_mut(emission.pipeline) {
            Some(writer) => writer.write(&emission.rows).await?,
            None => return Err(Error::internal("rows of no pipeline")),
        }
        // What CloudWatch was told once it cannot be told better.
        if let (Some(cloudwatch), 0) = (&mut self.cloudwatch, emission.revision) {
            cloudwatch.offer(emission.pipeline, emission.window_end, &emission.rows);
        }
        Ok(())
    }

    /// Rows of complete windows that wait for their file, by table.
    pub(super) fn gathered(&self) -> BTreeMap<String, Vec<StoredBatch>> {
        let of_writer = |w: &GatherWriter| w.gathered().cloned().map(StoredBatch).collect::<Vec<_>>();
        let tables = self.names.iter().cloned().zip(self.writers.iter().map(of_writer));
        tables.filter(|(_, rows)| !rows.is_empty()).collect()
    }

    /// The files that were finished since this was last asked, if they wait to be committed.
    pub(super) fn take_finished(&self) -> Vec<Move> {
        self.writers.iter().flat_map(GatherWriter::take_finished).collect()
    }

    /// Takes rows over that waited for their file when an earlier run was cut short. They were published then.
    pub(super) async fn take_over(&mut self, table: &str, rows: Vec<StoredBatch>) -> Result<()> {
        let writer = self.names.iter().position(|name| name == table).and_then(|i| self.writers.get_mut(i));
        let Some(writer) = writer else {
            let rows = rows.iter().map(|StoredBatch(rows)| rows.num_rows()).sum::<usize>();
            tracing::warn!(table, rows, "the pipeline is gone: rows that waited for their file are given up with it");
            return Ok(());
        };
        for StoredBatch(rows) in rows {
            writer.write(&rows).await?;
        }
        // With those that come they would not fit if the query has changed since.
        writer.close().await.map(drop)
    }

    /// Closes files that no later window can join, given the watermark of each pipeline's table.
    pub async fn advance(&mut self, watermark: impl Fn(usize) -> Micros) -> Result<()> {
        for (pipeline, writer) in self.writers.iter_mut().enumerate() {
            writer.advance(watermark(pipeline)).await?;
        }
        Ok(())
    }

    /// Closes every file; what each table got.
    pub async fn close(&mut self) -> Result<Vec<TableSummary>> {
        // Beside the files, whose time is the drain's too.
        let publishing = self.cloudwatch.take().map(|cloudwatch| tokio::spawn(cloudwatch.close()));
        let mut out = Vec::new();
        for (writer, name) in self.writers.iter_mut().zip(&self.names) {
            out.push((name.clone(), writer.close().await?));
        }
        if let Some(publishing) = publishing {
            // It has counted and said what it could not publish; the tables are complete all the same.
            let _ = publishing.await;
        }
        Ok(out)
    }

    /// Posts how far each table is.
    pub fn post(&self, board: &Board) {
        let status = |w: &GatherWriter| TableStatus { written: w.summary(), last_file: w.last_file().cloned() };
        self.writers.iter().zip(&self.names).for_each(|(w, name)| board.table(name, status(w)));
    }
}
