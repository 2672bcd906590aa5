//! Which rows of a batch a windowed aggregate takes, and the columns that its expressions see.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{filter_record_batch, prep_null_mask_filter};
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::{Result, exec_datafusion_err};
use datafusion::physical_expr::PhysicalExpr;

use super::text_codes::TextCodes;
use super::texts::by_texts;

/// The `WHERE` below a windowed aggregate, and the projection between them.
///
/// A filter of its own would copy every column of the rows that it lets pass. Here most rows of a batch are told by their numbers, and
/// stay where they are; a few are copied.
#[derive(Debug, Clone)]
pub struct Selection {
    /// Of the rows that it is true for.
    pub predicate: Arc<dyn PhysicalExpr>,
    /// The columns that go on, by index; `None`: all.
    pub columns: Option<Vec<usize>>,
    /// What is computed of those; `None`: they are what the aggregate's expressions see.
    pub projection: Option<Projection>,
    /// Whether all of it and the aggregate's expressions can be evaluated on rows that are not selected: nothing fails there.
    pub is_total: bool,
}

/// Expressions, and the schema of their values.
pub type Projection = (Vec<Arc<dyn PhysicalExpr>>, SchemaRef);

impl Selection {
    /// The same, faster.
    pub(super) fn prepared(mut self, codes: &Arc<TextCodes>) -> Result<Self> {
        self.predicate = by_texts(&self.predicate, codes)?;
        if let Some((expressions, _)) = &mut self.projection {
            for expression in expressions {
                *expression = by_texts(expression, codes)?;
            }
        }
        Ok(self)
    }

    /// What the aggregate's expressions see of a batch, and which rows of it are selected; `None`: all.
    pub(super) fn select(&self, batch: &RecordBatch) -> Result<(RecordBatch, Option<BooleanBuffer>)> {
        let rows = batch.num_rows();
        let mask = self.predicate.evaluate(batch)?.into_array(rows)?;
        let mask = mask.as_boolean_opt().ok_or_else(|| exec_datafusion_err!("WHERE is of {}", mask.data_type()))?;
        let mask = if mask.nulls().is_some() { &prep_null_mask_filter(mask) } else { mask };
        let chosen = mask.true_count();
        let batch = self.columns.as_ref().map_or_else(|| Ok(batch.clone()), |columns| batch.project(columns))?;
        // Copying costs about as much for a row as computing what is not needed.
        let stay = self.is_total && chosen > rows / 2;
        let (batch, selected) = match chosen == rows {
            true => (batch, None),
            false if stay => (batch, Some(mask.values().clone())),
            false => (filter_record_batch(&batch, mask)?, None),
        };
        Ok((self.project(batch)?, selected))
    }

    fn project(&self, batch: RecordBatch) -> Result<RecordBatch> {
        let (Some((expressions, schema)), 1..) = (&self.projection, batch.num_rows()) else { return Ok(batch) };
        let column =
            |e: &Arc<dyn PhysicalExpr>| -> Result<ArrayRef> { e.evaluate(&batch)?.into_array(batch.num_rows()) };
        let columns = expressions.iter().map(column).collect::<Result<_>>()?;
        Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringArray};
    use arrow::datatypes::Int64Type;
    use datafusion::logical_expr::Operator;
    use datafusion::physical_expr::expressions::{binary, col, lit};

    use super::*;

    fn batch(kinds: &[Option<&str>]) -> RecordBatch {
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..kinds.len() as i64));
        let kinds: ArrayRef = Arc::new(StringArray::from(kinds.to_vec()));
        RecordBatch::try_from_iter([("kind", kinds), ("n", numbers)]).unwrap()
    }

    /// The numbers that are seen, and which of those are selected.
    fn selected(is_total: bool, batch: &RecordBatch) -> (Vec<i64>, Option<Vec<usize>>) {
        let schema = batch.schema();
        let predicate = binary(col("kind", &schema).unwrap(), Operator::Eq, lit("a"), &schema).unwrap();
        let only = Arc::new(schema.project(&[1]).unwrap());
        let projection = Some((vec![col("n", &only).unwrap()], only));
        let selection =
            Selection { predicate, columns: Some(vec![1]), projection, is_total }.prepared(&Arc::default()).unwrap();
        let (batch, selected) = selection.select(batch).unwrap();
        let numbers = match batch.num_rows() {
            0 => vec![],
            _ => batch.column(0).as_primitive::<Int64Type>().values().to_vec(),
        };
        (numbers, selected.map(|s| s.set_indices().collect()))
    }

    #[test]
    fn most_rows_stay_where_they_are_if_nothing_can_fail() {
        let most = batch(&[Some("a"), None, Some("a"), Some("b"), Some("a")]);
        assert_eq!(selected(true, &most), (vec![0, 1, 2, 3, 4], Some(vec![0, 2, 4])));
        assert_eq!(selected(false, &most), (vec![0, 2, 4], None));
    }

    #[test]
    fn a_few_rows_are_copied_and_all_are_the_batch() {
        assert_eq!(selected(true, &batch(&[Some("b"), None, Some("a"), Some("b")])), (vec![2], None));
        assert_eq!(selected(true, &batch(&[Some("b"), None])), (vec![], None));
        assert_eq!(selected(true, &batch(&[Some("a"), Some("a")])), (vec![0, 1], None));
    }
}
