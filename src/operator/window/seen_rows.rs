//! Which rows groups have seen: a set of groups and hashes.
//!
//! The rows one after the other, and a table of slots that tell where each of them is, a slot after its place if that is taken (linear
//! probing). What makes it quick for rows that are seen again and again, in an order that nobody foresees: finding a row and adding one are
//! the same few instructions, without a branch between them. And slots are small: half as large as rows, as there are twice as many of them.

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

    /// What its place and its tag are taken from: rows are hashed already, groups count up from 0.
    #[inline]
    fn mixed(self) -> u64 {
        (self.0 >> GROUP_BITS) as u64 ^ u64::from(self.0 as u32).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

/// Where a row is, by its number, and above that some bits that tell most rows apart. 0 is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot(u64);

impl Slot {
    const FREE: Self = Self(0);
    /// More rows than there is memory for.
    const NUMBER_BITS: u32 = 40;

    /// Bits of a row's mix that its slot has, where they are in it.
    #[inline]
    fn tag(mixed: u64) -> u64 {
        mixed >> Self::NUMBER_BITS << Self::NUMBER_BITS
    }

    #[inline]
    fn of(tag: u64, number: usize) -> Self {
        Self(tag | (number as u64 + 1))
    }

    #[inline]
    fn has_tag(self, tag: u64) -> bool {
        Self::tag(self.0) == tag
    }

    #[inline]
    fn number(self) -> usize {
        ((self.0 ^ Self::tag(self.0)) as usize).wrapping_sub(1)
    }
}

/// A set of rows of groups. The hashes of a billion rows are all different but for a chance of less than 10⁻¹¹.
#[derive(Debug, Default)]
pub(super) struct SeenRows {
    /// In the order in which they came, with room for as many as slots allow.
    rows: Vec<Entry>,
    /// A power of two, some of them free; empty without rows.
    slots: Vec<Slot>,
    /// Rows that there are slots for.
    room: usize,
}

impl SeenRows {
    /// Adds a row; whether it is new.
    #[inline]
    pub(super) fn add(&mut self, entry: Entry) -> bool {
        let len = self.rows.len();
        if len >= self.room {
            self.grow(len + 1);
        }
        // Taken off again if it was there.
        self.rows.push(entry);
        let (mask, mixed) = (self.slots.len() - 1, entry.mixed());
        let (tag, mut place) = (Slot::tag(mixed), mixed as usize & mask);
        loop {
            // It ends: a slot in four is free.
            while self.slots[place] != Slot::FREE && !self.slots[place].has_tag(tag) {
                place = (place + 1) & mask;
            }
            let slot = self.slots[place];
            let new = slot == Slot::FREE;
            let number = if new { len } else { slot.number() };
            if self.rows[number] == entry {
                self.slots[place] = Slot::of(tag, number);
                self.rows.truncate(len + usize::from(new));
                return new;
            }
            // Another row with the same tag.
            place = (place + 1) & mask;
        }
    }

    /// Makes room for that many rows more.
    pub(super) fn reserve(&mut self, more: usize) {
        if self.rows.len() + more > self.room {
            self.grow(self.rows.len() + more);
        }
    }

    #[cold]
    fn grow(&mut self, rows: usize) {
        let factor = if self.slots.len() < GENEROUS_MAX { 4 } else { 2 };
        let mut slots = (self.slots.len() * factor).max(SLOTS_MIN);
        while room(slots) < rows {
            slots *= 2;
        }
        self.room = room(slots);
        // One more for a row that turns out to be there.
        self.rows.reserve_exact(self.room + 1 - self.rows.len());
        self.slots = vec![Slot::FREE; slots];
        let mask = slots - 1;
        for (number, row) in self.rows.iter().enumerate() {
            let mixed = row.mixed();
            let mut place = mixed as usize & mask;
            while self.slots[place] != Slot::FREE {
                place = (place + 1) & mask;
            }
            self.slots[place] = Slot::of(Slot::tag(mixed), number);
        }
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// All of them, in the order in which they came.
    pub(super) fn rows(&self) -> &[Entry] {
        &self.rows
    }

    /// Memory that it holds, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.rows.capacity() * size_of::<Entry>() + self.slots.capacity() * size_of::<Slot>()
    }
}

/// Rows that so many slots are enough for.
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
        assert_eq!(seen.rows().iter().map(|entry| (entry.group(), entry.hash())).collect::<HashSet<_>>(), hashed);
        assert!(seen.bytes() < 44 * seen.len(), "{} bytes for {} rows", seen.bytes(), seen.len());
    }

    #[test]
    fn rows_with_one_tag_and_one_place_are_told_apart() {
        // The mix of these differs in bits that neither a tag nor the place in a small table has.
        let row = |i: u64| {
            let [a, b, c, d, e, f, g, h] = (i << 20).to_le_bytes();
            Entry::with_hash(0, [a, b, c, d, e, f, g, h, 7, 7, 7, 7])
        };
        assert_eq!((row(1).mixed() ^ row(2).mixed()) & 0xffff, 0);
        assert_eq!(Slot::tag(row(1).mixed()), Slot::tag(row(2).mixed()));
        let mut seen = SeenRows::default();
        for round in 0..3 {
            (0..1_000).for_each(|i| assert_eq!(seen.add(row(i)), round == 0, "row {i}, round {round}"));
        }
        assert_eq!(seen.rows(), (0..1_000).map(row).collect::<Vec<_>>());
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
