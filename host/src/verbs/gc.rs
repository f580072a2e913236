//! GC: release what attachments of this node and network hold that the runtime does not know any more.

use jiff::Timestamp;

use super::{Deadline, Error, elsewhere};
use crate::cni::ValidAttachments;
use crate::config::Base;
use crate::ipam::Attachment;
use crate::limits::store::EXPIRED_BY_GC;
use crate::store::ordered::OrderedMap;
use crate::store::{Store, StoreError};

/// Walks all of them, goes on after a failure and reports all failures together. The runtime's list covers this node
/// only, so nothing of another node or network is looked at, and where several machines call themselves by this node's
/// name, nothing of another machine. Holds that are over are nobody's: they go, too.
///
/// The list is older than this call. A runtime must not ADD meanwhile; where one does, what was claimed since stays.
pub async fn gc<M: OrderedMap>(
    base: &Base,
    valid: &ValidAttachments,
    store: &Store<M>,
    deadline: &Deadline,
) -> Result<(), Error> {
    if *valid == ValidAttachments::Unsaid {
        return Ok(());
    }
    let mut garbage = Garbage { base, valid, began: Timestamp::now(), failures: Vec::new() };
    garbage.collect(store).await?;
    // The list is of the network by this name: what it held in other books is in the list, what others hold is not.
    if let Some(former) = store.registered_elsewhere(&base.network).await? {
        garbage.collect(&store.beside(&former)).await?;
    }
    for dir in elsewhere::earlier_dirs(base) {
        let earlier = elsewhere::open(dir, Some(deadline.at()));
        match earlier.domains().await {
            Ok(domains) => {
                for domain in domains {
                    garbage.collect(&earlier.beside(&domain)).await?;
                }
            }
            Err(error) => tracing::warn!(%error, dir = %dir.display(), "passed over"),
        }
    }
    if let Err(error) = store.remove_expired(garbage.began, EXPIRED_BY_GC).await {
        tracing::warn!(%error, "holds that are over stay for another time");
    }
    let failures = garbage.failures;
    if failures.is_empty() { Ok(()) } else { Err(Error::Garbage { failures }) }
}

/// What is garbage, and what of it could not be released.
struct Garbage<'a> {
    base: &'a Base,
    valid: &'a ValidAttachments,
    began: Timestamp,
    failures: Vec<(Attachment, StoreError)>,
}

impl Garbage<'_> {
    async fn collect<M: OrderedMap>(&mut self, store: &Store<M>) -> Result<(), Error> {
        let Base { node, machine, network, .. } = self.base;
        for attachment in store.attachments_on(node, machine, network).await? {
            if !self.valid.lacks(&attachment.container, &attachment.interface) {
                continue;
            }
            match store.release_older(&attachment, self.began, Timestamp::now()).await {
                Ok(Some(_)) => tracing::info!(%attachment, "released"),
                Ok(None) => tracing::info!(%attachment, "nothing to release that was claimed before this call"),
                Err(error) => self.failures.push((attachment, error)),
            }
        }
        Ok(())
    }
}
