//! A look at the store before a decision: who asks, what they hold already, and what is known of the ranges.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;

use super::Store;
use super::drafts::{Other, Others};
use super::error::StoreError;
use super::hold;
use super::ordered::{Entry, Page, Read};
use super::reading::{Reading, windows};
use super::record::{KeptAddress, Seen};
use super::registry::Registering;
use ipam::{Allocation, Attachment, Claim, Family, PodName, Question, RangeSet, RangeSets, Snapshot, Span};
use limits::store::WINDOW_AHEAD;

/// Who asks for addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requester {
    /// Who will hold them.
    pub attachment: Attachment,
    /// The Kubernetes node.
    pub node: String,
    /// The machine that calls itself by this node's name; empty when unknown.
    pub machine: String,
    /// The pod, when the runtime named one.
    pub pod: Option<PodName>,
}

/// The store as it was at one moment. A claim consumes it: whoever loses a race has to look again.
pub struct Look {
    /// What this very attachment holds already. The rest is not read then.
    pub claim: Option<Claim>,
    /// What an older attachment of the same pod, interface and network still holds.
    pub previous: Option<Claim>,
    /// What a pod of the same name still holds that is not, or not for sure, the same pod. See [`Look::succeed`].
    namesake: Option<Claim>,
    /// What is known of the ranges so far.
    pub snapshot: Snapshot,
    pub requester: Requester,
    pub(crate) reading: Reading,
    pub(crate) others: Others,
    /// Holds that are over, found by the way.
    pub(crate) expired: Vec<Seen<KeptAddress>>,
    /// Where the network has its books, if that is kept.
    pub(crate) registering: Option<Registering>,
}

impl Store {
    /// Look at everything a decision for this requester needs first: what it holds, what an older attachment of the
    /// same pod holds, the first addresses of each range set and those after its cursor, and who holds the
    /// `contested` addresses (of proposals that lost their race, and fixed ones).
    ///
    /// One read when nothing is held by an older attachment and the ranges are small; one more for either, and one
    /// more for the addresses of an older attachment.
    pub async fn look_up(
        &self,
        requester: &Requester,
        range_sets: &RangeSets,
        contested: &[IpAddr],
        now: Timestamp,
    ) -> Result<Look, StoreError> {
        let mut look = Look {
            claim: None,
            previous: None,
            namesake: None,
            snapshot: Snapshot::new(range_sets.clone(), Vec::new()),
            requester: requester.clone(),
            reading: self.reading(now).await?,
            others: Others::new(),
            expired: Vec::new(),
            registering: self.registering(requester, range_sets),
        };
        let (cursors, newest) = look.read_first(range_sets, contested).await?;
        if look.claim.is_none() {
            look.read_second(range_sets, &cursors, newest).await?;
            look.read_addresses_of_previous().await?;
        }
        Ok(look)
    }
}

impl Look {
    /// Answer what the snapshot could not, from the same moment.
    pub async fn answer(&mut self, question: Question) -> Result<(), StoreError> {
        let list = match &question {
            Question::TakenSlots(name) => Some(name.clone()),
            _ => None,
        };
        self.reading.answer(question, &mut self.snapshot).await?;
        if let Some(name) = list {
            self.give_back(name);
        }
        Ok(())
    }

    /// What an older attachment of the pod has is as good as free for this claim, which ends it.
    fn give_back(&mut self, name: String) {
        let slots = self.previous.iter().flat_map(Claim::slots);
        let own: Vec<u32> = slots.filter(|slot| slot.name == name).map(|slot| slot.number).collect();
        let Ok(taken) = self.snapshot.taken_slots(&name) else { return };
        let others = taken.iter().copied().filter(|number| !own.contains(number)).collect();
        self.snapshot.learn_slots(name, others);
    }

    /// When it was looked.
    pub fn at(&self) -> Timestamp {
        self.reading.now
    }

    /// Let somebody ask who has no part in the claim. What is learnt stays in the snapshot; the records that a claim
    /// rests on are those of before.
    pub async fn aside<T>(&mut self, ask: impl AsyncFnOnce(&mut Self) -> T) -> T {
        let seen = std::mem::take(&mut self.reading.seen);
        let answer = ask(self).await;
        self.reading.seen = seen;
        answer
    }

