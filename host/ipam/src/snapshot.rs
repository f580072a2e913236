//! What is known of who holds what, in one consistent snapshot, and what follows from it.
//!
//! A snapshot need not know everything: where an answer is not in it, the question comes back, the store reads that
//! part at the same point in time, and the policy, being a function, runs again.
//!
//! ```text
//!   policy ── next_free(range set 0)? ──► Snapshot     known   ████░░██░░░░                learn_span
//!     ▲                                      │         full            ████████████████    learn_full
//!     │ runs again, from the beginning       │         unread                          ……
//!     │                                      ▼
//!     └──────────────── Err(Question::FirstFree(…)): the store reads it, of the same moment
//! ```
//!
//! Why it is not simply everything: a network may hold a hundred thousand addresses, and an ADD has two milliseconds. Why it is
//! not a connection that a policy asks: a policy that only computes can be run again, recorded, replayed and compared, and
//! cannot hold up a store.
//!
//! What is learnt never contradicts what was known, because all of it is of one moment; so it does not matter in which order it
//! is learnt, or whether anything is learnt twice.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

use addresses::{Family, Span};
use serde::{Deserialize, Serialize};

use super::allocation::Holder;
use super::range_set::RangeSets;
use super::{address, words};

/// Something a snapshot could not answer yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Which address of this span is the first that nobody holds?
    FirstFree(Span),
    /// Who holds this address?
    HolderOf(IpAddr),
    /// How many addresses of this range set are held?
    Usage(usize),
    /// Which addresses are kept for this identity?
    HeldFor(String),
    /// Which slots of this list are taken?
    TakenSlots(String),
    /// Which slots may be taken?
    FreeSlots(SlotsWanted),
}

/// So many free slots of a list, of which at most `limit` shall be taken; those from `near` on, and around, come first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SlotsWanted {
    pub name: String,
    pub limit: u32,
    pub near: u32,
    pub count: u32,
}

/// What is known of the free slots of a list: `None` where a slot from the limit on is taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FreeSlots {
    wanted: SlotsWanted,
    free: Option<Vec<u32>>,
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FirstFree(span) => write!(f, "which address of {span} is free first"),
            Self::HolderOf(address) => write!(f, "who holds {address}"),
            Self::Usage(range_set) => write!(f, "how many addresses of range set {range_set} are held"),
            Self::HeldFor(identity) => write!(f, "which addresses are kept for {identity:?}"),
            Self::TakenSlots(name) => write!(f, "which slots of {name:?} are taken"),
            Self::FreeSlots(SlotsWanted { name, limit, .. }) => {
                write!(f, "which slots of {name:?} below {limit} are free")
            }
        }
    }
}

impl SlotsWanted {
    /// The numbers below the limit, from `near` on and around, as spans of numbers.
    pub fn turn(&self) -> Vec<(u32, u32)> {
        let Some(last) = self.limit.checked_sub(1) else { return Vec::new() };
        let near = self.near % self.limit;
        let mut turn = vec![(near, last)];
        turn.extend(near.checked_sub(1).map(|before| (0, before)));
        turn
    }

    /// What is wanted, where all that is taken is known, lowest first.
    fn free_among(&self, taken: &[u32]) -> Option<Vec<u32>> {
        if taken.last().is_some_and(|highest| *highest >= self.limit) {
            return None;
        }
        let numbers = self.turn().into_iter().flat_map(|(first, last)| first..=last);
        let free = numbers.filter(|number| taken.binary_search(number).is_err());
        Some(free.take(self.count as usize).collect())
    }
}

/// How full a range set is, in addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Addresses that the range set offers.
    pub size: u128,
    /// How many of them are held.
    pub held: u64,
}

impl Usage {
    /// Whether no address is left.
    pub fn is_full(&self) -> bool {
        u128::from(self.held) >= self.size
    }
}

/// What was read of the store so far. Written down, it leaves the range sets to whom it is written with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Snapshot {
    #[serde(skip)]
    range_sets: RangeSets,
    #[serde(with = "address::spans")]
    known: Vec<Span>,
    #[serde(with = "words::runs")]
    held: BTreeSet<IpAddr>,
    #[serde(skip_serializing_if = "Vec::is_empty", with = "address::spans")]
    full: Vec<Span>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    holders: BTreeMap<IpAddr, Option<Holder>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    counts: BTreeMap<usize, u64>,
    last_claimed: Vec<Option<IpAddr>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    identities: BTreeMap<String, Vec<IpAddr>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    slots: BTreeMap<String, Vec<u32>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    free_slots: Vec<FreeSlots>,
}

