//! The columns that wait between the passes.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, make_array, new_null_array};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;

use crate::engine::Pipelines;
use crate::error::Result;
use crate::schema::{Contract, SHARD_ID};

/// Which columns of the events go through the buckets. Where no raw rows are written, that is those which a query reads: a fraction of an
/// event, so that hardly anything has to wait on disk. Behind the buckets a batch has all columns again, the others blank.
#[derive(Debug)]
pub(super) struct WaitingColumns {
    schema: SchemaRef,
    /// Positions of those that wait; all of them if `None`.
    kept: Option<Vec<usize>>,
}

impl WaitingColumns {
    /// All columns, or what the pipelines read.
    pub(super) fn of(pipelines: &Pipelines, raw: bool) -> Result<Self> {
        let schema = pipelines.contract.events_schema();
        if raw {
            return Ok(Self { schema, kept: None });
        }
        let read = pipelines.event_columns()?;
        let kept =
            schema.fields().iter().enumerate().filter(|(_, f)| read.contains(f.name())).map(|(i, _)| i).collect();
        Ok(Self { schema, kept: Some(kept) })
    }

    /// Whether somebody reads the texts of a column: who judges events goes by their ids, each shard's by themselves.
    pub(super) fn have_text(&self, column: &str, contract: &Contract) -> bool {
        let waits = |kept: &Vec<usize>| kept.iter().any(|&i| self.schema.field(i).name() == column);
        self.kept.as_ref().is_none_or(waits) || column == contract.id_field() || column == SHARD_ID
    }

    /// Leaves the others behind.
    pub(super) fn narrow(&self, events: RecordBatch) -> Result<RecordBatch> {
        match &self.kept {
            Some(kept) => Ok(events.project(kept)?),
            None => Ok(events),
        }
    }

    /// Puts blanks in their places: nulls, or empty values where the contract has no nulls.
    pub(super) fn widen(&self, narrow: RecordBatch) -> Result<RecordBatch> {
        let Some(kept) = &self.kept else { return Ok(narrow) };
        let rows = narrow.num_rows();
        let mut columns: Vec<Option<ArrayRef>> = vec![None; self.schema.fields().len()];
        for (i, column) in kept.iter().zip(narrow.columns()) {
            columns[*i] = Some(Arc::clone(column));
        }
        let fields = self.schema.fields().iter();
        let whole = fields.zip(columns).map(|(f, c)| match c {
            Some(column) => Ok(column),
            None => blank(f.data_type(), f.is_nullable(), rows),
        });
        Ok(RecordBatch::try_new(Arc::clone(&self.schema), whole.collect::<Result<_>>()?)?)
    }
}

fn blank(data_type: &DataType, nullable: bool, rows: usize) -> Result<ArrayRef> {
    let nulls = new_null_array(data_type, rows);
    if nullable {
        return Ok(nulls);
    }
    // What lies below a null is a zero or an empty text.
    Ok(make_array(nulls.to_data().into_builder().nulls(None).build()?))
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringArray};
    use arrow::datatypes::{Field, Schema};

    use super::*;

    #[test]
    fn what_is_not_read_comes_back_blank_in_its_place() {
        let field = |name, kind, nullable| Field::new(name, kind, nullable);
        let schema = Arc::new(Schema::new(vec![
            field("id", DataType::Utf8, false),
            field("n", DataType::Int64, false),
            field("must", DataType::Int64, false),
            field("may", DataType::Utf8, true),
        ]));
        let texts = || Arc::new(StringArray::from(vec!["a", "b"])) as ArrayRef;
        let numbers = |n: [i64; 2]| Arc::new(Int64Array::from_iter_values(n)) as ArrayRef;
        let columns = vec![texts(), numbers([1, 2]), numbers([3, 4]), texts()];
        let events = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();

        let waiting = WaitingColumns { schema: Arc::clone(&schema), kept: Some(vec![1]) };
        let narrow = waiting.narrow(events.clone()).unwrap();
        assert_eq!(narrow, events.project(&[1]).unwrap());
        let blanks: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from(vec!["", ""])),
            numbers([1, 2]),
            numbers([0, 0]),
            Arc::new(StringArray::from(vec![None::<&str>, None])),
        ];
        assert_eq!(waiting.widen(narrow).unwrap(), RecordBatch::try_new(Arc::clone(&schema), blanks).unwrap());

        let all = WaitingColumns { schema, kept: None };
        assert_eq!(all.widen(all.narrow(events.clone()).unwrap()).unwrap(), events);
    }
}
