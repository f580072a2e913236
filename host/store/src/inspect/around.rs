//! What belongs to an entry: whatever it names, and whatever could name it. Compared together with these, an entry is judged as
//! it would be among all others.

use std::collections::BTreeMap;

use super::readable;
use crate::Store;
use crate::error::StoreError;
use crate::keys::{Keys, Named, node_digest};
use crate::map::MapView;
use crate::ordered::{Page, Read, View};
use crate::record::{Hold, address_in_value};
use crate::repair::InUse;
use ipam::{Allocation, Assignment, Attachment, Claim, PodName};
use limits::store::PAGE;

/// Entries by their keys; a key that is not there has none.
pub(super) type Entries = BTreeMap<String, Option<Vec<u8>>>;

impl Store {
    /// Read all that belongs to these entries, and all that belongs to that in turn.
    pub(super) async fn read_around(
        &self,
        view: &mut MapView,
        in_use: &InUse,
        known: &mut Entries,
    ) -> Result<(), StoreError> {
        let mut wanted: Vec<String> = Vec::new();
        for (key, value) in known.iter() {
            wanted.extend(belonging(&self.keys, in_use, key, value.as_deref()));
        }
        // Each key is read once, also one that is not there: so records that name each other in a circle end it, too.
        loop {
            wanted.retain(|key| !known.contains_key(key));
            wanted.sort_unstable();
            wanted.dedup();
            if wanted.is_empty() {
                return Ok(());
            }
            let mut further = Vec::new();
            for keys in wanted.chunks(PAGE) {
                for (key, value) in get(view, keys).await? {
                    further.extend(belonging(&self.keys, in_use, &key, value.as_deref()));
                    known.insert(key, value);
                }
            }
            wanted = further;
        }
    }
}

/// What is under some keys. What a damaged record names may be too long for a key: then nothing is there.
async fn get(view: &mut MapView, keys: &[String]) -> Result<Vec<(String, Option<Vec<u8>>)>, StoreError> {
    let reads: Vec<Read> = keys.iter().map(|key| Read::Get(key.clone())).collect();
    let pages = match view.read(&reads).await {
        Err(StoreError::KeyTooLong { .. }) if keys.len() > 1 => {
            let (one, two) = keys.split_at(keys.len() / 2);
            let mut found = Box::pin(get(view, one)).await?;
            found.extend(Box::pin(get(view, two)).await?);
            return Ok(found);
        }
        Err(StoreError::KeyTooLong { .. }) => vec![Page::default()],
        pages => pages?,
    };
    let values = pages.into_iter().map(|page| page.into_entry().map(|entry| entry.value));
    Ok(keys.iter().cloned().zip(values).collect())
}

/// The keys that belong to one. What is unreadable, or not there, has those that its key tells.
fn belonging(keys: &Keys, in_use: &InUse, key: &str, value: Option<&[u8]>) -> Vec<String> {
    let Some(named) = keys.named(key) else { return Vec::new() };
    let mut belonging = Vec::new();
    match &named {
        Named::Address(address) => {
            belonging.push(keys.hold(*address));
            if let Some(held) = value.and_then(|value| readable::<Allocation>(&named, value)) {
                of_allocation(keys, &held, &mut belonging);
            }
        }
        Named::Attachment(attachment) => {
            let used = in_use.get(attachment).into_iter().flatten();
            belonging.extend(used.map(|address| keys.address(*address)));
            if let Some(claim) = value.and_then(|value| readable::<Claim>(&named, value)) {
                of_claim(keys, &claim, &mut belonging);
            }
        }
        Named::Hold(address) => {
            belonging.push(keys.address(*address));
            if let Some(hold) = value.and_then(|value| readable::<Hold>(&named, value)) {
                belonging.push(keys.expiry(hold.until, *address));
                belonging.extend(hold.identity.iter().map(|identity| keys.identity(identity, *address)));
            }
        }
        Named::Identity { address, .. } | Named::Expiry { address, .. } => belonging.push(keys.hold(*address)),
        Named::Node { attachment, .. } => belonging.push(keys.attachment(attachment)),
        Named::Pod { interface, network, .. } => {
            if let Some(value) = value {
                let container = String::from_utf8_lossy(value).into_owned();
                let (network, interface) = (network.clone(), interface.clone());
                belonging.push(keys.attachment(&Attachment { network, container, interface }));
            }
        }
        Named::Slot(_) => {
            if let Some(address) = value.and_then(address_in_value) {
                belonging.push(keys.address(address));
            }
        }
        Named::Cursor | Named::Full => {}
    }
    belonging
}

/// Where its claim has to be written again from the record, all that the claim has belongs to it, too.
fn of_allocation(keys: &Keys, held: &Allocation, belonging: &mut Vec<String>) {
    let Allocation { attachment, node, machine, pod, slot, former, .. } = held;
    belonging.extend([keys.attachment(attachment), keys.node_at(&node_digest(node), machine, attachment)]);
    belonging.extend(pod.iter().map(|pod: &PodName| keys.pod(pod, attachment)));
    belonging.extend(slot.iter().map(|slot| keys.slot(slot)));
    belonging.extend(former.iter().map(|former| keys.attachment(&former.attachment)));
}

fn of_claim(keys: &Keys, claim: &Claim, belonging: &mut Vec<String>) {
    for Assignment { address, slot, .. } in claim.assignments() {
        belonging.extend([keys.address(*address), keys.hold(*address)]);
        belonging.extend(slot.iter().map(|slot| keys.slot(slot)));
    }
    belonging.push(keys.node_of(claim));
    belonging.extend(claim.pod.iter().map(|pod| keys.pod(pod, &claim.attachment)));
    belonging.extend(claim.counterparts().map(|counterpart| keys.attachment(counterpart)));
}
