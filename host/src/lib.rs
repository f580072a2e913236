//! kube-ipam: a CNI IPAM plugin whose allocation rules are sandboxed WebAssembly modules.
//!
//! Arrows between the modules point one way only: `main → {plugin, cli} → lab → verbs → {policy, store, kubernetes, decisions, containers} → config → cni → ipam`.
//! ARCHITECTURE.md draws the picture.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod cli;
pub mod cni;
pub mod config;
pub mod containers;
pub mod decisions;
pub mod ipam;
pub mod kubernetes;
pub mod lab;
pub mod limits;
pub mod plugin;
pub mod policy;
mod regular;
pub mod store;
pub mod telemetry;
#[cfg(test)]
mod testing;
pub mod verbs;
