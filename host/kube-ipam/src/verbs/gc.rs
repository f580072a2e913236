//! GC: release what attachments of this node and network hold that the runtime no longer knows.

use jiff::Timestamp;

use super::{Deadline, Error, OUTCOME, address_list, elsewhere};
use crate::config::Base;
use crate::journal::history::{self, What};
use cni::ValidAttachments;
use ipam::Attachment;
use limits::store::EXPIRED_BY_GC;
use store::{Store, StoreError};

/// Goes on after a failure and reports all failures together. The runtime's list covers this node only, so nothing of
/// another node or network is examined, and where several machines have this node's name, nothing of another machine. Holds
/// that have ended are removed, too.
///
/// The list is older than this call. A runtime must not ADD meanwhile; if one does, what was claimed since the call began
/// stays.
pub async fn gc(base: &Base, valid: &ValidAttachments, store: &Store, deadline: &Deadline) -> Result<(), Error> {
    // Without a list nothing is known to be garbage. An empty list is another case: with that, everything is.
    if *valid == ValidAttachments::Unsaid {
        return Ok(());
    }
    let mut garbage = Garbage { base, valid, began: Timestamp::now(), released: 0, failures: Vec::new() };
    let walked = garbage.collect_everywhere(store, deadline).await;
    if walked.is_ok()
        && let Err(error) = store.remove_expired(garbage.began, EXPIRED_BY_GC).await
    {
        tracing::warn!(%error, "expired holds are left for the next GC");
    }
    tracing::info!(target: OUTCOME, released = garbage.released, "collected");
    outcome(garbage.failures, walked)
}

/// The result of the call. Failures are reported even if the walk was stopped before its end.
fn outcome(failures: Vec<(Attachment, StoreError)>, walked: Result<(), Error>) -> Result<(), Error> {
    if failures.is_empty() {
        return walked;
    }
    Err(Error::Garbage { failures, stopped: walked.err().map(Box::new) })
}

/// What to look for, and what could not be released.
struct Garbage<'a> {
    base: &'a Base,
    valid: &'a ValidAttachments,
    began: Timestamp,
    released: u32,
    failures: Vec<(Attachment, StoreError)>,
}

impl Garbage<'_> {
    /// Collects here, and wherever the network kept its addresses before.
    async fn collect_everywhere(&mut self, store: &Store, deadline: &Deadline) -> Result<(), Error> {
        self.collect(store).await?;
        // The list covers the network by its name, so also what it holds in its former domain. What other networks hold there
        // is not in the list, and is not examined.
        if let Some(former) = store.registered_elsewhere(&self.base.network).await? {
            self.collect(&store.beside(&former)).await?;
        }
        for dir in elsewhere::earlier_dirs(self.base) {
            let earlier = elsewhere::open(dir, Some(deadline.at()));
            match earlier.domains().await {
                Ok(domains) => {
                    for domain in domains {
                        self.collect(&earlier.beside(&domain)).await?;
                    }
                }
                Err(error) => tracing::warn!(%error, dir = %dir.display(), "passed over"),
            }
        }
        Ok(())
    }

    async fn collect(&mut self, store: &Store) -> Result<(), Error> {
        let Base { node, machine, network, domain, .. } = self.base;
        for attachment in store.attachments_on(node, machine, network).await? {
            if !self.valid.lacks(&attachment.container, &attachment.interface) {
                continue;
            }
            match store.release_older(&attachment, self.began, Timestamp::now()).await {
                Ok(Some(claim)) => {
                    history::note(What::Collected, domain, &claim, Timestamp::now());
                    // Beside the call's own fields, which are empty where a list of containers is judged.
                    let Attachment { container, interface, .. } = &claim.attachment;
                    let pod = claim.pod.as_ref().map(ToString::to_string);
                    tracing::info!(container, interface, pod, addresses = address_list(&claim), "released");
                    self.released += 1;
                }
                Ok(None) => tracing::info!(%attachment, "nothing to release that was claimed before this call"),
                Err(error) => {
                    // Logged at once: if the call runs out of time, its error does not get to the runtime.
                    tracing::warn!(%attachment, %error, "not released");
                    self.failures.push((attachment, error));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_released_is_told_although_the_walk_was_stopped() {
        let attachment = Attachment { network: "blue".into(), container: "c1".into(), interface: "eth0".into() };
        let failures = || vec![(attachment.clone(), StoreError::TooLate)];
        let stopped = || Err(Error::Store(StoreError::TooLate));
        let told = outcome(failures(), stopped()).unwrap_err().to_string();
        assert!(told.starts_with("1 attachment could not be released: ") && told.contains("c1"), "{told}");
        assert!(told.contains("; the rest could not be looked at: "), "{told}");
        let told = outcome(failures(), Ok(())).unwrap_err().to_string();
        assert!(told.contains("c1") && !told.contains("the rest"), "{told}");
        assert!(matches!(outcome(Vec::new(), stopped()), Err(Error::Store(_))));
        assert!(outcome(Vec::new(), Ok(())).is_ok());
    }
}
