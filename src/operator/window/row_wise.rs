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
