//! Revision 1 of a window: the groups that late rows changed.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, UInt32Array, new_null_array};
use arrow::compute::{cast, concat_batches, take_record_batch};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use arrow::row::{RowConverter, Rows, SortField};

use crate::error::Result;
use crate::schema::{REVISION, WINDOW_END, WINDOW_START};

/// Rows of `revised` that `emitted` does not have in the same words, and a row of zeros for each key that vanished.
///
/// `keys` are the key columns' positions; the window's are added. `revised` carries the new revision number.
pub fn changed_rows(emitted: &RecordBatch, revised: &RecordBatch, keys: &[usize]) -> Result<RecordBatch> {
    let schema = revised.schema();
    let mut key_columns = keys.to_vec();
    for name in [WINDOW_START, WINDOW_END] {
        key_columns.push(schema.index_of(name)?);
    }
    let revision = schema.index_of(REVISION)?;
    let all: Vec<usize> = (0..schema.fields().len()).filter(|i| *i != revision).collect();
    let (old_keys, new_keys) = rows(emitted, revised, &key_columns)?;
    let (old_rows, new_rows) = rows(emitted, revised, &all)?;
    let old: HashMap<_, _> = old_keys.iter().enumerate().map(|(i, k)| (k.owned(), i)).collect();
    let mut still_there = vec![false; emitted.num_rows()];
    let mut changed = Vec::new();
    for (i, key) in new_keys.iter().enumerate() {
        match old.get(&key.owned()) {
            Some(&was) => {
                still_there[was] = true;
                if old_rows.row(was) != new_rows.row(i) {
                    changed.push(i as u32);
                }
            }
            None => changed.push(i as u32),
        }
    }
    let vanished: Vec<u32> = (0..emitted.num_rows()).filter(|i| !still_there[*i]).map(|i| i as u32).collect();
    let changed = take_record_batch(revised, &UInt32Array::from(changed))?;
    if vanished.is_empty() {
        return Ok(changed);
    }
    let gone = take_record_batch(emitted, &UInt32Array::from(vanished))?;
    Ok(concat_batches(&schema, [&changed, &zeros(&gone, &key_columns, revision)?])?)
}

fn rows(a: &RecordBatch, b: &RecordBatch, columns: &[usize]) -> Result<(Rows, Rows)> {
    let fields = columns.iter().map(|i| SortField::new(a.column(*i).data_type().clone())).collect();
    let converter = RowConverter::new(fields)?;
    let of = |batch: &RecordBatch| -> Result<Rows> {
        let arrays: Vec<ArrayRef> = columns.iter().map(|i| Arc::clone(batch.column(*i))).collect();
        Ok(converter.convert_columns(&arrays)?)
    };
    Ok((of(a)?, of(b)?))
}

/// The keys of `gone` with counts of zero, and revision 1; what is no number is null, if it may be.
fn zeros(gone: &RecordBatch, keys: &[usize], revision: usize) -> Result<RecordBatch> {
    let schema: SchemaRef = gone.schema();
    let n = gone.num_rows();
    let constant = |value: i64, to: &DataType| -> Result<ArrayRef> {
        Ok(cast(&arrow::array::Int64Array::from_value(value, n), to)?)
    };
    let columns = schema
        .fields()
        .iter()
        .enumerate()
        .map(|(i, f)| match f.data_type() {
            _ if keys.contains(&i) => Ok(Arc::clone(gone.column(i))),
            t if i == revision => constant(1, t),
            DataType::Int64 | DataType::Int32 => constant(0, f.data_type()),
            t if t.is_floating() && !f.is_nullable() => constant(0, t),
            t if f.is_nullable() => Ok(new_null_array(t, n)),
            _ => Ok(Arc::clone(gone.column(i))),
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(schema, columns)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int32Array, Int64Array, StringArray, TimestampMicrosecondArray};
    use arrow::datatypes::{Field, Schema, TimeUnit};

    fn batch(revision: i32, rows: &[(&str, i64)]) -> RecordBatch {
        let time = |name| Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false);
        let schema = Arc::new(Schema::new(vec![
            time("window_start"),
            time("window_end"),
            Field::new("revision", DataType::Int32, false),
            Field::new("k", DataType::Utf8, true),
            Field::new("n", DataType::Int64, false),
        ]));
        let n = rows.len();
        let at = |t: i64| Arc::new(TimestampMicrosecondArray::from_value(t, n).with_timezone("UTC")) as ArrayRef;
        RecordBatch::try_new(
            schema,
            vec![
                at(0),
                at(60),
                Arc::new(Int32Array::from_value(revision, n)),
                Arc::new(StringArray::from_iter_values(rows.iter().map(|r| r.0))),
                Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.1))),
            ],
        )
        .unwrap()
    }

    #[test]
    fn changed_new_and_vanished_groups_are_emitted() {
        let old = batch(0, &[("a", 1), ("b", 2), ("c", 3)]);
        let new = batch(1, &[("a", 1), ("b", 5), ("d", 1)]);
        assert_eq!(changed_rows(&old, &new, &[3]).unwrap(), batch(1, &[("b", 5), ("d", 1), ("c", 0)]));
    }
}