    /// Who was seen holding an address.
    pub fn holder_of(&self, address: IpAddr) -> Option<&Allocation> {
        self.reading.seen.held.get(&address)?.as_ref().map(|seen| &seen.record)
    }

    /// The pod that asks.
    pub fn pod(&self) -> Option<&PodName> {
        self.requester.pod.as_ref()
    }

    /// The pod that asks is, by the API server's word, the one that bears its name: whoever bore it before is gone, and
    /// what it still holds is as that of an older attachment. One read where there is such a one.
    pub async fn succeed(&mut self) -> Result<(), StoreError> {
        // A static pod may have no mirror in the API: that a pod of its name is there says nothing of its end.
        let was_made_through_the_api = |claim: &Claim| claim.pod.as_ref().is_some_and(PodName::has_uuid);
        if let Some(namesake) = self.namesake.take().filter(was_made_through_the_api) {
            self.previous = Some(namesake);
            self.read_addresses_of_previous().await?;
        }
        Ok(())
    }

    async fn read_first(
        &mut self,
        range_sets: &RangeSets,
        contested: &[IpAddr],
    ) -> Result<(Vec<Option<IpAddr>>, Option<Entry>), StoreError> {
        let keys = self.reading.keys.clone();
        let attachment = &self.requester.attachment;
        let mut reads = vec![Read::Get(keys.attachment(attachment))];
        reads.extend(self.requester.pod.iter().map(|pod| Read::Get(keys.pod(pod, attachment))));
        reads.extend(range_sets.iter().map(|set| Read::Get(keys.cursor(set))));
        let first: Vec<Span> = range_sets.iter().flat_map(|set| windows(set, None)).collect();
        reads.extend(first.iter().flat_map(|window| self.reading.window_reads(*window)));
        reads.extend(contested.iter().flat_map(|address| self.reading.holder_reads(*address)));
        reads.push(hold::expired_read(&keys, self.reading.now));
        reads.extend(self.registering.iter().map(Registering::read));

        let mut pages = self.reading.read(&reads).await?.into_iter();
        let mut entry = || pages.next().and_then(Page::into_entry);
        if let Some(own) = entry() {
            self.claim = Some(Seen::<Claim>::parse(&keys, own)?.record);
            return Ok((Vec::new(), None));
        }
        let newest = self.requester.pod.as_ref().and_then(|_| entry());
        let cursors: Vec<Option<IpAddr>> = range_sets.iter().map(|set| parse_cursor(entry()?, set)).collect();
        self.snapshot = Snapshot::new(range_sets.clone(), cursors.clone());
        for window in first {
            self.reading.learn_window(window, pages.by_ref().take(2), &mut self.snapshot);
        }
        for address in contested {
            let holder = self.reading.learn_holder(*address, pages.by_ref().take(2))?;
            self.snapshot.learn_holder(*address, holder);
        }
        self.expired = hold::expired(&keys, pages.next().unwrap_or_default());
        if let Some(registering) = &mut self.registering {
            registering.learn(pages.next().and_then(Page::into_entry));
        }
        Ok((cursors, newest))
    }

    async fn read_second(
        &mut self,
        range_sets: &RangeSets,
        cursors: &[Option<IpAddr>],
        newest: Option<Entry>,
    ) -> Result<(), StoreError> {
        let keys = self.reading.keys.clone();
        let previous = newest.as_ref().and_then(|entry| self.previous_attachment(entry));
        let others = self.other_attachments(previous.clone());
        let mut reads: Vec<Read> =
            others.iter().map(|(attachment, _)| Read::Get(keys.attachment(attachment))).collect();
        reads
            .extend(others.iter().filter_map(|(attachment, pod)| Some(Read::Get(keys.pod(pod.as_ref()?, attachment)))));
        let beyond: Vec<Span> = range_sets
            .iter()
            .zip(cursors)
            .filter_map(|(set, cursor)| Some(windows_after(set, (*cursor)?)))
            .flatten()
            .collect();
        reads.extend(beyond.iter().flat_map(|window| self.reading.window_reads(*window)));

        let mut pages = self.reading.read(&reads).await?.into_iter();
        let claims: Vec<Option<Entry>> = pages.by_ref().take(others.len()).map(Page::into_entry).collect();
        for ((attachment, pod), claim) in others.into_iter().zip(claims) {
            let newest = pod.and_then(|_| pages.next()).and_then(Page::into_entry);
            let Some(claim) = claim.and_then(|claim| Seen::<Claim>::readable(&keys, claim)) else { continue };
            self.others.insert(attachment, Other { claim, newest });
        }
        for window in beyond {
            self.reading.learn_window(window, pages.by_ref().take(2), &mut self.snapshot);
        }
        let claim =
            previous.and_then(|attachment| self.others.get(&attachment)).map(|other| other.claim.record.clone());
        match claim {
            Some(claim) if self.is_of_same_pod(claim.pod.as_ref()) => self.previous = Some(claim),
            claim => self.namesake = claim,
        }
        Ok(())
    }

