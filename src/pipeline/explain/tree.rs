//! The operators of a continuous plan, from the table down to the stream, each with the place where it runs.

use std::sync::Arc;

use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::window::WindowExpr;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::joins::HashJoinExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::windows::{BoundedWindowAggExec, WindowAggExec};
use datafusion::physical_plan::{ExecutionPlan, displayable};

use super::explanation::JobTimes;
use super::expression::{Names, listed};
use crate::operator::batch_scan::BatchScanExec;
use crate::operator::concurrency::{ConcurrencyQuery, ShardMarks};
use crate::operator::lookup_join::LookupJoinExec;
use crate::operator::window::{WindowAggregateExec, WindowSpec};
use crate::pipeline::plan::{Cascade, ContinuousPlan, Node};
use crate::pipeline::stream_table::ROW_NUMBER;
use crate::types::format_span;

/// Where an operator runs, and so what it may keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Behind everything: the lake's writer.
    Sink,
    /// Where shards meet, over the complete rows of one window; keeps nothing.
    CompleteWindow,
    /// Where shards meet, with state.
    Combine,
    /// In each shard, with state.
    ShardState,
    /// In each shard, over each batch; keeps nothing.
    ShardBatch,
}

impl Place {
    /// The word in the tree's first column.
    pub(super) fn label(self) -> &'static str {
        match self {
            Place::Sink => "sink",
            Place::CompleteWindow => "window",
            Place::Combine => "combine",
            Place::ShardState => "shard",
            Place::ShardBatch => "batch",
        }
    }

    /// What the word stands for.
    pub(super) fn meaning(self) -> &'static str {
        match self {
            Place::Sink => "the writer of the table",
            Place::CompleteWindow => "where shards meet, over the complete rows of one window at a time; keeps nothing",
            Place::Combine => "where shards meet, with state: a window is complete when every shard has passed its end",
            Place::ShardState => "in each shard by itself, with state: windows that are open",
            Place::ShardBatch => "in each shard by itself, over each batch that is read; keeps nothing",
        }
    }
}

/// One line of the tree.
#[derive(Debug)]
pub(super) struct Operator {
    pub place: Place,
    pub depth: usize,
    pub text: String,
}

/// The tree of a plan, root first.
#[derive(Debug)]
pub(super) struct Tree {
    stream: String,
    names: Names,
    pub operators: Vec<Operator>,
    /// Columns of the stream that are read, each once, in the order of the plan.
    pub columns: Vec<String>,
}

