//! What a job did in the last seconds.

use std::collections::VecDeque;

use crate::limits::THROUGHPUT_SECS;
use crate::types::{MICROS_PER_SEC, Micros};

/// Rates over the last [`THROUGHPUT_SECS`], or over the life of a younger job.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Throughput {
    /// The time that the rates are taken over, in microseconds; 0 before there are two samples.
    pub over: Micros,
    /// Records read a second.
    pub records_per_sec: f64,
    /// Payload bytes read a second.
    pub bytes_per_sec: f64,
    /// Events read a second.
    pub events_per_sec: f64,
}

/// Totals at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sample {
    pub at: Micros,
    pub records: u64,
    pub bytes: u64,
    pub events: u64,
}

/// Samples of the last seconds.
#[derive(Debug, Default)]
pub(super) struct Samples(VecDeque<Sample>);

impl Samples {
    /// Adds a sample, and drops those that are too old.
    pub(super) fn add(&mut self, sample: Sample) {
        // A clock that was set back makes what was taken before it worthless.
        self.0.retain(|s| s.at < sample.at);
        self.0.push_back(sample);
        let since = sample.at.saturating_sub(THROUGHPUT_SECS * MICROS_PER_SEC);
        // The first one that is kept is at the span's beginning or before it.
        while self.0.get(1).is_some_and(|s| s.at <= since) {
            self.0.pop_front();
        }
    }

    /// The rates between the oldest and the newest sample.
    pub(super) fn throughput(&self) -> Throughput {
        let (Some(first), Some(last)) = (self.0.front(), self.0.back()) else { return Throughput::default() };
        let over = last.at - first.at;
        if over == 0 {
            return Throughput::default();
        }
        let rate = |from: u64, to: u64| to.saturating_sub(from) as f64 * MICROS_PER_SEC as f64 / over as f64;
        Throughput {
            over,
            records_per_sec: rate(first.records, last.records),
            bytes_per_sec: rate(first.bytes, last.bytes),
            events_per_sec: rate(first.events, last.events),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(secs: i64, events: u64) -> Sample {
        Sample { at: secs * MICROS_PER_SEC, records: events / 2, bytes: events * 100, events }
    }

    #[test]
    fn rates_are_those_of_the_last_seconds() {
        let mut samples = Samples::default();
        samples.add(sample(0, 0));
        assert_eq!(samples.throughput(), Throughput::default());
        samples.add(sample(2, 20));
        let young = samples.throughput();
        assert_eq!((young.over, young.events_per_sec), (2 * MICROS_PER_SEC, 10.0));
        for secs in 3..=60 {
            samples.add(sample(secs, 20 + (secs as u64 - 2) * 1_000));
        }
        let steady = samples.throughput();
        assert_eq!(steady.over, THROUGHPUT_SECS * MICROS_PER_SEC);
        assert_eq!((steady.events_per_sec, steady.records_per_sec), (1_000.0, 500.0));
        assert_eq!(steady.bytes_per_sec, 100_000.0);
        assert!(samples.0.len() as i64 <= THROUGHPUT_SECS + 1);
    }

    #[test]
    fn a_clock_that_is_set_back_starts_anew() {
        let mut samples = Samples::default();
        samples.add(sample(100, 5_000));
        samples.add(sample(50, 5_100));
        assert_eq!(samples.throughput(), Throughput::default());
        samples.add(sample(51, 5_200));
        assert_eq!(samples.throughput().events_per_sec, 100.0);
    }
}
