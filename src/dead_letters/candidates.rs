//! Rows that a replay would add, until it is known which of them the lake has already.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::{concat_batches, filter_record_batch};
use tokio_util::sync::CancellationToken;
use xxhash_rust::xxh3::xxh3_128;

use super::replay::go_on;
use crate::backfill::TimeBuckets;
use crate::error::{Error, Result};
use crate::limits::{FILE_BATCH_ROWS, REPLAY_BUFFER_BYTES_MAX, REPLAY_JOIN_ROWS, REPLAY_ROWS_MAX};
use crate::schema::Contract;
use crate::sink::lake::{Lake, TableWriter, time_values};
use crate::types::{MICROS_PER_HOUR, Micros, floor_to};

/// Rows by hour, each id once: the first one stays. In memory are the ids, as 128-bit hashes, and some of the rows.
pub(super) struct Candidates {
    // Properties.
    contract: Arc<Contract>,
    // State.
    /// The hour of each id's row.
    ids: HashMap<u128, Micros>,
    rows: TimeBuckets,
    /// Rows of single letters, to be joined.
    small: Vec<RecordBatch>,
    small_rows: usize,
    duplicates: u64,
}

impl Candidates {
    /// None yet. What does not fit into memory goes to a file in `spill_dir`, or in the system's folder for temporary files.
    pub(super) fn new(contract: &Arc<Contract>, spill_dir: Option<PathBuf>) -> Self {
        Self {
            contract: Arc::clone(contract),
            ids: HashMap::new(),
            rows: TimeBuckets::new(MICROS_PER_HOUR, REPLAY_BUFFER_BYTES_MAX, spill_dir),
            small: Vec::new(),
            small_rows: 0,
            duplicates: 0,
        }
    }

    /// Puts the rows of a letter aside.
    ///
    /// # Errors
    /// User, if there are more than [`REPLAY_ROWS_MAX`]; external, if they cannot be put on disk.
    pub(super) fn add(&mut self, rows: RecordBatch) -> Result<()> {
        self.small_rows += rows.num_rows();
        self.small.push(rows);
        if self.small_rows >= REPLAY_JOIN_ROWS { self.join() } else { Ok(()) }
    }

    fn join(&mut self) -> Result<()> {
        let Some(first) = self.small.first() else { return Ok(()) };
        let rows = concat_batches(first.schema_ref(), &self.small)?;
        self.small.clear();
        self.small_rows = 0;
        let times = time_values(&rows, self.contract.time_field(), None)?;
        let hashes = hashes(&rows, self.contract.id_field())?;
        let mut kept = Vec::with_capacity(times.len());
        for (time, hash) in times.into_iter().zip(hashes) {
            let known = self.ids.len();
            self.ids.entry(hash).or_insert_with(|| floor_to(time, MICROS_PER_HOUR));
            let is_new = self.ids.len() > known;
            self.duplicates += u64::from(!is_new);
            kept.push(is_new.then_some(time));
        }
        if self.ids.len() > REPLAY_ROWS_MAX {
            return Err(Error::user(format!("more than {REPLAY_ROWS_MAX} rows would be added"))
                .hint("replay the letters in parts: by --from and --to, by --shard, or by --reason"));
        }
        self.rows.push(rows, &kept)
    }

    /// Leaves out what the raw table has already: rows whose id is there in the row's own hour, the one before, or the one after.
    ///
    /// # Errors
    /// External or transient, if the lake cannot be read, or to stop; user, if a file of the table has no ids.
    pub(super) async fn leave_out_known(&mut self, lake: &Lake, stop: &CancellationToken) -> Result<()> {
        self.join()?;
        let around = |hour: Micros| [hour.saturating_sub(MICROS_PER_HOUR), hour, hour.saturating_add(MICROS_PER_HOUR)];
        let hours: BTreeSet<Micros> = self.ids.values().copied().flat_map(around).collect();
        let id = self.contract.id_field();
        for hour in hours {
            for file in lake.list_hour(self.contract.stream_name(), hour).await? {
                let mut rows = lake.rows(&file, Some(&[id]), FILE_BATCH_ROWS).await?;
                while let Some(batch) = rows.next().await? {
                    go_on(stop)?;
                    for hash in hashes(&batch, id).map_err(|e| e.at(rows.place()))? {
                        if self.ids.get(&hash).is_some_and(|own| around(*own).contains(&hour)) {
                            self.ids.remove(&hash);
                            self.duplicates += 1;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Rows that are left.
    pub(super) fn len(&self) -> u64 {
        self.ids.len() as u64
    }

    /// Rows that were left out.
    pub(super) fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// The hours of the rows that are left.
    pub(super) fn hours(&self) -> BTreeSet<Micros> {
        self.ids.values().copied().collect()
    }

    /// Writes the rows that are left, hour by hour.
    ///
    /// # Errors
    /// External or transient, if the lake cannot be written, or to stop.
    pub(super) async fn write(self, to: &mut TableWriter, stop: &CancellationToken) -> Result<()> {
        let id = self.contract.id_field();
        for bucket in self.rows.into_buckets() {
            for batch in bucket {
                go_on(stop)?;
                let batch = batch?;
                let left: BooleanArray =
                    hashes(&batch, id)?.into_iter().map(|hash| Some(self.ids.contains_key(&hash))).collect();
                let rows = filter_record_batch(&batch, &left)?;
                if rows.num_rows() > 0 {
                    to.write(&rows).await?;
                }
            }
        }
        Ok(())
    }
}

fn hashes(rows: &RecordBatch, id: &str) -> Result<Vec<u128>> {
    let ids = rows.column_by_name(id).and_then(|column| column.as_string_opt::<i32>());
    let ids = ids.ok_or_else(|| Error::user(format!("column {id} is not text")))?;
    Ok(ids.iter().map(|id| xxh3_128(id.unwrap_or_default().as_bytes())).collect())
}
