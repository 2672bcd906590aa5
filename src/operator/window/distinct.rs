//! `COUNT(DISTINCT …)` of texts, of several columns, and of what else is not a whole number: all groups of a pane in one table.
//!
//! DataFusion counts distinct values with a set for each group, kilobytes each; a pane has thousands of groups that mostly hold few
//! values. Here a group and 96 bits of the hash of a row's values are one entry of a set. (For whole numbers DataFusion has such a table
//! too.)

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, FixedSizeBinaryArray, Int64Array, ListArray, UInt32Array};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer};
use arrow::compute::{cast, take_arrays};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::row::{RowConverter, Rows, SortField};
use datafusion::common::{DataFusionError, Result, internal_err};
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;

use super::accumulators::RowsAccumulator;
use super::inputs::RowGroups;
use super::seen_rows::{Entry, HASH_BYTES, SeenRows};
use crate::error::Error;

/// Rows that are hashed at a time.
const HASHED_MAX: usize = 256;

/// Distinct rows by group; a row with any NULL does not count. State: one column, for each group the list of its rows' hashes (12
/// bytes each).
#[derive(Debug)]
pub(super) struct DistinctRows {
    /// How many columns a row has; what an order adds to them is not looked at.
    columns: usize,
    seen: SeenRows,
    /// By group: how many of its rows there are.
    counts: Vec<i64>,
    /// Makes bytes of a row; there from the first batch on, unless rows are texts.
    bytes: Option<(RowConverter, Rows)>,
}

impl DistinctRows {
    /// Whether this is an aggregate that is counted here.
    pub(super) fn counts(aggregate: &AggregateFunctionExpr) -> bool {
        aggregate.is_distinct() && super::tally::is_count(aggregate.fun()) && !aggregate.groups_accumulator_supported()
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
        Self { columns, seen: SeenRows::default(), counts: Vec::new(), bytes: None }
    }

