//! Groups whose key is one text, as of a stream or a country: what most tables group by.
//!
//! DataFusion's table of texts wants the keys of a pane in one piece, and first hashes all of them. Here rows stay where they are in a
//! batch, as they do for the accumulators.

use std::sync::Arc;

use ahash::RandomState;
use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Schema};
use datafusion::common::{DataFusionError, Result};

use super::outline::Outline;
use crate::error::Error;

/// Slots of a table that has its first group.
const SLOTS_MIN: usize = 64;

/// Groups by their text, numbered from 0 in order of first appearance. NULL is a group as well.
#[derive(Debug)]
pub(super) struct TextGroups {
    /// A power of two, half of them free at least; a group is after its place if that is taken.
    slots: Vec<Slot>,
    hasher: Hasher,
    /// Their texts, one after the other, and where each of them ends.
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// The group of NULL.
    null: Option<usize>,
}

impl Default for TextGroups {
    fn default() -> Self {
        Self { slots: vec![Slot::FREE; SLOTS_MIN], hasher: Hasher::new(), bytes: vec![], ends: vec![], null: None }
    }
}

/// A group's place.
#[derive(Debug, Clone, Copy)]
struct Slot {
    outline: Outline,
    group: usize,
}

impl Slot {
    const FREE: Self = Self { outline: Outline { len: 0, head: 0, tail: 0 }, group: usize::MAX };
}

/// Places of texts, others in each table: nobody can choose texts that crowd together.
#[derive(Debug)]
struct Hasher {
    seeds: [u64; 2],
    long: RandomState,
}

impl Hasher {
    fn new() -> Self {
        let long = RandomState::new();
        Self { seeds: [long.hash_one(0_u8), long.hash_one(1_u8)], long }
    }

    #[inline]
    fn hash<'t>(&self, outline: Outline, text: impl FnOnce() -> &'t [u8]) -> usize {
        let [first, second] = self.seeds;
        if !outline.is_whole() {
            return self.long.hash_one(text()) as usize;
        }
        let product = u128::from(outline.head ^ first) * u128::from(outline.tail ^ second ^ outline.len as u64);
        (product as u64 ^ (product >> u64::BITS) as u64) as usize
    }
}

impl TextGroups {
    /// Whether keys of this schema are one text.
    pub(super) fn suit(keys: &Schema) -> bool {
        matches!(keys.fields().as_ref(), [key] if *key.data_type() == DataType::Utf8)
    }

    /// Puts the groups of the rows of these numbers in `groups`.
    pub(super) fn intern(
        &mut self,
        texts: &ArrayRef,
        rows: impl ExactSizeIterator<Item = usize>,
        groups: &mut Vec<usize>,
    ) {
        let texts = texts.as_string::<i32>();
        groups.clear();
        let (offsets, bytes) = (texts.value_offsets(), texts.value_data());
        let text = |row: usize| &bytes[offsets[row] as usize..offsets[row + 1] as usize];
        match texts.nulls().filter(|nulls| nulls.null_count() > 0) {
            None => groups.extend(rows.map(|row| self.group(text(row)))),
            Some(nulls) => groups
                .extend(rows.map(|row| if nulls.is_valid(row) { self.group(text(row)) } else { self.null_group() })),
        }
    }

    #[inline]
    fn group(&mut self, text: &[u8]) -> usize {
        let outline = Outline::of(text);
        let mask = self.slots.len() - 1;
        let mut place = self.hasher.hash(outline, || text) & mask;
        loop {
            let slot = &self.slots[place];
            if slot.outline == outline
                && slot.group != Slot::FREE.group
                && (outline.is_whole() || text_of(&self.bytes, &self.ends, slot.group) == text)
            {
                return slot.group;
            }
            if slot.group == Slot::FREE.group {
                return self.new_group(text, outline, place);
            }
            place = (place + 1) & mask;
        }
    }

    #[cold]
    fn new_group(&mut self, text: &[u8], outline: Outline, place: usize) -> usize {
        let group = self.add(text);
        self.slots[place] = Slot { outline, group };
        if self.ends.len() > self.slots.len() / 2 {
            self.grow();
        }
        group
    }

    fn grow(&mut self) {
        let slots = self.slots.len() * 4;
        let old = std::mem::replace(&mut self.slots, vec![Slot::FREE; slots]);
        for slot in old.into_iter().filter(|slot| slot.group != Slot::FREE.group) {
            let text = || text_of(&self.bytes, &self.ends, slot.group);
            let mut place = self.hasher.hash(slot.outline, text) & (slots - 1);
            while self.slots[place].group != Slot::FREE.group {
                place = (place + 1) & (slots - 1);
            }
            self.slots[place] = slot;
        }
    }

