//! Words that every stage shares: time in microseconds, shards, records, metrics made of rows, text for people; batches in
//! serialised state.

pub mod arrow_bytes;
mod metric;
mod record;
mod text;
mod time;

pub use metric::{METRIC_UNITS, MetricMapping, MetricStatistic, is_metric_name, is_metric_text};
pub use record::{ReadBatch, Record, ShardId, ShardPosition};
pub use text::{distance, edits_allowed, nearest, wrapped};
pub use time::{
    CALENDAR_FIRST, CALENDAR_LAST, MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SEC, Micros,
    floor_to, format_micros, format_span, parse_rfc3339,
};
