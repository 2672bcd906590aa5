//! Rows of any Parquet file of events, brought into the events schema: by name, losslessly or not at all.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType};

use crate::error::{Error, Result};
use crate::types::{CALENDAR_FIRST, CALENDAR_LAST, ShardId};

/// Columns that a file may leave out although every row must have them: the reader knows them as well.
const SHARD_ID: &str = "shard_id";
const SEQUENCE_NUMBER: &str = "sequence_number";
const SUB_SEQUENCE_NUMBER: &str = "sub_sequence_number";

/// How to make batches of the events schema out of one file's batches.
///
/// | the file's column | becomes |
/// |---|---|
/// | of the wanted type | itself |
/// | text in another layout, integers of another width, timestamps of another unit or zone | cast, if every value survives it; a timestamp without zone is taken as UTC |
/// | missing, may be null | nulls |
/// | missing `shard_id`, `sequence_number`, `sub_sequence_number` | the shard's name, the row's number in the shard from 1, 0 |
/// | missing otherwise, or anything else | the user's error, with file and column |
/// | not in the events schema | left out |
pub(super) struct Adapter {
    events: SchemaRef,
    columns: Vec<Column>,
    name: String,
    shard: ShardId,
}

enum Column {
    FromFile,
    Nulls,
    Shard,
    RowNumber,
    Zero,
}

impl Adapter {
    /// Checks a file's schema against the events schema.
    pub(super) fn new(name: &str, file: &Schema, events: SchemaRef, shard: ShardId) -> Result<Self> {
        let mut columns = Vec::new();
        for field in events.fields() {
            columns.push(match (file.field_with_name(field.name()), field.name().as_str()) {
                (Ok(found), _) if castable(found.data_type(), field.data_type()) => Column::FromFile,
                (Ok(found), _) => return Err(misfit(name, field, found.data_type())),
                (Err(_), SHARD_ID) => Column::Shard,
                (Err(_), SEQUENCE_NUMBER) => Column::RowNumber,
                (Err(_), SUB_SEQUENCE_NUMBER) => Column::Zero,
                (Err(_), _) if field.is_nullable() => Column::Nulls,
                (Err(_), _) => {
                    let error = Error::user(format!("the file has no column {}", field.name())).at(name);
                    return Err(error.hint("every event must have it"));
                }
            });
        }
        Ok(Self { events, columns, name: name.to_owned(), shard })
    }

    /// A batch of the events schema. The batch's first row is row `first_row` of the shard, from 1.
    pub(super) fn adapt(&self, batch: &RecordBatch, first_row: u64) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.columns.len());
        for (column, field) in self.columns.iter().zip(self.events.fields()) {
            arrays.push(match column {
                Column::Nulls => new_null_array(field.data_type(), rows),
                Column::Shard => Arc::new(StringArray::from_iter_values(std::iter::repeat_n(&*self.shard, rows))),
                Column::RowNumber => {
                    let numbers = (first_row..).take(rows).map(|n| n.to_string());
                    Arc::new(StringArray::from_iter_values(numbers))
                }
                Column::Zero => Arc::new(Int64Array::from_value(0, rows)),
                Column::FromFile => self.cast(batch, field)?,
            });
        }
        RecordBatch::try_new(self.events.clone(), arrays)
            .map_err(|e| Error::user("the file's rows do not fit the event contract").at(&self.name).because(e))
    }

    fn cast(&self, batch: &RecordBatch, field: &Field) -> Result<ArrayRef> {
        let Some(array) = batch.column_by_name(field.name()) else {
            return Err(Error::internal(format!("column {} was not read", field.name())).at(&self.name));
        };
        if !field.is_nullable() && array.logical_null_count() > 0 {
            let message = format!("column {} has nulls, but every event must have it", field.name());
            return Err(Error::user(message).at(&self.name));
        }
        if array.data_type() == field.data_type() {
            return self.in_calendar(array.clone(), field);
        }
        // Not safe: a value that does not fit is an error, not a null.
        let options = CastOptions { safe: false, ..CastOptions::default() };
        let lossy = || misfit(&self.name, field, array.data_type());
        let cast = cast_with_options(array, field.data_type(), &options).map_err(|e| lossy().because(e))?;
        // Nanoseconds are the one pair where a cast rounds instead of failing.
        if matches!(array.data_type(), DataType::Timestamp(TimeUnit::Nanosecond, _)) {
            let back = cast_with_options(&cast, array.data_type(), &options).map_err(|e| lossy().because(e))?;
            if *back != **array {
                return Err(lossy());
            }
        }
        self.in_calendar(cast, field)
    }

    /// Times are held to the years 1 to 9999, as in JSON: arithmetic on them cannot overflow then.
    fn in_calendar(&self, array: ArrayRef, field: &Field) -> Result<ArrayRef> {
        if let DataType::Timestamp(TimeUnit::Microsecond, _) = field.data_type() {
            let times = array.as_primitive::<TimestampMicrosecondType>();
            if let Some(t) = times.iter().flatten().find(|t| !(CALENDAR_FIRST..=CALENDAR_LAST).contains(t)) {
                let message = format!("column {} holds {t} µs, which is no time of the years 1 to 9999", field.name());
                return Err(Error::user(message).at(&self.name).hint("leave that row out, or mend its time"));
            }
        }
        Ok(array)
    }
}

