//! A policy under years of load, in seconds: pods start and end, nodes ask at once, and what becomes of the address
//! space is written down.
//!
//! ```text
//!  Model ── run ──► World (look up, decide, commit)
//!                     │
//!                  History ──┬── Report    numbers
//!                            └── picture   the address space over time
//! ```
//!
//! The same seed gives the same history on every machine: what is drawn is drawn as integers, see [`model`].

mod history;
pub mod model;
mod picture;
mod report;
mod run;
mod space;
mod statistics;

pub use history::History;
pub use model::{Model, Share};
pub use picture::picture;
pub use report::{OfRangeSet, Report, Returns, Times};
pub use run::simulate;
pub(super) use space::Space;
pub use statistics::{FreeSpace, Reuse, Spread, Utilisation};
