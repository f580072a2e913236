//! A look at the store before a decision: who asks, what they hold already, and what is known of the ranges.
//!
//! ```text
//!   look_up    1st read   own claim · pod's newest attachment · cursors · first windows, and where the cursors are
//!                │        expected · contested · over · registry
//!                │          own claim is there: that is the answer, and nothing else is read
//!              2nd read   claims of the older attachment and of contested holders · windows after cursors that lay
//!                │        elsewhere
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
use super::cursors::{Cursors, cursor_in};
use super::drafts::Other;
use super::error::StoreError;
use super::evidence::Evidence;
use super::ordered::Entry;
use super::reading::{Reading, windows};
use ipam::{Allocation, Attachment, Claim, PodName, Question, RangeSet, RangeSets, SlotsWanted, Snapshot, Span};
use limits::store::{WINDOW, WINDOW_AHEAD};

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
    pub(super) reading: Reading,
    /// Windows after the cursors that are not read yet.
    after_cursors: Vec<Span>,
    /// What this node notes of the cursors, where the map is far away.
    pub(crate) cursors: Option<Cursors>,
}

/// What the first read leaves for the second.
struct FirstRead {
    /// The entry of the pod's index.
    newest: Option<Entry>,
}

impl Store {
    /// Look at everything a decision for this requester needs first: what it holds, what an older attachment of the
    /// same pod holds, the first addresses of each range set and those after its cursor, and who holds the
    /// `contested` addresses (of proposals that lost their race, and fixed ones).
    ///
    /// One read as a rule. One more where an older attachment holds something, and one for its addresses; and one where a
    /// cursor is not where this node expected it.
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
            after_cursors: Vec::new(),
            cursors: self.notes.as_ref().map(|notes| Cursors::of(&requester.attachment.network, notes)),
        };
        if let Some(first) = look.read_first(range_sets, contested).await? {
            look.read_second(first).await?;
            look.read_addresses_of_previous().await?;
        }
        Ok(look)
    }
}

impl Look {
    /// Answer what the snapshot could not, from the same moment.
    pub async fn answer(&mut self, question: Question) -> Result<(), StoreError> {
        // A policy that asks after one cursor asks after the others.
        if let Question::FirstFree(span) = &question
            && self.after_cursors.iter().any(|window| window.contains(span.first()))
        {
            return self.read_after_cursors().await;
        }
        // Slots are the one thing that the store does not know whom it counts for: the older attachment's are ours to take.
        let own_slots = match &question {
            Question::TakenSlots(name) | Question::FreeSlots(SlotsWanted { name, .. }) => self.slots_of_previous(name),
            _ => Vec::new(),
        };
        self.reading.answer(question, &own_slots, &mut self.snapshot, &mut self.evidence).await
    }

    /// What an older attachment of the pod has is as good as free for this claim, which ends it.
    fn slots_of_previous(&self, list: &str) -> Vec<u32> {
        let slots = self.previous.iter().flat_map(Claim::slots);
        slots.filter(|slot| slot.name == list).map(|slot| slot.number).collect()
    }

    /// Forget which blocks are marked as full: what they cover is counted, once it is asked about again. False where no answer
    /// has rested on a mark.
    pub fn doubt_marks(&mut self) -> bool {
        self.reading.marks.doubt(&mut self.snapshot)
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
        let aside = std::mem::replace(&mut self.evidence, evidence);
        self.evidence.set_aside(aside);
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
        let blocks: Vec<_> = self.first_windows(range_sets).into_iter().map(|window| batch.window(window)).collect();
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
        let mut last_claimed = Vec::with_capacity(range_sets.len());
        for (set, cursor) in range_sets.iter().zip(cursors) {
            let entry = answers.entry(cursor);
            if let (Some(cursors), Some(entry)) = (&mut self.cursors, &entry) {
                cursors.learn(entry, set, self.reading.now);
            }
            last_claimed.push(entry.and_then(|entry| cursor_in(&entry, set)));
        }
        self.snapshot = Snapshot::new(range_sets.clone(), last_claimed.clone());
        for block in blocks {
            self.reading.learn_window(answers.block(block), &mut self.snapshot, &mut self.evidence);
        }
        for (set, cursor) in range_sets.iter().zip(last_claimed) {
            self.after_cursors.extend(windows_after(cursor, set, &self.snapshot));
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
        Ok(Some(FirstRead { newest }))
    }

    /// The first window of each range set, and those where this node expects its cursor.
    fn first_windows(&self, range_sets: &RangeSets) -> Vec<Span> {
        let mut first = Vec::new();
        for set in range_sets.iter() {
            first.extend(windows(set, None, WINDOW));
            if let Some(cursors) = &self.cursors {
                first.extend(cursors.windows(&self.reading.cursor_key(set), set, self.reading.now));
            }
        }
        first
    }

    /// Who else changes with this claim, by the names that the first read gave, and the windows after the cursors.
    async fn read_second(&mut self, first: FirstRead) -> Result<(), StoreError> {
        let previous = first.newest.and_then(|newest| self.previous_attachment(&newest));
        let others = self.other_attachments(previous.clone());
        // Where a read is a journey, nobody goes for what the policy may not ask: not every one begins at the cursor.
        if others.is_empty() && self.cursors.is_some() {
            return Ok(());
        }
        let mut batch = self.reading.batch();
        let claims: Vec<_> = others.keys().map(|attachment| batch.claim(attachment)).collect();
        let newest: Vec<_> =
            others.iter().map(|(attachment, pod)| Some(batch.newest(pod.as_ref()?, attachment))).collect();
        let blocks: Vec<_> = self.after_cursors.drain(..).map(|window| batch.window(window)).collect();

        let mut answers = self.reading.read(batch).await?;
        for ((attachment, claim), newest) in others.into_keys().zip(claims).zip(newest) {
            // A claim that cannot be read has no part in this one: its addresses stay held, and cannot be taken over.
            let Some(claim) = answers.readable(claim) else { continue };
            let newest = newest.and_then(|newest| answers.entry(newest));
            self.evidence.others.insert(attachment, Other { claim, newest });
        }
        for block in blocks {
            self.reading.learn_window(answers.block(block), &mut self.snapshot, &mut self.evidence);
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

    /// The windows after cursors that lay where this node did not expect them.
    async fn read_after_cursors(&mut self) -> Result<(), StoreError> {
        let mut batch = self.reading.batch();
        let blocks: Vec<_> = self.after_cursors.drain(..).map(|window| batch.window(window)).collect();
        let mut answers = self.reading.read(batch).await?;
        for block in blocks {
            self.reading.learn_window(answers.block(block), &mut self.snapshot, &mut self.evidence);
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

/// The windows after a cursor, where too little is known of them. A policy that needs more asks.
fn windows_after(cursor: Option<IpAddr>, set: &RangeSet, snapshot: &Snapshot) -> Vec<Span> {
    let Some(cursor) = cursor else { return Vec::new() };
    let ahead = windows(set, Some(cursor), WINDOW_AHEAD);
    let is_known = ahead.into_iter().all(|part| snapshot.unread_rest(part).is_none());
    if is_known { Vec::new() } else { windows(set, Some(cursor), WINDOW) }
}
