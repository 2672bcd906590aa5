//! The logical node. DataFusion's optimizer sees through it as far as the input's columns go.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use datafusion::common::{DFSchema, DFSchemaRef, JoinType, Result, internal_err};
use datafusion::logical_expr::logical_plan::builder::build_join_schema;
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};

use super::provider::LookupTable;
use crate::operator::lookup_join::LookupUse;

/// The input's rows with the columns of the row of a lookup table that has their key.
///
/// The table is not an input: it has no plan, and a scan below a windowed node means the stream. Schema: the input's columns, then the
/// table's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::pipeline) struct LookupJoin {
    pub input: Arc<LogicalPlan>,
    /// The input's side of the key.
    pub keys: Vec<Expr>,
    /// What else must hold of a match, over the schema. Not one of [`Self::expressions`]: it names columns that no input has.
    pub filter: Option<Expr>,
    pub table: Table,
    pub schema: DFSchemaRef,
}

/// What the node reads besides its input.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::pipeline) struct Table {
    /// The table as it is named in the query.
    pub columns: DFSchemaRef,
    /// Its name in the configuration, and where the key's columns are.
    pub name: Arc<str>,
    pub key: Vec<usize>,
    /// A row that finds none goes on, with NULLs.
    pub keeps_all: bool,
}

impl Table {
    pub(in crate::pipeline) fn of(
        table: &LookupTable,
        columns: &DFSchemaRef,
        key: Vec<usize>,
        keeps_all: bool,
    ) -> Self {
        Self { columns: Arc::clone(columns), name: Arc::clone(&table.name), key, keeps_all }
    }

    pub(super) fn wanted(&self) -> LookupUse {
        LookupUse { table: Arc::clone(&self.name), key: self.key.clone() }
    }

    fn join_type(&self) -> JoinType {
        if self.keeps_all { JoinType::Left } else { JoinType::Inner }
    }
}

impl LookupJoin {
    pub(in crate::pipeline) fn try_new(
        input: Arc<LogicalPlan>,
        keys: Vec<Expr>,
        filter: Option<Expr>,
        table: Table,
    ) -> Result<Self> {
        let schema: DFSchema = build_join_schema(input.schema(), &table.columns, &table.join_type())?;
        Ok(Self { input, keys, filter, table, schema: Arc::new(schema) })
    }

    /// The same join of another input.
    pub(in crate::pipeline) fn over(&self, input: LogicalPlan) -> Result<Self> {
        Self::try_new(Arc::new(input), self.keys.clone(), self.filter.clone(), self.table.clone())
    }
}

impl PartialOrd for LookupJoin {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (&self.table.name, &self.keys, &self.filter).partial_cmp(&(&other.table.name, &other.keys, &other.filter))
    }
}

impl UserDefinedLogicalNodeCore for LookupJoin {
    fn name(&self) -> &str {
        "LookupJoin"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        self.keys.clone()
    }

    /// Conditions on the input alone may be judged before the join; by name, so a name that both have stays above.
    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        self.table.columns.fields().iter().map(|f| f.name().clone()).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let keys: Vec<String> = self.keys.iter().map(ToString::to_string).collect();
        write!(f, "LookupJoin: {} {} on [{}]", self.table.join_type(), self.table.name, keys.join(", "))
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        let (Some(input), true) = (inputs.pop(), exprs.len() == self.keys.len()) else {
            return internal_err!("LookupJoin was given other expressions or inputs than it has");
        };
        Self::try_new(Arc::new(input), exprs, self.filter.clone(), self.table.clone())
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let input = self.input.schema();
        let mut columns: HashSet<usize> =
            output_columns.iter().copied().filter(|i| *i < input.fields().len()).collect();
        for expr in self.keys.iter().chain(&self.filter) {
            columns.extend(expr.column_refs().into_iter().filter_map(|c| input.maybe_index_of_column(c)));
        }
        let mut indices: Vec<usize> = columns.into_iter().collect();
        indices.sort_unstable();
        Some(vec![indices])
    }
}
