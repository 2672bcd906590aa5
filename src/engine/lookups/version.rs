//! One version of a lookup table: its rows and the indexes that queries ask for.

use std::sync::Arc;

use arrow::array::RecordBatch;

use crate::error::{Error, Result};
use crate::limits::LOOKUP_BYTES_MAX;
use crate::operator::lookup_join::{LookupIndex, LookupUse};
use crate::operator::memory::{StateMemory, StateReservation};
use crate::pipeline::LookupTable;
use crate::sink::lake::LookupStore;

/// Rows that do not change any more.
#[derive(Debug)]
pub struct LookupVersion {
    /// Which version: a hash of the content.
    pub hash: String,
    /// The rows.
    pub rows: RecordBatch,
    /// By key.
    indexes: Vec<(LookupUse, Arc<LookupIndex>)>,
    /// What it takes of the job's memory, as long as somebody joins it.
    _memory: StateReservation,
}

impl LookupVersion {
    /// Indexes `rows`, whose columns are the table's, by every key in `uses`. `place` says where a row stands.
    ///
    /// # Errors
    /// User, if a key is there twice, or the version is larger than [`LOOKUP_BYTES_MAX`]; external, if `memory` has no room for it.
    pub fn try_new(
        table: &LookupTable,
        rows: RecordBatch,
        uses: &[LookupUse],
        place: &dyn Fn(usize) -> String,
        memory: &StateMemory,
    ) -> Result<Self> {
        let mut indexes = Vec::new();
        let mut bytes = rows.get_array_memory_size();
        for wanted in uses {
            let index = LookupIndex::try_new(rows.clone(), &wanted.key, place)?;
            bytes += index.index_bytes();
            indexes.push((wanted.clone(), Arc::new(index)));
        }
        if bytes > LOOKUP_BYTES_MAX {
            let mib = 1024 * 1024;
            return Err(Error::user(format!(
                "the lookup table {} takes {} MiB in memory with its index, more than {}",
                table.name,
                bytes / mib,
                LOOKUP_BYTES_MAX / mib
            ))
            .at(&table.place)
            .hint(format!(
                "declare the columns that queries need in [lookup.{}.columns], and leave out keys that do not occur",
                table.name
            )));
        }
        let mut taken = memory.reserve(format!("the lookup table {}", table.name));
        taken.hold(bytes)?;
        Ok(Self { hash: LookupStore::hash(&rows)?, rows, indexes, _memory: taken })
    }

    /// The index that a join asks for.
    pub(super) fn index(&self, wanted: &LookupUse) -> Option<Arc<LookupIndex>> {
        self.indexes.iter().find(|(known, _)| known == wanted).map(|(_, index)| Arc::clone(index))
    }
}
