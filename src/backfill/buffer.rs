//! A buffer that sorts rows into buckets of time, and spills to disk what does not fit into memory.
//!
//! A backfill reads shard after shard, but windows need all shards of an hour at once. So each shard's task pushes its decoded rows
//! here, and afterwards the buckets of all shards are walked together, in time order:
//!
//! ```text
//!  push(batch, times)          budget exceeded: the largest bucket goes first       merge_buckets(shards)
//!  ┌───────┐   ┌ 10:00 ▓▓▓▓▓ ──────────► spill file ▒▒▒▒ ─┐
//!  │ batch │ ─►│ 11:00 ▓▓                                  ├─► 10:00 (shard 0, shard 1), 11:00 (shard 0), 12:00 …
//!  └───────┘   └ 12:00 ▓▓▓                                 ┘
//! ```
//!
//! Within a bucket rows keep the order in which they were pushed. Memory is what the buffers really hold: a slice of a larger batch
//! is copied, so that the larger one can be freed. The spill file has no name in the file system (see `spill.rs`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::{iter, mem, vec};

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::SchemaRef;

use super::spill::{Segment, SpillFile};
use crate::error::{Error, Result};
use crate::limits::BUCKET_BATCH_ROWS_MIN;
use crate::sink::lake::{split_by_time, time_values};
use crate::types::Micros;

/// Rows of one schema, by bucket of time, in memory up to a budget and on disk beyond it.
///
/// After every [`push`](Self::push) the buckets hold at most `memory_bytes_max` in memory; while it runs, the pushed batch and one
/// chunk on its way to disk come on top.
#[derive(Debug)]
pub struct TimeBuckets {
    // Properties.
    bucket: Micros,
    memory_bytes_max: usize,
    spill_dir: PathBuf,
    // State.
    schema: Option<SchemaRef>,
    slots: BTreeMap<Micros, Slot>,
    memory_bytes: usize,
    rows: u64,
    spill: Option<Arc<SpillFile>>,
}

/// What one bucket holds. Order of push: `spilled`, then `chunks`, then `small`.
#[derive(Debug, Default)]
struct Slot {
    spilled: Vec<Segment>,
    chunks: Vec<RecordBatch>,
    /// Pieces too small to keep as they are; joined once they make a chunk.
    small: Vec<RecordBatch>,
    small_rows: usize,
    bytes: usize,
    rows: u64,
}

impl TimeBuckets {
    /// Buckets of `bucket` microseconds (positive), aligned to the epoch, in at most `memory_bytes_max` bytes of memory. Spills go to a
    /// file in `spill_dir`, or in the system's folder for temporary files; it is made when it is first needed.
    pub fn new(bucket: Micros, memory_bytes_max: usize, spill_dir: Option<PathBuf>) -> Self {
        Self {
            bucket: bucket.max(1),
            memory_bytes_max,
            spill_dir: spill_dir.unwrap_or_else(std::env::temp_dir),
            schema: None,
            slots: BTreeMap::new(),
            memory_bytes: 0,
            rows: 0,
            spill: None,
        }
    }

    /// Adds a batch whose row `i` belongs to time `times[i]`; rows without a time are left out. All batches must have one schema.
    ///
    /// # Errors
    /// External if the spill file cannot be made or written (disk full); internal if `times` or the schema do not fit.
    pub fn push(&mut self, batch: RecordBatch, times: &[Option<Micros>]) -> Result<()> {
        if batch.num_rows() != times.len() {
            return Err(Error::internal(format!("{} rows were pushed with {} times", batch.num_rows(), times.len())));
        }
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let schema = self.schema.get_or_insert_with(|| batch.schema());
        if !Arc::ptr_eq(schema, batch.schema_ref()) && schema != batch.schema_ref() {
            return Err(Error::internal("batches of different schemas were pushed into one buffer"));
        }
        for (start, part) in split_by_time(batch, times.iter().copied(), self.bucket)? {
            self.add(start, compact(part)?)?;
        }
        self.keep_to_budget()
    }

    /// As [`push`](Self::push), with the times read from the batch's column `column`: Timestamp(Microsecond), without nulls.
    ///
    /// # Errors
    /// As [`push`](Self::push); internal if the column is missing, of another type, or has nulls.
    pub fn push_by(&mut self, batch: RecordBatch, column: &str) -> Result<()> {
        let times: Vec<_> = time_values(&batch, column, None)?.into_iter().map(Some).collect();
        self.push(batch, &times)
    }

    fn add(&mut self, start: Micros, part: RecordBatch) -> Result<()> {
        let slot = self.slots.entry(start).or_default();
        let before = slot.bytes;
        self.rows += part.num_rows() as u64;
        slot.add(part)?;
        self.memory_bytes = self.memory_bytes + slot.bytes - before;
        Ok(())
    }

