//! A stream of rows into a table: one open file for each hour partition, closed when it is large or old enough.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::file::properties::WriterProperties;

use super::location::Lake;
use super::parquet_file::{ParquetFile, WriteSummary};
use super::partition::{hour_path, split_by_time, time_values};
use super::properties::writer_properties;
use super::spec::{RollPolicy, TableSpec};
use super::staging::{Move, StagingToken};
use super::upload::OnFailure;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::limits::LAKE_OPEN_PARTITIONS_MAX;
use crate::types::{MICROS_PER_HOUR, Micros};

/// Writes rows of any hours, in any order, into `<table>/year=…/hour=…/<prefix>-<counter>.parquet`.
///
/// A batch within one hour, the usual case, goes to its file as it is; any other is split. At most [`LAKE_OPEN_PARTITIONS_MAX`] files are open:
/// then the one that was written to least recently is closed. Each holds up to a row group in memory. Call
/// [`roll_due`](Self::roll_due) every few seconds, or fresh rows stay invisible in a quiet partition; call [`close`](Self::close) at the end,
/// or the open files are lost. Its futures must be awaited to their end; after an error the writer refuses further work.
pub struct TableWriter {
    // Properties.
    files: FileMaker,
    roll: RollPolicy,
    clock: Arc<dyn Clock>,
    // State.
    open: BTreeMap<Micros, OpenFile>,
    writes: u64,
    failed: bool,
    summary: WriteSummary,
    last_file: Option<(String, Micros)>,
}

struct OpenFile {
    file: ParquetFile,
    /// Number of the writer's last write that touched it.
    last_write: u64,
}

impl TableWriter {
    /// A writer of table `spec.name`. Nothing happens before the first row.
    pub fn new(lake: Lake, spec: TableSpec, roll: RollPolicy, clock: Arc<dyn Clock>) -> Self {
        Self::over(FileMaker::new(lake, spec, false, None), roll, clock)
    }

    pub(super) fn over(files: FileMaker, roll: RollPolicy, clock: Arc<dyn Clock>) -> Self {
        Self {
            files,
            roll,
            clock,
            open: BTreeMap::new(),
            writes: 0,
            failed: false,
            summary: WriteSummary::default(),
            last_file: None,
        }
    }

    /// Writes a batch: any schema that has the table's time column, the same in every call.
    ///
    /// # Errors
    /// External or transient if the store fails; internal if the batch does not fit the table, or after an earlier error.
    pub async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.write_undated(batch, None).await
    }

    /// As [`write`](Self::write). Rows without a time, where the table may have them, stand in the hour of `undated`; without it, in that
    /// of the clock.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn write_undated(&mut self, batch: &RecordBatch, undated: Option<Micros>) -> Result<()> {
        self.guard()?;
        self.failed = true;
        let now = self.clock.now();
        let if_null = self.files.spec.time_may_be_null.then(|| undated.unwrap_or(now));
        let times = time_values(batch, &self.files.spec.time_column, if_null)?;
        for (hour, part) in split_by_time(batch.clone(), times.iter().copied().map(Some), MICROS_PER_HOUR)? {
            self.write_hour(hour, &part, now).await?;
        }
        self.failed = false;
        Ok(())
    }

    async fn write_hour(&mut self, hour: Micros, part: &RecordBatch, now: Micros) -> Result<()> {
        if !self.open.contains_key(&hour) {
            while self.open.len() >= LAKE_OPEN_PARTITIONS_MAX {
                let Some(idle) = self.open.iter().min_by_key(|(_, o)| o.last_write).map(|(h, _)| *h) else { break };
                self.close_hour(idle).await?;
            }
            let file = self.files.create(hour, part.schema(), now)?;
            self.open.insert(hour, OpenFile { file, last_write: 0 });
        }
        self.writes += 1;
        let Some(open) = self.open.get_mut(&hour) else { return Ok(()) };
        open.last_write = self.writes;
        open.file.write(part).await?;
        if open.file.bytes() >= self.roll.bytes_max { self.close_hour(hour).await } else { Ok(()) }
    }

    async fn close_hour(&mut self, hour: Micros) -> Result<()> {
        let Some(open) = self.open.remove(&hour) else { return Ok(()) };
        let path = open.file.path().to_owned();
        self.summary.add(open.file.finish().await?);
        self.last_file = Some((self.files.finished(path), self.clock.now()));
        Ok(())
    }

    /// Closes the files whose first row came `age_max` or longer before `now`.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn roll_due(&mut self, now: Micros) -> Result<()> {
        self.guard()?;
        let due = |o: &OpenFile| now.saturating_sub(o.file.opened_at) >= self.roll.age_max;
        let due: Vec<Micros> = self.open.iter().filter(|(_, o)| due(o)).map(|(h, _)| *h).collect();
        self.close_hours(due).await
    }

    /// Closes all files and tells what was written since the writer was made. It may be written to again afterwards.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn close(&mut self) -> Result<WriteSummary> {
        self.guard()?;
        let all = self.open.keys().copied().collect();
        self.close_hours(all).await?;
        Ok(self.summary)
    }

    /// Gives up all open files: what was written since their start does not appear.
    pub async fn abort(&mut self) {
        while let Some((_, open)) = self.open.pop_first() {
            open.file.abort().await;
            self.files.gave_up();
        }
    }

    /// What is complete and visible so far.
    pub fn summary(&self) -> WriteSummary {
        self.summary
    }

    /// The files that were finished since this was last asked, if they wait to be committed.
    pub fn take_finished(&self) -> Vec<Move> {
        self.files.take_finished()
    }

    /// The file that was finished last, as `<lake>/<path>`, and when by the injected clock.
    pub fn last_file(&self) -> Option<&(String, Micros)> {
        self.last_file.as_ref()
    }

    async fn close_hours(&mut self, hours: Vec<Micros>) -> Result<()> {
        self.failed = true;
        for hour in hours {
            self.close_hour(hour).await?;
        }
        self.failed = false;
        Ok(())
    }

    fn guard(&self) -> Result<()> {
        match self.failed {
            true => Err(Error::internal("a table was written to after a failure").at(self.files.spec.name.clone())),
            false => Ok(()),
        }
    }
}

