//! `kube-ipam show`: all that is known of one address, pod or container.

use std::net::IpAddr;

use jiff::Timestamp;

use super::list::{RowJson, RowKind, tell_damaged};
use super::network::{NetworkArgs, Opened};
use super::output::{CommandError, Done, Format, Output};
use super::subject::Subject;
use crate::runtime;
use crate::verbs;
use crate::verbs::add::hand_over::name_of;
use ipam::shown::one_line;
use ipam::{Allocation, Kind};
use store::{AddressRecord, Allocations, Hold, Store};

pub(crate) fn show(subject: &Subject, network: &NetworkArgs, format: Format) -> Done {
    let shown = find(subject, network)?;
    match format {
        Format::Json => Output::json(&shown.iter().map(RowJson::from).collect::<Vec<_>>()),
        Format::Table if shown.is_empty() => Ok(Output { text: format!("no address found for {subject}"), exit: 1 }),
        Format::Table => Ok(Output::text(shown.iter().map(describe).collect::<Vec<_>>().join("\n\n"))),
    }
}

/// What the subject has, or where it is an address that nobody has, what keeps it from everybody.
fn find(subject: &Subject, network: &NetworkArgs) -> Result<Vec<AddressRecord>, CommandError> {
    let mut records = Vec::new();
    for held in find_held(subject, network)? {
        records.push(AddressRecord::Allocation(Box::new(held)));
    }
    if let (true, Subject::Address(address)) = (records.is_empty(), subject) {
        records = find_kept(*address, network)?;
    }
    Ok(records)
}

/// The reservation, the hold or the cool-down of an address, in each place where there is one.
fn find_kept(address: IpAddr, network: &NetworkArgs) -> Result<Vec<AddressRecord>, CommandError> {
    let mut records = Vec::new();
    for Opened { store, .. } in network.read_books()? {
        let listing = runtime::block_on(async { Ok::<_, verbs::Error>(store.records_of(&[address]).await?) })?;
        tell_damaged(&listing.damaged);
        for record in listing.records {
            // One whose time is over keeps the address from nobody.
            if matches!(&record, AddressRecord::Hold(hold) if hold.is_standing(Timestamp::now())) {
                records.push(record);
            }
        }
    }
    Ok(records)
}

/// The addresses that the subject holds or is, and after them those that it has ceded to others.
fn find_held(subject: &Subject, network: &NetworkArgs) -> Result<Vec<Allocation>, CommandError> {
    let filter = subject.filter();
    let (mut held, mut lent) = in_books(network, |store| store.allocations(&filter))?;
    // The index of pods names the newest container of each pod. That one may be gone while an older one still holds its
    // addresses, so that only a search of all claims can say that a pod has none.
    if held.is_empty() && lent.is_empty() && matches!(subject, Subject::Pod { .. }) {
        (held, lent) = in_books(network, |store| store.search(&filter))?;
    }
    held.retain(|held| network.covers(&held.attachment));
    subject.prefer_whole(&mut held, |held| &held.attachment);
    held.extend(lent);
    Ok(held)
}

/// What is held and what is ceded, in every network.
fn in_books(
    network: &NetworkArgs,
    ask: impl Fn(&Store) -> Allocations<'_>,
) -> Result<(Vec<Allocation>, Vec<Allocation>), CommandError> {
    let (mut held, mut lent) = (Vec::new(), Vec::new());
    for Opened { store, .. } in network.read_books()? {
        let listing = runtime::block_on(async { Ok::<_, verbs::Error>(ask(&store).all().await?) })?;
        tell_damaged(&listing.damaged);
        held.extend(listing.held);
        lent.extend(listing.lent);
    }
    Ok((held, lent))
}

fn describe(record: &AddressRecord) -> String {
    let mut lines = vec![("address", format!("{} ({})", record.address(), RowKind::of(record).name()))];
    lines.extend(match record {
        AddressRecord::Allocation(held) => lines_of_allocation(held),
        AddressRecord::Hold(hold) => lines_of_hold(hold),
    });
    let lines: Vec<String> = lines.iter().map(|(name, value)| format!("{name:<10} {}", one_line(value))).collect();
    lines.join("\n")
}

/// Why it is this address, as far as its record says.
pub(super) fn reason(held: &Allocation) -> String {
    match (held.why, held.kind, &held.policy) {
        (Some(why), ..) => why.to_string(),
        (None, _, None) => "it was imported".to_owned(),
        (None, Kind::Fixed, Some(policy)) => format!("policy {policy} wanted this very one"),
        (None, Kind::Dynamic, Some(_)) => "any would have done".to_owned(),
    }
}

fn lines_of_hold(hold: &Hold) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    match &hold.reservation {
        Some(reservation) => {
            lines.push(("reason", reservation.reason.clone()));
            lines.push(("by", reservation.by.clone()));
            lines.push(("since", reservation.since.to_string()));
            lines.extend(reservation.list.iter().map(|list| ("list", list.clone())));
        }
        None => {
            lines.extend(hold.identity.iter().map(|identity| ("for", identity.clone())));
            lines.push(("until", hold.until.to_string()));
        }
    }
    lines
}

fn lines_of_allocation(held: &Allocation) -> Vec<(&'static str, String)> {
    let mut lines = vec![
        ("why", reason(held)),
        ("network", held.attachment.network.clone()),
        ("container", held.attachment.container.clone()),
        ("interface", held.attachment.interface.clone()),
        ("node", held.node.clone()),
        ("since", held.since.to_string()),
    ];
    if let Some(pod) = &held.pod {
        let uid = pod.uid.as_deref().map_or_else(String::new, |uid| format!(" (uid {uid})"));
        lines.insert(1, ("pod", format!("{pod}{uid}")));
        lines.extend(pod.cluster.iter().map(|cluster| ("cluster", cluster.clone())));
    }
    if let Some(former) = held.former.as_deref() {
        let (lender, node) = (name_of(former), &former.node);
        lines.push(("ceded by", format!("{lender} on node {node}, which still exists and gets it back")));
    }
    if let Some(policy) = &held.policy {
        lines.push(("policy", format!("{policy} (sha256 {})", policy.sha256)));
    }
    if let Some(hold) = &held.hold {
        lines.push(("hold", format!("on hold for {:?} for {} s after release", hold.identity, hold.seconds)));
    }
    lines
}
