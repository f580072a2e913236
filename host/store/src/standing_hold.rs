//! Holds as operators see them, and the end of one by hand.

use std::net::IpAddr;

use super::Store;
use super::error::StoreError;
use super::hold::end_hold;
use super::ordered::{Change, Commit, Guard, OrderedMap};
use super::record::{Hold, Seen};

/// A hold as it stood when somebody looked at it.
#[derive(Clone, Debug)]
pub struct StandingHold(Seen<Hold>);

impl StandingHold {
    pub fn hold(&self) -> &Hold {
        &self.0.record
    }

    pub(super) fn guard(&self) -> Guard {
        self.0.guard()
    }
}

impl From<Seen<Hold>> for StandingHold {
    fn from(seen: Seen<Hold>) -> Self {
        Self(seen)
    }
}

impl Store {
    /// The hold of an address, also one that is over.
    pub async fn hold_of(&self, address: IpAddr) -> Result<Option<StandingHold>, StoreError> {
        Ok(self.holds_of(&[address]).await?.pop())
    }

    /// The holds for an identity, in the order of their addresses.
    pub async fn holds_for(&self, identity: &str) -> Result<Vec<StandingHold>, StoreError> {
        let entries = self.scan_all(self.keys.addresses_for(identity)).await?;
        let mut addresses = Vec::with_capacity(entries.len());
        for entry in entries {
            addresses.push(Seen::<Hold>::parse(&self.keys, entry)?.record.address);
        }
        let mut holds = self.holds_of(&addresses).await?;
        // The index was read first: an address may be on hold for another by now.
        holds.retain(|standing| standing.hold().identity.as_deref() == Some(identity));
        Ok(holds)
    }

    /// End a hold if it is, to the byte, the one that was shown. False where it is not: nothing was written then.
    pub async fn end_hold(&self, shown: &StandingHold) -> Result<bool, StoreError> {
        let mut change = Change::default();
        change.require(shown.0.guard());
        end_hold(&self.keys, shown.hold(), &mut change);
        Ok(self.map.commit(&[change]).await? != Commit::Lost)
    }

    async fn holds_of(&self, addresses: &[IpAddr]) -> Result<Vec<StandingHold>, StoreError> {
        let mut batch = self.batch();
        let tickets: Vec<_> = addresses.iter().map(|address| batch.hold(*address)).collect();
        let mut answers = self.read_now(batch).await?;
        let mut holds = Vec::with_capacity(addresses.len());
        for ticket in tickets {
            holds.extend(answers.record(ticket)?.map(StandingHold));
        }
        Ok(holds)
    }
}
