//! Where the version of a lookup table is put that the next run of a plan reads.

use std::sync::{Arc, Mutex, PoisonError};

use super::index::LookupIndex;

/// Which index a join asks for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LookupUse {
    /// The table.
    pub table: Arc<str>,
    /// Positions of the key's columns in the table.
    pub key: Vec<usize>,
}

/// A join's hold on one version of its table.
///
/// It is outside the plan, as a batch's slot is: a plan reads the version that was put in last until another is put in.
#[derive(Debug, Clone, Default)]
pub struct LookupSlot(Arc<Mutex<Option<Arc<LookupIndex>>>>);

impl LookupSlot {
    /// Replaces the version that the next run reads.
    pub fn put(&self, index: Arc<LookupIndex>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(index);
    }

    pub(super) fn get(&self) -> Option<Arc<LookupIndex>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
