//! Claims that move from former books of the same program into these: another domain or prefix, another name of the
//! network, the embedded store of before.
//!
//! A claim moves as a whole, with its addresses, indexes and slots, and together with those it shares a ceded address
//! with. Within one map that is one transaction. Between two maps it is written here first and released there after;
//! between the two it stands in both books, which gives nobody anything: whoever runs it again finds it here already.
//!
//! Nothing that is here is overwritten, and nothing leaves that has changed since it was read.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use jiff::Timestamp;

use super::Store;
use super::error::StoreError;
use super::hold::{end_hold, write_hold};
use super::keys::Keys;
use super::list::scan_all;
use super::ordered::{Change, Commit, Guard, OrderedMap, Page, Read, View, Write};
use super::reading::Reading;
use super::record::{KeptAddress, Seen, encode};
use ipam::{Allocation, Attachment, Claim, Holder, RangeSets, Slot};

/// What moves at once.
#[derive(Clone, Debug)]
pub enum Move {
    /// Claims: as a rule one; more where one has an address that another ceded.
    Claims(Vec<MovingClaim>),
    /// An address that nobody holds, but that is kept.
    Hold(MovingHold),
}

/// A claim as it stands in the former books.
#[derive(Clone, Debug)]
pub struct MovingClaim(Seen<Claim>);

/// A hold as it stands in the former books.
#[derive(Clone, Debug)]
pub struct MovingHold(Seen<KeptAddress>);

/// What there is to move.
#[derive(Debug, Default)]
pub struct Moves {
    /// Claims first.
    pub moves: Vec<Move>,
    /// Claims that cannot be read: they stay.
    pub damaged: Vec<StoreError>,
}

/// What became of a move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is here now; in a rehearsal: would be.
    Done,
    /// It was here already, and has left the former books.
    Already,
    /// An address is somebody else's here. It stays.
    Taken(IpAddr, Box<Holder>),
    /// It cannot be the same here as it is there. It stays.
    Differs(String),
    /// It changed meanwhile. Another try may find it at rest.
    Changed,
}

/// Where claims move to: the keys, and the name the network has there.
struct Here<'a> {
    keys: &'a Keys,
    network: &'a str,
    /// Whether the former books are the same domain of the same map: the addresses stay where they are.
    same: bool,
}

impl MovingClaim {
    /// What is claimed.
    pub fn claim(&self) -> &Claim {
        &self.0.record
    }
}

impl MovingHold {
    /// What is kept.
    pub fn kept(&self) -> &KeptAddress {
        &self.0.record
    }
}

impl Store {
    /// A domain of the same map under another prefix.
    pub fn under(&self, prefix: &str, domain: &str) -> Store {
        let (map, keys, progress) = (self.map.clone(), Keys::new(prefix, domain), self.progress.clone());
        Store { map, keys, cooldown: self.cooldown, registers: None, progress }
    }

