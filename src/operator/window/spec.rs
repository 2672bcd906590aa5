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

/// Input columns that the operator itself reads of the stream's rows, besides those of the expressions, by index.
#[derive(Debug, Clone, Copy)]
pub struct RowColumns {
    /// The end of the row's first window, which is its pane's (timestamp, µs); of sessions, of the one that the row alone makes.
    pub window_end: usize,
    /// The row's number in its batch (`UInt32`).
    pub number: usize,
    /// The shard's high time (timestamp, µs, nullable).
    pub high_time: usize,
}

/// A windowed aggregate: `GROUP BY <group> ` with window columns, `<aggregates>`.
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
    /// By aggregate, whether its arguments can be computed of every row that the input may have: nothing fails, as a division by 0 may.
    pub total: Vec<bool>,
    /// Of sessions, positions of those keys by which they are told apart; empty for other windows.
    pub session_keys: Vec<usize>,
    /// What else it reads of the stream's rows; nothing where its rows are those of complete windows.
    pub rows: Option<RowColumns>,
    /// Schema of the result: the group columns, then the aggregates.
    pub output: SchemaRef,
}

/// Aggregates of which every order of their rows makes the same, besides those with an order of their own, and sums of no floats.
const OF_ANY_ORDER: [&str; 11] = [
    "count",
    "min",
    "max",
    "median",
    "percentile",
    "percentile_cont",
    "bool_and",
    "bool_or",
    "bit_and",
    "bit_or",
    "bit_xor",
];

/// All that an aggregate takes of a row, but for its filter: its arguments, then what it goes by in its order.
pub fn arguments(aggregate: &AggregateFunctionExpr) -> impl Iterator<Item = Arc<dyn PhysicalExpr>> {
    let order = aggregate.order_bys().iter().map(|by| Arc::clone(&by.expr));
    aggregate.expressions().into_iter().chain(order)
}

impl WindowSpec {
    /// Whether its result may depend on the order of its rows, be it by rounding only.
    pub fn goes_by_order(&self) -> bool {
        let of_any_order = |call: &AggregateFunctionExpr| {
            let floats = call.state_fields().is_ok_and(|state| state.iter().any(|f| f.data_type().is_floating()));
            match call.fun().name() {
                "sum" => !floats,
                name => OF_ANY_ORDER.contains(&name) || !call.order_bys().is_empty(),
            }
        };
        !self.aggregates.iter().all(|call| of_any_order(call))
    }

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
