//! Where each network has its books: in which domain, and over which subnets.
//!
//! A network's domain is a matter of its configuration, and nothing in the configuration says what it was yesterday. So
//! every claim leaves the domain in the registry, beside all domains, and a claim in another one than the registered is
//! refused as long as containers of the network have addresses in there: two books would give one address out twice.
//!
//! ```text
//!   registered here             → nothing to ask: the registration came with the first read of the look
//!   registered elsewhere        → does a container of this network hold an address there?
//!   not registered, or a        → does a network that may have been this one's name until now hold addresses in the
//!   subnet more than before       same subnets? Only where neither has a domain that somebody chose.
//! ```
//!
//! A registration is written with a claim, and only where it says something new. The first ones of a network do not
//! compare it, so that they do not lose to each other; a claim that saw one loses where it has changed since.

use serde::{Deserialize, Serialize};

use super::Store;
use super::error::StoreError;
use super::keys::{Keys, Named, address_in};
use super::look::{Look, Requester};
use super::map::MapView;
use super::moved::Moved;
use super::ordered::{Change, Entry, Guard, OrderedMap};
use super::pages::Pages;
use super::record::encode;
use super::search::Search;
use ipam::{Attachment, RangeSets, Span};
use limits::store::REGISTERED_SUBNETS;

/// Where a network has its books.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    pub domain: String,
    /// Whether somebody chose the domain, or it is called like the network by default.
    #[serde(default)]
    pub explicit: bool,
    /// The domain before this one, as long as no claim has found it empty since the change: one that did not know of the
    /// change may have been on its way when the first claim of this domain looked there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former: Option<String>,
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
    network: String,
    key: String,
    ours: Registration,
    found: Option<Found>,
}

struct Found {
    registration: Registration,
    bytes: Vec<u8>,
}

impl Registration {
    /// With what a claim says on top; `None` where that is nothing new.
    fn with(&self, ours: &Self) -> Option<Self> {
        if self.domain != ours.domain {
            return Some(Self { former: Some(self.domain.clone()), ..ours.clone() });
        }
        let mut all = self.clone();
        // Nobody gets here who has not looked into the former domain.
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

    fn covers(&self, ours: &Self) -> bool {
        self.subnets.len() >= REGISTERED_SUBNETS || ours.subnets.iter().all(|subnet| self.subnets.contains(subnet))
    }

    /// What both networks may give out.
    pub fn overlaps<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = Span> + 'a {
        self.subnets.iter().flat_map(|one| other.subnets.iter().filter_map(|two| one.intersection(two)))
    }
}

impl Registering {
    /// Whose registration is to be read.
    pub(crate) fn network(&self) -> &str {
        &self.network
    }

    /// A registration that cannot be read is none: the next claim writes it again.
    pub(crate) fn learn(&mut self, entry: Option<Entry>) {
        self.found = entry.and_then(|entry| {
            let registration = serde_json::from_slice(&entry.value).ok()?;
            Some(Found { registration, bytes: entry.value })
        });
    }

    /// Register the network with a claim.
    pub(crate) fn write(&self, change: &mut Change) {
        let Some(Found { registration, bytes }) = &self.found else {
            change.put(self.key.clone(), encode(&self.ours));
            return;
        };
        change.require(Guard::Is(self.key.clone(), bytes.clone()));
        if let Some(news) = registration.with(&self.ours) {
            change.put(self.key.clone(), encode(&news));
        }
    }
}

impl Store {
    /// Register the network of each claim, and whether somebody chose its domain.
    pub fn with_registry(mut self, explicit: bool) -> Self {
        self.registers = Some(explicit);
        self
    }

    /// Another domain of the same map.
    pub fn beside(&self, domain: &str) -> Store {
        let (map, keys, progress) = (self.map.clone(), self.keys.beside(domain), self.progress.clone());
        Store { map, keys, cooldown: self.cooldown, registers: None, progress }
    }

    pub fn domain(&self) -> String {
        self.keys.domain()
    }

    pub(crate) fn registering(&self, requester: &Requester, range_sets: &RangeSets) -> Option<Registering> {
        let explicit = self.registers?;
        Some(self.registering_as(&requester.attachment.network, explicit, range_sets))
    }

