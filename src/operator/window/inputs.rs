//! What panes take from a batch: keys, arguments and filters as arrays.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, UInt32Array};
use arrow::compute::{prep_null_mask_filter, take};
use arrow::record_batch::RecordBatch;
use datafusion::common::{Result, internal_err};
use datafusion::physical_expr::PhysicalExpr;

use super::sparse::Sparse;
use super::spec::{WindowSpec, arguments};
use super::text_codes::TextCodes;
use super::texts::by_texts;
use super::widening::by_widening;

/// Rows that are looked at together to see which of them pass a filter.
const BLOCK: usize = 64;

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
    /// By aggregate: its arguments once more, if they may be computed for the rows alone that its filter lets pass.
    sparse: Vec<Option<Sparse>>,
}

impl InputPlan {
    /// # Errors
    /// If an expression cannot be made anew of its parts.
    pub(super) fn try_new(spec: &WindowSpec, codes: &Arc<TextCodes>) -> Result<Self> {
        let mut expressions: Vec<Arc<dyn PhysicalExpr>> = Vec::new();
        let mut place = |wanted: &Arc<dyn PhysicalExpr>| {
            let wanted = by_widening(by_texts(wanted, codes)?)?;
            let known = expressions.iter().position(|known| known == &wanted);
            Ok(known.unwrap_or_else(|| {
                expressions.push(wanted);
                expressions.len() - 1
            }))
        };
        let keys = spec.keys.iter().map(&mut place).collect::<Result<_>>()?;
        // An accumulator that goes by an order takes its columns after its arguments.
        let arguments = spec.aggregates.iter().map(|a| arguments(a).map(|e| place(&e)).collect());
        let arguments: Vec<Vec<usize>> = arguments.collect::<Result<_>>()?;
        let filters: Vec<Option<usize>> =
            spec.filters.iter().map(|f| f.as_ref().map(&mut place).transpose()).collect::<Result<_>>()?;
        let sparse = arguments.iter().zip(&filters).zip(&spec.total).map(|((arguments, filter), total)| {
            let all: Vec<_> = arguments.iter().map(|&place| Arc::clone(&expressions[place])).collect();
            if filter.is_some() && *total { Sparse::of(&all) } else { Ok(None) }
        });
        let sparse = sparse.collect::<Result<_>>()?;
        Ok(Self { expressions, keys, arguments, filters, sparse })
    }

    /// A batch's rows as the expressions see them.
    pub(super) fn over(&self, batch: RecordBatch) -> Inputs<'_> {
        let arrays = self.expressions.iter().map(|_| OnceCell::new()).collect();
        Inputs { plan: self, batch, arrays }
    }
}

/// A batch's rows as the expressions see them: each is evaluated once, if somebody asks for it.
pub(super) struct Inputs<'p> {
    plan: &'p InputPlan,
    batch: RecordBatch,
    /// By place of the expression.
    arrays: Vec<OnceCell<ArrayRef>>,
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

    fn array(&self, place: usize) -> Result<&ArrayRef> {
        let cell = &self.arrays[place];
        if let Some(array) = cell.get() {
            return Ok(array);
        }
        let array = self.plan.expressions[place].evaluate(&self.batch)?.into_array(self.batch.num_rows())?;
        Ok(cell.get_or_init(|| array))
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
#[derive(Debug, Clone, Default)]
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
    /// Their numbers in the batch, which go up.
    pub(super) fn numbers(&self) -> &[u32] {
        self.numbers
    }

    /// The column of the key, if there is one alone: a value for each row of the whole batch.
    pub(super) fn whole_key(&self) -> Result<&ArrayRef> {
        let [key] = self.inputs.plan.keys.as_slice() else { return internal_err!("a key of several columns") };
        self.inputs.array(*key)
    }

    /// The columns of the keys, a value for each row.
    pub(super) fn keys(&self) -> Result<Vec<ArrayRef>> {
        self.all_taken(&self.inputs.plan.keys)
    }

    /// Of an aggregate: its arguments, a value for each row of the whole batch, or for each one that its filter lets pass; and those
    /// rows, by their place among the values, given the group of each row of the pane.
    pub(super) fn passing(&self, aggregate: usize, groups: &[usize]) -> Result<(Vec<ArrayRef>, Cow<'_, RowGroups>)> {
        let Inputs { plan, batch, arrays } = self.inputs;
        let arguments = plan.arguments.get(aggregate).map_or(&[][..], Vec::as_slice);
        let passing = self.of_filter(plan.filters.get(aggregate).copied().flatten(), groups)?;
        if let Some(Some(sparse)) = plan.sparse.get(aggregate)
            && Sparse::suits(passing.rows.len(), batch.num_rows())
            && arguments.iter().any(|&place| arrays[place].get().is_none())
        {
            let values = sparse.evaluate(batch, &passing.rows)?;
            let rows = (0..).take(passing.rows.len()).collect();
            return Ok((values, Cow::Owned(RowGroups { rows, groups: passing.groups.clone() })));
        }
        let arguments = arguments.iter().map(|&place| self.inputs.array(place).cloned());
        Ok((arguments.collect::<Result<_>>()?, Cow::Borrowed(passing)))
    }

    /// The rows that a filter lets pass.
    fn of_filter(&self, filter: Option<usize>, groups: &[usize]) -> Result<&RowGroups> {
        let cell = &self.passing[filter.unwrap_or(self.inputs.arrays.len())];
        if let Some(passing) = cell.get() {
            return Ok(passing);
        }
        let passing = match filter {
            None => RowGroups { rows: self.numbers.to_vec(), groups: groups.to_vec() },
            Some(place) => {
                let filter = self.inputs.array(place)?.as_boolean();
                let filter = if filter.nulls().is_some() { &prep_null_mask_filter(filter) } else { filter };
                let passes = filter.values();
                // Which rows pass is hard to foresee: all are written, and those that do not pass are written over.
                let count = passes.count_set_bits().min(groups.len());
                let mut passing = RowGroups { rows: Vec::with_capacity(count), groups: Vec::with_capacity(count) };
                let (mut rows, mut of_rows) = ([0; BLOCK], [0; BLOCK]);
                for (numbers, groups) in self.numbers.chunks(BLOCK).zip(groups.chunks(BLOCK)) {
                    let mut count = 0;
                    for (row, group) in numbers.iter().zip(groups) {
                        rows[count % BLOCK] = *row;
                        of_rows[count % BLOCK] = *group;
                        count += usize::from(passes.value(*row as usize));
                    }
                    passing.rows.extend_from_slice(&rows[..count]);
                    passing.groups.extend_from_slice(&of_rows[..count]);
                }
                passing
            }
        };
        Ok(cell.get_or_init(|| passing))
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
        let (whole, cell) = (self.inputs.array(place)?, &self.taken[place]);
        // Numbers go up: as many as there are rows are all of them.
        if self.numbers.len() == whole.len() {
            return Ok(whole);
        }
        if let Some(taken) = cell.get() {
            return Ok(taken);
        }
        let taken = take(whole, &UInt32Array::from(self.numbers.to_vec()), None)?;
        Ok(cell.get_or_init(|| taken))
    }
}
