//! kube-ipam: a CNI IPAM plugin whose allocation rules are sandboxed WebAssembly modules.
//!
//! Arrows between the modules point one way only: `main → {plugin, cli} → runtime → verbs → {journal, containers} → config`.
//! ARCHITECTURE.md draws them together with the crates below.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod arena;
pub mod cli;
pub mod config;
pub mod containers;
pub mod journal;
pub mod plugin;
mod runtime;
pub mod telemetry;
pub mod verbs;