/// Names and opens a table's files.
pub(super) struct FileMaker {
    lake: Lake,
    pub(super) spec: TableSpec,
    sorted: bool,
    /// Set if the files belong to a replacement or a commit and wait in a folder of their own.
    staging: Option<StagingToken>,
    on_failure: OnFailure,
    properties: Option<(SchemaRef, WriterProperties)>,
    counter: u64,
}

impl FileMaker {
    pub(super) fn new(lake: Lake, spec: TableSpec, sorted: bool, staging: Option<StagingToken>) -> Self {
        Self { lake, spec, sorted, staging, on_failure: OnFailure::TryAgain, properties: None, counter: 0 }
    }

    /// Files that fail are errors, and not kept in memory to be tried again.
    pub(super) fn giving_up(self) -> Self {
        Self { on_failure: OnFailure::GiveUp, ..self }
    }

    pub(super) fn create(&mut self, hour: Micros, schema: SchemaRef, now: Micros) -> Result<ParquetFile> {
        let properties = match &self.properties {
            Some((of, properties)) if *of == schema => properties.clone(),
            _ => {
                let made = writer_properties(&self.spec, &schema, self.lake.compression, self.sorted);
                self.properties = Some((schema.clone(), made.clone()));
                made
            }
        };
        let root = self.staging.as_ref().map_or("", StagingToken::root);
        let (table, prefix, n) = (&self.spec.name, &self.spec.file_prefix, self.counter);
        let relative = format!("{root}{table}/{}/{prefix}-{n:06}.parquet", hour_path(hour));
        self.counter += 1;
        let file = ParquetFile::create(&self.lake, &relative, schema, properties, now, self.on_failure)?;
        if let Some(staging) = &self.staging {
            staging.opened();
        }
        Ok(file)
    }

    /// Notes that the file at `path` is complete; its place as the user will see it.
    pub(super) fn finished(&self, path: String) -> String {
        let Some(staging) = &self.staging else { return self.lake.place(&path) };
        let place = self.lake.place(path.strip_prefix(staging.root()).unwrap_or(&path));
        staging.finished(path);
        place
    }

    pub(super) fn take_finished(&self) -> Vec<Move> {
        self.staging.as_ref().map(StagingToken::take_finished).unwrap_or_default()
    }

