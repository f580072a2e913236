//! Policies as files that nobody vouches for, loaded and run in this process: what a guest does wrong ends with an error of
//! its own, and the next call of a good guest works.
#![allow(clippy::unwrap_used, reason = "a test")]

mod cache;
mod crimes;
mod inspect;
mod panic;
mod policy;
mod random;
mod released;