    /// Spills the largest buckets until half the budget is free again: fewer, larger pieces than spilling just enough.
    fn keep_to_budget(&mut self) -> Result<()> {
        if self.memory_bytes <= self.memory_bytes_max {
            return Ok(());
        }
        if self.spill.is_none() {
            self.spill = Some(Arc::new(SpillFile::create(&self.spill_dir)?));
        }
        let Some(spill) = &self.spill else { return Ok(()) };
        while self.memory_bytes > self.memory_bytes_max / 2 {
            let Some(slot) = self.slots.values_mut().max_by_key(|s| s.bytes).filter(|s| s.bytes > 0) else { break };
            self.memory_bytes -= slot.bytes;
            slot.spill_to(spill)?;
        }
        Ok(())
    }

    /// Rows pushed so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes that the buffered rows hold in memory now.
    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// Bytes written to the spill file so far.
    pub fn spilled_bytes(&self) -> u64 {
        self.spill.as_ref().map_or(0, |s| s.len())
    }

    /// Starts of the buckets that hold rows, in time order.
    pub fn starts(&self) -> impl Iterator<Item = Micros> + '_ {
        self.slots.keys().copied()
    }

    /// The buckets in time order; each gives its batches in the order of push. A bucket's memory is freed as it is read.
    pub fn into_buckets(self) -> Buckets {
        Buckets { slots: self.slots.into_iter(), spill: self.spill }
    }
}

impl Slot {
    fn add(&mut self, part: RecordBatch) -> Result<()> {
        let rows = part.num_rows();
        self.rows += rows as u64;
        self.bytes += part.get_array_memory_size();
        if rows >= BUCKET_BATCH_ROWS_MIN {
            self.join_small()?;
            self.chunks.push(part);
            return Ok(());
        }
        self.small_rows += rows;
        self.small.push(part);
        if self.small_rows >= BUCKET_BATCH_ROWS_MIN { self.join_small() } else { Ok(()) }
    }

    /// Makes one chunk of the small pieces.
    fn join_small(&mut self) -> Result<()> {
        let Some(first) = self.small.first() else { return Ok(()) };
        let chunk = concat_batches(first.schema_ref(), &self.small)?;
        let pieces: usize = self.small.iter().map(RecordBatch::get_array_memory_size).sum();
        self.bytes = self.bytes + chunk.get_array_memory_size() - pieces;
        self.small.clear();
        self.small_rows = 0;
        self.chunks.push(chunk);
        Ok(())
    }

    /// Moves everything in memory to the end of the bucket's part of the spill file.
    fn spill_to(&mut self, spill: &SpillFile) -> Result<()> {
        self.join_small()?;
        for chunk in mem::take(&mut self.chunks) {
            self.spilled.push(spill.append(&chunk)?);
        }
        self.bytes = 0;
        Ok(())
    }
}

/// A batch whose buffers are not much larger than its rows: itself, or a copy.
pub(super) fn compact(batch: RecordBatch) -> Result<RecordBatch> {
    let held = batch.get_array_memory_size();
    let used: usize =
        batch.columns().iter().map(|c| c.to_data().get_slice_memory_size().unwrap_or(usize::MAX / 4096)).sum();
    // Builders grow their buffers by doubling and each array has a fixed cost: only a clear excess is worth a copy.
    if held <= used + used / 2 + 1024 * batch.num_columns() {
        return Ok(batch);
    }
    let all = UInt32Array::from_iter_values(0..u32::try_from(batch.num_rows()).unwrap_or(u32::MAX));
    Ok(take_record_batch(&batch, &all)?)
}

/// The buckets of one [`TimeBuckets`], in time order.
#[derive(Debug)]
pub struct Buckets {
    slots: std::collections::btree_map::IntoIter<Micros, Slot>,
    spill: Option<Arc<SpillFile>>,
}

impl Iterator for Buckets {
    type Item = Bucket;

    fn next(&mut self) -> Option<Bucket> {
        let (start, slot) = self.slots.next()?;
        let mut memory = slot.chunks;
        memory.extend(slot.small);
        Some(Bucket {
            start,
            rows: slot.rows,
            spilled: slot.spilled.into_iter(),
            memory: memory.into_iter(),
            spill: self.spill.clone(),
        })
    }
}

/// The rows of one bucket, as batches in the order of push. Small pieces come joined: every batch but the last has at least
/// [`BUCKET_BATCH_ROWS_MIN`] rows. After an error it ends.
#[derive(Debug)]
pub struct Bucket {
    /// Start of the bucket; it holds the times `[start, start + bucket)`.
    pub start: Micros,
    /// Rows in the whole bucket.
    pub rows: u64,
    spilled: vec::IntoIter<Segment>,
    memory: vec::IntoIter<RecordBatch>,
    spill: Option<Arc<SpillFile>>,
}

