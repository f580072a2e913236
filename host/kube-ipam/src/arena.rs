//! The allocator: the first memory of a process is cut off one block of zeroed pages. Only the part that was cut off last
//! can be given back. Most short-lived parts are that one, and the next one finds its memory in the processor's cache.
//!
//! An ADD runs for a millisecond or two and allocates less than the block, so it makes no system call for memory; a general
//! allocator makes about eighty. What does not fit (compiling a module, long listings) comes from dlmalloc, which serves a
//! single thread faster than musl does.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicUsize, Ordering};

use dlmalloc::GlobalDlmalloc;
use rustix::mm::Advice;

/// Bytes of the block. Pages that are never touched cost nothing.
const SIZE: usize = 2 << 20;

/// Bytes of the block that nearly every call touches.
const WARM: usize = 192 << 10;

/// Bytes of the block that are mapped at once where a call needs more: one system call instead of sixteen page faults.
const WARMED_AT_ONCE: usize = 64 << 10;

/// Bytes of the stack that nearly every call touches. The kernel maps 128 KiB of it before it has to grow.
const WARM_STACK: usize = 112 << 10;

const PAGE: usize = 4096;

/// Where memory comes from that does not fit into the block.
static REST: GlobalDlmalloc = GlobalDlmalloc;

/// The block, and how much of it is in use. It is for one thread, the first that allocates and nearly always the only one:
/// what threads share they have to agree on, which at every allocation would take longer than all the rest of it.
pub struct Arena {
    block: Block,
    /// By which the thread is known: where it keeps what is its own. 0 before the first allocation.
    owner: AtomicUsize,
    used: AtomicUsize,
    /// What is behind this was never handed out, so that all of it is zero.
    touched: AtomicUsize,
    /// Up to here the block is mapped in advance; 0 where it is not.
    warm: AtomicUsize,
}

#[repr(C, align(4096))]
struct Block(UnsafeCell<[u8; SIZE]>);

// SAFETY: parts of the block are handed out once each, and to one thread alone; nothing else looks at it.
#[allow(unsafe_code, reason = "an allocator cannot be written without")]
unsafe impl Sync for Block {}

thread_local! {
    /// Its place tells threads apart.
    static HERE: u8 = const { 0 };
}

impl Default for Arena {
    fn default() -> Self {
        Self::new()
    }
}

impl Arena {
    pub const fn new() -> Self {
        Self {
            block: Block(UnsafeCell::new([0; SIZE])),
            owner: AtomicUsize::new(0),
            used: AtomicUsize::new(0),
            touched: AtomicUsize::new(0),
            warm: AtomicUsize::new(0),
        }
    }

    /// Maps the first pages of the block, and of the stack those below the part in use: two system calls instead of about
    /// ninety page faults.
    pub fn warm_up(&self) {
        populate(self.base(), WARM);
        self.warm.store(WARM, Ordering::Relaxed);
        let here = 0_u8;
        let top = &raw const here as usize / PAGE * PAGE;
        populate(top - WARM_STACK, WARM_STACK);
    }

    /// A call that needs more than most will need still more. What is larger than a piece may be there to be touched in part.
    #[cold]
    fn warm_further(&self, end: usize) {
        let warm = self.warm.load(Ordering::Relaxed);
        if warm == 0 {
            return;
        }
        let next = end.next_multiple_of(WARMED_AT_ONCE).min(SIZE);
        self.warm.store(next, Ordering::Relaxed);
        if next - warm <= 2 * WARMED_AT_ONCE {
            populate(self.base() + warm, next - warm);
        }
    }

    fn base(&self) -> usize {
        self.block.0.get() as usize
    }

    fn has(&self, pointer: *mut u8) -> bool {
        (pointer as usize).wrapping_sub(self.base()) < SIZE
    }

