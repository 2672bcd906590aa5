//! The columns of a table whose files differ, and a file's rows in them.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch, RecordBatchOptions, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use chrono::{DateTime, Datelike, Timelike};
use futures::{StreamExt, TryStreamExt};

use super::failure::reason;
use crate::error::{Error, Result};
use crate::limits::QUERY_FOOTERS_MAX;
use crate::sink::lake::{Lake, LakeFile, TIME_COLUMN_KEY};
use crate::types::{MICROS_PER_DAY, Micros, floor_to};

/// The columns that a file's path spells out, in the order of its folders.
pub(super) const PATH_COLUMNS: [&str; 4] = ["year", "month", "day", "hour"];

/// The columns of a table.
#[derive(Debug)]
pub(super) struct TableColumns {
    /// Those of its files, all of which may be null, then [`PATH_COLUMNS`] as `Int32`.
    pub(super) schema: SchemaRef,
    /// The column that a file's hour is that of, if its files say so.
    pub(super) time: Option<String>,
}

impl TableColumns {
    /// What the files have, told by the newest of each day and the oldest of all: types and order are those of the newest, and older
    /// columns come behind. Without a file they are `known`.
    ///
    /// # Errors
    /// External if a footer cannot be read.
    pub(super) async fn of(lake: &Lake, files: &[LakeFile], known: Option<&SchemaRef>) -> Result<Self> {
        let chosen = samples(files).into_iter().cloned().map(|file| {
            let lake = lake.clone();
            async move { lake.open_file(&file).await.map(|open| Arc::clone(open.schema())) }
        });
        let mut schemas: Vec<SchemaRef> =
            futures::stream::iter(chosen).buffered(QUERY_FOOTERS_MAX).try_collect().await?;
        if schemas.is_empty() {
            schemas.extend(known.cloned());
        }
        Ok(Self { schema: merged(&schemas), time: time_column(&schemas) })
    }
}

/// The newest file of each day, newest day first, and the oldest file.
fn samples(files: &[LakeFile]) -> Vec<&LakeFile> {
    let mut days: BTreeMap<Micros, &LakeFile> = BTreeMap::new();
    for file in files {
        // They come by hour.
        days.insert(floor_to(file.hour, MICROS_PER_DAY), file);
    }
    let mut chosen: Vec<&LakeFile> = days.into_values().rev().collect();
    if let Some(oldest) = files.first().filter(|oldest| chosen.last() != Some(oldest)) {
        chosen.push(oldest);
    }
    chosen
}

fn merged(schemas: &[SchemaRef]) -> SchemaRef {
    let mut fields: Vec<FieldRef> = Vec::new();
    for field in schemas.iter().flat_map(|schema| schema.fields()) {
        if !fields.iter().any(|known| known.name() == field.name()) && !PATH_COLUMNS.contains(&field.name().as_str()) {
            fields.push(Arc::new(Field::new(field.name(), field.data_type().clone(), true)));
        }
    }
    fields.extend(PATH_COLUMNS.map(|name| Arc::new(Field::new(name, DataType::Int32, false))));
    Arc::new(Schema::new(fields))
}

/// The column that all of the files name.
fn time_column(schemas: &[SchemaRef]) -> Option<String> {
    let named = |schema: &SchemaRef| schema.metadata().get(TIME_COLUMN_KEY).cloned();
    let first = named(schemas.first()?)?;
    schemas.iter().all(|schema| named(schema).as_ref() == Some(&first)).then_some(first)
}

/// The value of one of [`PATH_COLUMNS`] in the folders of an hour.
pub(super) fn path_value(column: &str, hour: Micros) -> Option<i32> {
    let time = DateTime::from_timestamp_micros(hour)?;
    match column {
        "year" => Some(time.year()),
        "month" => i32::try_from(time.month()).ok(),
        "day" => i32::try_from(time.day()).ok(),
        "hour" => i32::try_from(time.hour()).ok(),
        _ => None,
    }
}

