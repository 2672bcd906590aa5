//! Event files as inputs of a backfill: JSON (plain, gzip, zstd) and Parquet, on a disk or in an S3 bucket.
//!
//! ```text
//!  paths, globs, folders, URLs ─discover─► [InputFile] ─shards─► [FileShard] ─FileShardReader─► FileBatch::Records  lines or values, to be decoded
//!                                                                                              FileBatch::Entries  of `get-records`, to be unpacked
//!                                                                                              FileBatch::Rows     events, already decoded
//! ```
//!
//! A file of JSON says by its beginning how it is laid out: `layout`. `lines`, `values` and `documents` cut it into records, the last two
//! by a `window` that moves over the file and a `cut` that finds where a value ends.
//!
//! A *shard* of a backfill is a sequence of files whose order means something, as the order within a Kinesis shard does. Shards are read
//! independently of each other, so that they can be worked on in parallel.
//!
//! Reading and decompressing block a thread, by design: they run on the runtime's blocking threads, one block (8 MiB of JSON, or
//! 16,384 rows) at a time and at most one block ahead of the consumer. Remote objects are streamed; only Parquet asks for ranges.
//!
//! Architecture invariant: nothing here knows what is in an event.

mod adapt;
mod bytes;
mod cut;
mod discover;
mod documents;
mod input;
mod json;
mod layout;
mod lines;
mod reader;
mod remote;
mod rows;
mod shard_column;
mod shards;
mod values;
mod window;

pub use discover::discover;
pub use input::{FileKind, InputFile, Progress};
pub use reader::{FileBatch, FileShardReader};
pub use shard_column::group_by_shard_column;
pub use shards::{FileShard, shards};
