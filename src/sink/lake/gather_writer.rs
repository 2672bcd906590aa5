//! Finished windows into few, sorted files: several windows of an hour are gathered in memory and written together.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::{SortColumn, SortOptions, concat_batches, lexsort_to_indices, take_record_batch};

use super::location::Lake;
use super::parquet_file::WriteSummary;
use super::partition::{split_by_time, time_values};
use super::spec::TableSpec;
use super::staging::Move;
use super::table_writer::FileMaker;
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::limits::LAKE_GATHER_BYTES_MAX;
use crate::types::{MICROS_PER_HOUR, Micros};

/// Gathers the rows of finished windows and writes one file for each `gather` microseconds of event time and hour.
///
/// With `gather` = 10 minutes, one-minute windows 18:00 … 18:09 become one file as soon as the last of them is there. A file is also
/// written when a later hour begins (so no file spans two partitions; of sessions, each hour waits for its own `gather`), when the watermark has passed its span ([`advance`](Self::advance)), when [`LAKE_GATHER_BYTES_MAX`] is reached, and at the end.
/// Within a file rows are sorted by the table's sort columns. Like [`TableWriter`](super::TableWriter) it must be closed.
pub struct GatherWriter {
    // Properties.
    files: FileMaker,
    gather: Micros,
    clock: Arc<dyn Clock>,
    // State.
    hours: BTreeMap<Micros, Gathered>,
    failed: bool,
    summary: WriteSummary,
    last_file: Option<(String, Micros)>,
}

/// Windows of one hour that wait for their file.
#[derive(Default)]
struct Gathered {
    batches: Vec<RecordBatch>,
    bytes: usize,
    /// Start of the oldest and end of the newest window; of windows that overlap, each counts for what it does not share with the one
    /// before, and sessions for their ends.
    span: Option<(Micros, Micros)>,
}

impl GatherWriter {
    /// A writer of table `spec.name`: a file for each `gather` microseconds.
    pub fn new(lake: Lake, spec: TableSpec, gather: Micros, clock: Arc<dyn Clock>) -> Self {
        Self::over(FileMaker::new(lake, spec, true, None), gather, clock)
    }

    pub(super) fn over(files: FileMaker, gather: Micros, clock: Arc<dyn Clock>) -> Self {
        Self {
            files,
            gather,
            clock,
            hours: BTreeMap::new(),
            failed: false,
            summary: WriteSummary::default(),
            last_file: None,
        }
    }

