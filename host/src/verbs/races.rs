//! The races an ADD lost: whose fault is it that there is no end to them?

use super::Error;
use super::decide::contested;
use crate::ipam::{PolicyName, Proposal};
use crate::limits::ATTEMPTS;
use crate::store::Look;
use crate::store::ordered::View;

/// What was lost so far.
#[derive(Default)]
pub(crate) struct Races {
    last: Vec<Proposal>,
    /// How often in a row the very same was proposed, although it was seen to be held.
    stubborn: u32,
}

impl Races {
    /// One more, and the look that was taken after it.
    pub(crate) fn lost<V: View>(&mut self, proposals: Vec<Proposal>, look: &Look<V>) {
        let possible = proposals.iter().any(|proposal| proposal.iter().all(|one| look.may_be_claimed(one)));
        let again = self.stubborn == 0 || proposals == self.last;
        self.stubborn = if again && !possible { self.stubborn + 1 } else { 0 };
        self.last = proposals;
    }

    /// Others are faster every time, or the policy does not look.
    pub(crate) fn given_up(self, policy: &PolicyName, network: &str) -> Error {
        match self.stubborn {
            ATTEMPTS => {
                let addresses = contested(&self.last);
                Error::Repetitive { policy: policy.name.clone(), attempts: ATTEMPTS, addresses }
            }
            _ => Error::Contended { network: network.to_owned(), attempts: ATTEMPTS },
        }
    }
}
