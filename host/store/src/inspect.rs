//! The proof that the indexes agree, or each place where they do not.

mod around;
mod disagreement;
mod ledger;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::Store;
use super::error::StoreError;
use super::keys::{Keys, Named, seconds_until};
use super::ordered::{Entry, OrderedMap, Read, View};
use super::record::{Hold, Keyed, Seen};
use super::repair::InUse;
pub use disagreement::Disagreement;
use ipam::{Allocation, Attachment, Ceded, Claim, Party, PodName, Slot};
use ledger::Ledger;

impl Store {
    /// Read everything at one moment and compare. Empty when everything agrees.
    pub async fn inspect(&self) -> Result<Vec<Disagreement>, StoreError> {
        let (_, found) = self.disagreements(&InUse::new()).await?;
        Ok(found)
    }

    /// How many records there are to compare.
    pub async fn count_records(&self) -> Result<u64, StoreError> {
        let pages = self.map.view().await?.read(&[Read::Count(self.keys.everything())]).await?;
        Ok(pages.iter().map(|page| page.count).sum())
    }

    /// What does not agree, at one moment, with all that belongs to it.
    ///
    /// Everything is read once, and adds up where all is well. Where it does not, it is read once more to pick out what may
    /// be wrong: at the same moment, or the suspects would be those of another one.
    pub(super) async fn disagreements(&self, in_use: &InUse) -> Result<(Everything, Vec<Disagreement>), StoreError> {
        let entries = self.at_one_moment(async |mut view| {
            let mut ledger = Ledger::new(&self.keys);
            let mut pages = self.pages(self.keys.everything());
            while let Some(page) = pages.next(&mut view).await? {
                page.iter().for_each(|entry| ledger.enter(entry));
            }
            let mut suspects = ledger.close();
            let mut entries = std::mem::take(&mut suspects.themselves);
            if suspects.are_unnamed() {
                let mut pages = self.pages(self.keys.everything());
                while let Some(page) = pages.next(&mut view).await? {
                    let wanted = page.into_iter().filter(|entry| suspects.include(entry));
                    entries.extend(wanted.map(|entry| (entry.key, Some(entry.value))));
                }
            }
            self.read_around(&mut view, in_use, &mut entries).await?;
            Ok(entries)
        });
        let entries = entries.await?.into_iter().filter_map(|(key, value)| Some(Entry { key, value: value? }));
        Ok(Everything::of(&self.keys, entries))
    }
}

/// A domain at one moment, or a part of it with all that belongs to it, by what its keys name.
#[derive(Default)]
pub(super) struct Everything {
    /// Every key with its bytes, readable or not.
    pub(super) bytes: BTreeMap<String, Vec<u8>>,
    pub(super) addresses: BTreeMap<IpAddr, Allocation>,
    pub(super) claims: BTreeMap<Attachment, Claim>,
    /// Whose claims list an address as ceded.
    cedents: BTreeMap<IpAddr, Vec<Attachment>>,
    /// By attachment, node and machine.
    pub(super) nodes: BTreeSet<(Attachment, String, String)>,
    /// By pod, interface and network: the container it points at.
    pods: BTreeMap<(PodName, String, String), String>,
    pub(super) kept: BTreeMap<IpAddr, Hold>,
    pub(super) identities: BTreeMap<(IpAddr, String), Hold>,
    /// By address and second.
    pub(super) expiries: BTreeMap<(IpAddr, u64), Hold>,
    /// By address: every key of the index of when holds end, readable or not.
    pub(super) expiry_keys: BTreeMap<IpAddr, Vec<String>>,
    /// By whom each slot is taken; `None` where that cannot be read.
    slots: BTreeMap<Slot, Option<IpAddr>>,
    found: Vec<Disagreement>,
}

/// A record, if it can be read and is of its key.
fn readable<T: Keyed>(named: &Named, value: &[u8]) -> Option<T> {
    let record: T = serde_json::from_slice(value).ok()?;
    record.misplaced(named).is_none().then_some(record)
}

impl Everything {
    /// These entries, and where they do not agree.
    pub(super) fn of(keys: &Keys, entries: impl IntoIterator<Item = Entry>) -> (Self, Vec<Disagreement>) {
        let mut all = Self::default();
        for entry in entries {
            all.add(keys, entry);
        }
        let found = all.compare();
        (all, found)
    }

