//! `kube-ipam list`: the addresses in use and their holders. They are printed page by page, so that half a million take no
//! more memory than a thousand, and the first ones appear at once.

use jiff::Timestamp;

use super::network::NetworkArgs;
use super::output::{self, Columns, Done, Format, JsonList, Output, or_dash};
use crate::runtime;
use crate::verbs;
use ipam::{Allocation, Kind, Party};
use store::{AllocationFilter, AllocationListing, Allocations, Store};

const HEADER: [&str; 9] = ["ADDRESS", "KIND", "POD", "CONTAINER", "INTERFACE", "NETWORK", "NODE", "POLICY", "AGE"];

/// A list that is being printed.
enum Printed {
    Table(Columns),
    Json(JsonList),
}

pub(crate) fn list(network: &NetworkArgs, format: Format) -> Done {
    let mut printed = match format {
        Format::Table => Printed::Table(Columns::new(&HEADER)),
        Format::Json => Printed::Json(JsonList::default()),
    };
    // One store after the other: two may be domains of one file, which LMDB lets a process open only once.
    for opened in network.read_books()? {
        let is_read = runtime::block_on(printed.print_all(&opened.store))?;
        if !is_read {
            return Ok(Output::text(""));
        }
    }
    printed.finish();
    Ok(Output::text(""))
}

impl Printed {
    /// Returns false where the reader has gone (`| head`), so that the rest need not be read.
    async fn print_all(&mut self, store: &Store) -> Result<bool, verbs::Error> {
        let mut pages = store.allocations(&AllocationFilter::default());
        while let Some(held) = next_page(&mut pages).await? {
            let text = match self {
                Self::Table(columns) => {
                    let now = Timestamp::now();
                    columns.lines(held.iter().map(|held| row(held, now)))
                }
                Self::Json(list) => list.elements(&held),
            };
            if !output::print(&text) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn finish(self) {
        let end = match self {
            Self::Table(columns) if columns.has_begun() => return,
            Self::Table(_) => "no addresses are held\n".to_owned(),
            Self::Json(list) => list.end(),
        };
        output::print(&end);
    }
}

/// The next allocations. Damaged records are reported on stderr, so that they do not keep the others from being listed.
pub(crate) async fn next_page(pages: &mut Allocations<'_>) -> Result<Option<Vec<Allocation>>, verbs::Error> {
    let Some(listing) = pages.next().await? else { return Ok(None) };
    tell_damaged(&listing);
    Ok(Some(listing.held))
}

pub(crate) fn tell_damaged(listing: &AllocationListing) {
    for damaged in &listing.damaged {
        tracing::warn!("{damaged}");
    }
}

fn row(held: &Allocation, now: Timestamp) -> Vec<String> {
    vec![
        held.address.to_string(),
        kind(held),
        or_dash(held.pod.as_ref()),
        held.attachment.container.chars().take(13).collect(),
        held.attachment.interface.clone(),
        held.attachment.network.clone(),
        held.node.clone(),
        or_dash(held.policy.as_ref()),
        age(now, held.since),
    ]
}

/// The kind, and who ceded the address. That one still uses it and gets it back, so it is shown.
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

/// An age in the largest unit of which there are at least two, as kubectl shows it.
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
