//! Claims of containers that live and that the store has forgotten: worked out, shown, and then written again.
//!
//! What is written is a claim like any other, fenced by everything it was judged by. It takes nothing from anybody who may
//! live: an address that another holds stays there, and both are named. From a holder that is known to be gone, or that is an
//! older container of the same pod, the address moves, and the holder **cedes** it: its claim goes on naming the
//! address, so that nothing is free before both are released. A hold does not live: it ends. A reservation ends by an
//! operator's word alone, and keeps everybody else from the address meanwhile.
//!
//! | the address of a living container | what becomes of it |
//! |---|---|
//! | its record is missing or damaged, whatever its claim says | it is written, and the claim with its indexes |
//! | its record is the container's, but no claim lists it | the claim lists it |
//! | held by a newer container of the same pod, or ceded to another | nothing: the store knows |
//! | held by a container that is gone, or by an older one of the same pod | it moves, its holder cedes it |
//! | reserved | nothing: it is named |
//! | held by anybody else | nothing is written for it: two share it, and both are named |

mod comparison;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use jiff::Timestamp;

use super::Store;
use super::batch::{Answers, Batch, Ticket};
use super::error::StoreError;
use super::map::MapView;
use super::ordered::{Change, Commit, Entry, OrderedMap};
use super::record::{Hold, Seen};
use comparison::{Comparison, Found, Place};
use ipam::{Allocation, Assignment, Attachment, Claim, PodName};

/// A container that lives, with the addresses it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occupant {
    pub attachment: Attachment,
    /// The node it runs on.
    pub node: String,
    /// The machine of this name; empty when unknown.
    pub machine: String,
    /// The pod, when the runtime named one.
    pub pod: Option<PodName>,
    /// The assignments as the container was told them; at least one.
    pub addresses: Vec<Assignment>,
}

/// What is asked of the store about an occupant.
struct OccupantTickets {
    claim: Ticket<Claim>,
    newest: Option<Ticket<Entry>>,
    addresses: Vec<(Ticket<Allocation>, Ticket<Hold>)>,
}

impl OccupantTickets {
    fn of(occupant: &Occupant, batch: &mut Batch) -> Self {
        let Occupant { attachment, pod, addresses, .. } = occupant;
        Self {
            claim: batch.claim(attachment),
            newest: pod.as_ref().map(|pod| batch.newest(pod, attachment)),
            addresses: addresses.iter().map(|one| (batch.allocation(one.address), batch.hold(one.address))).collect(),
        }
    }
}

/// What is known of somebody who holds the address of an occupant by the store's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rival {
    /// It is gone, or an older container of the occupant's pod.
    GivesWay,
    /// A newer container of the occupant's pod: the address is where it should be.
    Succeeds,
    /// Whatever else: it may live, and keeps what it has.
    Stays,
}

/// How the store differs from what an occupant has, and what puts that right.
#[derive(Clone, Debug)]
pub struct Restoration {
    pub occupant: Occupant,
    /// Addresses that the store does not give to the occupant, nor to anybody else: they are claimed.
    pub missing: Vec<IpAddr>,
    /// Addresses that move to the occupant from holders that are gone.
    pub moved: Vec<Allocation>,
    /// Addresses that somebody else holds: they stay there, and two containers share each.
    pub shared: Vec<Allocation>,
    /// Addresses that the store gives to the occupant and that it does not have.
    pub unused: Vec<IpAddr>,
    /// Addresses that are reserved: nothing is written for them.
    pub reserved: Vec<Hold>,
    /// Holds that end, because the occupant has their address.
    pub ended: Vec<Hold>,
    change: Change,
}

impl Restoration {
    fn empty(occupant: &Occupant) -> Self {
        Self {
            occupant: occupant.clone(),
            missing: Vec::new(),
            moved: Vec::new(),
            shared: Vec::new(),
            unused: Vec::new(),
            reserved: Vec::new(),
            ended: Vec::new(),
            change: Change::default(),
        }
    }

