//! kube-ipam: a CNI IPAM plugin whose allocation rules are sandboxed WebAssembly modules.
//!
//! Arrows between the modules point one way only:
//! `main → cli → verbs → {policy, store, kubernetes} → config → cni → ipam`. ARCHITECTURE.md draws the picture.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod ipam;
pub mod limits;
pub mod policy;