impl Bucket {
    fn piece(&mut self) -> Result<Option<RecordBatch>> {
        match (self.spilled.next(), &self.spill) {
            (Some(segment), Some(spill)) => spill.read(segment).map(Some),
            (Some(_), None) => Err(Error::internal("a bucket was spilled, but there is no spill file")),
            (None, _) => Ok(self.memory.next()),
        }
    }

    fn batch(&mut self) -> Result<Option<RecordBatch>> {
        let mut pieces = Vec::new();
        let mut rows = 0;
        while rows < BUCKET_BATCH_ROWS_MIN {
            let Some(piece) = self.piece()? else { break };
            rows += piece.num_rows();
            pieces.push(piece);
        }
        match pieces.len() {
            0 | 1 => Ok(pieces.pop()),
            _ => Ok(Some(concat_batches(pieces[0].schema_ref(), &pieces)?)),
        }
    }
}

impl Iterator for Bucket {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.batch().transpose();
        if let Some(Err(_)) = batch {
            self.spilled = Vec::new().into_iter();
            self.memory = Vec::new().into_iter();
        }
        batch
    }
}

/// The same bucket of time from several buffers.
#[derive(Debug)]
pub struct MergedBucket {
    /// Start of the bucket.
    pub start: Micros,
    /// Who has rows in it: the buffer's index in the list given to [`merge_buckets`], ascending, and its rows.
    pub parts: Vec<(usize, Bucket)>,
}

