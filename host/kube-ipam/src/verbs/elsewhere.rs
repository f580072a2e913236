//! Former books: where a network had its addresses before its configuration said otherwise.
//!
//! An ADD gives out nothing while containers hold addresses in there: some would be given out twice. What is in there
//! is released by DEL and GC as long as it is there, and `kube-ipam import --from kube-ipam` moves it.
//!
//! An embedded store of this node is noticed by its file; another domain of the same store by the registry.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Instant;

use jiff::Timestamp;

use super::{Deadline, Error};
use crate::config::Base;
use ipam::{Attachment, Claim};
use store::EtcdConfig;
use store::embedded::Embedded;
use store::{Moved, Store, StoreError};

/// Refuse to give out addresses while an embedded store of this node holds some of the network. Where there is no such
/// file, this is all it costs to know.
pub(crate) async fn refuse_earlier_stores(base: &Base, deadline: &Deadline) -> Result<(), Error> {
    for dir in earlier_dirs(base) {
        match Box::pin(holder_in(&open(dir, Some(deadline.at())), &base.network)).await {
            Ok(None) => {}
            Ok(Some((former, Attachment { container, .. }))) => {
                let moved = Moved::Dir { network: base.network.clone(), dir: dir.clone(), former, container };
                return Err(StoreError::from(moved).into());
            }
            // Which containers hold addresses there cannot be known then, and an address given out now may be one of theirs.
            Err(source) => return Err(unreadable(dir, base, source).into()),
        }
    }
    Ok(())
}

/// Release what an attachment that holds nothing here holds in former books.
pub(super) async fn release(
    attachment: &Attachment,
    base: &Base,
    store: &Store,
    deadline: &Deadline,
    now: Timestamp,
) -> Result<Option<Claim>, Error> {
    let mut looked = false;
    for dir in earlier_dirs(base) {
        looked = true;
        match release_in(&open(dir, Some(deadline.at())), attachment, now).await {
            Ok(None) => {}
            Ok(released) => return Ok(released),
            Err(error) => passed_over(unreadable(dir, base, error))?,
        }
    }
    for (beside, former) in former_books(attachment, store).await? {
        looked = true;
        if let Some(claim) = beside.release(&former, now).await? {
            return Ok(Some(claim));
        }
    }
    // It may have been moved here after the first look and before those.
    if looked { Ok(store.release(attachment, now).await?) } else { Ok(None) }
}

/// What CHECK misses here may be in former books: it is held all the same.
pub(crate) async fn excuse(
    checked: Result<(), Error>,
    attachment: &Attachment,
    base: &Base,
    store: &Store,
    deadline: &Deadline,
) -> Result<(), Error> {
    let Err(Error::NotHeld { addresses, .. }) = &checked else { return checked };
    let former = held(attachment, base, store, deadline).await?;
    let held: Vec<IpAddr> = former.iter().flat_map(Claim::addresses).collect();
    if addresses.iter().all(|address| held.contains(address)) { Ok(()) } else { checked }
}

/// What an attachment that holds nothing here holds in former books.
async fn held(
    attachment: &Attachment,
    base: &Base,
    store: &Store,
    deadline: &Deadline,
) -> Result<Option<Claim>, Error> {
    for dir in earlier_dirs(base) {
        match held_in(&open(dir, Some(deadline.at())), attachment).await {
            Ok(None) => {}
            Ok(held) => return Ok(held),
            Err(error) => passed_over(unreadable(dir, base, error))?,
        }
    }
    for (beside, former) in former_books(attachment, store).await? {
        if let Some(claim) = beside.held_by(&former).await? {
            return Ok(Some(claim));
        }
    }
    Ok(None)
}

/// The directories among those of before that have an embedded store. One look at the directory for each.
pub(crate) fn earlier_dirs(base: &Base) -> impl Iterator<Item = &PathBuf> {
    base.earlier_dirs.iter().filter(|dir| Embedded::is_in(dir))
}

/// The store in such a directory. Its domain is of no account: see [`Store::domains`]. A turn to write is waited for until the
/// call's deadline; without one, as commands do.
pub(crate) fn open(dir: &Path, deadline: Option<Instant>) -> Store {
    Store::new(Embedded::new(dir, deadline), EtcdConfig::DEFAULT_PREFIX, "")
}

/// Some attachment of the network that holds an address there, and in which domain.
pub(crate) async fn holder_in(store: &Store, network: &str) -> Result<Option<(String, Attachment)>, StoreError> {
    for domain in store.domains().await? {
        if let Some(attachment) = store.beside(&domain).any_of(network).await? {
            return Ok(Some((domain, attachment)));
        }
    }
    Ok(None)
}

async fn release_in(store: &Store, attachment: &Attachment, now: Timestamp) -> Result<Option<Claim>, StoreError> {
    for domain in store.domains().await? {
        if let Some(claim) = store.beside(&domain).release(attachment, now).await? {
            return Ok(Some(claim));
        }
    }
    Ok(None)
}

async fn held_in(store: &Store, attachment: &Attachment) -> Result<Option<Claim>, StoreError> {
    for domain in store.domains().await? {
        if let Some(claim) = store.beside(&domain).held_by(attachment).await? {
            return Ok(Some(claim));
        }
    }
    Ok(None)
}

/// Other domains of the same store, and what the attachment is called there. An attachment is a container's interface:
/// under another name of the network it is the same one.
async fn former_books(attachment: &Attachment, store: &Store) -> Result<Vec<(Store, Attachment)>, StoreError> {
    let mut books = Vec::new();
    for former in store.former_books(&attachment.network).await? {
        let beside = store.beside(&former.registration.domain);
        books.push((beside, Attachment { network: former.network, ..attachment.clone() }));
    }
    Ok(books)
}

/// A file that nobody can read keeps no pod from ending: what it held is lost with it, and every ADD says so.
fn passed_over(error: StoreError) -> Result<(), Error> {
    if error.is_transient() {
        return Err(error.into());
    }
    tracing::warn!(%error, "passed over");
    Ok(())
}

fn unreadable(dir: &Path, base: &Base, source: StoreError) -> StoreError {
    let file = Embedded::new(dir, None).file().to_owned();
    StoreError::Unreadable { file, network: base.network.clone(), source: Box::new(source) }
}
