//! How policies are compiled for a target. What compiles a policy (the build for the default one, the compiling child
//! for others) and what runs it share this one description of the wasm engine, so that they cannot drift apart:
//! wasmtime refuses code that was compiled under another description.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod names;

pub use names::without_names;
use wasmtime::{Config, Engine, OptLevel, Result};

/// Native stack of a guest, in bytes.
pub const STACK_BYTES: usize = 256 * 1024;

/// How policies are compiled and run on a target such as `x86_64-unknown-linux-musl`.
///
/// Naming the target is what makes compiled code portable between nodes: without it wasmtime would use every
/// instruction the compiling machine happens to have.
pub fn config(target: &str) -> Result<Config> {
    let mut config = Config::new();
    config.target(target)?;
    config.cranelift_opt_level(OptLevel::Speed);

    // Bounds on what a guest can take. Fuel counts the same on every machine; the epoch is the clock.
    config.consume_fuel(true);
    config.epoch_interruption(true);
    config.max_wasm_stack(STACK_BYTES);

    // Small reservations work under `ulimit -v` and cost less to map. Copy-on-write images spare large guests
    // (JavaScript, Python) the copying of their heap into every instance.
    config.memory_reservation(64 << 20);
    // Above that a memory moves, rarely: a configuration may allow more.
    config.memory_reservation_for_growth(64 << 20);
    config.memory_guard_size(64 << 10);
    config.guard_before_linear_memory(false);
    config.memory_init_cow(true);

    // The same answer on every machine.
    config.cranelift_nan_canonicalization(true);

    // What only debuggers read is paid for by every start.
    config.native_unwind_info(false);
    config.generate_address_map(false);

    // Left on because language runtimes need it: bulk memory, reference types, multi-value, extended constants,
    // tail calls, multi-memory. The rest is surface without a user.
    config.wasm_simd(false);
    config.wasm_relaxed_simd(false);
    config.wasm_memory64(false);
    config.wasm_wide_arithmetic(false);
    config.wasm_custom_page_sizes(false);
    config.wasm_extended_const(true);
    config.wasm_tail_call(true);
    config.wasm_multi_memory(true);
    config.wasm_component_model(true);
    Ok(config)
}

/// An engine that can compile. Never in the path of an ADD.
pub fn compiling(target: &str) -> Result<Engine> {
    Engine::new(&config(target)?)
}
