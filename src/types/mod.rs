//! Words that every stage shares: time in microseconds, shards, records; batches in serialised state.

pub mod arrow_bytes;
mod record;
mod time;

pub use record::{ReadBatch, Record, ShardId, ShardPosition};
pub use time::{
    CALENDAR_FIRST, CALENDAR_LAST, MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SEC, Micros,
    floor_to, format_micros, parse_rfc3339,
};
