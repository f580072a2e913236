//! Whether a domain agrees with itself, told without having it in memory: double-entry bookkeeping.
//!
//! A claim says which keys there have to be, with which content: a record for each address, the index of its node, its
//! slots. The keys say which there are. Each of these sentences is a number of 64 bits, made of the key and the content; what
//! has to be is added to an account, what is there is taken off. Where everything agrees all accounts are at zero in the end.
//!
//! ```text
//!   address    there                                           claim   its addresses, its node, its slots have to be there
//!   node       there                                           hold    its identity and its expiry have to be there
//!   identity, expiry, slot   there
//!   pod        only if a claim of before allows it             hold    only if no address of before forbids it
//! ```
//!
//! A key has its account by a hash, some dozens share one. An account that is not at zero makes all its keys suspects, and
//! with them whoever has a sentence there; they are read a second time, and only they are compared in every detail
//! (`inspect.rs`). What is unreadable, and what was ceded, is suspect by itself. The hashes are made with a secret of this
//! process: nobody can write two records that balance each other, and by chance they do so once in 2^64.
//!
//! Where an entry of pods' index is not allowed, all claims of its pod are suspects, too: it may have to point at one of them.
//!
//! So 600,000 keys take half a megabyte, and 16 bytes for each address and each pod: an index of pods may miss a claim, so
//! that no sum tells whether it is right, and each of its entries is looked up among the claims that were read before it.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;

use super::around::Entries;
use super::readable;
use crate::keys::{Keys, Named};
use crate::ordered::Entry;
use crate::record::{Hold, address_in_value, encode};
use ipam::{Allocation, Claim};

/// How many sums there are: the more, the fewer keys an open one makes suspects. A power of two, half a megabyte in all.
const ACCOUNTS: usize = 1 << 16;

/// The sums over a domain, entry by entry in the order of the keys.
pub(super) struct Ledger<'a> {
    keys: &'a Keys,
    hasher: RandomState,
    accounts: Vec<u64>,
    /// Entries of the index of pods that a claim explains.
    allowed: Hashes,
    /// Keys of holds whose address is held.
    forbidden: Hashes,
    /// What has to be compared, whatever the accounts say.
    suspects: Entries,
    /// Accounts of keys of pods' index whose claims have to be compared with them.
    disturbed: BTreeSet<usize>,
}

/// What the accounts found: which entries are to be read again.
pub(super) struct Suspects<'a> {
    keys: &'a Keys,
    hasher: RandomState,
    is_open: Vec<bool>,
    /// Entries that are suspect by themselves.
    pub(super) themselves: Entries,
}

/// A key with its content: that it has to be there, or that it is.
struct Sentence {
    key: String,
    content: Vec<u8>,
    is_there: bool,
}

/// An entry that can be read.
enum Record {
    Allocation(Box<Allocation>),
    Claim(Box<Claim>),
    Hold(Hold),
    /// The copy of a hold in the index of identities or of expiries.
    HoldIndex(Hold),
    Node,
    /// The container that a pod's index points at.
    Pod(Vec<u8>),
    /// The address that has a slot.
    Slot(IpAddr),
    Hint,
}

impl<'a> Ledger<'a> {
    pub(super) fn new(keys: &'a Keys) -> Self {
        Self {
            keys,
            hasher: RandomState::new(),
            accounts: vec![0; ACCOUNTS],
            allowed: Hashes::default(),
            forbidden: Hashes::default(),
            suspects: Entries::new(),
            disturbed: BTreeSet::new(),
        }
    }

    pub(super) fn enter(&mut self, entry: &Entry) {
        let Some(record) = Record::parse(self.keys, entry) else {
            self.suspect(entry);
            return;
        };
        for Sentence { key, content, is_there } in record.sentences(self.keys, &entry.key) {
            let amount = self.hasher.hash_one((&key, &content));
            let account = &mut self.accounts[account_of(&self.hasher, &key)];
            *account = if is_there { account.wrapping_sub(amount) } else { account.wrapping_add(amount) };
        }
        let is_suspect = match &record {
            Record::Allocation(held) => {
                self.forbidden.add(self.hasher.hash_one(self.keys.hold(held.address)));
                false
            }
            Record::Claim(claim) => {
                if let Some(key) = index_of(self.keys, claim) {
                    self.allowed.add(self.hasher.hash_one((key, claim.attachment.container.as_bytes())));
                }
                !claim.ceded.is_empty() || !claim.former.is_empty()
            }
            // All addresses were entered before: `addresses` comes before `holds` in the order of the keys.
            Record::Hold(_) => self.forbidden.has(self.hasher.hash_one(&entry.key)),
            Record::Pod(container) => {
                let is_allowed = self.allowed.has(self.hasher.hash_one((&entry.key, container.as_slice())));
                if !is_allowed {
                    self.disturbed.insert(account_of(&self.hasher, &entry.key));
                }
                !is_allowed
            }
            Record::HoldIndex(_) | Record::Node | Record::Slot(_) | Record::Hint => false,
        };
        if is_suspect {
            self.suspect(entry);
        }
    }

