//! The last step of a window's rows: the table's schema, the revision, the order.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array};
use arrow::compute::{SortColumn, SortOptions, cast, concat_batches, lexsort_to_indices, take_record_batch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;

use super::file::PipelineFile;
use super::places::Places;
use crate::error::{Error, Result};
use crate::schema::{REVISION, WINDOW_END, WINDOW_START};

/// Columns that readers of the lake take from its folders' names.
const PARTITIONS: [&str; 4] = ["year", "month", "day", "hour"];

/// The shape of a pipeline's table.
#[derive(Debug)]
pub(super) struct Output {
    query: SchemaRef,
    table: SchemaRef,
    revision_index: usize,
    keys: Vec<usize>,
    sort: Vec<usize>,
}

impl Output {
    /// Checks the query's columns and adds `revision`.
    pub(super) fn try_new(file: &PipelineFile, places: &Places, query: &SchemaRef) -> Result<Self> {
        let columns = query.fields().len();
        let mut seen = std::collections::HashSet::new();
        for (i, field) in query.fields().iter().enumerate() {
            let name = field.name();
            let refused = |reason: &str, remedy: &str| {
                Err(Error::user(format!("the column {name} {reason}"))
                    .at(places.column(file, i, columns, name))
                    .hint(remedy))
            };
            if !is_column_name(name) {
                return refused(
                    "has no usable name",
                    "give it one with AS: lower-case letters, digits and underscores",
                );
            }
            if PARTITIONS.contains(&name.as_str()) {
                let remedy = "rename it with AS: readers take year, month, day and hour from the folders' names";
                return refused("is one of the lake's own", remedy);
            }
            if name == REVISION || !seen.insert(name.as_str()) {
                return refused("is there twice", "rename one with AS (revision is added by Headcount)");
            }
            if let Some(remedy) = not_stored(field.data_type()) {
                return refused("has a type that no table can hold", remedy);
            }
        }
        for name in [WINDOW_START, WINDOW_END] {
            match query.field_with_name(name) {
                Ok(f) if matches!(f.data_type(), DataType::Timestamp(_, _)) => {}
                _ => {
                    return Err(Error::user(format!("the query does not select {name}"))
                        .at(places.select(file))
                        .hint("select window_start and window_end: the table is partitioned by them"));
                }
            }
        }
        let mut fields: Vec<Arc<Field>> = query.fields().iter().map(|f| Arc::new(table_field(f))).collect();
        let revision_index = query.index_of(WINDOW_END)? + 1;
        fields.insert(revision_index, Arc::new(Field::new(REVISION, DataType::Int32, false)));
        let table = Arc::new(Schema::new(fields));
        let mut keys = Vec::new();
        for key in &file.header.keys {
            keys.push(table.index_of(key).map_err(|_| {
                Error::user(format!("the header names the key {key}, which the query does not select"))
                    .at(file.at_key("keys"))
                    .hint("take it out of keys, or select it")
            })?);
        }
        let mut sort = vec![table.index_of(WINDOW_START)?];
        sort.extend(&keys);
        Ok(Self { query: Arc::clone(query), table, revision_index, keys, sort })
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.table
    }

    /// Position of a column in the table.
    pub(super) fn column(&self, name: &str) -> Option<usize> {
        self.table.index_of(name).ok()
    }

    pub(super) fn key_columns(&self) -> &[usize] {
        &self.keys
    }

    /// One sorted batch with the table's schema.
    pub(super) fn finish(&self, batches: &[RecordBatch], revision: i32) -> Result<RecordBatch> {
        let all = concat_batches(&self.query, batches)?;
        let mut columns: Vec<ArrayRef> = all.columns().to_vec();
        columns.insert(self.revision_index, Arc::new(Int32Array::from_value(revision, all.num_rows())));
        for (column, field) in columns.iter_mut().zip(self.table.fields()) {
            if column.data_type() != field.data_type() {
                *column = cast(column, field.data_type())?;
            }
        }
        let batch = RecordBatch::try_new(Arc::clone(&self.table), columns)?;
        if batch.num_rows() < 2 {
            return Ok(batch);
        }
        let by: Vec<SortColumn> = self
            .sort
            .iter()
            .map(|&i| SortColumn {
                values: Arc::clone(batch.column(i)),
                options: Some(SortOptions { descending: false, nulls_first: true }),
            })
            .collect();
        Ok(take_record_batch(&batch, &lexsort_to_indices(&by, None)?)?)
    }
}

/// The lake's types: times as microseconds in UTC, counts signed, text as `Utf8`, no metadata of ours.
fn table_field(field: &Field) -> Field {
    let data_type = match field.data_type() {
        DataType::Timestamp(_, _) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => DataType::Int64,
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        other => other.clone(),
    };
    Field::new(field.name(), data_type, field.is_nullable())
}

/// What to write instead of a column of this type, if no table of the lake can hold it.
fn not_stored(data_type: &DataType) -> Option<&'static str> {
    match data_type {
        DataType::Union(_, _) => Some(
            "say which type it has: JSON_VALUE(…, '$.…') for text, json_get_int(…), json_get_float(…), json_get_bool(…)",
        ),
        DataType::Interval(_) => Some("write it as a number of seconds: EXTRACT(EPOCH FROM …)"),
        DataType::Map(_, _) => Some("select its values as columns of their own"),
        DataType::List(item) | DataType::LargeList(item) => not_stored(item.data_type()),
        _ => None,
    }
}

fn is_column_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}
