//! DEL: take an attachment's addresses back. Absent is success; neither ranges, policy nor Kubernetes are needed.

use jiff::Timestamp;

use super::Error;
use crate::ipam::Attachment;
use crate::store::Store;
use crate::store::ordered::OrderedMap;

/// Release what this very attachment holds: never an address that has moved on to another.
pub async fn del<M: OrderedMap>(attachment: &Attachment, store: &Store<M>) -> Result<(), Error> {
    match store.release(attachment, Timestamp::now()).await? {
        Some(claim) => tracing::info!(addresses = ?claim.addresses().collect::<Vec<_>>(), "released"),
        None => tracing::info!("nothing to release"),
    }
    Ok(())
}
