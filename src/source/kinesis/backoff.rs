//! Pauses between tries: exponential, with full jitter, and not for ever.
//!
//! Each pause is uniform between nothing and a ceiling that doubles from try to try: many clients that failed at the same moment come
//! back spread out (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>).

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::limits;

/// Counts the tries of one call and says how long to wait.
#[derive(Debug)]
pub(super) struct Backoff {
    rng: SmallRng,
    failures: u32,
    tries: u32,
    /// No pause is shorter: the pace that the call has to keep anyway.
    floor: Duration,
}

impl Backoff {
    pub(super) fn new(seed: u64, floor: Duration, tries: u32) -> Self {
        Self { rng: SmallRng::seed_from_u64(seed), failures: 0, tries, floor }
    }

    /// The pause before the next try, or `None` when the tries are used up.
    pub(super) fn next_pause(&mut self) -> Option<Duration> {
        self.failures += 1;
        if self.failures >= self.tries {
            return None;
        }
        let ceiling = limits::KINESIS_BACKOFF_MILLIS_MIN
            .saturating_mul(1u64 << (self.failures - 1).min(32))
            .min(limits::KINESIS_BACKOFF_MILLIS_MAX);
        let pause = Duration::from_millis(self.rng.random_range(0..=ceiling));
        Some(pause.max(self.floor))
    }

    /// The call worked; the next failure is a first one.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_stay_bounded_and_end() {
        let pauses = |seed| {
            let mut backoff = Backoff::new(seed, Duration::from_millis(5), limits::KINESIS_TRIES_MAX);
            std::iter::from_fn(move || backoff.next_pause()).collect::<Vec<_>>()
        };
        assert_eq!(pauses(1), pauses(1), "seeded");
        assert_ne!(pauses(1), pauses(2));
        assert_eq!(pauses(1).len() as u32, limits::KINESIS_TRIES_MAX - 1);
        for seed in 0..200 {
            let pauses = pauses(seed);
            assert!(pauses[0] <= Duration::from_millis(limits::KINESIS_BACKOFF_MILLIS_MIN));
            assert!(pauses.iter().all(|p| (5..=limits::KINESIS_BACKOFF_MILLIS_MAX).contains(&(p.as_millis() as u64))));
        }
    }

    #[test]
    fn success_starts_the_count_anew() {
        let mut backoff = Backoff::new(1, Duration::ZERO, 3);
        while backoff.next_pause().is_some() {}
        backoff.reset();
        assert!(backoff.next_pause().is_some());
    }
}
