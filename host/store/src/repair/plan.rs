//! From disagreements to repairs: those about one attachment, or about one hold, are repaired together.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::draft::RepairDraft;
use super::{InUse, Repair};
use crate::inspect::{Disagreement, Everything};
use crate::keys::{Keys, Named, node_digest, pod_digest};
use crate::record::encode;
use ipam::{Allocation, Assignment, Attachment, Claim, RangeSets, Slot};

/// What disagreements have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject {
    /// A claim, its addresses and its indexes.
    Attachment(Attachment),
    /// The hold of an address, with its indexes.
    Hold(IpAddr),
    /// A slot, which several claims may name.
    Slot(Slot),
    /// A key that nothing readable explains.
    Unexplained(String),
}

pub(super) struct RepairPlan<'a> {
    pub(super) keys: &'a Keys,
    pub(super) all: &'a Everything,
    range_sets: &'a RangeSets,
    pub(super) in_use: &'a InUse,
    /// The attachment that claims an address: of several the one that uses it, else the one that claimed first.
    claimed_by: BTreeMap<IpAddr, &'a Attachment>,
    /// The readable records of addresses, by their holders.
    held_by: BTreeMap<&'a Attachment, Vec<&'a Allocation>>,
    /// The claims of each name of a pod in a cluster, by its digest.
    claims_of: BTreeMap<String, Vec<&'a Claim>>,
    /// The addresses that have each slot.
    slots_had: BTreeMap<&'a Slot, BTreeSet<IpAddr>>,
}

impl<'a> RepairPlan<'a> {
    pub(super) fn new(keys: &'a Keys, all: &'a Everything, range_sets: &'a RangeSets, in_use: &'a InUse) -> Self {
        let mut claims: Vec<&Claim> = all.claims.values().collect();
        claims.sort_by_key(|claim| claim.since);
        let mut claimed_by = BTreeMap::new();
        for claim in claims {
            for address in claim.addresses() {
                let first = claimed_by.entry(address).or_insert(&claim.attachment);
                if !uses(in_use, first, address) && uses(in_use, &claim.attachment, address) {
                    *first = &claim.attachment;
                }
            }
        }
        let mut held_by: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for held in all.addresses.values() {
            held_by.entry(&held.attachment).or_default().push(held);
        }
        let mut claims_of: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for claim in all.claims.values() {
            if let Some(pod) = &claim.pod {
                claims_of.entry(pod_digest(pod)).or_default().push(claim);
            }
        }
        Self { keys, all, range_sets, in_use, claimed_by, held_by, claims_of, slots_had: all.slots_had() }
    }

    pub(super) fn repairs(&self, found: Vec<Disagreement>) -> Vec<Repair> {
        let mut subjects: BTreeMap<Subject, Vec<Disagreement>> = BTreeMap::new();
        for disagreement in found {
            subjects.entry(self.subject(&disagreement)).or_default().push(disagreement);
        }
        subjects.into_iter().map(|(subject, disagreements)| self.repair(subject, disagreements)).collect()
    }

    fn subject(&self, disagreement: &Disagreement) -> Subject {
        match disagreement {
            Disagreement::Foreign(key) => Subject::Unexplained(key.clone()),
            Disagreement::Damaged { key, .. } => self.subject_of_damage(key),
            Disagreement::ClaimWithoutAddress { attachment, .. }
            | Disagreement::AddressWithoutClaim { attachment, .. }
            | Disagreement::Ceded { attachment, .. }
            | Disagreement::Former { attachment, .. }
            | Disagreement::MissingFromNode { attachment, .. }
            | Disagreement::StaleNode { attachment, .. }
            | Disagreement::StalePod { attachment, .. } => Subject::Attachment(attachment.clone()),
            Disagreement::HeldAndOnHold(address)
            | Disagreement::Expiry(address)
            | Disagreement::Identity { address, .. } => self.subject_of_hold(*address),
            Disagreement::Slot { slot, .. } => Subject::Slot(slot.clone()),
        }
    }

    fn subject_of_damage(&self, key: &str) -> Subject {
        match self.keys.named(key) {
            Some(Named::Attachment(attachment)) => Subject::Attachment(attachment),
            Some(Named::Hold(address) | Named::Identity { address, .. } | Named::Expiry { address, .. }) => {
                self.subject_of_hold(address)
            }
            // The claim says what the record was; without one nothing tells whether a container uses the address.
            Some(Named::Address(address)) => match self.claimed_by.get(&address) {
                Some(attachment) => Subject::Attachment((*attachment).clone()),
                None => Subject::Unexplained(key.to_owned()),
            },
            _ => Subject::Unexplained(key.to_owned()),
        }
    }

