//! The races an ADD lost: whose fault is it that they do not end?

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::verbs::Error;
use ipam::{PolicyName, Proposal};
use limits::ATTEMPTS;
use store::Look;

/// What was lost so far.
#[derive(Default)]
pub struct Races {
    /// What was proposed first, and since then again and again.
    named: BTreeSet<IpAddr>,
    /// How often in a row nothing else was proposed, although all of it was seen to be held.
    stubborn: u32,
}

impl Races {
    /// One more, and the look that was taken after it.
    pub fn lost(&mut self, proposals: Vec<Proposal>, look: &Look) {
        let possible = proposals.iter().any(|proposal| proposal.iter().all(|one| look.may_be_claimed(one)));
        // A policy may well propose what was just lost, once: it is told who has it, and may know that it comes free. Only one
        // that proposes nothing else, seeing all of it held, at every attempt, is to blame.
        let named = contested(&proposals).into_iter().collect();
        if self.stubborn == 0 {
            self.named = named;
            self.stubborn = u32::from(!possible);
        } else {
            self.stubborn = if !possible && named.is_subset(&self.named) { self.stubborn + 1 } else { 0 };
        }
    }

    /// Others are faster every time, or the policy does not look.
    pub fn given_up(self, policy: &PolicyName, network: &str) -> Error {
        match self.stubborn {
            ATTEMPTS => {
                let addresses = self.named.into_iter().collect();
                Error::Repetitive { policy: policy.name.clone(), attempts: ATTEMPTS, addresses }
            }
            _ => Error::Contended { network: network.to_owned(), attempts: ATTEMPTS },
        }
    }
}

/// The addresses of proposals that lost their race: whoever holds them now is worth knowing.
pub fn contested(lost: &[Proposal]) -> Vec<IpAddr> {
    lost.iter().flatten().map(|assignment| assignment.address).collect()
}
