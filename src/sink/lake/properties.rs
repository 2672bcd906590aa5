//! How a table's columns are encoded, derived from its Arrow schema and its [`TableSpec`].
//!
//! Encoding is the most expensive step of the whole product, and most of it is avoidable: dictionaries of values that never repeat, and minima of strings
//! that nobody prunes by. So statistics are kept for times and the table's pruning columns only, and unique values skip the dictionary.
//! Everything stays readable by old readers: format version 1.0, timestamps as microseconds in UTC.

use arrow::datatypes::{DataType, Schema};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;

use super::spec::TableSpec;
use crate::limits::LAKE_ROW_GROUP_BYTES_MAX;

/// Key of a file's metadata whose value names the column that the file's hour is that of.
pub const TIME_COLUMN_KEY: &str = "headcount.time_column";

/// Writer properties of a table. `sorted` says that the rows of every file come sorted by the table's sort columns.
pub(super) fn writer_properties(spec: &TableSpec, schema: &Schema, level: ZstdLevel, sorted: bool) -> WriterProperties {
    let mut builder = WriterProperties::builder()
        .set_writer_version(WriterVersion::PARQUET_1_0)
        .set_compression(Compression::ZSTD(level))
        .set_statistics_enabled(EnabledStatistics::None)
        .set_dictionary_enabled(true)
        .set_offset_index_disabled(false)
        .set_max_row_group_row_count(None)
        .set_max_row_group_bytes(Some(LAKE_ROW_GROUP_BYTES_MAX))
        .set_created_by(concat!("headcount version ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_key_value_metadata(Some(vec![
            KeyValue::new("headcount.table".to_owned(), spec.name.clone()),
            KeyValue::new("headcount.schema_version".to_owned(), spec.schema_version.clone()),
            KeyValue::new(TIME_COLUMN_KEY.to_owned(), spec.time_column.clone()),
        ]));
    for field in schema.fields() {
        let name = field.name();
        let is_time = matches!(field.data_type(), DataType::Timestamp(..));
        if is_time && spec.end_column.is_none() {
            // Instants hardly repeat; bounds of windows do.
            builder = builder.set_column_dictionary_enabled(ColumnPath::from(name.as_str()), false);
        }
        if is_time || spec.pruning_columns.contains(name) {
            builder = builder.set_column_statistics_enabled(ColumnPath::from(name.as_str()), EnabledStatistics::Page);
        }
        if spec.unique_columns.contains(name) {
            builder = builder.set_column_dictionary_enabled(ColumnPath::from(name.as_str()), false);
            if matches!(
                field.data_type(),
                DataType::Utf8 | DataType::Binary | DataType::LargeUtf8 | DataType::LargeBinary
            ) {
                let path = ColumnPath::from(name.as_str());
                builder = builder.set_column_encoding(path, Encoding::DELTA_LENGTH_BYTE_ARRAY);
            }
        }
        if spec.lookup_columns.contains(name) {
            builder = builder.set_column_bloom_filter_enabled(ColumnPath::from(name.as_str()), true);
        }
    }
    if sorted {
        builder = builder.set_sorting_columns(Some(sorting_columns(spec, schema)));
    }
    builder.build()
}

/// The table's sort columns as Parquet metadata. All columns of this product's tables are flat, so a field's index is its leaf's.
fn sorting_columns(spec: &TableSpec, schema: &Schema) -> Vec<SortingColumn> {
    let index = |name: &String| schema.index_of(name).ok().and_then(|i| i32::try_from(i).ok());
    let sorted = |column_idx| SortingColumn { column_idx, descending: false, nulls_first: true };
    spec.sort_columns.iter().filter_map(index).map(sorted).collect()
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{Field, TimeUnit};

    use super::*;

    #[test]
    fn columns_are_encoded_by_what_they_are_for() {
        let schema = Schema::new(vec![
            Field::new("event_id", DataType::Utf8, false),
            Field::new("stream_id", DataType::Utf8, true),
            Field::new("event_time", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
            Field::new("country", DataType::Utf8, true),
        ]);
        let mut spec = TableSpec::new("user_events", "event_time", "a");
        spec.lookup_columns = vec!["event_id".into()];
        spec.sort_columns = vec!["stream_id".into(), "not_there".into()];
        let p = writer_properties(&spec, &schema, ZstdLevel::default(), true);
        let path = |name: &str| ColumnPath::from(name);
        assert_eq!(p.statistics_enabled(&path("event_time")), EnabledStatistics::Page);
        assert_eq!(p.statistics_enabled(&path("stream_id")), EnabledStatistics::Page);
        assert_eq!(p.statistics_enabled(&path("country")), EnabledStatistics::None);
        assert!(!p.dictionary_enabled(&path("event_id")) && p.dictionary_enabled(&path("country")));
        assert!(!p.dictionary_enabled(&path("event_time")), "instants hardly repeat");
        assert_eq!(p.encoding(&path("event_id")), Some(Encoding::DELTA_LENGTH_BYTE_ARRAY));
        assert!(p.bloom_filter_properties(&path("event_id")).is_some());
        assert_eq!(p.sorting_columns().map(Vec::len), Some(1));
        assert_eq!(p.writer_version(), WriterVersion::PARQUET_1_0);
    }

    #[test]
    fn bounds_of_windows_repeat() {
        let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let schema = Schema::new(vec![Field::new("window_start", time, false)]);
        let spec = TableSpec::windows("revenue", "a", vec![]);
        let p = writer_properties(&spec, &schema, ZstdLevel::default(), true);
        assert!(p.dictionary_enabled(&ColumnPath::from("window_start")));
    }
}
