//! Duplicates: the same event id again, within the horizon.

use std::cmp::Reverse;
use std::collections::VecDeque;

use hashbrown::HashTable;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::types::Micros;

/// The ids that a shard judged while its watermark advanced by the horizon, as 128-bit hashes.
///
/// An id is remembered with the high time at which its row was judged, which is in the row (`shard_high_time`): what is
/// remembered can be built again from committed rows. A dropped duplicate does not renew it.
///
/// It costs what [`Dedupe::bytes`] says: 24 bytes an id in a queue, 5 in a table of places in the queue, and the spare room of both,
/// which grow by doubling: 30 to 60 bytes, 29 to 58 MB a million ids.
#[derive(Debug, Default)]
pub struct Dedupe {
    horizon: Micros,
    /// In the order of judgement, by which they are forgotten. Every id is here once.
    order: VecDeque<Remembered>,
    /// By hash: the number of the id. Numbers count from the first id that ever was, and begin anew after 2³².
    numbers: HashTable<u32>,
    /// The number of the first id in `order`.
    first_number: u32,
    /// The shard's first high time.
    first_known: Option<Micros>,
}

/// An id: the halves of its hash, and the high time at which it was judged; [`UNKNOWN`] before the shard's first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Remembered {
    hash: [u64; 2],
    at: Micros,
}

/// What a [`Dedupe`] remembers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DedupeState {
    order: VecDeque<Remembered>,
    /// Ids that were left out, because committed rows have them.
    left_out: u64,
    first_known: Option<Micros>,
}

const UNKNOWN: Micros = Micros::MIN;

/// For so few ids no memory is given back.
const IDS_KEPT_ROOM_FOR: usize = 10_000;

impl DedupeState {
    /// Leaves the ids out: rows of the lake have them.
    pub fn leave_out(&mut self) {
        self.left_out += std::mem::take(&mut self.order).len() as u64;
    }

    /// How many were left out.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Puts ids back that were left out: each with the high time in its row, in any order.
    pub fn put_back<'a>(&mut self, ids: impl IntoIterator<Item = (&'a str, Option<Micros>)>) {
        self.order.extend(ids.into_iter().map(|(id, high)| Remembered::new(id, high)));
    }

    /// All are back: each once, and in the order in which they were judged, in which they are forgotten. How many there are.
    pub fn all_back(&mut self) -> u64 {
        self.left_out = 0;
        let mut ids = Vec::from(std::mem::take(&mut self.order));
        // An id that was forgotten and came again has two rows, of which the later counts.
        ids.sort_unstable_by_key(|id| (id.hash, Reverse(id.at)));
        ids.dedup_by_key(|id| id.hash);
        ids.sort_unstable_by_key(|id| id.at);
        self.order = ids.into();
        self.order.len() as u64
    }
}

impl Remembered {
    fn new(id: &str, high: Option<Micros>) -> Self {
        let hash = xxh3_128(id.as_bytes());
        Self { hash: [hash as u64, (hash >> 64) as u64], at: high.unwrap_or(UNKNOWN) }
    }
}

impl Dedupe {
    /// Remembers ids for `horizon` of watermark time.
    pub fn new(horizon: Micros) -> Self {
        Self { horizon, ..Self::default() }
    }

    /// A copy of the memory, as of high time `high`: an id past the horizon is forgotten.
    pub fn state(&self, high: Option<Micros>) -> DedupeState {
        let now = high.unwrap_or(UNKNOWN);
        let order = self.order.iter().skip_while(|id| self.is_past(id, now)).copied().collect();
        DedupeState { order, left_out: 0, first_known: self.first_known }
    }

    /// As [`state`](Self::state), with the ids left out, whose rows are in the lake.
    pub fn state_without_ids(&self, high: Option<Micros>) -> DedupeState {
        let now = high.unwrap_or(UNKNOWN);
        let past = self.order.iter().take_while(|id| self.is_past(id, now)).count();
        let left_out = (self.order.len() - past) as u64;
        DedupeState { order: VecDeque::new(), left_out, first_known: self.first_known }
    }

    /// Goes on from a copy.
    pub fn restore(&mut self, state: DedupeState) {
        *self = Self { horizon: self.horizon, first_known: state.first_known, ..Self::default() };
        for id in state.order {
            self.remember(id);
        }
    }

    /// Whether `id` is new at high time `high`; if so it is remembered.
    pub fn is_new(&mut self, id: &str, high: Option<Micros>) -> bool {
        let now = high.unwrap_or(UNKNOWN);
        if high.is_some() && self.first_known.is_none() {
            self.first_known = high;
        }
        self.forget(now);
        self.remember(Remembered::new(id, high))
    }

