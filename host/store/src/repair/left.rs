//! What no repair touches: what a container that runs would lose by it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::plan::{RepairPlan, Subject};
use crate::keys::Named;
use ipam::Attachment;

/// The hint where only the container's own result can tell which addresses it has.
const RESTORE: &str = "`kube-ipam fsck --containers` on its node shows what it has";

impl RepairPlan<'_> {
    /// Why a repair would take something from a container that runs: an address it uses, or its claim as a whole.
    pub(super) fn left_because(&self, subject: &Subject) -> Option<String> {
        match subject {
            Subject::Attachment(attachment) => {
                let reserved = self.claimed_and_reserved(attachment);
                reserved.or_else(|| self.lost_by(attachment, self.in_use.get(attachment)?))
            }
            Subject::Unexplained(key) => {
                let Some(Named::Address(address)) = self.keys.named(key) else { return None };
                let (user, _) = self.in_use.iter().find(|(_, used)| used.contains(&address))?;
                Some(format!("leave it: {user} runs and uses {address}; {RESTORE}"))
            }
            Subject::Hold(address) => self.held_and_reserved(*address),
            Subject::Slot(_) => None,
        }
    }

    /// Why a claim cannot be given an address that it lists: the record of the address is gone or says something else, and it was
    /// reserved meanwhile. To write the record again would end the reservation.
    fn claimed_and_reserved(&self, attachment: &Attachment) -> Option<String> {
        let wanted = self.wanted_claim(attachment)?;
        let mut missing = wanted.allocations().filter(|held| self.all.addresses.get(&held.address) != Some(held));
        missing.find_map(|held| self.held_and_reserved(held.address))
    }

    /// A reservation ends by an operator's word alone, and what is held is not freed: no repair decides between the two.
    fn held_and_reserved(&self, address: IpAddr) -> Option<String> {
        let reservation = self.wanted_hold(address)?.reservation.as_ref()?;
        let holder = self.holder(address)?;
        Some(format!(
            "leave it: {holder} holds {address}, which is {reservation}; `kube-ipam unreserve {address}`, or delete the pod"
        ))
    }

    /// Why an attachment that runs would lose an address it uses; `None` where it would lose none.
    fn lost_by(&self, attachment: &Attachment, used: &BTreeSet<IpAddr>) -> Option<String> {
        // A claim that is missing altogether takes nothing away: whatever is written for it is more than there was.
        if !self.all.bytes.contains_key(&self.keys.attachment(attachment)) {
            return None;
        }
        let wanted = self.wanted_claim(attachment);
        let mut remaining = BTreeSet::new();
        if let Some(claim) = &wanted {
            remaining.extend(claim.assignments().map(|assignment| assignment.address));
        }
        let claimed = self.all.claims.get(attachment);
        for address in used {
            // An address that the claim does not list now is not lost by leaving it out.
            let is_listed = claimed.is_none_or(|claim| claim.addresses().any(|listed| listed == *address));
            if is_listed && !remaining.contains(address) {
                let why = match self.holder(*address) {
                    Some(other) => {
                        format!("{attachment} runs and uses {address}, which {other} holds: two may share it")
                    }
                    None => format!("{attachment} runs and uses {address}"),
                };
                return Some(format!("leave it: {why}; {RESTORE}"));
            }
        }
        None
    }
}
