//! Reservations at rest: addresses that an operator has taken out of circulation, for every node at once.
//!
//! A reservation is a hold for nobody that never ends, under the key where every claim looks for holds. So it costs an ADD
//! nothing: the guard that there is no hold, or only one that is over, keeps reserved addresses from being claimed, and the
//! window that shows a policy what is free shows them as taken. For the same reason a reservation can neither be overwritten
//! nor ended by accident: what puts an address on hold is the release of its holder, and what is reserved has none.
//!
//! An address that is held is not reserved: its holder keeps it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;

use super::Store;
use super::batch::AtAddress;
use super::error::StoreError;
use super::hold::{end_hold, write_hold};
use super::keys::address_in;
use super::map::MapView;
use super::ordered::{Change, Guard, OrderedMap};
use super::pages::Pages;
use super::record::Hold;
use super::standing_hold::StandingHold;
use ipam::{Allocation, Reservation, Span};
use limits::store::PAGE;

/// What would become of an address that is to be reserved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// Nobody has it.
    Free,
    /// It cools down until then, which ends.
    CoolingDown(Timestamp),
    /// It is on hold for an identity until then. It is reserved only where that may end.
    OnHold { identity: String, until: Timestamp },
    /// It is reserved by the same list for another reason, which is replaced.
    Renewed(Box<Reservation>),
    /// It is reserved already, and stays as it is.
    Reserved(Box<Reservation>),
    /// Somebody holds it, and keeps it.
    Held(Box<Allocation>),
}

/// An address that is to be reserved, with what stands in the way.
#[derive(Clone, Debug)]
pub struct PlannedReservation {
    pub address: IpAddr,
    pub reservation: Reservation,
    pub outlook: Outlook,
    change: Option<Change>,
}

impl PlannedReservation {
    /// Whether there is something to write.
    pub fn is_needed(&self) -> bool {
        self.change.is_some()
    }
}

/// Reservations page by page, in the order of their addresses, however many there are.
pub struct Reservations<'a> {
    store: &'a Store,
    pages: Pages,
}

impl Store {
    /// Look at each of these addresses, and work out what would reserve it. Writes nothing. `ends_holds`: whether an address
    /// that is on hold for an identity may be taken from it.
    pub async fn plan_reservations(
        &self,
        wanted: &BTreeMap<IpAddr, Reservation>,
        ends_holds: bool,
        now: Timestamp,
    ) -> Result<Vec<PlannedReservation>, StoreError> {
        let all: Vec<(&IpAddr, &Reservation)> = wanted.iter().collect();
        let mut planned = Vec::with_capacity(all.len());
        for part in all.chunks(PAGE) {
            let mut batch = self.batch();
            let tickets: Vec<_> = part.iter().map(|(address, _)| batch.address(**address)).collect();
            let mut answers = self.read_now(batch).await?;
            for ((_, reservation), ticket) in part.iter().zip(tickets) {
                planned.push(self.plan_reservation(answers.address(ticket)?, reservation, ends_holds, now));
            }
        }
        Ok(planned)
    }

    fn plan_reservation(
        &self,
        at: AtAddress,
        reservation: &Reservation,
        ends_holds: bool,
        now: Timestamp,
    ) -> PlannedReservation {
        let address = at.address;
        let outlook = outlook(&at, reservation, now);
        let is_needed = match &outlook {
            Outlook::Free | Outlook::CoolingDown(_) | Outlook::Renewed(_) => true,
            Outlook::OnHold { .. } => ends_holds,
            Outlook::Reserved(_) | Outlook::Held(_) => false,
        };
        let mut planned = PlannedReservation { address, reservation: reservation.clone(), outlook, change: None };
        if !is_needed {
            return planned;
        }
        let mut change = Change::default();
        match &at.hold {
            Some(seen) => {
                change.require(seen.guard());
                end_hold(&self.keys, &seen.record, &mut change);
            }
            None => {
                change.require(Guard::Absent(self.keys.hold(address)));
            }
        }
        change.require(Guard::Absent(self.keys.address(address)));
        write_hold(&self.keys, &Hold::of_reservation(address, reservation.clone()), &mut change);
        planned.change = Some(change);
        planned
    }

