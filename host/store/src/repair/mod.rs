//! Repairing what [`Store::inspect`] finds.
//!
//! The rule above all: **an address that a readable record says is held is never freed.** A duplicate breaks two pods
//! and their peers; an address held too long costs one address, until the DEL or the GC of its node.
//!
//! | what is found | what becomes of it |
//! |---|---|
//! | an address's record names an attachment whose claim is missing, damaged, or does not list it | the claim is written again from the addresses, with its node's index: DEL and GC then find it |
//! | a claim lists an address whose record is missing or damaged | the record is written again from the claim; of several claims the oldest |
//! | a claim lists an address whose record is about another | the record wins: uniqueness rests on it. The claim loses the address, which stays held |
//! | a claim or its record of an address differ in anything else | the claim wins: it is the fuller of the two |
//! | a claim that is damaged, and no address names it | it goes: it holds no address |
//! | a claim ceded an address that is with another than it says, or whose holder does not name it | the two claims name each other again; an address that nobody holds is the former holder's again |
//! | any of these, where a container that runs would lose its claim or an address that it uses | nothing: two share an address, or the container's own record of the ADD has to be asked (`restore.rs`) |
//! | an index of nodes, pods, identities or expiries | it is written from what it points at, or goes |
//! | an address both held and on hold | it stays held, the hold goes |
//! | an address both held and reserved | nothing: an operator ends one of them |
//! | a hold that is damaged | written from the index of reservations or identities, or gone: it protects no container |
//! | a damaged address that no claim lists, a key without meaning | left alone, unless the operator says *discard* |
//!
//! A claim written from its addresses gets prefix lengths and gateways from the ranges of the configuration at hand;
//! they matter to a repeated ADD alone.
//!
//! Each repair is one transaction, fenced by every record it was judged by: what has changed since is left alone.

mod draft;
mod holds;
mod left;
mod plan;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::Store;
use super::error::StoreError;
use super::inspect::Disagreement;
use super::ordered::{Change, Commit, OrderedMap};
use ipam::{Attachment, RangeSets};

/// The addresses that the containers of this node use, as far as the node knows: no repair may take one from them.
pub type InUse = BTreeMap<Attachment, BTreeSet<IpAddr>>;

/// Disagreements that are repaired together, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    pub disagreements: Vec<Disagreement>,
    /// What is done about them, in words for the operator.
    pub remedy: String,
    /// Whether it deletes what nothing readable explains: only for an operator who has looked for himself.
    pub discards: bool,
    /// Whether nothing is done, because a container that runs would lose its claim or an address, or a reservation would end.
    pub is_left: bool,
    change: Change,
}

/// How a repair ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repaired {
    Done,
    /// A record it was judged by has changed; nothing was written.
    Changed,
}

impl Repair {
    /// The addresses that it is about, each once.
    pub fn addresses(&self) -> BTreeSet<IpAddr> {
        self.disagreements.iter().filter_map(Disagreement::address).collect()
    }
}

impl Store {
    /// Inspect everything and work out what would repair it. Writes nothing; empty when everything agrees. What is in
    /// use stays where it is.
    pub async fn plan_repairs(&self, range_sets: &RangeSets, in_use: &InUse) -> Result<Vec<Repair>, StoreError> {
        let (all, found) = self.disagreements(in_use).await?;
        Ok(plan::RepairPlan::new(&self.keys, &all, range_sets, in_use).repairs(found))
    }

    /// Carry one repair out.
    pub async fn repair(&self, repair: &Repair) -> Result<Repaired, StoreError> {
        Ok(match self.map.commit(std::slice::from_ref(&repair.change)).await? {
            Commit::Done(_) => Repaired::Done,
            Commit::Lost => Repaired::Changed,
        })
    }
}