impl Tree {
    /// The tree of `plan` over `stream`.
    pub(super) fn of(plan: &ContinuousPlan, stream: &str, times: &JobTimes) -> Self {
        let mut names = Names::default();
        let below = plan.cascades().map(|(_, cascade)| cascade.input()).collect::<Vec<_>>();
        // From the stream up: names of what is above are made of those below.
        for over_windows in below.into_iter().rev().chain([plan.rest()]) {
            name_results(&mut names, plan, over_windows.plan.as_ref());
        }
        let mut tree = Self { stream: stream.to_owned(), names, operators: Vec::new(), columns: Vec::new() };
        let mut order = vec!["window_start".to_owned()];
        order.extend(plan.header.keys.iter().filter(|key| *key != "window_start").cloned());
        let gather = format_span(times.gather);
        let text = format!(
            "Lake: table {}, hours of window_start, files of {gather} of windows, sorted by {}",
            plan.name,
            order.join(", ")
        );
        tree.push(Place::Sink, 0, text);
        for metric in &plan.metrics {
            let by = match metric.dimensions.as_slice() {
                [] => "without dimensions".to_owned(),
                dimensions => {
                    format!("by {}", dimensions.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", "))
                }
            };
            tree.push(Place::Sink, 1, format!("CloudWatch, where it is enabled: metric {} {by}", metric.metric));
        }
        tree.rest(plan, plan.rest().plan.as_ref(), 1, times);
        tree
    }

    fn push(&mut self, place: Place, depth: usize, text: String) {
        // The planner's name for what several columns share.
        let text = text.replace("__common_expr_", "shared_");
        self.operators.push(Operator { place, depth, text });
    }

    fn read(&mut self, columns: impl Iterator<Item = String>) {
        for column in columns {
            if column != ROW_NUMBER && !self.columns.contains(&column) {
                self.columns.push(column);
            }
        }
    }

    /// The half above the windowed nodes, and they with what is below them.
    fn rest(&mut self, plan: &ContinuousPlan, node: &dyn ExecutionPlan, depth: usize, times: &JobTimes) {
        match plan.node_of(node) {
            Some(Node::Window(window)) => self.window(window, depth),
            Some(Node::Concurrency(query)) => self.concurrency(query, depth, times),
            Some(Node::Cascade(cascade)) => self.cascade(plan, cascade, depth, times),
            None => {
                let below = self.describe(Place::CompleteWindow, node, depth);
                node.children().into_iter().for_each(|child| self.rest(plan, child.as_ref(), below, times));
            }
        }
    }

    /// A windowed aggregate over windows, and what it reads.
    fn cascade(&mut self, plan: &ContinuousPlan, cascade: &Cascade, depth: usize, times: &JobTimes) {
        let spec = cascade.spec();
        let (size, slide, by) = (format_span(spec.windowing.size), format_span(spec.windowing.slide), group_by(spec));
        if spec.windowing.overlap() {
            let panes = spec.windowing.panes();
            self.push(Place::Combine, depth, format!("Merge: {panes} panes to a window of {size} every {slide}{by}"));
        }
        let below = depth + usize::from(spec.windowing.overlap());
        let calls = self.calls(spec);
        self.push(Place::Combine, below, format!("WindowAggregate over windows: panes of {slide}{by}{calls}"));
        self.rest(plan, cascade.input().plan.as_ref(), below + 1, times);
    }

    /// The aggregates, with a semicolon before them.
    fn calls(&self, spec: &WindowSpec) -> String {
        let calls: Vec<String> =
            spec.aggregates.iter().zip(&spec.filters).map(|(a, f)| self.names.aggregate(a, f.is_some())).collect();
        if calls.is_empty() { String::new() } else { format!("; {}", listed(&calls)) }
    }

    fn window(&mut self, window: &WindowAggregateExec, depth: usize) {
        let spec = window.spec();
        let size = format_span(spec.windowing.size);
        let slide = format_span(spec.windowing.slide);
        let by = group_by(spec);
        let merge = match spec.windowing.overlap() {
            _ if spec.windowing.session => format!("Merge: what shards have of sessions with a gap of {size}{by}"),
            false => format!("Merge: the shards' partials of a window of {size}{by}"),
            true => format!(
                "Merge: the shards' partials of {} panes to a window of {size} every {slide}{by}",
                spec.windowing.panes()
            ),
        };
        self.push(Place::Combine, depth, merge);
        let calls = self.calls(spec);
        self.push(
            Place::ShardState,
            depth + 1,
            match spec.windowing.session {
                true => format!("WindowAggregate: parts of sessions with a gap of {size}{by}{calls}"),
                false => format!("WindowAggregate: panes of {slide}{by}{calls}"),
            },
        );
        self.batch(window.input().as_ref(), depth + 2);
    }

    fn concurrency(&mut self, query: &ConcurrencyQuery, depth: usize, times: &JobTimes) {
        let size = format_span(query.size);
        let by = match query.partition_by.is_empty() {
            true => " of the whole platform".to_owned(),
            false => format!(" by {}", query.partition_by.join(", ")),
        };
        let own = query.timeouts.over(&times.concurrency).named().into_iter();
        let own = own.filter(|(name, _)| query.timeouts.sets(name));
        let own: String = own.map(|(name, t)| format!("; {name} {}", format_span(t))).collect();
        self.push(Place::Combine, depth, format!("Concurrency: windows of {size}{by}, from sessions and streams{own}"));
        let bucket = format_span(times.finest_concurrency_window.unwrap_or(query.size));
        self.push(
            Place::ShardState,
            depth + 1,
            format!("Marks: signs of life of sessions and streams, in buckets of {bucket}"),
        );
        let columns = ShardMarks::columns(&query.partition_by);
        self.push(Place::ShardBatch, depth + 2, format!("Scan {}: {}", self.stream, listed(&columns)));
        self.read(columns.into_iter());
    }

    /// What a shard runs over each batch.
    fn batch(&mut self, node: &dyn ExecutionPlan, depth: usize) {
        if let Some(scan) = node.downcast_ref::<BatchScanExec>() {
            let columns: Vec<String> = scan.schema().fields().iter().map(|f| f.name().clone()).collect();
            let shown: Vec<String> = columns.iter().filter(|c| *c != ROW_NUMBER).cloned().collect();
            self.push(Place::ShardBatch, depth, format!("Scan {}: {}", scan.source_name(), listed(&shown)));
            self.read(columns.into_iter());
            return;
        }
        let below = self.describe(Place::ShardBatch, node, depth);
        node.children().into_iter().for_each(|child| self.batch(child.as_ref(), below));
    }

    /// Adds one of DataFusion's operators; the depth of what it reads.
    fn describe(&mut self, place: Place, node: &dyn ExecutionPlan, depth: usize) -> usize {
        // It lets other tasks run between two batches, and hands every row through.
        if node.name() == "CooperativeExec" {
            return depth;
        }
        let text = describe(node, &self.names);
        self.push(place, depth, text);
        depth + 1
    }
}

/// ` by country, device_type`; nothing where a window is one group.
pub(super) fn group_by(spec: &WindowSpec) -> String {
    let names = Names::default();
    let keys: Vec<String> = spec.key_schema.fields().iter().map(|f| names.of(f.name())).collect();
    if keys.is_empty() { String::new() } else { format!(" by {}", listed(&keys)) }
}

