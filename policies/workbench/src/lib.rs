//! What a policy's author needs: projects that build, a lab in which a module is tried, and the commands for both.
//!
//! Nothing of this is in the node's program; the lab walks the very path of an ADD that is.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod commands;
pub mod lab;
