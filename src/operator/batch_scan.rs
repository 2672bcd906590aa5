//! The leaf of every bounded plan: a source whose batches are put in before each run.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, project_schema};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::memory::MemoryStream;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};

/// Where the batches of the next run are put.
///
/// It is outside the plan so that one plan serves any number of runs.
#[derive(Debug, Clone, Default)]
pub struct BatchSlot(Arc<Mutex<Vec<RecordBatch>>>);

impl BatchSlot {
    /// Replaces what the next run reads.
    pub fn put(&self, batches: Vec<RecordBatch>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = batches;
    }

    /// Whether both are the same slot.
    pub fn is(&self, other: &BatchSlot) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn take(&self) -> Vec<RecordBatch> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Emits the batches of its [`BatchSlot`] once and ends.
///
/// ```text
///   put([batch]) ──► ┌──────────────┐
///                    │ BatchScanExec│ ──► the batch, projected ──► end of stream
///                    └──────────────┘
/// ```
///
/// Because the stream ends, every operator above flushes: after a run nothing is buffered inside the plan.
#[derive(Debug)]
pub struct BatchScanExec {
    name: String,
    slot: BatchSlot,
    full_schema: SchemaRef,
    projection: Option<Vec<usize>>,
    properties: Arc<PlanProperties>,
}

impl BatchScanExec {
    /// A source named `name` of batches with `full_schema`, of which the columns in `projection` are emitted.
    pub fn try_new(name: &str, full_schema: SchemaRef, projection: Option<Vec<usize>>) -> Result<Self> {
        let projected = project_schema(&full_schema, projection.as_ref())?;
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(projected),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        Ok(Self { name: name.to_owned(), slot: BatchSlot::default(), full_schema, projection, properties })
    }

    /// The same source with a slot of its own, for another copy of the plan.
    pub fn fresh(&self) -> Self {
        Self {
            name: self.name.clone(),
            slot: BatchSlot::default(),
            full_schema: Arc::clone(&self.full_schema),
            projection: self.projection.clone(),
            properties: Arc::clone(&self.properties),
        }
    }

    /// The slot that feeds it.
    pub fn slot(&self) -> &BatchSlot {
        &self.slot
    }

    /// The name of the stream or window result that it stands for.
    pub fn source_name(&self) -> &str {
        &self.name
    }
}

impl DisplayAs for BatchScanExec {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<_> =
            self.properties.eq_properties.schema().fields().iter().map(|c| c.name().as_str()).collect();
        write!(f, "BatchScanExec: source={}, columns=[{}]", self.name, columns.join(", "))
    }
}

impl ExecutionPlan for BatchScanExec {
    fn name(&self) -> &str {
        "BatchScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
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

    fn execute(&self, _partition: usize, _context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let stream = MemoryStream::try_new(
            self.slot.take(),
            Arc::clone(self.properties.eq_properties.schema()),
            self.projection.clone(),
        )?;
        Ok(Box::pin(stream))
    }
}