    fn add(&mut self, keys: &Keys, entry: Entry) {
        let key = entry.key.clone();
        self.bytes.insert(key.clone(), entry.value.clone());
        let read = match keys.named(&key) {
            Some(Named::Address(address)) => {
                Seen::parse(keys, entry).map(|seen| drop(self.addresses.insert(address, seen.record)))
            }
            Some(Named::Attachment(attachment)) => Seen::<Claim>::parse(keys, entry).map(|seen| {
                for ceded in &seen.record.ceded {
                    self.cedents.entry(ceded.assignment.address).or_default().push(attachment.clone());
                }
                self.claims.insert(attachment, seen.record);
            }),
            Some(Named::Hold(address)) => {
                Seen::parse(keys, entry).map(|seen| drop(self.kept.insert(address, seen.record)))
            }
            Some(Named::Identity { identity, address }) => {
                Seen::parse(keys, entry).map(|seen| drop(self.identities.insert((address, identity), seen.record)))
            }
            Some(Named::Expiry { seconds, address }) => {
                self.expiry_keys.entry(address).or_default().push(key.clone());
                Seen::parse(keys, entry).map(|seen| drop(self.expiries.insert((address, seconds), seen.record)))
            }
            Some(Named::Node { node, machine, attachment }) => {
                self.nodes.insert((attachment, node, machine));
                Ok(())
            }
            Some(Named::Pod { cluster, namespace, name, interface, network }) => {
                let container = String::from_utf8_lossy(&entry.value).into_owned();
                let cluster = Some(cluster).filter(|cluster| !cluster.is_empty());
                self.pods.insert((PodName { namespace, name, uid: None, cluster }, interface, network), container);
                Ok(())
            }
            Some(Named::Slot(slot)) => {
                let address = std::str::from_utf8(&entry.value).ok().and_then(|text| text.parse().ok());
                self.slots.insert(slot, address);
                Ok(())
            }
            Some(Named::Cursor) => Ok(()),
            None => {
                self.found.push(Disagreement::Foreign(key.clone()));
                Ok(())
            }
        };
        self.found.extend(read.err().map(|error| match error {
            StoreError::Damaged { key, what } => Disagreement::Damaged { key, what },
            error => Disagreement::Damaged { key, what: error.to_string() },
        }));
    }

    fn compare(&mut self) -> Vec<Disagreement> {
        let mut found = std::mem::take(&mut self.found);
        for claim in self.claims.values() {
            found.extend(self.addresses_of(claim));
            found.extend(self.node_of(claim));
            found.extend(self.ceded_by(claim));
            found.extend(self.former_of(claim));
        }
        let listed = |held: &Allocation| {
            let claim = self.claims.get(&held.attachment);
            claim.is_some_and(|claim| claim.addresses.iter().any(|listed| listed.address == held.address))
        };
        found.extend(self.addresses.values().filter(|held| !listed(held)).map(|held| {
            Disagreement::AddressWithoutClaim { address: held.address, attachment: held.attachment.clone() }
        }));
        found.extend(self.stale_indexes());
        found.extend(self.holds());
        found.extend(self.slots());
        found
    }

    fn addresses_of<'a>(&'a self, claim: &'a Claim) -> impl Iterator<Item = Disagreement> + 'a {
        claim.allocations().filter_map(|expected| {
            let address = expected.address;
            let found = match self.addresses.get(&address) {
                Some(held) if *held == expected => return None,
                Some(held) if held.attachment == expected.attachment => "says something else".to_owned(),
                Some(held) => format!("is about {}", held.attachment),
                None => "is missing".to_owned(),
            };
            Some(Disagreement::ClaimWithoutAddress { attachment: expected.attachment, address, found })
        })
    }

    /// Whether what a claim ceded is where it says.
    fn ceded_by(&self, claim: &Claim) -> Vec<Disagreement> {
        let mut found = Vec::new();
        for Ceded { assignment, to } in &claim.ceded {
            let address = assignment.address;
            let holder = self.addresses.get(&address).map(|held| &held.attachment);
            let why = match holder {
                Some(holder) if *holder == to.attachment => continue,
                Some(holder) => format!("is held by {holder}"),
                None => "is not held".to_owned(),
            };
            let (attachment, to) = (claim.attachment.clone(), to.attachment.clone());
            found.push(Disagreement::Ceded { attachment, address, to, found: why });
        }
        found
    }

    /// Whether a claim names exactly those who ceded its addresses.
    fn former_of(&self, claim: &Claim) -> Vec<Disagreement> {
        let wanted = self.former_wanted(claim);
        let differs = |address: &&IpAddr| {
            let named = claim.former.get(*address).map(|party| &party.attachment);
            named != wanted.get(*address).map(|party| &party.attachment)
        };
        let addresses: BTreeSet<&IpAddr> = claim.former.keys().chain(wanted.keys()).collect();
        let mut found = Vec::new();
        for address in addresses.into_iter().filter(differs) {
            let why = match wanted.get(address) {
                Some(former) => format!("does not name {}, which ceded it", former.attachment),
                None => "names an attachment that did not cede it".to_owned(),
            };
            let attachment = claim.attachment.clone();
            found.push(Disagreement::Former { attachment, address: *address, found: why });
        }
        found
    }