    /// Adds the rows of whole windows: any schema that has the table's time column, the same in every call.
    ///
    /// # Errors
    /// External or transient if the store fails; internal if the batch does not fit the table, or after an earlier error.
    pub async fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.guard()?;
        self.failed = true;
        let times = time_values(batch, &self.files.spec.time_column, None)?;
        let mut latest = None;
        for (hour, part) in split_by_time(batch.clone(), times.iter().copied().map(Some), MICROS_PER_HOUR)? {
            let (from, to) = self.span(&part)?;
            latest = latest.max(Some(to));
            self.hours.entry(hour).or_default().add(part, from, to);
        }
        let Some(newest) = self.hours.last_key_value().map(|(h, _)| *h) else {
            self.failed = false;
            return Ok(());
        };
        let full = |hour: &Micros, g: &Gathered| match (self.files.spec.by_end, latest) {
            // More may come for every hour: each waits for its own time.
            (true, Some(end)) => {
                g.is_full(self.gather) || g.span.is_some_and(|(a, _)| end.saturating_sub(a) >= self.gather)
            }
            _ => *hour < newest || g.is_full(self.gather),
        };
        let due: Vec<Micros> = self.hours.iter().filter(|(h, g)| full(h, g)).map(|(h, _)| *h).collect();
        for hour in due {
            self.flush(hour).await?;
        }
        self.failed = false;
        Ok(())
    }

    /// Writes what no later window can join any more, given that all windows that end at or before `watermark` have come. Without it the last
    /// windows of a table that has become quiet stay invisible until the end.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn advance(&mut self, watermark: Micros) -> Result<()> {
        self.guard()?;
        self.failed = true;
        let overlap = self.files.spec.overlap;
        let over = |hour: &Micros, g: &Gathered| {
            let span_over = g.span.is_some_and(|(oldest, _)| watermark.saturating_sub(oldest) >= self.gather);
            span_over
                || !self.files.spec.by_end && watermark.saturating_sub(*hour) >= MICROS_PER_HOUR.saturating_add(overlap)
        };
        let due: Vec<Micros> = self.hours.iter().filter(|(h, g)| over(h, g)).map(|(h, _)| *h).collect();
        for hour in due {
            self.flush(hour).await?;
        }
        self.failed = false;
        Ok(())
    }

    /// Writes what is left and tells what was written since the writer was made. It may be written to again afterwards.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn close(&mut self) -> Result<WriteSummary> {
        self.guard()?;
        self.failed = true;
        while let Some(hour) = self.hours.keys().next().copied() {
            self.flush(hour).await?;
        }
        self.failed = false;
        Ok(self.summary)
    }

    /// The rows that wait for their file.
    pub fn gathered(&self) -> impl Iterator<Item = &RecordBatch> {
        self.hours.values().flat_map(|hour| &hour.batches)
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

    /// The span of a batch, as [`Gathered`] has it; rows without an end are instants.
    fn span(&self, part: &RecordBatch) -> Result<(Micros, Micros)> {
        let spec = &self.files.spec;
        let starts = time_values(part, &spec.time_column, None)?;
        let ends = match spec.end_column.as_ref().filter(|c| part.column_by_name(c).is_some()) {
            Some(column) => time_values(part, column, None)?,
            None => starts.clone(),
        };
        let oldest = match spec.by_end {
            true => ends.iter().copied().min().unwrap_or_default(),
            false => starts.into_iter().min().unwrap_or_default().saturating_add(spec.overlap),
        };
        Ok((oldest, ends.into_iter().max().unwrap_or(oldest)))
    }

    async fn flush(&mut self, hour: Micros) -> Result<()> {
        let Some(gathered) = self.hours.remove(&hour) else { return Ok(()) };
        let Some(first) = gathered.batches.first() else { return Ok(()) };
        let rows = sorted(&concat_batches(first.schema_ref(), &gathered.batches)?, &self.files.spec.sort_columns)?;
        let mut file = self.files.create(hour, rows.schema(), self.clock.now())?;
        file.write(&rows).await?;
        let path = file.path().to_owned();
        self.summary.add(file.finish().await?);
        self.last_file = Some((self.files.finished(path), self.clock.now()));
        Ok(())
    }

    fn guard(&self) -> Result<()> {
        match self.failed {
            true => Err(Error::internal("a table was written to after a failure").at(self.files.spec.name.clone())),
            false => Ok(()),
        }
    }
}

impl Gathered {
    fn add(&mut self, part: RecordBatch, from: Micros, to: Micros) {
        self.bytes += part.get_array_memory_size();
        self.span = Some(self.span.map_or((from, to), |(a, b)| (a.min(from), b.max(to))));
        self.batches.push(part);
    }

    fn is_full(&self, gather: Micros) -> bool {
        self.bytes >= LAKE_GATHER_BYTES_MAX || self.span.is_some_and(|(a, b)| b.saturating_sub(a) >= gather)
    }
}

