//! DEL: take an attachment's addresses back. Nothing to release is success; neither ranges, policy nor Kubernetes are needed.

use jiff::Timestamp;

use super::{Deadline, Error, OUTCOME, address_list, elsewhere};
use crate::config::Base;
use crate::journal::history::{self, What};
use ipam::Attachment;
use store::Store;

/// Releases what this attachment holds, here or where the network kept its addresses before. An address that has passed on
/// to another attachment stays with that one.
pub async fn del(attachment: &Attachment, base: &Base, store: &Store, deadline: &Deadline) -> Result<(), Error> {
    let mut released = store.release(attachment, Timestamp::now()).await?;
    // An attachment has its claim in one place only, and as a rule it is here.
    if released.is_none() {
        released = elsewhere::release(attachment, base, store, deadline, Timestamp::now()).await?;
    }
    match released {
        Some(claim) => {
            history::note(What::Released, &base.domain, &claim, Timestamp::now());
            let pod = claim.pod.as_ref().map(ToString::to_string);
            tracing::info!(target: OUTCOME, pod, addresses = address_list(&claim), "released");
        }
        None => tracing::info!(target: OUTCOME, "nothing to release"),
    }
    Ok(())
}
