//! Joins with lookup tables in queries.
//!
//! ```text
//!  LookupTable ─► provider: the name in FROM         rule: Join(stream, table) ─► LookupJoin       plan: ─► LookupJoinExec
//! ```
//!
//! * [`LookupTable`]: a table as queries see it; * `provider`: that table for the planner; * `rule`: the analyzer rule, and what is
//!   refused; * `node`: the logical node; * `plan`: from the node to the operator.
//!
//! A lookup table has no rows here: a plan is given a version of it before each run.

mod node;
mod plan;
mod provider;
mod rule;

pub(super) use node::LookupJoin;
pub(super) use plan::{fresh_joins, joins_of, plan_join};
pub(super) use provider::LookupProvider;
pub use provider::LookupTable;
pub(super) use rule::{LookupJoins, known};
