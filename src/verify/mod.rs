//! The proof that a lake's tables are what its raw events say.
//!
//! ```text
//!  raw events of the lake ─► backfill, without raw rows ─► tables in a folder of their own ─┐
//!  tables of the lake ──────────────────────────────────────────────────────────────────────┴─► row by row, in order of the keys
//! ```
//!
//! Raw rows carry their shard's high time, so that each is judged late or not as it was when it came. A table is read sorted by its
//! keys from both places and compared in one pass, so a lake of any size can be verified; what a sort cannot keep waits on disk.
//!
//! * [`Snapshot`]: what of a lake is compared, and up to where it has to be there; * `raw`: what it is computed again from;
//! * [`run`]: a whole verification; * [`VerifyOptions`], [`Verified`], [`TableVerdict`], [`Difference`];
//! * `compare`: two sorted tables; * `sorted`: one of them, row by row.

mod compare;
mod job;
mod raw;
mod snapshot;
mod sorted;
mod verdict;

pub use job::{VerifyOptions, run};
pub use snapshot::{Snapshot, SnapshotOptions};
pub use verdict::{Difference, TableVerdict, Verified};
