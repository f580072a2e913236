//! Memory of a module: handed out, never taken back. A module lives for one decision, and the host drops it whole;
//! until then its fuel ends before its memory does. An allocator that could free would cost more than the decision.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;

/// Bytes of a page of linear memory.
const PAGE: usize = 64 * 1024;

#[global_allocator]
static MEMORY: Bump = Bump { next: Cell::new(0), end: Cell::new(0) };

/// From `next` to `end` is free.
struct Bump {
    next: Cell<usize>,
    end: Cell<usize>,
}

// SAFETY: a module has one thread; the world gives it no means to start another.
unsafe impl Sync for Bump {}

// SAFETY: every block lies in pages grown by this allocator alone, is aligned, and overlaps no other: `next` only rises.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let start = self.next.get().next_multiple_of(layout.align());
        let Some(next) = start.checked_add(layout.size()) else { return std::ptr::null_mut() };
        if next > self.end.get() {
            return self.grow(layout);
        }
        self.next.set(next);
        std::ptr::with_exposed_provenance_mut(start)
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}

    /// The last block grows where it stands: the usual case of a string or list being built.
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let start = block.expose_provenance();
        let is_last = start + layout.size() == self.next.get();
        if is_last && start.checked_add(size).is_some_and(|next| next <= self.end.get()) {
            self.next.set(start + size);
            return block;
        }
        // SAFETY: the caller vouches for `block` and `layout`, and the new layout has the same valid alignment.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !new.is_null() {
                std::ptr::copy_nonoverlapping(block, new, layout.size().min(size));
            }
            new
        }
    }
}

impl Bump {
    /// Go on in fresh pages: what is left of the old ones is too small for this block.
    #[cold]
    fn grow(&self, layout: Layout) -> *mut u8 {
        let pages = layout.size().div_ceil(PAGE);
        if layout.align() > PAGE {
            return std::ptr::null_mut();
        }
        let grown = core::arch::wasm32::memory_grow(0, pages);
        if grown == usize::MAX {
            return std::ptr::null_mut();
        }
        let start = grown * PAGE;
        self.next.set(start + layout.size());
        self.end.set(start + pages * PAGE);
        std::ptr::with_exposed_provenance_mut(start)
    }
}