    pub(super) fn gave_up(&self) {
        if let Some(staging) = &self.staging {
            staging.gave_up();
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, AsArray, Int64Array, TimestampMicrosecondArray};
    use arrow::datatypes::Int64Type;

    use super::*;
    use crate::clock::ManualClock;
    use crate::types::{MICROS_PER_MINUTE, MICROS_PER_SEC};

    const H: Micros = MICROS_PER_HOUR;

    fn batch(times: &[Option<Micros>]) -> RecordBatch {
        let n: ArrayRef = Arc::new(Int64Array::from_iter_values(0..times.len() as i64));
        let t: ArrayRef = Arc::new(TimestampMicrosecondArray::from(times.to_vec()).with_timezone("UTC"));
        RecordBatch::try_from_iter_with_nullable([("n", n, false), ("event_time", t, true)]).unwrap()
    }

    fn at(times: &[Micros]) -> RecordBatch {
        batch(&times.iter().map(|t| Some(*t)).collect::<Vec<_>>())
    }

    struct Fixture {
        _dir: tempfile::TempDir,
        lake: Lake,
        clock: ManualClock,
    }

    impl Fixture {
        fn new() -> Self {
            let (dir, lake) = Lake::in_temp_folder();
            Self { _dir: dir, lake, clock: ManualClock::at(0) }
        }

        fn writer(&self, spec: TableSpec, roll: RollPolicy) -> TableWriter {
            TableWriter::new(self.lake.clone(), spec, roll, Arc::new(self.clock.clone()))
        }

        async fn files(&self, table: &str) -> Vec<String> {
            self.lake.list(table).await.unwrap().into_iter().map(|f| f.path).collect()
        }
    }

    fn events() -> TableSpec {
        TableSpec::new("events", "event_time", "run1-shard0")
    }

    #[tokio::test]
    async fn rows_go_to_the_file_of_their_hour() {
        let f = Fixture::new();
        let mut w = f.writer(events(), RollPolicy::default());
        w.write(&at(&[5, H + 1, 7])).await.unwrap();
        w.write(&at(&[9])).await.unwrap();
        assert!(f.files("events").await.is_empty(), "a file is not visible before it is complete");
        let summary = w.close().await.unwrap();
        assert_eq!((summary.files, summary.rows), (2, 4));
        assert_eq!(
            f.files("events").await,
            vec![
                "events/year=1970/month=01/day=01/hour=00/run1-shard0-000000.parquet",
                "events/year=1970/month=01/day=01/hour=01/run1-shard0-000001.parquet",
            ]
        );
        let listed: u64 = f.lake.list("events").await.unwrap().iter().map(|f| f.bytes).sum();
        assert_eq!(summary.bytes, listed);
        let rows = f.lake.read_table("events", None).await.unwrap();
        let n: Vec<_> = rows.iter().flat_map(|b| b.column(0).as_primitive::<Int64Type>().values().to_vec()).collect();
        assert_eq!(n, vec![0, 2, 0, 1]);
        assert_eq!(rows[0].schema().fields().len(), 2, "partition columns are not in the file");
    }

    #[tokio::test]
    async fn large_batches_take_the_blocking_path() {
        let f = Fixture::new();
        let mut w = f.writer(events(), RollPolicy::default());
        for _ in 0..3 {
            w.write(&at(&(0..20_000).collect::<Vec<_>>())).await.unwrap();
        }
        assert_eq!(w.close().await.unwrap().rows, 60_000);
        let rows: usize =
            f.lake.read_table("events", Some(&["n"])).await.unwrap().iter().map(RecordBatch::num_rows).sum();
        assert_eq!(rows, 60_000);
    }

    #[tokio::test]
    async fn files_roll_by_size_and_by_age() {
        let f = Fixture::new();
        let mut w = f.writer(events(), RollPolicy { bytes_max: 1, age_max: MICROS_PER_MINUTE });
        w.write(&at(&[1])).await.unwrap();
        w.write(&at(&[2])).await.unwrap();
        assert_eq!(f.files("events").await.len(), 2);

        let mut w = f.writer(TableSpec { file_prefix: "run2".into(), ..events() }, RollPolicy::default());
        f.clock.set(10 * MICROS_PER_SEC);
        w.write(&at(&[3])).await.unwrap();
        let age = RollPolicy::default().age_max;
        w.roll_due(10 * MICROS_PER_SEC + age - 1).await.unwrap();
        assert_eq!(f.files("events").await.len(), 2);
        w.roll_due(10 * MICROS_PER_SEC + age).await.unwrap();
        assert_eq!(f.files("events").await.len(), 3);
        assert_eq!(w.close().await.unwrap().files, 1);
    }

    #[tokio::test]
    async fn the_partition_written_least_recently_is_closed_when_too_many_are_open() {
        let f = Fixture::new();
        let mut w = f.writer(events(), RollPolicy::default());
        for hour in 0..LAKE_OPEN_PARTITIONS_MAX as i64 {
            w.write(&at(&[hour * H])).await.unwrap();
        }
        w.write(&at(&[1])).await.unwrap();
        w.write(&at(&[100 * H])).await.unwrap();
        let closed = f.lake.list("events").await.unwrap();
        assert_eq!(closed.iter().map(|f| f.hour).collect::<Vec<_>>(), vec![H]);
    }

    #[tokio::test]
    async fn a_null_time_stands_at_the_clocks_hour_or_a_given_one_only_where_the_table_says_so() {
        let f = Fixture::new();
        f.clock.set(3 * H + 5);
        let spec = TableSpec { time_column: "event_time".into(), ..TableSpec::dead_letters("run1") };
        let mut w = f.writer(spec, RollPolicy::default());
        w.write(&batch(&[None])).await.unwrap();
        w.write_undated(&batch(&[None, Some(5 * H)]), Some(H)).await.unwrap();
        w.close().await.unwrap();
        let hours: Vec<_> = f.lake.list("_dead_letters").await.unwrap().iter().map(|f| f.hour / H).collect();
        assert_eq!(hours, [1, 3, 5]);
        let mut w = f.writer(events(), RollPolicy::default());
        assert!(w.write(&batch(&[None])).await.is_err());
        assert!(w.close().await.is_err(), "no more work after an error");
    }

    #[tokio::test]
    async fn nothing_is_written_without_rows_or_after_an_abort() {
        let f = Fixture::new();
        let mut w = f.writer(events(), RollPolicy::default());
        w.write(&at(&[])).await.unwrap();
        assert_eq!(w.close().await.unwrap(), WriteSummary::default());
        w.write(&at(&[1])).await.unwrap();
        w.abort().await;
        assert_eq!(w.close().await.unwrap(), WriteSummary::default());
        assert!(f.files("events").await.is_empty());
    }
}