    /// What of a network there is to move: its claims, and what is kept inside its ranges. All at one moment.
    pub async fn moves(&self, network: &str, range_sets: &RangeSets, now: Timestamp) -> Result<Moves, StoreError> {
        let read = self.at_one_moment(async |mut view| {
            let attachments = scan_all(&mut view, self.keys.attachments(), false).await?;
            Ok((attachments, scan_all(&mut view, self.keys.holds(), false).await?))
        });
        let (attachments, holds) = read.await?;
        let mut all = Moves::default();
        let mut claims = Vec::new();
        for entry in attachments {
            let Some(super::keys::Named::Attachment(attachment)) = self.keys.named(&entry.key) else { continue };
            if attachment.network == network {
                match Seen::<Claim>::parse(&self.keys, entry) {
                    Ok(seen) => claims.push(seen),
                    Err(error) => all.damaged.push(error),
                }
            }
        }
        all.moves = together(claims)
            .into_iter()
            .map(|group| Move::Claims(group.into_iter().map(MovingClaim).collect()))
            .collect();
        for entry in holds {
            let Some(seen) = Seen::<KeptAddress>::readable(&self.keys, entry) else { continue };
            if seen.record.is_kept(now) && range_sets.is_inside(seen.record.address) {
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
    ) -> Result<Outcome, StoreError> {
        let same = one_map && self.keys.everything() == former.keys.everything();
        let here = Here { keys: &self.keys, network, same };
        let (leave, enter) = match moving {
            Move::Hold(_) if same => return Ok(Outcome::Already),
            Move::Hold(MovingHold(seen)) => {
                (leave_hold(&former.keys, seen), here.enter_hold(self.reading(now).await?, &seen.record).await?)
            }
            Move::Claims(claims) => {
                let leave = match former.leave(claims).await? {
                    Ok(leave) => leave,
                    Err(why) => return Ok(Outcome::Differs(why)),
                };
                (leave, here.enter(self.reading(now).await?, claims).await?)
            }
        };
        let enter = match enter {
            Ok(enter) => enter,
            Err(outcome) => return Ok(outcome),
        };
        let done = if enter.writes().is_empty() { Outcome::Already } else { Outcome::Done };
        if rehearse {
            return Ok(done);
        }
        if one_map {
            let committed = self.map.commit(&[both(leave, &enter)]).await?;
            return Ok(if committed == Commit::Lost { Outcome::Changed } else { done });
        }
        if done == Outcome::Done && self.map.commit(&[enter]).await? == Commit::Lost {
            return Ok(Outcome::Changed);
        }
        if former.map.commit(&[leave]).await? == Commit::Lost {
            if done == Outcome::Done {
                self.undo(former, moving, network, now).await?;
            }
            return Ok(Outcome::Changed);
        }
        Ok(done)
    }

    /// What was released in the former books while it was written here does not live here either.
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

    /// Take claims out of these books; or why they are not as they should be.
    async fn leave(&self, claims: &[MovingClaim]) -> Result<Result<Change, String>, StoreError> {
        let keys = &self.keys;
        let mut reads = Vec::new();
        for MovingClaim(seen) in claims {
            let claim = &seen.record;
            reads.extend(claim.addresses().map(|address| Read::Get(keys.address(address))));
            reads.extend(claim.pod.iter().map(|pod| Read::Get(keys.pod(pod, &claim.attachment))));
        }
        let pages = if reads.is_empty() { Vec::new() } else { self.map.view().await?.read(&reads).await? };
        let mut entries = pages.into_iter().map(Page::into_entry);
        let mut change = Change::default();
        for MovingClaim(seen) in claims {
            let claim = &seen.record;
            change.require(seen.guard()).delete(keys.attachment(&claim.attachment)).delete(keys.node_of(claim));
            for expected in claim.held_addresses() {
                let held = entries.next().flatten().and_then(|entry| Seen::<Allocation>::parse(keys, entry).ok());
                let Some(held) = held.filter(|held| held.record == expected) else {
                    return Ok(Err(format!(
                        "the record of {} does not say what its claim says: kube-ipam fsck with the former configuration",
                        expected.address
                    )));
                };
                change.require(held.guard()).delete(keys.address(expected.address));
            }
            for slot in claim.slots() {
                change.delete(keys.slot(slot));
            }
            let newest = claim.pod.as_ref().and_then(|_| entries.next()).flatten();
            if let Some(newest) = newest.filter(|newest| newest.value == claim.attachment.container.as_bytes()) {
                change.require(Guard::Is(newest.key.clone(), newest.value)).delete(newest.key);
            }
        }
        Ok(Ok(change))
    }
}

impl Here<'_> {
    /// Write claims into these books; or why not.
    async fn enter(&self, mut reading: Reading, claims: &[MovingClaim]) -> Result<Result<Change, Outcome>, StoreError> {
        let leaving: BTreeSet<&Attachment> = claims.iter().map(|MovingClaim(seen)| &seen.record.attachment).collect();
        let mut change = Change::default();
        for MovingClaim(seen) in claims {
            let claim = renamed(&seen.record, self.network);
            let mut reads = vec![Read::Get(self.keys.attachment(&claim.attachment))];
            reads.extend(claim.pod.iter().map(|pod| Read::Get(self.keys.pod(pod, &claim.attachment))));
            reads.extend(claim.slots().map(|slot| Read::Get(self.keys.slot(slot))));
            reads.extend(claim.addresses().flat_map(|address| reading.holder_reads(address)));
            let mut pages = reading.read(&reads).await?.into_iter();
            if let Some(own) = pages.next().and_then(Page::into_entry) {
                let own = Seen::<Claim>::parse(self.keys, own)?.record;
                if own.addresses().eq(claim.addresses()) {
                    continue;
                }
                return Ok(Err(Outcome::Differs("it holds other addresses here".to_owned())));
            }
            change.require(Guard::Absent(self.keys.attachment(&claim.attachment)));
            self.enter_pod(&claim, pages.by_ref(), &mut change);
            if let Some(slot) = self.enter_slots(&claim, pages.by_ref(), &mut change) {
                return Ok(Err(Outcome::Differs(format!("{slot} is taken here"))));
            }
            for held in claim.held_addresses() {
                let holder = reading.learn_holder(held.address, pages.by_ref().take(2))?;
                match holder {
                    Some(Holder::Attachment(other)) if self.same && leaving.contains(&other.attachment) => {}
                    Some(holder) => return Ok(Err(Outcome::Taken(held.address, Box::new(holder)))),
                    None => self.clear_hold(held.address, reading.seen.kept.get(&held.address), &mut change),
                }
                if !self.same {
                    change.require(Guard::Absent(self.keys.address(held.address)));
                }
                change.put(self.keys.address(held.address), encode(&held));
            }
            change.put(self.keys.attachment(&claim.attachment), encode(&claim)).put(self.keys.node_of(&claim), "");
        }
        Ok(Ok(change))
    }

    /// The pod's index, unless it points at a newer attachment already.
    fn enter_pod(&self, claim: &Claim, pages: &mut impl Iterator<Item = Page>, change: &mut Change) {
        let Some(pod) = &claim.pod else { return };
        if pages.next().and_then(Page::into_entry).is_none() {
            let key = self.keys.pod(pod, &claim.attachment);
            change.require(Guard::Absent(key.clone())).put(key, claim.attachment.container.as_str());
        }
    }

    /// The slots of the addresses, and of those that are ceded. Gives one that is taken.
    fn enter_slots(&self, claim: &Claim, pages: &mut impl Iterator<Item = Page>, change: &mut Change) -> Option<Slot> {
        let ceded = claim.ceded.iter().map(|ceded| &ceded.assignment);
        for assignment in claim.addresses.iter().chain(ceded) {
            let Some(slot) = &assignment.slot else { continue };
            let taken = pages.next().and_then(Page::into_entry).is_some();
            if taken && !self.same {
                return Some(slot.clone());
            }
            if !self.same {
                change.require(Guard::Absent(self.keys.slot(slot)));
            }
            change.put(self.keys.slot(slot), assignment.address.to_string());
        }
        None
    }

    async fn enter_hold(
        &self,
        mut reading: Reading,
        kept: &KeptAddress,
    ) -> Result<Result<Change, Outcome>, StoreError> {
        let address = kept.address;
        let pages = reading.read(&reading.holder_reads(address)).await?;
        let holder = reading.learn_holder(address, pages)?;
        let seen = reading.seen.kept.get(&address);
        let mut change = Change::default();
        match holder {
            Some(_) if seen.is_some_and(|seen| seen.record == *kept) => return Ok(Ok(change)),
            Some(holder) => return Ok(Err(Outcome::Taken(address, Box::new(holder)))),
            None => {}
        }
        self.clear_hold(address, seen, &mut change);
        change.require(Guard::Absent(self.keys.address(address)));
        write_hold(self.keys, kept, &mut change);
        Ok(Ok(change))
    }

    /// No hold is in the way, or one that is over.
    fn clear_hold(&self, address: IpAddr, over: Option<&Seen<KeptAddress>>, change: &mut Change) {
        match over {
            Some(over) => {
                change.require(over.guard_at(self.keys.hold(address)));
                end_hold(self.keys, &over.record, change);
            }
            None => drop(change.require(Guard::Absent(self.keys.hold(address)))),
        }
    }
}

/// Take a hold out of these books.
fn leave_hold(keys: &Keys, seen: &Seen<KeptAddress>) -> Change {
    let mut change = Change::default();
    change.require(seen.guard_at(keys.hold(seen.record.address)));
    end_hold(keys, &seen.record, &mut change);
    change
}

/// One change out of two of the same map: what leaves need not be absent for what enters in its place.
fn both(leave: Change, enter: &Change) -> Change {
    let mut change = leave.clone();
    let leaves = |key: &str| leave.writes().iter().any(|write| write.key() == key);
    for guard in enter.guards() {
        let in_its_place = matches!(guard, Guard::Absent(key) if leaves(key));
        if !in_its_place {
            change.require(guard.clone());
        }
    }
    for write in enter.writes() {
        match write {
            Write::Put(key, value) => change.put(key.clone(), value.as_slice()),
            gone => change.delete(gone.key().to_owned()),
        };
    }
    change
}

/// The claim as it is where its network has this name.
fn renamed(claim: &Claim, network: &str) -> Claim {
    let former = claim.attachment.network.as_str();
    let mut claim = claim.clone();
    let parties = claim.former.values_mut().chain(claim.ceded.iter_mut().map(|ceded| &mut ceded.to));
    for party in parties.filter(|party| party.attachment.network == former) {
        party.attachment.network = network.to_owned();
    }
    claim.attachment.network = network.to_owned();
    claim
}

/// Claims that name each other move at once: an address that was ceded finds its way back at any moment.
fn together(claims: Vec<Seen<Claim>>) -> Vec<Vec<Seen<Claim>>> {
    let mut group_of: BTreeMap<Attachment, usize> = BTreeMap::new();
    for (nth, seen) in claims.iter().enumerate() {
        group_of.insert(seen.record.attachment.clone(), nth);
    }
    for seen in &claims {
        let claim = &seen.record;
        let parties = claim.former.values().chain(claim.ceded.iter().map(|ceded| &ceded.to));
        for party in parties {
            let (own, other) = (group_of.get(&claim.attachment), group_of.get(&party.attachment));
            let (Some(&own), Some(&other)) = (own, other) else { continue };
            for group in group_of.values_mut().filter(|group| **group == other) {
                *group = own;
            }
        }
    }
    let mut groups: BTreeMap<usize, Vec<Seen<Claim>>> = BTreeMap::new();
    for seen in claims {
        groups.entry(group_of[&seen.record.attachment]).or_default().push(seen);
    }
    groups.into_values().collect()
}
