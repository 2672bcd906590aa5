//! Which accumulator computes an aggregate: this product's own where it has one, the aggregate's vectorised one, or its row-wise one for
//! each group.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::Schema;
use datafusion::common::Result;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;

use super::distinct::DistinctRows;
use super::inputs::{PaneRows, RowGroups};
use super::ordered::Ordered;
use super::row_wise::RowWise;
use super::spec::WindowSpec;
use super::tally;

/// An accumulator of this product: it takes rows where they are in a batch, so that nobody has to copy those of a pane together.
pub(super) trait RowsAccumulator: Send {
    /// Adds rows. `columns` have a value for each row of the batch.
    fn update(&mut self, columns: &[ArrayRef], rows: &RowGroups, groups_total: usize) -> Result<()>;

    /// Adds the state of other groups, each to the group of this pane.
    fn merge(&mut self, states: &[ArrayRef], groups: &[usize], groups_total: usize) -> Result<()>;

    /// The value of each group; empties it.
    fn evaluate(&mut self) -> Result<ArrayRef>;

    /// The state columns, a row for each group; empties it.
    fn state(&mut self) -> Result<Vec<ArrayRef>>;

    /// How many values it holds that are not one for each group; 0 if there are no such.
    fn held(&self) -> usize {
        0
    }

    /// How many such values are in states.
    fn held_in(&self, _states: &[ArrayRef]) -> usize {
        0
    }

    /// Makes room for as many values.
    fn expect(&mut self, _values: usize) {}

    /// Memory that it holds, in bytes.
    fn bytes(&self) -> usize;
}

/// Computes one aggregate for all groups of a pane.
pub(super) enum Accumulator {
    /// One of this product.
    Own(Box<dyn RowsAccumulator>),
    /// One of DataFusion.
    Library(Box<dyn GroupsAccumulator>),
}

impl Accumulator {
    /// One for `aggregate`.
    pub(super) fn new(aggregate: &Arc<AggregateFunctionExpr>) -> Result<Self> {
        Ok(if Ordered::is_needed(aggregate) {
            Self::Library(Box::new(Ordered::new(Arc::clone(aggregate))))
        } else if DistinctRows::counts(aggregate) {
            Self::Own(Box::new(DistinctRows::new(aggregate.expressions().len())))
        } else if let Some(own) = tally::of(aggregate) {
            Self::Own(own)
        } else if aggregate.groups_accumulator_supported() {
            Self::Library(aggregate.create_groups_accumulator()?)
        } else {
            Self::Own(Box::new(RowWise::new(Arc::clone(aggregate))))
        })
    }

    /// Adds rows to the groups of these numbers; it is the aggregate of this place.
    pub(super) fn update(&mut self, rows: &PaneRows<'_>, place: usize, groups: &[usize], total: usize) -> Result<()> {
        match self {
            Self::Own(own) => {
                let (columns, rows) = rows.passing(place, groups)?;
                own.update(&columns, &rows, total)
            }
            Self::Library(library) => {
                let (arguments, filter) = rows.taken(place)?;
                library.update_batch(&arguments, groups, filter, total)
            }
        }
    }

    /// Adds the state of other groups.
    pub(super) fn merge(&mut self, states: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        match self {
            Self::Own(own) => own.merge(states, groups, total),
            Self::Library(library) => library.merge_batch(states, groups, total),
        }
    }

    /// The value of each group; empties it.
    pub(super) fn evaluate(&mut self) -> Result<ArrayRef> {
        match self {
            Self::Own(own) => own.evaluate(),
            Self::Library(library) => library.evaluate(EmitTo::All),
        }
    }

    /// The state columns, a row for each group; empties it.
    pub(super) fn state(&mut self) -> Result<Vec<ArrayRef>> {
        match self {
            Self::Own(own) => own.state(),
            Self::Library(library) => library.state(EmitTo::All),
        }
    }

    /// See [`RowsAccumulator::held`].
    pub(super) fn held(&self) -> usize {
        match self {
            Self::Own(own) => own.held(),
            Self::Library(_) => 0,
        }
    }

    /// See [`RowsAccumulator::held_in`].
    pub(super) fn held_in(&self, states: &[ArrayRef]) -> usize {
        match self {
            Self::Own(own) => own.held_in(states),
            Self::Library(_) => 0,
        }
    }

    /// See [`RowsAccumulator::expect`].
    pub(super) fn expect(&mut self, values: usize) {
        if let Self::Own(own) = self {
            own.expect(values);
        }
    }

    /// Memory that it holds, in bytes.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Own(own) => own.bytes(),
            Self::Library(library) => library.size(),
        }
    }
}

/// What the accumulators' states are made of, and in which form: states of equal words fit each other. Tallies have the states of
/// DataFusion's.
pub(super) fn state_words(aggregate: &AggregateFunctionExpr) -> Result<String> {
    let kind = if Ordered::is_needed(aggregate) {
        "rows in order"
    } else if DistinctRows::counts(aggregate) {
        "hashes of distinct rows"
    } else if aggregate.groups_accumulator_supported() {
        "of groups"
    } else {
        "of rows"
    };
    let types: Vec<String> = aggregate.state_fields()?.iter().map(|f| f.data_type().to_string()).collect();
    Ok(format!("{}: {kind} {}", aggregate.name(), types.join(", ")))
}

/// Whether accumulators can be made of all aggregates over `input`: some find out about their arguments only then.
pub(super) fn check(spec: &WindowSpec, input: &Schema) -> Result<()> {
    for aggregate in &spec.aggregates {
        Accumulator::new(aggregate)?;
        if DistinctRows::counts(aggregate) {
            DistinctRows::check(aggregate, input)?;
        } else if Ordered::is_needed(aggregate) || !aggregate.groups_accumulator_supported() {
            aggregate.create_accumulator()?;
        }
    }
    Ok(())
}
