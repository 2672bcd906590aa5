//! Groups whose key is one text, as of a stream or a country: what most tables group by.
//!
//! DataFusion's table of texts wants the keys of a pane in one piece, and first hashes all of them. Here rows stay where they are in a
//! batch, as they do for the accumulators.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Schema};
use datafusion::common::{DataFusionError, Result};
use hashbrown::{DefaultHashBuilder, HashTable};

use super::outline::Outline;
use crate::error::Error;

/// Groups by their text, numbered from 0 in order of first appearance. NULL is a group as well.
#[derive(Debug, Default)]
pub(super) struct TextGroups {
    table: HashTable<Group>,
    hasher: DefaultHashBuilder,
    /// Their texts, one after the other, and where each of them ends.
    bytes: Vec<u8>,
    ends: Vec<usize>,
    /// The group of NULL.
    null: Option<usize>,
}

#[derive(Debug, Clone, Copy)]
struct Group {
    outline: Outline,
    number: usize,
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
        let (hasher, bytes, ends) = (&self.hasher, &self.bytes, &self.ends);
        let is_same = |group: &Group| {
            group.outline == outline && (outline.is_whole() || text_of(bytes, ends, group.number) == text)
        };
        let hash = hash_of(hasher, outline, || text);
        match self.table.find(hash, is_same) {
            Some(group) => group.number,
            None => self.new_group(text, outline, hash),
        }
    }

    #[cold]
    fn new_group(&mut self, text: &[u8], outline: Outline, hash: u64) -> usize {
        let number = self.add(text);
        let (hasher, bytes, ends) = (&self.hasher, &self.bytes, &self.ends);
        let hash_again = |group: &Group| hash_of(hasher, group.outline, || text_of(bytes, ends, group.number));
        self.table.insert_unique(hash, Group { outline, number }, hash_again);
        number
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
        self.table.allocation_size() + self.bytes.capacity() + self.ends.capacity() * size_of::<usize>()
    }
}

#[inline]
fn hash_of<'t>(hasher: &DefaultHashBuilder, outline: Outline, text: impl FnOnce() -> &'t [u8]) -> u64 {
    let mut hasher = hasher.build_hasher();
    if outline.is_whole() {
        hasher.write_u64(outline.head);
        hasher.write_u64(outline.tail);
    } else {
        hasher.write(text());
    }
    hasher.finish()
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
        assert_eq!((groups.len(), groups.size()), (0, 0), "emitting empties it");
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
