//! Claims that move from former books of the same program into these: another domain or prefix, another name of the
//! network, the embedded store of before.
//!
//! A claim moves as a whole, with its addresses, indexes and slots, and together with those it shares a ceded address
//! with. Within one map that is one transaction. Between two maps it is written here first and released there after;
//! between the two it stands in both books, which gives nobody anything: whoever runs it again finds it here already.
//!
//! Nothing that is here is overwritten, and nothing leaves that has changed since it was read.

mod arrive;

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;

use super::Store;
use super::error::StoreError;
use super::hold::end_hold;
use super::keys::{Keys, Named};
use super::marks::unmark;
use super::ordered::{Change, Commit, Guard, OrderedMap, Write};
use super::pages::Pages;
use super::record::{Hold, Seen};
pub use arrive::Arrival;
pub(crate) use arrive::Here;
use ipam::{Attachment, Claim, Holder, RangeSets};

/// What moves at once.
#[derive(Clone, Debug)]
pub enum Move {
    /// Claims: as a rule one; more where one has an address that another ceded.
    Claims(Vec<MovingClaim>),
    /// An address on hold.
    Hold(MovingHold),
}

/// A claim as it stands in the former books.
#[derive(Clone, Debug)]
pub struct MovingClaim(Seen<Claim>);

/// A hold as it stands in the former books.
#[derive(Clone, Debug)]
pub struct MovingHold(Seen<Hold>);

/// What there is to move.
#[derive(Debug, Default)]
pub struct Moves {
    /// In the order in which they should be carried out.
    pub moves: Vec<Move>,
    /// Claims that cannot be read: they stay.
    pub damaged: Vec<StoreError>,
}

/// What became of a move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MoveOutcome {
    /// It is here now; in a rehearsal: would be.
    Done,
    /// It was here already, and has now left the former books.
    Already,
    /// An address is somebody else's here. It stays.
    Taken(IpAddr, Box<Holder>),
    /// It cannot be the same here as it is there. It stays.
    Differs(String),
    /// It changed meanwhile. Another try may find it at rest.
    Changed,
}

/// How claims leave their former books.
struct Departure {
    leave: Change,
    /// For each claim, whether the index of pods there has no newer container of its pod.
    are_newest: Vec<bool>,
}

impl MovingClaim {
    pub fn claim(&self) -> &Claim {
        &self.0.record
    }
}

impl MovingHold {
    pub fn hold(&self) -> &Hold {
        &self.0.record
    }
}

impl Store {
    /// A domain of the same map under another prefix.
    pub fn under(&self, prefix: &str, domain: &str) -> Store {
        self.with_keys(Keys::new(prefix, domain))
    }

    /// What of a network there is to move: its claims, and the holds inside its ranges. All at one moment.
    pub async fn moves(&self, network: &str, range_sets: &RangeSets, now: Timestamp) -> Result<Moves, StoreError> {
        let read = self.at_one_moment(async |mut view| {
            let attachments = Pages::of(self.keys.attachments()).all(&mut view).await?;
            Ok((attachments, Pages::of(self.keys.holds()).all(&mut view).await?))
        });
        let (attachments, holds) = read.await?;
        let mut all = Moves::default();
        let mut claims = Vec::new();
        for entry in attachments {
            let Some(Named::Attachment(attachment)) = self.keys.named(&entry.key) else { continue };
            if attachment.network == network {
                match Seen::<Claim>::parse(&self.keys, entry) {
                    Ok(seen) => claims.push(seen),
                    Err(error) => all.damaged.push(error),
                }
            }
        }
        for group in group_by_cession(claims, |seen| &seen.record) {
            all.moves.push(Move::Claims(group.into_iter().map(MovingClaim).collect()));
        }
        // Holds come after the claims: one whose address a claim takes is over by then, and not in anybody's way.
        for entry in holds {
            let Some(seen) = Seen::<Hold>::readable(&self.keys, entry) else { continue };
            // A hold says nothing of its network; what lies in the ranges may be wanted by pods of this one.
            if seen.record.is_standing(now) && range_sets.is_inside(seen.record.address) {
                all.moves.push(Move::Hold(MovingHold(seen)));
            }
        }
        Ok(all)
    }

    /// Take over what stands in former books, which may be of the same map. The network has the name `network` here.
    pub async fn take_over(
        &self,
        former: &Store,
        one_map: bool,
        moving: &Move,
        network: &str,
        now: Timestamp,
        rehearse: bool,
    ) -> Result<MoveOutcome, StoreError> {
        let same = one_map && self.keys.everything() == former.keys.everything();
        let here = Here { store: self, same };
        let (leave, enter) = match moving {
            Move::Hold(_) if same => return Ok(MoveOutcome::Already),
            Move::Hold(MovingHold(seen)) => {
                let enter = here.enter_holds(std::slice::from_ref(&seen.record), now).await?.remove(0);
                (leave_hold(&former.keys, seen), enter)
            }
            Move::Claims(claims) => {
                let Departure { leave, are_newest } = match former.leave(claims).await? {
                    Ok(departure) => departure,
                    Err(why) => return Ok(MoveOutcome::Differs(why)),
                };
                let leaving = claims.iter().map(|MovingClaim(seen)| &seen.record.attachment).collect();
                let mut arrivals = Vec::with_capacity(claims.len());
                for (MovingClaim(seen), is_newest) in claims.iter().zip(are_newest) {
                    arrivals.push(Arrival::renamed(&seen.record, network, is_newest));
                }
                (leave, here.enter(&[arrivals], &leaving, now).await?.remove(0))
            }
        };
        let enter = match enter {
            Ok(enter) => enter,
            Err(outcome) => return Ok(outcome),
        };
        let done = if enter.writes().is_empty() { MoveOutcome::Already } else { MoveOutcome::Done };
        if rehearse {
            return Ok(done);
        }
        if one_map {
            let committed = self.map.commit(&[join_changes(leave, &enter)]).await?;
            return Ok(if committed == Commit::Lost { MoveOutcome::Changed } else { done });
        }
        // Here first: a process that is killed between the two leaves the address in both books, and free in neither.
        if done == MoveOutcome::Done && self.map.commit(&[enter]).await? == Commit::Lost {
            return Ok(MoveOutcome::Changed);
        }
        if former.map.commit(&[leave]).await? != Commit::Lost {
            return Ok(done);
        }
        if done == MoveOutcome::Done {
            self.undo(former, moving, network, now).await?;
        }
        Ok(MoveOutcome::Changed)
    }