    /// Adds those of some rows that count, by the bytes that stand for each.
    fn add_rows<'b>(
        &mut self,
        rows: &[u32],
        groups: &[usize],
        nulls: Option<&NullBuffer>,
        bytes: impl Fn(usize) -> &'b [u8],
    ) {
        // Some are hashed before they are looked for: lookups that do not wait for hashes wait for memory together.
        let mut hashed = [Entry::NONE; HASHED_MAX];
        for (rows, groups) in rows.chunks(HASHED_MAX).zip(groups.chunks(HASHED_MAX)) {
            for ((row, group), hashed) in rows.iter().zip(groups).zip(&mut hashed) {
                let counts = nulls.is_none_or(|nulls| nulls.is_valid(*row as usize));
                *hashed = if counts { Entry::of(*group as u32, bytes(*row as usize)) } else { Entry::NONE };
            }
            let hashed = hashed.iter().take(rows.len()).filter(|entry| **entry != Entry::NONE);
            hashed.for_each(|entry| self.add(*entry));
        }
    }

    #[inline]
    fn add(&mut self, entry: Entry) {
        self.counts[entry.group()] += i64::from(self.seen.add(entry));
    }

    fn announce(&mut self, groups: usize) -> Result<()> {
        if groups >= u32::MAX as usize {
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

impl RowsAccumulator for DistinctRows {
    fn update(&mut self, columns: &[ArrayRef], rows: &RowGroups, groups_total: usize) -> Result<()> {
        let Some(columns) = columns.get(..self.columns) else {
            return internal_err!("COUNT(DISTINCT) of {} columns was given {}", self.columns, columns.len());
        };
        self.announce(groups_total)?;
        let nulls = columns.iter().fold(None, |nulls, c| NullBuffer::union(nulls.as_ref(), c.logical_nulls().as_ref()));
        let nulls = nulls.filter(|nulls| nulls.null_count() > 0);
        if let [texts] = columns
            && is_text(texts.data_type())
        {
            // A dictionary of texts counts as its texts.
            let texts = cast(texts, &DataType::Utf8)?;
            let texts = texts.as_string::<i32>();
            let (offsets, bytes) = (texts.value_offsets(), texts.value_data());
            let text = |row: usize| &bytes[offsets[row] as usize..offsets[row + 1] as usize];
            self.add_rows(&rows.rows, &rows.groups, nulls.as_ref(), text);
            return Ok(());
        }
        let (converter, mut bytes) = match self.bytes.take() {
            Some(known) => known,
            None => {
                let fields = columns.iter().map(|c| SortField::new(c.data_type().clone())).collect();
                let converter = RowConverter::new(fields)?;
                let rows = converter.empty_rows(rows.rows.len(), 0);
                (converter, rows)
            }
        };
        bytes.clear();
        let nulls = nulls.as_ref();
        if columns.first().is_some_and(|column| column.len() == rows.rows.len()) {
            converter.append(&mut bytes, columns)?;
            self.add_rows(&rows.rows, &rows.groups, nulls, |row| bytes.row(row).data());
        } else {
            let numbers = UInt32Array::from(rows.rows.clone());
            converter.append(&mut bytes, &take_arrays(columns, &numbers, None)?)?;
            let nulls = nulls.map(|nulls| rows.rows.iter().map(|row| nulls.is_valid(*row as usize)).collect());
            let places: Vec<u32> = (0..).take(rows.rows.len()).collect();
            self.add_rows(&places, &rows.groups, nulls.as_ref(), |i| bytes.row(i).data());
        }
        self.bytes = Some((converter, bytes));
        Ok(())
    }

    fn merge(&mut self, states: &[ArrayRef], groups: &[usize], groups_total: usize) -> Result<()> {
        let [lists] = states else { return internal_err!("COUNT(DISTINCT) has {} state columns", states.len()) };
        let lists = lists.as_list::<i32>();
        let hashes = lists.values().as_fixed_size_binary();
        if hashes.value_length() != HASH_BYTES as i32 {
            return internal_err!("hashes of {} bytes", hashes.value_length());
        }
        let (hashes, _) = hashes.value_data().as_chunks::<HASH_BYTES>();
        self.announce(groups_total)?;
        // What shards have is mostly not the same; and rows that come in the order of another set need the room: they would crowd together.
        self.seen.reserve(hashes.len());
        for (ends, &group) in lists.value_offsets().windows(2).zip(groups) {
            let hashes = &hashes[ends[0] as usize..ends[1] as usize];
            hashes.iter().for_each(|hash| self.add(Entry::with_hash(group as u32, *hash)));
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ArrayRef> {
        self.seen = SeenRows::default();
        Ok(Arc::new(Int64Array::from(std::mem::take(&mut self.counts))))
    }

    fn state(&mut self) -> Result<Vec<ArrayRef>> {
        let (seen, counts) = (std::mem::take(&mut self.seen), std::mem::take(&mut self.counts));
        let offsets = OffsetBuffer::<i32>::from_lengths(counts.iter().map(|n| *n as usize));
        let mut next = offsets.to_vec();
        let mut bytes = vec![0_u8; seen.len() * HASH_BYTES];
        let (hashes, _) = bytes.as_chunks_mut::<HASH_BYTES>();
        for entry in seen.rows() {
            let next = &mut next[entry.group()];
            hashes[*next as usize] = entry.hash();
            *next += 1;
        }
        let hashes = FixedSizeBinaryArray::try_new(HASH_BYTES as i32, Buffer::from_vec(bytes), None)?;
        let item = Arc::new(Field::new_list_field(DataType::FixedSizeBinary(HASH_BYTES as i32), false));
        Ok(vec![Arc::new(ListArray::try_new(item, offsets, Arc::new(hashes), None)?)])
    }

    fn held(&self) -> usize {
        self.seen.len()
    }

    fn held_in(&self, states: &[ArrayRef]) -> usize {
        states.first().and_then(|lists| lists.as_list_opt::<i32>()).map_or(0, |lists| lists.values().len())
    }

    fn expect(&mut self, values: usize) {
        self.seen.reserve(values);
    }

    fn bytes(&self) -> usize {
        let bytes = self.bytes.as_ref().map_or(0, |(converter, rows)| converter.size() + rows.size());
        self.seen.bytes() + self.counts.capacity() * size_of::<i64>() + bytes
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

    /// The rows of a batch, in these groups.
    fn all(groups: &[usize]) -> RowGroups {
        RowGroups { rows: (0..groups.len() as u32).collect(), groups: groups.to_vec() }
    }

    fn counts(acc: &mut DistinctRows) -> Vec<i64> {
        acc.evaluate().unwrap().as_primitive::<Int64Type>().values().to_vec()
    }

    #[test]
    fn nulls_and_other_rows_do_not_count_and_groups_are_apart() {
        let mut acc = DistinctRows::new(1);
        let values = texts(&[Some("a"), Some("a"), None, Some("b"), Some("a"), Some("c"), Some("d")]);
        let rows = RowGroups { rows: vec![0, 1, 2, 4, 6], groups: vec![0, 0, 0, 1, 1] };
        acc.update(&values, &rows, 3).unwrap();
        assert_eq!(counts(&mut acc), [1, 2, 0]);
        assert!(counts(&mut acc).is_empty(), "emitting empties it");
    }

    #[test]
    fn a_dictionary_counts_as_its_texts() {
        let mut acc = DistinctRows::new(1);
        let dictionary: DictionaryArray<Int32Type> = vec!["a", "b", "a"].into_iter().collect();
        acc.update(&[Arc::new(dictionary)], &all(&[0, 0, 0]), 1).unwrap();
        acc.update(&texts(&[Some("b")]), &all(&[0]), 1).unwrap();
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
        acc.update(&rows, &all(&[0, 0, 0, 0, 0, 0]), 1).unwrap();
        let state = acc.state().unwrap();
        acc.update(&rows, &all(&[0, 0, 1, 1, 1, 1]), 2).unwrap();
        acc.merge(&state, &[1], 2).unwrap();
        assert_eq!(counts(&mut acc), [1, 3]);
        // Some of the rows only.
        acc.update(&rows, &RowGroups { rows: vec![1, 3, 5], groups: vec![1, 1, 0] }, 2).unwrap();
        assert_eq!(counts(&mut acc), [1, 1]);
    }

    #[test]
    fn merging_states_is_counting_all_at_once() {
        let rows: Vec<(usize, String)> = (0..500).map(|i| (i % 7, format!("text {}", i * i % 91))).collect();
        let update = |rows: &[(usize, String)]| {
            let mut acc = DistinctRows::new(1);
            let values = texts(&rows.iter().map(|(_, t)| Some(t.as_str())).collect::<Vec<_>>());
            let groups: Vec<usize> = rows.iter().map(|(g, _)| *g).collect();
            acc.update(&values, &all(&groups), 7).unwrap();
            acc
        };
        let mut merged = DistinctRows::new(1);
        for part in rows.chunks(33) {
            merged.merge(&update(part).state().unwrap(), &[0, 1, 2, 3, 4, 5, 6], 7).unwrap();
        }
        assert_eq!(counts(&mut merged), counts(&mut update(&rows)));
    }
}
