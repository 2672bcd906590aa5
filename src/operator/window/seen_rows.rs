//! Which rows groups have seen: a set of groups and hashes.
//!
//! Slots in one piece, a row after its place if that is taken (linear probing). What makes it quick for rows that are seen again and
//! again, in an order that nobody foresees: finding a row and adding one are the same few instructions, without a branch between them.

use xxhash_rust::xxh3::xxh3_128;

/// Bytes of a row's hash.
pub(super) const HASH_BYTES: usize = 12;

/// Bits of an entry that tell the group.
const GROUP_BITS: u32 = u32::BITS;

/// Slots of a set that has its first row.
const SLOTS_MIN: usize = 64;
/// Slots up to which a set is kept half empty, and becomes four times as large: where memory does not count, time does. How often a place
/// is taken is hard to foresee: filled to three quarters, as a larger one is, a set takes three times as long for a row.
const GENEROUS_MAX: usize = 1 << 16;

/// A row of a group in 16 bytes: 96 bits of its hash, and the group's number plus one. 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry(u128);

impl Entry {
    /// No row.
    pub(super) const NONE: Self = Self(0);

    /// The row that these bytes stand for.
    #[inline]
    pub(super) fn of(group: u32, bytes: &[u8]) -> Self {
        Self::with(group, xxh3_128(bytes))
    }

    /// The row with this hash.
    #[inline]
    pub(super) fn with_hash(group: u32, [a, b, c, d, e, f, g, h, i, j, k, l]: [u8; HASH_BYTES]) -> Self {
        Self::with(group, u128::from_le_bytes([a, b, c, d, e, f, g, h, i, j, k, l, 0, 0, 0, 0]))
    }

    #[inline]
    fn with(group: u32, hash: u128) -> Self {
        Self(hash << GROUP_BITS | u128::from(group + 1))
    }

    #[inline]
    pub(super) fn group(self) -> usize {
        self.0 as u32 as usize - 1
    }

    #[inline]
    pub(super) fn hash(self) -> [u8; HASH_BYTES] {
        let [a, b, c, d, e, f, g, h, i, j, k, l, ..] = (self.0 >> GROUP_BITS).to_le_bytes();
        [a, b, c, d, e, f, g, h, i, j, k, l]
    }

    /// Where it stands: rows are hashed already, groups count up from 0.
    #[inline]
    fn place(self) -> usize {
        ((self.0 >> GROUP_BITS) as u64 ^ u64::from(self.0 as u32).wrapping_mul(0x9e37_79b9_7f4a_7c15)) as usize
    }
}

/// A set of rows of groups. The hashes of a billion rows are all different but for a chance of less than 10⁻¹¹.
#[derive(Debug, Default)]
pub(super) struct SeenRows {
    /// A power of two, some of them free (0); empty without rows.
    slots: Vec<u128>,
    len: usize,
    /// Rows that there is room for.
    room: usize,
}

impl SeenRows {
    /// Adds a row; whether it is new.
    #[inline]
    pub(super) fn add(&mut self, Entry(entry): Entry) -> bool {
        if self.len >= self.room {
            self.grow(self.len + 1);
        }
        let mask = self.slots.len() - 1;
        let mut place = Entry(entry).place() & mask;
        // It ends: a slot in four is free.
        while self.slots[place] != 0 && self.slots[place] != entry {
            place = (place + 1) & mask;
        }
        let new = self.slots[place] == 0;
        self.slots[place] = entry;
        self.len += usize::from(new);
        new
    }

    /// Makes room for that many rows more.
    pub(super) fn reserve(&mut self, more: usize) {
        if self.len + more > self.room {
            self.grow(self.len + more);
        }
    }

    #[cold]
    fn grow(&mut self, rows: usize) {
        let factor = if self.slots.len() < GENEROUS_MAX { 4 } else { 2 };
        let mut slots = (self.slots.len() * factor).max(SLOTS_MIN);
        while room(slots) < rows {
            slots *= 2;
        }
        let entries = self.entries();
        self.slots = vec![0; slots];
        self.room = room(slots);
        let mask = slots - 1;
        for entry in entries {
            let mut place = entry.place() & mask;
            while self.slots[place] != 0 {
                place = (place + 1) & mask;
            }
            self.slots[place] = entry.0;
        }
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// All of them, in no order.
    pub(super) fn entries(&self) -> Vec<Entry> {
        // Which slots are free is hard to foresee: all are written, and those that are free are written over.
        let mut entries = vec![Entry::NONE; self.len + 1];
        let mut len = 0;
        for slot in &self.slots {
            entries[len] = Entry(*slot);
            len += usize::from(*slot != 0);
        }
        entries.truncate(len);
        entries
    }

    /// Memory that it holds, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.slots.capacity() * size_of::<u128>()
    }
}

/// Rows that so many slots have room for.
fn room(slots: usize) -> usize {
    if slots <= GENEROUS_MAX { slots / 2 } else { slots / 4 * 3 }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn as_a_set_of_the_library() {
        let (mut seen, mut set) = (SeenRows::default(), HashSet::new());
        for i in 0_u64..200_000 {
            let (group, text) = ((i % 7) as u32, (i * i % 90_001).to_string());
            assert_eq!(seen.add(Entry::of(group, text.as_bytes())), set.insert((group, text)), "row {i}");
        }
        assert_eq!(seen.len(), set.len());
        let hashed: HashSet<_> =
            set.iter().map(|(group, text)| (*group as usize, Entry::of(0, text.as_bytes()).hash())).collect();
        assert_eq!(seen.entries().iter().map(|entry| (entry.group(), entry.hash())).collect::<HashSet<_>>(), hashed);
        assert!(seen.bytes() < 44 * seen.len(), "{} bytes for {} rows", seen.bytes(), seen.len());
    }

    #[test]
    fn an_entry_is_its_group_and_its_hash() {
        for group in [0, 1, u32::MAX - 1] {
            let entry = Entry::of(group, b"a row");
            assert_eq!(entry.group(), group as usize);
            assert_eq!(Entry::with_hash(group, entry.hash()), entry);
            assert_eq!(entry.hash(), xxh3_128(b"a row").to_le_bytes()[..HASH_BYTES]);
        }
    }

    #[test]
    fn room_that_was_made_is_kept() {
        let mut seen = SeenRows::default();
        for rows in [1, 1_000, 40_000] {
            seen.reserve(rows);
            let bytes = seen.bytes();
            (0..rows as u32).for_each(|row| assert!(seen.add(Entry::of(rows as u32, &row.to_le_bytes()))));
            assert_eq!(seen.bytes(), bytes, "{rows}");
        }
    }
}
