//! The lookup tables that queries join, each with the version in use.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use arrow::array::RecordBatch;

use super::loaded::LoadedLookup;
use super::version::LookupVersion;
use crate::error::{Error, Result};
use crate::operator::lookup_join::{LookupIndex, LookupUse};
use crate::operator::memory::StateMemory;
use crate::pipeline::{ContinuousPlan, LookupTable};
use crate::source::lookup::{FileStamps, LookupSource};

/// A lookup table that a query joins.
#[derive(Debug)]
pub struct JoinedTable {
    /// The table as queries see it.
    pub table: Arc<LookupTable>,
    pub(super) source: Arc<LookupSource>,
    /// What the version of the start was read from.
    pub(super) stamps: FileStamps,
    /// Every key that a query joins on.
    uses: Vec<LookupUse>,
    /// The job's, of which every version takes its part.
    memory: StateMemory,
    current: RwLock<Arc<LookupVersion>>,
}

impl JoinedTable {
    /// The version in use.
    pub fn current(&self) -> Arc<LookupVersion> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// A version of this table.
    ///
    /// # Errors
    /// As [`LookupVersion::try_new`].
    pub fn version(&self, rows: RecordBatch, place: &dyn Fn(usize) -> String) -> Result<LookupVersion> {
        LookupVersion::try_new(&self.table, rows, &self.uses, place, &self.memory)
    }

    /// Puts another version into use: each shard takes it up at its next read, complete windows with the next that are complete.
    pub fn replace(&self, version: LookupVersion) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(version);
    }
}

/// The lookup tables of a job, in the order of the configuration; those that no query joins are not kept.
#[derive(Debug, Clone, Default)]
pub struct Lookups {
    tables: Vec<Arc<JoinedTable>>,
}

impl Lookups {
    /// Those of `loaded` that `plans` join, indexed by the keys that they ask for, in the job's `memory`.
    ///
    /// # Errors
    /// As [`LookupVersion::try_new`], of every table.
    pub fn of(loaded: &[LoadedLookup], plans: &[ContinuousPlan], memory: &StateMemory) -> Result<Self, Vec<Error>> {
        let mut uses: Vec<LookupUse> = Vec::new();
        for plan in plans {
            uses.extend(plan.lookup_uses().map_err(|e| vec![e])?);
        }
        uses.sort();
        uses.dedup();
        let (mut tables, mut problems) = (Vec::new(), Vec::new());
        for LoadedLookup { table, content, source } in loaded {
            let uses: Vec<LookupUse> = uses.iter().filter(|wanted| wanted.table == table.name).cloned().collect();
            if uses.is_empty() {
                continue;
            }
            match LookupVersion::try_new(table, content.rows.clone(), &uses, &|row| content.place(row), memory) {
                Ok(version) => tables.push(Arc::new(JoinedTable {
                    table: Arc::clone(table),
                    source: Arc::clone(source),
                    stamps: content.stamps.clone(),
                    uses,
                    memory: memory.clone(),
                    current: RwLock::new(Arc::new(version)),
                })),
                Err(e) => problems.push(e),
            }
        }
        if problems.is_empty() { Ok(Self { tables }) } else { Err(problems) }
    }

    /// The tables.
    pub fn tables(&self) -> &[Arc<JoinedTable>] {
        &self.tables
    }

    /// One of them.
    pub fn table(&self, name: &str) -> Option<&Arc<JoinedTable>> {
        self.tables.iter().find(|t| t.table.name.as_ref() == name)
    }

    /// By table: the version in use, by its hash.
    pub fn versions(&self) -> BTreeMap<String, String> {
        self.tables.iter().map(|t| (t.table.name.to_string(), t.current().hash.clone())).collect()
    }

    /// The version in use, as the index that a join asks for.
    ///
    /// # Errors
    /// Internal, if no query asked for it when the job was set up.
    pub fn index(&self, wanted: &LookupUse) -> Result<Arc<LookupIndex>> {
        let table = self.table(&wanted.table);
        table
            .and_then(|t| t.current().index(wanted))
            .ok_or_else(|| Error::internal(format!("the lookup table {} is not there", wanted.table)))
    }
}
