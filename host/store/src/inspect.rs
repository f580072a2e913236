//! The proof that the indexes agree, or each place where they do not.

mod around;
mod disagreement;
mod ledger;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::Store;
use super::error::StoreError;
use super::keys::{Keys, Named, node_digest, pod_digest, seconds_until};
use super::ordered::Entry;
use super::record::{Hold, Keyed, Seen, address_in_value};
use super::repair::InUse;
pub use disagreement::Disagreement;
use ipam::{Allocation, Attachment, Ceded, Claim, Party, Slot};
use ledger::Ledger;

impl Store {
    /// Read everything at one moment and compare. Empty when everything agrees.
    pub async fn inspect(&self) -> Result<Vec<Disagreement>, StoreError> {
        let (_, found) = self.disagreements(&InUse::new()).await?;
        Ok(found)
    }

    /// How many records there are to compare.
    pub async fn count_records(&self) -> Result<u64, StoreError> {
        let mut batch = self.batch();
        let records = batch.count(self.keys.everything());
        Ok(self.read_now(batch).await?.count(records))
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
                for entry in &page {
                    ledger.enter(entry);
                }
            }
            let mut suspects = ledger.close();
            let mut entries = std::mem::take(&mut suspects.themselves);
            if suspects.are_unnamed() {
                let mut pages = self.pages(self.keys.everything());
                while let Some(page) = pages.next(&mut view).await? {
                    for entry in page {
                        if suspects.include(&entry) {
                            entries.insert(entry.key, Some(entry.value));
                        }
                    }
                }
            }
            // A suspect alone proves nothing: it is compared with all that it names and all that could name it.
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
    /// By attachment, digest of the node's name, and machine.
    pub(super) nodes: BTreeSet<(Attachment, String, String)>,
    /// By digest of the pod, interface and network: the container it points at.
    pods: BTreeMap<(String, String, String), String>,
    pub(super) holds: BTreeMap<IpAddr, Hold>,
    pub(super) identities: BTreeMap<(IpAddr, String), Hold>,
    /// By address and the second at which the hold ends.
    pub(super) expiries: BTreeMap<(IpAddr, u64), Hold>,
    /// Every key of the index of when holds end, readable or not, by its address.
    pub(super) expiry_keys: BTreeMap<IpAddr, Vec<String>>,
    /// The address that each slot is taken for; `None` where that cannot be read.
    slots: BTreeMap<Slot, Option<IpAddr>>,
    found: Vec<Disagreement>,
}

