//! Clients whose clocks are wrong.

use crate::types::Micros;

/// How far a client's clock may be off, in microseconds.
#[derive(Debug, Clone, Copy)]
pub struct SkewLimits {
    /// An event time more than this after arrival is set to the arrival time.
    pub max_future_skew: Micros,
    /// A `sent_at` more than this after arrival shows a client clock that runs ahead: the event time is shifted by as much.
    pub sent_at_skew: Micros,
    /// Events older than this at arrival are dead letters.
    pub max_event_age: Micros,
}

/// What was done to an event's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repair {
    /// Nothing.
    None,
    /// Shifted by arrival − `sent_at`.
    Shifted(Micros),
    /// Set to the arrival time.
    Clamped(Micros),
}

impl SkewLimits {
    /// Repairs `event_time` of an event that arrived at `arrival` and says that it was sent at `sent_at`.
    pub fn repair(&self, event_time: Micros, sent_at: Option<Micros>, arrival: Micros) -> Repair {
        let ahead = sent_at.map(|s| s.saturating_sub(arrival)).filter(|&ahead| ahead > self.sent_at_skew);
        let shifted = ahead.map_or(event_time, |ahead| event_time.saturating_sub(ahead));
        if shifted.saturating_sub(arrival) > self.max_future_skew {
            Repair::Clamped(arrival)
        } else if ahead.is_some() {
            Repair::Shifted(shifted)
        } else {
            Repair::None
        }
    }

    /// Whether an event of `event_time` (after repair) is too old at `arrival`.
    pub fn too_old(&self, event_time: Micros, arrival: Micros) -> bool {
        arrival.saturating_sub(event_time) > self.max_event_age
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: SkewLimits = SkewLimits { max_future_skew: 30, sent_at_skew: 5, max_event_age: 1_000 };

    #[test]
    fn a_clock_ahead_is_clamped_to_arrival() {
        assert_eq!(LIMITS.repair(130, None, 100), Repair::None);
        assert_eq!(LIMITS.repair(131, None, 100), Repair::Clamped(100));
    }

    #[test]
    fn a_client_that_says_when_it_sent_is_shifted() {
        assert_eq!(LIMITS.repair(1_090, Some(1_100), 100), Repair::Shifted(90));
        assert_eq!(LIMITS.repair(104, Some(105), 100), Repair::None);
        // A clock behind is not repaired: the event may have waited on the device.
        assert_eq!(LIMITS.repair(50, Some(60), 100), Repair::None);
        assert_eq!(LIMITS.repair(2_000, Some(1_100), 100), Repair::Clamped(100));
    }

    #[test]
    fn too_old_is_judged_at_arrival() {
        assert!(!LIMITS.too_old(0, 1_000));
        assert!(LIMITS.too_old(0, 1_001));
    }
}