impl Snapshot {
    /// Nothing known yet but where each range set was last claimed, by index.
    pub fn new(range_sets: RangeSets, last_claimed: Vec<Option<IpAddr>>) -> Self {
        Self { range_sets, last_claimed, ..Self::default() }
    }

    /// The same knowledge, of these range sets: for a snapshot that was read from a file.
    pub fn about(self, range_sets: RangeSets) -> Self {
        Self { range_sets, ..self }
    }

    /// Know of the range sets of these families alone. For a snapshot of which nothing was asked yet: questions name range
    /// sets by their index.
    pub fn keep_families(&mut self, families: &[Family]) {
        // What was claimed last is known by the index that its range set has had until now.
        let mut last_claimed = Vec::new();
        for (set, last) in self.range_sets.iter().zip(&self.last_claimed) {
            if families.contains(&set.family()) {
                last_claimed.push(*last);
            }
        }
        self.last_claimed = last_claimed;
        self.range_sets = self.range_sets.of_families(families);
    }

    /// Learn that of a whole span, exactly these addresses are held.
    pub fn learn_span(&mut self, span: Span, held: impl IntoIterator<Item = IpAddr>) {
        self.known.push(span);
        self.held.extend(held);
    }

    /// Learn that no address of a span is free, without learning each by name: sixty thousand cost as much as one.
    pub fn learn_full(&mut self, span: Span) {
        self.full.push(span);
    }

    /// Forget that these spans are full, as they were learnt.
    pub fn forget_full(&mut self, spans: &[Span]) {
        self.full.retain(|full| !spans.contains(full));
    }

    /// Learn who holds an address.
    pub fn learn_holder(&mut self, address: IpAddr, holder: Option<Holder>) {
        self.holders.insert(address, holder);
    }

    /// Learn how many usable addresses of a range set are held.
    pub fn learn_usage(&mut self, range_set: usize, held: u64) {
        self.counts.insert(range_set, held);
    }

    /// Learn which addresses are kept for an identity.
    pub fn learn_held_for(&mut self, identity: String, addresses: Vec<IpAddr>) {
        self.identities.insert(identity, addresses);
    }

    /// Learn which slots of a list are taken.
    pub fn learn_slots(&mut self, name: String, taken: Vec<u32>) {
        self.slots.insert(name, taken);
    }

    /// Learn which slots may be taken, or that there is one from the limit on that is.
    pub fn learn_free_slots(&mut self, wanted: SlotsWanted, free: Option<Vec<u32>>) {
        self.free_slots.push(FreeSlots { wanted, free });
    }

    /// Learn that in what a question is about, nobody has anything.
    pub fn learn_free(&mut self, question: Question) {
        match question {
            Question::FirstFree(span) => self.learn_span(span, []),
            Question::HolderOf(address) => self.learn_holder(address, None),
            Question::Usage(range_set) => self.learn_usage(range_set, 0),
            Question::HeldFor(identity) => self.learn_held_for(identity, Vec::new()),
            Question::TakenSlots(name) => self.learn_slots(name, Vec::new()),
            Question::FreeSlots(wanted) => {
                let free = wanted.free_among(&[]);
                self.learn_free_slots(wanted, free);
            }
        }
    }

    /// Every address that is known by name to be taken, in order.
    pub fn taken(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.held.iter().copied()
    }

    /// Spans of which no address is free.
    pub fn full(&self) -> &[Span] {
        &self.full
    }

    /// Who is known to have which address.
    pub fn holders(&self) -> impl Iterator<Item = (IpAddr, &Holder)> {
        self.holders.iter().filter_map(|(address, holder)| Some((*address, holder.as_ref()?)))
    }

    /// For whom addresses are known to be kept.
    pub fn kept(&self) -> impl Iterator<Item = (&str, IpAddr)> {
        self.identities.iter().flat_map(|(identity, kept)| kept.iter().map(|address| (identity.as_str(), *address)))
    }

    /// The range sets the snapshot is about.
    pub fn range_sets(&self) -> &RangeSets {
        &self.range_sets
    }

