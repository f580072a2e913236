//! Holds as operators see them, and the end of one by hand.

use std::net::IpAddr;

use super::Store;
use super::error::StoreError;
use super::hold::end_hold;
use super::ordered::{Change, Commit, OrderedMap, Page, Read, View};
use super::record::{KeptAddress, Seen};

/// A hold as it stood when somebody looked at it.
#[derive(Clone, Debug)]
pub struct StandingHold(Seen<KeptAddress>);

impl StandingHold {
    /// What is kept, for whom, and until when.
    pub fn kept(&self) -> &KeptAddress {
        &self.0.record
    }
}

impl Store {
    /// What an address is kept for, also where that is over.
    pub async fn hold_of(&self, address: IpAddr) -> Result<Option<StandingHold>, StoreError> {
        Ok(self.holds_of(&[address]).await?.pop())
    }

    /// What is kept for an identity, in the order of the addresses.
    pub async fn holds_for(&self, identity: &str) -> Result<Vec<StandingHold>, StoreError> {
        let entries = self.scan_all(self.keys.addresses_for(identity), false).await?;
        let mut addresses = Vec::with_capacity(entries.len());
        for entry in entries {
            addresses.push(Seen::<KeptAddress>::parse(&self.keys, entry)?.record.address);
        }
        let mut holds = self.holds_of(&addresses).await?;
        holds.retain(|hold| hold.kept().identity.as_deref() == Some(identity));
        Ok(holds)
    }

    /// End a hold if it is, to the byte, the one that was shown. Whether it was.
    pub async fn end_hold(&self, shown: &StandingHold) -> Result<bool, StoreError> {
        let mut change = Change::default();
        change.require(shown.0.guard());
        end_hold(&self.keys, shown.kept(), &mut change);
        Ok(self.map.commit(&[change]).await? != Commit::Lost)
    }

    async fn holds_of(&self, addresses: &[IpAddr]) -> Result<Vec<StandingHold>, StoreError> {
        if addresses.is_empty() {
            return Ok(Vec::new());
        }
        let reads: Vec<Read> = addresses.iter().map(|address| Read::Get(self.keys.hold(*address))).collect();
        let mut holds = Vec::with_capacity(addresses.len());
        for entry in self.map.view().await?.read(&reads).await?.into_iter().filter_map(Page::into_entry) {
            holds.push(StandingHold(Seen::parse(&self.keys, entry)?));
        }
        Ok(holds)
    }
}
