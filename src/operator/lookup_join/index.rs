//! One version of a lookup table, found by key.

use std::fmt;

use ahash::RandomState;
use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow::row::{RowConverter, Rows, SortField};
use arrow::util::display::array_value_to_string;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::error::{Error, Result};

/// The rows of a lookup table by the values of some of their columns. A row with a NULL in its key is never found.
pub struct LookupIndex {
    rows: RecordBatch,
    converter: RowConverter,
    keys: Rows,
    /// Row numbers, by the hash of their key.
    table: HashTable<u32>,
    hasher: RandomState,
}

impl LookupIndex {
    /// Indexes `rows` by the columns at `key`. `place` says where a row stands, for messages.
    ///
    /// # Errors
    /// User, if two rows have one key, at the place of the second; internal, if `key` is not of these rows.
    pub fn try_new(rows: RecordBatch, key: &[usize], place: &dyn Fn(usize) -> String) -> Result<Self> {
        let count = u32::try_from(rows.num_rows()).map_err(|_| Error::user("a lookup table of over 4 billion rows"))?;
        let columns = key.iter().map(|&i| rows.columns().get(i).cloned()).collect::<Option<Vec<ArrayRef>>>();
        let columns = columns.ok_or_else(|| Error::internal("a lookup table's key is not among its columns"))?;
        let fields = columns.iter().map(|c| SortField::new(c.data_type().clone())).collect();
        let converter = RowConverter::new(fields)?;
        let keys = converter.convert_columns(&columns)?;
        let mut index = Self {
            table: HashTable::with_capacity(rows.num_rows()),
            // A fixed seed: two runs must not differ in anything that could be seen.
            hasher: RandomState::with_seeds(1, 2, 3, 4),
            converter,
            keys,
            rows,
        };
        for row in (0..count).filter(|&row| columns.iter().all(|c| c.is_valid(row as usize))) {
            if let Some(first) = index.insert(row) {
                return Err(index.twice(key, first, row, place));
            }
        }
        Ok(index)
    }

    /// Adds a row; the one that has its key already, if there is one.
    fn insert(&mut self, row: u32) -> Option<u32> {
        let (keys, hasher) = (&self.keys, &self.hasher);
        let key = |row: u32| keys.row(row as usize);
        let hash = |row: u32| hasher.hash_one(key(row).data());
        match self.table.entry(hash(row), |&other| key(other).data() == key(row).data(), |&other| hash(other)) {
            Entry::Occupied(known) => Some(*known.get()),
            Entry::Vacant(free) => {
                free.insert(row);
                None
            }
        }
    }

    fn twice(&self, key: &[usize], first: u32, second: u32, place: &dyn Fn(usize) -> String) -> Error {
        let schema = self.rows.schema_ref();
        let part = |&i: &usize| {
            let value = array_value_to_string(self.rows.column(i), second as usize).unwrap_or_default();
            format!("{} = {value}", schema.field(i).name())
        };
        let key: Vec<String> = key.iter().map(part).collect();
        Error::user(format!("the key {} is there twice, first at {}", key.join(", "), place(first as usize)))
            .at(place(second as usize))
            .hint("leave one row for each key that queries join on, or join on more columns")
    }

    /// The table's rows.
    pub fn rows(&self) -> &RecordBatch {
        &self.rows
    }

    /// For each row of `keys`, in the order of the key, the row of the table that has them; none where there is no such row or a key is
    /// NULL.
    ///
    /// # Errors
    /// If `keys` have other types than the table's.
    pub(super) fn find(&self, keys: &[ArrayRef]) -> Result<UInt32Array, arrow::error::ArrowError> {
        let asked = self.converter.convert_columns(keys)?;
        let find = |(i, key): (usize, arrow::row::Row<'_>)| {
            if keys.iter().any(|column| column.is_null(i)) {
                return None;
            }
            let hash = self.hasher.hash_one(key.data());
            self.table.find(hash, |&row| self.keys.row(row as usize).data() == key.data()).copied()
        };
        Ok(asked.iter().enumerate().map(find).collect())
    }

    /// Memory beside the rows, in bytes.
    pub fn index_bytes(&self) -> usize {
        self.keys.size() + self.table.allocation_size()
    }
}

impl fmt::Debug for LookupIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LookupIndex").field("rows", &self.rows.num_rows()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};

    use super::*;

    fn table(keys: &[Option<&str>], numbers: &[i64]) -> RecordBatch {
        let keys: ArrayRef = Arc::new(StringArray::from(keys.to_vec()));
        let numbers: ArrayRef = Arc::new(Int64Array::from(numbers.to_vec()));
        RecordBatch::try_from_iter([("channel_id", keys), ("n", numbers)]).unwrap()
    }

    fn place(row: usize) -> String {
        format!("t.csv: row {}", row + 1)
    }

    #[test]
    fn a_key_finds_its_row_and_null_finds_none() {
        let rows = table(&[Some("a"), None, Some("b"), None], &[1, 2, 3, 4]);
        let index = LookupIndex::try_new(rows, &[0], &place).unwrap();
        let asked: ArrayRef = Arc::new(StringArray::from(vec![Some("b"), None, Some("c"), Some("a")]));
        let found: Vec<_> = index.find(&[asked]).unwrap().iter().collect();
        assert_eq!(found, [Some(2), None, None, Some(0)]);
        let number: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        assert!(index.find(&[number]).is_err(), "another type is an error, not a miss");
    }

    #[test]
    fn a_key_of_two_columns_is_one_key() {
        let rows = table(&[Some("a"), Some("a")], &[1, 2]);
        let e = LookupIndex::try_new(rows.clone(), &[0], &place).unwrap_err();
        assert_eq!(e.message(), "the key channel_id = a is there twice, first at t.csv: row 1");
        assert_eq!((e.exit_code(), e.place()), (2, Some("t.csv: row 2")));
        let index = LookupIndex::try_new(rows, &[1, 0], &place).unwrap();
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![2, 3]));
        let keys: ArrayRef = Arc::new(StringArray::from(vec!["a", "a"]));
        assert_eq!(index.find(&[numbers, keys]).unwrap().iter().collect::<Vec<_>>(), [Some(1), None]);
        assert!(index.index_bytes() > 0);
    }
}
