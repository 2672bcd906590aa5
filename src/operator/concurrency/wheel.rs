//! When to look at a session or a stream again: a calendar of buckets.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::types::Micros;

/// Sentinel for "not in the calendar", and for times that never were.
pub(super) const NEVER: Micros = Micros::MIN;

/// Indices by the bucket in which something about them may run out.
///
/// Entries are never moved: who is touched later than expected is found early, looked at, and entered again. So a session
/// costs one entry a timeout, not one a heartbeat.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Wheel(BTreeMap<Micros, Vec<u32>>);

impl Wheel {
    /// Enters `index` at `bucket`, unless `entered` (where it stands now) is as early. Sets `entered`.
    pub(super) fn enter(&mut self, index: u32, bucket: Micros, entered: &mut Micros) {
        if *entered == NEVER || bucket < *entered {
            *entered = bucket;
            self.0.entry(bucket).or_default().push(index);
        }
    }

    /// Everything entered at or before `bucket`, with the bucket of its entry: an entry that its owner no longer stands at
    /// is stale.
    pub(super) fn due(&mut self, bucket: Micros) -> Vec<(Micros, u32)> {
        let mut due = Vec::new();
        while let Some(first) = self.0.first_entry() {
            if *first.key() > bucket {
                break;
            }
            let (at, indices) = first.remove_entry();
            due.extend(indices.into_iter().map(|i| (at, i)));
        }
        due
    }
}
