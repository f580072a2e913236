//! Files that somebody else names: a configuration, an operator, an annotation. Whatever lies there, reading it ends.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod regular;

pub use regular::{check_appendable, check_is_file, check_regular, not_regular, read_regular};