    fn registering_as(&self, network: &str, explicit: bool, range_sets: &RangeSets) -> Registering {
        let ranges = range_sets.iter().flat_map(|set| set.ranges());
        let mut subnets: Vec<Span> = ranges.map(|range| range.subnet().span()).collect();
        subnets.sort();
        subnets.dedup();
        let ours = Registration { domain: self.keys.domain(), explicit, former: None, subnets };
        Registering { network: network.to_owned(), key: self.keys.registration(network), ours, found: None }
    }

    /// Refuse a claim where containers have their addresses in other books. No read where the look found the network
    /// registered as it is.
    pub async fn refuse_moved(&self, look: &Look) -> Result<(), StoreError> {
        match &look.evidence.registering {
            Some(registering) if look.claim.is_none() => Box::pin(self.refuse(registering, Search::Whole)).await,
            _ => Ok(()),
        }
    }

    /// The same without a claim at hand.
    pub async fn check_registration(
        &self,
        network: &str,
        range_sets: &RangeSets,
        search: Search<'_>,
    ) -> Result<(), StoreError> {
        let Some(explicit) = self.registers else { return Ok(()) };
        let mut registering = self.registering_as(network, explicit, range_sets);
        registering.learn(self.registration_entry(network).await?);
        self.refuse(&registering, search).await
    }

    async fn refuse(&self, registering: &Registering, search: Search<'_>) -> Result<(), StoreError> {
        let Registering { network, ours, found, .. } = registering;
        let found = found.as_ref().map(|found| &found.registration);
        // Where it is registered somebody may hold an address that this domain would give out a second time.
        let elsewhere = found.and_then(|found| found.besides(&ours.domain));
        if let Some(former) = elsewhere
            && let Some(attachment) = self.beside(former).found_by(search, network).await?
        {
            let (network, domain, former) = (network.clone(), ours.domain.clone(), former.to_owned());
            return Err(Moved::Domain { network, domain, former, container: attachment.container }.into());
        }
        // Whoever registered these subnets has looked for the network's former name, and found nobody there.
        let is_known = found.is_some_and(|found| found.domain == ours.domain && found.covers(ours));
        if ours.explicit || is_known { Ok(()) } else { self.refuse_renamed(network, ours, search).await }
    }

    /// A network that nobody knows may have had another name until now. It has that one's subnets then.
    async fn refuse_renamed(&self, network: &str, ours: &Registration, search: Search<'_>) -> Result<(), StoreError> {
        for other in self.registry().await? {
            let theirs = &other.registration;
            // Domains that somebody chose are meant to be two, and in one domain nothing is given out twice.
            if other.network == network || theirs.explicit || theirs.domain == ours.domain {
                continue;
            }
            let keys = self.keys.beside(&theirs.domain);
            let mut batch = self.batch();
            let spans = ours.overlaps(theirs).flat_map(|span| search.part_of(span));
            let first: Vec<_> = spans.map(|span| batch.first_keys(keys.addresses_in(span), 1)).collect();
            let mut answers = self.read_now(batch).await?;
            let mut held = first.into_iter().flat_map(|first| answers.scan(first).entries);
            if let Some(address) = held.find_map(|entry| address_in(&entry.key)) {
                return Err(Moved::Network { network: network.to_owned(), former: other.network, address }.into());
            }
        }
        Ok(())
    }

    /// Register the network without a claim. Whoever registers it meanwhile is right, too.
    pub async fn register(&self, network: &str, range_sets: &RangeSets) -> Result<(), StoreError> {
        let mut registering = self.registering_as(network, self.registers.unwrap_or_default(), range_sets);
        registering.learn(self.registration_entry(network).await?);
        let mut change = Change::default();
        registering.write(&mut change);
        // Losing is no failure here: whoever was faster has registered the same network a moment ago.
        if !change.writes().is_empty() {
            self.map.commit(&[change]).await?;
        }
        Ok(())
    }

    /// Forget where a network had its books, if that was in this domain.
    pub async fn deregister(&self, network: &str) -> Result<(), StoreError> {
        let Some(entry) = self.registration_entry(network).await? else { return Ok(()) };
        // One that cannot be read is nobody's, and only in the way.
        let is_ours = registered(&self.keys, &entry).is_none_or(|one| one.registration.domain == self.keys.domain());
        if is_ours {
            let mut change = Change::default();
            change.require(Guard::Is(entry.key.clone(), entry.value)).delete(entry.key);
            self.map.commit(&[change]).await?;
        }
        Ok(())
    }

