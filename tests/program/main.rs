//! The built program with real parts: called as runtimes and operators call it, beside etcd, main plugins, containers and an
//! API server. One module for each subject; `cargo test --test program SUBJECT::` runs one.
//!
//! They run side by side in this process: none changes its environment, its working directory or its namespaces, and whatever
//! has a name on the machine gets it from the harness. What loads the machine with hundreds of processes is in `tests/storm`.
#![allow(clippy::unwrap_used, reason = "a test")]

mod adverse;
mod apiserver;
mod authoring;
mod beginnings;
mod books;
mod bounds;
mod check;
mod config_check;
mod deadlines;
mod decisions;
mod deploy;
mod doctor;
mod etcd;
mod explain;
mod gc;
mod history;
mod house;
mod install;
mod kubernetes;
mod languages;
mod logged;
mod main_plugins;
mod matrix;
mod metrics;
mod moved;
mod night;
mod operator;
mod page;
mod pipes;
mod policies;
mod pools;
mod production;
mod readme;
mod reboot;
mod released;
mod runtimes;
mod schemas;
mod secrets;
mod simulate;
mod status;
mod trust;
mod words;
