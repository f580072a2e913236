//! `kube-ipam show`: all that is known of one address, pod or container.

use std::net::IpAddr;

use jiff::Timestamp;

use super::list::tell_damaged;
use super::network::Opened;
use super::output::{CommandError, Done, Output};
use super::{Format, NetworkArgs};
use crate::plugin;
use crate::verbs;
use crate::verbs::add::hand_over::name_of;
use ipam::address::parse_address;
use ipam::shown::one_line;
use ipam::{Allocation, Holder};
use store::{AllocationFilter, Allocations, Hold, Store};

pub(crate) fn show(what: &str, network: &NetworkArgs, format: Format) -> Done {
    let filter = filter(what);
    let shown = find(what, &filter, network)?;
    match format {
        Format::Json => Output::json(&shown),
        Format::Table if shown.is_empty() => Ok(Output { text: nothing(what, filter.address, network)?, exit: 1 }),
        Format::Table => Ok(Output::text(shown.iter().map(describe).collect::<Vec<_>>().join("\n\n"))),
    }
}

/// What is held by or at it, and then what it has let others have for the time being.
fn find(what: &str, filter: &AllocationFilter, network: &NetworkArgs) -> Result<Vec<Allocation>, CommandError> {
    let (mut held, lent) = in_books(network, |store| store.allocations(filter))?;
    if held.is_empty() && lent.is_empty() && filter.pod.is_some() {
        // The index of pods names the newest container of a name. That one may be gone, and an older one not.
        let (held, lent) = in_books(network, |store| store.search(filter))?;
        return Ok([held, lent].concat());
    }
    // An ID that is written out is meant, even where a longer one begins with it.
    if held.iter().any(|held| held.attachment.container == what) {
        held.retain(|held| held.attachment.container == what);
    }
    held.extend(lent);
    Ok(held)
}

/// What is held and what is lent, of every network of the file.
fn in_books(
    network: &NetworkArgs,
    ask: impl Fn(&Store) -> Allocations<'_>,
) -> Result<(Vec<Allocation>, Vec<Allocation>), CommandError> {
    let (mut held, mut lent) = (Vec::new(), Vec::new());
    for Opened { store, .. } in network.open_books()? {
        let listing = plugin::block_on(async { Ok::<_, verbs::Error>(ask(&store).all().await?) })?;
        tell_damaged(&listing);
        held.extend(listing.held);
        lent.extend(listing.lent);
    }
    Ok((held, lent))
}

/// An address that nobody holds may be kept for somebody, or cool down.
fn nothing(what: &str, address: Option<IpAddr>, network: &NetworkArgs) -> Result<String, CommandError> {
    for opened in network.open_books()? {
        let Some(address) = address else { break };
        let holders = plugin::block_on(async { Ok(opened.store.holders(&[address], Timestamp::now()).await?) })?;
        if let Some(Some(Holder::Hold { identity, until })) = holders.into_iter().next() {
            if identity == Hold::COOLING_DOWN {
                return Ok(format!("{what} is cooling down until {until}"));
            }
            return Ok(format!("{what} is reserved for {identity:?} until {until}"));
        }
    }
    Ok(format!("no address found for {what}"))
}

fn filter(what: &str) -> AllocationFilter {
    if let Some(address) = parse_address(what) {
        return AllocationFilter { address: Some(address), ..AllocationFilter::default() };
    }
    match what.split_once('/') {
        Some((namespace, name)) => {
            AllocationFilter { pod: Some((namespace.to_owned(), name.to_owned())), ..AllocationFilter::default() }
        }
        None => AllocationFilter { container: Some(what.to_owned()), ..AllocationFilter::default() },
    }
}

fn describe(held: &Allocation) -> String {
    let mut lines = vec![
        ("address", format!("{} ({:?})", held.address, held.kind).to_lowercase()),
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
        let lender = name_of(former);
        lines.push(("ceded by", format!("{lender} on node {}, which still exists and gets it back", former.node)));
    }
    if let Some(policy) = &held.policy {
        lines.push(("policy", format!("{policy} (sha256 {})", policy.sha256)));
    }
    if let Some(hold) = &held.hold {
        lines.push(("hold", format!("reserved for {:?} for {} s after release", hold.identity, hold.seconds)));
    }
    let text = lines.iter().map(|(name, value)| format!("{name:<10} {}", one_line(value)));
    text.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv4_written_as_ipv6_is_looked_up_as_ipv4() {
        assert_eq!(filter("::ffff:10.0.0.5").address, "10.0.0.5".parse().ok());
        assert_eq!(filter("fd00::5").address, "fd00::5".parse().ok());
        assert_eq!(filter("10.0.0.5-web").address, None);
    }
}