    /// Every network of this map and prefix, in the order of their names.
    pub async fn registry(&self) -> Result<Vec<Registered>, StoreError> {
        let entries = self.scan_all(self.keys.registrations(), false).await?;
        Ok(entries.into_iter().filter_map(|entry| registered(&self.keys, &entry)).collect())
    }

    /// Where the network is registered. One read.
    pub async fn registration(&self, network: &str) -> Result<Option<Registration>, StoreError> {
        let entry = self.registration_entry(network).await?;
        Ok(entry.and_then(|entry| serde_json::from_slice(&entry.value).ok()))
    }

    async fn registration_entry(&self, network: &str) -> Result<Option<Entry>, StoreError> {
        let mut batch = self.batch();
        let registration = batch.registration(network);
        Ok(self.read_now(batch).await?.entry(registration))
    }

    /// Some attachment of a network that holds an address in this domain. Keys alone, page by page.
    pub async fn any_of(&self, network: &str) -> Result<Option<Attachment>, StoreError> {
        self.at_one_moment(async |mut view| self.any_in(&mut view, network).await).await
    }

    async fn any_in(&self, view: &mut MapView, network: &str) -> Result<Option<Attachment>, StoreError> {
        let mut pages = Pages::keys_of(self.keys.attachments());
        while let Some(page) = pages.next(view).await? {
            for entry in page {
                match self.keys.named(&entry.key) {
                    Some(Named::Attachment(attachment)) if attachment.network == network => {
                        return Ok(Some(attachment));
                    }
                    _ => {}
                }
            }
        }
        Ok(None)
    }

    /// Whether nobody holds or keeps an address in any domain of this map and prefix.
    pub async fn is_deserted(&self) -> Result<bool, StoreError> {
        for domain in self.domains().await? {
            let keys = self.keys.beside(&domain);
            let mut batch = self.batch();
            let (claim, hold) = (batch.first_keys(keys.attachments(), 1), batch.first_keys(keys.holds(), 1));
            let mut answers = self.read_now(batch).await?;
            if !answers.scan(claim).entries.is_empty() || !answers.scan(hold).entries.is_empty() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Every domain of this map and prefix. One read for each.
    pub async fn domains(&self) -> Result<Vec<String>, StoreError> {
        self.at_one_moment(async |mut view| self.domains_in(&mut view).await).await
    }

    async fn domains_in(&self, view: &mut MapView) -> Result<Vec<String>, StoreError> {
        let mut domains: Vec<String> = Vec::new();
        loop {
            // The first key behind everything of the domain before: one short read each, however much a domain has.
            let mut batch = self.batch();
            let next = batch.first_keys(self.keys.domains_after(domains.last().map(String::as_str)), 1);
            let page = batch.read(view).await?.scan(next);
            match page.entries.first().and_then(|entry| self.keys.domain_of(&entry.key)) {
                // A key that is none of ours could lead back to where we were.
                Some(domain) if !domains.contains(&domain) => domains.push(domain),
                _ => return Ok(domains),
            }
        }
    }

    /// The domain that the network is registered in, where that is another one. One read.
    pub async fn registered_elsewhere(&self, network: &str) -> Result<Option<String>, StoreError> {
        if self.registers.is_none() {
            return Ok(None);
        }
        let registration = self.registration(network).await?;
        let own = self.keys.domain();
        Ok(registration.and_then(|registration| registration.besides(&own).map(str::to_owned)))
    }

    /// Where claims of a network may be besides this domain, by the registry: in the domain that it was registered in,
    /// or under another network's name where this one is not registered. One read.
    pub async fn former_books(&self, network: &str) -> Result<Vec<Registered>, StoreError> {
        let Some(explicit) = self.registers else { return Ok(Vec::new()) };
        let mut books = self.registry().await?;
        let own = self.keys.domain();
        if books.iter().any(|one| one.network == network) {
            books.retain(|one| one.network == network && one.registration.besides(&own).is_some());
            for one in &mut books {
                one.registration.domain = one.registration.besides(&own).unwrap_or_default().to_owned();
            }
        } else {
            books.retain(|one| !explicit && !one.registration.explicit && one.registration.domain != own);
        }
        Ok(books)
    }
}

fn registered(keys: &Keys, entry: &Entry) -> Option<Registered> {
    let registration = serde_json::from_slice(&entry.value).ok()?;
    Some(Registered { network: keys.registered_in(&entry.key)?, registration })
}