/// A record, if it can be read and is of its key.
fn readable<T: Keyed>(named: &Named, value: &[u8]) -> Option<T> {
    T::read(named, value).ok()
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
        let Some(named) = keys.named(&key) else {
            self.found.push(Disagreement::Foreign(key));
            return;
        };
        match self.add_named(keys, named, entry) {
            Ok(()) => {}
            Err(StoreError::Damaged { key, what }) => self.found.push(Disagreement::Damaged { key, what }),
            Err(error) => self.found.push(Disagreement::Damaged { key, what: error.to_string() }),
        }
    }

    fn add_named(&mut self, keys: &Keys, named: Named, entry: Entry) -> Result<(), StoreError> {
        match named {
            Named::Address(address) => {
                self.addresses.insert(address, Seen::parse(keys, entry)?.record);
            }
            Named::Attachment(attachment) => {
                let claim = Seen::<Claim>::parse(keys, entry)?.record;
                for ceded in &claim.ceded {
                    self.cedents.entry(ceded.assignment.address).or_default().push(attachment.clone());
                }
                self.claims.insert(attachment, claim);
            }
            Named::Hold(address) => {
                self.holds.insert(address, Seen::parse(keys, entry)?.record);
            }
            Named::Identity { identity, address } => {
                self.identities.insert((address, identity), Seen::parse(keys, entry)?.record);
            }
            Named::Expiry { seconds, address } => {
                // Before it is parsed: a repair deletes the key of an entry that cannot be read as well.
                self.expiry_keys.entry(address).or_default().push(entry.key.clone());
                self.expiries.insert((address, seconds), Seen::parse(keys, entry)?.record);
            }
            Named::Node { node, machine, attachment } => {
                self.nodes.insert((attachment, node, machine));
            }
            Named::Pod { pod, interface, network } => {
                let container = String::from_utf8_lossy(&entry.value).into_owned();
                self.pods.insert((pod, interface, network), container);
            }
            Named::Slot(slot) => {
                self.slots.insert(slot, address_in_value(&entry.value));
            }
            Named::Cursor | Named::Full => {}
        }
        Ok(())
    }

    fn compare(&mut self) -> Vec<Disagreement> {
        let mut found = std::mem::take(&mut self.found);
        for claim in self.claims.values() {
            found.extend(self.compare_addresses(claim));
            found.extend(self.compare_node(claim));
            found.extend(self.compare_ceded(claim));
            found.extend(self.compare_former(claim));
        }
        found.extend(self.compare_claims());
        found.extend(self.compare_indexes());
        found.extend(self.compare_holds());
        found.extend(self.compare_slots());
        found
    }

    /// Whether the record of each address of a claim is what the claim says.
    fn compare_addresses(&self, claim: &Claim) -> Vec<Disagreement> {
        let mut found = Vec::new();
        for expected in claim.allocations() {
            let address = expected.address;
            let why = match self.addresses.get(&address) {
                Some(held) if *held == expected => continue,
                Some(held) if held.attachment == expected.attachment => "says something else".to_owned(),
                Some(held) => format!("is about {}", held.attachment),
                None => "is missing".to_owned(),
            };
            found.push(Disagreement::ClaimWithoutAddress { attachment: expected.attachment, address, found: why });
        }
        found
    }

    /// Whether each address that is held is in the claim of its holder.
    fn compare_claims(&self) -> Vec<Disagreement> {
        let mut found = Vec::new();
        for Allocation { address, attachment, .. } in self.addresses.values() {
            let claim = self.claims.get(attachment);
            if claim.is_none_or(|claim| claim.addresses().all(|listed| listed != *address)) {
                found.push(Disagreement::AddressWithoutClaim { address: *address, attachment: attachment.clone() });
            }
        }
        found
    }

    /// Whether what a claim ceded is where it says.
    fn compare_ceded(&self, claim: &Claim) -> Vec<Disagreement> {
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
    fn compare_former(&self, claim: &Claim) -> Vec<Disagreement> {
        let wanted = self.former_wanted(claim);
        let addresses: BTreeSet<&IpAddr> = claim.former.keys().chain(wanted.keys()).collect();
        let mut found = Vec::new();
        for address in addresses {
            let why = match (wanted.get(address), claim.former.get(address)) {
                (Some(former), Some(named)) if former.attachment == named.attachment => continue,
                (Some(former), _) => format!("does not name {}, which ceded it", former.attachment),
                (None, _) => "names an attachment that did not cede it".to_owned(),
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
            let claims = others.filter_map(|cedent| self.claims.get(cedent));
            if let Some(first) = claims.min_by_key(|claim| claim.since) {
                former.insert(address, first.party());
            }
        }
        former
    }

    /// The index of its node has every claim. That of pods may miss one: it had pointed at a newer attachment of that
    /// name, which is gone by now.
    fn compare_node(&self, claim: &Claim) -> Option<Disagreement> {
        let Claim { attachment, node, machine, .. } = claim;
        if self.nodes.contains(&(attachment.clone(), node_digest(node), machine.clone())) {
            return None;
        }
        Some(Disagreement::MissingFromNode { attachment: attachment.clone(), node: node.clone() })
    }

    /// Whether each entry of the indexes of nodes and pods points at a claim of that node or pod.
    fn compare_indexes(&self) -> Vec<Disagreement> {
        let mut found = Vec::new();
        for (attachment, node, machine) in &self.nodes {
            let claim = self.claims.get(attachment);
            if claim.is_none_or(|claim| node_digest(&claim.node) != *node || claim.machine != *machine) {
                let (attachment, node, machine) = (attachment.clone(), node.clone(), machine.clone());
                found.push(Disagreement::StaleNode { attachment, node, machine });
            }
        }
        for ((pod, interface, network), container) in &self.pods {
            let attachment =
                Attachment { network: network.clone(), container: container.clone(), interface: interface.clone() };
            let known = self.claims.get(&attachment).and_then(|claim| claim.pod.clone());
            if known.is_none_or(|known| pod_digest(&known) != *pod) {
                found.push(Disagreement::StalePod { pod: pod.clone(), attachment });
            }
        }
        found
    }

    /// Whether each hold has its two indexes, and the indexes have nothing else.
    fn compare_holds(&self) -> Vec<Disagreement> {
        let mut found = Vec::new();
        for (address, hold) in &self.holds {
            if self.addresses.contains_key(address) {
                found.push(Disagreement::HeldAndOnHold(*address));
            }
            if let Some(identity) = &hold.identity
                && self.identities.get(&(*address, identity.clone())) != Some(hold)
            {
                found.push(Disagreement::Identity { address: *address, identity: identity.clone() });
            }
        }
        for (address, hold) in &self.holds {
            if self.expiries.get(&(*address, seconds_until(hold.until))) != Some(hold) {
                found.push(Disagreement::Expiry(*address));
            }
        }
        for (address, seconds) in self.expiries.keys() {
            let hold = self.holds.get(address);
            if hold.is_none_or(|hold| seconds_until(hold.until) != *seconds) {
                found.push(Disagreement::Expiry(*address));
            }
        }
        for (address, identity) in self.identities.keys() {
            let hold = self.holds.get(address);
            if hold.is_none_or(|hold| hold.identity.as_ref() != Some(identity)) {
                found.push(Disagreement::Identity { address: *address, identity: identity.clone() });
            }
        }
        found
    }

    /// The addresses that have each slot, by their own record or by a claim's.
    pub(super) fn slots_had(&self) -> BTreeMap<&Slot, BTreeSet<IpAddr>> {
        let mut had: BTreeMap<&Slot, BTreeSet<IpAddr>> = BTreeMap::new();
        for held in self.addresses.values() {
            if let Some(slot) = &held.slot {
                had.entry(slot).or_default().insert(held.address);
            }
        }
        for claim in self.claims.values() {
            for assignment in claim.assignments() {
                if let Some(slot) = &assignment.slot {
                    had.entry(slot).or_default().insert(assignment.address);
                }
            }
        }
        had
    }

    fn compare_slots(&self) -> Vec<Disagreement> {
        let had = self.slots_had();
        let mut found = Vec::new();
        for (slot, address) in &self.slots {
            let why = match address {
                Some(address) if had.get(slot).is_some_and(|addresses| addresses.contains(address)) => continue,
                Some(address) => format!("is taken for {address}, which does not have it"),
                None => "is taken, but the record of its address cannot be read".to_owned(),
            };
            found.push(Disagreement::Slot { slot: slot.clone(), found: why });
        }
        for slot in had.into_keys() {
            if !self.slots.contains_key(slot) {
                let why = "belongs to an address but is not taken".to_owned();
                found.push(Disagreement::Slot { slot: slot.clone(), found: why });
            }
        }
        found
    }
}
