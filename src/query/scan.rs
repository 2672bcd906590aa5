//! The operator that reads a table's files.

use std::fmt;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_optimizer::pruning::PruningPredicate;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};

use super::columns::adapt;
use super::prune::row_groups;
use super::revisions::Standing;
use super::table::TableShape;
use crate::error;
use crate::limits::{QUERY_BATCH_ROWS, QUERY_FOOTERS_MAX, QUERY_OPEN_AHEAD};
use crate::sink::lake::{Lake, LakeFile, OpenFile};
use crate::types::Micros;

/// Reads files, a part of them in each partition, one after the other: the row groups that may matter, the columns that are asked for.
///
/// ```text
///  unit (a file, or an hour) ─► footers ─► row groups kept ─► batches ─► rows that stand ─► columns of the table
/// ```
pub(super) struct LakeScan {
    files: Arc<Files>,
    parts: Vec<Vec<Vec<LakeFile>>>,
    /// Files that are read, and those that the table has.
    read: (usize, usize),
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

/// What `EXPLAIN ANALYZE` tells of a part.
#[derive(Clone)]
struct Counts {
    read: Count,
    passed_over: Count,
    rows: Count,
}

/// How files are read.
struct Files {
    lake: Lake,
    table: Arc<TableShape>,
    output: SchemaRef,
    predicate: Option<Arc<PruningPredicate>>,
}

impl LakeScan {
    /// Reads `parts`, which each are units of files; emits the columns of `output`, which are some of the table's.
    pub(super) fn new(
        lake: Lake,
        table: Arc<TableShape>,
        output: SchemaRef,
        predicate: Option<Arc<PruningPredicate>>,
        parts: Vec<Vec<Vec<LakeFile>>>,
        read: (usize, usize),
    ) -> Self {
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&output)),
            Partitioning::UnknownPartitioning(parts.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        let files = Arc::new(Files { lake, table, output, predicate });
        Self { files, parts, read, properties, metrics: ExecutionPlanMetricsSet::new() }
    }
}

impl Files {
    /// The rows of a unit.
    async fn open(
        self: Arc<Self>,
        unit: Vec<LakeFile>,
        context: Arc<TaskContext>,
        counts: Counts,
    ) -> error::Result<Rows> {
        let Some(hour) = unit.first().map(|file| file.hour) else { return Ok(stream::empty().boxed()) };
        let opening = unit.into_iter().map(|file| {
            let lake = self.lake.clone();
            async move { lake.open_file(&file).await }
        });
        let open: Vec<OpenFile> = stream::iter(opening).buffered(QUERY_FOOTERS_MAX).try_collect().await?;
        let standing = match self.table.last_revisions {
            true => {
                let memory = MemoryConsumer::new("revised windows").register(context.memory_pool());
                Standing::of(&open, hour, &self.table, memory).await?.map(Arc::new)
            }
            false => None,
        };
        let of_file = move |file: OpenFile| {
            let (files, standing, counts) = (Arc::clone(&self), standing.clone(), counts.clone());
            async move { files.rows(file, hour, standing, counts).await }
        };
        Ok(stream::iter(open).then(of_file).try_flatten().boxed())
    }

    /// The rows of a file.
    async fn rows(
        self: Arc<Self>,
        file: OpenFile,
        hour: Micros,
        standing: Option<Arc<Standing>>,
        counts: Counts,
    ) -> error::Result<Rows> {
        let groups = row_groups(&file, hour, &self.table.schema, self.predicate.as_deref()).await?;
        counts.read.add(groups.len());
        counts.passed_over.add(file.metadata().num_row_groups() - groups.len());
        let keys = standing.as_ref().map(|standing| standing.columns()).unwrap_or_default();
        let asked = self.output.fields().iter().map(|field| field.name().as_str());
        let columns: Vec<&str> = asked.chain(keys).collect();
        let rows = file.rows(Some(&columns), groups, QUERY_BATCH_ROWS)?;
        let start = (rows, self, standing, counts.rows);
        let rows = stream::try_unfold(start, move |(mut rows, files, standing, count)| async move {
            let Some(batch) = rows.next().await? else { return Ok(None) };
            let batch = files.output(batch, hour, standing.as_deref(), rows.place())?;
            count.add(batch.num_rows());
            Ok(Some((batch, (rows, files, standing, count))))
        });
        Ok(rows.boxed())
    }

    fn output(
        &self,
        mut rows: RecordBatch,
        hour: Micros,
        standing: Option<&Standing>,
        place: &str,
    ) -> error::Result<RecordBatch> {
        if let Some(standing) = standing {
            rows = standing.keep(&rows, hour, place)?;
        }
        adapt(&rows, &self.output, hour, place)
    }
}

type Rows = BoxStream<'static, error::Result<RecordBatch>>;

impl fmt::Debug for LakeScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LakeScan")
            .field("table", &self.files.table.path)
            .field("read", &self.read)
            .finish_non_exhaustive()
    }
}

impl DisplayAs for LakeScan {
    fn fmt_as(&self, _t: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns: Vec<_> = self.files.output.fields().iter().map(|column| column.name().as_str()).collect();
        let (read, all) = self.read;
        write!(f, "LakeScan: table={}, files={read} of {all}, columns=[{}]", self.files.table.path, columns.join(", "))
    }
}

impl ExecutionPlan for LakeScan {
    fn name(&self) -> &str {
        "LakeScan"
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

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
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
        let Some(units) = self.parts.get(partition).cloned() else {
            return internal_err!("a scan of {} parts has no part {partition}", self.parts.len());
        };
        let files = Arc::clone(&self.files);
        let count = |name: &'static str| MetricBuilder::new(&self.metrics).counter(name, partition);
        let counts = Counts {
            read: count("row_groups_read"),
            passed_over: count("row_groups_passed_over"),
            rows: MetricBuilder::new(&self.metrics).output_rows(partition),
        };
        // The next footers are read while rows are decoded: in a bucket each takes some tens of milliseconds.
        let rows = stream::iter(units)
            .map(move |unit| Arc::clone(&files).open(unit, Arc::clone(&context), counts.clone()))
            .buffered(QUERY_OPEN_AHEAD)
            .try_flatten()
            .map_err(|e| DataFusionError::External(Box::new(e)));
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.files.output), rows)))
    }
}