/// Brings rows of a file into columns of its table: what it lacks is null, another type is cast.
///
/// # Errors
/// A user error that names the file and the column, if a value is none of the table's type.
pub(super) fn adapt(rows: &RecordBatch, schema: &SchemaRef, hour: Micros, place: &str) -> Result<RecordBatch> {
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        columns.push(match (path_value(field.name(), hour), rows.column_by_name(field.name())) {
            (Some(value), _) => Arc::new(Int32Array::from_value(value, rows.num_rows())),
            (None, Some(values)) if values.data_type() == field.data_type() => Arc::clone(values),
            (None, Some(values)) => cast(values, field, place)?,
            (None, None) => new_null_array(field.data_type(), rows.num_rows()),
        });
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

fn cast(values: &ArrayRef, field: &Field, place: &str) -> Result<ArrayRef> {
    // A value that does not fit must not become null.
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(values, field.data_type(), &options).map_err(|e| {
        let (name, old, new) = (field.name(), values.data_type(), field.data_type());
        Error::user(format!("column {name} is {old} in this file and {new} in newer ones"))
            .at(place)
            .hint("leave the column out, or query the hours before and after its type changed apart")
            .because(reason(&e))
    })
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, Int64Array, StringArray};

    use super::*;
    use crate::types::{MICROS_PER_HOUR, parse_rfc3339};

    fn schema(columns: &[(&str, DataType)]) -> SchemaRef {
        Arc::new(Schema::new(columns.iter().map(|(n, t)| Field::new(*n, t.clone(), false)).collect::<Vec<_>>()))
    }

    fn file(hour: i64, name: &str) -> LakeFile {
        LakeFile { table: "t".into(), hour: hour * MICROS_PER_HOUR, path: name.into(), bytes: 1 }
    }

    #[test]
    fn each_day_is_sampled_by_its_newest_file() {
        let files = [file(0, "a"), file(0, "b"), file(5, "c"), file(30, "d"), file(31, "e")];
        let paths = |files: &[LakeFile]| samples(files).iter().map(|f| f.path.clone()).collect::<Vec<_>>();
        assert_eq!(paths(&files), ["e", "c", "a"]);
        assert_eq!(paths(&files[3..4]), ["d"]);
        assert!(paths(&[]).is_empty());
    }

    #[test]
    fn the_newest_type_counts_and_older_columns_stay() {
        let newest = schema(&[("a", DataType::Int64), ("b", DataType::Utf8)]);
        let oldest = schema(&[("gone", DataType::Boolean), ("a", DataType::Int32)]);
        let merged = merged(&[newest, oldest]);
        let names: Vec<_> = merged.fields().iter().map(|f| f.name().as_str()).collect();
        assert_eq!(names, ["a", "b", "gone", "year", "month", "day", "hour"]);
        assert_eq!(merged.field(0).data_type(), &DataType::Int64);
        assert!(merged.field(0).is_nullable() && !merged.field(3).is_nullable());
    }

    #[test]
    fn rows_of_an_older_file_fit_or_are_told() {
        let hour = parse_rfc3339("2026-01-31T18:00:00Z").unwrap();
        let numbers = RecordBatch::try_from_iter([("a", Arc::new(Int32Array::from(vec![1, 2])) as ArrayRef)]).unwrap();
        let table = schema(&[("hour", DataType::Int32), ("a", DataType::Int64), ("new", DataType::Utf8)]);
        let nullable = Arc::new(Schema::new(
            table.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect::<Vec<_>>(),
        ));
        let rows = adapt(&numbers, &nullable, hour, "f").unwrap();
        assert_eq!(rows.column(0).as_ref(), &Int32Array::from(vec![18, 18]));
        assert_eq!(rows.column(1).as_ref(), &Int64Array::from(vec![1, 2]));
        assert_eq!(rows.column(2).null_count(), 2);
        let text = RecordBatch::try_from_iter([("a", Arc::new(StringArray::from(vec!["x"])) as ArrayRef)]).unwrap();
        let e = adapt(&text, &nullable, hour, "l/f").unwrap_err();
        assert_eq!((e.exit_code(), e.place()), (2, Some("l/f")));
        assert!(e.message().contains("column a is Utf8 in this file and Int64"), "{e}");
        // Counting rows needs no column.
        let none = adapt(&numbers, &schema(&[]), hour, "f").unwrap();
        assert_eq!(none.num_rows(), 2);
    }
}
