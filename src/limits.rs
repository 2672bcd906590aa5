//! Every bound of the product in one place: name, unit last, and the reason for its value.
//!
//! Limits that a user may want to change are configuration (`crate::config`); these are the ones that are not.

/// Kinesis refuses records over 10 MiB; a file's line is held to the same.
pub const RECORD_BYTES_MAX: usize = 10 * 1024 * 1024;

/// The JSON of one record in what GetRecords returned: its bytes as base64, and room for its other fields. What is longer holds a
/// record over the limit.
pub const RECORD_ENTRY_BYTES_MAX: usize = RECORD_BYTES_MAX.div_ceil(3) * 4 + 64 * 1024;

/// A key of a document of GetRecords: the longest that has a meaning is a third of it.
pub const DOCUMENT_KEY_BYTES_MAX: usize = 64;

/// Records that GetRecords returns at most in one call (documented limit of the service).
pub const GET_RECORDS_LIMIT_MAX: i32 = 10_000;

/// PutRecords takes at most this many records a call (documented limit of the service).
pub const PUT_RECORDS_MAX: usize = 500;

/// PutRecords calls carry at most this many bytes, data and partition keys together: what every release of the service has taken.
pub const PUT_RECORDS_BYTES_MAX: usize = 5 * 1024 * 1024;

/// Milliseconds between two GetRecords calls to a shard, at least: just under the service's 5 calls a second.
pub const GET_RECORDS_GAP_MILLIS_MIN: u64 = 220;

/// Bytes a second that one shard gives to all its readers together (documented limit of the service).
pub const GET_RECORDS_BYTES_PER_SEC_MAX: u64 = 2 * 1024 * 1024;

/// Tries of one Kinesis call before its error is handed on: with the pauses below about half a minute.
pub const KINESIS_TRIES_MAX: u32 = 12;

/// The longest pause between two tries of a Kinesis call, in milliseconds.
pub const KINESIS_BACKOFF_MILLIS_MAX: u64 = 8_000;

/// The first pause between two tries of a Kinesis call is at most this, in milliseconds; it doubles from try to try.
pub const KINESIS_BACKOFF_MILLIS_MIN: u64 = 100;

/// One try of a Kinesis call may last this long, in seconds: a 10 MiB reply over a slow line takes most of it.
pub const KINESIS_TRY_SECS_MAX: u64 = 30;

/// Events a second that the simulator plays at most: its audience, about 16 sessions to an event a second, has to fit in memory.
pub const SIMULATOR_EVENTS_PER_SEC_MAX: u32 = 100_000;

/// Channels that the simulator has at most: each is on air all the time but for short breaks, and its events are to be found.
pub const SIMULATOR_CHANNELS_MAX: u32 = 100_000;

/// Files that `simulate` writes at once: they are all open, and processes are commonly held to 1,024.
pub const SIMULATE_SHARDS_MAX: u32 = 512;

/// Shards of the embedded Kinesis: each costs a polling task, and ListShards gives a thousand at once.
pub const EMBEDDED_SHARDS_MAX: u32 = 256;

/// How far the feeder may fall behind the clock before it skips events, in milliseconds: enough for a hiccup of the disk or the
/// network, far below the lateness that a window forgives.
pub const FEEDER_LAG_MILLIS_MAX: u64 = 2_000;

/// Records of a simulated platform that are played again to go on with it: some seconds of work.
pub const FEEDER_REPLAY_EVENTS_MAX: u64 = 10_000_000;

/// Slides of a window that hops: an hour by the second. A window that ends waits for as many panes, and each is a partial of every
/// shard.
pub const HOP_PANES_MAX: i64 = 3_600;

/// The shortest timeout of a call of `CONCURRENCY`, in seconds, as in the configuration.
pub const CONCURRENCY_TIMEOUT_SECS_MIN: i64 = 1;

/// The longest timeout of a call of `CONCURRENCY`, in seconds, as in the configuration: a year.
pub const CONCURRENCY_TIMEOUT_SECS_MAX: i64 = 366 * 24 * 3_600;

/// Sets of timeouts by which the calls of `CONCURRENCY` of one job may count: every session and stream is remembered once for each.
pub const CONCURRENCY_TIMEOUTS_MAX: usize = 8;

/// How long a stopped run may take to put its checkpoint into the lake.
pub const CHECKPOINT_WRITE_SECS_MAX: u64 = 15;

/// Keys and records of one aggregate. Real ones have far fewer: an event has more bytes than the share of one in the largest record.
pub const AGGREGATE_PARTS_MAX: usize = 100_000;

