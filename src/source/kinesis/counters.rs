//! What the client did and what the service made of it.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of one [`KinesisSource`](super::KinesisSource) and all readers and producers made from it. They only grow.
#[derive(Debug, Default)]
pub struct KinesisCounters {
    pub(super) reads: AtomicU64,
    pub(super) records_read: AtomicU64,
    pub(super) bytes_read: AtomicU64,
    pub(super) expired_iterators: AtomicU64,
    pub(super) puts: AtomicU64,
    pub(super) records_put: AtomicU64,
    pub(super) records_put_again: AtomicU64,
    pub(super) throttled: AtomicU64,
    pub(super) unavailable: AtomicU64,
    pub(super) retries: AtomicU64,
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KinesisCounts {
    /// GetRecords calls that were answered with records or with none.
    pub reads: u64,
    /// Records read.
    pub records_read: u64,
    /// Bytes of their data.
    pub bytes_read: u64,
    /// Iterators that had expired and were replaced.
    pub expired_iterators: u64,
    /// PutRecords calls that were answered.
    pub puts: u64,
    /// Records that the stream took.
    pub records_put: u64,
    /// Records that were refused and sent again.
    pub records_put_again: u64,
    /// Calls refused because of the service's limits.
    pub throttled: u64,
    /// Calls that failed on the service's side or on the way: 5xx, timeouts, broken connections.
    pub unavailable: u64,
    /// Calls made again after such a failure.
    pub retries: u64,
}

impl KinesisCounters {
    /// All counts now.
    pub fn snapshot(&self) -> KinesisCounts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        KinesisCounts {
            reads: of(&self.reads),
            records_read: of(&self.records_read),
            bytes_read: of(&self.bytes_read),
            expired_iterators: of(&self.expired_iterators),
            puts: of(&self.puts),
            records_put: of(&self.records_put),
            records_put_again: of(&self.records_put_again),
            throttled: of(&self.throttled),
            unavailable: of(&self.unavailable),
            retries: of(&self.retries),
        }
    }
}

/// Adds to a counter.
pub(super) fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}