    fn null_group(&mut self) -> usize {
        if let Some(number) = self.null {
            return number;
        }
        let number = self.add(&[]);
        self.null = Some(number);
        number
    }

    fn add(&mut self, text: &[u8]) -> usize {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len());
        self.ends.len() - 1
    }

    /// How many groups there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The texts, by group; empties it.
    ///
    /// # Errors
    /// If they are over two gigabytes: more than a column may hold.
    pub(super) fn emit(&mut self) -> Result<ArrayRef> {
        let groups = std::mem::take(self);
        if i32::try_from(groups.bytes.len()).is_err() {
            let error = Error::user("the keys of one window take over 2 GiB");
            let error = error.hint("group by shorter texts, or by fewer of them");
            return Err(DataFusionError::External(Box::new(error)));
        }
        let offsets = OffsetBuffer::<i32>::from_lengths(lengths(&groups.ends));
        let count = groups.ends.len();
        let nulls = groups.null.map(|null| (0..count).map(|group| group != null).collect::<NullBuffer>());
        Ok(Arc::new(StringArray::try_new(offsets, Buffer::from_vec(groups.bytes), nulls)?))
    }

    /// Memory that it holds, in bytes.
    pub(super) fn size(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>() + self.bytes.capacity() + self.ends.capacity() * size_of::<usize>()
    }
}

#[inline]
fn text_of<'b>(bytes: &'b [u8], ends: &[usize], group: usize) -> &'b [u8] {
    let start = group.checked_sub(1).map_or(0, |before| ends[before]);
    &bytes[start..ends[group]]
}

fn lengths(ends: &[usize]) -> impl ExactSizeIterator<Item = usize> + '_ {
    (0..ends.len()).map(|group| ends[group] - group.checked_sub(1).map_or(0, |before| ends[before]))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use arrow::datatypes::Field;

    use super::*;

    fn texts(texts: &[Option<&str>]) -> ArrayRef {
        Arc::new(StringArray::from(texts.to_vec()))
    }

    #[test]
    fn groups_are_numbered_as_they_appear_and_null_is_one_of_them() {
        let mut groups = TextGroups::default();
        let mut numbers = vec![7];
        let column = texts(&[Some("b"), Some("skipped"), None, Some(""), Some("b"), None, Some("a")]);
        groups.intern(&column, [0, 2, 3, 4, 5, 6].into_iter(), &mut numbers);
        assert_eq!((numbers.as_slice(), groups.len()), (&[0, 1, 2, 0, 1, 3][..], 4));
        groups.intern(&texts(&[Some("a"), None, Some("c")]), 0..3, &mut numbers);
        assert_eq!(numbers, [3, 1, 4]);
        assert_eq!(&groups.emit().unwrap(), &texts(&[Some("b"), None, Some(""), Some("a"), Some("c")]));
        assert_eq!((groups.len(), groups.size()), (0, TextGroups::default().size()), "emitting empties it");
        groups.intern(&texts(&[Some("z")]), 0..1, &mut numbers);
        assert_eq!(&groups.emit().unwrap(), &texts(&[Some("z")]), "without NULL there is none");
    }

    #[test]
    fn as_a_map_would_number_them() {
        let all: Vec<String> = (0..5_000)
            .map(|i| format!("{}{}", if i % 3 == 0 { "a longer name of stream " } else { "stream " }, i * i % 1_237))
            .collect();
        let mut map: HashMap<&str, usize> = HashMap::new();
        let mut groups = TextGroups::default();
        for part in all.chunks(321) {
            let column: ArrayRef = Arc::new(StringArray::from_iter_values(part));
            let mut numbers = Vec::new();
            groups.intern(&column.slice(1, part.len() - 1), 0..part.len() - 1, &mut numbers);
            for (text, number) in part[1..].iter().zip(numbers) {
                let next = map.len();
                assert_eq!(*map.entry(text).or_insert(next), number, "{text}");
            }
        }
        assert!(groups.size() > map.len() * 8);
        assert_eq!(groups.len(), map.len());
    }

    #[test]
    fn one_key_that_is_a_text() {
        let schema = |types: &[DataType]| {
            Schema::new(types.iter().map(|t| Field::new("k", t.clone(), true)).collect::<Vec<_>>())
        };
        assert!(TextGroups::suit(&schema(&[DataType::Utf8])));
        for types in [&[][..], &[DataType::Utf8, DataType::Utf8], &[DataType::Int64], &[DataType::LargeUtf8]] {
            assert!(!TextGroups::suit(&schema(types)), "{types:?}");
        }
    }
}