    fn suspect(&mut self, entry: &Entry) {
        self.suspects.insert(entry.key.clone(), Some(entry.value.clone()));
    }

    pub(super) fn close(self) -> Suspects<'a> {
        let mut is_open: Vec<bool> = self.accounts.iter().map(|account| *account != 0).collect();
        for account in self.disturbed {
            is_open[account] = true;
        }
        Suspects { keys: self.keys, hasher: self.hasher, is_open, themselves: self.suspects }
    }
}

impl Suspects<'_> {
    /// Whether some account is open, so that everything has to be read again to find out whose sentences it has.
    pub(super) fn are_unnamed(&self) -> bool {
        self.is_open.contains(&true)
    }

    /// Whether an entry has a sentence in an open account, or may have been pointed at by an entry of pods' index there.
    pub(super) fn include(&self, entry: &Entry) -> bool {
        let Some(record) = Record::parse(self.keys, entry) else { return false };
        for Sentence { key, .. } in record.sentences(self.keys, &entry.key) {
            if self.is_open[account_of(&self.hasher, &key)] {
                return true;
            }
        }
        let Record::Claim(claim) = &record else { return false };
        index_of(self.keys, claim).is_some_and(|key| self.is_open[account_of(&self.hasher, &key)])
    }
}

fn account_of(hasher: &RandomState, key: &str) -> usize {
    hasher.hash_one(key) as usize % ACCOUNTS
}

impl Record {
    /// `None` for a record that nobody can read, and for a key without meaning.
    fn parse(keys: &Keys, entry: &Entry) -> Option<Self> {
        let named = keys.named(&entry.key)?;
        Some(match &named {
            Named::Address(_) => Self::Allocation(Box::new(readable(&named, &entry.value)?)),
            Named::Attachment(_) => Self::Claim(Box::new(readable(&named, &entry.value)?)),
            Named::Hold(_) => Self::Hold(readable(&named, &entry.value)?),
            Named::Identity { .. } | Named::Expiry { .. } => Self::HoldIndex(readable(&named, &entry.value)?),
            Named::Node { .. } => Self::Node,
            Named::Pod { .. } => Self::Pod(entry.value.clone()),
            Named::Slot(_) => Self::Slot(address_in_value(&entry.value)?),
            Named::Cursor | Named::Full => Self::Hint,
        })
    }

    /// What it says of keys whose sentences have to balance.
    fn sentences(&self, keys: &Keys, own_key: &str) -> Vec<Sentence> {
        let content = match self {
            Self::Claim(claim) => return wanted_by_claim(keys, claim),
            Self::Hold(hold) => return wanted_by_hold(keys, hold),
            Self::Pod(_) | Self::Hint => return Vec::new(),
            Self::Allocation(held) => encode(held.as_ref()),
            Self::HoldIndex(hold) => encode(hold),
            Self::Node => Vec::new(),
            Self::Slot(address) => address.to_string().into_bytes(),
        };
        vec![Sentence { key: own_key.to_owned(), content, is_there: true }]
    }
}

/// The key that the index of pods may have for a claim.
fn index_of(keys: &Keys, claim: &Claim) -> Option<String> {
    claim.pod.as_ref().map(|pod| keys.pod(pod, &claim.attachment))
}

fn wanted_by_claim(keys: &Keys, claim: &Claim) -> Vec<Sentence> {
    let mut wanted = vec![Sentence { key: keys.node_of(claim), content: Vec::new(), is_there: false }];
    for held in claim.allocations() {
        wanted.push(Sentence { key: keys.address(held.address), content: encode(&held), is_there: false });
    }
    for assignment in claim.assignments() {
        if let Some(slot) = &assignment.slot {
            let content = assignment.address.to_string().into_bytes();
            wanted.push(Sentence { key: keys.slot(slot), content, is_there: false });
        }
    }
    wanted
}

fn wanted_by_hold(keys: &Keys, hold: &Hold) -> Vec<Sentence> {
    let key = keys.expiry(hold.until, hold.address);
    let mut wanted = vec![Sentence { key, content: encode(hold), is_there: false }];
    if let Some(identity) = &hold.identity {
        let key = keys.identity(identity, hold.address);
        wanted.push(Sentence { key, content: encode(hold), is_there: false });
    }
    wanted
}

/// A set of hashes that is complete before it is asked: first all are added, then they are looked up. A sorted vector
/// takes 8 bytes an entry, and a hash set up to twice as many.
#[derive(Default)]
struct Hashes {
    hashes: Vec<u64>,
    is_sorted: bool,
}

impl Hashes {
    fn add(&mut self, hash: u64) {
        self.hashes.push(hash);
        self.is_sorted = false;
    }

    fn has(&mut self, hash: u64) -> bool {
        if !self.is_sorted {
            self.hashes.sort_unstable();
            self.is_sorted = true;
        }
        self.hashes.binary_search(&hash).is_ok()
    }
}
