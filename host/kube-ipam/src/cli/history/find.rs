//! Puts together what is known: this node's journals, those of others, and the store's word on today.

use std::collections::BTreeSet;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::Serialize;

use crate::cli::network::{NetworkArgs, Opened};
use crate::cli::output::{self, CommandError, counted};
use crate::cli::subject::Subject;
use crate::config::HistoryConfig;
use crate::journal::history::{Event, JournalLine, Present, Reach, Tenure, lines_of, tenures};
use crate::runtime;
use crate::verbs;
use ipam::{Attachment, Claim, Holder, PodName, Span};
use store::StoreConfig;

/// Who had what, and what is not known of it.
#[derive(Debug, Serialize)]
pub(crate) struct HistoryReport {
    /// By address, oldest first.
    pub(crate) tenures: Vec<Tenure>,
    /// What was read.
    pub(crate) journals: Vec<Reach>,
    /// What may be missing, in sentences.
    pub(crate) gaps: Vec<String>,
}

/// The networks that are asked about.
struct Asked<'a> {
    subject: &'a Subject,
    network: &'a NetworkArgs,
    domains: BTreeSet<String>,
    /// The journals of this node, each with the name that the node has there.
    journals: Vec<(HistoryConfig, String)>,
    gaps: Vec<String>,
    /// Whether other nodes keep their part of the history.
    is_shared: bool,
}

/// What is known of an address, a pod or a container. `others` are lines that other nodes have printed of their journals.
pub(crate) fn find(
    subject: &Subject,
    network: &NetworkArgs,
    others: Vec<JournalLine>,
) -> Result<HistoryReport, CommandError> {
    let mut asked = Asked::new(subject, network)?;
    let mut journals = Vec::new();
    let mut events = Vec::new();
    for line in others {
        match line {
            JournalLine::Reach(reach) => journals.push(reach),
            JournalLine::Event(event) => events.push(*event),
        }
    }
    let mut addresses = asked.addresses_today();
    for event in &events {
        asked.learn_addresses(event, &mut addresses);
    }
    // Twice over the files: an address that a pod had may have been somebody else's before and since, which says how long.
    for (config, node) in &asked.journals {
        lines_of(&config.file, node, |event| asked.learn_addresses(&event, &mut addresses));
    }
    for (config, node) in &asked.journals {
        let of_node = |event| {
            if addresses.iter().any(|(domain, address)| event_is_about(&event, domain, *address)) {
                events.push(event);
            }
        };
        journals.push(lines_of(&config.file, node, of_node));
    }
    journals.sort_by(|one, two| (&one.journal_of, one.begins).cmp(&(&two.journal_of, two.begins)));
    journals.dedup();
    let present = asked.present(&addresses);
    let mut found = tenures(&addresses, events, present.as_deref(), Timestamp::now());
    found.retain(|tenure| asked.is_meant(tenure));
    let gaps = asked.gaps_in(&journals);
    Ok(HistoryReport { tenures: found, journals, gaps })
}

/// Prints the lines of this node's journals that are about the subject, behind one that says how far each reaches.
pub(super) fn print_raw(subject: &Subject, network: &NetworkArgs) -> Result<(), CommandError> {
    let asked = Asked::new(subject, network)?;
    for (config, node) in &asked.journals {
        let mut text = String::new();
        let reach = lines_of(&config.file, node, |event| {
            let mut addresses = BTreeSet::new();
            asked.learn_addresses(&event, &mut addresses);
            if !addresses.is_empty() {
                text.push_str(&event.line());
            }
        });
        output::print(&format!("{}{text}\n", serde_json::to_string(&reach)?));
    }
    Ok(())
}

impl HistoryReport {
    /// Say of which journals that moment is out of reach.
    pub(super) fn look_back(&mut self, at: Timestamp) {
        for Reach { journal_of, begins, .. } in &self.journals {
            if let Some(begins) = begins.filter(|begins| at < *begins) {
                self.gaps
                    .push(format!("the journal of node {journal_of} begins at {begins:.0}, after the time asked for"));
            }
        }
    }
}

impl<'a> Asked<'a> {
    fn new(subject: &'a Subject, network: &'a NetworkArgs) -> Result<Self, CommandError> {
        let (mut domains, mut journals, mut gaps) = (BTreeSet::new(), Vec::new(), Vec::new());
        let mut is_shared = false;
        for Opened { netconf, base, .. } in network.read_each()? {
            domains.insert(base.domain.clone());
            is_shared |= matches!(base.store, StoreConfig::Etcd(_));
            match HistoryConfig::of(&netconf) {
                Some(config) => journals.push((config, base.node)),
                None => gaps.push(format!("network {} keeps no history (historyMiB)", base.network)),
            }
        }
        // Networks of one directory share the file, whatever each allows it to take.
        journals.sort_by(|(one, _), (two, _)| one.file.cmp(&two.file));
        journals.dedup_by(|(one, _), (two, _)| one.file == two.file);
        Ok(Self { subject, network, domains, journals, gaps, is_shared })
    }

