//! What became of the data.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::telemetry::metrics as names;

/// Why a datum was not published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dropped {
    /// NULL, NaN, infinite, or beyond ±2^360.
    NotANumber,
    /// A dimension's value is NULL, blank, too long or not printable ASCII.
    BadDimension,
    /// One more combination of dimension values than may be paid for.
    SeriesLimit,
    /// Its window is older than CloudWatch takes.
    TooOld,
    /// Its window is further ahead than CloudWatch takes.
    TooNew,
    /// CloudWatch did not take it within the retry budget.
    RetryBudget,
    /// Too many others came after it while CloudWatch took none.
    BacklogFull,
    /// CloudWatch found something wrong with the call that it was in.
    Refused,
    /// The process ended before CloudWatch took it.
    Stopped,
}

impl Dropped {
    /// Every reason.
    pub const ALL: [Dropped; 9] = [
        Dropped::NotANumber,
        Dropped::BadDimension,
        Dropped::SeriesLimit,
        Dropped::TooOld,
        Dropped::TooNew,
        Dropped::RetryBudget,
        Dropped::BacklogFull,
        Dropped::Refused,
        Dropped::Stopped,
    ];

    /// The value of the label `reason`.
    pub fn code(self) -> &'static str {
        match self {
            Dropped::NotANumber => "not_a_number",
            Dropped::BadDimension => "bad_dimension",
            Dropped::SeriesLimit => "series_limit",
            Dropped::TooOld => "too_old",
            Dropped::TooNew => "too_new",
            Dropped::RetryBudget => "retry_budget",
            Dropped::BacklogFull => "backlog_full",
            Dropped::Refused => "refused",
            Dropped::Stopped => "stopped",
        }
    }
}

/// Counts of one [`CloudWatch`](super::CloudWatch). They only grow.
#[derive(Debug, Default)]
pub struct CloudWatchCounters {
    published: AtomicU64,
    puts: AtomicU64,
    retries: AtomicU64,
    dropped: [AtomicU64; Dropped::ALL.len()],
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CloudWatchCounts {
    /// Data that CloudWatch took.
    pub published: u64,
    /// Calls that CloudWatch took.
    pub puts: u64,
    /// Calls made again after one that failed.
    pub retries: u64,
    /// Data left out or dropped, in the order of [`Dropped::ALL`].
    pub dropped: [u64; Dropped::ALL.len()],
}

impl CloudWatchCounts {
    /// Data left out or dropped for one reason.
    pub fn dropped(&self, why: Dropped) -> u64 {
        self.dropped[why as usize]
    }

    /// Data left out or dropped for any reason.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().sum()
    }
}

impl CloudWatchCounters {
    /// All at zero, in the metrics too, so that a rate can be taken of the first of each.
    pub(super) fn start() -> Self {
        metrics::counter!(names::CLOUDWATCH_PUBLISHED_TOTAL).increment(0);
        metrics::counter!(names::RETRIES_TOTAL, "service" => "cloudwatch").increment(0);
        for why in Dropped::ALL {
            metrics::counter!(names::CLOUDWATCH_DROPPED_TOTAL, "reason" => why.code()).increment(0);
        }
        Self::default()
    }

    /// All counts now.
    pub fn snapshot(&self) -> CloudWatchCounts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CloudWatchCounts {
            published: of(&self.published),
            puts: of(&self.puts),
            retries: of(&self.retries),
            dropped: std::array::from_fn(|i| of(&self.dropped[i])),
        }
    }

    pub(super) fn published(&self, data: usize) {
        self.puts.fetch_add(1, Ordering::Relaxed);
        self.published.fetch_add(data as u64, Ordering::Relaxed);
        metrics::counter!(names::CLOUDWATCH_PUBLISHED_TOTAL).increment(data as u64);
    }

    pub(super) fn retried(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
        metrics::counter!(names::RETRIES_TOTAL, "service" => "cloudwatch").increment(1);
    }

    pub(super) fn dropped(&self, why: Dropped, data: usize) {
        if data > 0 {
            self.dropped[why as usize].fetch_add(data as u64, Ordering::Relaxed);
            metrics::counter!(names::CLOUDWATCH_DROPPED_TOTAL, "reason" => why.code()).increment(data as u64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_own_count() {
        let counters = CloudWatchCounters::default();
        for (i, why) in Dropped::ALL.into_iter().enumerate() {
            counters.dropped(why, i + 1);
        }
        let counts = counters.snapshot();
        for (i, why) in Dropped::ALL.into_iter().enumerate() {
            assert_eq!(counts.dropped(why), i as u64 + 1, "{}", why.code());
        }
        assert_eq!(counts.dropped_total(), 45);
    }
}
