//! A network without a free address: what fills its range sets, and what of that nobody can be using any more. The error
//! says so, because it is what decides between a larger range, a shorter cool-down and a clean-up.

use jiff::Timestamp;

use crate::config::{Base, Network};
use crate::containers;
use crate::verbs::fail::{SHOWS_THE_REST, WHEN_FULL};
use crate::verbs::{Deadline, Error, Waited};
use ipam::{RangeSet, Refusal};
use limits::JUDGED_BY_BOOT;
use store::{Fullness, Store};

/// Claims of this node that are older than the machine's boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OlderThanBoot {
    /// How many there are.
    pub count: usize,
    /// Whether there are claims that nobody looked at.
    pub is_least: bool,
    /// When the machine was started.
    pub booted: Timestamp,
}

/// A range set without an address for a pod that comes now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FullSet {
    /// Its index in the configuration.
    pub range_set: usize,
    pub fullness: Fullness,
    /// Addresses between `fixedStart` and `fixedEnd`, which only a pod gets that names one.
    pub fixed: u128,
    /// Addresses of its ranges that `exclude` and gateways take out.
    pub excluded: u128,
}

/// What is known of a network whose policy found no free address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shortage {
    /// None where the policy looked at a part of the ranges only, and others have addresses.
    pub full: Vec<FullSet>,
    pub older: Option<OlderThanBoot>,
}

/// The error of an ADD, with what fills the ranges. Asked of the store only where an ADD has failed already, and whatever
/// goes wrong with that leaves the error as it was.
pub(super) async fn explain(error: Error, base: &Base, network: &Network, store: &Store, deadline: &Deadline) -> Error {
    let Error::Refused { refusal: refusal @ Refusal::Exhausted(_) } = error else { return error };
    match deadline.bound(Waited::Store, shortage(base, network, store)).await {
        Ok(shortage) => Error::Exhausted { refusal, shortage },
        Err(error) => {
            tracing::debug!(%error, "cannot tell what fills the ranges");
            Error::Refused { refusal }
        }
    }
}

async fn shortage(base: &Base, network: &Network, store: &Store) -> Result<Shortage, Error> {
    let mut full = Vec::new();
    let fullness = store.fullness(&network.range_sets, Timestamp::now()).await?;
    for (range_set, (set, fullness)) in network.range_sets.iter().zip(fullness).enumerate() {
        let fixed = fixed(set);
        if fullness.occupancy.free <= fixed {
            full.push(FullSet { range_set, fullness, fixed, excluded: excluded(set) });
        }
    }
    Ok(Shortage { full, older: older_than_boot(base, store).await? })
}

fn fixed(set: &RangeSet) -> u128 {
    set.ranges().iter().filter_map(|range| range.fixed()).map(|fixed| fixed.size()).fold(0, u128::saturating_add)
}

fn excluded(set: &RangeSet) -> u128 {
    let spans = set.ranges().iter().map(|range| range.span().size());
    spans.fold(0, u128::saturating_add).saturating_sub(set.size())
}

async fn older_than_boot(base: &Base, store: &Store) -> Result<Option<OlderThanBoot>, Error> {
    let Some(booted) = containers::booted().and_then(|booted| Timestamp::try_from(booted).ok()) else {
        return Ok(None);
    };
    let Base { node, machine, network, .. } = base;
    let (count, is_least) = store.count_older(node, machine, network, booted, JUDGED_BY_BOOT).await?;
    Ok((count > 0).then_some(OlderThanBoot { count, is_least, booted }))
}

impl Shortage {
    /// What to do about it, the most telling thing first.
    pub(in crate::verbs) fn hint(&self) -> String {
        let mut parts: Vec<String> = self.full.iter().take(SETS_TOLD).map(FullSet::describe).collect();
        let is_held_back = self.full.iter().any(|set| set.fullness.occupancy.kept > 0);
        match &self.older {
            // There is room for one command that releases: the one for what is known to be gone.
            Some(older) => parts.extend([older.describe(), SHOWS_THE_REST.to_owned()]),
            None => parts.push(WHEN_FULL.to_owned()),
        }
        if is_held_back {
            parts.push("`kube-ipam release ADDRESS --network NETWORK` ends what holds one back".to_owned());
        }
        if self.full.iter().any(|set| set.fullness.occupancy.reserved > 0) {
            parts.push("or `kube-ipam unreserve ADDRESS --network NETWORK`".to_owned());
        }
        parts.join("; ")
    }
}

/// Range sets that a hint has room for.
const SETS_TOLD: usize = 2;

impl FullSet {
    fn describe(&self) -> String {
        let Self { range_set, fullness: Fullness { occupancy, first_free }, fixed, excluded } = self;
        let mut text = format!("range set {range_set} has {} addresses: {} held", occupancy.size, occupancy.held);
        if occupancy.kept > 0 {
            text.push_str(&format!(", {} held back", occupancy.kept));
            if let Some(first_free) = first_free {
                text.push_str(&format!(" (the first until {first_free:.0})"));
            }
        }
        if occupancy.reserved > 0 {
            text.push_str(&format!(", {} reserved", occupancy.reserved));
        }
        if *fixed > 0 {
            text.push_str(&format!(", {fixed} fixed (fixedStart)"));
        }
        if *excluded > 0 {
            text.push_str(&format!("; {excluded} excluded"));
        }
        text
    }
}

impl OlderThanBoot {
    fn describe(&self) -> String {
        let Self { count, is_least, booted } = self;
        let least = if *is_least { "at least " } else { "" };
        let who = match count {
            1 => "1 claim of this node is".to_owned(),
            _ => format!("{count} claims of this node are"),
        };
        format!(
            "{least}{who} older than its boot at {booted:.0}: `kube-ipam fsck --containers --network \
             NETWORK` there says what releases each"
        )
    }
}