    /// The addresses of an event, where it is about the subject.
    fn learn_addresses(&self, event: &Event<'_>, addresses: &mut BTreeSet<(String, IpAddr)>) {
        if !self.domains.contains(&*event.domain) {
            return;
        }
        let mut learn = |address| addresses.insert((event.domain.clone().into_owned(), address));
        match (self.subject, event.claim.as_deref()) {
            (Subject::Address(address), _) if event_is_about(event, &event.domain, *address) => {
                learn(*address);
            }
            (Subject::Address(_), _) | (_, None) => {}
            (_, Some(claim)) if self.subject.fits(claim) => {
                for address in claim.addresses() {
                    learn(address);
                }
            }
            // Whoever ceded an address is told of in the claim of its new holder.
            (_, Some(claim)) => {
                for (address, former) in &claim.former {
                    if self.subject.fits(&Claim::empty(
                        former.attachment.clone(),
                        "",
                        "",
                        former.pod.clone(),
                        former.since,
                    )) {
                        learn(*address);
                    }
                }
            }
        }
    }

    /// What the subject has today, and what it is where it is an address.
    fn addresses_today(&mut self) -> BTreeSet<(String, IpAddr)> {
        let mut addresses = BTreeSet::new();
        if let Subject::Address(address) = self.subject {
            addresses.extend(self.domains.iter().map(|domain| (domain.clone(), *address)));
            return addresses;
        }
        let filter = self.subject.filter();
        let Ok(books) = self.network.read_books() else { return addresses };
        for Opened { store, base, .. } in books {
            let listing = runtime::block_on(async { Ok::<_, verbs::Error>(store.search(&filter).all().await?) });
            match listing {
                Ok(listing) => {
                    let today = listing.held.into_iter().chain(listing.lent);
                    addresses.extend(today.map(|held| (base.domain.clone(), held.address)));
                }
                Err(error) => self.gaps.push(format!("what is held today is not known: {error}")),
            }
        }
        addresses
    }

    /// What the stores say of these addresses; `None` where one does not answer.
    fn present(&mut self, addresses: &BTreeSet<(String, IpAddr)>) -> Option<Vec<(String, Present)>> {
        let mut present = Vec::new();
        for Opened { store, base, .. } in self.network.read_books().ok()? {
            let here = addresses.iter().filter(|(domain, _)| *domain == base.domain);
            let here: Vec<IpAddr> = here.map(|(_, address)| *address).collect();
            let holders =
                runtime::block_on(async { Ok::<_, verbs::Error>(store.holders(&here, Timestamp::now()).await?) });
            let holders = match holders {
                Ok(holders) => holders,
                Err(error) => {
                    self.gaps.push(format!("who has it today is not known: {error}"));
                    return None;
                }
            };
            for (address, holder) in here.into_iter().zip(holders) {
                let today = match holder {
                    Some(Holder::Attachment(held)) => Present::Held(held),
                    Some(Holder::Reservation(reservation)) => Present::Reserved(address, reservation),
                    Some(Holder::Hold { .. }) | None => continue,
                };
                present.push((base.domain.clone(), today));
            }
        }
        Some(present)
    }

    /// Whether a tenure is the subject's own, and of a network that was asked for.
    fn is_meant(&self, tenure: &Tenure) -> bool {
        let Some(attachment) = &tenure.attachment else { return matches!(self.subject, Subject::Address(_)) };
        self.network.covers(attachment) && is_of(self.subject, attachment, tenure.pod.as_ref())
    }

    fn gaps_in(self, journals: &[Reach]) -> Vec<String> {
        let mut gaps = self.gaps;
        for Reach { journal_of, begins, damaged, silent } in journals {
            if let Some(why) = silent {
                gaps.push(format!("the journal of node {journal_of} was not read: {why}"));
            } else if let Some(begins) = begins {
                gaps.push(format!("the journal of node {journal_of} begins at {begins:.0}"));
            }
            if *damaged > 0 {
                let lines = counted(usize::try_from(*damaged).unwrap_or(usize::MAX), "line");
                gaps.push(format!("{lines} of the journal of node {journal_of} cannot be read"));
            }
        }
        let nodes: BTreeSet<&String> = journals.iter().map(|reach| &reach.journal_of).collect();
        if self.is_shared && nodes.len() <= 1 {
            gaps.push(format!(
                "other nodes were not asked; `kubectl kube-ipam history {}` asks all of them",
                self.subject
            ));
        }
        gaps
    }
}

fn is_of(subject: &Subject, attachment: &Attachment, pod: Option<&PodName>) -> bool {
    match subject {
        Subject::Address(_) => true,
        Subject::Pod { namespace, name } => pod.is_some_and(|pod| pod.namespace == *namespace && pod.name == *name),
        Subject::Container(id) => attachment.container.starts_with(id),
    }
}

fn event_is_about(event: &Event<'_>, domain: &str, address: IpAddr) -> bool {
    if event.domain != domain {
        return false;
    }
    let of_claim = event.claim.iter().flat_map(|claim| claim.addresses()).any(|held| held == address);
    of_claim || event.addresses.iter().any(|text| text.parse::<Span>().is_ok_and(|span| span.contains(address)))
}