/// Walks the buckets of several buffers (one a shard) together, in time order. The buffers must have buckets of one size.
pub fn merge_buckets(buffers: Vec<TimeBuckets>) -> impl Iterator<Item = MergedBucket> {
    let mut sources: Vec<_> = buffers.into_iter().map(|b| b.into_buckets().peekable()).collect();
    iter::from_fn(move || {
        let start = sources.iter_mut().filter_map(|s| s.peek().map(|b| b.start)).min()?;
        let next = |(i, s): (usize, &mut iter::Peekable<Buckets>)| s.next_if(|b| b.start == start).map(|b| (i, b));
        let parts = sources.iter_mut().enumerate().filter_map(next).collect();
        Some(MergedBucket { start, parts })
    })
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Int64Array, StringArray, TimestampMicrosecondArray};
    use arrow::datatypes::{DataType, Field, Int64Type, Schema, TimeUnit};
    use proptest::prelude::*;

    use super::*;
    use crate::types::floor_to;

    fn schema() -> SchemaRef {
        Arc::new(Schema::new(vec![
            Field::new("t", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
            Field::new("id", DataType::Int64, false),
            Field::new("text", DataType::Utf8, true),
        ]))
    }

    /// A batch of the given times; ids count on from `first_id`; every third text is null.
    fn batch(times: &[i64], first_id: i64) -> RecordBatch {
        let ids: Vec<i64> = (first_id..).take(times.len()).collect();
        let texts: StringArray = ids.iter().map(|i| (i % 3 != 0).then(|| format!("row {i}"))).collect();
        RecordBatch::try_new(
            schema(),
            vec![
                Arc::new(TimestampMicrosecondArray::from(times.to_vec()).with_timezone("UTC")),
                Arc::new(Int64Array::from(ids)),
                Arc::new(texts),
            ],
        )
        .unwrap()
    }

    fn ids(batches: impl Iterator<Item = Result<RecordBatch>>) -> Vec<i64> {
        batches.flat_map(|b| b.unwrap().column(1).as_primitive::<Int64Type>().values().to_vec()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn every_row_comes_out_once_in_its_bucket_in_order_of_push(
            pushes in prop::collection::vec(prop::collection::vec(-500i64..500, 0..300), 0..12),
            size in 1i64..300,
            memory_bytes_max in prop_oneof![Just(0usize), 1_000usize..60_000, Just(usize::MAX)],
        ) {
            let mut buffer = TimeBuckets::new(size, memory_bytes_max, None);
            let mut expected: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
            let mut id = 0;
            for times in &pushes {
                for (i, t) in times.iter().enumerate() {
                    expected.entry(floor_to(*t, size)).or_default().push(id + i as i64);
                }
                buffer.push_by(batch(times, id), "t").unwrap();
                prop_assert!(buffer.memory_bytes() <= memory_bytes_max);
                id += times.len() as i64;
            }
            prop_assert_eq!(buffer.rows(), id as u64);
            prop_assert!(memory_bytes_max > 0 || id == 0 || buffer.spilled_bytes() > 0);
            let got: Vec<(i64, u64, Vec<i64>)> = buffer.into_buckets().map(|b| (b.start, b.rows, ids(b))).collect();
            let want: Vec<_> = expected.into_iter().map(|(start, ids)| (start, ids.len() as u64, ids)).collect();
            prop_assert_eq!(got, want);
        }
    }

    #[test]
    fn values_and_nulls_survive_a_spill() {
        let all = batch(&(0..100).collect::<Vec<_>>(), 0);
        let mut buffer = TimeBuckets::new(1_000, 0, None);
        buffer.push_by(all.clone(), "t").unwrap();
        assert_eq!(buffer.memory_bytes(), 0);
        let got: Vec<_> = buffer.into_buckets().flatten().collect::<Result<_>>().unwrap();
        assert_eq!(got, vec![all]);
    }

    #[test]
    fn a_slice_does_not_keep_its_batch_alive() {
        let large = batch(&vec![5; 50_000], 0);
        let mut buffer = TimeBuckets::new(10, usize::MAX, None);
        for i in 0..100 {
            buffer.push_by(large.slice(i * 10, 10), "t").unwrap();
        }
        assert!(buffer.memory_bytes() < large.get_array_memory_size() / 4, "{} bytes", buffer.memory_bytes());
    }

    #[test]
    fn small_pieces_come_out_joined() {
        let mut buffer = TimeBuckets::new(10, 200_000, None);
        for i in 0..2_000 {
            buffer.push_by(batch(&[1, 11, 2, 12, 3, 13, 4, 14, 5, 15], i * 10), "t").unwrap();
        }
        assert!(buffer.spilled_bytes() > 0);
        for bucket in buffer.into_buckets() {
            let sizes: Vec<usize> = bucket.map(|b| b.unwrap().num_rows()).collect();
            assert_eq!(sizes.iter().sum::<usize>(), 10_000);
            assert!(sizes[..sizes.len() - 1].iter().all(|&n| n >= BUCKET_BATCH_ROWS_MIN), "{sizes:?}");
        }
    }

    #[test]
    fn a_large_batch_behind_small_ones_keeps_its_place() {
        let mut buffer = TimeBuckets::new(10, usize::MAX, None);
        buffer.push_by(batch(&[1, 2], 0), "t").unwrap();
        buffer.push_by(batch(&vec![3; BUCKET_BATCH_ROWS_MIN], 2), "t").unwrap();
        buffer.push_by(batch(&[4], 2 + BUCKET_BATCH_ROWS_MIN as i64), "t").unwrap();
        let got = ids(buffer.into_buckets().flatten());
        assert_eq!(got, (0..3 + BUCKET_BATCH_ROWS_MIN as i64).collect::<Vec<_>>());
    }

    #[test]
    fn several_buffers_are_walked_in_time_order() {
        let mut buffers = Vec::new();
        for (i, times) in [vec![25, 1], vec![2, 12], vec![13]].iter().enumerate() {
            let mut buffer = TimeBuckets::new(10, if i == 1 { 0 } else { usize::MAX }, None);
            buffer.push_by(batch(times, 10 * i as i64), "t").unwrap();
            buffers.push(buffer);
        }
        buffers.push(TimeBuckets::new(10, 0, None));
        let got: Vec<_> = merge_buckets(buffers)
            .map(|m| (m.start, m.parts.into_iter().map(|(i, b)| (i, ids(b))).collect::<Vec<_>>()))
            .collect();
        assert_eq!(
            got,
            vec![
                (0, vec![(0, vec![1]), (1, vec![10])]),
                (10, vec![(1, vec![11]), (2, vec![20])]),
                (20, vec![(0, vec![0])]),
            ]
        );
    }

    #[test]
    fn a_missing_spill_folder_is_an_external_error_with_a_remedy() {
        let mut buffer = TimeBuckets::new(10, 0, Some("/nonexistent/spill".into()));
        let e = buffer.push_by(batch(&[1], 0), "t").unwrap_err();
        assert_eq!(e.exit_code(), 1);
        assert_eq!(e.place(), Some("/nonexistent/spill"));
        assert!(e.remedy().is_some());
    }

    #[test]
    fn another_schema_is_refused() {
        let mut buffer = TimeBuckets::new(10, 0, None);
        buffer.push_by(batch(&[1], 0), "t").unwrap();
        let other = batch(&[1], 0).project(&[0, 1]).unwrap();
        assert!(buffer.push_by(other, "t").is_err());
        assert!(buffer.push(batch(&[1], 0), &[Some(1), Some(2)]).is_err());
    }

    #[test]
    fn rows_without_a_time_are_left_out() {
        let mut buffer = TimeBuckets::new(10, usize::MAX, None);
        buffer.push(batch(&[1, 2, 3], 0), &[Some(1), None, Some(3)]).unwrap();
        buffer.push(batch(&[1, 2], 3), &[None, None]).unwrap();
        buffer.push(batch(&[1, 2], 5), &[None, Some(2)]).unwrap();
        assert_eq!((buffer.rows(), ids(buffer.into_buckets().flatten())), (3, vec![0, 2, 6]));
    }
}