    /// Whether the thread that asks is the one that the block is for.
    fn is_ours(&self) -> bool {
        let here = HERE.with(|here| &raw const *here as usize);
        let owner = self.owner.load(Ordering::Relaxed);
        owner == here
            || owner == 0 && self.owner.compare_exchange(0, here, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Cuts off an aligned part; `None` if the rest is too small.
    #[inline]
    fn cut(&self, layout: Layout) -> Option<*mut u8> {
        // The block begins with a page. Nothing is aligned to more, and a division would cost more than all else here.
        let behind = layout.align() - 1;
        if behind >= PAGE || !self.is_ours() {
            return None;
        }
        let start = (self.used.load(Ordering::Relaxed) + behind) & !behind;
        let end = start.checked_add(layout.size())?;
        if end > SIZE {
            return None;
        }
        self.used.store(end, Ordering::Relaxed);
        if end > self.warm.load(Ordering::Relaxed) {
            self.warm_further(end);
        }
        Some(self.block.0.get().cast::<u8>().wrapping_add(start))
    }

    /// Takes back the part that was cut off last; any other is lost until the process ends, and so is what another thread
    /// gives back. The next one that gets the part sees by `touched` that it is not zero any more.
    fn give_back(&self, pointer: *mut u8, size: usize) {
        let (start, used) = (pointer as usize - self.base(), self.used.load(Ordering::Relaxed));
        if used == start + size && self.is_ours() {
            self.touched.store(self.touched.load(Ordering::Relaxed).max(used), Ordering::Relaxed);
            self.used.store(start, Ordering::Relaxed);
        }
    }

    /// Lets a part grow where it is, which only the one that was cut off last can. A part that shrinks keeps its place.
    fn stretch(&self, pointer: *mut u8, old: usize, new: usize) -> bool {
        if new <= old {
            return true;
        }
        let start = pointer as usize - self.base();
        if start + new > SIZE || self.used.load(Ordering::Relaxed) != start + old || !self.is_ours() {
            return false;
        }
        self.used.store(start + new, Ordering::Relaxed);
        true
    }
}

/// Maps pages in advance. Kernels before 5.14 decline, and so does any where the stack is smaller. Then each page is mapped
/// when it is touched, as without this.
#[allow(unsafe_code, reason = "advice about memory takes a pointer")]
fn populate(start: usize, length: usize) {
    // SAFETY: the pages are this process's own, of the block or of the stack; populating changes no content.
    let _ = unsafe { rustix::mm::madvise(start as *mut std::ffi::c_void, length, Advice::LinuxPopulateWrite) };
}

#[allow(unsafe_code, reason = "an allocator cannot be written without")]
// SAFETY: a part is `layout.size()` bytes at a multiple of `layout.align()`, inside the block and handed out once,
// to the one thread whose cursor it is; pointers outside the block came from dlmalloc and go back to it.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.cut(layout).unwrap_or_else(|| unsafe { REST.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let Some(pointer) = self.cut(layout) else { return unsafe { REST.alloc_zeroed(layout) } };
        let touched = self.touched.load(Ordering::Relaxed).saturating_sub(pointer as usize - self.base());
        // SAFETY: these bytes are inside the part that was just cut off.
        unsafe { pointer.write_bytes(0, touched.min(layout.size())) };
        pointer
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if self.has(pointer) {
            self.give_back(pointer, layout.size());
        } else {
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
        // SAFETY: the caller keeps `size` valid for this alignment; the two parts do not overlap, because the old one has not
        // been given back.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !moved.is_null() {
                pointer.copy_to_nonoverlapping(moved, layout.size().min(size));
            }
            moved
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(unsafe_code, reason = "an allocator cannot be tried without")]
    fn the_block_is_of_one_thread_and_others_allocate_elsewhere() {
        static ARENA: Arena = Arena::new();
        let layout = Layout::from_size_align(40, 16).unwrap();
        // SAFETY: what is given back or grows was allocated with this layout, and is not used any more; what is written and
        // read is inside of it.
        let allocate = move || unsafe { ARENA.alloc(layout) as usize };
        let [first, second, third] = [allocate(), allocate(), allocate()];
        assert!(ARENA.has(first as *mut u8) && second - first == 48 && third - second == 48, "one behind the other");
        unsafe { (second as *mut u8).write_bytes(7, 40) };
        let elsewhere = std::thread::spawn(move || unsafe {
            ARENA.dealloc(third as *mut u8, layout);
            // What grows in another thread moves out of the block, with what is in it.
            let moved = ARENA.realloc(second as *mut u8, layout, 80);
            assert!(!ARENA.has(moved) && moved.add(39).read() == 7);
            allocate()
        });
        let elsewhere = elsewhere.join().unwrap();
        assert!(!ARENA.has(elsewhere as *mut u8));
        unsafe { ARENA.dealloc(elsewhere as *mut u8, layout) };
        assert_eq!(allocate(), third + 48, "another thread's word takes nothing back");
        let wide = Layout::from_size_align(8, 2 * PAGE).unwrap();
        assert!(!ARENA.has(unsafe { ARENA.alloc(wide) }));
    }

    #[test]
    #[allow(unsafe_code, reason = "an allocator cannot be tried without")]
    fn what_was_given_back_is_zero_where_that_is_asked_for() {
        static ARENA: Arena = Arena::new();
        let layout = Layout::from_size_align(100, 1).unwrap();
        // SAFETY: as above.
        unsafe {
            let first = ARENA.alloc(layout);
            first.write_bytes(1, 100);
            let grown = ARENA.realloc(first, layout, 200);
            assert_eq!(grown, first, "the last part grows in its place");
            ARENA.dealloc(grown, Layout::from_size_align(200, 1).unwrap());
            let zeroed = ARENA.alloc_zeroed(layout);
            assert_eq!(zeroed, first);
            assert!((0..100).all(|nth| zeroed.add(nth).read() == 0));
        }
    }
}
