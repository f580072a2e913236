//! The repair of a hold with its two indexes: of identities, and of when holds end.

use std::net::IpAddr;

use super::draft::RepairDraft;
use super::plan::RepairPlan;
use crate::inspect::Disagreement;
use crate::keys::{Named, seconds_until};
use crate::record::{Hold, encode};

impl RepairPlan<'_> {
    pub(super) fn repair_hold(
        &self,
        address: IpAddr,
        held: bool,
        disagreements: &[Disagreement],
        draft: &mut RepairDraft,
    ) {
        // An address that is held, or is about to be, is not on hold.
        let wanted = if held { None } else { self.wanted_hold(address) };
        let key = self.keys.hold(address);
        match wanted {
            None => draft.delete(key, format!("end the hold of {address}")),
            Some(hold) if self.all.holds.get(&address) != Some(hold) => {
                let from = if hold.reservation.is_some() { "reservations" } else { "its identity" };
                draft.put(key, encode(hold), format!("write the hold of {address} from the index of {from}"));
            }
            Some(_) => {}
        }
        self.repair_expiry(address, wanted, draft);
        let identity = wanted.and_then(|hold| hold.identity.as_ref());
        for listed in self.identities_of(address, disagreements) {
            if Some(&listed) != identity {
                let words = format!("take {address} off the index of {listed:?}");
                draft.delete(self.keys.identity(&listed, address), words);
            }
        }
        let (Some(hold), Some(identity)) = (wanted, identity) else { return };
        if self.all.identities.get(&(address, identity.clone())) != Some(hold) {
            let words = format!("list {address} in the index of {identity:?}");
            draft.put(self.keys.identity(identity, address), encode(hold), words);
        }
    }

    fn repair_expiry(&self, address: IpAddr, wanted: Option<&Hold>, draft: &mut RepairDraft) {
        let right = wanted.map(|hold| self.keys.expiry(hold.until, address));
        let listed = self.all.expiry_keys.get(&address).into_iter().flatten();
        for stale in listed.filter(|key| Some(*key) != right.as_ref()) {
            draft.delete(stale.clone(), format!("take {address} off the index of when holds end"));
        }
        let (Some(hold), Some(key)) = (wanted, right) else { return };
        if self.all.bytes.get(&key) != Some(&encode(hold)) {
            draft.put(key, encode(hold), format!("list {address} in the index of when holds end"));
        }
    }

    /// The hold as it is, or, where nobody can read it, as the index of reservations or that of identities has it.
    pub(super) fn wanted_hold(&self, address: IpAddr) -> Option<&Hold> {
        if let Some(hold) = self.all.holds.get(&address) {
            return Some(hold);
        }
        // What is listed as reserved stays so, whether its record is damaged or gone: an operator ends reservations.
        let listed = self.all.expiries.get(&(address, seconds_until(Hold::NEVER)));
        if let Some(reserved) = listed.filter(|hold| hold.reservation.is_some()) {
            return Some(reserved);
        }
        // An index without any record under the address is left over from a hold that ended.
        if !self.all.bytes.contains_key(&self.keys.hold(address)) {
            return None;
        }
        self.identities_in(address).map(|(_, hold)| hold).max_by_key(|hold| hold.until)
    }

    /// The identities whose index has an entry for the address, readable or damaged.
    fn identities_of(&self, address: IpAddr, disagreements: &[Disagreement]) -> Vec<String> {
        let mut identities: Vec<String> = self.identities_in(address).map(|(identity, _)| identity.clone()).collect();
        for disagreement in disagreements {
            let Disagreement::Damaged { key, .. } = disagreement else { continue };
            if let Some(Named::Identity { identity, address: listed }) = self.keys.named(key)
                && listed == address
            {
                identities.push(identity);
            }
        }
        identities
    }

    fn identities_in(&self, address: IpAddr) -> impl Iterator<Item = (&String, &Hold)> {
        let from_here = self.all.identities.range((address, String::new())..);
        let here = from_here.take_while(move |((known, _), _)| *known == address);
        here.map(|((_, identity), hold)| (identity, hold))
    }
}
