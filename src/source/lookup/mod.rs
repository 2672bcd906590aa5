//! Lookup tables as they are stored: Parquet, CSV or NDJSON, a file or a folder of them, on a disk or in a bucket.
//!
//! ```text
//!  location ─► files: names, times, ETags ─► bytes ─► one batch with the table's columns
//!              FileStamps: has anything changed?      LookupContent: rows, and which file each is from
//! ```
//!
//! * [`LookupSource`]: one table's place; * [`LookupContent`]: what was read; * [`FileStamps`]: what it was read from;
//! * `files`: finding and fetching; * `decode`: bytes as rows; * `columns`: which columns, of which types.
//!
//! A table is read whole and fits in memory: [`LOOKUP_BYTES_MAX`](crate::limits::LOOKUP_BYTES_MAX).
//!
//! Architecture invariant: nothing here knows about queries or keys.

mod columns;
mod content;
mod decode;
mod files;

pub use content::{LookupContent, LookupSource};
pub use files::FileStamps;