    /// The hold of an address that is about to be held again ends in the same transaction.
    fn subject_of_hold(&self, address: IpAddr) -> Subject {
        match self.claimed_by.get(&address) {
            Some(attachment) if !self.all.addresses.contains_key(&address) => {
                Subject::Attachment((*attachment).clone())
            }
            _ => Subject::Hold(address),
        }
    }

    fn repair(&self, subject: Subject, disagreements: Vec<Disagreement>) -> Repair {
        if let Some(why) = self.left_because(&subject) {
            return RepairDraft::leave(disagreements, why);
        }
        let mut draft = RepairDraft::new(self.all);
        match &subject {
            Subject::Attachment(attachment) => self.repair_attachment(attachment, &disagreements, &mut draft),
            Subject::Hold(address) => {
                let held = self.all.bytes.contains_key(&self.keys.address(*address));
                self.repair_hold(*address, held, &disagreements, &mut draft);
                draft.fence(self.keys.hold(*address));
                draft.fence(self.keys.address(*address));
            }
            Subject::Slot(slot) => self.repair_slot(slot, &mut draft),
            Subject::Unexplained(key) => match self.keys.named(key) {
                Some(Named::Address(address)) => {
                    draft.delete(key.clone(), format!("free {address}: be sure that no container uses it"));
                    draft.unmark(self.keys, address);
                }
                _ => draft.delete(key.clone(), format!("delete {key}")),
            },
        }
        draft.finish(disagreements, matches!(subject, Subject::Unexplained(_)))
    }

    fn repair_attachment(&self, attachment: &Attachment, disagreements: &[Disagreement], draft: &mut RepairDraft) {
        let found = self.all.claims.get(attachment);
        let wanted = self.wanted_claim(attachment);
        match &wanted {
            Some(claim) => self.repair_claim(claim, disagreements, draft),
            None => {
                draft.delete(
                    self.keys.attachment(attachment),
                    format!("end the claim of {attachment}, which holds nothing"),
                );
                self.leave_indexes(attachment, found, draft);
            }
        }
        for disagreement in disagreements {
            self.repair_index(disagreement, wanted.as_ref(), draft);
        }
        draft.fence(self.keys.attachment(attachment));
        let remaining = wanted.iter().flat_map(|claim| &claim.addresses);
        // Not a missing address that is lost to another claim: that one's repair may come first.
        let listed = found.into_iter().flat_map(|claim| &claim.addresses);
        let lost = listed.filter(|assignment| self.all.addresses.contains_key(&assignment.address));
        for assignment in remaining.chain(lost) {
            draft.fence(self.keys.address(assignment.address));
        }
    }

    /// What the attachment's claim should be: every address whose record is its own, and those it alone claims.
    pub(super) fn wanted_claim(&self, attachment: &Attachment) -> Option<Claim> {
        let held = self.held_by.get(attachment).map(Vec::as_slice).unwrap_or_default();
        let mut claim = match self.all.claims.get(attachment) {
            Some(claim) => claim.clone(),
            None => Claim::empty_like(held.first()?),
        };
        claim.addresses.retain(|assignment| self.holder(assignment.address) == Some(attachment));
        for held in held {
            if !claim.addresses.iter().any(|listed| listed.address == held.address) {
                let assignment = Assignment::in_range_of(self.range_sets, held.address);
                let (hold, slot) = (held.hold.clone(), held.slot.clone());
                claim.addresses.push(Assignment { kind: held.kind, hold, slot, why: held.why, ..assignment });
            }
        }
        self.settle_ceded(&mut claim);
        claim.former = self.all.former_wanted(&claim);
        (!claim.is_over()).then_some(claim)
    }

    /// What a living pod ceded is with whoever holds the address now; where nobody does, it is the pod's again.
    fn settle_ceded(&self, claim: &mut Claim) {
        for mut ceded in std::mem::take(&mut claim.ceded) {
            let address = ceded.assignment.address;
            let Some(holder) = self.holder(address) else {
                claim.addresses.push(ceded.assignment);
                continue;
            };
            if claim.addresses.iter().any(|held| held.address == address) {
                continue;
            }
            // The record is what uniqueness rests on; where it is damaged, the holder's claim says as much.
            if let Some(held) = self.all.addresses.get(&address) {
                ceded.to = held.party();
            } else if let Some(claim) = self.all.claims.get(holder) {
                ceded.to = claim.party();
            }
            claim.ceded.push(ceded);
        }
    }

    pub(super) fn holder(&self, address: IpAddr) -> Option<&Attachment> {
        let recorded = self.all.addresses.get(&address).map(|held| &held.attachment);
        recorded.or_else(|| self.claimed_by.get(&address).copied())
    }

