//! What panes take from a batch: keys, arguments and filters as arrays.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, UInt32Array};
use arrow::compute::take;
use arrow::record_batch::RecordBatch;
use datafusion::common::Result;
use datafusion::physical_expr::PhysicalExpr;

use super::spec::WindowSpec;

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
    pub(super) fn new(spec: &WindowSpec) -> Self {
        let mut expressions: Vec<Arc<dyn PhysicalExpr>> = Vec::new();
        let mut place = |wanted: &Arc<dyn PhysicalExpr>| {
            expressions.iter().position(|known| known == wanted).unwrap_or_else(|| {
                expressions.push(Arc::clone(wanted));
                expressions.len() - 1
            })
        };
        let keys = spec.keys.iter().map(&mut place).collect();
        // An accumulator that goes by an order takes its columns after its arguments.
        let arguments = spec.aggregates.iter().map(|a| {
            let order = a.order_bys().iter().map(|by| Arc::clone(&by.expr));
            a.expressions().into_iter().chain(order).map(|e| place(&e)).collect()
        });
        let arguments = arguments.collect();
        let filters = spec.filters.iter().map(|f| f.as_ref().map(&mut place)).collect();
        Self { expressions, keys, arguments, filters }
    }

    /// Evaluates every expression over a batch.
    pub(super) fn evaluate(&self, batch: &RecordBatch) -> Result<Inputs<'_>> {
        let rows = batch.num_rows();
        let arrays = self.expressions.iter().map(|e| e.evaluate(batch)?.into_array(rows)).collect::<Result<_>>()?;
        Ok(Inputs { plan: self, arrays, rows })
    }
}

/// A batch's rows, or some of them, as the expressions see them.
pub(super) struct Inputs<'p> {
    plan: &'p InputPlan,
    /// By place of the expression.
    arrays: Vec<ArrayRef>,
    pub rows: usize,
}

impl Inputs<'_> {
    pub(super) fn keys(&self) -> Vec<ArrayRef> {
        self.at(&self.plan.keys)
    }

    /// Arguments and filter of each aggregate.
    pub(super) fn of_aggregates(&self) -> impl Iterator<Item = (Vec<ArrayRef>, Option<&BooleanArray>)> {
        let filters = self.plan.filters.iter().map(|f| f.map(|place| self.arrays[place].as_boolean()));
        self.plan.arguments.iter().map(|places| self.at(places)).zip(filters)
    }

    fn at(&self, places: &[usize]) -> Vec<ArrayRef> {
        places.iter().map(|&place| Arc::clone(&self.arrays[place])).collect()
    }

    /// The rows of these numbers.
    pub(super) fn take(&self, rows: &[u32]) -> Result<Self> {
        let indices = UInt32Array::from(rows.to_vec());
        let arrays = self.arrays.iter().map(|a| Ok(take(a, &indices, None)?)).collect::<Result<_>>()?;
        Ok(Self { plan: self.plan, arrays, rows: rows.len() })
    }
}
