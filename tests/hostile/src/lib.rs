//! What the tests of hostile guests share with the fuzz targets: a place to load a module at, what it is asked there, and
//! what has to hold of it, whatever it is.
#![allow(clippy::unwrap_used, reason = "a test says what it found and stops")]

mod question;
mod site;
pub mod survival;

pub use question::{range_sets, request, snapshot, unread_snapshot};
pub use site::{SLACK, Site};
