//! A domain as a whole, out of one store and into another: what holds addresses, and what keeps them back.
//!
//! Everything else at rest follows from these records, or is a hint: the indexes are written again with them, and where each
//! range set was last claimed shows with the next claim.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::Store;
use super::error::StoreError;
use super::keys::Keys;
use super::map::MapView;
use super::moves::{Arrival, Here, MoveOutcome, group_by_cession};
use super::ordered::{Change, OrderedMap};
use super::pages::Pages;
use super::record::{Hold, Seen};
use ipam::{Allocation, Attachment, Claim};

/// A domain at one moment, page by page: first all claims, then all holds that stand, reservations among them.
pub struct Export<'a> {
    store: &'a Store,
    view: MapView,
    claims: Pages,
    holds: Pages,
    allocations: Pages,
    now: Timestamp,
    claimed: Tally,
}

/// How many addresses somebody has, and a sum over who has which. Two tallies are equal where the same holders have the same
/// addresses, in whatever order they were counted, so that an export needs no memory for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    addresses: u64,
    sum: u128,
}

impl Tally {
    fn add(&mut self, keys: &Keys, address: IpAddr, holder: &Attachment) {
        let digest = Sha256::digest(format!("{address} {}", keys.attachment(holder)));
        let mut first = [0; 16];
        first.copy_from_slice(&digest[..16]);
        self.addresses += 1;
        self.sum = self.sum.wrapping_add(u128::from_be_bytes(first));
    }
}

/// A part of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exported {
    Claims(Vec<Arrival>),
    Holds(Vec<Hold>),
}

/// Why a domain could not be exported as a whole.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Some address is held that its holder's claim does not list, or the other way round.
    #[error("addresses and claims do not agree: {held} addresses are held, and the claims list {claimed}")]
    Inconsistent { held: u64, claimed: u64 },
}

impl Store {
    pub async fn export(&self, now: Timestamp) -> Result<Export<'_>, StoreError> {
        let view = self.map.view().await?;
        let (claims, holds) = (self.pages(self.keys.attachments()), self.pages(self.keys.holds()));
        let allocations = self.pages(self.keys.addresses());
        Ok(Export { store: self, view, claims, holds, allocations, now, claimed: Tally::default() })
    }

    /// Claims that come from an export, each as it is. For each, in their order, what became of it. Claims that ceded an
    /// address to each other have to be in one call.
    pub async fn admit(
        &self,
        arrivals: Vec<Arrival>,
        now: Timestamp,
        rehearse: bool,
    ) -> Result<Vec<(Claim, MoveOutcome)>, StoreError> {
        let groups = group_by_cession(arrivals, |arrival| &arrival.claim);
        let here = Here { store: self, same: false };
        let entering = here.enter(&groups, &BTreeSet::new(), now).await?;
        let outcomes = self.commit_arrivals(entering, rehearse).await?;
        let mut admitted = Vec::new();
        for (group, outcome) in groups.into_iter().zip(outcomes) {
            admitted.extend(group.into_iter().map(|arrival| (arrival.claim, outcome.clone())));
        }
        Ok(admitted)
    }

    /// Holds and reservations that come from an export. One that is over by now is left out. A reservation has no end here,
    /// whatever it says.
    pub async fn admit_holds(
        &self,
        mut holds: Vec<Hold>,
        now: Timestamp,
        rehearse: bool,
    ) -> Result<Vec<(Hold, MoveOutcome)>, StoreError> {
        holds.retain(|hold| hold.is_standing(now));
        for hold in &mut holds {
            if let Some(reservation) = hold.reservation.take() {
                *hold = Hold::of_reservation(hold.address, *reservation);
            }
        }
        let entering = Here { store: self, same: false }.enter_holds(&holds, now).await?;
        let outcomes = self.commit_arrivals(entering, rehearse).await?;
        Ok(holds.into_iter().zip(outcomes).collect())
    }

    async fn commit_arrivals(
        &self,
        entering: Vec<Result<Change, MoveOutcome>>,
        rehearse: bool,
    ) -> Result<Vec<MoveOutcome>, StoreError> {
        let mut outcomes = Vec::with_capacity(entering.len());
        let (mut changes, mut places) = (Vec::new(), Vec::new());
        for entering in entering {
            match entering {
                Ok(change) if change.writes().is_empty() => outcomes.push(MoveOutcome::Already),
                Ok(change) => {
                    places.push(outcomes.len());
                    changes.push(change);
                    outcomes.push(MoveOutcome::Done);
                }
                Err(outcome) => outcomes.push(outcome),
            }
        }
        if rehearse {
            return Ok(outcomes);
        }
        for (place, made) in places.into_iter().zip(self.commit_together(&changes).await?) {
            if !made {
                outcomes[place] = MoveOutcome::Changed;
            }
        }
        Ok(outcomes)
    }
}

impl Export<'_> {
    /// The next part; `None` at the end. An error where a record cannot be read, or where the records of addresses and
    /// the claims do not say the same: an export that left something out would free it where it is imported.
    pub async fn next(&mut self) -> Result<Option<Exported>, ExportError> {
        if let Some(entries) = self.claims.next(&mut self.view).await? {
            let mut claims = Vec::with_capacity(entries.len());
            for entry in entries {
                claims.push(Seen::<Claim>::parse(&self.store.keys, entry)?.record);
            }
            return Ok(Some(Exported::Claims(self.with_newest(claims).await?)));
        }
        if let Some(entries) = self.holds.next(&mut self.view).await? {
            let mut holds = Vec::with_capacity(entries.len());
            for entry in entries {
                let hold = Seen::<Hold>::parse(&self.store.keys, entry)?.record;
                if hold.is_standing(self.now) {
                    holds.push(hold);
                }
            }
            return Ok(Some(Exported::Holds(holds)));
        }
        // Numbers alone would not tell: they are the same where one claim lists an address of somebody else, and another address
        // has no claim.
        let mut held = Tally::default();
        while let Some(entries) = self.allocations.next(&mut self.view).await? {
            for entry in entries {
                let Allocation { address, attachment, .. } = Seen::parse(&self.store.keys, entry)?.record;
                held.add(&self.store.keys, address, &attachment);
            }
        }
        if held != self.claimed {
            return Err(ExportError::Inconsistent { held: held.addresses, claimed: self.claimed.addresses });
        }
        Ok(None)
    }

    /// How many addresses the claims so far hold.
    pub fn addresses(&self) -> u64 {
        self.claimed.addresses
    }

    /// The claims with what the index of pods says of them.
    async fn with_newest(&mut self, claims: Vec<Claim>) -> Result<Vec<Arrival>, StoreError> {
        let mut batch = self.store.batch();
        let mut tickets: BTreeMap<Attachment, _> = BTreeMap::new();
        for claim in &claims {
            if let Some(pod) = &claim.pod {
                tickets.insert(claim.attachment.clone(), batch.newest(pod, &claim.attachment));
            }
        }
        let mut answers = batch.read(&mut self.view).await?;
        let mut arrivals = Vec::with_capacity(claims.len());
        for claim in claims {
            for address in claim.addresses() {
                self.claimed.add(&self.store.keys, address, &claim.attachment);
            }
            let newest = tickets.remove(&claim.attachment).and_then(|ticket| answers.entry(ticket));
            let is_newest = newest.is_some_and(|entry| entry.value == claim.attachment.container.as_bytes());
            arrivals.push(Arrival { claim, is_newest });
        }
        Ok(arrivals)
    }
}
