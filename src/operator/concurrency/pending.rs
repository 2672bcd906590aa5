//! What shards have handed over and is not resolved yet, and where their events are.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::partial::MarksPartial;
use super::shard::Seen;
use crate::types::Micros;

/// Marks by bucket, and the first and last event of each bucket that saw some. No timeout is in it: every count reads the same.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Pending {
    pub marks: BTreeMap<Micros, MarksPartial>,
    pub seen: BTreeMap<Micros, (Micros, Micros)>,
}

impl Pending {
    /// Notes which buckets have events, as soon as a shard has read them.
    pub(super) fn saw(&mut self, seen: &[Seen]) {
        for s in seen {
            let known = self.seen.entry(s.bucket).or_insert((s.first, s.last));
            *known = (known.0.min(s.first), known.1.max(s.last));
        }
    }

    /// Takes a shard's marks of one bucket.
    pub(super) fn add(&mut self, partial: MarksPartial) {
        match self.marks.get_mut(&partial.bucket) {
            Some(known) => known.absorb(partial),
            None => {
                self.marks.insert(partial.bucket, partial);
            }
        }
    }

    /// Puts the marks of all buckets up to `last` in order: no shard adds to them any more.
    pub(super) fn sort_until(&mut self, last: Micros) {
        self.marks.range_mut(..=last).for_each(|(_, marks)| marks.sort());
    }

    /// Drops marks of buckets before `bucket`: they are resolved.
    pub(super) fn resolved_before(&mut self, bucket: Micros) {
        self.marks = self.marks.split_off(&bucket);
    }

    /// Forgets all events before `oldest` but the last of them.
    pub(super) fn forget_before(&mut self, oldest: Micros) {
        if let Some((&before, _)) = self.seen.range(..oldest).next_back() {
            self.seen = self.seen.split_off(&before);
        }
    }

    /// The time of the latest event.
    pub(super) fn latest_event(&self) -> Option<Micros> {
        self.seen.last_key_value().map(|(_, (_, last))| *last)
    }

    /// Memory of the marks, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.marks.values().map(MarksPartial::bytes).sum()
    }
}
