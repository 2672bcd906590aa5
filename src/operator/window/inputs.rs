//! What panes take from a batch: keys, arguments and filters as arrays.

use std::cell::OnceCell;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, UInt32Array};
use arrow::compute::take;
use arrow::record_batch::RecordBatch;
use datafusion::common::Result;
use datafusion::physical_expr::PhysicalExpr;

use super::spec::WindowSpec;
use super::texts::by_texts;

/// The expressions behind a windowed aggregate, each once: aggregates of one query mostly share their filters, and a text that is
/// compared once costs less than one that is compared for every column of the result.
#[derive(Debug)]
pub(super) struct InputPlan {
    expressions: Vec<Arc<dyn PhysicalExpr>>,
    /// Their places, as are the following.
    keys: Vec<usize>,
    /// By aggregate.
    arguments: Vec<Vec<usize>>,
    /// By aggregate.
    filters: Vec<Option<usize>>,
}

impl InputPlan {
    /// # Errors
    /// If an expression cannot be made anew of its parts.
    pub(super) fn try_new(spec: &WindowSpec) -> Result<Self> {
        let mut expressions: Vec<Arc<dyn PhysicalExpr>> = Vec::new();
        let mut place = |wanted: &Arc<dyn PhysicalExpr>| {
            let wanted = by_texts(wanted)?;
            let known = expressions.iter().position(|known| known == &wanted);
            Ok(known.unwrap_or_else(|| {
                expressions.push(wanted);
                expressions.len() - 1
            }))
        };
        let keys = spec.keys.iter().map(&mut place).collect::<Result<_>>()?;
        // An accumulator that goes by an order takes its columns after its arguments.
        let arguments = spec.aggregates.iter().map(|a| {
            let order = a.order_bys().iter().map(|by| Arc::clone(&by.expr));
            a.expressions().into_iter().chain(order).map(|e| place(&e)).collect()
        });
        let arguments = arguments.collect::<Result<_>>()?;
        let filters = spec.filters.iter().map(|f| f.as_ref().map(&mut place).transpose()).collect::<Result<_>>()?;
        Ok(Self { expressions, keys, arguments, filters })
    }

    /// Evaluates every expression over a batch.
    pub(super) fn evaluate(&self, batch: &RecordBatch) -> Result<Inputs<'_>> {
        let rows = batch.num_rows();
        let arrays = self.expressions.iter().map(|e| e.evaluate(batch)?.into_array(rows)).collect::<Result<_>>()?;
        Ok(Inputs { plan: self, arrays, rows })
    }
}

/// A batch's rows as the expressions see them.
pub(super) struct Inputs<'p> {
    plan: &'p InputPlan,
    /// By place of the expression.
    arrays: Vec<ArrayRef>,
    pub rows: usize,
}

impl Inputs<'_> {
    /// The rows of these numbers, which go up.
    pub(super) fn of_pane<'i>(&'i self, numbers: &'i [u32]) -> PaneRows<'i> {
        let cells = |n: usize| (0..n).map(|_| OnceCell::new()).collect();
        PaneRows {
            inputs: self,
            numbers,
            taken: cells(self.arrays.len()),
            passing: (0..=self.arrays.len()).map(|_| OnceCell::new()).collect(),
        }
    }
}

/// Rows of a batch that go into one pane. Arrays are copied for those alone that want them in one piece.
pub(super) struct PaneRows<'i> {
    inputs: &'i Inputs<'i>,
    numbers: &'i [u32],
    /// By place of the expression.
    taken: Vec<OnceCell<ArrayRef>>,
    /// By place of the filter; at the end of rows that no filter is asked for.
    passing: Vec<OnceCell<RowGroups>>,
}

/// Rows of a batch, and the group of each.
#[derive(Debug, Default)]
pub(super) struct RowGroups {
    pub rows: Vec<u32>,
    pub groups: Vec<usize>,
}

impl RowGroups {
    /// Each row with its group.
    #[inline]
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (usize, usize)> + '_ {
        self.rows.iter().zip(&self.groups).map(|(row, group)| (*row as usize, *group))
    }
}

impl PaneRows<'_> {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// The columns of the keys, a value for each row.
    pub(super) fn keys(&self) -> Result<Vec<ArrayRef>> {
        self.all_taken(&self.inputs.plan.keys)
    }

    /// Of an aggregate: its arguments, a value for each row of the whole batch; and the rows that its filter lets pass, given the group
    /// of each row of the pane.
    pub(super) fn passing(&self, aggregate: usize, groups: &[usize]) -> (Vec<ArrayRef>, &RowGroups) {
        let Inputs { plan, arrays, .. } = self.inputs;
        let arguments = plan.arguments.get(aggregate).into_iter().flatten();
        let filter = plan.filters.get(aggregate).copied().flatten();
        let passing = self.passing[filter.unwrap_or(arrays.len())].get_or_init(|| {
            let Some(filter) = filter.map(|place| arrays[place].as_boolean()) else {
                return RowGroups { rows: self.numbers.to_vec(), groups: groups.to_vec() };
            };
            let mut passing =
                RowGroups { rows: Vec::with_capacity(groups.len()), groups: Vec::with_capacity(groups.len()) };
            let (values, nulls) = (filter.values(), filter.nulls());
            for (row, group) in self.numbers.iter().zip(groups) {
                let i = *row as usize;
                if values.value(i) && nulls.is_none_or(|nulls| nulls.is_valid(i)) {
                    passing.rows.push(*row);
                    passing.groups.push(*group);
                }
            }
            passing
        });
        (arguments.map(|&place| Arc::clone(&arrays[place])).collect(), passing)
    }

    /// Of an aggregate: its arguments and its filter, a value for each row of the pane.
    pub(super) fn taken(&self, aggregate: usize) -> Result<(Vec<ArrayRef>, Option<&BooleanArray>)> {
        let plan = self.inputs.plan;
        let arguments = self.all_taken(plan.arguments.get(aggregate).map_or(&[][..], Vec::as_slice))?;
        let filter = plan.filters.get(aggregate).copied().flatten();
        Ok((arguments, filter.map(|place| self.take(place)).transpose()?.map(AsArray::as_boolean)))
    }

    fn all_taken(&self, places: &[usize]) -> Result<Vec<ArrayRef>> {
        places.iter().map(|&place| self.take(place).cloned()).collect()
    }

    fn take(&self, place: usize) -> Result<&ArrayRef> {
        let (whole, cell) = (&self.inputs.arrays[place], &self.taken[place]);
        // Numbers go up: as many as there are rows are all of them.
        if self.numbers.len() == self.inputs.rows {
            return Ok(whole);
        }
        if let Some(taken) = cell.get() {
            return Ok(taken);
        }
        let taken = take(whole, &UInt32Array::from(self.numbers.to_vec()), None)?;
        Ok(cell.get_or_init(|| taken))
    }
}