    /// Reserve what was planned. For each that was needed, whether it is reserved now: not where its address was changed by
    /// somebody else since.
    pub async fn reserve(&self, planned: &[PlannedReservation]) -> Result<Vec<(IpAddr, bool)>, StoreError> {
        let needed: Vec<&PlannedReservation> = planned.iter().filter(|planned| planned.is_needed()).collect();
        let changes: Vec<Change> = needed.iter().filter_map(|planned| planned.change.clone()).collect();
        let made = self.commit_together(&changes).await?;
        Ok(needed.into_iter().map(|planned| planned.address).zip(made).collect())
    }

    /// End holds and reservations that are, to the byte, those that were shown. For each, whether it has ended.
    pub async fn end_holds(&self, shown: &[StandingHold]) -> Result<Vec<bool>, StoreError> {
        let mut changes = Vec::with_capacity(shown.len());
        for standing in shown {
            let mut change = Change::default();
            change.require(standing.guard());
            end_hold(&self.keys, standing.hold(), &mut change);
            changes.push(change);
        }
        self.commit_together(&changes).await
    }

    /// Every reservation.
    pub fn reservations(&self) -> Reservations<'_> {
        Reservations { store: self, pages: self.pages_of_keys(self.keys.reservations()) }
    }

    /// The reservations of a span.
    pub fn reservations_in(&self, span: Span) -> Reservations<'_> {
        Reservations { store: self, pages: self.pages_of_keys(self.keys.reservations_in(span)) }
    }
}

impl Reservations<'_> {
    /// The next reservations; `None` at the end. Each page is of its own moment. What the index lists and the address's own
    /// record does not say is left out.
    pub async fn next(&mut self) -> Result<Option<Vec<StandingHold>>, StoreError> {
        let mut view: MapView = self.store.map.view().await?;
        let page = match self.pages.next(&mut view).await {
            // A page that was read in part goes on behind it, at a moment that etcd knows.
            Err(StoreError::Compacted) => {
                view = self.store.map.view().await?;
                self.pages.next(&mut view).await?
            }
            page => page?,
        };
        let Some(entries) = page else { return Ok(None) };
        let mut batch = self.store.batch();
        let addresses = entries.iter().filter_map(|entry| address_in(&entry.key));
        let tickets: Vec<_> = addresses.map(|address| batch.hold(address)).collect();
        let mut answers = batch.read(&mut view).await?;
        let mut reservations = Vec::with_capacity(tickets.len());
        for ticket in tickets {
            let standing = answers.readable(ticket).map(StandingHold::from);
            reservations.extend(standing.filter(|standing| standing.hold().reservation.is_some()));
        }
        Ok(Some(reservations))
    }

    /// All of them, and at most so many: what is beyond is left out.
    pub async fn first(mut self, most: usize) -> Result<Vec<StandingHold>, StoreError> {
        let mut all = Vec::new();
        while all.len() < most {
            let Some(page) = self.next().await? else { break };
            all.extend(page);
        }
        all.truncate(most);
        Ok(all)
    }
}

fn outlook(at: &AtAddress, wanted: &Reservation, now: Timestamp) -> Outlook {
    if let Some(held) = &at.allocation {
        return Outlook::Held(Box::new(held.record.clone()));
    }
    let Some(hold) = at.hold.as_ref().map(|seen| &seen.record) else { return Outlook::Free };
    if let Some(former) = &hold.reservation {
        // The same words once more change nothing, and what somebody reserved otherwise stays theirs.
        let is_same_list = wanted.list.is_some() && wanted.list == former.list;
        if is_same_list && wanted.reason != former.reason {
            return Outlook::Renewed(former.clone());
        }
        return Outlook::Reserved(former.clone());
    }
    match &hold.identity {
        _ if !hold.is_standing(now) => Outlook::Free,
        None => Outlook::CoolingDown(hold.until),
        Some(identity) => Outlook::OnHold { identity: identity.clone(), until: hold.until },
    }
}
