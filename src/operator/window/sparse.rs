//! Arguments of an aggregate that are computed, where its filter lets few rows pass: for those rows alone.

use std::sync::Arc;

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::take_arrays;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, Literal};

/// Of as many rows of a batch as this one is computed: copying the columns that an expression reads costs about as much as a simple
/// expression does.
const ROWS_PER_ROW: usize = 4;

/// Expressions over a few columns of a batch.
#[derive(Debug)]
pub(super) struct Sparse {
    expressions: Vec<Arc<dyn PhysicalExpr>>,
    /// What they read, by index in the batch.
    columns: Vec<usize>,
}

impl Sparse {
    /// None if there is nothing to compute.
    pub(super) fn of(expressions: &[Arc<dyn PhysicalExpr>]) -> Result<Option<Self>> {
        if expressions.iter().all(|e| e.is::<Column>() || e.is::<Literal>()) {
            return Ok(None);
        }
        let mut columns: Vec<usize> = Vec::new();
        let mut reads = |e: Arc<dyn PhysicalExpr>| {
            let Some(column) = e.downcast_ref::<Column>() else { return Ok(Transformed::no(e)) };
            let known = columns.iter().position(|index| *index == column.index());
            let place = known.unwrap_or_else(|| {
                columns.push(column.index());
                columns.len() - 1
            });
            Ok(Transformed::yes(Arc::new(Column::new(column.name(), place)) as _))
        };
        let expressions = expressions.iter().map(|e| Arc::clone(e).transform_up(&mut reads).data());
        let expressions = expressions.collect::<Result<_>>()?;
        Ok(Some(Self { expressions, columns }))
    }

    /// Whether so few rows of so many are worth it.
    pub(super) fn suits(rows: usize, of: usize) -> bool {
        rows < of / ROWS_PER_ROW
    }

    /// The values for the rows of these numbers: one for each of them.
    pub(super) fn evaluate(&self, batch: &RecordBatch, numbers: &[u32]) -> Result<Vec<ArrayRef>> {
        let numbers = UInt32Array::from(numbers.to_vec());
        let columns: Vec<ArrayRef> = self.columns.iter().map(|index| Arc::clone(batch.column(*index))).collect();
        let schema = Arc::new(batch.schema().project(&self.columns)?);
        let rows = RecordBatchOptions::new().with_row_count(Some(numbers.len()));
        let rows = RecordBatch::try_new_with_options(schema, take_arrays(&columns, &numbers, None)?, &rows)?;
        self.expressions.iter().map(|e| e.evaluate(&rows)?.into_array(rows.num_rows())).collect()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Int64Array, StringArray};
    use arrow::datatypes::Int64Type;
    use datafusion::logical_expr::Operator;
    use datafusion::physical_expr::expressions::{binary, col, lit};

    use super::*;

    #[test]
    fn values_of_some_rows_are_those_that_all_rows_have() {
        let numbers = |n: i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values((0..5).map(|i| i * n))) };
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c", "d", "e"]));
        let batch = RecordBatch::try_from_iter([("a", numbers(1)), ("t", texts), ("b", numbers(10))]).unwrap();
        let schema = batch.schema();
        let sum = binary(col("b", &schema).unwrap(), Operator::Plus, col("a", &schema).unwrap(), &schema).unwrap();
        let sparse = Sparse::of(&[sum, col("a", &schema).unwrap(), lit(7_i64)]).unwrap().unwrap();
        let values = sparse.evaluate(&batch, &[1, 4]).unwrap();
        let values: Vec<_> = values.iter().map(|v| v.as_primitive::<Int64Type>().values().to_vec()).collect();
        assert_eq!(values, [[11, 44], [1, 4], [7, 7]]);
        assert_eq!(sparse.columns, [2, 0], "columns that nobody reads are not copied");
        assert!(Sparse::of(&[col("t", &schema).unwrap(), lit(1_i64)]).unwrap().is_none());
    }
}
