//! The lookup tables of a job: which version of each is joined, and how another comes into its place.
//!
//! ```text
//!  LookupSource ─► LoadedLookup ─► Compiler (columns)            at the start
//!                        └───────► JoinedTable: version in use ──put──► plans of shards and of complete windows
//!  files change ─► Reloader: read, index, keep in the lake ─► next version in use; taken up by each shard at its next read
//! ```
//!
//! * [`LoadedLookup`]: a table that was read for the first time; * [`Lookups`]: those that queries join, with the version in use;
//! * [`LookupVersion`]: rows and indexes; * [`Reloader`]: looks for changes; * [`LookupHistory`]: versions that checkpoints name.

mod history;
mod loaded;
mod reload;
mod tables;
mod version;

pub use history::LookupHistory;
pub use loaded::LoadedLookup;
pub use reload::Reloader;
pub use tables::{JoinedTable, Lookups};
pub use version::LookupVersion;
