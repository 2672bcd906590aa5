//! The join of a stream, or of complete windows, with a lookup table that is held in memory.
//!
//! ```text
//!   a version of the table ─► LookupIndex ─► LookupSlot ◄── put between two reads
//!                                                │
//!   batch ─► keys ─► row of the table, or none ◄─┘ ─► batch with the table's columns
//! ```
//!
//! * [`LookupIndex`]: one version's rows, found by key; * [`LookupSlot`]: which version the next run reads;
//! * [`LookupJoinExec`]: the operator.
//!
//! The index is built once a version, not once a run: a batch costs what its own rows cost.

mod exec;
mod index;
mod slot;

pub use exec::{LookupJoinExec, LookupJoinSpec};
pub use index::LookupIndex;
pub use slot::{LookupSlot, LookupUse};
