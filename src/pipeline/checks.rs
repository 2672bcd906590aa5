//! What is looked at when a query has been compiled, so that it cannot fail or be wrong when it runs.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::aggregates::AggregateExec;

use super::cascade::puts_stream;
use super::file::PipelineFile;
use super::places::Places;
use super::plan::{ContinuousPlan, Node, StatefulNode};
use super::refusal::refuse;
use super::window_plan::WindowPlan;
use crate::error::{Error, Result};
use crate::operator::batch_scan::BatchScanExec;
use crate::operator::concurrency::ConcurrencyExec;
use crate::operator::lookup_join::LookupIndex;
use crate::operator::window::WindowAggregateExec;

impl ContinuousPlan {
    /// All of it; `query` is the query as it is written.
    pub(super) async fn check(&self, file: &PipelineFile, places: &Places, query: &LogicalPlan) -> Result<()> {
        self.check_windows(file, places, query)?;
        self.check_leaves()?;
        // What DataFusion finds out only when it runs is found out now.
        for plan in self.window_plans() {
            check_aggregates(&plan.plan).map_err(|e| refuse(file, &e))?;
        }
        self.put_lookups(|wanted| {
            let table = self.lookups.iter().find(|table| table.name == wanted.table);
            let table = table.ok_or_else(|| Error::internal("a lookup table that is joined is not known"))?;
            let rows = RecordBatch::new_empty(Arc::clone(&table.schema));
            LookupIndex::try_new(rows, &wanted.key, &|_| self.place.clone()).map(Arc::new)
        })?;
        for plan in self.window_plans() {
            let no_rows = plan.nodes.iter().map(|_| None).collect();
            plan.run(&self.nodes, no_rows, &self.context).await.map_err(|e| refuse(file, &e))?;
        }
        Ok(())
    }

    /// Everything that runs over complete windows.
    fn window_plans(&self) -> impl Iterator<Item = &WindowPlan> {
        std::iter::once(&self.rest).chain(self.cascades().map(|(_, cascade)| cascade.input()))
    }

    fn check_windows(&self, file: &PipelineFile, places: &Places, query: &LogicalPlan) -> Result<()> {
        for plan in self.window_plans() {
            self.check_windows_of(plan, file, places)?;
        }
        if self.windowing().session {
            self.check_sessions(file)?;
        }
        if self.reads_concurrency() && self.header.watermark_delay_secs.is_some() {
            let reason =
                "concurrency tables take no watermark_delay_secs: they share one state, which waits as long as the job";
            return Err(Error::user(reason).at(file.at_key("watermark_delay_secs")).hint(
                "remove the key, or set time.watermark_delay_secs; a table without CONCURRENCY may have its own",
            ));
        }
        // Of several parts of a query, those that count rows may be revised.
        if !self.aggregates_stream() && self.header.allowed_lateness_secs > 0 {
            let why =
                "concurrency tables take no allowed_lateness_secs: one late mark would change every window after it";
            let (reason, remedy) = match puts_stream(query)? {
                false => (why.to_owned(), "remove the key, or raise time.watermark_delay_secs"),
                // The optimizer has left the join out.
                true => (
                    format!("the rows that are counted beside CONCURRENCY change nothing in the result, and {why}"),
                    "select what they are counted for (a LEFT JOIN that no column is selected of adds nothing), or remove the join and the key",
                ),
            };
            return Err(Error::user(reason).at(file.at_key("allowed_lateness_secs")).hint(remedy));
        }
        Ok(())
    }

    /// Whether the windows that are read together lie in the same way.
    fn check_windows_of(&self, plan: &WindowPlan, file: &PipelineFile, places: &Places) -> Result<()> {
        let windowing = self.windowing_of(plan);
        let mut others = self.nodes_of(plan).map(StatefulNode::windowing);
        let Some(other) = others.find(|other| *other != windowing) else { return Ok(()) };
        let (reason, remedy) = match other.session || windowing.session {
            true => {
                let reason = "the query combines sessions with other windows, or with sessions of another gap";
                (reason, "use one gap in one file, or two files")
            }
            false => {
                let reason = "the query combines windows of different sizes or slides";
                (reason, "use one size and slide in one file, or two files")
            }
        };
        Err(Error::user(reason).at(places.other_size(file)).hint(remedy))
    }

    fn check_sessions(&self, file: &PipelineFile) -> Result<()> {
        if self.header.allowed_lateness_secs > 0 {
            let reason =
                "tables of sessions take no allowed_lateness_secs: one late row may join up sessions that were written";
            return Err(Error::user(reason)
                .at(file.at_key("allowed_lateness_secs"))
                .hint("remove the key, or set a longer watermark_delay_secs"));
        }
        if !self.metrics.is_empty() {
            return Err(Error::user("a metric is of windows of one length, and sessions have none")
                .at(file.at_metric(0, "metric"))
                .hint("take [[cloudwatch]] and the sink cloudwatch out, or use TUMBLE"));
        }
        Ok(())
    }

    /// Rows of the stream come to no operator above the windows, and complete windows to none below: such a query would be silently
    /// empty.
    fn check_leaves(&self) -> Result<()> {
        let stray = |plan: &Arc<dyn ExecutionPlan>, is_stray: &dyn Fn(&dyn ExecutionPlan) -> bool| {
            plan.exists(|node| Ok(is_stray(node.as_ref())))
        };
        let above =
            |node: &dyn ExecutionPlan| node.downcast_ref::<BatchScanExec>().is_some() && self.node_of(node).is_none();
        let below = |node: &dyn ExecutionPlan| {
            node.downcast_ref::<WindowAggregateExec>().is_some() || node.downcast_ref::<ConcurrencyExec>().is_some()
        };
        let mut strays = false;
        for plan in self.window_plans() {
            strays |= stray(&plan.plan, &above)?;
        }
        for node in &self.nodes {
            if let Node::Window(window) = &node.node {
                strays |= stray(window.input(), &below)?;
            }
        }
        if strays { Err(Error::internal("the query was cut at the wrong place").at(&self.place)) } else { Ok(()) }
    }
}

/// Whether accumulators can be made of the aggregates above the windows: some find out about their arguments only then.
fn check_aggregates(rest: &Arc<dyn ExecutionPlan>) -> datafusion::common::Result<()> {
    rest.apply(|node| {
        let aggregates = node.downcast_ref::<AggregateExec>().map(AggregateExec::aggr_expr).unwrap_or_default();
        let mut rowwise = aggregates.iter().filter(|a| !a.groups_accumulator_supported());
        rowwise.try_for_each(|a| a.create_accumulator().map(drop))?;
        Ok(TreeNodeRecursion::Continue)
    })
    .map(drop)
}
