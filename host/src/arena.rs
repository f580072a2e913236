//! The allocator: the first memory of a process is cut off one block of zeroed pages and never given back.
//!
//! An ADD lives for a millisecond or two and allocates less than the block, so it makes no system call for memory; a
//! general allocator makes about eighty. Whatever does not fit (compiling a module, long listings) goes to dlmalloc: it
//! serves a single thread faster than musl does.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicUsize, Ordering};

use dlmalloc::GlobalDlmalloc;

/// Untouched pages of it cost nothing.
const SIZE: usize = 2 << 20;

/// What nearly every call touches.
const WARM: usize = 256 << 10;

/// What does not fit.
static REST: GlobalDlmalloc = GlobalDlmalloc;

/// See the module's text.
pub(crate) struct Arena {
    block: UnsafeCell<[u8; SIZE]>,
    used: AtomicUsize,
}

// SAFETY: parts of the block are handed out once each, by an atomic cursor; nothing else looks at it.
#[allow(unsafe_code, reason = "an allocator cannot be written without")]
unsafe impl Sync for Arena {}

impl Arena {
    /// All of it unused.
    pub(crate) const fn new() -> Self {
        Self { block: UnsafeCell::new([0; SIZE]), used: AtomicUsize::new(0) }
    }

    /// Have the first pages now: one system call instead of a fault for each. Kernels before 5.14 decline.
    #[allow(unsafe_code, reason = "advice about memory takes a pointer")]
    pub(crate) fn warm_up(&self) {
        let start = self.base().next_multiple_of(4096) as *mut std::ffi::c_void;
        // SAFETY: the pages lie within the block; populating changes no content.
        let _ = unsafe { rustix::mm::madvise(start, WARM, rustix::mm::Advice::LinuxPopulateWrite) };
    }

    fn base(&self) -> usize {
        self.block.get() as usize
    }

    fn has(&self, pointer: *mut u8) -> bool {
        (self.base()..self.base() + SIZE).contains(&(pointer as usize))
    }

    /// Cut a part off, aligned; `None` when the rest is too small.
    fn cut(&self, layout: Layout) -> Option<*mut u8> {
        let place = |used: usize| (self.base() + used).next_multiple_of(layout.align()) - self.base();
        let take = |used| place(used).checked_add(layout.size()).filter(|&end| end <= SIZE);
        let used = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).ok()?;
        Some(self.block.get().cast::<u8>().wrapping_add(place(used)))
    }

    /// Let the last part that was cut off grow where it is. Nothing is given back, so what is cut off is always zero.
    fn stretch(&self, pointer: *mut u8, old: usize, new: usize) -> bool {
        let start = pointer as usize - self.base();
        let grow = || self.used.compare_exchange(start + old, start + new, Ordering::Relaxed, Ordering::Relaxed);
        new <= old || (start + new <= SIZE && grow().is_ok())
    }
}

#[allow(unsafe_code, reason = "an allocator cannot be written without")]
// SAFETY: a part is `layout.size()` bytes at a multiple of `layout.align()`, inside the block and handed out once;
// pointers outside the block came from dlmalloc and go back to it.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.cut(layout).unwrap_or_else(|| unsafe { REST.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.cut(layout).unwrap_or_else(|| unsafe { REST.alloc_zeroed(layout) })
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if !self.has(pointer) {
            unsafe { REST.dealloc(pointer, layout) }
        }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !self.has(pointer) {
            return unsafe { REST.realloc(pointer, layout, size) };
        }
        if self.stretch(pointer, layout.size(), size) {
            return pointer;
        }
        // SAFETY: the caller keeps `size` valid for this alignment; the two parts do not overlap.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                pointer.copy_to_nonoverlapping(moved, layout.size().min(size));
            }
            moved
        }
    }
}
