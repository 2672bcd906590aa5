//! `CONCURRENCY(…)` as the leaf of the query that runs over complete windows.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::common::Result;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

use super::query::ConcurrencyQuery;
use crate::operator::batch_scan::{BatchScanExec, BatchSlot};

/// Emits the rows of one complete window of a [`ConcurrencyQuery`], which are put into its slot.
///
/// The state behind it is not the operator's: all concurrency tables of a worker share one
/// [`Concurrency`](super::Concurrency).
#[derive(Debug)]
pub struct ConcurrencyExec {
    query: ConcurrencyQuery,
    rows: BatchScanExec,
}

impl ConcurrencyExec {
    /// The leaf for `query`, whose rows have `schema`.
    pub fn try_new(query: ConcurrencyQuery, schema: SchemaRef) -> Result<Self> {
        Ok(Self { query, rows: BatchScanExec::try_new("concurrency", schema, None)? })
    }

    /// What is asked of the shared state.
    pub fn query(&self) -> &ConcurrencyQuery {
        &self.query
    }

    /// Where the rows of the next window are put.
    pub fn slot(&self) -> &BatchSlot {
        self.rows.slot()
    }
}

impl DisplayAs for ConcurrencyExec {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConcurrencyExec: size={}s, by=[{}]", self.query.size / 1_000_000, self.query.partition_by.join(", "))
    }
}

impl ExecutionPlan for ConcurrencyExec {
    fn name(&self) -> &str {
        "ConcurrencyExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.rows.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![]
    }

    fn with_new_children(self: Arc<Self>, _children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        self.rows.execute(partition, context)
    }
}
