//! The CNI verbs, a file or folder for each. Each tells its story in the order in which it happens. The signatures are
//! promises: a verb that is not handed a policy or the ranges cannot depend on them.

pub mod add;
pub mod check;
pub mod deadline;
pub mod del;
pub(crate) mod elsewhere;
pub mod error;
pub(crate) mod fail;
pub mod gc;
mod load;
pub mod status;
#[cfg(test)]
mod walk;

pub use add::add;
pub(crate) use add::explain::{Rehearsal, rehearse};
pub(crate) use add::shadow::Shadow;
pub(crate) use add::trial::{TRIED_NAMESPACE, try_policy};
pub use check::check;
pub use deadline::{Deadline, Waited};
pub use del::del;
pub use error::Error;
pub use gc::gc;
pub(crate) use load::load;
pub(crate) use status::not_ready;
pub use status::status;

use ipam::Claim;

/// The target of events that tell what came of a call: the log gathers their fields in the one line of the call.
pub(crate) const OUTCOME: &str = "kube_ipam::outcome";

/// The verdict, for the log and the counts, of a policy that gave none.
const FAULT: &str = "fault";

/// The addresses of a claim for the log, with commas between.
fn address_list(claim: &Claim) -> String {
    let addresses: Vec<String> = claim.addresses().map(|address| address.to_string()).collect();
    addresses.join(",")
}
