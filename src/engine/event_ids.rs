//! The ids of a saved state: left out of it, and put back from the rows that have them.
//!
//! A busy stream has millions of ids within the horizon, 24 bytes each, which no compression makes less. The raw table has every one
//! of them: in a row with the shard's name and the high time at which it was judged. So a checkpoint says only how many there were,
//! and of which hours of event time their rows are.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use futures::{StreamExt, TryStreamExt, stream};

use super::job_state::JobState;
use super::judge::JudgeState;
use crate::error::{Error, Result};
use crate::limits::{EVENT_ID_BATCH_ROWS, EVENT_ID_FILES_MAX};
use crate::schema::{Contract, SHARD_HIGH_TIME, SHARD_ID};
use crate::sink::lake::{Lake, Move};
use crate::types::{Micros, ShardId};

/// Ids of a state that was taken up again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EventIds {
    /// As many as were left out.
    pub left_out: u64,
    /// As many as were found.
    pub found: u64,
    /// Files that were looked into.
    pub files: u64,
}

/// Leaves the ids out of a state whose rows are in the lake.
pub fn leave_out(state: &mut JobState) {
    judges(state).for_each(|(_, judge)| judge.ids().leave_out());
}

/// Puts them back, from the rows of the raw table of `contract`, and from those of it that are among files that are not at their places yet.
/// `horizon` is how long ids are remembered.
///
/// # Errors
/// External or transient if the lake cannot be read.
pub async fn put_back(
    state: &mut JobState,
    lake: &Lake,
    contract: &Contract,
    horizon: Micros,
    unmoved: &[Move],
) -> Result<EventIds> {
    let mut shards = Shards::default();
    let mut hours = Vec::new();
    for (shard, judge) in
        judges(state).filter_map(|(shard, judge)| (judge.ids().left_out() > 0).then_some((shard, judge)))
    {
        let (of_shard, since) = judge.rows_of_ids(horizon);
        hours.extend(of_shard);
        shards.0.insert(ShardId::clone(shard), (judge, since));
    }
    hours.sort_unstable();
    hours.dedup();
    let mut counted = EventIds {
        left_out: shards.0.values_mut().map(|(judge, _)| judge.ids().left_out()).sum(),
        ..Default::default()
    };
    let mut files = lake.waiting(contract.stream_name(), unmoved).await?;
    files.retain(|file| hours.contains(&file.hour));
    for hour in hours {
        files.extend(lake.list_hour(contract.stream_name(), hour).await?);
    }
    counted.files = files.len() as u64;
    let since = shards.0.values().map(|(_, since)| *since).min().unwrap_or(Micros::MAX);
    let columns = [contract.id_field(), SHARD_ID, SHARD_HIGH_TIME];
    let read = |file| async move {
        let mut rows = lake.rows_since(&file, &columns, (SHARD_HIGH_TIME, since), EVENT_ID_BATCH_ROWS).await?;
        let mut batches = Vec::new();
        while let Some(batch) = rows.next().await? {
            batches.push(batch);
        }
        Ok::<_, Error>(batches)
    };
    let mut reads = stream::iter(files).map(read).buffer_unordered(EVENT_ID_FILES_MAX);
    while let Some(batches) = reads.try_next().await? {
        batches.iter().try_for_each(|batch| shards.put_back(batch, contract.id_field()))?;
    }
    drop(reads);
    counted.found = shards.0.into_values().map(|(judge, _)| judge.ids().all_back()).sum();
    Ok(counted)
}

/// By shard: its judge, and the high time from which on its ids count.
#[derive(Default)]
struct Shards<'a>(BTreeMap<ShardId, (&'a mut JudgeState, Micros)>);

impl Shards<'_> {
    fn put_back(&mut self, rows: &RecordBatch, id_field: &str) -> Result<()> {
        let column = |name: &str| {
            rows.column_by_name(name).ok_or_else(|| Error::internal(format!("the column {name} was not read")))
        };
        let ids = column(id_field)?.as_string_opt::<i32>();
        let shards = column(SHARD_ID)?.as_string_opt::<i32>();
        let highs = column(SHARD_HIGH_TIME)?.as_primitive_opt::<TimestampMicrosecondType>();
        let (Some(ids), Some(shards), Some(highs)) = (ids, shards, highs) else {
            return Err(Error::external("files of the raw table have other types than the schema says"));
        };
        for row in 0..rows.num_rows() {
            let Some((judge, since)) = self.0.get_mut(shards.value(row)) else { continue };
            let high = highs.is_valid(row).then(|| highs.value(row));
            if high.is_none_or(|high| high >= *since) {
                judge.ids().put_back([(ids.value(row), high)]);
            }
        }
        Ok(())
    }
}

fn judges(state: &mut JobState) -> impl Iterator<Item = (&ShardId, &mut JudgeState)> {
    state.shards.iter_mut().filter_map(|(shard, at)| Some((shard, at.work.as_mut()?.intake.judge())))
}
