//! What whole-program tests share: the built binary run as a container runtime runs it.
#![allow(
    clippy::unwrap_used,
    reason = "a harness that cannot start its parts has nothing better to do than to say so and stop"
)]

pub mod apiserver;
pub mod authority;
pub mod browser;
pub mod clock;
pub mod cluster;
pub mod etcd;
pub mod guest;
pub mod history;
pub mod image;
pub mod lan;
pub mod leftovers;
pub mod listing;
pub mod machine;
pub mod metrics;
pub mod namespace;
pub mod node;
pub mod program;
pub mod serving;

pub use program::{Answer, Call, program};
pub use untested::{is_root, untested};
