//! The simulator as others see it: an endless iterator of records.

use super::config::SimulatorConfig;
use super::platform::Platform;
use super::post::SimEvent;
use crate::error::Result;

/// Plays a live-streaming platform. Yields records in arrival order, for ever.
#[derive(Debug)]
pub struct Simulator {
    platform: Platform,
}

impl Simulator {
    /// Builds the platform with its streams on air and its audience in their seats.
    ///
    /// # Errors
    /// A user's error for a configuration that [`SimulatorConfig::validate`] refuses.
    pub fn new(config: SimulatorConfig) -> Result<Self> {
        config.validate()?;
        Ok(Self { platform: Platform::new(config) })
    }
}

impl Iterator for Simulator {
    type Item = SimEvent;

    fn next(&mut self) -> Option<SimEvent> {
        self.platform.next_record()
    }
}
