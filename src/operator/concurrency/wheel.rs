//! When to look at a session or a stream again: a calendar of buckets.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::types::Micros;

/// Sentinel for "not in the calendar", and for times that never were.
pub(super) const NEVER: Micros = Micros::MIN;

/// Indices by the bucket in which something about them may run out, in the order of time.
///
/// Entries are never moved: who is touched later than expected is found early, looked at, and entered again. So a session
/// costs one entry a timeout, not one a heartbeat.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Wheel(VecDeque<(Micros, Vec<u32>)>);

impl Wheel {
    /// Enters `index` at `bucket`, unless `entered` (where it stands now) is as early. Sets `entered`.
    pub(super) fn enter(&mut self, index: u32, bucket: Micros, entered: &mut Micros) {
        if *entered == NEVER || bucket < *entered {
            *entered = bucket;
            match self.0.binary_search_by_key(&bucket, |(at, _)| *at) {
                Ok(place) => self.0[place].1.push(index),
                Err(place) => self.0.insert(place, (bucket, vec![index])),
            }
        }
    }

    /// Everything entered at or before `bucket`, with the bucket of its entry: an entry that its owner no longer stands at
    /// is stale.
    pub(super) fn due(&mut self, bucket: Micros) -> Vec<(Micros, u32)> {
        let mut due = Vec::new();
        while let Some((at, indices)) = self.0.pop_front_if(|(at, _)| *at <= bucket) {
            due.extend(indices.into_iter().map(|i| (at, i)));
        }
        due
    }
}
