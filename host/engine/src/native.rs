//! Where bytes become code that runs as us. Whoever calls this vouches for where the bytes came from.
//!
//! The default policy runs where it lies in our binary: nothing is copied, and pages it does not touch are not even
//! read. That needs the code to be made executable in place, which wasmtime leaves to its embedder.

use std::ffi::c_void;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};

use rustix::mm::{MprotectFlags, mprotect};
use wasmtime::component::Component;
use wasmtime::{Config, CustomCodeMemory, Engine, Result};

/// Pages are at most this large on the machines we run in place on.
const PAGE: usize = 4096;

/// Compiled code in our own binary. Being a whole number of pages, it shares none with other data when its protection
/// changes.
#[repr(C, align(4096))]
struct Pages<const LENGTH: usize>([u8; LENGTH]);

/// The default policy, compiled by `precompile`; empty where the build did not prepare it.
static DEFAULT_POLICY: Pages<{ include_bytes!(concat!(env!("OUT_DIR"), "/default.cwasm")).len() }> =
    Pages(*include_bytes!(concat!(env!("OUT_DIR"), "/default.cwasm")));

/// Whether the build prepared it.
pub(super) const HAS_DEFAULT_POLICY: bool = !DEFAULT_POLICY.0.is_empty();

/// Let an engine run code where it lies. Only where data and instructions share their caches: elsewhere wasmtime's own
/// way of making code executable, which flushes them, is kept, and the default policy is copied.
pub(super) fn allow_in_place(config: &mut Config) {
    if cfg!(target_arch = "x86_64") {
        config.with_custom_code_memory(Some(Arc::new(InPlace)));
    }
}

struct InPlace;

impl CustomCodeMemory for InPlace {
    fn required_alignment(&self) -> usize {
        PAGE
    }

    #[allow(unsafe_code, reason = "there is no safe interface to page protection")]
    fn publish_executable(&self, code: *const u8, length: usize) -> Result<()> {
        let protection = MprotectFlags::READ | MprotectFlags::EXEC;
        // SAFETY: wasmtime passes whole pages of code memory that it, or `default_policy`, owns for as long as it is
        // executable. Nothing writes there any more: W^X holds.
        unsafe { mprotect(code.cast_mut().cast::<c_void>(), length, protection) }.map_err(wasmtime::Error::from)
    }

    /// Asked for when a component is dropped; its memory is unmapped next, or is our binary.
    fn unpublish_executable(&self, _: *const u8, _: usize) -> Result<()> {
        Ok(())
    }
}

/// The default policy, linked to nothing yet. It runs where it lies in this binary.
#[allow(unsafe_code, reason = "loading compiled code is trusting whoever compiled it: our own build")]
pub(super) fn default_policy(engine: &Engine) -> Result<Component> {
    if !cfg!(target_arch = "x86_64") {
        return compiled(engine, &DEFAULT_POLICY.0);
    }
    // wasmtime keeps a register of code by address: the same place may be loaded only once.
    static LOADED: Mutex<Option<Component>> = Mutex::new(None);
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(component) = &*loaded {
        return Ok(component.clone());
    }
    // SAFETY: the bytes were written by `Engine::precompile_component` in the build of this very binary, under the same
    // `compiler::config`, which wasmtime checks again. They are static, so they outlive every component; nothing writes
    // to them, the pages being read-only.
    let component = unsafe { Component::deserialize_raw(engine, NonNull::from(&DEFAULT_POLICY.0[..]))? };
    Ok(loaded.insert(component).clone())
}

/// Code that our compiling child just handed us, or that the cache vouches for.
#[allow(unsafe_code, reason = "loading compiled code is trusting whoever compiled it: only we write to the cache")]
pub(super) fn compiled(engine: &Engine, artifact: &[u8]) -> Result<Component> {
    // SAFETY: the bytes come from a process of this very binary, through a descriptor nobody else has, or from a file
    // of the cache that passed the checks of `cache`: written by us, writable by nobody else, checksum intact. They are
    // copied, so what happens to the file afterwards does not matter.
    unsafe { Component::deserialize(engine, artifact) }
}

/// The same from a file of the cache, mapped instead of copied: pages that are not needed are not even read, and the
/// memory of a large guest begins as a copy-on-write image of the file. Fails where nothing from that file system may be
/// executed, or without /proc.
#[allow(unsafe_code, reason = "loading compiled code is trusting whoever compiled it: only we write to the cache")]
pub(super) fn mapped(engine: &Engine, file: &File) -> Result<Component> {
    // SAFETY: as above, by the same checks of this very file, which stays open: the name in /proc stands for it, not for
    // whatever has its name in the cache by now. Its mode is 0400, its directory is ours alone, and we replace entries
    // without ever writing to one, so that what is mapped does not change.
    unsafe { Component::deserialize_file(engine, format!("/proc/self/fd/{}", file.as_raw_fd())) }
}