fn misfit(name: &str, field: &Field, found: &DataType) -> Error {
    let message = format!("column {} is {found} and does not fit {} without loss", field.name(), field.data_type());
    Error::user(message).at(name).hint("write the file with the types of the event contract")
}

/// Whether values of one type may be cast to another without a change of meaning; whether each value fits is seen then.
fn castable(from: &DataType, to: &DataType) -> bool {
    let text = |t: &DataType| {
        matches!(t, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
            || matches!(t, DataType::Binary | DataType::LargeBinary | DataType::BinaryView)
    };
    match (from, to) {
        _ if from == to => true,
        (DataType::Null, _) => true,
        (DataType::Dictionary(_, value), _) => castable(value, to),
        (DataType::Timestamp(..), DataType::Timestamp(..)) => true,
        _ => (from.is_integer() && to.is_integer()) || (text(from) && *to == DataType::Utf8),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{
        AsArray, DictionaryArray, Float64Array, LargeStringArray, StringViewArray, TimestampMillisecondArray,
        TimestampNanosecondArray, UInt64Array,
    };
    use arrow::datatypes::{Int32Type, TimestampMicrosecondType};

    use super::*;

    fn events() -> SchemaRef {
        Arc::new(Schema::new(vec![
            Field::new("event_id", DataType::Utf8, false),
            Field::new("event_time", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
            Field::new("played_ms", DataType::Int32, true),
            Field::new("shard_id", DataType::Utf8, false),
            Field::new("sequence_number", DataType::Utf8, false),
            Field::new("sub_sequence_number", DataType::Int64, false),
        ]))
    }

    fn adapt(columns: Vec<(&str, ArrayRef)>) -> Result<RecordBatch> {
        let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap();
        Adapter::new("f.parquet", &batch.schema(), events(), "s1".into())?.adapt(&batch, 7)
    }

    fn ids() -> (&'static str, ArrayRef) {
        ("event_id", Arc::new(StringArray::from(vec!["a", "b"])))
    }

    fn texts(batch: &RecordBatch, column: &str) -> Vec<String> {
        batch.column_by_name(column).unwrap().as_string::<i32>().iter().map(|v| v.unwrap().to_owned()).collect()
    }

    #[test]
    fn missing_columns_are_null_or_known_by_the_reader() {
        let got = adapt(vec![ids(), ("extra", Arc::new(Int64Array::from(vec![1, 2])))]).unwrap();
        assert_eq!(got.schema(), events());
        assert_eq!(got.column(2).null_count(), 2);
        assert_eq!(texts(&got, "shard_id"), ["s1", "s1"]);
        assert_eq!(texts(&got, "sequence_number"), ["7", "8"]);
        let carried = adapt(vec![ids(), ("shard_id", Arc::new(StringArray::from(vec!["x", "y"])))]).unwrap();
        assert_eq!(texts(&carried, "shard_id"), ["x", "y"]);
    }

    #[test]
    fn types_are_cast_where_nothing_is_lost() {
        for ids in [
            Arc::new(LargeStringArray::from(vec!["a", "b"])) as ArrayRef,
            Arc::new(StringViewArray::from(vec!["a", "b"])),
            Arc::new(vec!["a", "b"].into_iter().collect::<DictionaryArray<Int32Type>>()),
        ] {
            assert_eq!(texts(&adapt(vec![("event_id", ids)]).unwrap(), "event_id"), ["a", "b"]);
        }
        for times in [
            Arc::new(TimestampMillisecondArray::from(vec![1, 2])) as ArrayRef,
            Arc::new(TimestampMillisecondArray::from(vec![1, 2]).with_timezone("+05:00")),
            Arc::new(TimestampNanosecondArray::from(vec![1_000_000, 2_000_000]).with_timezone("UTC")),
        ] {
            let got = adapt(vec![ids(), ("event_time", times)]).unwrap();
            assert_eq!(got.column(1).as_primitive::<TimestampMicrosecondType>().values(), &[1_000, 2_000]);
        }
        let got = adapt(vec![ids(), ("played_ms", Arc::new(UInt64Array::from(vec![3, 4])))]).unwrap();
        assert_eq!(got.column(2).as_primitive::<Int32Type>().values(), &[3, 4]);
    }

    #[test]
    fn loss_is_an_error_that_names_file_and_column() {
        let cases: Vec<(&str, ArrayRef)> = vec![
            ("played_ms", Arc::new(UInt64Array::from(vec![3, 1 << 40]))),
            ("played_ms", Arc::new(Float64Array::from(vec![3.0, 4.0]))),
            ("event_time", Arc::new(TimestampNanosecondArray::from(vec![1, 2]))),
            ("event_time", Arc::new(Int64Array::from(vec![1, 2]))),
            ("sequence_number", Arc::new(StringArray::from(vec![Some("1"), None]))),
        ];
        for (name, array) in cases {
            let e = adapt(vec![ids(), (name, array)]).unwrap_err();
            assert_eq!((e.exit_code(), e.place()), (2, Some("f.parquet")));
            assert!(e.message().contains(name), "{e}");
        }
        assert!(adapt(vec![("extra", ids().1)]).unwrap_err().message().contains("event_id"));
    }
}
