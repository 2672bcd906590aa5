//! An allocator that knows what is held.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;

use mimalloc::MiMalloc;

thread_local! {
    /// Bytes that this thread has taken and not given back.
    static HELD: Cell<i64> = const { Cell::new(0) };
}

/// The program's allocator, with a count for each thread of the bytes that it holds.
pub(crate) struct Holding;

impl Holding {
    /// Bytes that this thread holds. What it took and another one gave back still counts, and the other way round.
    pub(crate) fn bytes(&self) -> i64 {
        HELD.get()
    }
}

fn count(bytes: i64) {
    // A thread that is ending has no count any more.
    let _ = HELD.try_with(|held| held.set(held.get() + bytes));
}

// SAFETY: all is left to the program's allocator.
#[allow(unsafe_code, reason = "an allocator cannot be written otherwise")]
unsafe impl GlobalAlloc for Holding {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        unsafe { MiMalloc.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as i64);
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as i64 - layout.size() as i64);
        unsafe { MiMalloc.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-(layout.size() as i64));
        unsafe { MiMalloc.dealloc(memory, layout) }
    }
}
