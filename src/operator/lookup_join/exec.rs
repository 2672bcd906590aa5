//! The join as a physical operator.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::{filter, filter_record_batch, is_not_null, not, nullif, prep_null_mask_filter, take};
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{JoinType, Result, internal_err, project_schema};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::projection::{EmbeddedProjection, ProjectionExec, try_embed_projection};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::StreamExt;

use super::index::LookupIndex;
use super::slot::{LookupSlot, LookupUse};

/// What is joined, and how.
#[derive(Debug)]
pub struct LookupJoinSpec {
    /// The table and its key.
    pub wanted: LookupUse,
    /// The input's side of the key, in its order.
    pub keys: Vec<Arc<dyn PhysicalExpr>>,
    /// Whether rows that find none go on, with NULLs.
    pub keeps_all: bool,
    /// What else must hold of a row and the one that it found, over [`Self::schema`]; the row has found none where it does not.
    pub filter: Option<Arc<dyn PhysicalExpr>>,
    /// The input's columns, then the table's.
    pub schema: SchemaRef,
    /// How many of them are the table's.
    pub table_columns: usize,
}

/// Adds to each row of its input the columns of the row of a lookup table that has its key: one at most, since a table has a key once.
///
/// Design goals: no table is built in a run, the index being in the slot already; rows keep their order and are not copied where all go
/// on; nothing is kept between two runs.
///
/// Example: `e LEFT JOIN creators c ON e.channel_id = c.channel_id` over the channels `a, x, NULL` and the table `a: gold` gives
/// `(a, a, gold), (x, NULL, NULL), (NULL, NULL, NULL)`; `JOIN` gives the first row alone.
#[derive(Debug)]
pub struct LookupJoinExec {
    // properties: constant
    spec: Arc<LookupJoinSpec>,
    input: Arc<dyn ExecutionPlan>,
    /// Positions in the spec's schema of what is emitted; everything if there are none.
    projection: Option<Vec<usize>>,
    properties: Arc<PlanProperties>,
    // state: which version is read
    slot: LookupSlot,
}

impl LookupJoinExec {
    /// The join of `input`.
    ///
    /// # Errors
    /// If `projection` is not of the spec's schema.
    pub fn try_new(
        spec: Arc<LookupJoinSpec>,
        input: Arc<dyn ExecutionPlan>,
        projection: Option<Vec<usize>>,
    ) -> Result<Self> {
        let schema = project_schema(&spec.schema, projection.as_ref())?;
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(schema),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        Ok(Self { spec, input, projection, properties, slot: LookupSlot::default() })
    }

    /// The same join with a slot of its own, for another copy of the plan.
    pub fn fresh(&self) -> Self {
        Self { slot: LookupSlot::default(), ..self.over(Arc::clone(&self.input)) }
    }

    fn over(&self, input: Arc<dyn ExecutionPlan>) -> Self {
        Self {
            spec: Arc::clone(&self.spec),
            input,
            projection: self.projection.clone(),
            properties: Arc::clone(&self.properties),
            slot: self.slot.clone(),
        }
    }

    /// What is joined.
    pub fn spec(&self) -> &LookupJoinSpec {
        &self.spec
    }

    /// Where the version to read is put.
    pub fn slot(&self) -> &LookupSlot {
        &self.slot
    }

    /// `INNER` or `LEFT`.
    pub fn join_type(&self) -> JoinType {
        if self.spec.keeps_all { JoinType::Left } else { JoinType::Inner }
    }

    /// The columns of the table that are emitted.
    pub fn emitted_columns(&self) -> Vec<String> {
        let inputs = self.input.schema().fields().len();
        let all: Vec<usize> = (0..self.spec.schema.fields().len()).collect();
        let emitted = self.projection.as_ref().unwrap_or(&all).iter().filter(|i| **i >= inputs);
        emitted.map(|&i| self.spec.schema.field(i).name().clone()).collect()
    }
}

impl EmbeddedProjection for LookupJoinExec {
    fn with_projection(&self, projection: Option<Vec<usize>>) -> Result<Self> {
        // What is emitted is chosen from what was emitted so far.
        let chosen = match (&self.projection, projection) {
            (Some(now), Some(next)) => {
                let Some(chosen) = next.iter().map(|&i| now.get(i).copied()).collect() else {
                    return internal_err!("a projection of columns that a lookup join does not emit");
                };
                Some(chosen)
            }
            (now, next) => next.or_else(|| now.clone()),
        };
        let joined = Self::try_new(Arc::clone(&self.spec), Arc::clone(&self.input), chosen)?;
        Ok(Self { slot: self.slot.clone(), ..joined })
    }
}

