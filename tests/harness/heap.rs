//! How much memory a test or a benchmark holds, as its allocator counts it.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;

thread_local! {
    /// Bytes that this thread has taken and not given back. Tests run one to a thread, and beside each other.
    static HELD: Cell<i64> = const { Cell::new(0) };
}

/// An allocator with a count for each thread.
pub struct Counting<A>(pub A);

/// Bytes that this thread holds. What it took and another one gave back still counts, and the other way round.
pub fn held_bytes() -> i64 {
    HELD.get()
}

fn count(bytes: i64) {
    // A thread that is ending has no count any more.
    let _ = HELD.try_with(|held| held.set(held.get() + bytes));
}

// SAFETY: all is left to the other allocator.
#[allow(unsafe_code, reason = "an allocator cannot be written otherwise")]
unsafe impl<A: GlobalAlloc> GlobalAlloc for Counting<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        unsafe { self.0.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        unsafe { self.0.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as i64 - layout.size() as i64);
        unsafe { self.0.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        unsafe { self.0.dealloc(memory, layout) }
    }
}
