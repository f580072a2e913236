//! A look at the store before a decision: who asks, what they hold already, and what is known of the ranges.
//!
//! ```text
//!   look_up    1st read   own claim · pod's newest attachment · cursors · first windows · contested · over · registry
//!                │          own claim is there: that is the answer, and nothing else is read
//!              2nd read   claims of the older attachment and of contested holders · windows after the cursors
//!              3rd read   only where an older attachment is replaced: the records of its addresses
//!                ▼
//!   Look { snapshot, evidence }  ── the policy asks ──►  answer: more reads of the same moment
//!                │
//!                ▼
//!   claim      consumes it: what was seen is compared, and then it is spent
//! ```
//!
//! All reads are of one moment, however many there are: a policy that runs again sees the same world, only more of it. And a
//! look is good for one claim. Whoever loses a race looks again, because the loss says that something of what was seen is
//! no longer so, but not what.
//!
//! The snapshot is what the policy sees. The evidence is what the transaction compares (`evidence.rs`).

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;

use super::Store;
use super::drafts::Other;
use super::error::StoreError;
use super::evidence::Evidence;
use super::ordered::Entry;
use super::reading::{Reading, windows};
use super::record::address_in_value;
use ipam::{Allocation, Attachment, Claim, Family, PodName, Question, RangeSet, RangeSets, Snapshot, Span};
use limits::store::WINDOW_AHEAD;

/// The attachment that asks for addresses, with its pod and node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requester {
    /// The attachment that will hold them.
    pub attachment: Attachment,
    /// The name of the Kubernetes node.
    pub node: String,
    /// The machine that calls itself by this node's name; empty when unknown.
    pub machine: String,
    /// The pod, when the runtime named one.
    pub pod: Option<PodName>,
}

/// The store as it was at one moment. A claim consumes it: after a lost race the store has to be looked at again.
pub struct Look {
    /// What this very attachment holds already. The rest is not read then.
    pub claim: Option<Claim>,
    /// What an older attachment of the same pod, interface and network still holds.
    pub previous: Option<Claim>,
    /// What a pod of the same name still holds that is not, or not for sure, the same pod. See [`Look::succeed`].
    namesake: Option<Claim>,
    /// What is known of the ranges so far: what the policy sees.
    pub snapshot: Snapshot,
    /// What the transaction compares.
    pub(crate) evidence: Evidence,
    pub requester: Requester,
    reading: Reading,
}

/// What the first read leaves for the second.
struct FirstRead {
    /// The entry of the pod's index.
    newest: Option<Entry>,
    /// Where each range set was last claimed.
    cursors: Vec<Option<IpAddr>>,
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
            evidence: Evidence::registering(self.registering(requester, range_sets)),
            requester: requester.clone(),
            reading: self.reading(now).await?,
        };
        if let Some(first) = look.read_first(range_sets, contested).await? {
            look.read_second(range_sets, first).await?;
            look.read_addresses_of_previous().await?;
        }
        Ok(look)
    }
}

