//! High time: how far the events of a shard have come.

use serde::{Deserialize, Serialize};

use crate::types::Micros;

/// max( highest min(event time, arrival time) accepted, highest arrival time − `idle_timeout` ).
///
/// The first term follows the events; a client with a clock ahead cannot push it past arrival. The second makes a shard that
/// fell silent catch up when it wakes, and since arrival times are part of the record, a replay reaches the same values.
/// It never goes back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HighTime {
    idle_timeout: Micros,
    accepted: Option<Micros>,
    arrival: Option<Micros>,
}

impl HighTime {
    /// Nothing known yet.
    pub fn new(idle_timeout: Micros) -> Self {
        Self { idle_timeout, accepted: None, arrival: None }
    }

    /// Goes on from where another is; the idle timeout stays its own.
    pub fn restore(&mut self, from: &Self) {
        self.accepted = from.accepted;
        self.arrival = from.arrival;
    }

    /// Begins no earlier than at `time`: what is late by it was decided before.
    pub fn begin_at(&mut self, time: Micros) {
        self.accepted = self.accepted.max(Some(time));
    }

    /// A record arrived at `arrival`, or the shard was found empty and caught up as of `arrival`.
    pub fn arrived(&mut self, arrival: Micros) {
        self.arrival = self.arrival.max(Some(arrival));
    }

    /// A row was accepted.
    pub fn accepted(&mut self, event_time: Micros, arrival: Option<Micros>) {
        self.accepted = self.accepted.max(Some(arrival.map_or(event_time, |a| a.min(event_time))));
    }

    /// The high time now; `None` before anything is known.
    pub fn get(&self) -> Option<Micros> {
        self.accepted.max(self.arrival.map(|a| a.saturating_sub(self.idle_timeout)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_events_but_not_past_their_arrival() {
        let mut high = HighTime::new(30);
        assert_eq!(high.get(), None);
        high.arrived(100);
        assert_eq!(high.get(), Some(70));
        high.accepted(95, Some(100));
        assert_eq!(high.get(), Some(95));
        high.accepted(120, Some(100));
        assert_eq!(high.get(), Some(100));
        high.accepted(10, Some(101));
        assert_eq!(high.get(), Some(100));
    }

    #[test]
    fn a_silent_shard_catches_up_with_arrival() {
        let mut high = HighTime::new(30);
        high.accepted(100, Some(100));
        high.arrived(500);
        assert_eq!(high.get(), Some(470));
    }

    #[test]
    fn a_floor_holds_until_events_are_beyond_it() {
        let mut high = HighTime::new(30);
        high.begin_at(90);
        high.accepted(80, Some(100));
        assert_eq!(high.get(), Some(90));
        high.accepted(95, Some(100));
        assert_eq!(high.get(), Some(95));
    }

    #[test]
    fn without_arrival_times_only_events_count() {
        let mut high = HighTime::new(30);
        high.accepted(100, None);
        assert_eq!(high.get(), Some(100));
    }
}