/// Notes how the columns are shown that aggregates and functions bring into being.
fn name_results(names: &mut Names, plan: &ContinuousPlan, node: &dyn ExecutionPlan) {
    if let Some(spec) = plan.node_of(node).and_then(Node::window) {
        let results = spec.output.fields().iter().skip(spec.group.len());
        for (field, (call, filter)) in results.zip(spec.aggregates.iter().zip(&spec.filters)) {
            names.show(field.name(), names.aggregate(call, filter.is_some()));
        }
    }
    node.children().into_iter().for_each(|child| name_results(names, plan, child.as_ref()));
    for call in over_functions(node) {
        names.show(call.name(), names.called(call.as_ref()));
    }
    if let Some(above) = node.downcast_ref::<AggregateExec>() {
        for (call, filter) in above.aggr_expr().iter().zip(above.filter_expr()) {
            names.show(call.name(), names.aggregate(call, filter.is_some()));
        }
    }
}

/// The functions `OVER (…)` of an operator.
fn over_functions(node: &dyn ExecutionPlan) -> &[Arc<dyn WindowExpr>] {
    let bounded = node.downcast_ref::<BoundedWindowAggExec>().map(BoundedWindowAggExec::window_expr);
    bounded.or_else(|| node.downcast_ref::<WindowAggExec>().map(WindowAggExec::window_expr)).unwrap_or_default()
}

/// One of DataFusion's operators.
fn describe(node: &dyn ExecutionPlan, names: &Names) -> String {
    if let Some(projection) = node.downcast_ref::<ProjectionExec>() {
        let shown = projection.expr().iter().filter(|p| p.alias != ROW_NUMBER);
        let columns: Vec<String> = shown.map(|p| names.projected(p.expr.as_ref(), &p.alias)).collect();
        return format!("Projection: {}", listed(&columns));
    }
    if let Some(filter) = node.downcast_ref::<FilterExec>() {
        return format!("Filter: {}", names.sql(filter.predicate().as_ref()));
    }
    if let Some(sort) = node.downcast_ref::<SortExec>() {
        let first = sort.fetch().map_or_else(String::new, |n| format!(", the first {n}"));
        return format!("Sort: {}{first}", names.order(sort.expr().iter()));
    }
    if let functions @ [_, ..] = over_functions(node) {
        let calls: Vec<String> = functions.iter().map(|call| names.over(call.as_ref())).collect();
        return format!("Window functions: {}", listed(&calls));
    }
    if let Some(join) = node.downcast_ref::<LookupJoinExec>() {
        return lookup_join(join, names);
    }
    if let Some(join) = node.downcast_ref::<HashJoinExec>() {
        let on = join.on().iter().map(|(l, r)| format!("{} = {}", names.sql(l.as_ref()), names.sql(r.as_ref())));
        return format!("{} join: on {}", join.join_type(), on.collect::<Vec<_>>().join(" AND "));
    }
    if let Some(above) = node.downcast_ref::<AggregateExec>() {
        let keys = above.group_expr().expr().iter().map(|(key, name)| names.projected(key.as_ref(), name));
        let filters = above.filter_expr().iter();
        let calls = above.aggr_expr().iter().zip(filters).map(|(a, f)| names.aggregate(a, f.is_some()));
        return format!("Aggregate: by {}; {}", listed(&keys.collect::<Vec<_>>()), listed(&calls.collect::<Vec<_>>()));
    }
    plain(&displayable(node).one_line().to_string())
}

fn lookup_join(join: &LookupJoinExec, names: &Names) -> String {
    let spec = join.spec();
    let inputs = spec.schema.fields().len() - spec.table_columns;
    let key = |(of_stream, column): (&Arc<dyn PhysicalExpr>, &usize)| {
        format!("{} = {}", names.sql(of_stream.as_ref()), spec.schema.field(inputs + column).name())
    };
    let on: Vec<String> = spec.keys.iter().zip(&spec.wanted.key).map(key).collect();
    let also = spec.filter.as_ref().map_or_else(String::new, |f| format!(" AND {}", names.sql(f.as_ref())));
    let (table, how) = (&spec.wanted.table, join.join_type());
    let added = listed(&join.emitted_columns());
    format!("{how} join with the lookup table {table}: on {}{also}; adds {added}", on.join(" AND "))
}

/// DataFusion's own line, without the positions of columns and the `Exec` of names.
fn plain(line: &str) -> String {
    let line = line.trim();
    let (name, details) = line.split_once(':').unwrap_or((line, ""));
    let mut text = name.strip_suffix("Exec").unwrap_or(name).to_owned();
    if !details.is_empty() {
        text.push(':');
    }
    let mut rest = details;
    while let Some((before, after)) = rest.split_once('@') {
        text.push_str(before);
        rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    text.push_str(rest);
    text
}
