//! Duplicates: the same event id again, within the horizon.

use std::collections::VecDeque;
use std::hash::BuildHasherDefault;

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::types::Micros;

/// The ids that a shard judged while its watermark advanced by the horizon: 128-bit hashes, about 60 bytes an id.
///
/// An id is remembered with the high time at which its row was judged, which is in the row (`shard_high_time`): what is
/// remembered can be built again from committed rows. A dropped duplicate does not renew it.
#[derive(Debug, Default)]
pub struct Dedupe {
    horizon: Micros,
    /// High time at which the id's row was judged; [`UNKNOWN`] until the shard's first high time.
    judged_at: HashMap<u128, Micros, BuildHasherDefault<Prehashed>>,
    order: VecDeque<(Micros, u128)>,
    first_known: Option<Micros>,
}

/// What a [`Dedupe`] remembers: hashes of ids with the high time at which they were judged, in that order.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DedupeState {
    order: VecDeque<(Micros, u128)>,
    first_known: Option<Micros>,
}

const UNKNOWN: Micros = Micros::MIN;

impl Dedupe {
    /// Remembers ids for `horizon` of watermark time.
    pub fn new(horizon: Micros) -> Self {
        Self { horizon, ..Self::default() }
    }

    /// A copy of the memory.
    pub fn state(&self) -> DedupeState {
        DedupeState { order: self.order.clone(), first_known: self.first_known }
    }

    /// Goes on from a copy.
    pub fn restore(&mut self, state: DedupeState) {
        // The last judgement of an id is the one that counts.
        self.judged_at = state.order.iter().map(|&(at, hash)| (hash, at)).collect();
        self.order = state.order;
        self.first_known = state.first_known;
    }

    /// Whether `id` is new at high time `high`; if so it is remembered.
    pub fn is_new(&mut self, id: &str, high: Option<Micros>) -> bool {
        let now = high.unwrap_or(UNKNOWN);
        if high.is_some() && self.first_known.is_none() {
            self.first_known = high;
        }
        self.forget(now);
        let hash = xxh3_128(id.as_bytes());
        if let Some(&at) = self.judged_at.get(&hash)
            && now.saturating_sub(self.known(at)) <= self.horizon
        {
            return false;
        }
        self.judged_at.insert(hash, now);
        self.order.push_back((now, hash));
        true
    }

    /// An id judged before the shard had a high time counts as judged at its first one.
    fn known(&self, at: Micros) -> Micros {
        if at == UNKNOWN { self.first_known.unwrap_or(UNKNOWN) } else { at }
    }

    fn forget(&mut self, now: Micros) {
        while let Some(&(at, hash)) = self.order.front() {
            if now.saturating_sub(self.known(at)) <= self.horizon {
                break;
            }
            self.order.pop_front();
            // An id that was judged again since stands further back in the order.
            if self.judged_at.get(&hash) == Some(&at) {
                self.judged_at.remove(&hash);
            }
        }
    }

    /// How many ids are remembered.
    pub fn len(&self) -> usize {
        self.judged_at.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.judged_at.is_empty()
    }
}

/// The keys are hashes already: the table takes half of one as it is.
#[derive(Debug, Default, Clone, Copy)]
struct Prehashed(u64);

impl std::hash::Hasher for Prehashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut half = [0; 8];
            half[..chunk.len()].copy_from_slice(chunk);
            self.0 ^= u64::from_le_bytes(half);
        }
    }

    fn write_u128(&mut self, key: u128) {
        self.0 = (key >> 64) as u64 ^ key as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn within_the_horizon_and_its_last_instant() {
        let mut d = Dedupe::new(120);
        assert!(d.is_new("a", Some(0)));
        assert!(!d.is_new("a", Some(120)));
        assert!(d.is_new("a", Some(121)), "a dropped duplicate does not renew the memory");
        assert!(!d.is_new("a", Some(241)));
        assert_eq!(d.len(), 1);
    }

    #[test]
    fn ids_past_the_horizon_are_forgotten() {
        let mut d = Dedupe::new(120);
        for i in 0..1_000 {
            assert!(d.is_new(&i.to_string(), Some(i)));
        }
        assert_eq!(d.len(), 121);
    }

    #[test]
    fn ids_from_before_the_first_high_time_count_from_it() {
        let mut d = Dedupe::new(120);
        assert!(d.is_new("a", None));
        assert!(!d.is_new("a", None));
        assert!(!d.is_new("a", Some(1_000)));
        assert!(!d.is_new("a", Some(1_120)));
        assert!(d.is_new("a", Some(1_121)));
    }
}
