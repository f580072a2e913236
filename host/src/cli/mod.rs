//! The commands of operators and policy authors.

pub mod config;
