//! The verbs of production under every schedule and every fault.
//!
//! ```text
//!   scenarios    nodes, pods and operators, each a process that calls one verb after the other
//!      │
//!   scene        ADD, DEL, CHECK, GC, reclaim, import: the functions that the programs call, none of them rewritten
//!      │
//!   map, server  what they wait for: a map in memory, API servers behind Kubernetes' own client
//!      │
//!   sim          who goes on, and what comes of each question; `choices` takes it down, `clock` tells the time
//!      │
//!   judge        what must hold, by what containers were told, whatever the store says
//!      │
//!   explore      every schedule up to a cost, or some at random; one that breaks a promise becomes a file
//! ```
//!
//! What is not here: the two stores' own code (the conformance suite, the storm and the tests of etcd have that), and the
//! program around the verbs.
#![allow(clippy::expect_used, clippy::print_stdout, reason = "a program of the tests")]

pub mod choices;
pub mod clock;
pub mod explore;
pub mod judge;
pub mod map;
pub mod mutants;
pub mod page;
pub mod scenarios;
pub mod scene;
pub mod server;
pub mod sim;
