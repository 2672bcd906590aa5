//! The windowed aggregate as a physical operator.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::StreamExt;

use super::lateness::LatenessRule;
use super::selection::Selection;
use super::session::SessionKeys;
use super::shard::ShardWindows;
use super::spec::{GroupColumn, WindowSpec};
use super::text_codes::TextCodes;

/// Adds each row of its input to the pane of its window, or of its slide where windows overlap.
///
/// Design goals: one hash table a pane, so that closing it drops it whole; rows stay where they are in a batch, and are told by their numbers;
/// state outside the plan, so that the plan may end after each batch and a checkpoint sits between two runs.
///
/// ```text
///            ┌───────────────────────────────────────────────┐
///   rows ──► │ window_end, shard_high_time ─► late? ─► numbers│──► (no rows: results come from `WindowMerge`)
///            │ keys ─► group index ─► accumulators of the pane│
///            └───────────────────────────────────────────────┘
/// ```
///
/// Example: `SELECT window_start, window_end, country, COUNT(*) … GROUP BY window_start, window_end, country` over
/// `(12:00:10, de)`, `(12:00:50, fr)`, `(12:01:00, de)` leaves two panes: `12:00–12:01 {de: 1, fr: 1}` and `12:01–12:02 {de: 1}`.
#[derive(Debug)]
pub struct WindowAggregateExec {
    // properties: constant
    spec: Arc<WindowSpec>,
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
    // state: mutable, present in a shard's copy of the plan only
    state: Option<Arc<Mutex<ShardWindows>>>,
}

impl WindowAggregateExec {
    /// The operator over `input`, without state: a template for the shards' copies.
    pub fn new(spec: Arc<WindowSpec>, input: Arc<dyn ExecutionPlan>) -> Self {
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&spec.output)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Final,
            Boundedness::Bounded,
        ));
        Self { spec, input, properties, state: None }
    }

    /// A copy over `input` with state of its own, and that state. With a `selection` it is the rows which that makes of `input`'s that
    /// the operator sees. Copies over the same columns, of whatever query, best share
    /// `codes`.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn for_shard(
        &self,
        input: Arc<dyn ExecutionPlan>,
        selection: Option<Selection>,
        rule: LatenessRule,
        codes: &Arc<TextCodes>,
    ) -> Result<(Self, Arc<Mutex<ShardWindows>>)> {
        let state = ShardWindows::try_new(Arc::clone(&self.spec), selection, rule, codes)?;
        let state = Arc::new(Mutex::new(state));
        let copy = Self {
            spec: Arc::clone(&self.spec),
            input,
            properties: Arc::clone(&self.properties),
            state: Some(Arc::clone(&state)),
        };
        Ok((copy, state))
    }

    /// Finds out before the first row whether its aggregates can be computed.
    ///
    /// # Errors
    /// What an accumulator says of its arguments, and what is said of keys that cannot tell sessions apart.
    pub fn check(&self) -> Result<()> {
        if self.spec.windowing.session {
            SessionKeys::try_new(&self.spec)?;
        }
        super::accumulators::check(&self.spec, &self.input.schema())
    }

    /// What it computes.
    pub fn spec(&self) -> &Arc<WindowSpec> {
        &self.spec
    }

    /// Its input.
    pub fn input(&self) -> &Arc<dyn ExecutionPlan> {
        &self.input
    }
}

impl DisplayAs for WindowAggregateExec {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<_> = self
            .spec
            .group
            .iter()
            .map(|g| match g {
                GroupColumn::WindowStart => "window_start".to_owned(),
                GroupColumn::WindowEnd => "window_end".to_owned(),
                GroupColumn::WindowTime => "window_time".to_owned(),
                GroupColumn::Key(i) => self.spec.key_schema.field(*i).name().clone(),
            })
            .collect();
        let aggregates: Vec<_> = self.spec.aggregates.iter().map(|a| a.name()).collect();
        write!(f, "WindowAggregateExec: gby=[{}], aggr=[{}]", keys.join(", "), aggregates.join(", "))
    }
}

impl ExecutionPlan for WindowAggregateExec {
    fn name(&self) -> &str {
        "WindowAggregateExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let (Some(input), true) = (children.pop(), children.is_empty()) else {
            return internal_err!("WindowAggregateExec takes one input");
        };
        Ok(Arc::new(Self {
            spec: Arc::clone(&self.spec),
            input,
            properties: Arc::clone(&self.properties),
            state: self.state.clone(),
        }))
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        let mut tnr = TreeNodeRecursion::Continue;
        for key in &self.spec.keys {
            tnr = tnr.visit_sibling(|| f(key))?;
        }
        for argument in self.spec.aggregates.iter().flat_map(|a| a.expressions()) {
            tnr = tnr.visit_sibling(|| f(&argument))?;
        }
        for filter in self.spec.filters.iter().flatten() {
            tnr = tnr.visit_sibling(|| f(filter))?;
        }
        Ok(tnr)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let Some(state) = self.state.clone() else {
            return internal_err!("a window template was executed: it has no state");
        };
        let input = self.input.execute(partition, context)?;
        // Yields nothing: the rows of a window exist only where all shards meet.
        let updates = input.filter_map(move |batch| {
            let updated =
                batch.and_then(|b| state.lock().unwrap_or_else(PoisonError::into_inner).update(&b)).err().map(Err);
            futures::future::ready(updated)
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.spec.output), updates)))
    }
}
