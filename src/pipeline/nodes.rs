//! The logical nodes of windowed operators. DataFusion's optimizer sees through them as far as columns go.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use datafusion::common::{DFSchemaRef, Result, internal_err};
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};

use super::bound::{Bound, Windows};
use crate::operator::concurrency::ConcurrencyQuery;

/// `GROUP BY` with window columns over a stream, or over the rows of complete windows: rows in, rows of complete windows out.
///
/// Schema: the group expressions, then the aggregates, as `LogicalPlan::Aggregate` has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct WindowAggregate {
    pub input: Arc<LogicalPlan>,
    pub group: Vec<Expr>,
    /// Of each of them, which bound of the windows it is; the others are keys. (The optimizer may say a bound in other words.)
    pub bounds: Vec<Option<Bound>>,
    pub aggregates: Vec<Expr>,
    /// What the operator itself reads of the stream's rows: end of the row's first window, row number, shard's high time; kept alive
    /// through the optimizer. Of windows' rows nothing.
    pub carried: Vec<Expr>,
    pub windows: Windows,
    /// Of sessions, positions in `group` of the keys that tell them apart.
    pub session_keys: Vec<usize>,
    pub schema: DFSchemaRef,
}

impl PartialOrd for WindowAggregate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self.windows, &self.group, &self.aggregates).partial_cmp(&(other.windows, &other.group, &other.aggregates))
    }
}

impl UserDefinedLogicalNodeCore for WindowAggregate {
    fn name(&self) -> &str {
        "WindowAggregate"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        self.group.iter().chain(&self.aggregates).chain(&self.carried).cloned().collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let list = |exprs: &[Expr]| exprs.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        write!(f, "WindowAggregate: groupBy=[[{}]], aggr=[[{}]]", list(&self.group), list(&self.aggregates))
    }

    fn with_exprs_and_inputs(&self, mut exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        let (groups, aggregates) = (self.group.len(), self.aggregates.len());
        let (Some(input), true) = (inputs.pop(), exprs.len() == groups + aggregates + self.carried.len()) else {
            return internal_err!("WindowAggregate was given other expressions or inputs than it has");
        };
        let carried = exprs.split_off(groups + aggregates);
        let aggregates = exprs.split_off(groups);
        Ok(Self {
            input: Arc::new(input),
            group: exprs,
            bounds: self.bounds.clone(),
            aggregates,
            carried,
            windows: self.windows,
            session_keys: self.session_keys.clone(),
            schema: Arc::clone(&self.schema),
        })
    }

    fn necessary_children_exprs(&self, _output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let mut columns = HashSet::new();
        for expr in self.expressions() {
            expr.column_refs().into_iter().for_each(|c| {
                columns.extend(self.input.schema().maybe_index_of_column(c));
            });
        }
        let mut indices: Vec<_> = columns.into_iter().collect();
        indices.sort_unstable();
        Some(vec![indices])
    }
}

/// `CONCURRENCY(TABLE stream [PARTITION BY k, …], DESCRIPTOR(time), size [, timeouts])`: a leaf, since all concurrency tables share one
/// state, which reads the stream by itself.
///
/// Schema: [`ConcurrencyQuery::fields`], with the window columns marked as such.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Concurrency {
    pub query: ConcurrencyQuery,
    pub schema: DFSchemaRef,
}

impl PartialOrd for Concurrency {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.query.partial_cmp(&other.query)
    }
}

impl UserDefinedLogicalNodeCore for Concurrency {
    fn name(&self) -> &str {
        "Concurrency"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        vec![]
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "Concurrency: size={}s", self.query.size / 1_000_000)?;
        if !self.query.partition_by.is_empty() {
            write!(f, ", partition by {}", self.query.partition_by.join(", "))?;
        }
        Ok(())
    }

    fn with_exprs_and_inputs(&self, _exprs: Vec<Expr>, _inputs: Vec<LogicalPlan>) -> Result<Self> {
        Ok(self.clone())
    }
}