/// What a compressed record, or a compressed record of an aggregate, may hold: six times what a record may have, and a bomb is no larger.
pub const OPENED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What the compressed records of one read may hold together, for the same reason.
pub const OPENED_READ_BYTES_MAX: usize = 256 * 1024 * 1024;

/// What may be decompressed in one read, with what was thrown away because it was too much or damaged: a bound on time, not on memory.
pub const OPENED_WORK_BYTES_MAX: usize = 1024 * 1024 * 1024;

/// Envelopes of text around one event: one is what is seen.
pub const ENVELOPES_MAX: usize = 2;

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

/// How deep a query may nest, a chain of operators being a level each. Planning takes some 22 KB of stack a level where it is not optimised,
/// and the main thread has 8 MiB: it would end at 360.
pub const QUERY_DEPTH_MAX: usize = 200;

/// A graceful stop has this long before the process gives up on a hanging service, in seconds.
pub const DRAIN_SECS_MAX: u64 = 7;

/// Longest unknown field name that is counted by name: the names are kept for the life of the process.
pub const UNKNOWN_FIELD_NAME_BYTES_MAX: usize = 128;

/// Longest name of a field or a stream: Redshift takes identifiers of up to 127 bytes.
pub const COLUMN_NAME_BYTES_MAX: usize = 127;

/// Records of one read, in bytes. Arrow's text columns hold 2 GiB; this leaves room for the provenance of many small
/// events, and is far above the 10 MiB that one GetRecords call returns.
pub const READ_BATCH_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Dead letters of one record, at most. Real records hold far fewer events; a record of nothing but commas and digits would
/// otherwise become millions of them. What follows the last but one is one dead letter.
pub const DEAD_LETTERS_PER_RECORD_MAX: usize = 100_000;

/// Dead letters that a payload may become however small it is.
pub const DEAD_LETTERS_PER_PAYLOAD: usize = 100;

/// One more for each of so many of its bytes: events are longer. A letter takes more memory than this, so without a bound on their number by
/// bytes, records of a few kilobytes that decompress to junk would fill it. (It must depend on the record alone: a replay has the same letters.)
pub const PAYLOAD_BYTES_PER_DEAD_LETTER: usize = 64;

/// Dead letters that are written as one batch, and bytes of any one text of them: far below the 2 GiB that a column can hold.
pub const DEAD_LETTER_BATCH_ROWS_MAX: usize = 65_536;
/// See [`DEAD_LETTER_BATCH_ROWS_MAX`]. One letter alone may be larger.
pub const DEAD_LETTER_BATCH_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How much of a bad value a dead letter's message quotes: enough to recognise it, the whole is in the data.
pub const QUOTED_VALUE_BYTES_MAX: usize = 64;

/// Rows that a bucket of time joins small pieces up to: below it the fixed cost of a batch shows.
pub const BUCKET_BATCH_ROWS_MIN: usize = 8_192;

/// Parquet files that one table keeps open, one an hour partition: late rows trail by an hour or two, and each open file holds a row group.
pub const LAKE_OPEN_PARTITIONS_MAX: usize = 8;

/// Encoded bytes of a Parquet row group: large enough to scan well, small enough that an open file stays cheap.
pub const LAKE_ROW_GROUP_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Bytes of one part of a multipart upload. S3 wants at least 5 MiB and takes 10,000 parts: files up to 80 GB.
pub const LAKE_UPLOAD_PART_BYTES: usize = 8 * 1024 * 1024;

/// Parts of one file that are on their way at a time.
pub const LAKE_UPLOADS_MAX: usize = 4;

/// A file of the lake that cannot be written is tried again for this long, in seconds. An outage that lasts longer wants a person; the
/// stream keeps what is not read for a day at least.
pub const LAKE_UPLOAD_SECS_MAX: u64 = 600;

/// The first pause before a file is tried again is at most this, in milliseconds; it doubles from try to try.
pub const LAKE_UPLOAD_BACKOFF_MILLIS_MIN: u64 = 50;

/// The longest pause before a file is tried again, in milliseconds.
pub const LAKE_UPLOAD_BACKOFF_MILLIS_MAX: u64 = 5_000;

/// The largest file of raw rows that may be asked for, in bytes. It is in memory until it is complete, and S3 copies 5 GiB at most to a
/// committed file's place.
pub const LAKE_RAW_ROLL_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// Batches with fewer rows are encoded where they arrive; larger ones on a thread that may block (a row costs about half a microsecond).
pub const LAKE_ENCODE_INLINE_ROWS_MAX: usize = 512;

