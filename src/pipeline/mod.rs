//! From a SQL file to a continuous plan.
//!
//! ```text
//!  pipelines/x.sql ─► PipelineFile ─► dialect ─► table functions ─► analyzer rule ─► optimizer ─► extension planner ─► cut
//!                     header, text    TABLE t     TUMBLE,           GROUP BY window  DataFusion   operators            ContinuousPlan
//!                                                 CONCURRENCY       ─► WindowAggregate
//! ```
//!
//! A [`ContinuousPlan`] has two halves: for each windowed node the plan that a shard runs over every batch, and the rest of
//! the query, plain DataFusion, that runs over the complete rows of a window. What cannot run like that is refused here, with
//! the line, the reason and the remedy. A windowed aggregate over windows ([`Cascade`]) lies between: what it reads runs over the complete
//! rows of a window too, and adds them to the panes of longer ones.
//!
//! * [`PipelineFile`]: the file, its header; * `dialect`: Flink's `TABLE t PARTITION BY k` arguments; * `depth`: how deep it may nest;
//! * `table_functions`: `TUMBLE` and `CONCURRENCY`; * `bound`: the function behind `window_start` and `window_end`; * `bounds_below`: who may
//!   not look at them; * `marks`: what of a column is known by its metadata;
//! * `cascade`: windows of windows; * `nodes`: the logical nodes; * `analyze`: what becomes a windowed node, what is refused;
//! * `metric`: what becomes a metric of CloudWatch; * `row_keys`: whether keys tell rows apart; * `physical`: logical nodes to operators; * `compile`: all of it;
//! * `table_bounds`: whose bounds a table has; * `subqueries`: which of them are refused; * `ties`: rows that an order leaves equal; * `places`: the lines of columns and windows;
//! * `functions`: those besides DataFusion's; * `json_path`: `JSON_VALUE` and its like; * `unrepeatable`: functions that are refused;
//! * [`WindowPlan`]: a plan over complete windows; * [`Fingerprint`]: what its state depends on; * `stream_table`: the stream as a table; * [`Explanation`]: a plan in words.

mod analyze;
mod bound;
mod bounds_below;
mod call;
mod cascade;
mod checks;
mod compile;
mod depth;
mod dialect;
mod explain;
mod file;
mod fingerprint;
mod functions;
mod json_path;
mod lookup;
mod marks;
mod metric;
mod nodes;
mod order_of_windows;
mod output;
mod physical;
mod places;
mod plan;
mod refusal;
mod row_keys;
mod selection;
mod session_keys;
mod stream_table;
mod subqueries;
mod table_bounds;
mod table_functions;
mod ties;
mod unrepeatable;
mod window_plan;

pub(crate) use call::ident_name;
pub(crate) use depth::check as check_depth;
pub(crate) use dialect::StreamDialect;
pub(crate) use functions::register_own;
pub(crate) use refusal::{SqlText, refuse, refuse_at};
pub(crate) use table_functions::WindowTableFunctions;

pub use compile::Compiler;
pub use explain::{Explanation, JobTimes};
pub use file::{Header, PipelineFile, SinkName};
pub use fingerprint::Fingerprint;
pub use functions::Function;
pub use lookup::LookupTable;
pub use metric::MetricHeader;
pub use plan::{Cascade, ContinuousPlan, Node, ShardPlan, StatefulNode, number_rows};
pub use stream_table::ROW_NUMBER;
pub use window_plan::WindowPlan;
