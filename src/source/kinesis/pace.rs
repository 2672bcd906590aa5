//! Keeps one reader of a shard under the service's limits: 5 calls and 2 MiB a second.
//!
//! Time comes in as the span since any fixed moment, so that tests need no clock.

use std::time::Duration;

use crate::limits;

/// When the next call may be made.
#[derive(Debug, Default)]
pub(super) struct Pace {
    next_call: Duration,
    bytes_paid: Duration,
}

impl Pace {
    /// How long to wait at `now` before calling.
    pub(super) fn wait(&self, now: Duration) -> Duration {
        self.next_call.max(self.bytes_paid).saturating_sub(now)
    }

    /// A call was made at `now`; the next comes after `gap`, or later if the limit on calls asks for it.
    pub(super) fn called(&mut self, now: Duration, gap: Duration) {
        self.next_call = now + gap.max(Duration::from_millis(limits::GET_RECORDS_GAP_MILLIS_MIN));
    }

    /// A reply of so many bytes came to a call made at `now`: it has to be paid for in time before the next call. A full reply of 10 MiB takes
    /// five seconds, as the service itself would have it.
    pub(super) fn received(&mut self, now: Duration, bytes: u64) {
        let price = Duration::from_micros(bytes.saturating_mul(1_000_000) / limits::GET_RECORDS_BYTES_PER_SEC_MAX);
        self.bytes_paid = self.bytes_paid.max(now) + price;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Polls as fast as the pace allows for `secs`, each reply having `bytes`; calls and bytes a second.
    fn drive(bytes: u64, gap: Duration, secs: u64) -> (f64, f64) {
        let mut pace = Pace::default();
        let (mut now, mut calls) = (Duration::ZERO, 0u32);
        loop {
            now += pace.wait(now);
            if now >= Duration::from_secs(secs) {
                return (f64::from(calls) / secs as f64, f64::from(calls) * bytes as f64 / secs as f64);
            }
            pace.called(now, gap);
            pace.received(now, bytes);
            calls += 1;
        }
    }

    #[test]
    fn calls_stay_under_five_a_second() {
        let (calls, _) = drive(1_000, Duration::ZERO, 60);
        assert!((4.0..5.0).contains(&calls), "{calls}");
        let (calls, _) = drive(0, Duration::from_secs(1), 60);
        assert!((0.99..1.01).contains(&calls), "an idle shard is polled at its interval: {calls}");
    }

    #[test]
    fn bytes_stay_under_two_mebibytes_a_second() {
        for reply in [600_000, 2 << 20, 10 << 20] {
            let (_, bytes) = drive(reply, Duration::ZERO, 600);
            // The last reply of the run is not paid for yet.
            assert!(bytes <= (2 << 20) as f64 + reply as f64 / 600.0, "{reply}: {bytes}");
            assert!(bytes > 0.95 * (2 << 20) as f64, "{reply}: {bytes}");
        }
    }
}
