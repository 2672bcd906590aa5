//! Which hours, and which row groups of a file, cannot hold a row that a filter lets through.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int32Array, TimestampMicrosecondArray, UInt64Array};
use arrow::compute::cast;
use arrow::datatypes::SchemaRef;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, ScalarValue};
use datafusion::physical_optimizer::pruning::PruningPredicate;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::bloom_filter::Sbbf;
use parquet::file::metadata::RowGroupMetaData;

use super::columns::path_value;
use super::table::TableShape;
use crate::error::Result;
use crate::sink::lake::OpenFile;
use crate::types::{MICROS_PER_HOUR, Micros};

/// What is known of hours by their folders alone.
#[derive(Debug)]
pub(super) struct HourStatistics<'a> {
    /// The table.
    pub(super) table: &'a TableShape,
    /// Starts of the hours.
    pub(super) hours: &'a [Micros],
}

impl HourStatistics<'_> {
    /// The `at`th microsecond of each hour, where the column is the one that files are filed by; the folders' value of one of theirs.
    fn bound(&self, column: &Column, at: Micros) -> Option<ArrayRef> {
        if self.table.time.as_deref() == Some(column.name()) {
            let times = self.hours.iter().map(|hour| hour.saturating_add(at));
            let times: ArrayRef = Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"));
            let field = self.table.schema.field_with_name(column.name()).ok()?;
            return cast(&times, field.data_type()).ok();
        }
        path_values(column, self.hours)
    }
}

fn path_values(column: &Column, hours: &[Micros]) -> Option<ArrayRef> {
    let values: Option<Vec<i32>> = hours.iter().map(|hour| path_value(column.name(), *hour)).collect();
    values.map(|values| Arc::new(Int32Array::from(values)) as ArrayRef)
}

impl PruningStatistics for HourStatistics<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bound(column, 0)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bound(column, MICROS_PER_HOUR - 1)
    }

    fn num_containers(&self) -> usize {
        self.hours.len()
    }

    fn null_counts(&self, _column: &Column) -> Option<ArrayRef> {
        None
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        None
    }

    fn contained(&self, _column: &Column, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}

/// The row groups of a file that may hold a row that the filter lets through.
///
/// # Errors
/// External if a bloom filter cannot be read.
pub(super) async fn row_groups(
    file: &OpenFile,
    hour: Micros,
    table: &SchemaRef,
    predicate: Option<&PruningPredicate>,
) -> Result<Vec<usize>> {
    let all: Vec<usize> = (0..file.metadata().num_row_groups()).collect();
    let Some(predicate) = predicate else { return Ok(all) };
    let by_bounds = GroupStatistics { file, hour, table, groups: all, filters: Vec::new() };
    let left = by_bounds.kept(predicate)?;
    if left.is_empty() {
        return Ok(left);
    }
    // Only what equals something can be looked up.
    let mut filters = Vec::new();
    for column in predicate.literal_columns() {
        let Some(index) = leaf_of(file, &column).filter(|_| same_type(file, table, &column)) else { continue };
        let mut of_groups = Vec::with_capacity(left.len());
        for group in &left {
            of_groups.push(file.bloom_filter(*group, index).await?);
        }
        filters.push((column, of_groups));
    }
    GroupStatistics { groups: left, filters, ..by_bounds }.kept(predicate)
}

fn leaf_of(file: &OpenFile, column: &str) -> Option<usize> {
    let columns = file.metadata().file_metadata().schema_descr().columns().iter();
    columns.enumerate().find(|(_, leaf)| leaf.path().string() == column).map(|(index, _)| index)
}

/// Whether a file has a column with the table's type: another's bounds may be in another order, and its filter of other bytes.
fn same_type(file: &OpenFile, table: &SchemaRef, column: &str) -> bool {
    match (file.schema().field_with_name(column), table.field_with_name(column)) {
        (Ok(own), Ok(table)) => own.data_type() == table.data_type(),
        _ => false,
    }
}

/// What a footer says of row groups, and their bloom filters.
struct GroupStatistics<'a> {
    file: &'a OpenFile,
    hour: Micros,
    table: &'a SchemaRef,
    groups: Vec<usize>,
    filters: Vec<(String, Vec<Option<Sbbf>>)>,
}

impl GroupStatistics<'_> {
    fn kept(&self, predicate: &PruningPredicate) -> Result<Vec<usize>> {
        let kept = predicate.prune(self)?;
        Ok(self.groups.iter().zip(kept).filter(|(_, kept)| *kept).map(|(group, _)| *group).collect())
    }

    fn metadata(&self) -> impl Iterator<Item = &RowGroupMetaData> {
        self.groups.iter().filter_map(|group| self.file.metadata().row_groups().get(*group))
    }

    fn converter(&self, column: &Column) -> Option<StatisticsConverter<'_>> {
        let parquet = self.file.metadata().file_metadata().schema_descr();
        let same = same_type(self.file, self.table, column.name());
        same.then(|| StatisticsConverter::try_new(column.name(), self.file.schema(), parquet).ok())?
    }

    fn path_values(&self, column: &Column) -> Option<ArrayRef> {
        path_values(column, &vec![self.hour; self.groups.len()])
    }
}

impl PruningStatistics for GroupStatistics<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        let of_file = || self.converter(column)?.row_group_mins(self.metadata()).ok();
        self.path_values(column).or_else(of_file)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        let of_file = || self.converter(column)?.row_group_maxes(self.metadata()).ok();
        self.path_values(column).or_else(of_file)
    }

    fn num_containers(&self) -> usize {
        self.groups.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        if path_value(column.name(), self.hour).is_none() && self.file.schema().field_with_name(column.name()).is_err()
        {
            // What the file lacks is null in every row.
            return self.row_counts();
        }
        // A count that was not written is not a count of none.
        let converter = self.converter(column)?.with_missing_null_counts_as_zero(false);
        converter.row_group_null_counts(self.metadata()).ok().map(|counts| Arc::new(counts) as ArrayRef)
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        let counts = self.metadata().map(|group| u64::try_from(group.num_rows()).ok());
        Some(Arc::new(UInt64Array::from_iter(counts)))
    }

    fn contained(&self, column: &Column, values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        let (_, filters) = self.filters.iter().find(|(name, _)| name == column.name())?;
        let may_be = |filter: &Sbbf| {
            values.iter().any(|value| match value {
                ScalarValue::Utf8(Some(text))
                | ScalarValue::LargeUtf8(Some(text))
                | ScalarValue::Utf8View(Some(text)) => filter.check(&text.as_str()),
                // Of other types the product writes none.
                _ => true,
            })
        };
        // A filter can say no, and never yes.
        let answer = |filter: &Option<Sbbf>| filter.as_ref().is_some_and(|filter| !may_be(filter)).then_some(false);
        Some(filters.iter().map(answer).collect())
    }
}
