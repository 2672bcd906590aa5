//! Viewers by number: sessions and counts name them in four bytes, whatever their ids are.

use std::num::NonZeroU32;

use hashbrown::HashTable;
use serde::{Deserialize, Serialize};

use super::mark::PackedHash;
use super::slab::Slab;

/// Nobody: the number of a viewer that is not said.
pub(super) const NOBODY: u32 = 0;

/// A viewer, and one more than the sessions and counts that name it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Viewer {
    hash: PackedHash,
    named: NonZeroU32,
}

/// The viewers that some session or count names, by number. A number is given to another viewer when nobody names the one that has it,
/// though not before [`Self::forget_unnamed`].
#[derive(Debug, Default)]
pub(super) struct Viewers {
    /// One less than their numbers.
    known: Slab<Viewer>,
    index: HashTable<u32>,
    /// Nobody named them at some time since they were last forgotten.
    unnamed: Vec<u32>,
}

impl Viewers {
    /// The number of a viewer, where `likely` is a number that is likely to be it.
    #[inline]
    pub(super) fn number(&mut self, hash: PackedHash, likely: u32) -> u32 {
        if hash.is_none() {
            return NOBODY;
        }
        let of = |number: u32| self.known.get(number.wrapping_sub(1)).map(|viewer| viewer.hash);
        if of(likely) == Some(hash) {
            return likely;
        }
        match self.index.find(hash.short(), |number| of(*number) == Some(hash)) {
            Some(number) => *number,
            None => self.add(hash),
        }
    }

    fn add(&mut self, hash: PackedHash) -> u32 {
        let Self { known, index, unnamed } = self;
        let number = known.insert(Viewer { hash, named: NonZeroU32::MIN }) + 1;
        let of = |number: &u32| known.get(*number - 1).map_or(0, |viewer| viewer.hash.short());
        index.insert_unique(hash.short(), number, of);
        unnamed.push(number);
        number
    }

    /// One more names it.
    #[inline]
    pub(super) fn name(&mut self, number: u32) {
        if let Some(viewer) = self.known.get_mut(number.wrapping_sub(1)) {
            viewer.named = viewer.named.saturating_add(1);
        }
    }

    /// One that named it does so no more.
    #[inline]
    pub(super) fn unname(&mut self, number: u32) {
        if let Some(viewer) = self.known.get_mut(number.wrapping_sub(1)) {
            viewer.named = NonZeroU32::new(viewer.named.get() - 1).unwrap_or(NonZeroU32::MIN);
            if viewer.named == NonZeroU32::MIN {
                self.unnamed.push(number);
            }
        }
    }

    /// Forgets those that nobody names. What was done with their numbers must be through.
    pub(super) fn forget_unnamed(&mut self) {
        // Not kept: after many have come at once it would be large.
        for number in std::mem::take(&mut self.unnamed) {
            let Some(viewer) = self.known.get(number - 1).filter(|v| v.named == NonZeroU32::MIN) else { continue };
            if let Ok(place) = self.index.find_entry(viewer.hash.short(), |known| *known == number) {
                place.remove();
            }
            self.known.remove(number - 1);
        }
    }

    /// A copy of those that there are, at their numbers.
    pub(super) fn state(&self) -> Slab<Viewer> {
        self.known.clone()
    }

    /// Those of a copy that are `named`, as often as they are.
    pub(super) fn restored(known: Slab<Viewer>, named: impl Iterator<Item = u32>) -> Self {
        let mut viewers = Self { index: HashTable::with_capacity(known.len()), known, unnamed: Vec::new() };
        let Self { known, index, unnamed } = &mut viewers;
        for viewer in known.iter_mut() {
            viewer.named = NonZeroU32::MIN;
        }
        let of = |number: &u32| known.get(*number - 1).map_or(0, |viewer| viewer.hash.short());
        for (place, viewer) in known.iter() {
            index.insert_unique(viewer.hash.short(), place + 1, of);
            unnamed.push(place + 1);
        }
        named.for_each(|number| viewers.name(number));
        viewers.forget_unnamed();
        viewers
    }

    /// Memory, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.known.bytes() + self.index.allocation_size() + self.unnamed.capacity() * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(n: u128) -> PackedHash {
        // The same eight bytes are no reason to be the same.
        PackedHash::from((n << 64) | (n % 3 + 1))
    }

    #[test]
    fn a_number_is_a_viewers_as_long_as_somebody_names_it() {
        let mut viewers = Viewers::default();
        assert_eq!(viewers.number(PackedHash::NONE, 5), NOBODY);
        let numbers: Vec<u32> = (1..=9).map(|n| viewers.number(hash(n), NOBODY)).collect();
        assert_eq!(numbers, (1..=9).collect::<Vec<_>>());
        for likely in [NOBODY, 4, 7, 1_000] {
            assert_eq!(viewers.number(hash(7), likely), 7);
        }
        [2, 7, 7, NOBODY].iter().for_each(|number| viewers.name(*number));
        viewers.forget_unnamed();
        viewers.unname(7);
        viewers.forget_unnamed();
        assert_eq!((viewers.number(hash(2), NOBODY), viewers.number(hash(7), 7)), (2, 7));
        viewers.unname(7);
        assert_eq!(viewers.number(hash(7), NOBODY), 7, "not before they are forgotten");
        viewers.forget_unnamed();
        assert_eq!(viewers.known.len(), 1);
        let new = viewers.number(hash(70), 7);
        assert!(new != 2 && new <= 9);
        assert_ne!(viewers.number(hash(7), NOBODY), new);
        // Named by nobody and then by somebody again.
        viewers.name(new);
        viewers.unname(new);
        viewers.name(new);
        viewers.forget_unnamed();
        assert_eq!(viewers.number(hash(70), NOBODY), new);
    }

    #[test]
    fn a_copy_has_those_that_are_named() {
        let mut viewers = Viewers::default();
        let numbers = [1, 2, 3].map(|n| viewers.number(hash(n), NOBODY));
        numbers.iter().for_each(|number| viewers.name(*number));
        let mut again = Viewers::restored(viewers.state(), [3, NOBODY, 3].into_iter());
        assert_eq!((again.known.len(), again.number(hash(3), NOBODY)), (1, 3));
        again.unname(3);
        again.forget_unnamed();
        assert_eq!(again.known.len(), 1);
        again.unname(3);
        again.forget_unnamed();
        assert_eq!(again.known.len(), 0);
        assert_eq!(size_of::<Option<Viewer>>(), 20);
    }
}