    /// The lowest free usable address of a range set above `after`. `None` for an index that does not exist, too.
    pub fn next_free(&self, range_set: usize, after: Option<IpAddr>) -> Result<Option<IpAddr>, Question> {
        let Some(set) = self.range_sets.get(range_set) else { return Ok(None) };
        match after {
            Some(after) => self.first_free(set.offered().filter_map(|span| span.above(after))),
            None => self.first_free(set.offered()),
        }
    }

    /// The lowest free usable address of a span, anywhere in the configured subnets.
    pub fn next_free_within(&self, span: Span) -> Result<Option<IpAddr>, Question> {
        self.first_free(self.range_sets.usable_within(span).into_iter())
    }

    /// Who holds an address, or for whom it is kept.
    pub fn holder_of(&self, address: IpAddr) -> Result<Option<&Holder>, Question> {
        match self.holders.get(&address) {
            Some(holder) => Ok(holder.as_ref()),
            // Whether an address is taken is read for a whole window of them, by whom for the few that are asked about.
            None if self.is_known(address) && !self.held.contains(&address) => Ok(None),
            None => Err(Question::HolderOf(address)),
        }
    }

    /// The dynamic address of a range set that was claimed last.
    pub fn last_claimed(&self, range_set: usize) -> Option<IpAddr> {
        self.last_claimed.get(range_set).copied().flatten()
    }

    /// How full a range set is; `None` for an index that does not exist.
    pub fn usage(&self, range_set: usize) -> Result<Option<Usage>, Question> {
        let Some(set) = self.range_sets.get(range_set) else { return Ok(None) };
        // Counted by the store, as a window shows too little and all of the range would be too much to read.
        let held = self.counts.get(&range_set).copied().ok_or(Question::Usage(range_set))?;
        Ok(Some(Usage { size: set.size(), held }))
    }

    /// The addresses kept for an identity.
    pub fn held_for(&self, identity: &str) -> Result<&[IpAddr], Question> {
        self.identities.get(identity).map(Vec::as_slice).ok_or_else(|| Question::HeldFor(identity.to_owned()))
    }

    /// The taken slots of a list, lowest first.
    pub fn taken_slots(&self, name: &str) -> Result<&[u32], Question> {
        self.slots.get(name).map(Vec::as_slice).ok_or_else(|| Question::TakenSlots(name.to_owned()))
    }

    /// The slots that may be taken; `None` where a slot from the limit on is taken.
    pub fn free_slots(&self, wanted: SlotsWanted) -> Result<Option<Vec<u32>>, Question> {
        if let Some(taken) = self.slots.get(&wanted.name) {
            return Ok(wanted.free_among(taken));
        }
        match self.free_slots.iter().find(|known| known.wanted == wanted) {
            Some(known) => Ok(known.free.clone()),
            None => Err(Question::FreeSlots(wanted)),
        }
    }

    /// What is left of a span from the first address on of which it is not known whether it is free.
    pub fn unread_rest(&self, span: Span) -> Option<Span> {
        let mut rest = span;
        while let Some(read) = self.known.iter().chain(&self.full).find(|read| read.contains(rest.first())) {
            rest = rest.above(read.last())?;
        }
        Some(rest)
    }

    /// Whether every address of a span is known to be taken, or is one of these.
    pub fn is_taken_throughout(&self, span: Span, or: &[IpAddr]) -> bool {
        let mut rest = Some(span);
        while let Some(part) = rest {
            let address = part.first();
            if let Some(full) = self.full.iter().find(|full| full.contains(address)) {
                rest = part.above(full.last());
            } else if self.held.contains(&address) || or.contains(&address) {
                rest = part.above(address);
            } else {
                return false;
            }
        }
        true
    }

    fn is_known(&self, address: IpAddr) -> bool {
        self.known.iter().any(|span| span.contains(address))
    }

    fn first_free(&self, spans: impl Iterator<Item = Span>) -> Result<Option<IpAddr>, Question> {
        for span in spans {
            let mut rest = Some(span);
            while let Some(part) = rest {
                let candidate = part.first();
                // First what is skipped as a whole: some sixty thousand addresses may follow that are all held.
                if let Some(full) = self.full.iter().find(|full| full.contains(candidate)) {
                    rest = part.above(full.last());
                } else if self.held.contains(&candidate) {
                    rest = part.above(candidate);
                } else if self.is_known(candidate) {
                    return Ok(Some(candidate));
                } else {
                    // With the question goes all that is left of the span: the store reads ahead from here on.
                    return Err(Question::FirstFree(part));
                }
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
