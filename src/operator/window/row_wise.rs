//! Aggregates that come with an accumulator of rows only, as `PERCENTILE` does: one for each group.
//!
//! DataFusion's adapter does the same, but looks at the rows of each group in turn, also where a filter lets few of them pass.

use std::sync::Arc;

use arrow::array::{ArrayRef, UInt32Array, new_empty_array};
use arrow::compute::take_arrays;
use datafusion::common::{Result, ScalarValue, internal_datafusion_err};
use datafusion::logical_expr::Accumulator;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;

use super::accumulators::RowsAccumulator;
use super::inputs::RowGroups;

/// The accumulators of all groups. State: that of each.
pub(super) struct RowWise {
    aggregate: Arc<AggregateFunctionExpr>,
    groups: Vec<Box<dyn Accumulator>>,
    /// Memory of all of them.
    bytes: usize,
}

impl RowWise {
    pub(super) fn new(aggregate: Arc<AggregateFunctionExpr>) -> Self {
        Self { aggregate, groups: Vec::new(), bytes: 0 }
    }

    fn announce(&mut self, groups_total: usize) -> Result<()> {
        while self.groups.len() < groups_total {
            let accumulator = self.aggregate.create_accumulator()?;
            self.bytes += accumulator.size();
            self.groups.push(accumulator);
        }
        Ok(())
    }

    /// Gives each group its rows, in their order, all at once.
    fn give(
        &mut self,
        columns: &[ArrayRef],
        rows: &RowGroups,
        give: impl Fn(&mut dyn Accumulator, &[ArrayRef]) -> Result<()>,
    ) -> Result<()> {
        let mut order: Vec<(usize, u32)> = rows.groups.iter().copied().zip(rows.rows.iter().copied()).collect();
        order.sort_unstable();
        let numbers = UInt32Array::from_iter_values(order.iter().map(|(_, row)| *row));
        let columns = take_arrays(columns, &numbers, None)?;
        let mut from = 0;
        for of_group in order.chunk_by(|a, b| a.0 == b.0) {
            let accumulator = of_group.first().and_then(|(group, _)| self.groups.get_mut(*group));
            let accumulator = accumulator.ok_or_else(|| internal_datafusion_err!("a group was not announced"))?;
            let before = accumulator.size();
            let its: Vec<ArrayRef> = columns.iter().map(|column| column.slice(from, of_group.len())).collect();
            give(accumulator.as_mut(), &its)?;
            self.bytes = (self.bytes + accumulator.size()).saturating_sub(before);
            from += of_group.len();
        }
        Ok(())
    }
}

impl RowsAccumulator for RowWise {
    fn update(&mut self, columns: &[ArrayRef], rows: &RowGroups, groups_total: usize) -> Result<()> {
        self.announce(groups_total)?;
        if rows.rows.is_empty() {
            return Ok(());
        }
        self.give(columns, rows, |accumulator, columns| accumulator.update_batch(columns))
    }

    fn merge(&mut self, states: &[ArrayRef], groups: &[usize], groups_total: usize) -> Result<()> {
        self.announce(groups_total)?;
        let rows = RowGroups { rows: (0..groups.len() as u32).collect(), groups: groups.to_vec() };
        self.give(states, &rows, |accumulator, states| accumulator.merge_batch(states))
    }

    fn evaluate(&mut self) -> Result<ArrayRef> {
        self.bytes = 0;
        let mut groups = std::mem::take(&mut self.groups);
        if groups.is_empty() {
            return Ok(new_empty_array(self.aggregate.field().data_type()));
        }
        let values = groups.iter_mut().map(|accumulator| accumulator.evaluate()).collect::<Result<Vec<_>>>()?;
        ScalarValue::iter_to_array(values)
    }

    fn state(&mut self) -> Result<Vec<ArrayRef>> {
        self.bytes = 0;
        let mut groups = std::mem::take(&mut self.groups);
        let fields = self.aggregate.state_fields()?;
        if groups.is_empty() {
            return Ok(fields.iter().map(|field| new_empty_array(field.data_type())).collect());
        }
        let mut columns: Vec<Vec<ScalarValue>> = fields.iter().map(|_| Vec::with_capacity(groups.len())).collect();
        for accumulator in &mut groups {
            columns.iter_mut().zip(accumulator.state()?).for_each(|(column, value)| column.push(value));
        }
        columns.into_iter().map(ScalarValue::iter_to_array).collect()
    }

    fn bytes(&self) -> usize {
        self.bytes + self.groups.capacity() * size_of::<Box<dyn Accumulator>>()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray, Int64Array};
    use arrow::datatypes::{DataType, Field, Int64Type, Schema};
    use datafusion::functions_aggregate::array_agg::array_agg_udaf;
    use datafusion::logical_expr::AggregateUDF;
    use datafusion::physical_expr::PhysicalExpr;
    use datafusion::physical_expr::aggregate::AggregateExprBuilder;
    use datafusion::physical_expr::expressions::{col, lit};

