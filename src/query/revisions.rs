//! Which rows of an hour a later revision has replaced.
//!
//! A window's rows are all in its hour. So before an hour is read, the keys of its rows of revision 1 and later are gathered, which are
//! those that late events have changed; mostly there are none, and the bounds of `revision` in the footers say so.

use std::collections::{BTreeMap, HashMap};

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Field, FieldRef, Int32Type, Schema, SchemaRef};
use arrow::row::{RowConverter, SortField};
use datafusion::execution::memory_pool::MemoryReservation;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;
use std::sync::Arc;

use super::columns::adapt;
use super::table::{TableShape, WINDOW};
use crate::error::{Error, Result};
use crate::limits::QUERY_BATCH_ROWS;
use crate::schema::REVISION;
use crate::sink::lake::OpenFile;
use crate::types::Micros;

/// What an entry of a hash table costs beside its key, in bytes.
const ENTRY_BYTES: usize = 64;

/// The rows of an hour that stand.
pub(super) struct Standing {
    /// The key columns, then `revision`.
    schema: SchemaRef,
    converter: RowConverter,
    /// The last revision by key, of the keys that have one after 0.
    last: HashMap<Box<[u8]>, i32>,
    memory: MemoryReservation,
}

impl Standing {
    /// Reads the keys of revised rows of an hour's files. None if there are none, so that every row stands.
    ///
    /// # Errors
    /// External if a file cannot be read; what the memory pool says, if there are too many.
    pub(super) async fn of(
        files: &[OpenFile],
        hour: Micros,
        table: &TableShape,
        memory: MemoryReservation,
    ) -> Result<Option<Self>> {
        let schema = key_schema(files, table)?;
        let sort: Vec<SortField> =
            key_fields(&schema).iter().map(|field| SortField::new(field.data_type().clone())).collect();
        let mut standing = Self { converter: RowConverter::new(sort)?, schema, last: HashMap::new(), memory };
        for file in files {
            let groups = file.metadata().row_groups().iter().enumerate();
            let groups: Vec<usize> = groups.filter(|(_, group)| may_revise(group)).map(|(i, _)| i).collect();
            if groups.is_empty() {
                continue;
            }
            let mut rows = file.rows(Some(&standing.columns()), groups, QUERY_BATCH_ROWS)?;
            while let Some(batch) = rows.next().await? {
                standing.gather(&adapt(&batch, &standing.schema, hour, file.place())?)?;
            }
        }
        Ok(Some(standing).filter(|standing| !standing.last.is_empty()))
    }

    /// The columns that must be read to tell.
    pub(super) fn columns(&self) -> Vec<&str> {
        self.schema.fields().iter().map(|field| field.name().as_str()).collect()
    }

    fn gather(&mut self, rows: &RecordBatch) -> Result<()> {
        let revisions = revisions(rows)?;
        let revised: BooleanArray = revisions.iter().map(|revision| Some(*revision > 0)).collect();
        if revised.true_count() == 0 {
            return Ok(());
        }
        let rows = filter_record_batch(rows, &revised)?;
        let revisions = self::revisions(&rows)?;
        let keys = self.keys(&rows)?;
        for (key, revision) in keys.iter().zip(revisions) {
            let key = key.as_ref();
            match self.last.get_mut(key) {
                Some(last) => *last = revision.max(*last),
                None => {
                    self.memory.try_grow(key.len() + ENTRY_BYTES)?;
                    self.last.insert(key.into(), revision);
                }
            }
        }
        Ok(())
    }

    /// The rows of `rows`, which must have the [columns](Self::columns) as the hour's file has them, that no later one has replaced.
    ///
    /// # Errors
    /// As [`adapt`].
    pub(super) fn keep(&self, rows: &RecordBatch, hour: Micros, place: &str) -> Result<RecordBatch> {
        let keyed = adapt(rows, &self.schema, hour, place)?;
        let keys = self.keys(&keyed)?;
        let stands = |(key, revision): (arrow::row::Row<'_>, i32)| {
            self.last.get(key.as_ref()).is_none_or(|last| revision >= *last)
        };
        let stands: BooleanArray = keys.iter().zip(revisions(&keyed)?).map(stands).map(Some).collect();
        Ok(filter_record_batch(rows, &stands)?)
    }

    fn keys(&self, rows: &RecordBatch) -> Result<arrow::row::Rows> {
        let keys = rows.columns().get(..key_fields(&self.schema).len()).unwrap_or_default();
        Ok(self.converter.convert_columns(keys)?)
    }
}

fn revisions(rows: &RecordBatch) -> Result<Vec<i32>> {
    let column = rows.column_by_name(REVISION).and_then(|column| column.as_primitive_opt::<Int32Type>());
    let column = column.ok_or_else(|| Error::internal("rows of windows without a revision"))?;
    Ok(column.iter().map(Option::unwrap_or_default).collect())
}

fn key_fields(schema: &Schema) -> &[FieldRef] {
    let fields: &[FieldRef] = schema.fields();
    fields.split_last().map_or(&[], |(_, keys)| keys)
}

/// The bounds of the window and what else the hour's files are sorted by, then `revision`: a file is sorted by its pipeline's keys.
fn key_schema(files: &[OpenFile], table: &TableShape) -> Result<SchemaRef> {
    let mut names: BTreeMap<usize, &str> = BTreeMap::new();
    let mut add = |name: &str| {
        if let Some((index, field)) = table.schema.column_with_name(name) {
            names.insert(index, field.name());
        }
    };
    WINDOW.iter().for_each(|name| add(name));
    for file in files {
        let leaves = file.metadata().file_metadata().schema_descr().columns();
        let sorted = file.metadata().row_groups().first().and_then(|group| group.sorting_columns());
        for column in sorted.into_iter().flatten() {
            let leaf = usize::try_from(column.column_idx).ok().and_then(|index| leaves.get(index));
            leaf.iter().for_each(|leaf| add(leaf.name()));
        }
    }
    let of = |name: &str| table.schema.field_with_name(name).map(|field| Arc::new(Field::clone(field)));
    let keys = names.into_values().filter(|name| *name != REVISION).map(of);
    let fields = keys.chain([of(REVISION)]).collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(Schema::new(fields)))
}

/// Whether a row group may have a row of revision 1 or later.
fn may_revise(group: &RowGroupMetaData) -> bool {
    let column = group.columns().iter().find(|column| column.column_path().string() == REVISION);
    match column.and_then(|column| column.statistics()) {
        Some(Statistics::Int32(revisions)) => revisions.max_opt().is_none_or(|max| *max > 0),
        // It has none, or has not counted them.
        _ => column.is_some(),
    }
}
