//! Pauses between tries: exponential, with full jitter, and not for ever.
//!
//! Each pause is uniform between nothing and a ceiling that doubles from try to try: many clients that failed at the same moment come
//! back spread out (<https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>).

use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// How long the pauses between the tries of a call are, and how many tries there are.
#[derive(Debug, Clone, Copy)]
pub struct Pauses {
    /// The first pause is at most this, in milliseconds; it doubles from try to try.
    pub millis_min: u64,
    /// No pause is longer, in milliseconds.
    pub millis_max: u64,
    /// No pause is shorter: the pace that the call has to keep anyway.
    pub floor: Duration,
    /// Tries before the call is given up; `u32::MAX` if something else ends them.
    pub tries: u32,
}

/// Counts the tries of one call and says how long to wait.
#[derive(Debug)]
pub struct Backoff {
    rng: SmallRng,
    failures: u32,
    pauses: Pauses,
}

impl Backoff {
    /// No try was made yet. The same seed gives the same pauses.
    pub fn new(seed: u64, pauses: Pauses) -> Self {
        Self { rng: SmallRng::seed_from_u64(seed), failures: 0, pauses }
    }

    /// The pause before the next try, or `None` when the tries are used up.
    pub fn next_pause(&mut self) -> Option<Duration> {
        let Pauses { millis_min, millis_max, floor, tries } = self.pauses;
        self.failures = self.failures.saturating_add(1);
        if self.failures >= tries {
            return None;
        }
        let ceiling = millis_min.saturating_mul(1u64 << (self.failures - 1).min(32)).min(millis_max);
        let pause = Duration::from_millis(self.rng.random_range(0..=ceiling));
        Some(pause.max(floor))
    }

    /// The call worked; the next failure is a first one.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSES: Pauses = Pauses { millis_min: 100, millis_max: 8_000, floor: Duration::from_millis(5), tries: 12 };

    #[test]
    fn pauses_grow_stay_bounded_and_end() {
        let pauses = |seed| {
            let mut backoff = Backoff::new(seed, PAUSES);
            std::iter::from_fn(move || backoff.next_pause()).collect::<Vec<_>>()
        };
        assert_eq!(pauses(1), pauses(1), "seeded");
        assert_ne!(pauses(1), pauses(2));
        assert_eq!(pauses(1).len(), 11);
        for seed in 0..200 {
            let pauses = pauses(seed);
            assert!(pauses[0] <= Duration::from_millis(100));
            assert!(pauses.iter().all(|p| (5..=8_000).contains(&(p.as_millis() as u64))));
        }
    }

    #[test]
    fn success_starts_the_count_anew() {
        let mut backoff = Backoff::new(1, Pauses { tries: 3, ..PAUSES });
        while backoff.next_pause().is_some() {}
        backoff.reset();
        assert!(backoff.next_pause().is_some());
    }
}