/// The rows in ascending order of `columns`, nulls first; as they are, without columns.
fn sorted(batch: &RecordBatch, columns: &[String]) -> Result<RecordBatch> {
    let options = Some(SortOptions { descending: false, nulls_first: true });
    let mut keys = Vec::new();
    for name in columns {
        let Some(values) = batch.column_by_name(name) else {
            return Err(Error::internal(format!("sort column {name} is not in the table")));
        };
        keys.push(SortColumn { values: values.clone(), options });
    }
    if keys.is_empty() {
        return Ok(batch.clone());
    }
    Ok(take_record_batch(batch, &lexsort_to_indices(&keys, None)?)?)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, ArrayRef, AsArray, StringArray, TimestampMicrosecondArray};

    use super::*;
    use crate::clock::ManualClock;
    use crate::sink::lake::LakeFile;
    use crate::types::MICROS_PER_MINUTE;

    const H: Micros = MICROS_PER_HOUR;
    const M: Micros = MICROS_PER_MINUTE;

    /// Rows of one-minute windows.
    fn windows(rows: &[(Micros, Option<&str>)]) -> RecordBatch {
        let start = |shift: Micros| -> ArrayRef {
            let times = rows.iter().map(|(t, _)| t + shift);
            Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"))
        };
        let keys: ArrayRef = Arc::new(rows.iter().map(|(_, k)| *k).collect::<StringArray>());
        let columns = [("window_start", start(0), false), ("window_end", start(M), false), ("stream_id", keys, true)];
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    }

    fn writer(lake: &Lake, gather: Micros) -> GatherWriter {
        let spec = TableSpec::windows("w", "run1", vec!["window_start".into(), "stream_id".into()]);
        GatherWriter::new(lake.clone(), spec, gather, Arc::new(ManualClock::at(0)))
    }

    fn lake() -> (tempfile::TempDir, Lake) {
        let (dir, lake) = Lake::in_temp_folder();
        (dir, lake)
    }

    async fn files(lake: &Lake) -> Vec<LakeFile> {
        lake.list("w").await.unwrap()
    }

    #[tokio::test]
    async fn one_file_for_each_span_of_windows() {
        let (_dir, lake) = lake();
        let mut w = writer(&lake, 10 * M);
        for minute in 0..9 {
            w.write(&windows(&[(minute * M, Some("a"))])).await.unwrap();
        }
        assert!(files(&lake).await.is_empty());
        w.write(&windows(&[(9 * M, Some("a"))])).await.unwrap();
        assert_eq!(files(&lake).await.len(), 1);
        w.write(&windows(&[(10 * M, Some("a"))])).await.unwrap();
        assert_eq!(w.close().await.unwrap().files, 2);
        assert_eq!(w.summary().rows, 11);
    }

    #[tokio::test]
    async fn a_file_ends_with_its_hour() {
        let (_dir, lake) = lake();
        let mut w = writer(&lake, 10 * H);
        w.write(&windows(&[(H - M, Some("a"))])).await.unwrap();
        w.write(&windows(&[(H, Some("a")), (H - M, Some("b"))])).await.unwrap();
        assert_eq!(files(&lake).await.iter().map(|f| f.hour).collect::<Vec<_>>(), vec![0]);
        w.close().await.unwrap();
        assert_eq!(files(&lake).await.iter().map(|f| f.hour).collect::<Vec<_>>(), vec![0, H]);
    }

    #[tokio::test]
    async fn the_watermark_completes_the_files_of_a_quiet_table() {
        let (_dir, lake) = lake();
        let mut w = writer(&lake, 10 * M);
        w.write(&windows(&[(2 * M, Some("a"))])).await.unwrap();
        w.advance(12 * M - 1).await.unwrap();
        assert!(files(&lake).await.is_empty());
        w.advance(12 * M).await.unwrap();
        assert_eq!(files(&lake).await.len(), 1);
        w.write(&windows(&[(H - 5 * M, Some("a"))])).await.unwrap();
        w.advance(H - 1).await.unwrap();
        assert_eq!(files(&lake).await.len(), 1);
        w.advance(H).await.unwrap();
        assert_eq!(files(&lake).await.len(), 2);
    }

    #[tokio::test]
    async fn windows_that_overlap_share_files_by_what_each_adds() {
        let (_dir, lake) = lake();
        let spec = TableSpec { overlap: H - M, ..TableSpec::windows("w", "run1", vec![]) };
        let mut w = GatherWriter::new(lake.clone(), spec, 10 * M, Arc::new(ManualClock::at(0)));
        // Windows of an hour, one a minute; the first ends at 2:00.
        let window = |minute: Micros| -> RecordBatch {
            let time =
                |t: Micros| -> ArrayRef { Arc::new(TimestampMicrosecondArray::from_value(t, 1).with_timezone("UTC")) };
            let start = H + minute * M;
            RecordBatch::try_from_iter([("window_start", time(start)), ("window_end", time(start + H))]).unwrap()
        };
        for minute in 0..9 {
            w.write(&window(minute)).await.unwrap();
            w.advance(2 * H + minute * M).await.unwrap();
        }
        assert!(files(&lake).await.is_empty(), "an hour is longer than 10 minutes, but each adds a minute only");
        w.write(&window(9)).await.unwrap();
        assert_eq!(files(&lake).await.len(), 1);
        w.write(&window(10)).await.unwrap();
        w.advance(2 * H + 19 * M - 1).await.unwrap();
        assert_eq!(files(&lake).await.len(), 1);
        w.advance(2 * H + 19 * M).await.unwrap();
        assert_eq!(files(&lake).await.len(), 2);
    }

    #[tokio::test]
    async fn sessions_wait_by_their_ends_whatever_hour_they_began_in() {
        let (_dir, lake) = lake();
        let spec = TableSpec { by_end: true, ..TableSpec::windows("w", "run1", vec![]) };
        let mut w = GatherWriter::new(lake.clone(), spec, 10 * M, Arc::new(ManualClock::at(0)));
        let session = |start: Micros, minute: Micros| -> RecordBatch {
            let time =
                |t: Micros| -> ArrayRef { Arc::new(TimestampMicrosecondArray::from_value(t, 1).with_timezone("UTC")) };
            RecordBatch::try_from_iter([("window_start", time(start)), ("window_end", time(3 * H + minute * M))])
                .unwrap()
        };
        for (start, minute) in [(0, 0), (2 * H, 1), (H, 2), (3 * H, 9)] {
            w.write(&session(start, minute)).await.unwrap();
            w.advance(3 * H + minute * M).await.unwrap();
        }
        assert!(files(&lake).await.is_empty(), "a session of a later hour does not end the files of earlier ones");
        w.write(&session(3 * H, 10)).await.unwrap();
        assert_eq!(files(&lake).await.iter().map(|f| f.hour).collect::<Vec<_>>(), [0]);
        w.advance(3 * H + 11 * M).await.unwrap();
        assert_eq!(files(&lake).await.iter().map(|f| f.hour).collect::<Vec<_>>(), [0, 2 * H]);
        assert_eq!(w.close().await.unwrap().files, 4);
    }

    #[tokio::test]
    async fn rows_of_a_file_are_sorted() {
        let (_dir, lake) = lake();
        let mut w = writer(&lake, H);
        w.write(&windows(&[(M, Some("b")), (M, Some("a")), (M, None)])).await.unwrap();
        w.write(&windows(&[(0, Some("z"))])).await.unwrap();
        w.close().await.unwrap();
        let rows = lake.read_table("w", None).await.unwrap();
        let keys = rows[0].column(2).as_string::<i32>();
        let keys: Vec<_> = (0..keys.len()).map(|i| keys.is_valid(i).then(|| keys.value(i))).collect();
        assert_eq!(keys, vec![Some("z"), None, Some("a"), Some("b")]);
    }

    #[tokio::test]
    async fn a_missing_sort_column_is_a_bug_and_stops_the_writer() {
        let (_dir, lake) = lake();
        let spec = TableSpec::windows("w", "run1", vec!["nowhere".into()]);
        let mut w = GatherWriter::new(lake.clone(), spec, H, Arc::new(ManualClock::at(0)));
        w.write(&windows(&[(0, None)])).await.unwrap();
        assert!(w.close().await.is_err());
        assert!(w.close().await.is_err());
    }
}
