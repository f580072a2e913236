//! What no repair touches: what a container that runs would lose.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::plan::{Plan, Subject};
use crate::keys::Named;
use ipam::Attachment;

/// What to do where the container's own result has to be asked.
const RESTORE: &str = "`kube-ipam fsck --containers` on its node shows what it has";

impl Plan<'_> {
    /// Why a repair would take something from a container that runs: an address it uses, or its claim as a whole.
    pub(super) fn left_because(&self, subject: &Subject) -> Option<String> {
        match subject {
            Subject::Attachment(attachment) => self.kept_for(attachment, self.in_use.get(attachment)?),
            Subject::Unexplained(key) => {
                let Some(Named::Address(address)) = self.keys.named(key) else { return None };
                let (user, _) = self.in_use.iter().find(|(_, used)| used.contains(&address))?;
                Some(format!("leave it: {user} runs and uses {address}; {RESTORE}"))
            }
            Subject::Hold(_) | Subject::Slot(_) => None,
        }
    }

    fn kept_for(&self, attachment: &Attachment, used: &BTreeSet<IpAddr>) -> Option<String> {
        let wanted = self.wanted_claim(attachment);
        let keeps = |address: &IpAddr| {
            wanted.as_ref().is_some_and(|claim| {
                let ceded = claim.ceded.iter().map(|ceded| ceded.assignment.address);
                claim.addresses().chain(ceded).any(|kept| kept == *address)
            })
        };
        let has_claim = self.all.bytes.contains_key(&self.keys.attachment(attachment));
        let claimed = self.all.claims.get(attachment);
        let is_lost = |address: &&IpAddr| {
            let listed = claimed.is_none_or(|claim| claim.addresses().any(|listed| listed == **address));
            has_claim && listed && !keeps(address)
        };
        let lost = used.iter().find(is_lost)?;
        let why = match self.holder(*lost) {
            Some(other) => format!("{attachment} runs and uses {lost}, which {other} holds: two may share it"),
            None => format!("{attachment} runs and uses {lost}"),
        };
        Some(format!("leave it: {why}; {RESTORE}"))
    }
}
