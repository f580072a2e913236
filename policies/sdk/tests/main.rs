//! The SDK beside what it stands for: the bindings beside the policy world, the double of a pool beside the store.
#![allow(clippy::unwrap_used, reason = "a test")]

mod bindings;
mod pool_double;
