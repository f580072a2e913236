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
//! A network that was renamed leaves its registration as a word of its new name, for the DELs of containers that know only
//! the former one.
//!
//! A registration is written with a claim, and only where it says something new. The first ones of a network lose to nobody who
//! registers it as they do; a claim that saw a registration loses where it has changed since. The first claim in another domain
//! changes the registration before it claims, and looks again: only then do claims in the former domain lose.

mod registration;

use jiff::Timestamp;

use super::Store;
use super::cursors::Cursors;
use super::error::StoreError;
use super::keys::{FORMAT, Named, address_in};
use super::look::{Look, Requester};
use super::map::MapView;
use super::moved::Moved;
use super::ordered::{Change, Commit, Entry, Guard, OrderedMap};
use super::pages::Pages;
use super::record::encode;
use super::search::Search;
use ipam::{Attachment, RangeSets, Span};
use limits::store::REGISTER_ATTEMPTS;
pub(crate) use registration::Registering;
use registration::{Found, parse_registered, parse_registration};
pub use registration::{Registered, Registration};

impl Store {
    /// Register the network of each claim, and whether somebody chose its domain.
    pub fn with_registry(mut self, explicit: bool) -> Self {
        self.registers = Some(explicit);
        self
    }

    /// Another domain of the same map.
    pub fn beside(&self, domain: &str) -> Store {
        self.with_keys(self.keys.beside(domain))
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
        let domain = self.keys.domain();
        let ours = Registration { format: FORMAT, domain, explicit, former: None, renamed_to: None, subnets };
        let key = self.keys.registration(network);
        Registering { network: network.to_owned(), key, ours, found: None, unreadable: None }
    }

    /// Refuse a claim where containers have their addresses in other books. No read where the look found the network
    /// registered as it is.
    pub async fn refuse_moved(&self, look: &Look) -> Result<(), StoreError> {
        match &look.evidence.registering {
            Some(registering) if look.claim.is_none() => Box::pin(self.refuse(registering, Search::Whole)).await,
            _ => Ok(()),
        }
    }

    /// Refuse, without a claim at hand, what [`Self::refuse_moved`] refuses. Reads the registration itself.
    pub async fn check_registration(
        &self,
        network: &str,
        range_sets: &RangeSets,
        search: Search<'_>,
    ) -> Result<(), StoreError> {
        let Some(explicit) = self.registers else { return Ok(()) };
        let mut registering = self.registering_as(network, explicit, range_sets);
        registering.learn(match search {
            Search::Whole => self.registration_entry(network).await?,
            Search::Glance { now, .. } => self.registration_beside_cursors(network, range_sets, now).await?,
        })?;
        self.refuse(&registering, search).await
    }

    async fn refuse(&self, registering: &Registering, search: Search<'_>) -> Result<(), StoreError> {
        let Registering { network, ours, found, .. } = registering;
        let found = found.as_ref().map(|found| &found.registration);
        self.refuse_former_name(network, ours, found, search).await?;
        // Where it is registered somebody may hold an address that this domain would give out a second time.
        let elsewhere = found.and_then(|found| found.besides(&ours.domain));
        if let Some(former) = elsewhere
            && let Some(attachment) = self.beside(former).find_by(search, network).await?
        {
            let (network, domain, former) = (network.clone(), ours.domain.clone(), former.to_owned());
            return Err(Moved::Domain { network, domain, former, container: attachment.container }.into());
        }
        // Whoever registered these subnets has looked for the network's former name, and found nobody there.
        let is_known = found.is_some_and(|found| found.domain == ours.domain && found.covers(ours));
        if is_known {
            return Ok(());
        }
        if ours.explicit {
            // The first claim of a network that shares a domain: what others have there may be of another format.
            return if found.is_none() { self.registry().await.map(drop) } else { Ok(()) };
        }
        self.refuse_renamed(network, ours, search).await
    }