/// Bytes of finished windows that one table gathers for a partition before it writes a file early.
pub const LAKE_GATHER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Files that a replacement moves or deletes at a time: S3 answers each in tens of milliseconds.
pub const LAKE_MOVES_MAX: usize = 16;

/// Files of the raw table that are read at a time for what a saved state was without, at a start.
pub const LEFT_OUT_FILES_MAX: usize = 8;

/// Rows of such a file that are read at a time.
pub const LEFT_OUT_BATCH_ROWS: usize = 8_192;

/// A staging folder that nobody can be shown to own is removed when nothing was added to it for this long, in hours.
pub const LAKE_STAGING_HOURS_MAX: i64 = 24;

/// Bytes of lines that are read from an event file at a time: a batch of at least
/// [`BUCKET_BATCH_ROWS_MIN`] events of half a kilobyte, which is then kept as it is.
pub const FILE_BLOCK_BYTES: usize = 8 * 1024 * 1024;

/// Rows that are read from a Parquet file at a time.
pub const FILE_BATCH_ROWS: usize = 16_384;

/// What one version of a lookup table may take in memory, its index included, and its files together: it is there whole, and twice while
/// another version is loaded.
pub const LOOKUP_BYTES_MAX: usize = 256 * 1024 * 1024;

const _: () = assert!(
    LAKE_RAW_ROLL_BYTES_MAX + (READ_BATCH_BYTES_MAX + LAKE_ROW_GROUP_BYTES_MAX) as u64 <= 5 * 1024 * 1024 * 1024,
    "a file ends with the batch that fills it, and S3 copies 5 GiB"
);
const _: () = assert!(LAKE_UPLOAD_PART_BYTES >= 5 * 1024 * 1024, "S3 refuses smaller parts");
/// A configuration file larger than this is refused: it is something else, given by mistake.
pub const CONFIG_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// After the stop, an HTTP client that is still reading its answer has this long, in seconds; the drain of the data comes first.
pub const SERVE_DRAIN_SECS_MAX: u64 = 2;

/// Questions to a job that may wait for their answer.
pub const INQUIRIES_MAX: usize = 16;

/// A question that is not answered by then is given up, in seconds: the job may be waiting for a lake.
pub const INQUIRY_SECS_MAX: u64 = 2;

/// Rows that the answer about a table's unclosed window has if nothing else is asked for, and at most.
pub const UNCLOSED_ROWS: usize = 100;
/// See [`UNCLOSED_ROWS`].
pub const UNCLOSED_ROWS_MAX: usize = 100_000;

const _: () = assert!(SERVE_DRAIN_SECS_MAX < DRAIN_SECS_MAX, "a slow scraper must not use up the time of the drain");
const _: () = assert!(PUT_RECORDS_MAX <= 500, "PutRecords refuses more than 500 records");
const _: () = assert!(GET_RECORDS_LIMIT_MAX <= 10_000, "GetRecords refuses a limit over 10,000");

/// Event time of a backfill's bucket, in seconds: the unit of spilling, and how much of the windows' state is in memory at once.
pub const BACKFILL_BUCKET_SECS: i64 = 120;

/// Files of raw rows that a backfill writes at once in an hour: each is encoded by one thread, and more would be small files.
pub const BACKFILL_RAW_WRITERS_MAX: usize = 4;

/// How often `verify` looks, with a second between, whether a commit's files are at their places: a commit moves them within seconds.
pub const VERIFY_LISTINGS_MAX: usize = 30;

/// By how much a run of our own stream may be behind, in microseconds, that has not committed: `verify` misses nothing of so short a while.
pub const VERIFY_BEHIND_MAX: i64 = 60_000_000;

/// By how much more than their age says a run may be behind with files of raw rows, in microseconds: it looks at them each second.
pub const VERIFY_RAW_BEHIND_MAX: i64 = 10_000_000;

/// Differences of each table that `verify` shows.
pub const VERIFY_SHOWN_DIFFERENCES: usize = 10;

/// Memory in which `verify` sorts a table, once for what is stored and once for what is computed again.
pub const VERIFY_SORT_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Rows that a backfill keeps in memory between its two passes; beyond it they wait on disk. A quarter of what a small
/// container with two cores has.
pub const BACKFILL_BUFFER_BYTES_MAX: usize = 512 * 1024 * 1024;

/// The embedded Kinesis is read at the service's 2 MiB/s a shard; at some 480 bytes an event, more than this would pile up unread.
pub const EMBEDDED_EVENTS_PER_SEC_PER_SHARD_MAX: u64 = 3_500;

/// The state of a job, uncompressed: a guard against damage and runaway state, far above what a million sessions need.
pub const CHECKPOINT_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;

