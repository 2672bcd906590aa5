//! The ids of events: in a row of the raw table each, with the shard's name and the high time at which it was judged. So a state says only
//! how many there were, and of which hours of event time their rows are.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;

use super::from_rows::FromRows;
use super::raw_rows::RawRows;
use crate::engine::job_state::JobState;
use crate::engine::judge::JudgeState;
use crate::error::{Error, Result};
use crate::schema::{SHARD_HIGH_TIME, SHARD_ID};
use crate::types::{Micros, ShardId};

/// Leaves the ids out of a state.
pub(super) fn leave_out(state: &mut JobState) {
    judges(state).for_each(|(_, judge)| judge.ids().leave_out());
}

/// Puts them back. `horizon` is how long ids are remembered.
pub(super) async fn put_back(
    state: &mut JobState,
    rows: &RawRows<'_>,
    id_field: &str,
    horizon: Micros,
) -> Result<FromRows> {
    let mut shards = Shards::default();
    let mut hours = Vec::new();
    for (shard, judge) in
        judges(state).filter_map(|(shard, judge)| (judge.ids().left_out() > 0).then_some((shard, judge)))
    {
        let (of_shard, since) = judge.rows_of_ids(horizon);
        hours.extend(of_shard);
        shards.0.insert(ShardId::clone(shard), (judge, since));
    }
    let left_out = shards.0.values_mut().map(|(judge, _)| judge.ids().left_out()).sum();
    let since = shards.0.values().map(|(_, since)| *since).min().unwrap_or(Micros::MAX);
    let columns = [id_field, SHARD_ID, SHARD_HIGH_TIME];
    let files = rows.read(hours, &columns, (SHARD_HIGH_TIME, since), |batch| shards.put_back(batch, id_field)).await?;
    let found = shards.0.into_values().map(|(judge, _)| judge.ids().all_back()).sum();
    Ok(FromRows { left_out, found, files })
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