    /// Release what was released in the former books while it was written here: its DEL came, and does not come again.
    async fn undo(&self, former: &Store, moving: &Move, network: &str, now: Timestamp) -> Result<(), StoreError> {
        let Move::Claims(claims) = moving else { return Ok(()) };
        for MovingClaim(seen) in claims {
            let attachment = &seen.record.attachment;
            if former.held_by(attachment).await?.is_none() {
                self.release(&Attachment { network: network.to_owned(), ..attachment.clone() }, now).await?;
            }
        }
        Ok(())
    }

    /// How claims leave these books, or why they are not as they should be.
    async fn leave(&self, claims: &[MovingClaim]) -> Result<Result<Departure, String>, StoreError> {
        let keys = &self.keys;
        let mut batch = self.batch();
        let mut tickets = Vec::with_capacity(claims.len());
        for MovingClaim(seen) in claims {
            let claim = &seen.record;
            let addresses: Vec<_> = claim.addresses().map(|address| batch.allocation(address)).collect();
            let newest = claim.pod.as_ref().map(|pod| batch.newest(pod, &claim.attachment));
            tickets.push((addresses, newest));
        }
        let mut answers = self.read_now(batch).await?;
        let mut change = Change::default();
        let mut are_newest = Vec::with_capacity(claims.len());
        for (MovingClaim(seen), (addresses, newest)) in claims.iter().zip(tickets) {
            let claim = &seen.record;
            change.require(seen.guard()).delete(keys.attachment(&claim.attachment)).delete(keys.node_of(claim));
            for (expected, ticket) in claim.allocations().zip(addresses) {
                let held = answers.record(ticket).ok().flatten().filter(|held| held.record == expected);
                let Some(held) = held else {
                    return Ok(Err(format!(
                        "the record of {} does not say what its claim says: kube-ipam fsck with the former configuration",
                        expected.address
                    )));
                };
                change.require(held.guard()).delete(keys.address(expected.address));
                unmark(keys, expected.address, &mut change);
            }
            for slot in claim.slots() {
                change.delete(keys.slot(slot));
            }
            // The index stays where a newer container of the pod has it: that one moves by itself, and takes it along.
            let newest = newest.and_then(|newest| answers.entry(newest));
            let is_newest = newest.as_ref().is_none_or(|newest| newest.value == claim.attachment.container.as_bytes());
            if let (true, Some(newest)) = (is_newest, newest) {
                change.require(Guard::Is(newest.key.clone(), newest.value)).delete(newest.key);
            }
            are_newest.push(is_newest);
        }
        Ok(Ok(Departure { leave: change, are_newest }))
    }
}

/// The change that takes a hold out of these books.
fn leave_hold(keys: &Keys, seen: &Seen<Hold>) -> Change {
    let mut change = Change::default();
    change.require(seen.guard_at(keys.hold(seen.record.address)));
    end_hold(keys, &seen.record, &mut change);
    change
}

/// One change out of two of the same map: what leaves need not be absent for what enters in its place.
fn join_changes(leave: Change, enter: &Change) -> Change {
    let mut change = leave.clone();
    for guard in enter.guards() {
        // Both are compared before either is written: what leaves is still there then.
        if let Guard::Absent(key) = guard
            && leave.writes().iter().any(|write| write.key() == key)
        {
            continue;
        }
        change.require(guard.clone());
    }
    for write in enter.writes() {
        match write {
            Write::Put(key, value) => change.put(key.clone(), value.as_slice()),
            gone => change.delete(gone.key().to_owned()),
        };
    }
    change
}

/// Claims that name each other move at once: an address that was ceded finds its way back at any moment.
pub(super) fn group_by_cession<T>(claims: Vec<T>, claim_of: impl Fn(&T) -> &Claim) -> Vec<Vec<T>> {
    let mut group_of: BTreeMap<Attachment, usize> = BTreeMap::new();
    for (nth, one) in claims.iter().enumerate() {
        group_of.insert(claim_of(one).attachment.clone(), nth);
    }
    for one in &claims {
        let claim = claim_of(one);
        for counterpart in claim.counterparts() {
            let (own, other) = (group_of.get(&claim.attachment), group_of.get(counterpart));
            let (Some(&own), Some(&other)) = (own, other) else { continue };
            // Few share an address, so that groups may be merged by walking all of them.
            for group in group_of.values_mut().filter(|group| **group == other) {
                *group = own;
            }
        }
    }
    let mut groups: BTreeMap<usize, Vec<T>> = BTreeMap::new();
    for one in claims {
        groups.entry(group_of[&claim_of(&one).attachment]).or_default().push(one);
    }
    groups.into_values().collect()
}
