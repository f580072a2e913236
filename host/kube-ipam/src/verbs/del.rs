//! DEL: take an attachment's addresses back. Absent is success; neither ranges, policy nor Kubernetes are needed.

use jiff::Timestamp;

use super::{Deadline, Error, elsewhere};
use crate::config::Base;
use ipam::Attachment;
use store::Store;

/// Release what this very attachment holds, in these books or in those of before: never an address that has moved on to
/// another.
pub async fn del(attachment: &Attachment, base: &Base, store: &Store, deadline: &Deadline) -> Result<(), Error> {
    let mut released = store.release(attachment, Timestamp::now()).await?;
    if released.is_none() {
        released = elsewhere::release(attachment, base, store, deadline, Timestamp::now()).await?;
    }
    match released {
        Some(claim) => tracing::info!(addresses = ?claim.addresses().collect::<Vec<_>>(), "released"),
        None => tracing::info!("nothing to release"),
    }
    Ok(())
}
