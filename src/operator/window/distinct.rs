//! `COUNT(DISTINCT …)` of texts, of several columns, and of what else is not a whole number: all groups of a pane in one table.
//!
//! DataFusion counts distinct values with a set for each group, kilobytes each; a pane has thousands of groups that mostly hold few
//! values. Here a group and 96 bits of the hash of a row's values are one entry of 16 bytes. With a billion rows the chance that any two
//! share a hash is below 10⁻¹¹. (For whole numbers DataFusion has such a table too.)

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, FixedSizeBinaryArray, Int64Array, ListArray};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::row::{RowConverter, Rows, SortField};
use datafusion::common::{DataFusionError, Result, internal_datafusion_err, internal_err, not_impl_err};
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_128;

use crate::error::Error;

const HASH_BYTES: usize = 12;

/// A row of a group. Sixteen bytes: the table is what a pane's memory goes to, and what its time goes to once it outgrows a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    group: u32,
    hash: [u8; HASH_BYTES],
}

impl Entry {
    fn of(group: u32, bytes: &[u8]) -> Self {
        let [hash @ .., _, _, _, _] = xxh3_128(bytes).to_le_bytes();
        Self { group, hash }
    }

    /// Where it stands: rows are hashed already, groups count up from 0.
    fn place(&self) -> u64 {
        let [first @ .., _, _, _, _] = self.hash;
        u64::from_le_bytes(first) ^ u64::from(self.group).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

/// Distinct rows by group; a row with any NULL does not count. State: one column, for each group the list of its rows' hashes (12
/// bytes each).
#[derive(Debug)]
pub(super) struct DistinctRows {
    /// How many columns a row has; what an order adds to them is not looked at.
    columns: usize,
    seen: HashTable<Entry>,
    /// The rows of a batch, before they are looked for: lookups that do not wait for hashes wait for memory together.
    batch: Vec<Entry>,
    /// By group: how many of its rows are in the table.
    counts: Vec<i64>,
    /// Makes bytes of a row; there from the first batch on, unless rows are texts.
    bytes: Option<(RowConverter, Rows)>,
}

impl DistinctRows {
    /// Whether this is an aggregate that is counted here.
    pub(super) fn counts(aggregate: &AggregateFunctionExpr) -> bool {
        aggregate.is_distinct() && aggregate.fun().name() == "count" && !aggregate.groups_accumulator_supported()
    }

    /// Whether the columns have types that can be told apart.
    pub(super) fn check(aggregate: &AggregateFunctionExpr, input: &Schema) -> Result<()> {
        for column in aggregate.expressions() {
            let data_type = column.data_type(input)?;
            if !RowConverter::supports_fields(&[SortField::new(data_type.clone())]) {
                let error = Error::user(format!("COUNT(DISTINCT …) cannot tell values of the type {data_type} apart"));
                return Err(DataFusionError::External(Box::new(error.hint("CAST it to a text or a number"))));
            }
        }
        Ok(())
    }

    pub(super) fn new(columns: usize) -> Self {
        Self { columns, seen: HashTable::new(), batch: Vec::new(), counts: Vec::new(), bytes: None }
    }

    /// Adds the rows that count, by the bytes that stand for each.
    fn add_rows<'b>(
        &mut self,
        groups: &[usize],
        counts: Option<&BooleanBuffer>,
        bytes: impl Fn(usize) -> &'b [u8],
    ) -> Result<()> {
        let entry = |(row, &group): (usize, &usize)| Entry::of(group as u32, bytes(row));
        self.batch.clear();
        match counts {
            None => self.batch.extend(groups.iter().enumerate().map(entry)),
            Some(counts) => self.batch.extend(counts.set_indices().map(|row| entry((row, &groups[row])))),
        }
        let batch = std::mem::take(&mut self.batch);
        let added = batch.iter().try_for_each(|entry| self.add(*entry));
        self.batch = batch;
        added
    }

    fn add(&mut self, entry: Entry) -> Result<()> {
        use hashbrown::hash_table::Entry as Place;
        let Some(count) = self.counts.get_mut(entry.group as usize) else {
            return internal_err!("group {} was not announced", entry.group);
        };
        if let Place::Vacant(free) = self.seen.entry(entry.place(), |e| *e == entry, Entry::place) {
            free.insert(entry);
            *count += 1;
        }
        Ok(())
    }

    fn announce(&mut self, groups: usize) -> Result<()> {
        if u32::try_from(groups).is_err() {
            return internal_err!("{groups} groups in one pane");
        }
        self.counts.resize(groups, 0);
        Ok(())
    }
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

impl GroupsAccumulator for DistinctRows {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        groups_total: usize,
    ) -> Result<()> {
        let Some(values) = values.get(..self.columns) else {
            return internal_err!("COUNT(DISTINCT) of {} columns was given {}", self.columns, values.len());
        };
        self.announce(groups_total)?;
        let nulls = values.iter().fold(None, |nulls, c| NullBuffer::union(nulls.as_ref(), c.logical_nulls().as_ref()));
        let nulls = NullBuffer::union(nulls.as_ref(), filter.and_then(Array::nulls));
        let counts = match (filter, nulls) {
            (Some(filter), Some(nulls)) => Some(filter.values() & nulls.inner()),
            (Some(filter), None) => Some(filter.values().clone()),
            (None, nulls) => nulls.map(NullBuffer::into_inner),
        };
        let counts = counts.as_ref();
        if let [texts] = values
            && is_text(texts.data_type())
        {
            // A dictionary of texts counts as its texts.
            let texts = cast(texts, &DataType::Utf8)?;
            let texts = texts.as_string::<i32>();
            return self.add_rows(groups, counts, |row| texts.value(row).as_bytes());
        }
        let (converter, mut rows) = match self.bytes.take() {
            Some(known) => known,
            None => {
                let fields = values.iter().map(|c| SortField::new(c.data_type().clone())).collect();
                let converter = RowConverter::new(fields)?;
                let rows = converter.empty_rows(groups.len(), 0);
                (converter, rows)
            }
        };
        rows.clear();
        converter.append(&mut rows, values)?;
        self.add_rows(groups, counts, |row| rows.row(row).data())?;
        self.bytes = Some((converter, rows));
        Ok(())
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], groups_total: usize) -> Result<()> {
        let [lists] = values else { return internal_err!("COUNT(DISTINCT) has {} state columns", values.len()) };
        let lists = lists.as_list::<i32>();
        let hashes = lists.values().as_fixed_size_binary();
        self.announce(groups_total)?;
        for (row, &group) in groups.iter().enumerate() {
            let (from, to) = (lists.value_offsets()[row], lists.value_offsets()[row + 1]);
            for i in from..to {
                let bytes = <[u8; HASH_BYTES]>::try_from(hashes.value(i as usize));
                let hash = bytes.map_err(|_| internal_datafusion_err!("a hash of another length"))?;
                self.add(Entry { group: group as u32, hash })?;
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        if !matches!(emit_to, EmitTo::All) {
            return not_impl_err!("a pane emits all of its groups");
        }
        self.seen.clear();
        Ok(Arc::new(Int64Array::from(std::mem::take(&mut self.counts))))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        if !matches!(emit_to, EmitTo::All) {
            return not_impl_err!("a pane emits all of its groups");
        }
        let (seen, counts) = (std::mem::take(&mut self.seen), std::mem::take(&mut self.counts));
        let offsets = OffsetBuffer::<i32>::from_lengths(counts.iter().map(|n| *n as usize));
        let mut next: Vec<usize> = offsets.iter().map(|o| *o as usize).collect();
        let mut bytes = vec![0_u8; seen.len() * HASH_BYTES];
        for Entry { group, hash } in seen {
            let at = next[group as usize] * HASH_BYTES;
            next[group as usize] += 1;
            bytes[at..at + HASH_BYTES].copy_from_slice(&hash);
        }
        let hashes = FixedSizeBinaryArray::try_new(HASH_BYTES as i32, Buffer::from_vec(bytes), None)?;
        let item = Arc::new(Field::new_list_field(DataType::FixedSizeBinary(HASH_BYTES as i32), false));
        Ok(vec![Arc::new(ListArray::try_new(item, offsets, Arc::new(hashes), None)?)])
    }

    fn convert_to_state(&self, _: &[ArrayRef], _: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        not_impl_err!("a pane keeps its state itself")
    }

    fn size(&self) -> usize {
        let bytes = self.bytes.as_ref().map_or(0, |(converter, rows)| converter.size() + rows.size());
        let batch = self.batch.capacity() * size_of::<Entry>();
        self.seen.allocation_size() + batch + self.counts.capacity() * size_of::<i64>() + bytes
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{DictionaryArray, Float64Array, StringArray};
    use arrow::datatypes::{Int32Type, Int64Type};

    use super::*;

    fn texts(texts: &[Option<&str>]) -> [ArrayRef; 1] {
        [Arc::new(StringArray::from(texts.to_vec()))]
    }

    fn counts(acc: &mut DistinctRows) -> Vec<i64> {
        acc.evaluate(EmitTo::All).unwrap().as_primitive::<Int64Type>().values().to_vec()
    }

    #[test]
    fn nulls_and_filtered_rows_do_not_count_and_groups_are_apart() {
        let mut acc = DistinctRows::new(1);
        let values = texts(&[Some("a"), Some("a"), None, Some("b"), Some("a"), Some("c"), Some("d")]);
        let filter =
            BooleanArray::from(vec![Some(true), Some(true), Some(true), None, Some(true), Some(false), Some(true)]);
        acc.update_batch(&values, &[0, 0, 0, 0, 1, 1, 1], Some(&filter), 3).unwrap();
        assert_eq!(counts(&mut acc), [1, 2, 0]);
        assert!(counts(&mut acc).is_empty(), "emitting empties it");
    }

    #[test]
    fn a_dictionary_counts_as_its_texts() {
        let mut acc = DistinctRows::new(1);
        let dictionary: DictionaryArray<Int32Type> = vec!["a", "b", "a"].into_iter().collect();
        acc.update_batch(&[Arc::new(dictionary)], &[0, 0, 0], None, 1).unwrap();
        acc.update_batch(&texts(&[Some("b")]), &[0], None, 1).unwrap();
        assert_eq!(counts(&mut acc), [2]);
    }

    #[test]
    fn rows_of_several_columns_count_once_and_not_with_a_null() {
        let mut acc = DistinctRows::new(3);
        let rows: [ArrayRef; 3] = [
            Arc::new(StringArray::from(vec![Some("a"), Some("a"), Some("ab"), Some("a"), None, Some("a")])),
            Arc::new(StringArray::from(vec![Some("bc"), Some("bc"), Some("c"), None, Some("bc"), Some("bc")])),
            Arc::new(Float64Array::from(vec![Some(1.5), Some(1.5), Some(1.5), Some(1.5), Some(1.5), Some(-1.5)])),
        ];
        acc.update_batch(&rows, &[0, 0, 0, 0, 0, 0], None, 1).unwrap();
        let state = acc.state(EmitTo::All).unwrap();
        acc.update_batch(&rows, &[0, 0, 1, 1, 1, 1], None, 2).unwrap();
        acc.merge_batch(&state, &[1], 2).unwrap();
        assert_eq!(counts(&mut acc), [1, 3]);
    }

    #[test]
    fn merging_states_is_counting_all_at_once() {
        let rows: Vec<(usize, String)> = (0..500).map(|i| (i % 7, format!("text {}", i * i % 91))).collect();
        let update = |rows: &[(usize, String)]| {
            let mut acc = DistinctRows::new(1);
            let values = texts(&rows.iter().map(|(_, t)| Some(t.as_str())).collect::<Vec<_>>());
            let groups: Vec<usize> = rows.iter().map(|(g, _)| *g).collect();
            acc.update_batch(&values, &groups, None, 7).unwrap();
            acc
        };
        let mut merged = DistinctRows::new(1);
        for part in rows.chunks(33) {
            merged.merge_batch(&update(part).state(EmitTo::All).unwrap(), &[0, 1, 2, 3, 4, 5, 6], 7).unwrap();
        }
        assert_eq!(counts(&mut merged), counts(&mut update(&rows)));
    }
}
