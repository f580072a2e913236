//! A domain as a whole, out of one store and into another: what holds addresses, and what keeps them back.
//!
//! Everything else at rest follows from these records, or is a hint: the indexes are written again with them, and where each
//! range set was last claimed shows with the next claim.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::Store;
use super::error::StoreError;
use super::map::MapView;
use super::moves::{Arrival, Here, MoveOutcome, group_by_cession};
use super::ordered::{Change, OrderedMap};
use super::pages::Pages;
use super::record::{Hold, Seen};
use ipam::{Attachment, Claim};

/// A domain at one moment, page by page: first all claims, then all holds that stand, reservations among them.
pub struct Export<'a> {
    store: &'a Store,
    view: MapView,
    claims: Pages,
    holds: Pages,
    now: Timestamp,
    addresses: u64,
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
    /// Some address is held that no claim lists, or the other way round.
    #[error("{held} addresses are held, but the claims list {claimed}")]
    Inconsistent { held: u64, claimed: u64 },
}

impl Store {
    pub async fn export(&self, now: Timestamp) -> Result<Export<'_>, StoreError> {
        let view = self.map.view().await?;
        let (claims, holds) = (self.pages(self.keys.attachments()), self.pages(self.keys.holds()));
        Ok(Export { store: self, view, claims, holds, now, addresses: 0 })
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
    /// the claims are not of the same number: an export that left something out would free it where it is imported.
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
        let mut batch = self.store.batch();
        let count = batch.count(self.store.keys.addresses());
        let held = batch.read(&mut self.view).await?.count(count);
        if held != self.addresses {
            return Err(ExportError::Inconsistent { held, claimed: self.addresses });
        }
        Ok(None)
    }

    /// How many addresses the claims so far hold.
    pub fn addresses(&self) -> u64 {
        self.addresses
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
            self.addresses += claim.addresses.len() as u64;
            let newest = tickets.remove(&claim.attachment).and_then(|ticket| answers.entry(ticket));
            let is_newest = newest.is_some_and(|entry| entry.value == claim.attachment.container.as_bytes());
            arrivals.push(Arrival { claim, is_newest });
        }
        Ok(arrivals)
    }
}
