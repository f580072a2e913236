//! Files that somebody else names: a configuration, an operator, an annotation. Whatever lies there, reading it ends.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod regular;

pub use regular::{check_regular, read_regular};
