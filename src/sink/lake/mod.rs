//! The lake: tables of Parquet files, partitioned by hour, on a disk or in an S3 bucket.
//!
//! ```text
//! <lake>/user_events/year=2026/month=01/day=31/hour=18/<prefix>-000000.parquet     raw events, by event time
//! <lake>/platform_totals/year=2026/…                                               aggregates, by window start
//! <lake>/_late/<pipeline>/year=…                                                   rows too late for a pipeline
//! <lake>/_dead_letters/year=…                                                      what could not be decoded, by arrival
//! <lake>/_staging/<id>/…                                                           a backfill's files before they count
//! <lake>/_checkpoints/<application>/<number>.checkpoint                            commits: the state of a job, and the files that it makes visible
//! <lake>/_uncommitted/<application>/<run>/<table>/…                                a live job's files before a commit names them
//! <lake>/_lookups/<application>/<hash>.arrow                                       versions of lookup tables that checkpoints name
//! ```
//!
//! | part | job |
//! |---|---|
//! | [`Lake`] | opens the place from a URL or a path; knows the object store |
//! | [`TableSpec`], [`RollPolicy`] | what a table is like, and when a file is full |
//! | [`TableWriter`] | a stream of rows, any hours, into one open file an hour |
//! | [`GatherWriter`] | finished windows, gathered into few sorted files |
//! | [`Replacement`] | whole table-hours replaced, or files added and taken away, in one step |
//! | [`Uncommitted`] | files of a live job, which count once a commit names them |
//! | [`CheckpointStore`] | commits of a job, the last few |
//! | [`LookupStore`] | versions of lookup tables, by the hash of their content |
//! | [`LakeFile`], [`Lake::list`], [`Lake::read_table`], [`Lake::rows`] | reading back, at once or batch by batch |
//! | [`Lake::tables`], [`Lake::list_recorded`], [`OpenFile`] | what a query reads: names, committed files, parts of a file |
//! | [`FileColumns`], [`Lake::columns`] | which columns a table's oldest and newest files have |
//!
//! A file appears whole or not at all: it is uploaded in parts (on a disk: written under another name) and completed at the end. The columns
//! that a path spells out (`year` … `hour`) are not in the file, as strict Hive readers demand.
//!
//! Architecture invariant: this is the only stage that writes objects; nothing here knows about DataFusion or about events' meaning.

mod checkpoints;
mod columns;
mod gather_writer;
mod listing;
mod location;
mod lookups;
mod parquet_file;
mod partition;
mod properties;
mod recorded;
mod recovery;
mod replacement;
mod rows;
mod spec;
mod staging;
mod table_writer;
mod uncommitted;
mod upload;

pub use checkpoints::{CheckpointStore, Put, StoredCheckpoint};
pub use columns::FileColumns;
pub use gather_writer::GatherWriter;
pub use listing::LakeFile;
pub use location::{Lake, LakeOptions};
pub use lookups::LookupStore;
pub use parquet_file::WriteSummary;
pub use partition::{split_by_time, time_values};
pub use properties::TIME_COLUMN_KEY;
pub use recovery::Recovery;
pub use replacement::{ReplaceSummary, Replacement};
pub use rows::{LakeRows, OpenFile};
pub use spec::{DEAD_LETTERS, LATE, RollPolicy, TableSpec, late_table, table_of_late};
pub use staging::{Move, Moved};
pub use table_writer::TableWriter;
pub use uncommitted::{Leftovers, Uncommitted};
