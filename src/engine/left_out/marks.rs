//! The marks of sessions and streams that wait to be resolved: of each event of a stream that was in time for a window of `CONCURRENCY` which
//! was open. So a state says only since when, and of how many events they were. Those of shards come back where shards meet, where they would
//! have gone.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, Scalar, TimestampMicrosecondArray, new_null_array};
use arrow::compute::filter_record_batch;
use arrow::compute::kernels::cmp::gt_eq;
use arrow::datatypes::{FieldRef, Schema, TimestampMicrosecondType};

use super::from_rows::FromRows;
use super::raw_rows::RawRows;
use crate::engine::job_state::JobState;
use crate::engine::pipelines::Pipelines;
use crate::error::{Error, Result};
use crate::operator::concurrency::{Concurrency, ShardMarks};
use crate::types::Micros;

/// The time by which marks are put into buckets.
const EVENT_TIME: &str = "event_time";

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
    let schema = pipelines.contract.events_schema();
    let schema = schema.project(&columns.iter().map(|name| schema.index_of(name)).collect::<Result<Vec<_>, _>>()?)?;
    let mut found = 0;
    let take = |batch: &RecordBatch| {
        let events = whole(&since(batch, left_out.since)?, &schema)?;
        found += presence.put_marks_back(&events, rule, &dimensions)?;
        Ok(())
    };
    let files = rows.read(hours, &columns, (EVENT_TIME, left_out.since), take).await?;
    presence.marks_are_back();
    Ok(FromRows { left_out: left_out.events, found, files })
}

/// The rows of this time or later.
fn since(batch: &RecordBatch, since: Micros) -> Result<RecordBatch> {
    let times = batch.column_by_name(EVENT_TIME).and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>());
    let times = times.ok_or_else(|| Error::external("files of the raw table have other types than the schema says"))?;
    let since = TimestampMicrosecondArray::from(vec![since]).with_timezone_opt(times.timezone());
    Ok(filter_record_batch(batch, &gt_eq(times, &Scalar::new(since))?)?)
}

/// Rows with all columns of `schema`: those of files that are older than a column have nothing in it.
fn whole(batch: &RecordBatch, schema: &Schema) -> Result<RecordBatch> {
    let column = |field: &FieldRef| match batch.column_by_name(field.name()) {
        Some(column) => Arc::clone(column),
        None => new_null_array(field.data_type(), batch.num_rows()),
    };
    let fields: Vec<FieldRef> =
        schema.fields().iter().map(|field| Arc::new(field.as_ref().clone().with_nullable(true))).collect();
    let columns = fields.iter().map(column).collect();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, ArrayRef, StringArray};
    use arrow::datatypes::{DataType, Field};

    use super::*;

    #[test]
    fn rows_of_older_files_have_nothing_in_newer_columns() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
        let rows = RecordBatch::try_from_iter([("old", texts)]).unwrap();
        let field = |name: &str| Field::new(name, DataType::Utf8, false);
        let rows = whole(&rows, &Schema::new(vec![field("new"), field("old")])).unwrap();
        assert_eq!(rows.column(0).null_count(), 2);
        assert_eq!(rows.column(1).as_string::<i32>().value(1), "b");
    }
}
