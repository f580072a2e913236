//! `kube-ipam show`: all that is known of one address, pod or container.

use jiff::Timestamp;

use super::list::tell_damaged;
use super::network::{NetworkArgs, Opened};
use super::output::{CommandError, Done, Format, Output};
use super::subject::Subject;
use crate::runtime;
use crate::verbs;
use crate::verbs::add::hand_over::name_of;
use ipam::shown::one_line;
use ipam::{Allocation, Holder, Kind};
use store::{Allocations, Hold, Store};

pub(crate) fn show(subject: &Subject, network: &NetworkArgs, format: Format) -> Done {
    let shown = find(subject, network)?;
    match format {
        Format::Json => Output::json(&shown),
        Format::Table if shown.is_empty() => Ok(Output { text: nothing(subject, network)?, exit: 1 }),
        Format::Table => Ok(Output::text(shown.iter().map(describe).collect::<Vec<_>>().join("\n\n"))),
    }
}

/// The addresses that the subject holds or is, and after them those that it has ceded to others.
fn find(subject: &Subject, network: &NetworkArgs) -> Result<Vec<Allocation>, CommandError> {
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

/// The sentence for a subject without allocations. An address that is not in use may still be on hold, cooling down or
/// reserved.
fn nothing(subject: &Subject, network: &NetworkArgs) -> Result<String, CommandError> {
    let not_found = format!("no address found for {subject}");
    let Subject::Address(address) = subject else { return Ok(not_found) };
    for opened in network.read_books()? {
        let holders = runtime::block_on(async {
            Ok::<_, verbs::Error>(opened.store.holders(&[*address], Timestamp::now()).await?)
        })?;
        match holders.into_iter().next().flatten() {
            Some(Holder::Hold { identity, until }) => {
                return Ok(format!("{address} is {}", Hold::describe(&identity, until)));
            }
            Some(Holder::Reservation(reservation)) => return Ok(format!("{address} is {reservation}")),
            Some(Holder::Attachment(_)) | None => {}
        }
    }
    Ok(not_found)
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

fn describe(held: &Allocation) -> String {
    let mut lines = vec![
        ("address", format!("{} ({:?})", held.address, held.kind).to_lowercase()),
        ("why", reason(held)),
        ("network", held.attachment.network.clone()),
        ("container", held.attachment.container.clone()),
        ("interface", held.attachment.interface.clone()),
        ("node", held.node.clone()),
        ("since", held.since.to_string()),
    ];
    if let Some(pod) = &held.pod {
        let uid = pod.uid.as_deref().map_or_else(String::new, |uid| format!(" (uid {uid})"));
        lines.insert(2, ("pod", format!("{pod}{uid}")));
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
    let lines: Vec<String> = lines.iter().map(|(name, value)| format!("{name:<10} {}", one_line(value))).collect();
    lines.join("\n")
}
