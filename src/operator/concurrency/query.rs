//! What a `CONCURRENCY(…)` call asks of the shared state.

use arrow::datatypes::{DataType, Field, TimeUnit};
use serde::{Deserialize, Serialize};

use super::timeouts::OwnTimeouts;
use crate::types::Micros;

/// The arguments of one call of `CONCURRENCY`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ConcurrencyQuery {
    /// Size of the window.
    pub size: Micros,
    /// The dimensions that sessions are counted by; none: the whole platform.
    pub partition_by: Vec<String>,
    /// The timeouts that are not the job's.
    pub timeouts: OwnTimeouts,
}

impl ConcurrencyQuery {
    /// Whether each row is one stream's, so that the stream's channel is known.
    pub fn by_stream(&self) -> bool {
        self.partition_by.len() == 1 && self.partition_by.iter().any(|k| k == "stream_id")
    }

    /// The columns of its rows, in order: the partition columns (`Utf8`), `channel_id` (`Utf8`, if by stream), `window_start`,
    /// `window_end`, `window_time` (timestamp, µs, UTC), if not partitioned `active_streams`, `active_streams_min` (`Int64`),
    /// `active_streams_avg` (`Float64`), `active_streams_max` (`Int64`), then `viewers_min` (`Int64`), `viewers_avg` (`Float64`),
    /// `viewers_max`, `viewers_current`, `unique_viewers` (`Int64`), `viewer_minutes` (`Float64`).
    pub fn fields(&self) -> Vec<Field> {
        let text = |name: &str| Field::new(name, DataType::Utf8, true);
        let time = |name: &str| Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true);
        let count = |name: &str| Field::new(name, DataType::Int64, false);
        let number = |name: &str| Field::new(name, DataType::Float64, false);
        let mut fields: Vec<Field> = self.partition_by.iter().map(|k| text(k)).collect();
        if self.by_stream() {
            fields.push(text("channel_id"));
        }
        fields.extend([time("window_start"), time("window_end"), time("window_time")]);
        if self.partition_by.is_empty() {
            fields.extend([
                count("active_streams"),
                count("active_streams_min"),
                number("active_streams_avg"),
                count("active_streams_max"),
            ]);
        }
        fields.extend([
            count("viewers_min"),
            number("viewers_avg"),
            count("viewers_max"),
            count("viewers_current"),
            count("unique_viewers"),
            number("viewer_minutes"),
        ]);
        fields
    }
}
