//! What a windowed aggregate computes, as physical expressions over its input.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;

use super::accumulators::state_words;
use super::windowing::Windowing;

/// One column of the `GROUP BY`, in the order of the output.
#[derive(Debug, Clone)]
pub enum GroupColumn {
    /// Start of the window: the same for the whole pane, so it is not part of the key.
    WindowStart,
    /// End of the window (exclusive).
    WindowEnd,
    /// Last instant of the window: its end − 1 ms.
    WindowTime,
    /// A key of the pane's hash table: its position among the keys.
    Key(usize),
}

/// A windowed aggregate: `GROUP BY <group> ` with window columns, `<aggregates>`.
///
/// Input columns that the operator itself reads, besides those of the expressions: the end of the first window that holds the row,
/// the row's number in its batch, and the shard's high time, by index.
#[derive(Debug)]
pub struct WindowSpec {
    /// How its windows lie.
    pub windowing: Windowing,
    /// Columns of the `GROUP BY`, in output order.
    pub group: Vec<GroupColumn>,
    /// The keys: group expressions that are not window bounds.
    pub keys: Vec<Arc<dyn PhysicalExpr>>,
    /// Schema of the keys.
    pub key_schema: SchemaRef,
    /// The aggregates.
    pub aggregates: Vec<Arc<AggregateFunctionExpr>>,
    /// `FILTER (WHERE …)` of each aggregate.
    pub filters: Vec<Option<Arc<dyn PhysicalExpr>>>,
    /// Of sessions, positions of those keys by which they are told apart; empty for other windows.
    pub session_keys: Vec<usize>,
    /// Index of the end of the row's first window, which is its pane's (timestamp, µs), in the input; of sessions, of the one
    /// that the row alone makes.
    pub window_end_index: usize,
    /// Index of the row's number in its batch (`UInt32`) in the input.
    pub row_index: usize,
    /// Index of the shard's high time (timestamp, µs, nullable) in the input.
    pub high_time_index: usize,
    /// Schema of the result: the group columns, then the aggregates.
    pub output: SchemaRef,
}

impl WindowSpec {
    /// What its partials are made of: names and types of the keys, and of each aggregate's state. Partials of equal layouts merge.
    ///
    /// # Errors
    /// If an aggregate does not say what its state is.
    pub fn state_layout(&self) -> Result<String> {
        let keys = self.key_schema.fields().iter().map(|f| Ok(format!("{} {}", f.name(), f.data_type())));
        let states = self.aggregates.iter().map(|a| state_words(a));
        Ok(keys.chain(states).collect::<Result<Vec<_>>>()?.join("; "))
    }

    /// Schema of the keys `keys` over `input`.
    pub fn key_schema(keys: &[(Arc<dyn PhysicalExpr>, String)], input: &Schema) -> Result<SchemaRef> {
        let fields = keys
            .iter()
            .map(|(expr, name)| Ok(expr.return_field(input)?.as_ref().clone().with_name(name).with_nullable(true)))
            .collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(Schema::new(fields)))
    }
}
