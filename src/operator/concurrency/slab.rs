//! A list whose places are used again.

use serde::{Deserialize, Serialize};

/// Slots of a piece of it.
const PIECE: usize = 1 << 12;

/// Slots that are used again, by number. They lie in pieces: it grows by one of them, and nothing is moved but in the first, which is
/// as large as it has to be.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Slab<T> {
    /// All full of slots but the last.
    pieces: Vec<Vec<Option<T>>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Slab<T> {
    pub(super) fn new() -> Self {
        Self { pieces: Vec::new(), free: Vec::new() }
    }

    /// Puts a value in a free slot; gives its number.
    pub(super) fn insert(&mut self, value: T) -> u32 {
        if let Some(i) = self.free.pop() {
            if let Some(slot) = self.slot_mut(i) {
                *slot = Some(value);
            }
            return i;
        }
        let i = self.slots() as u32;
        match self.pieces.last_mut().filter(|piece| piece.len() < PIECE) {
            Some(piece) => piece.push(Some(value)),
            None => {
                let mut piece = Vec::with_capacity(if self.pieces.is_empty() { 1 } else { PIECE });
                piece.push(Some(value));
                self.pieces.push(piece);
            }
        }
        i
    }

    fn slots(&self) -> usize {
        self.pieces.last().map_or(0, |last| (self.pieces.len() - 1) * PIECE + last.len())
    }

    #[inline]
    fn slot_mut(&mut self, i: u32) -> Option<&mut Option<T>> {
        self.pieces.get_mut(i as usize / PIECE)?.get_mut(i as usize % PIECE)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, i: u32) -> Option<&mut T> {
        self.slot_mut(i)?.as_mut()
    }

    #[inline]
    pub(super) fn get(&self, i: u32) -> Option<&T> {
        self.pieces.get(i as usize / PIECE)?.get(i as usize % PIECE)?.as_ref()
    }

    /// Takes a value out; its number is given to another.
    pub(super) fn remove(&mut self, i: u32) -> Option<T> {
        let value = self.slot_mut(i)?.take();
        if value.is_some() {
            self.free.push(i);
        }
        value
    }

    pub(super) fn len(&self) -> usize {
        self.slots() - self.free.len()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.pieces.iter_mut().flatten().flatten()
    }

    /// The numbers in use, and what is there.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..).zip(self.pieces.iter().flatten()).filter_map(|(i, slot)| Some((i, slot.as_ref()?)))
    }

    /// Memory, in bytes, but for what values have elsewhere.
    pub(super) fn bytes(&self) -> usize {
        let slots: usize = self.pieces.iter().map(Vec::capacity).sum();
        slots * size_of::<Option<T>>() + self.free.capacity() * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_used_again_and_grow_by_pieces() {
        let mut slab = Slab::new();
        let many = 2 * PIECE as u32 + 5;
        assert!((0..many).all(|n| slab.insert(u64::from(n) + 1) == n));
        assert_eq!((slab.len(), slab.slots()), (many as usize, many as usize));
        assert!(slab.bytes() < 3 * PIECE * size_of::<Option<u64>>() + 1);
        let gone = [3, PIECE as u32, many - 1];
        gone.iter().for_each(|i| assert_eq!(slab.remove(*i), Some(u64::from(*i) + 1)));
        assert_eq!((slab.remove(3), slab.remove(many)), (None, None));
        assert_eq!(slab.get(3), None);
        assert_eq!(slab.iter().map(|(i, _)| i).filter(|i| gone.contains(i)).count(), 0);
        assert_eq!(slab.iter().count(), slab.len());
        let mut again: Vec<u32> = gone.iter().map(|_| slab.insert(7)).collect();
        again.sort_unstable();
        assert_eq!(again, gone);
        assert_eq!(slab.insert(8), many);
        assert_eq!((slab.get(3), slab.get(many)), (Some(&7), Some(&8)));
        slab.iter_mut().for_each(|n| *n = 1);
        assert!(slab.iter().all(|(_, n)| *n == 1) && slab.iter().map(|(i, _)| i).eq(0..=many));
    }
}
