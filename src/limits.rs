//! Every bound of the product in one place: name, unit last, and the reason for its value.
//!
//! Limits that a user may want to change are configuration (`crate::config`); these are the ones that are not.

/// Kinesis refuses records over 10 MiB; a file's line is held to the same.
pub const RECORD_BYTES_MAX: usize = 10 * 1024 * 1024;

/// Records that GetRecords returns at most in one call (documented limit of the service).
pub const GET_RECORDS_LIMIT_MAX: i32 = 10_000;

/// PutRecords takes at most this many records a call (documented limit of the service).
pub const PUT_RECORDS_MAX: usize = 500;

/// How deep JSON may nest in an event before it is refused: far above any real event, far below the stack.
pub const JSON_DEPTH_MAX: usize = 64;

/// Batches that may wait between a shard's reader and its stage: one being processed, one ready.
pub const SHARD_QUEUE_BATCHES_MAX: usize = 2;

/// Messages that may wait for the combine stage, from all shards together.
pub const COMBINE_QUEUE_MAX: usize = 64;

/// Batches that may wait for a lake writer: enough to ride out one slow upload, small enough to bound memory.
pub const LAKE_QUEUE_BATCHES_MAX: usize = 8;

/// Rows that one bounded plan sees at a time. Larger batches only cost cache.
pub const PLAN_BATCH_ROWS_MAX: usize = 50_000;

/// Unknown field names that are counted by name; the rest share one counter, so that junk keys cannot grow memory.
pub const UNKNOWN_FIELD_NAMES_MAX: usize = 256;

/// A query file larger than this is refused: it is not a query.
pub const PIPELINE_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// A graceful stop has this long before the process gives up on a hanging service, in seconds.
pub const DRAIN_SECS_MAX: u64 = 9;

/// A configuration file larger than this is refused: it is something else, given by mistake.
pub const CONFIG_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// After the stop, an HTTP client that is still reading its answer has this long, in seconds; the drain of the data comes first.
pub const SERVE_DRAIN_SECS_MAX: u64 = 2;

const _: () = assert!(SERVE_DRAIN_SECS_MAX < DRAIN_SECS_MAX, "a slow scraper must not use up the time of the drain");
const _: () = assert!(PUT_RECORDS_MAX <= 500, "PutRecords refuses more than 500 records");
const _: () = assert!(GET_RECORDS_LIMIT_MAX <= 10_000, "GetRecords refuses a limit over 10,000");
