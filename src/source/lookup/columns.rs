//! Which columns a lookup table has, and of which types.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::config::ColumnType;
use crate::error::{Error, Result};

fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The columns that were declared, in the order of their names.
pub(super) fn declared(columns: &BTreeMap<String, ColumnType>) -> Option<SchemaRef> {
    let data_type = |declared| match declared {
        ColumnType::Text => DataType::Utf8,
        ColumnType::Integer => DataType::Int64,
        ColumnType::Number => DataType::Float64,
        ColumnType::Boolean => DataType::Boolean,
        ColumnType::Timestamp => timestamp(),
        ColumnType::Date => DataType::Date32,
    };
    let fields: Vec<Field> = columns.iter().map(|(name, t)| Field::new(name, data_type(*t), true)).collect();
    (!fields.is_empty()).then(|| Arc::new(Schema::new(fields)))
}

/// The type that a stored one is read as: those of the product, so that a comparison needs no cast. `None` for lists and their like.
fn read_as(stored: &DataType) -> Option<DataType> {
    Some(match stored {
        DataType::Null | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::Dictionary(_, value) => return read_as(value),
        DataType::Float16 | DataType::Float32 | DataType::Float64 => DataType::Float64,
        DataType::Boolean => DataType::Boolean,
        DataType::Timestamp(_, _) => timestamp(),
        DataType::Date32 | DataType::Date64 => DataType::Date32,
        DataType::Decimal128(_, _) => stored.clone(),
        integer if integer.is_integer() => DataType::Int64,
        _ => return None,
    })
}

/// The columns of files, given those of each: every column once, and wide enough for all of them.
///
/// # Errors
/// User, if a column holds what is no plain value, at its file.
pub(super) fn inferred(name: &str, files: &[(String, Schema)]) -> Result<SchemaRef> {
    let mut columns: Vec<(String, DataType)> = Vec::new();
    for (file, schema) in files {
        for field in schema.fields() {
            let Some(data_type) = read_as(field.data_type()) else {
                return Err(Error::user(format!(
                    "the column {} holds {}, not plain values",
                    field.name(),
                    field.data_type()
                ))
                .at(file)
                .hint(format!("declare the columns to be read without it: [lookup.{name}.columns]")));
            };
            let is_empty = *field.data_type() == DataType::Null;
            match columns.iter_mut().find(|(known, _)| known == field.name()) {
                None if is_empty => columns.push((field.name().clone(), DataType::Null)),
                None => columns.push((field.name().clone(), data_type)),
                Some(_) if is_empty => {}
                Some((_, known)) => *known = both(known, data_type),
            }
        }
    }
    let field =
        |(name, t): (String, DataType)| Field::new(name, if t == DataType::Null { DataType::Utf8 } else { t }, true);
    Ok(Arc::new(Schema::new(columns.into_iter().map(field).collect::<Vec<_>>())))
}

fn both(known: &DataType, other: DataType) -> DataType {
    match (known, &other) {
        (DataType::Null, _) => other,
        (a, b) if *a == *b => other,
        (DataType::Int64, DataType::Float64) | (DataType::Float64, DataType::Int64) => DataType::Float64,
        _ => DataType::Utf8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(fields: &[(&str, DataType)]) -> (String, Schema) {
        let fields: Vec<Field> = fields.iter().map(|(n, t)| Field::new(*n, t.clone(), false)).collect();
        ("a.parquet".to_owned(), Schema::new(fields))
    }

    #[test]
    fn columns_of_several_files_are_wide_enough_for_all() {
        let a = file(&[("id", DataType::Int32), ("x", DataType::Null), ("t", DataType::Utf8View)]);
        let b = file(&[("id", DataType::Float32), ("x", DataType::Boolean), ("t", DataType::Int64)]);
        let schema = inferred("t", &[a, b]).unwrap();
        let types: Vec<_> = schema.fields().iter().map(|f| f.data_type().clone()).collect();
        assert_eq!(types, [DataType::Float64, DataType::Boolean, DataType::Utf8]);
        assert!(schema.fields().iter().all(|f| f.is_nullable()));
    }

    #[test]
    fn what_is_no_plain_value_is_refused_with_its_file() {
        let list = DataType::new_list(DataType::Utf8, true);
        let e = inferred("creators", &[file(&[("tags", list)])]).unwrap_err();
        assert_eq!((e.exit_code(), e.place()), (2, Some("a.parquet")));
        assert!(e.remedy().unwrap().contains("[lookup.creators.columns]"));
    }
}