    fn repair_claim(&self, claim: &Claim, disagreements: &[Disagreement], draft: &mut RepairDraft) {
        let Claim { attachment, node, machine, .. } = claim;
        let found = self.all.claims.get(attachment);
        if found != Some(claim) {
            let addresses: Vec<String> = claim.addresses.iter().map(|listed| listed.address.to_string()).collect();
            let words = format!("let the claim of {attachment} list {}", addresses.join(", "));
            draft.put(self.keys.attachment(attachment), encode(claim), words);
        }
        for held in claim.allocations() {
            let address = held.address;
            if self.all.addresses.get(&address) != Some(&held) {
                draft.put(
                    self.keys.address(address),
                    encode(&held),
                    format!("write the record of {address} from the claim"),
                );
                self.repair_hold(address, true, disagreements, draft);
            }
        }
        if !self.all.nodes.contains(&(attachment.clone(), node_digest(node), machine.clone())) {
            draft.put(self.keys.node_of(claim), "", format!("list it in the index of node {node:?}"));
        }
        let (Some(pod), None) = (&claim.pod, found) else { return };
        let index = self.keys.pod(pod, attachment);
        // Whatever the index of pods points at, it is newer than a claim that is only written again.
        if !self.all.bytes.contains_key(&index) {
            draft.put(index, attachment.container.as_str(), "let its pod's index point at it".to_owned());
        }
    }

    /// A claim that ends leaves the indexes that still lead to it.
    fn leave_indexes(&self, attachment: &Attachment, found: Option<&Claim>, draft: &mut RepairDraft) {
        let Some(claim @ Claim { node, pod, .. }) = found else { return };
        draft.delete(self.keys.node_of(claim), format!("take it off the index of node {node:?}"));
        let Some(pod) = pod else { return };
        let index = self.keys.pod(pod, attachment);
        if self.all.bytes.get(&index).is_some_and(|container| *container == attachment.container.as_bytes()) {
            draft.delete(index, "take it off its pod's index".to_owned());
        }
    }

    fn repair_index(&self, disagreement: &Disagreement, wanted: Option<&Claim>, draft: &mut RepairDraft) {
        match disagreement {
            Disagreement::StaleNode { node, machine, attachment }
                if wanted.is_none_or(|claim| node_digest(&claim.node) != *node || claim.machine != *machine) =>
            {
                draft.delete(
                    self.keys.node_at(node, machine, attachment),
                    format!("take it off the index of nodes under {node}/{machine}"),
                );
            }
            Disagreement::StalePod { pod, attachment } if wanted.is_none_or(|claim| !is_of(claim, pod)) => {
                self.repair_pod(pod, attachment, draft);
            }
            _ => {}
        }
    }

    /// Let a pod's index point at the newest claim there is, or go.
    fn repair_pod(&self, pod: &str, stale: &Attachment, draft: &mut RepairDraft) {
        let index = self.keys.pod_at(pod, stale);
        let claims = self.claims_of.get(pod).map(Vec::as_slice).unwrap_or_default();
        let of_interface = claims
            .iter()
            .filter(|claim| claim.attachment.network == stale.network && claim.attachment.interface == stale.interface);
        match of_interface.max_by_key(|claim| claim.since) {
            Some(newest) => {
                let container = newest.attachment.container.as_str();
                draft.put(
                    index,
                    container,
                    format!("let the index of pods point at container {container} under {pod}"),
                );
                draft.fence(self.keys.attachment(&newest.attachment));
            }
            None => draft.delete(index, format!("take {pod} off the index of pods")),
        }
    }

    /// Let a slot be taken for the address that has it, as long as that is held; give it back where none has it.
    fn repair_slot(&self, slot: &Slot, draft: &mut RepairDraft) {
        let key = self.keys.slot(slot);
        let Some(address) = self.slots_had.get(slot).and_then(BTreeSet::first).copied() else {
            return draft.delete(key, format!("give back {slot}"));
        };
        draft.put(key, address.to_string(), format!("let {slot} be taken for {address}"));
        draft.fence(self.keys.address(address));
        for claim in self.all.claims.values() {
            if claim.slots().any(|taken| taken == slot) {
                draft.fence(self.keys.attachment(&claim.attachment));
            }
        }
    }
}

fn uses(in_use: &InUse, attachment: &Attachment, address: IpAddr) -> bool {
    in_use.get(attachment).is_some_and(|used| used.contains(&address))
}

fn is_of(claim: &Claim, pod: &str) -> bool {
    claim.pod.as_ref().is_some_and(|other| pod_digest(other) == pod)
}
