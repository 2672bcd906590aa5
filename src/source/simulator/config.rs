//! What a user can ask of the simulated platform.

use crate::error::{Error, Result};
use crate::limits;
use crate::types::{MICROS_PER_DAY, Micros};

/// 2026-01-01T18:00:00Z: a fixed evening, so that `headcount simulate` writes the same bytes on any day.
pub const DEFAULT_START: Micros = 1_767_290_400_000_000;

/// Which platform to simulate. Equal configurations give equal bytes, on any machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimulatorConfig {
    /// Everything random follows from it, all ids too.
    pub seed: u64,
    /// Events a second on average, all kinds together, from the first second on. The audience is sized to it.
    pub events_per_sec: u32,
    /// Channels, all of them on air at the start; one for ten events a second, from 4 to 2,000, if `None`.
    pub channels: Option<u32>,
    /// Virtual time of the beginning, in UTC microseconds. Streams and sessions are under way by then.
    pub start: Micros,
    /// What goes wrong, and how often.
    pub disturbance: Disturbance,
}

impl Default for SimulatorConfig {
    fn default() -> Self {
        Self {
            seed: 42,
            events_per_sec: 2_000,
            channels: None,
            start: DEFAULT_START,
            disturbance: Disturbance::default(),
        }
    }
}

impl SimulatorConfig {
    /// Refuses what cannot be simulated.
    ///
    /// # Errors
    /// A user's error when `events_per_sec` is 0 or over [`limits::SIMULATOR_EVENTS_PER_SEC_MAX`], `channels` 0 or over
    /// [`limits::SIMULATOR_CHANNELS_MAX`], or when `start` is outside the years 1970 to 9999.
    pub fn validate(&self) -> Result<()> {
        let rate = self.events_per_sec;
        if rate == 0 || rate > limits::SIMULATOR_EVENTS_PER_SEC_MAX {
            return Err(Error::user(format!("the simulator cannot play {rate} events per second"))
                .hint(format!("choose between 1 and {}", limits::SIMULATOR_EVENTS_PER_SEC_MAX)));
        }
        if let Some(channels) = self.channels.filter(|n| *n == 0 || *n > limits::SIMULATOR_CHANNELS_MAX) {
            return Err(Error::user(format!("the simulator cannot have {channels} channels"))
                .hint(format!("choose between 1 and {}", limits::SIMULATOR_CHANNELS_MAX)));
        }
        // Text of a time has a four-digit year; a century at the end leaves room for a long run.
        if !(0..YEAR_9900).contains(&self.start) {
            return Err(Error::user("the simulation's start is out of range").hint("choose a year from 1970 to 9899"));
        }
        Ok(())
    }
}

const YEAR_9900: Micros = 2_896_373 * MICROS_PER_DAY;

/// How often things go wrong, in parts per million: of records unless said otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disturbance {
    /// Records that come again with the same event id, within seconds, one in twenty of them after minutes.
    pub duplicates_ppm: u32,
    /// Records that arrive seconds after their neighbours.
    pub out_of_order_ppm: u32,
    /// Records that arrive minutes after their event time.
    pub late_ppm: u32,
    /// Viewers whose clock is ahead, from 40 seconds to two days; half of them say when they sent.
    pub bad_clocks_ppm: u32,
    /// Viewers whose client gives times as epoch milliseconds, which the contract allows and few other programs expect.
    pub epoch_times_ppm: u32,
    /// Records spoilt: cut off, a field missing, a wrong type, a time that is none.
    pub malformed_ppm: u32,
    /// Heartbeats that share their record with other events, as lines or as a JSON array.
    pub bundled_ppm: u32,
    /// Sessions that end without saying so.
    pub lost_ends_ppm: u32,
    /// Sessions that break off and come back under a new id that names the old one.
    pub reconnects_ppm: u32,
    /// Sessions that send one more heartbeat after their end.
    pub heartbeats_after_end_ppm: u32,
}

impl Default for Disturbance {
    fn default() -> Self {
        Self {
            duplicates_ppm: 6_000,
            out_of_order_ppm: 30_000,
            late_ppm: 500,
            bad_clocks_ppm: 2_000,
            epoch_times_ppm: 5_000,
            malformed_ppm: 250,
            bundled_ppm: 1_000,
            lost_ends_ppm: 90_000,
            reconnects_ppm: 60_000,
            heartbeats_after_end_ppm: 30_000,
        }
    }
}

impl Disturbance {
    /// A platform on which nothing goes wrong.
    pub fn none() -> Self {
        Self {
            duplicates_ppm: 0,
            out_of_order_ppm: 0,
            late_ppm: 0,
            bad_clocks_ppm: 0,
            epoch_times_ppm: 0,
            malformed_ppm: 0,
            bundled_ppm: 0,
            lost_ends_ppm: 0,
            reconnects_ppm: 0,
            heartbeats_after_end_ppm: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::parse_rfc3339;

    #[test]
    fn the_default_start_is_the_documented_evening() {
        assert_eq!(Some(DEFAULT_START), parse_rfc3339("2026-01-01T18:00:00Z"));
        assert_eq!(Some(YEAR_9900), parse_rfc3339("9900-01-01T00:00:00Z"));
    }

    #[test]
    fn impossible_platforms_are_refused_with_a_remedy() {
        let zero = SimulatorConfig { events_per_sec: 0, ..SimulatorConfig::default() };
        assert_eq!(zero.validate().unwrap_err().exit_code(), 2);
        let nobody = SimulatorConfig { channels: Some(0), ..SimulatorConfig::default() };
        assert_eq!(nobody.validate().unwrap_err().exit_code(), 2);
        let before = SimulatorConfig { start: -1, ..SimulatorConfig::default() };
        assert!(before.validate().unwrap_err().remedy().is_some());
        SimulatorConfig::default().validate().unwrap();
    }
}