    /// Whether there is anything to write.
    pub fn is_needed(&self) -> bool {
        !self.change.writes().is_empty()
    }
}

impl Store {
    /// Compare what these occupants have with the store as it is at one moment, and work out what would put it right.
    /// Writes nothing. `judge` says what is known of a holder that stands in an occupant's way.
    pub async fn plan_restorations(
        &self,
        occupants: &[Occupant],
        judge: impl Fn(&Occupant, &Allocation) -> Rival,
        now: Timestamp,
    ) -> Result<Vec<Restoration>, StoreError> {
        let read = self.at_one_moment(async |mut view| {
            let mut batch = self.batch();
            let tickets: Vec<_> = occupants.iter().map(|occupant| OccupantTickets::of(occupant, &mut batch)).collect();
            let mut answers = batch.read(&mut view).await?;
            let mut comparisons = Vec::with_capacity(occupants.len());
            for (occupant, tickets) in occupants.iter().zip(tickets) {
                comparisons.push(self.compare(occupant, tickets, &mut answers));
            }
            let rivals = self.read_rivals(&mut view, &comparisons).await?;
            Ok((comparisons, rivals))
        });
        let (comparisons, rivals) = read.await?;
        let mut restorations = Vec::with_capacity(comparisons.len());
        // Of two occupants of one address that the store has forgotten, the first gets it, and is in the other's way.
        let mut taken: BTreeMap<IpAddr, Allocation> = BTreeMap::new();
        for comparison in comparisons {
            restorations.push(comparison.plan_restoration(self, &rivals, &mut taken, &judge, now));
        }
        Ok(restorations)
    }

    /// Write what was worked out. False where a record it was judged by has changed; nothing was written then.
    pub async fn restore(&self, restoration: &Restoration) -> Result<bool, StoreError> {
        if !restoration.is_needed() {
            return Ok(true);
        }
        Ok(self.map.commit(std::slice::from_ref(&restoration.change)).await? != Commit::Lost)
    }

    fn compare<'a>(&self, occupant: &'a Occupant, tickets: OccupantTickets, answers: &mut Answers) -> Comparison<'a> {
        let claim = answers.entry(tickets.claim).map(|entry| Found::parse(&self.keys, entry));
        let has_index = tickets.newest.is_some_and(|newest| answers.entry(newest).is_some());
        let mut places = Vec::with_capacity(occupant.addresses.len());
        for (allocation, hold) in tickets.addresses {
            places.push(Place {
                held: answers.entry(allocation).map(|entry| Found::parse(&self.keys, entry)),
                hold: answers.entry(hold).map(|entry| Found::parse(&self.keys, entry)),
            });
        }
        Comparison { occupant, claim, has_index, places }
    }

    /// The claims of everybody who holds an address of an occupant.
    async fn read_rivals(
        &self,
        view: &mut MapView,
        comparisons: &[Comparison<'_>],
    ) -> Result<BTreeMap<Attachment, Seen<Claim>>, StoreError> {
        let mut holders: BTreeSet<&Attachment> = BTreeSet::new();
        for comparison in comparisons {
            let seen = comparison.places.iter().filter_map(|place| place.held.as_ref()?.readable());
            let held = seen.map(|seen| &seen.record.attachment);
            // Not itself; but an occupant may well be in another one's way.
            holders.extend(held.filter(|holder| **holder != comparison.occupant.attachment));
        }
        let mut batch = self.batch();
        let tickets: Vec<_> = holders.into_iter().map(|holder| (holder.clone(), batch.claim(holder))).collect();
        let mut answers = batch.read(view).await?;
        let mut rivals = BTreeMap::new();
        for (holder, ticket) in tickets {
            if let Ok(Some(claim)) = answers.record(ticket) {
                rivals.insert(holder, claim);
            }
        }
        Ok(rivals)
    }
}
