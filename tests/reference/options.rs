//! What the tables depend on besides the events, and the verdict on lateness.

use super::{DAY, Kept, MINUTE, SEC};

/// Whether late rows are kept out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lateness {
    /// As a live run judges: against the watermark of the row's own shard when it was read.
    Replay {
        /// `watermark_delay`: how far the watermark is behind the shard's high time.
        delay: i64,
        /// `allowed_lateness`: how long after its end a window still takes rows. With more than 0 the tables here are
        /// the final content of the windows (what revision 1 corrects to), still written as revision 0.
        allowed: i64,
    },
    /// Nothing is late.
    Ignore,
}

/// Settings of a run, in microseconds. The default is the product's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How lateness is judged.
    pub lateness: Lateness,
    /// T: how long a touch holds a session present.
    pub session_timeout: i64,
    /// How long a closure holds, and how long a session is remembered after its last mark.
    pub closed_retention: i64,
    /// How long a never-announced stream stays active after its last event.
    pub stream_timeout: i64,
    /// How long an announced stream stays active after its last event, and after which silence a stream is forgotten.
    pub announced_timeout: i64,
    /// F: the finest concurrency window in use, whose lateness all concurrency tables share.
    pub finest_window: i64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lateness: Lateness::Replay { delay: 30 * SEC, allowed: 0 },
            session_timeout: 60 * SEC,
            closed_retention: 600 * SEC,
            stream_timeout: 120 * SEC,
            announced_timeout: 2 * DAY,
            finest_window: 10 * SEC,
        }
    }
}

/// Windows between events further apart than this are not filled.
pub const UNFILLED_GAP: i64 = DAY;
/// The window of the shipped tables, but for `platform_totals`.
pub const TABLE_WINDOW: i64 = MINUTE;

/// The start of the window of `size` that holds `t`.
pub fn floor(t: i64, size: i64) -> i64 {
    t - t.rem_euclid(size)
}

impl Options {
    /// The same options with nothing late.
    pub fn ignoring_lateness(self) -> Self {
        Self { lateness: Lateness::Ignore, ..self }
    }

    /// Whether `event` is late for the window of `size` that holds it.
    pub fn is_late(&self, event: &Kept, size: i64) -> bool {
        let Lateness::Replay { delay, allowed } = self.lateness else { return false };
        let Some(high) = event.shard_high_time else { return false };
        let window_end = floor(event.event_time, size) + size;
        window_end + allowed <= high - delay
    }
}

/// The events that concurrency sees: those that are not late for its finest window. Late ones change nothing at all.
pub fn accepted_for_concurrency<'a>(events: &'a [Kept], options: &Options) -> Vec<&'a Kept> {
    events.iter().filter(|e| !options.is_late(e, options.finest_window)).collect()
}