    /// Adds an id, unless it is there.
    fn remember(&mut self, id: Remembered) -> bool {
        let Self { order, numbers, first_number, .. } = self;
        let of = |number: u32| order.get(number.wrapping_sub(*first_number) as usize);
        if numbers.find(id.hash[0], |&number| of(number).is_some_and(|old| old.hash == id.hash)).is_some() {
            return false;
        }
        let number = first_number.wrapping_add(order.len() as u32);
        numbers.insert_unique(id.hash[0], number, |&number| of(number).map_or(0, |id| id.hash[0]));
        order.push_back(id);
        true
    }

    /// An id judged before the shard had a high time counts as judged at its first one.
    fn known(&self, at: Micros) -> Micros {
        if at == UNKNOWN { self.first_known.unwrap_or(UNKNOWN) } else { at }
    }

    fn is_past(&self, id: &Remembered, now: Micros) -> bool {
        now.saturating_sub(self.known(id.at)) > self.horizon
    }

    /// Drops what is past the horizon. High times do not go back, so it is at the front.
    fn forget(&mut self, now: Micros) {
        while let Some(&id) = self.order.front().filter(|id| self.is_past(id, now)) {
            let hash = id.hash;
            let first = self.first_number;
            if let Ok(entry) = self.numbers.find_entry(hash[0], |&number| number == first) {
                entry.remove();
            }
            self.order.pop_front();
            self.first_number = first.wrapping_add(1);
        }
        if self.order.capacity() > 4 * self.order.len().max(IDS_KEPT_ROOM_FOR) {
            // A burst is over.
            let room = 2 * self.order.len();
            self.order.shrink_to(room);
            let Self { order, numbers, first_number, .. } = self;
            let of = |number: u32| order.get(number.wrapping_sub(*first_number) as usize);
            numbers.shrink_to(room, |&number| of(number).map_or(0, |id| id.hash[0]));
        }
    }

    /// How long ids are remembered.
    pub fn horizon(&self) -> Micros {
        self.horizon
    }

    /// How many ids are remembered.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Memory that it holds, in bytes.
    pub fn bytes(&self) -> usize {
        self.order.capacity() * size_of::<Remembered>() + self.numbers.allocation_size()
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

    #[test]
    fn numbers_begin_anew() {
        let mut d = Dedupe { first_number: u32::MAX - 5, ..Dedupe::new(10) };
        for i in 0..100 {
            assert!(d.is_new(&i.to_string(), Some(i)));
            for j in (i - 10).max(0)..=i {
                assert!(!d.is_new(&j.to_string(), Some(i)), "{j} at {i}");
            }
        }
        assert_eq!((d.len(), d.numbers.len()), (11, 11));
    }

    #[test]
    fn a_copy_remembers_the_same() {
        let mut d = Dedupe::new(10);
        assert!(d.is_new("early", None));
        for i in 0..100 {
            assert!(d.is_new(&i.to_string(), Some(i)));
        }
        let mut copy = Dedupe::new(10);
        copy.restore(d.state(Some(99)));
        assert!(!copy.is_new("95", Some(99)) && copy.is_new("88", Some(99)) && copy.is_new("early", Some(99)));
    }

    #[test]
    fn memory_is_given_back_after_a_burst() {
        let mut d = Dedupe::new(10);
        for i in 0..200_000 {
            d.is_new(&i.to_string(), Some(0));
        }
        let most = d.bytes();
        assert!(d.is_new("next", Some(11)) && !d.is_new("next", Some(12)));
        assert!(d.len() == 1 && d.bytes() < most / 10, "{} of {most}", d.bytes());
    }

    #[test]
    fn an_id_costs_what_is_said() {
        let mut d = Dedupe::new(Micros::MAX);
        for i in 0..1_000_000 {
            d.is_new(&i.to_string(), Some(0));
            if i > 10_000 {
                let each = d.bytes() as f64 / d.len() as f64;
                assert!((29.0..60.5).contains(&each), "{each} bytes an id at {i}");
            }
        }
    }

    #[test]
    fn ids_that_were_left_out_are_put_back_from_their_rows() {
        let mut d = Dedupe::new(10);
        let rows: Vec<(String, Option<Micros>)> =
            (0..100).map(|i| (i.to_string(), (i >= 95).then_some(i / 2))).collect();
        for (id, high) in &rows {
            assert!(d.is_new(id, *high));
        }
        let mut state = d.state(Some(50));
        let left = state.order.len() as u64;
        state.leave_out();
        assert_eq!((state.left_out(), state.order.len()), (left, 0));
        state.put_back(rows.iter().rev().map(|(id, high)| (id.as_str(), *high)));
        assert_eq!(state.all_back(), left);
        let mut copy = Dedupe::new(10);
        copy.restore(state);
        for (id, _) in &rows {
            assert_eq!(copy.is_new(id, Some(50)), d.is_new(id, Some(50)), "{id}");
        }
        assert_eq!(copy.len(), d.len());
    }
}
