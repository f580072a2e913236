//! Claims of containers that live and that the store has forgotten: worked out, shown, and then written again.
//!
//! What is written is a claim like any other, fenced by everything it was judged by. It takes nothing from anybody who may
//! live: an address that another holds stays there, and both are named. From a holder that is known to be gone, or that is an
//! older container of the same pod, the address moves, and the holder **cedes** it: its claim goes on naming the
//! address, so that nothing is free before both are released. A hold does not live: it ends.
//!
//! | the address of a living container | what becomes of it |
//! |---|---|
//! | its record is missing or damaged, whatever its claim says | it is written, and the claim with its indexes |
//! | its record is the container's, but no claim lists it | the claim lists it |
//! | held by a newer container of the same pod, or ceded to another | nothing: the store knows |
//! | held by a container that is gone, or by an older one of the same pod | it moves, its holder cedes it |
//! | held by anybody else | nothing is written for it: two share it, and both are named |

mod plan;

use crate::map::MapView;
use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;

use super::Store;
use super::error::StoreError;
use super::ordered::{Change, Commit, Entry, OrderedMap, Page, Read, View};
use super::record::{KeptAddress, Seen};
use ipam::{Allocation, Assignment, Attachment, Claim, PodName};
use plan::{Found, Place, Plan};

/// A container that lives, with the addresses it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Occupant {
    /// Its interface in a network.
    pub attachment: Attachment,
    /// The node it runs on.
    pub node: String,
    /// The machine of this name; empty when unknown.
    pub machine: String,
    /// The pod, when the runtime named one.
    pub pod: Option<PodName>,
    /// At least one.
    pub addresses: Vec<Assignment>,
}

/// What is known of somebody who holds the address of an occupant by the store's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rival {
    /// It is gone, or an older container of the occupant's pod.
    GivesWay,
    /// A newer container of the occupant's pod: the address is where it should be.
    Succeeds,
    /// It may live.
    Stays,
}

/// How the store differs from what an occupant has, and what puts that right.
#[derive(Clone, Debug)]
pub struct Restoration {
    /// Whose claim it is about.
    pub occupant: Occupant,
    /// Addresses that the store does not give to the occupant, nor to anybody else: they are claimed.
    pub missing: Vec<IpAddr>,
    /// Addresses that move to the occupant from holders that are gone.
    pub moved: Vec<Allocation>,
    /// Addresses that somebody else holds: they stay there, and two containers share each.
    pub shared: Vec<Allocation>,
    /// Addresses that the store gives to the occupant and that it does not have.
    pub unused: Vec<IpAddr>,
    /// Holds that end, because the occupant has their address.
    pub ended: Vec<KeptAddress>,
    change: Change,
}

impl Restoration {
    /// Whether there is anything to write.
    pub fn is_needed(&self) -> bool {
        !self.change.writes().is_empty()
    }

    /// Whether the store and the occupant agree.
    pub fn is_void(&self) -> bool {
        !self.is_needed() && self.shared.is_empty() && self.unused.is_empty()
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
        let reads: Vec<Read> = occupants.iter().flat_map(|occupant| self.reads_of(occupant)).collect();
        let read = self.at_one_moment(async |mut view| {
            let pages = if reads.is_empty() { Vec::new() } else { view.read(&reads).await? };
            let mut entries = pages.into_iter().map(Page::into_entry);
            let mut plans = Vec::with_capacity(occupants.len());
            for occupant in occupants {
                plans.push(self.parse(occupant, &mut entries));
            }
            let rivals = self.rivals(&mut view, &plans).await?;
            Ok((plans, rivals))
        });
        let (plans, rivals) = read.await?;
        let mut restorations = Vec::with_capacity(plans.len());
        // Of two occupants of one address that the store has forgotten, the first gets it, and is in the other's way.
        let mut taken: BTreeMap<IpAddr, Allocation> = BTreeMap::new();
        for plan in plans {
            restorations.push(plan.restoration(self, &rivals, &mut taken, &judge, now));
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

    fn reads_of(&self, occupant: &Occupant) -> Vec<Read> {
        let mut reads = vec![Read::Get(self.keys.attachment(&occupant.attachment))];
        if let Some(pod) = &occupant.pod {
            reads.push(Read::Get(self.keys.pod(pod, &occupant.attachment)));
        }
        for assignment in &occupant.addresses {
            reads.push(Read::Get(self.keys.address(assignment.address)));
            reads.push(Read::Get(self.keys.hold(assignment.address)));
        }
        reads
    }

    /// The entries in the order of [`Self::reads_of`].
    fn parse<'a>(&self, occupant: &'a Occupant, entries: &mut impl Iterator<Item = Option<Entry>>) -> Plan<'a> {
        let mut next = || entries.next().flatten();
        let claim = next().map(|entry| Found::parse(entry, |entry| Seen::parse(&self.keys, entry)));
        let index = occupant.pod.as_ref().and_then(|_| next());
        let mut places = Vec::with_capacity(occupant.addresses.len());
        for _ in &occupant.addresses {
            places.push(Place {
                held: next().map(|entry| Found::parse(entry, |entry| Seen::parse(&self.keys, entry))),
                kept: next().map(|entry| Found::parse(entry, |entry| Seen::parse(&self.keys, entry))),
            });
        }
        Plan { occupant, claim, has_index: index.is_some(), places }
    }

    /// The claims of everybody who holds an address of an occupant.
    async fn rivals(
        &self,
        view: &mut MapView,
        plans: &[Plan<'_>],
    ) -> Result<BTreeMap<Attachment, Seen<Claim>>, StoreError> {
        let mut holders: Vec<&Attachment> = Vec::new();
        for plan in plans {
            let held = plan.places.iter().filter_map(|place| place.held.as_ref()?.readable());
            holders
                .extend(held.map(|seen| &seen.record.attachment).filter(|holder| **holder != plan.occupant.attachment));
        }
        holders.sort();
        holders.dedup();
        if holders.is_empty() {
            return Ok(BTreeMap::new());
        }
        let reads: Vec<Read> = holders.iter().map(|holder| Read::Get(self.keys.attachment(holder))).collect();
        let mut rivals = BTreeMap::new();
        for (holder, page) in holders.into_iter().zip(view.read(&reads).await?) {
            let claim = page.into_entry().and_then(|entry| Seen::<Claim>::parse(&self.keys, entry).ok());
            rivals.extend(claim.map(|claim| (holder.clone(), claim)));
        }
        Ok(rivals)
    }
}
