//! An allocator that counts.

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicU64, Ordering};

use mimalloc::MiMalloc;

/// The program's allocator, with a count of how often it was asked for memory.
pub(crate) struct Counting(AtomicU64);

impl Counting {
    /// None so far.
    pub(crate) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Allocations while `work` is done; other threads' too.
    pub(crate) fn during(&self, work: impl FnOnce()) -> u64 {
        let before = self.0.load(Ordering::Relaxed);
        work();
        self.0.load(Ordering::Relaxed) - before
    }

    fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: all is left to the program's allocator.
#[allow(unsafe_code, reason = "an allocator cannot be written otherwise")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.count();
        unsafe { MiMalloc.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.count();
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        self.count();
        unsafe { MiMalloc.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        unsafe { MiMalloc.dealloc(memory, layout) }
    }
}
