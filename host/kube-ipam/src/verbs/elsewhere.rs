//! Former books: where a network kept its addresses before its configuration was changed.
//!
//! An ADD gives out nothing while containers hold addresses there, because some would be given out twice. DEL and GC go on
//! releasing what is there, and `kube-ipam import --from kube-ipam` moves it.
//!
//! A former embedded store of this node is noticed by its file, another domain of the same store by the registry.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Instant;

use jiff::Timestamp;

use super::{Deadline, Error};
use crate::config::Base;
use ipam::{Attachment, Claim};
use store::EtcdConfig;
use store::embedded::Embedded;
use store::{Moved, Search, Store, StoreError};

/// Fails while a former embedded store of this node holds addresses of the network. Where there is no such file, this costs
/// one look at each directory.
pub(crate) async fn refuse_earlier_stores(base: &Base, deadline: &Deadline) -> Result<(), Error> {
    search_earlier_stores(base, Search::Whole, deadline).await
}

/// The same as far as is searched: STATUS does not read what other networks and nodes have in such a file.
pub(super) async fn search_earlier_stores(base: &Base, search: Search<'_>, deadline: &Deadline) -> Result<(), Error> {
    for dir in earlier_dirs(base) {
        match Box::pin(find_in(&open(dir, Some(deadline.at())), search, &base.network)).await {
            Ok(None) => {}
            Ok(Some((former, Attachment { container, .. }))) => {
                let moved = Moved::Dir { network: base.network.clone(), dir: dir.clone(), former, container };
                return Err(StoreError::from(moved).into());
            }
            // It is not known then which addresses are in use there, and one given out now may be among them.
            Err(source) => return Err(unreadable(dir, base, source).into()),
        }
    }
    Ok(())
}

/// Releases what an attachment that holds nothing here holds in former books.
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
    // An import may have moved the claim here after the caller's look and before these, which then all missed it.
    if looked { Ok(store.release(attachment, now).await?) } else { Ok(None) }
}

/// Makes a failed CHECK succeed if former books have the addresses that it did not find here: they are held all the same.
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

/// The former directories that still have an embedded store.
pub(crate) fn earlier_dirs(base: &Base) -> impl Iterator<Item = &PathBuf> {
    base.earlier_dirs.iter().filter(|dir| Embedded::is_in(dir))
}

/// The store in such a directory, in no particular domain: see [`Store::domains`]. It waits for a turn to write until the
/// deadline, or without one as long as it takes, which is for commands.
pub(crate) fn open(dir: &Path, deadline: Option<Instant>) -> Store {
    Store::new(Embedded::new(dir, deadline), EtcdConfig::DEFAULT_PREFIX, "")
}

/// The first attachment of the network found to hold an address there, with its domain.
pub(crate) async fn holder_in(store: &Store, network: &str) -> Result<Option<(String, Attachment)>, StoreError> {
    find_in(store, Search::Whole, network).await
}

async fn find_in(store: &Store, search: Search<'_>, network: &str) -> Result<Option<(String, Attachment)>, StoreError> {
    for domain in store.domains().await? {
        if let Some(attachment) = store.beside(&domain).find_by(search, network).await? {
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

/// The other domains of the same store that may have a claim of the attachment, and the attachment's name in each. A
/// container's interface is the same attachment under a former name of the network.
async fn former_books(attachment: &Attachment, store: &Store) -> Result<Vec<(Store, Attachment)>, StoreError> {
    let mut books = Vec::new();
    for former in store.former_books(&attachment.network).await? {
        let beside = store.beside(&former.registration.domain);
        books.push((beside, Attachment { network: former.network, ..attachment.clone() }));
    }
    Ok(books)
}

/// Makes an unreadable file a warning, so that no pod is kept from ending: what the file held is lost anyway, and every ADD
/// reports it. A fault that may pass stays an error, because the runtime tries again.
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
