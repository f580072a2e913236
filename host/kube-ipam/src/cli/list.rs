//! `kube-ipam list`: who holds which address.

use jiff::Timestamp;

use super::output::{self, CommandError, Done, Output};
use super::{Format, NetworkArgs};
use crate::plugin;
use crate::verbs;
use ipam::{Allocation, Kind, Party};
use limits::store::PAGE;
use store::{Filter, Store};

pub(crate) fn list(network: &NetworkArgs, format: Format) -> Done {
    let held = held(network, &Filter::default())?;
    match format {
        Format::Json => Output::json(&held),
        Format::Table if held.is_empty() => Ok(Output::text("no addresses are held")),
        Format::Table => Ok(Output::text(table(&held))),
    }
}

/// The held addresses that fit, of every network of the file.
pub(crate) fn held(network: &NetworkArgs, filter: &Filter) -> Result<Vec<Allocation>, CommandError> {
    let mut held = Vec::new();
    // One after the other: two networks may have their books in one file, which is opened once in a process.
    for opened in network.open_books()? {
        held.extend(plugin::block_on(all_of(&opened.store, filter))?);
    }
    Ok(held)
}

/// The held addresses that fit, in the order of the addresses, page by page. Damaged records hide no others: they
/// are told on stderr.
pub(crate) async fn all_of(store: &Store, filter: &Filter) -> Result<Vec<Allocation>, verbs::Error> {
    let mut held = Vec::new();
    let mut after = None;
    loop {
        let listing = store.allocations(filter, after, PAGE).await?;
        listing.damaged.iter().for_each(|damaged| tracing::warn!("{damaged}"));
        held.extend(listing.held);
        after = listing.next;
        if after.is_none() {
            return Ok(held);
        }
    }
}

/// One line an address.
pub(crate) fn table(held: &[Allocation]) -> String {
    let header = ["ADDRESS", "KIND", "POD", "CONTAINER", "INTERFACE", "NETWORK", "NODE", "POLICY", "AGE"];
    let now = Timestamp::now();
    output::table(&header, held.iter().map(|held| row(held, now)))
}

fn row(held: &Allocation, now: Timestamp) -> Vec<String> {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    vec![
        held.address.to_string(),
        kind(held),
        or_dash(held.pod.as_ref().map(ToString::to_string)),
        held.attachment.container.chars().take(13).collect(),
        held.attachment.interface.clone(),
        held.attachment.network.clone(),
        held.node.clone(),
        or_dash(held.policy.as_ref().map(|policy| policy.to_string())),
        age(now, held.since),
    ]
}

/// An address that another ceded goes back to it: that one still uses it.
fn kind(held: &Allocation) -> String {
    let kind = match held.kind {
        Kind::Dynamic => "dynamic",
        Kind::Fixed => "fixed",
    };
    match held.former.as_deref() {
        None => kind.to_owned(),
        Some(Party { pod: Some(pod), .. }) => format!("{kind}, ceded by {pod}"),
        Some(Party { attachment, .. }) => format!("{kind}, ceded by {}", attachment.container),
    }
}

/// In the largest unit that leaves a number above one, as kubectl does.
fn age(now: Timestamp, since: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(since.as_second()).max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short_and_never_negative() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        assert_eq!(age(at(100), at(41)), "59s");
        assert_eq!(age(at(10_000), at(0)), "2h");
        assert_eq!(age(at(7_000), at(0)), "116m");
        assert_eq!(age(at(864_000), at(0)), "10d");
        assert_eq!(age(at(0), at(100)), "0s", "a clock that was set back");
    }
}
