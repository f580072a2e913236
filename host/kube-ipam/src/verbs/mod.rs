//! What a runtime asks of us, one file a verb. Each tells its story in the order it happens; the signatures are promises:
//! a verb that is not handed a policy or the ranges cannot depend on them.

pub mod add;
pub(crate) mod annotations;
pub mod asking;
pub mod check;
mod cluster;
pub mod codes;
pub mod deadline;
pub mod decide;
pub mod deciding;
pub mod del;
pub(crate) mod elsewhere;
pub mod error;
pub mod exhausted;
pub mod gc;
pub mod hand_over;
mod load;
mod meanwhile;
pub mod races;
mod shadow;
pub mod status;
mod told;
#[cfg(test)]
mod walk;

pub use add::add;
pub use check::check;
pub use deadline::{Deadline, Waited};
pub(crate) use decide::decide;
pub use del::del;
pub use error::Error;
pub use gc::gc;
pub(crate) use load::load;
pub(crate) use shadow::Shadow;
pub(crate) use status::not_ready;
pub use status::status;
