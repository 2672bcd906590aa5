//! Which accumulator computes an aggregate: this product's own where it has one, the aggregate's vectorised one, or DataFusion's adapter
//! over its row-wise one.

use std::sync::Arc;

use arrow::datatypes::Schema;
use datafusion::common::Result;
use datafusion::logical_expr::GroupsAccumulator;
use datafusion::physical_expr::GroupsAccumulatorAdapter;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;

use super::distinct::DistinctRows;
use super::ordered::Ordered;
use super::spec::WindowSpec;

/// An accumulator for all groups of a pane.
pub(super) fn new_accumulator(aggregate: &Arc<AggregateFunctionExpr>) -> Result<Box<dyn GroupsAccumulator>> {
    if Ordered::is_needed(aggregate) {
        Ok(Box::new(Ordered::new(Arc::clone(aggregate))))
    } else if DistinctRows::counts(aggregate) {
        Ok(Box::new(DistinctRows::new(aggregate.expressions().len())))
    } else if aggregate.groups_accumulator_supported() {
        aggregate.create_groups_accumulator()
    } else {
        let aggregate = Arc::clone(aggregate);
        Ok(Box::new(GroupsAccumulatorAdapter::new(move || aggregate.create_accumulator())))
    }
}

/// What the accumulators' states are made of, and in which form: states of equal words fit each other.
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
        new_accumulator(aggregate)?;
        if DistinctRows::counts(aggregate) {
            DistinctRows::check(aggregate, input)?;
        } else if Ordered::is_needed(aggregate) || !aggregate.groups_accumulator_supported() {
            aggregate.create_accumulator()?;
        }
    }
    Ok(())
}
