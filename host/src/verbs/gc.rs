//! GC: release what attachments of this node and network hold that the runtime does not know any more.

use jiff::Timestamp;

use super::Error;
use crate::cni::ValidAttachments;
use crate::config::Base;
use crate::limits::store::EXPIRED_BY_GC;
use crate::store::Store;
use crate::store::ordered::OrderedMap;

/// Walks all of them, goes on after a failure and reports all failures together. The runtime's list covers this node
/// only, so nothing of another node, machine or network is looked at. Holds that are over are nobody's: they go, too.
///
/// The list is older than this call. A runtime must not ADD meanwhile; where one does, what was claimed since stays.
pub async fn gc<M: OrderedMap>(base: &Base, valid: &ValidAttachments, store: &Store<M>) -> Result<(), Error> {
    if *valid == ValidAttachments::Unsaid {
        return Ok(());
    }
    let began = Timestamp::now();
    let mut failures = Vec::new();
    for attachment in store.attachments_on(&base.node, &base.machine, &base.network).await? {
        if !valid.lacks(&attachment.container, &attachment.interface) {
            continue;
        }
        match store.release_older(&attachment, began, Timestamp::now()).await {
            Ok(Some(_)) => tracing::info!(%attachment, "released"),
            Ok(None) => tracing::info!(%attachment, "nothing to release that was claimed before this call"),
            Err(error) => failures.push((attachment, error)),
        }
    }
    if let Err(error) = store.remove_expired(began, EXPIRED_BY_GC).await {
        tracing::warn!(%error, "holds that are over stay for another time");
    }
    if failures.is_empty() { Ok(()) } else { Err(Error::Garbage { failures }) }
}