    /// A network that was renamed has its containers' addresses under the new name. In that one's domain nothing is given
    /// out twice, in any other it would be.
    async fn refuse_former_name(
        &self,
        network: &str,
        ours: &Registration,
        found: Option<&Registration>,
        search: Search<'_>,
    ) -> Result<(), StoreError> {
        let Some(found) = found.filter(|found| found.domain != ours.domain) else { return Ok(()) };
        let Some(now) = &found.renamed_to else { return Ok(()) };
        let Some(attachment) = self.beside(&found.domain).find_by(search, now).await? else { return Ok(()) };
        let (network, now) = (network.to_owned(), now.clone());
        Err(Moved::Renamed { network, now, container: attachment.container }.into())
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
            let mut scans = Vec::new();
            for span in ours.overlaps(theirs).flat_map(|span| search.part_of(span)) {
                scans.push(batch.first_keys(keys.addresses_in(span), 1));
            }
            let mut answers = self.read_now(batch).await?;
            for entry in scans.into_iter().flat_map(|scan| answers.scan(scan).entries) {
                if let Some(address) = address_in(&entry.key) {
                    return Err(Moved::Network { network: network.to_owned(), former: other.network, address }.into());
                }
            }
        }
        Ok(())
    }

    /// Register the network without a claim. Whoever was faster may have registered it here, which is as good, or in another
    /// domain: that is looked at again.
    pub async fn register(&self, network: &str, range_sets: &RangeSets) -> Result<(), StoreError> {
        for _ in 0..REGISTER_ATTEMPTS {
            let mut registering = self.registering_as(network, self.registers.unwrap_or_default(), range_sets);
            registering.learn(self.registration_entry(network).await?)?;
            // A former name that is in use again is none any more.
            if let Some(Found { registration, .. }) = &mut registering.found
                && registration.renamed_to.is_some()
            {
                registration.former = None;
                registration.renamed_to = None;
                registration.subnets.clear();
            }
            let mut change = Change::default();
            registering.write(&mut change);
            if change.writes().is_empty() || self.map.commit(&registering.alternatives(change)).await? != Commit::Lost {
                return Ok(());
            }
        }
        let object = format!("the registration of network {network:?}");
        Err(StoreError::Contended { object, attempts: REGISTER_ATTEMPTS })
    }

    /// Forget where a network had its books, if that was in this domain.
    pub async fn deregister(&self, network: &str) -> Result<(), StoreError> {
        let Some(entry) = self.registration_entry(network).await? else { return Ok(()) };
        // One that cannot be read belongs to no domain, and every later claim would only have to replace it.
        let is_ours =
            parse_registered(&self.keys, &entry)?.is_none_or(|one| one.registration.domain == self.keys.domain());
        if is_ours {
            let mut change = Change::default();
            change.require(Guard::Is(entry.key.clone(), entry.value)).delete(entry.key);
            self.map.commit(&[change]).await?;
        }
        Ok(())
    }

    /// Leave word that a network has another name by now, whose allocations are in domain `domain` of this map and prefix; in
    /// place of its registration, if that is in this domain.
    pub async fn register_renamed(&self, former: &str, network: &str, domain: &str) -> Result<(), StoreError> {
        let own = self.keys.domain();
        for entry in self.scan_all(self.keys.registrations()).await? {
            let Some(Registered { network: known, registration }) = parse_registered(&self.keys, &entry)? else {
                continue;
            };
            // What was renamed before is called by the newest name, too. A network that has its first name again is not renamed.
            let is_former = known == former && registration.domain == own;
            let is_earlier = registration.renamed_to.as_deref() == Some(former) && known != network;
            if !is_former && !is_earlier {
                continue;
            }
            let renamed_to = Some(network.to_owned());
            let word = Registration { domain: domain.to_owned(), former: None, renamed_to, ..registration };
            let mut change = Change::default();
            change.require(Guard::Is(entry.key.clone(), entry.value)).put(entry.key, encode(&word));
            self.map.commit(&[change]).await?;
        }
        Ok(())
    }

    /// The names that a network had before.
    pub async fn former_names(&self, network: &str) -> Result<Vec<String>, StoreError> {
        let mut names = Vec::new();
        for Registered { network: known, registration } in self.registrations().await? {
            if registration.renamed_to.as_deref() == Some(network) {
                names.push(known);
            }
        }
        Ok(names)
    }

    /// Every network of this map and prefix, in the order of their names.
    pub async fn registry(&self) -> Result<Vec<Registered>, StoreError> {
        let mut registry = self.registrations().await?;
        registry.retain(|registered| registered.registration.renamed_to.is_none());
        Ok(registry)
    }

    /// Every entry of the registry, also those of names that networks had before.
    async fn registrations(&self) -> Result<Vec<Registered>, StoreError> {
        let entries = self.scan_all(self.keys.registrations()).await?;
        let mut registry = Vec::with_capacity(entries.len());
        for entry in entries {
            registry.extend(parse_registered(&self.keys, &entry)?);
        }
        Ok(registry)
    }

    /// Where the network is registered. One read.
    pub async fn registration(&self, network: &str) -> Result<Option<Registration>, StoreError> {
        match self.registration_entry(network).await? {
            Some(entry) => parse_registration(network, &entry.value),
            None => Ok(None),
        }
    }

    /// The registration of a network. Whoever glances comes every few seconds, and notes beside it where the cursors are.
    async fn registration_beside_cursors(
        &self,
        network: &str,
        range_sets: &RangeSets,
        now: Timestamp,
    ) -> Result<Option<Entry>, StoreError> {
        let Some(directory) = &self.notes else { return self.registration_entry(network).await };
        let mut noted = Cursors::of(network, directory);
        let mut batch = self.batch();
        let registration = batch.registration(network);
        let cursors: Vec<_> = range_sets.iter().map(|set| batch.cursor(set)).collect();
        let mut answers = self.read_now(batch).await?;
        for (set, cursor) in range_sets.iter().zip(cursors) {
            if let Some(entry) = answers.entry(cursor) {
                noted.learn(&entry, set, now);
            }
        }
        noted.write();
        Ok(answers.entry(registration))
    }

    async fn registration_entry(&self, network: &str) -> Result<Option<Entry>, StoreError> {
        let mut batch = self.batch();
        let registration = batch.registration(network);
        Ok(self.read_now(batch).await?.entry(registration))
    }

    /// Some attachment of a network that holds an address in this domain. Keys alone, page by page.
    pub async fn any_of(&self, network: &str) -> Result<Option<Attachment>, StoreError> {
        self.at_one_moment(async |mut view| self.find_any(&mut view, network).await).await
    }

    async fn find_any(&self, view: &mut MapView, network: &str) -> Result<Option<Attachment>, StoreError> {
        let mut pages = Pages::keys_of(self.keys.attachments());
        while let Some(page) = pages.next(view).await? {
            for entry in page {
                if let Some(Named::Attachment(attachment)) = self.keys.named(&entry.key)
                    && attachment.network == network
                {
                    return Ok(Some(attachment));
                }
            }
        }
        Ok(None)
    }

    /// Whether no address is held or on hold in any domain of this map and prefix.
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

    /// Every domain of this map and prefix. One read for each, and one of the registry.
    pub async fn domains(&self) -> Result<Vec<String>, StoreError> {
        // The domains of another format are not seen here, and are not to be taken for none.
        self.registry().await?;
        let domains = self.at_one_moment(async |mut view| {
            let all = vec![self.keys.all_domains()];
            self.names_in(&mut view, all, |key| {
                let domain = self.keys.domain_of(key)?;
                let everything = self.keys.beside(&domain).everything();
                Some((domain, everything))
            })
            .await
        });
        Ok(domains.await?.into_iter().collect())
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
    /// under the name that it has by now, or under another network's name where this one is not registered. One read, or two.
    pub async fn former_books(&self, network: &str) -> Result<Vec<Registered>, StoreError> {
        let Some(explicit) = self.registers else { return Ok(Vec::new()) };
        let own = self.keys.domain();
        // By itself: another network may have books of a format that is not known here, which must not keep this one's pods
        // from ending.
        if let Some(mut registration) = self.registration(network).await? {
            if let Some(now) = registration.renamed_to.take() {
                return Ok(vec![Registered { network: now, registration }]);
            }
            let Some(domain) = registration.besides(&own).map(str::to_owned) else { return Ok(Vec::new()) };
            registration.domain = domain;
            return Ok(vec![Registered { network: network.to_owned(), registration }]);
        }
        let mut books = self.registrations().await?;
        // A domain that somebody chose, here or there, is meant to be another one: nobody was renamed.
        books.retain(|Registered { registration, .. }| {
            !explicit && !registration.explicit && registration.renamed_to.is_none() && registration.domain != own
        });
        Ok(books)
    }
}