    /// Who ceded an address of the claim, by their own claims: of several, whoever held it first.
    pub(super) fn former_wanted(&self, claim: &Claim) -> BTreeMap<IpAddr, Party> {
        let mut former: BTreeMap<IpAddr, Party> = BTreeMap::new();
        for address in claim.addresses() {
            let Some(cedents) = self.cedents.get(&address) else { continue };
            let others = cedents.iter().filter(|cedent| **cedent != claim.attachment);
            let parties = others.filter_map(|cedent| self.claims.get(cedent)).map(Claim::party);
            former.extend(parties.min_by_key(|party| party.since).map(|party| (address, party)));
        }
        former
    }

    /// The index of pods may miss a claim: it had pointed at a newer attachment of that name, which is gone by now.
    fn node_of(&self, claim: &Claim) -> Option<Disagreement> {
        let Claim { attachment, node, machine, .. } = claim;
        let listed = self.nodes.contains(&(attachment.clone(), node.clone(), machine.clone()));
        (!listed).then(|| Disagreement::MissingFromNode { attachment: attachment.clone(), node: node.clone() })
    }

    fn stale_indexes(&self) -> Vec<Disagreement> {
        let mut found = Vec::new();
        for (attachment, node, machine) in &self.nodes {
            let claim = self.claims.get(attachment);
            if claim.is_none_or(|claim| claim.node != *node || claim.machine != *machine) {
                let (attachment, node, machine) = (attachment.clone(), node.clone(), machine.clone());
                found.push(Disagreement::StaleNode { attachment, node, machine });
            }
        }
        for ((pod, interface, network), container) in &self.pods {
            let attachment =
                Attachment { network: network.clone(), container: container.clone(), interface: interface.clone() };
            let known = self.claims.get(&attachment).and_then(|claim| claim.pod.clone());
            if known.is_none_or(|known| PodName { uid: None, ..known } != *pod) {
                found.push(Disagreement::StalePod { pod: pod.clone(), attachment });
            }
        }
        found
    }

    fn holds(&self) -> Vec<Disagreement> {
        let mut found = Vec::new();
        for (address, kept) in &self.kept {
            if self.addresses.contains_key(address) {
                found.push(Disagreement::HeldAndKept(*address));
            }
            if let Some(identity) = &kept.identity {
                let indexed = self.identities.get(&(*address, identity.clone()));
                if indexed != Some(kept) {
                    found.push(Disagreement::Identity { address: *address, identity: identity.clone() });
                }
            }
        }
        for (address, kept) in &self.kept {
            if self.expiries.get(&(*address, seconds_until(kept.until))) != Some(kept) {
                found.push(Disagreement::Expiry(*address));
            }
        }
        for (address, seconds) in self.expiries.keys() {
            let kept = self.kept.get(address);
            if kept.is_none_or(|kept| seconds_until(kept.until) != *seconds) {
                found.push(Disagreement::Expiry(*address));
            }
        }
        let is_kept_for = |(address, identity): &&(IpAddr, String)| {
            self.kept.get(address).is_some_and(|kept| kept.identity.as_ref() == Some(identity))
        };
        let unknown = self.identities.keys().filter(|key| !is_kept_for(key));
        found.extend(
            unknown.map(|(address, identity)| Disagreement::Identity { address: *address, identity: identity.clone() }),
        );
        found
    }

    /// The addresses that have each slot, by their own record or by a claim's.
    pub(super) fn slots_had(&self) -> BTreeMap<&Slot, BTreeSet<IpAddr>> {
        let mut had: BTreeMap<&Slot, BTreeSet<IpAddr>> = BTreeMap::new();
        let held = self.addresses.values().map(|held| (&held.slot, held.address));
        let claimed = self.claims.values().flat_map(|claim| {
            let ceded = claim.ceded.iter().map(|ceded| &ceded.assignment);
            claim.addresses.iter().chain(ceded).map(|assignment| (&assignment.slot, assignment.address))
        });
        for (slot, address) in held.chain(claimed) {
            if let Some(slot) = slot {
                had.entry(slot).or_default().insert(address);
            }
        }
        had
    }

    fn slots(&self) -> Vec<Disagreement> {
        let had = self.slots_had();
        let wrong = |slot: &Slot, address: &Option<IpAddr>| match address {
            None => Some("is taken, but the record of its address cannot be read".to_owned()),
            Some(address) if had.get(slot).is_some_and(|addresses| addresses.contains(address)) => None,
            Some(address) => Some(format!("is taken for {address}, which does not have it")),
        };
        let taken = self.slots.iter().filter_map(|(slot, address)| Some((slot, wrong(slot, address)?)));
        let free = had.keys().filter(|slot| !self.slots.contains_key(slot));
        let free = free.map(|slot| (*slot, "belongs to an address but is not taken".to_owned()));
        taken.chain(free).map(|(slot, found)| Disagreement::Slot { slot: slot.clone(), found }).collect()
    }
}
