//! What a runtime asks of us, one file a verb. Each tells its story in the order it happens; the signatures are promises:
//! a verb that is not handed a policy or the ranges cannot depend on them.

pub mod add;
pub(crate) mod asking;
pub mod check;
pub mod codes;
pub mod deadline;
pub mod decide;
pub mod del;
pub mod error;
pub mod gc;
mod hand_over;
mod meanwhile;
pub mod status;

pub use add::add;
pub(crate) use add::load;
pub use check::check;
pub use deadline::Deadline;
pub use del::del;
pub use error::Error;
pub use gc::gc;
pub(crate) use status::not_ready;
pub use status::status;