impl Look {
    /// Answer what the snapshot could not, from the same moment.
    pub async fn answer(&mut self, question: Question) -> Result<(), StoreError> {
        // Slots are the one thing that the store does not know whom it counts for: the older attachment's are ours to take.
        let list = match &question {
            Question::TakenSlots(name) => Some(name.clone()),
            _ => None,
        };
        self.reading.answer(question, &mut self.snapshot, &mut self.evidence).await?;
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

    /// The moment at which the look was taken, by this node's clock.
    pub fn at(&self) -> Timestamp {
        self.reading.now
    }

    /// Answer questions of a policy that has no part in the claim, a shadow. What is learnt stays in the snapshot; the records
    /// that a claim rests on are those of before.
    pub async fn aside<T>(&mut self, ask: impl AsyncFnOnce(&mut Self) -> T) -> T {
        let evidence = std::mem::take(&mut self.evidence);
        let answer = ask(self).await;
        self.evidence = evidence;
        answer
    }

    pub fn pod(&self) -> Option<&PodName> {
        self.requester.pod.as_ref()
    }

    /// The pod that asks is, by the API server's word, the one that bears its name: whoever bore it before is gone, and
    /// what it still holds is as that of an older attachment. One read where there is such a one.
    pub async fn succeed(&mut self) -> Result<(), StoreError> {
        let Some(namesake) = self.namesake.take() else { return Ok(()) };
        // A static pod may have no mirror in the API: that a pod of its name is there says nothing of its end.
        if namesake.pod.as_ref().is_some_and(PodName::has_uuid) {
            self.previous = Some(namesake);
            self.read_addresses_of_previous().await?;
        }
        Ok(())
    }

    /// Everything that can be asked for without knowing an answer. `None` where the attachment holds addresses already.
    async fn read_first(
        &mut self,
        range_sets: &RangeSets,
        contested: &[IpAddr],
    ) -> Result<Option<FirstRead>, StoreError> {
        let Requester { attachment, pod, .. } = &self.requester;
        let mut batch = self.reading.batch();
        // First of all reads, because etcd's cluster agrees on the first alone: what decides whether this is a repeated ADD
        // must not be what a member that lags behind has.
        let own = batch.claim(attachment);
        let newest = pod.as_ref().map(|pod| batch.newest(pod, attachment));
        let cursors: Vec<_> = range_sets.iter().map(|set| batch.cursor(set)).collect();
        let mut windows_in_front = Vec::new();
        for window in range_sets.iter().flat_map(|set| windows(set, None)) {
            windows_in_front.push(batch.window(window));
        }
        let contested: Vec<_> = contested.iter().map(|address| batch.address(*address)).collect();
        let expired = batch.expired(self.reading.now);
        let registration = self.evidence.registering.as_ref().map(|ours| batch.registration(ours.network()));

        let mut answers = self.reading.read(batch).await?;
        // A runtime that repeats an ADD is answered from the claim alone: whatever else is damaged is not its concern.
        if let Some(own) = answers.record(own)? {
            self.claim = Some(own.record);
            return Ok(None);
        }
        let newest = newest.and_then(|newest| answers.entry(newest));
        let cursors: Vec<Option<IpAddr>> =
            range_sets.iter().zip(cursors).map(|(set, cursor)| parse_cursor(&answers.entry(cursor)?, set)).collect();
        self.snapshot = Snapshot::new(range_sets.clone(), cursors.clone());
        for window in windows_in_front {
            self.reading.learn_window(answers.block(window), &mut self.snapshot, &mut self.evidence);
        }
        for address in contested {
            let at = answers.address(address)?;
            self.snapshot.learn_holder(at.address, at.holder(self.reading.now));
            self.evidence.saw(at);
        }
        self.evidence.expired = answers.all_readable(expired);
        if let (Some(registering), Some(registration)) = (&mut self.evidence.registering, registration) {
            registering.learn(answers.entry(registration))?;
        }
        Ok(Some(FirstRead { newest, cursors }))
    }

    /// Who else changes with this claim, by the names that the first read gave, and the windows after the cursors.
    async fn read_second(&mut self, range_sets: &RangeSets, first: FirstRead) -> Result<(), StoreError> {
        let previous = first.newest.and_then(|newest| self.previous_attachment(&newest));
        let others = self.other_attachments(previous.clone());
        let mut batch = self.reading.batch();
        let claims: Vec<_> = others.keys().map(|attachment| batch.claim(attachment)).collect();
        let newest: Vec<_> =
            others.iter().map(|(attachment, pod)| Some(batch.newest(pod.as_ref()?, attachment))).collect();
        let mut beyond = Vec::new();
        for (set, cursor) in range_sets.iter().zip(first.cursors) {
            let Some(cursor) = cursor else { continue };
            beyond.extend(windows_after(set, cursor).into_iter().map(|window| batch.window(window)));
        }

        let mut answers = self.reading.read(batch).await?;
        for ((attachment, claim), newest) in others.into_keys().zip(claims).zip(newest) {
            // A claim that cannot be read has no part in this one: its addresses stay held, and cannot be taken over.
            let Some(claim) = answers.readable(claim) else { continue };
            let newest = newest.and_then(|newest| answers.entry(newest));
            self.evidence.others.insert(attachment, Other { claim, newest });
        }
        for window in beyond {
            self.reading.learn_window(answers.block(window), &mut self.snapshot, &mut self.evidence);
        }
        let other = previous.and_then(|attachment| self.evidence.other(&attachment));
        let claim = other.map(|other| other.claim.record.clone());
        // A name is not a pod: a StatefulSet's next pod has the name of one whose container may still run.
        if claim.as_ref().is_some_and(|claim| self.is_of_same_pod(claim.pod.as_ref())) {
            self.previous = claim;
        } else {
            // The index goes by the digest of a name: whoever stands there may have another one, and is no business of this pod.
            self.namesake = claim.filter(|claim| self.has_same_name(claim.pod.as_ref()));
        }
        Ok(())
    }

    /// The records under the addresses of the older attachment: what is released with a claim is fenced one by one. And
    /// the claims of those it ceded an address to, or has one from: they change with its end.
    async fn read_addresses_of_previous(&mut self) -> Result<(), StoreError> {
        let Some(previous) = &self.previous else { return Ok(()) };
        let mut batch = self.reading.batch();
        let addresses: Vec<_> = previous.addresses().map(|address| batch.address(address)).collect();
        let unread = previous.counterparts().filter(|counterpart| self.evidence.other(counterpart).is_none());
        let counterparts: Vec<_> = unread.map(|counterpart| (counterpart.clone(), batch.claim(counterpart))).collect();

        let mut answers = self.reading.read(batch).await?;
        for address in addresses {
            let at = answers.address(address)?;
            self.snapshot.learn_holder(at.address, at.holder(self.reading.now));
            self.evidence.saw(at);
        }
        for (counterpart, claim) in counterparts {
            if let Some(claim) = answers.readable(claim) {
                self.evidence.others.insert(counterpart, Other { claim, newest: None });
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
    fn other_attachments(&self, previous: Option<Attachment>) -> BTreeMap<Attachment, Option<PodName>> {
        let mut others: BTreeMap<Attachment, Option<PodName>> = BTreeMap::new();
        for Allocation { attachment, pod, former, .. } in self.evidence.holders() {
            others.insert(attachment.clone(), pod.clone());
            if let Some(former) = former {
                others.insert(former.attachment.clone(), former.pod.clone());
            }
        }
        if let Some(previous) = previous {
            others.insert(previous, self.requester.pod.clone());
        }
        others.remove(&self.requester.attachment);
        others
    }

    fn has_same_name(&self, pod: Option<&PodName>) -> bool {
        let (Some(one), Some(two)) = (&self.requester.pod, pod) else { return false };
        one.namespace == two.namespace && one.name == two.name && one.cluster == two.cluster
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
    // What is left behind the cursor may be less than what is wanted ahead of it: then all of that does.
    let all: u128 = after.iter().map(Span::size).sum();
    if ahead >= all.min(WINDOW_AHEAD) { Vec::new() } else { after }
}

/// A cursor is a hint: one that cannot be read is none.
fn parse_cursor(entry: &Entry, set: &RangeSet) -> Option<IpAddr> {
    address_in_value(&entry.value).filter(|address| Family::of(*address) == set.family())
}