/// Shards that are asked at once where their reading begins: a start need not wait for one after the other.
pub const SHARD_OPENS_MAX: usize = 16;

/// How far the clocks of this machine and of the service are taken to be apart at most, when what comes from now on is to be found again by
/// its time of arrival.
pub const LATEST_MARGIN_SECS: i64 = 5;

/// What is read of a checkpoint at first: most fronts, whatever the state's size, in one request.
pub const CHECKPOINT_FRONT_BYTES: usize = 64 * 1024;

/// How often a start tries each step of taking an application over, when others do so at the same time or the store fails: for some two
/// seconds, beyond the store's own tries.
pub const TAKE_OVER_TRIES_MAX: u32 = 8;

/// The first pause between two of these tries; each is twice as long as the one before.
pub const TAKE_OVER_PAUSE_MILLIS: u64 = 20;

/// A run that reads Kinesis commits for the first time after so many seconds, however long the interval: a run that has taken over gets
/// something done, even if it is taken over from soon.
pub const FIRST_COMMIT_SECS: u64 = 3;

/// How often a run looks whether another one has taken over. One that was is of no use to anybody, and writes what is thrown away.
pub const SUCCESSOR_LOOK_SECS: u64 = 5;

/// Checkpoints that are kept: the last, and some to look at when something went wrong.
pub const CHECKPOINTS_KEPT: usize = 3;

/// How long `check` waits for a lake, in seconds: nobody waits longer for a word on a file, and one that does not answer is no mistake.
pub const CHECK_LAKE_SECS_MAX: u64 = 5;

/// Tables whose files `check` looks at at a time: a bucket takes some tens of milliseconds an answer.
pub const CHECK_TABLES_MAX: usize = 16;

/// Hours that one backfill replaces at most, over a year: a wrong `--from`, or one wild event time, must not list a century.
pub const BACKFILL_HOURS_MAX: usize = 10_000;

/// Dead letters that are read from a file of the lake at a time: each may have as many bytes as a compressed record may hold.
pub const LETTERS_BATCH_ROWS: usize = 16;

const _: () = assert!(LETTERS_BATCH_ROWS * OPENED_BYTES_MAX <= i32::MAX as usize, "an Arrow column holds 2 GiB");

/// Dead letters that `dead-letters list` prints at most: they are kept, without their data, until all were seen.
pub const LETTERS_LISTED_MAX: usize = 100_000;

/// Dead letters of one name that `dead-letters show` shows or tells apart: more would be a mistake in the name.
pub const LETTERS_SHOWN_MAX: usize = 20;

/// Bytes of a dead letter that are shown as a hex dump: its beginning tells what it is.
pub const LETTER_HEX_BYTES_MAX: usize = 512;

/// Rows that one replay of dead letters adds at most: it remembers each one's id, some 40 bytes.
pub const REPLAY_ROWS_MAX: usize = 5_000_000;

/// Rows of a replay that wait in memory until it is known which of them the lake has already; beyond it they wait on disk.
pub const REPLAY_BUFFER_BYTES_MAX: usize = 128 * 1024 * 1024;

/// Rows of single letters that are joined before they are put aside: a batch has a fixed cost of kilobytes.
pub const REPLAY_JOIN_ROWS: usize = 512;

const _: () = assert!(DRAIN_SECS_MAX + SERVE_DRAIN_SECS_MAX < 10, "a stop ends within 10 s");

/// Shards that the events of one file may name: more than any stream has. Each costs its own memory of ids.
pub const SHARDS_PER_FILE_MAX: usize = 10_000;

/// What a job did lately is what it did in this time, in seconds: long enough to even out the rhythm of reads and windows.
pub const THROUGHPUT_SECS: i64 = 10;

/// A shard further behind its tip than this, in seconds, makes a job degraded: twice what windows wait for late rows by default.
pub const DEGRADED_LAG_SECS: i64 = 60;

/// A shard whose reads were not answered for this long, in seconds, makes a job degraded: a few tries of a call.
pub const DEGRADED_SILENCE_SECS: i64 = 30;

/// A write to the lake that takes longer than this, in seconds, makes a job degraded: a part is 8 MiB, and takes a second or two.
pub const DEGRADED_WRITE_SECS: i64 = 30;

/// A job whose last commit is longer ago than so many intervals is degraded: one that failed is made up for by the next.
pub const DEGRADED_COMMITS: i64 = 3;

/// Seconds between two log lines about dead letters, at least: a producer gone wrong makes thousands a second.
pub const DEAD_LETTER_LOG_SECS_MIN: i64 = 60;
/// Metrics that one PutMetricData call takes (documented limit of the service).
pub const CLOUDWATCH_DATA_PER_PUT_MAX: usize = 1_000;