    use super::*;
    use crate::operator::percentile::percentile;

    fn of(function: Arc<AggregateUDF>, more: Vec<Arc<dyn PhysicalExpr>>) -> RowWise {
        let schema = Arc::new(Schema::new(vec![Field::new("x", DataType::Int64, true)]));
        let args = [vec![col("x", &schema).unwrap()], more].concat();
        let aggregate = AggregateExprBuilder::new(function, args).schema(schema).alias("a").build().unwrap();
        RowWise::new(Arc::new(aggregate))
    }

    fn medians() -> RowWise {
        of(percentile(), vec![lit(0.5)])
    }

    fn numbers(values: &[Option<i64>]) -> Vec<ArrayRef> {
        let fraction = arrow::array::Float64Array::from_value(0.5, values.len());
        vec![Arc::new(Int64Array::from(values.to_vec())), Arc::new(fraction)]
    }

    /// (row, group)
    fn rows(rows: &[(u32, usize)]) -> RowGroups {
        RowGroups { rows: rows.iter().map(|(row, _)| *row).collect(), groups: rows.iter().map(|(_, g)| *g).collect() }
    }

    fn values(rows: &mut RowWise) -> Vec<Option<i64>> {
        rows.evaluate().unwrap().as_primitive::<Int64Type>().iter().collect()
    }

    #[test]
    fn each_group_has_its_rows_and_no_others() {
        let mut medians = medians();
        // Row 1 did not pass the filter; nothing is in group 1 yet, and a null alone in group 3.
        let batch = numbers(&[Some(5), Some(99), Some(1), Some(7), None, Some(3)]);
        medians.update(&batch, &rows(&[(0, 2), (2, 0), (3, 2), (4, 3), (5, 2)]), 4).unwrap();
        medians.update(&numbers(&[Some(4)]), &rows(&[]), 5).unwrap();
        medians.update(&numbers(&[Some(4)]), &rows(&[(0, 2)]), 5).unwrap();
        assert_eq!(values(&mut medians), [Some(1), None, Some(4), None, None]);
        assert!(values(&mut medians).is_empty(), "emitting empties it");
    }

    #[test]
    fn rows_of_a_group_keep_their_order() {
        let mut lists = of(array_agg_udaf(), vec![]);
        let batch = [numbers(&[Some(3), Some(1), Some(2), Some(9), Some(0)]).remove(0)];
        lists.update(&batch, &rows(&[(0, 1), (1, 0), (2, 1), (3, 0), (4, 1)]), 2).unwrap();
        let lists = lists.evaluate().unwrap();
        let list = |i| lists.as_list::<i32>().value(i).as_primitive::<Int64Type>().values().to_vec();
        assert_eq!((list(0), list(1)), (vec![1, 9], vec![3, 2, 0]));
    }

    #[test]
    fn states_go_to_the_groups_that_they_are_merged_into() {
        let (mut one, mut other) = (medians(), medians());
        one.update(&numbers(&[Some(1), Some(2), Some(8)]), &rows(&[(0, 0), (1, 1), (2, 0)]), 3).unwrap();
        other.update(&numbers(&[Some(6), Some(3)]), &rows(&[(0, 0), (1, 0)]), 1).unwrap();
        let state = one.state().unwrap();
        assert_eq!(state.iter().map(|column| column.len()).collect::<Vec<_>>(), [3]);
        // Two groups of the one are one group of the other; the third has no rows.
        other.merge(&state, &[0, 1, 0], 2).unwrap();
        assert_eq!(values(&mut other), [Some(3), Some(2)]);
        assert!(values(&mut one).is_empty());
        assert_eq!(one.state().unwrap().iter().map(|column| column.len()).sum::<usize>(), 0);
    }

    #[test]
    fn memory_is_that_of_all_groups_and_given_back() {
        let mut medians = medians();
        assert_eq!(medians.bytes(), 0);
        let many: Vec<Option<i64>> = (0..1_000).map(Some).collect();
        let all: Vec<(u32, usize)> = (0..1_000).map(|row| (row, row as usize % 10)).collect();
        medians.update(&numbers(&many), &rows(&all), 10).unwrap();
        let once = medians.bytes();
        assert!(once >= 8_000, "{once} bytes of a thousand numbers");
        medians.update(&numbers(&many), &rows(&all), 10).unwrap();
        assert!(medians.bytes() >= once + 8_000, "{} bytes of twice as many", medians.bytes());
        medians.evaluate().unwrap();
        assert_eq!(medians.bytes(), 0);
    }

    #[test]
    fn a_row_of_a_group_that_was_not_announced_is_an_error() {
        let refused = medians().update(&numbers(&[Some(1)]), &rows(&[(0, 1)]), 1).unwrap_err();
        assert!(refused.to_string().contains("a group was not announced"), "{refused}");
    }
}