    /// The records under the addresses of the older attachment: what is released with a claim is fenced one by one. And
    /// the claims of those it ceded an address to, or has one from: they change with its end.
    async fn read_addresses_of_previous(&mut self) -> Result<(), StoreError> {
        let Some(previous) = &self.previous else { return Ok(()) };
        let keys = self.reading.keys.clone();
        let addresses: Vec<IpAddr> = previous.addresses().collect();
        let counterparts: Vec<Attachment> =
            previous.counterparts().filter(|other| !self.others.contains_key(other)).cloned().collect();
        let mut reads: Vec<Read> = addresses.iter().flat_map(|address| self.reading.holder_reads(*address)).collect();
        reads.extend(counterparts.iter().map(|counterpart| Read::Get(keys.attachment(counterpart))));
        let mut pages = self.reading.read(&reads).await?.into_iter();
        for address in addresses {
            let holder = self.reading.learn_holder(address, pages.by_ref().take(2))?;
            self.snapshot.learn_holder(address, holder);
        }
        for counterpart in counterparts {
            let claim = pages.next().and_then(Page::into_entry).and_then(|entry| Seen::readable(&keys, entry));
            if let Some(claim) = claim {
                self.others.insert(counterpart, Other { claim, newest: None });
            }
        }
        Ok(())
    }

    /// The attachment a pod's index points at, unless it is the requester's own.
    fn previous_attachment(&self, newest: &Entry) -> Option<Attachment> {
        let container = String::from_utf8(newest.value.clone()).ok()?;
        let own = &self.requester.attachment;
        (container != own.container).then(|| Attachment { container, ..own.clone() })
    }

    /// The older attachment, those that hold a contested address, and those that ceded it to them, each with its pod.
    fn other_attachments(&self, previous: Option<Attachment>) -> Vec<(Attachment, Option<PodName>)> {
        let mut others: BTreeMap<Attachment, Option<PodName>> = BTreeMap::new();
        for Allocation { attachment, pod, former, .. } in
            self.reading.seen.held.values().flatten().map(|seen| &seen.record)
        {
            others.insert(attachment.clone(), pod.clone());
            if let Some(former) = former {
                others.insert(former.attachment.clone(), former.pod.clone());
            }
        }
        others.extend(previous.map(|attachment| (attachment, self.requester.pod.clone())));
        others.remove(&self.requester.attachment);
        others.into_iter().collect()
    }

    pub(crate) fn is_of_same_pod(&self, pod: Option<&PodName>) -> bool {
        self.requester.pod.as_ref().zip(pod).is_some_and(|(one, two)| one.is_same_pod(two))
    }
}

/// The windows after a cursor, where the first windows do not reach far enough beyond it. A policy that needs more asks.
fn windows_after(set: &RangeSet, cursor: IpAddr) -> Vec<Span> {
    let known = windows(set, None);
    let after = windows(set, Some(cursor));
    let both = after.iter().flat_map(|after| known.iter().filter_map(|known| known.intersection(after)));
    let ahead: u128 = both.map(|part| part.size()).sum();
    let all: u128 = after.iter().map(Span::size).sum();
    if ahead >= all.min(WINDOW_AHEAD) { Vec::new() } else { after }
}

/// A cursor is a hint: one that cannot be read is none.
fn parse_cursor(entry: Entry, set: &RangeSet) -> Option<IpAddr> {
    let address: IpAddr = std::str::from_utf8(&entry.value).ok()?.parse().ok()?;
    (Family::of(address) == set.family()).then_some(address)
}
