//! How much memory the state of a job may take, and who takes it.
//!
//! All of a job's operators share DataFusion's memory pool: those of this crate, which keep open windows and presence, and DataFusion's own
//! above the windows. What does not fit is an error that names the greatest of them, before the system ends the process without a word.

use std::num::NonZeroUsize;
use std::sync::Arc;

use datafusion::common::Result;
use datafusion::execution::memory_pool::{
    GreedyMemoryPool, MemoryConsumer, MemoryPool, MemoryReservation, TrackConsumersPool,
};

/// How many consumers the error names.
const CONSUMERS_NAMED: usize = 5;

/// The memory of a job's state. Clones share it.
#[derive(Debug, Clone)]
pub struct StateMemory {
    pool: Arc<dyn MemoryPool>,
    bytes_max: usize,
}

/// What one part of the state takes of it; given back when dropped.
#[derive(Debug)]
pub struct StateReservation(MemoryReservation);

impl StateMemory {
    /// So many bytes.
    pub fn new(bytes_max: usize) -> Self {
        let named = NonZeroUsize::new(CONSUMERS_NAMED).unwrap_or(NonZeroUsize::MIN);
        Self { pool: Arc::new(TrackConsumersPool::new(GreedyMemoryPool::new(bytes_max), named)), bytes_max }
    }

    /// Nothing taken yet, by what is called `name` in errors.
    pub fn reserve(&self, name: impl Into<String>) -> StateReservation {
        StateReservation(MemoryConsumer::new(name).register(&self.pool))
    }

    /// What all parts take together, in bytes.
    pub fn bytes(&self) -> usize {
        self.pool.reserved()
    }

    /// What they may take, in bytes.
    pub fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// Whether there is little left: an eighth or less.
    pub fn is_nearly_full(&self) -> bool {
        self.bytes() >= self.bytes_max / 8 * 7
    }

    /// The pool, for DataFusion's own operators.
    pub fn pool(&self) -> Arc<dyn MemoryPool> {
        Arc::clone(&self.pool)
    }
}

impl StateReservation {
    /// It takes so many bytes now.
    ///
    /// # Errors
    /// The pool's, which is an external error with the greatest consumers, if that is more than there is.
    pub fn hold(&mut self, bytes: usize) -> Result<()> {
        self.0.try_resize(bytes)
    }

    /// It takes so many bytes more.
    ///
    /// # Errors
    /// As [`Self::hold`].
    pub fn take(&mut self, bytes: usize) -> Result<()> {
        self.0.try_grow(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn what_does_not_fit_is_refused_with_the_greatest_consumer() {
        let memory = StateMemory::new(1_000);
        let mut small = memory.reserve("open windows of a");
        let mut great = memory.reserve("open windows of b");
        small.hold(100).unwrap();
        great.take(700).unwrap();
        great.take(100).unwrap();
        assert_eq!(memory.bytes(), 900);
        assert!(memory.is_nearly_full());
        let error = Error::from(small.hold(300).unwrap_err());
        let report = error.report();
        assert!(report.contains("more memory than run.memory_mib_max"), "{report}");
        assert!(report.contains("open windows of b") && report.contains("800.0 B"), "{report}");
        great.hold(10).unwrap();
        small.hold(300).unwrap();
        drop(great);
        assert_eq!(memory.bytes(), 300);
        assert!(!memory.is_nearly_full());
    }
}