/// Bytes of one PutMetricData call before compression: just under the documented 1 MB, whose prefix the documentation leaves open.
pub const CLOUDWATCH_PUT_BYTES_MAX: usize = 990_000;

/// Dimensions of a metric (documented limit of CloudWatch).
pub const CLOUDWATCH_DIMENSIONS_MAX: usize = 30;

/// Characters of the name of a metric, a dimension or a namespace (documented limit of CloudWatch).
pub const CLOUDWATCH_NAME_CHARS_MAX: usize = 255;

/// Characters of a dimension's value (documented limit of CloudWatch).
pub const CLOUDWATCH_DIMENSION_VALUE_CHARS_MAX: usize = 1_024;

/// Values beyond ±2^360 are refused (documented limit of CloudWatch). This is the exponent.
pub const CLOUDWATCH_VALUE_EXPONENT_MAX: i32 = 360;

/// How far back CloudWatch takes a time stamp, in seconds: two weeks (documented).
pub const CLOUDWATCH_PAST_SECS_MAX: i64 = 14 * 24 * 3_600;

/// How far ahead CloudWatch takes a time stamp, in seconds: two hours (documented).
pub const CLOUDWATCH_FUTURE_SECS_MAX: i64 = 2 * 3_600;

/// A time stamp this close to the edge of what CloudWatch takes is left out, in seconds: a call may last as long as this, and the
/// service's clock is not ours. One time stamp too many would have it refuse the whole call.
pub const CLOUDWATCH_EDGE_SECS: i64 = 60;

/// Metric data that wait for CloudWatch: some megabytes. The shipped pipelines make 12 a minute.
pub const CLOUDWATCH_BACKLOG_MAX: usize = 20_000;

/// The first pause after a failed PutMetricData is at most this, in milliseconds; it doubles from try to try.
pub const CLOUDWATCH_BACKOFF_MILLIS_MIN: u64 = 100;

/// The longest pause between two tries of PutMetricData, in milliseconds: what a service that recovers should have to bear.
pub const CLOUDWATCH_BACKOFF_MILLIS_MAX: u64 = 15_000;

/// One try of PutMetricData may last this long, in seconds: it is a small request.
pub const CLOUDWATCH_TRY_SECS_MAX: u64 = 10;

/// At a graceful stop CloudWatch gets this long to take what waits, in seconds; the rest is dropped.
pub const CLOUDWATCH_FLUSH_SECS_MAX: u64 = 3;

/// Pause between two warnings that metric data are being dropped, in seconds: an outage must not flood the log.
pub const CLOUDWATCH_WARN_SECS: u64 = 60;

const _: () =
    assert!(CLOUDWATCH_FLUSH_SECS_MAX < DRAIN_SECS_MAX, "a slow CloudWatch must not use up the time of the drain");
const _: () =
    assert!(CLOUDWATCH_TRY_SECS_MAX < CLOUDWATCH_EDGE_SECS as u64, "a time stamp must not leave the range under way");

/// Memory that sorting, grouping and joining of a query may use unless told otherwise, in MiB: a quarter of what a small container with
/// two cores has.
pub const QUERY_MEMORY_MIB: usize = 512;

/// The least memory that a query may be given, in MiB: below it a spilling sort cannot merge.
pub const QUERY_MEMORY_MIB_MIN: usize = 64;

/// The most memory that a query may be given, in MiB: more is a slip in the unit.
pub const QUERY_MEMORY_MIB_MAX: usize = 1024 * 1024;

/// Rows that a query handles at a time: DataFusion's own measure.
pub const QUERY_BATCH_ROWS: usize = 8_192;

/// Footers of a table's files that are read at once, to learn its columns, or of an hour that is read: a bucket takes some tens of
/// milliseconds each.
pub const QUERY_FOOTERS_MAX: usize = 16;

/// Files, or hours of files, whose footers a part of a scan reads ahead.
pub const QUERY_OPEN_AHEAD: usize = 4;

/// Operators that are named when a query's memory does not suffice.
pub const QUERY_CONSUMERS_NAMED: usize = 3;

/// Rows of a result that are shown as a table unless told otherwise: what a person may still look through.
pub const QUERY_SHOWN_ROWS: usize = 1_000;

/// Rows of a result that may be shown as a table: they are kept until the width of every column is known.
pub const QUERY_SHOWN_ROWS_MAX: usize = 100_000;

/// Characters of a value that a table shows: an id or a position in a shard fits, a payload does not.
pub const QUERY_CELL_CHARS_MAX: usize = 100;
