//! The marks of sessions and streams that wait to be resolved: of each event of a stream that was in time for a window of `CONCURRENCY` which
//! was open. So a state says only since when, and of how many events they were. Those of shards come back where shards meet, where they would
//! have gone.

use arrow::array::{AsArray, RecordBatch, Scalar, TimestampMicrosecondArray};
use arrow::compute::filter_record_batch;
use arrow::compute::kernels::cmp::gt_eq;
use arrow::datatypes::TimestampMicrosecondType;

use super::from_rows::FromRows;
use super::raw_rows::RawRows;
use crate::engine::job_state::JobState;
use crate::engine::pipelines::Pipelines;
use crate::error::{Error, Result};
use crate::operator::concurrency::{Concurrency, ShardMarks};
use crate::types::Micros;

/// Leaves the marks out of a state.
pub(super) fn leave_out(state: &mut JobState) {
    if let Some((presence, in_shards)) = state.presence() {
        presence.leave_marks_out(in_shards);
    }
}

/// Puts them back.
pub(super) async fn put_back(state: &mut JobState, rows: &RawRows<'_>, pipelines: &Pipelines) -> Result<FromRows> {
    let Some((presence, _)) = state.presence() else { return Ok(FromRows::default()) };
    let Some(left_out) = presence.left_out() else { return Ok(FromRows::default()) };
    let dimensions = Concurrency::dimension_names(&pipelines.queries);
    let columns = ShardMarks::columns(&dimensions);
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    let (rule, hours) = (pipelines.base_rule(), presence.hours_left_out());
    let time = pipelines.contract.time_field();
    let mut found = 0;
    let take = |batch: &RecordBatch| {
        found += presence.put_marks_back(&since(batch, time, left_out.since)?, rule, &dimensions)?;
        Ok(())
    };
    let files = rows.read(hours, &columns, (time, left_out.since), take).await?;
    presence.marks_are_back();
    Ok(FromRows { left_out: left_out.events, found, files })
}

/// The rows of this time or later.
fn since(batch: &RecordBatch, time: &str, since: Micros) -> Result<RecordBatch> {
    let times = batch.column_by_name(time).and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
    let times = times.ok_or_else(|| Error::external("files of the raw table have other types than the schema says"))?;
    let since = TimestampMicrosecondArray::from(vec![since]).with_timezone_opt(times.timezone());
    Ok(filter_record_batch(batch, &gt_eq(times, &Scalar::new(since))?)?)
}
