//! `EXPLAIN` of a continuous plan: which operator runs where, what it keeps, and when that is dropped.
//!
//! ```text
//!  ContinuousPlan ─┬─► tree: one operator a line, with the place where it runs     rest, windowed nodes, shards' plans
//!                  ├─► state: what is kept, and when it is dropped                 + the job's times
//!                  └─► prose: the same for somebody who runs it
//! ```
//!
//! The text is made from the plan that a job would run, not from the query: the operators are those that DataFusion's optimizer left,
//! the columns those that are read.
//!
//! * [`Explanation`]: the whole text; * [`JobTimes`]: what the plan does not know; * `tree`: the operators; * `state`: what they keep;
//! * `prose`: in words; * `expression`: physical expressions as SQL.

mod explanation;
mod expression;
mod prose;
mod state;
mod tree;

pub use explanation::{Explanation, JobTimes};
