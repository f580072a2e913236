//! What the registry says of a network, and what a claim adds to that.

use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::keys::{FORMAT, Keys};
use crate::ordered::{Change, Entry, Guard};
use crate::record::{AtRest, encode, json};
use ipam::Span;
use limits::store::REGISTERED_SUBNETS;

/// Where a network keeps its allocations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// The format of the keys and records of the domain.
    #[serde(default = "first_format")]
    pub format: u32,
    pub domain: String,
    /// Whether somebody chose the domain, or it is called like the network by default.
    #[serde(default)]
    pub explicit: bool,
    /// The domain before this one, as long as no claim has found it empty since the change: one that did not know of the
    /// change may have been on its way when the first claim of this domain looked there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former: Option<String>,
    /// The name that the network has by now. What it held is in `domain` under that name, and this entry says so to whoever
    /// knows only the former one: runtimes keep the configuration of a container's ADD for its DEL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renamed_to: Option<String>,
    /// All subnets in which claims were made, from their first to their last address.
    #[serde(default, with = "ipam::address::spans")]
    pub subnets: Vec<Span>,
}

/// A network and where it has its books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    pub network: String,
    pub registration: Registration,
}

/// What a claim leaves in the registry, and what it found there.
pub(crate) struct Registering {
    pub(super) network: String,
    pub(super) key: String,
    pub(super) ours: Registration,
    pub(super) found: Option<Found>,
    /// What was found where it cannot be read.
    pub(super) unreadable: Option<Vec<u8>>,
}

pub(super) struct Found {
    pub(super) registration: Registration,
    bytes: Vec<u8>,
}

/// What every program can read of a registration, whatever else later ones write.
#[derive(Deserialize)]
struct Stamp {
    #[serde(default = "first_format")]
    format: u32,
}

/// Of registrations that do not say.
fn first_format() -> u32 {
    1
}

impl AtRest for Registration {
    fn to_bytes(&self) -> Vec<u8> {
        json(self)
    }
}

impl Registration {
    /// The registration with what a claim adds to it; `None` where that is nothing new.
    fn extended_by(&self, ours: &Self) -> Option<Self> {
        if self.domain != ours.domain {
            return Some(Self { former: Some(self.domain.clone()), ..ours.clone() });
        }
        let mut all = self.clone();
        // A claim gets here only after a look into the former domain, which found nobody there.
        all.former = None;
        all.explicit |= ours.explicit;
        for subnet in &ours.subnets {
            // What differs from pod to pod may be unlimited. Beyond the limit a renaming is noticed by the others.
            if !all.subnets.contains(subnet) && all.subnets.len() < REGISTERED_SUBNETS {
                all.subnets.push(*subnet);
            }
        }
        (all != *self).then_some(all)
    }

    /// The domain besides this one where claims of the network may be.
    pub(crate) fn besides(&self, domain: &str) -> Option<&str> {
        if self.domain == domain {
            self.former.as_deref().filter(|former| *former != domain)
        } else {
            Some(&self.domain)
        }
    }

    pub(super) fn covers(&self, ours: &Self) -> bool {
        self.subnets.len() >= REGISTERED_SUBNETS || ours.subnets.iter().all(|subnet| self.subnets.contains(subnet))
    }

    /// The addresses that both networks may give out.
    pub fn overlaps<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = Span> + 'a {
        self.subnets.iter().flat_map(|one| other.subnets.iter().filter_map(|two| one.intersection(two)))
    }
}

impl Registering {
    pub(crate) fn network(&self) -> &str {
        &self.network
    }

    /// A registration that cannot be read is none: the next claim writes it again.
    pub(crate) fn learn(&mut self, entry: Option<Entry>) -> Result<(), StoreError> {
        (self.found, self.unreadable) = (None, None);
        let Some(Entry { value: bytes, .. }) = entry else { return Ok(()) };
        match parse_registration(&self.network, &bytes)? {
            Some(registration) => self.found = Some(Found { registration, bytes }),
            None => self.unreadable = Some(bytes),
        }
        Ok(())
    }

    /// The change that a network's first claim in another domain begins with, by itself: from then on no claim in the former
    /// domain holds, so that whoever looks there again sees all there will be. `None` where the network is registered here.
    pub(crate) fn leaving(&self) -> Option<Change> {
        let found = self.found.as_ref()?;
        if found.registration.domain == self.ours.domain {
            return None;
        }
        let mut change = Change::default();
        self.write(&mut change);
        Some(change)
    }

    /// A claim in a network that nobody had registered, as two alternatives: nobody has done so since, or somebody has as this
    /// claim does. So the first claims of a network do not lose to each other, and none of them passes over a registration in
    /// another domain that it did not see.
    pub(crate) fn alternatives(&self, change: Change) -> Vec<Change> {
        if self.found.is_some() {
            return vec![change];
        }
        let registered = |guard| {
            let mut change = change.clone();
            change.require(guard);
            change
        };
        match &self.unreadable {
            Some(bytes) => vec![registered(Guard::Is(self.key.clone(), bytes.clone()))],
            None => vec![
                registered(Guard::Absent(self.key.clone())),
                registered(Guard::Is(self.key.clone(), encode(&self.ours))),
            ],
        }
    }

    /// Register the network with a claim.
    pub(crate) fn write(&self, change: &mut Change) {
        let Some(Found { registration, bytes }) = &self.found else {
            change.put(self.key.clone(), encode(&self.ours));
            return;
        };
        // Fenced also where there is nothing new: the claim rests on the network being registered here, and another claim may
        // register it in another domain at this moment.
        change.require(Guard::Is(self.key.clone(), bytes.clone()));
        if let Some(news) = registration.extended_by(&self.ours) {
            change.put(self.key.clone(), encode(&news));
        }
    }
}

pub(super) fn parse_registered(keys: &Keys, entry: &Entry) -> Result<Option<Registered>, StoreError> {
    let Some(network) = keys.registered_in(&entry.key) else { return Ok(None) };
    let registration = parse_registration(&network, &entry.value)?;
    Ok(registration.map(|registration| Registered { network, registration }))
}

/// A registration, if it can be read. Refused where the records that it stands for are of another format: what this program
/// takes for free may be held there.
pub(super) fn parse_registration(network: &str, value: &[u8]) -> Result<Option<Registration>, StoreError> {
    if let Ok(Stamp { format }) = serde_json::from_slice(value)
        && format != FORMAT
    {
        return Err(StoreError::Format { network: network.to_owned(), found: format });
    }
    Ok(serde_json::from_slice(value).ok())
}
