//! Aggregates that want their rows in order, as `NTH_VALUE(x, n ORDER BY y)` does.
//!
//! Within DataFusion's plans such an aggregate is fed from a sort. Rows of a window come as they are read, and from several shards: they
//! are kept, and sorted when the window is complete. (`FIRST_VALUE`, `ARRAY_AGG` and the like look for their order themselves.)

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, ListArray, NullArray, StructArray, UInt32Array, UInt64Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{SortColumn, SortOptions, concat, lexsort_to_indices, take_arrays};
use arrow::datatypes::{DataType, Field};
use datafusion::common::{Result, ScalarValue, internal_err, not_impl_err};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;

/// The rows of all groups. State: one column, for each group the list of its rows, as structs of the arguments and then the columns of
/// the order; a column of NULL if there is no row at all.
#[derive(Debug)]
pub(super) struct Ordered {
    aggregate: Arc<AggregateFunctionExpr>,
    /// Batches of rows, and the group of each row.
    rows: Vec<(Vec<ArrayRef>, Vec<usize>)>,
    groups: usize,
}

impl Ordered {
    /// Whether the aggregate leaves it to its input to be in order.
    pub(super) fn is_needed(aggregate: &AggregateFunctionExpr) -> bool {
        // An aggregate WITHIN GROUP takes what it orders by as an argument.
        aggregate.order_sensitivity().hard_requires() && !aggregate.fun().supports_within_group_clause()
    }

    pub(super) fn new(aggregate: Arc<AggregateFunctionExpr>) -> Self {
        Self { aggregate, rows: Vec::new(), groups: 0 }
    }

    /// Everything that was kept as one batch, by group and then in order; with the number of rows of each group.
    fn sorted(&mut self) -> Result<(Vec<ArrayRef>, Vec<usize>)> {
        let (batches, groups): (Vec<_>, Vec<_>) = std::mem::take(&mut self.rows).into_iter().unzip();
        let groups: Vec<usize> = groups.into_iter().flatten().collect();
        let mut lengths = vec![0_usize; std::mem::take(&mut self.groups)];
        for &group in &groups {
            let Some(length) = lengths.get_mut(group) else { return internal_err!("group {group} was not announced") };
            *length += 1;
        }
        let Some(width) = batches.first().map(Vec::len) else { return Ok((Vec::new(), lengths)) };
        let column = |i: usize| {
            let parts: Vec<&dyn Array> = batches.iter().filter_map(|b| b.get(i)).map(AsRef::as_ref).collect();
            concat(&parts)
        };
        let columns = (0..width).map(column).collect::<Result<Vec<_>, _>>()?;
        let groups: ArrayRef = Arc::new(UInt64Array::from_iter_values(groups.into_iter().map(|g| g as u64)));
        let mut by = vec![SortColumn { values: groups, options: None }];
        let order = self.aggregate.order_bys();
        let arguments = width.saturating_sub(order.len());
        let ordered = columns.iter().skip(arguments).zip(order);
        by.extend(ordered.map(|(c, by)| SortColumn { values: Arc::clone(c), options: Some(by.options) }));
        // Rows that are equal in this go by their arguments, so that the result does not depend on how they came.
        let ties = columns.iter().take(arguments).filter(|c| !c.data_type().is_nested());
        by.extend(ties.map(|c| SortColumn { values: Arc::clone(c), options: Some(SortOptions::default()) }));
        let indices: UInt32Array = lexsort_to_indices(&by, None)?;
        Ok((take_arrays(&columns, &indices, None)?, lengths))
    }
}

impl GroupsAccumulator for Ordered {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        groups_total: usize,
    ) -> Result<()> {
        self.groups = groups_total;
        let taken = |row: usize| filter.is_none_or(|f| f.is_valid(row) && f.value(row));
        let rows: Vec<u32> = (0..groups.len()).filter(|&row| taken(row)).map(|row| row as u32).collect();
        let kept = rows.iter().filter_map(|&row| groups.get(row as usize).copied()).collect();
        if !rows.is_empty() {
            // A copy: a slice would keep the whole batch alive.
            self.rows.push((take_arrays(values, &UInt32Array::from(rows), None)?, kept));
        }
        Ok(())
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], groups_total: usize) -> Result<()> {
        self.groups = groups_total;
        let [lists] = values else { return internal_err!("an ordered aggregate has {} state columns", values.len()) };
        if lists.data_type() == &DataType::Null {
            return Ok(());
        }
        let lists = lists.as_list::<i32>();
        let offsets = lists.offsets();
        let (from, to) = (offsets.first().copied().unwrap_or(0), offsets.last().copied().unwrap_or(0));
        let rows = lists.values().slice(from as usize, (to - from) as usize);
        let of_rows = groups.iter().zip(offsets.lengths()).flat_map(|(&group, n)| std::iter::repeat_n(group, n));
        self.rows.push((rows.as_struct().columns().to_vec(), of_rows.collect()));
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        if !matches!(emit_to, EmitTo::All) {
            return not_impl_err!("a pane emits all of its groups");
        }
        let (columns, lengths) = self.sorted()?;
        let mut from = 0;
        let mut results = Vec::with_capacity(lengths.len());
        for length in lengths {
            let mut one = self.aggregate.create_accumulator()?;
            if length > 0 {
                one.update_batch(&columns.iter().map(|c| c.slice(from, length)).collect::<Vec<_>>())?;
            }
            results.push(one.evaluate()?);
            from += length;
        }
        if results.is_empty() {
            return Ok(arrow::array::new_empty_array(self.aggregate.field().data_type()));
        }
        ScalarValue::iter_to_array(results)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        if !matches!(emit_to, EmitTo::All) {
            return not_impl_err!("a pane emits all of its groups");
        }
        let (columns, lengths) = self.sorted()?;
        if columns.is_empty() {
            return Ok(vec![Arc::new(NullArray::new(lengths.len()))]);
        }
        let field = |(i, c): (usize, &ArrayRef)| Arc::new(Field::new(i.to_string(), c.data_type().clone(), true));
        let fields: Vec<_> = columns.iter().enumerate().map(field).collect();
        let rows = StructArray::try_new(fields.into(), columns, None)?;
        let item = Arc::new(Field::new_list_field(rows.data_type().clone(), false));
        let offsets = OffsetBuffer::from_lengths(lengths);
        Ok(vec![Arc::new(ListArray::try_new(item, offsets, Arc::new(rows), None)?)])
    }

    fn convert_to_state(&self, _: &[ArrayRef], _: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        not_impl_err!("a pane keeps its state itself")
    }

    fn size(&self) -> usize {
        let of_batch = |(columns, groups): &(Vec<ArrayRef>, Vec<usize>)| {
            let columns: usize = columns.iter().map(|c| c.get_array_memory_size()).sum();
            columns + groups.capacity() * size_of::<usize>()
        };
        self.rows.iter().map(of_batch).sum()
    }
}
