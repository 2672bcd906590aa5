//! A plan over complete windows: the rest of a query, and what a windowed aggregate over windows reads.

use std::sync::Arc;

use arrow::array::RecordBatch;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::execution_plan::reset_plan_states;

use super::lookup::joins_of;
use super::plan::StatefulNode;
use super::ties::{by_keys, goes_by_order};
use crate::error::Result;
use crate::operator::lookup_join::{LookupSlot, LookupUse};

/// A plan that runs once for each complete window of the nodes that it reads, over their rows of that window.
#[derive(Debug)]
pub struct WindowPlan {
    /// The nodes that it reads, by their numbers in the query.
    pub nodes: Vec<usize>,
    pub(super) plan: Arc<dyn ExecutionPlan>,
    pub(super) joins: Vec<(LookupUse, LookupSlot)>,
    /// Whether the result may depend on the order of the nodes' rows.
    pub(super) goes_by_order: bool,
}

impl WindowPlan {
    pub(super) fn try_new(plan: Arc<dyn ExecutionPlan>, nodes: Vec<usize>) -> Result<Self> {
        Ok(Self { nodes, joins: joins_of(&plan)?, goes_by_order: goes_by_order(plan.as_ref()), plan })
    }

    /// Runs it over one window: of each node that it reads, in their order, its rows (`None`: it has none in this window). `all` are the
    /// nodes of the query.
    pub(super) async fn run(
        &self,
        all: &[StatefulNode],
        rows: Vec<Option<RecordBatch>>,
        context: &Arc<TaskContext>,
    ) -> datafusion::common::Result<Vec<RecordBatch>> {
        for (node, rows) in self.nodes.iter().filter_map(|i| all.get(*i)).zip(rows) {
            let rows = match rows {
                Some(rows) if self.goes_by_order => by_keys(&rows, &node.node.keys())?,
                Some(rows) => rows,
                None => RecordBatch::new_empty(Arc::clone(&node.schema)),
            };
            node.slot.put(vec![rows]);
        }
        let plan = reset_plan_states(Arc::clone(&self.plan))?;
        datafusion::physical_plan::collect(plan, Arc::clone(context)).await
    }
}
