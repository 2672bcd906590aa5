//! What a verification found.

use crate::types::Micros;

/// What was found of a whole lake.
#[derive(Debug)]
pub struct Verified {
    /// Raw events that were read.
    pub events: u64,
    /// By table, in the order of the pipelines.
    pub tables: Vec<TableVerdict>,
}

/// What was found of one table.
#[derive(Debug, Default)]
pub struct TableVerdict {
    /// The table.
    pub table: String,
    /// Rows that are the same in both places.
    pub equal: u64,
    /// Rows that the raw events give and the lake does not have.
    pub missing: u64,
    /// Rows that the lake has and the raw events do not give.
    pub too_many: u64,
    /// Rows whose keys are in both places, with other values.
    pub different: u64,
    /// Rows that the raw events give of windows that the lake does not have to have yet: they are still to be written.
    pub to_come: u64,
    /// Rows of the lake that the raw events give otherwise or not, some of which may be in no file yet.
    pub too_new: u64,
    /// Windows that end by it are complete in the lake; none if nothing says so of any.
    pub complete: Option<Micros>,
    /// The first of what is missing, too many or different.
    pub differences: Vec<Difference>,
}

/// One row that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Its window and the header's keys, as `name=value`.
    pub key: String,
    /// What is wrong, as a sentence without its subject.
    pub what: String,
}

impl Verified {
    /// Rows that differ in any way.
    pub fn differences(&self) -> u64 {
        self.tables.iter().map(TableVerdict::wrong).sum()
    }
}

impl TableVerdict {
    /// Rows that differ in any way.
    pub fn wrong(&self) -> u64 {
        self.missing + self.too_many + self.different
    }
}
