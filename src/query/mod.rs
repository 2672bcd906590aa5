//! SQL over the tables that a lake has.
//!
//! ```text
//!  text ─► Statement ─► DataFusion's planner ─► LakeTable ─► hours that may matter ─► LakeScan ─► … ─► ResultRows
//!          reading only                         columns of     by the filter           row groups that may matter,
//!                                               its files                              rows that stand
//! ```
//!
//! | part | job |
//! |---|---|
//! | [`Statement`] | one statement that reads; which tables it names |
//! | [`LakeQuery`] | a session over one lake: memory, spilling, functions; runs statements |
//! | `catalog` | names to tables: `user_events`, `_dead_letters`, `_late.revenue` |
//! | `columns` | the columns of a table whose files differ, and a file's rows in them |
//! | `table`, `scan` | a table of DataFusion, and the operator that reads its files |
//! | `prune` | which hours and row groups cannot hold a row that is asked for |
//! | `revisions` | which rows a later revision has replaced |
//! | `failure` | what DataFusion says, as a person can use it |
//!
//! Nothing here writes to the lake, and a replacement is seen whole or not at all ([`Lake::list_recorded`](crate::sink::lake::Lake)).

mod catalog;
mod columns;
mod failure;
mod prune;
mod revisions;
mod scan;
mod session;
mod statement;
mod table;

pub use catalog::KnownTable;
pub use session::{LakeQuery, QueryOptions, ResultRows, Revisions};
pub use statement::Statement;
