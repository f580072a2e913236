//! A policy under years of load, in seconds: pods start and end, nodes ask at once, and a history tells what becomes of
//! the address space.
//!
//! ```text
//!  Model ── run ──► World (look up, decide, claim)
//!                     │
//!                  History ──┬── SimulationReport   numbers
//!                            └── picture            the address space over time
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
pub use report::{RangeSetReport, Returns, SimulationReport, Times};
pub use run::simulate;
pub(super) use space::Space;
pub use statistics::{FreeSpace, Reuse, Spread, Utilisation};
