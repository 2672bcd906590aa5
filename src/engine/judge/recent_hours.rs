//! The hours of event time that a shard's rows of late were of.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::types::{MICROS_PER_HOUR, Micros, floor_to};

/// By hour: the high time at which its last row was judged. There are few: events are mostly of now.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct RecentHours(BTreeMap<Micros, Micros>);

impl RecentHours {
    /// A row of event time `time` was kept at high time `high`. An hour without a row for `horizon` is forgotten.
    pub(super) fn saw(&mut self, time: Micros, high: Option<Micros>, horizon: Micros) {
        // Before the first high time, what counts is that: later than now.
        let high = high.unwrap_or(Micros::MAX);
        let hour = floor_to(time, MICROS_PER_HOUR);
        if let Some(last) = self.0.get_mut(&hour) {
            *last = high;
        } else {
            self.0.retain(|_, last| high.saturating_sub(*last) <= horizon);
            self.0.insert(hour, high);
        }
    }

    /// The hours of rows judged at `high` or later.
    pub(super) fn since(&self, high: Micros) -> Vec<Micros> {
        self.0.iter().filter(|(_, last)| **last >= high).map(|(hour, _)| *hour).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_known_until_their_rows_are_past() {
        const HOUR: Micros = MICROS_PER_HOUR;
        let mut hours = RecentHours::default();
        hours.saw(7 * HOUR + 1, Some(100), 50);
        hours.saw(8 * HOUR, Some(120), 50);
        hours.saw(7 * HOUR + 2, Some(140), 50);
        assert_eq!((hours.since(120), hours.since(121)), (vec![7 * HOUR, 8 * HOUR], vec![7 * HOUR]));
        hours.saw(9 * HOUR, Some(171), 50);
        assert_eq!(hours.since(0), [7 * HOUR, 9 * HOUR]);
    }
}