impl DisplayAs for LookupJoinExec {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<String> = self.spec.keys.iter().map(ToString::to_string).collect();
        let (table, how) = (&self.spec.wanted.table, self.join_type());
        write!(f, "LookupJoinExec: {how} {table} on [{}]", keys.join(", "))
    }
}

impl ExecutionPlan for LookupJoinExec {
    fn name(&self) -> &str {
        "LookupJoinExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let (Some(input), true) = (children.pop(), children.is_empty()) else {
            return internal_err!("LookupJoinExec takes one input");
        };
        Ok(Arc::new(self.over(input)))
    }

    fn reset_state(self: Arc<Self>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        let mut tnr = TreeNodeRecursion::Continue;
        for expr in self.spec.keys.iter().chain(&self.spec.filter) {
            tnr = tnr.visit_sibling(|| f(expr))?;
        }
        Ok(tnr)
    }

    fn try_swapping_with_projection(&self, projection: &ProjectionExec) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        try_embed_projection(projection, self)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let Some(index) = self.slot.get() else {
            return internal_err!("a lookup join was executed before its table was put in");
        };
        let input = self.input.execute(partition, context)?;
        let emitted = Arc::clone(self.properties.eq_properties.schema());
        let join = Join { spec: Arc::clone(&self.spec), index, projection: self.projection.clone(), emitted };
        let schema = Arc::clone(&join.emitted);
        let joined = input.map(move |batch| batch.and_then(|batch| join.join(&batch)));
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, joined)))
    }
}

/// One run's join with one version.
struct Join {
    spec: Arc<LookupJoinSpec>,
    index: Arc<LookupIndex>,
    projection: Option<Vec<usize>>,
    emitted: SchemaRef,
}

impl Join {
    fn join(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let keys =
            self.spec.keys.iter().map(|key| key.evaluate(batch)?.into_array(rows)).collect::<Result<Vec<_>>>()?;
        let mut found = self.index.find(&keys)?;
        if let Some(filter) = &self.spec.filter {
            found = self.fitting(batch, found, filter.as_ref())?;
        }
        if self.spec.keeps_all || found.null_count() == 0 {
            return self.columns(batch, &found);
        }
        let matched = is_not_null(&found)?;
        let found = filter_rows(&found, &matched)?;
        self.columns(&filter_record_batch(batch, &matched)?, &found)
    }

    /// `found` without the rows for which the filter does not hold.
    fn fitting(&self, batch: &RecordBatch, found: UInt32Array, filter: &dyn PhysicalExpr) -> Result<UInt32Array> {
        let all = 0..self.spec.schema.fields().len();
        let columns = all.map(|i| self.column(batch, &found, i)).collect::<Result<Vec<_>>>()?;
        // Rows that found none have NULLs here whatever the join does with them.
        let fields: Vec<_> = self.spec.schema.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect();
        let joined = RecordBatch::try_new(Arc::new(arrow::datatypes::Schema::new(fields)), columns)?;
        let holds = filter.evaluate(&joined)?.into_array(batch.num_rows())?;
        let holds = holds.as_boolean();
        // What is unknown does not hold.
        let fails = match holds.null_count() {
            0 => not(holds)?,
            _ => not(&prep_null_mask_filter(holds))?,
        };
        Ok(nullif(&found, &fails)?.as_primitive().clone())
    }

    /// The column at a position of the spec's schema.
    fn column(&self, batch: &RecordBatch, found: &UInt32Array, i: usize) -> Result<ArrayRef> {
        match i.checked_sub(batch.num_columns()) {
            None => Ok(Arc::clone(batch.column(i))),
            Some(i) => match self.index.rows().columns().get(i) {
                Some(column) => Ok(take(column, found, None)?),
                None => internal_err!("a lookup table lost a column"),
            },
        }
    }

    fn columns(&self, batch: &RecordBatch, found: &UInt32Array) -> Result<RecordBatch> {
        let all: Vec<usize> = (0..self.spec.schema.fields().len()).collect();
        let emitted = self.projection.as_ref().unwrap_or(&all);
        let columns = emitted.iter().map(|&i| self.column(batch, found, i)).collect::<Result<Vec<_>>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(Arc::clone(&self.emitted), columns, &options)?)
    }
}

fn filter_rows(found: &UInt32Array, matched: &BooleanArray) -> Result<UInt32Array> {
    Ok(filter(found, matched)?.as_primitive().clone())
}
