//! Everything that keeps addresses from new pods, a page at a time: the rows of `kube-ipam list`.
//!
//! A page ends when it is full or when so many records were looked at that the request is dear enough. Either way it says
//! where the next one goes on: behind an address, so that nothing is remembered here between two requests.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::Serialize;

use crate::cli::list::{RowJson, RowKind, Wanted, WantedArgs};
use crate::cli::network::{NetworkArgs, Opened};
use crate::cli::serve::library::Networks;
use crate::cli::serve::query::{Continuation, Query};
use crate::cli::serve::reply::Failure;
use ipam::Span;
use ipam::range_set::everything;
use limits::serve::LOOKED_AT;
use store::{AddressRecord, RecordFilter};

pub(super) const PARAMETERS: &[&str] = &["network", "namespace", "node", "kind", "range", "q", "limit", "after"];

/// The addresses of the first part that is read behind a continuation, and how many times as many the next part has. etcd walks
/// all keys of the range that it is asked about, also of a page: a neighbourhood costs little, and all that is left is read
/// in a few steps where it is empty.
const FIRST_PART: u128 = 1 << 10;
const WIDER: u128 = 8;

#[derive(Serialize)]
pub(super) struct PageJson {
    at: Timestamp,
    rows: Vec<OwnedRow>,
    /// What `after` is in the request for the next page; absent at the end.
    next: Option<String>,
    /// How many records were looked at for this page.
    looked_at: usize,
    /// How many of them could not be read.
    damaged: usize,
}

/// A row, with the place where its address is kept: a hold has no network.
struct OwnedRow {
    domain: String,
    record: AddressRecord,
}

impl Serialize for OwnedRow {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Row<'a> {
            domain: &'a str,
            #[serde(flatten)]
            row: RowJson<'a>,
        }
        Row { domain: &self.domain, row: RowJson::from(&self.record) }.serialize(serializer)
    }
}

/// What a request asks for.
struct Asked {
    wanted: Wanted,
    /// A part of a name, in small letters.
    text: Option<String>,
    limit: usize,
}

pub(super) async fn page(
    networks: &Networks,
    network: &NetworkArgs,
    query: &Query,
    kinds: &[RowKind],
) -> Result<PageJson, Failure> {
    let mut args = query.wanted()?;
    if !kinds.is_empty() {
        args.kind = kinds.to_vec();
    }
    let asked = Asked {
        wanted: Wanted::new(&args, network),
        text: query.text("q").map(str::to_lowercase),
        limit: query.limit()?,
    };
    let start = query.continuation()?;
    let mut page = PageJson { at: Timestamp::now(), rows: Vec::new(), next: None, looked_at: 0, damaged: 0 };
    for (nth, book) in networks.books().into_iter().enumerate() {
        // Whoever asks for a network does not want the holds of the others.
        let mut of_book = networks.opened.iter().filter(|opened| opened.keeps_with(book));
        if !of_book.any(|opened| network.is_asked_for(&opened.base.network)) {
            continue;
        }
        let after = match start {
            Some(start) if nth < start.book => continue,
            Some(start) if nth == start.book => Some(start.after),
            _ => None,
        };
        let ended = page.add(book, &asked, &args, after).await.map_err(|error| error.about(&book.found.option))?;
        if let Some(after) = ended {
            page.next = Some(Continuation { book: nth, after }.to_string());
            break;
        }
    }
    Ok(page)
}

impl PageJson {
    /// Adds rows of one place. Returns the address behind which the next page goes on, where this one ends here.
    async fn add(
        &mut self,
        book: &Opened,
        asked: &Asked,
        args: &WantedArgs,
        after: Option<IpAddr>,
    ) -> Result<Option<IpAddr>, Failure> {
        let RecordFilter { allocations, holds, spans } = asked.wanted.filter();
        let held = args.kind.is_empty() || args.kind.iter().any(|kind| kind.is_held());
        let kept = args.kind.is_empty() || args.kind.iter().any(|kind| !kind.is_held());
        let spans = parts(if spans.is_empty() { everything() } else { spans }, after);
        if spans.is_empty() {
            return Ok(None);
        }
        let filter = RecordFilter { allocations: allocations && held, holds: holds && kept, spans };
        let mut pages = book.store.address_records(&filter);
        while let Some(listing) = pages.next().await? {
            self.damaged += listing.damaged.len();
            let last = listing.records.last().map(AddressRecord::address);
            for record in listing.records {
                self.looked_at += 1;
                if !asked.wanted.fits(&record, self.at) || !asked.has_text(&record) {
                    continue;
                }
                let address = record.address();
                self.rows.push(OwnedRow { domain: book.base.domain.clone(), record });
                if self.rows.len() == asked.limit {
                    return Ok(Some(address));
                }
            }
            if self.looked_at >= LOOKED_AT && last.is_some() {
                return Ok(last);
            }
        }
        Ok(None)
    }
}

impl Asked {
    /// Whether a name of the record has the text in it.
    fn has_text(&self, record: &AddressRecord) -> bool {
        let Some(text) = &self.text else { return true };
        let has = |name: &str| name.to_lowercase().contains(text.as_str());
        if has(&record.address().to_string()) {
            return true;
        }
        match record {
            AddressRecord::Allocation(held) => {
                has(&held.attachment.container)
                    || has(&held.node)
                    || held.pod.as_ref().is_some_and(|pod| has(&pod.to_string()))
                    || held.hold.as_ref().is_some_and(|hold| has(&hold.identity))
            }
            AddressRecord::Hold(hold) => {
                hold.identity.as_deref().is_some_and(has)
                    || hold.reservation.as_ref().is_some_and(|reserved| has(&reserved.reason) || has(&reserved.by))
            }
        }
    }
}

/// What is left of some spans behind an address, in parts that get wider: a page is read from the first few.
fn parts(spans: Vec<Span>, after: Option<IpAddr>) -> Vec<Span> {
    let Some(after) = after else { return spans };
    let mut parts = Vec::new();
    let mut width = FIRST_PART;
    for span in spans {
        let mut rest = span.above(after);
        while let Some(left) = rest {
            let last = left.nth(width - 1).unwrap_or(left.last());
            parts.extend(Span::new(left.first(), last));
            rest = left.above(last);
            width = width.saturating_mul(WIDER);
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_read_in_parts_that_get_wider_and_leave_nothing_out() {
        let spans = || ["10.0.0.0/8", "fd00::/64"].map(|text| text.parse::<Span>().unwrap()).to_vec();
        assert_eq!(parts(spans(), None), spans());
        let left = parts(spans(), Some("10.1.0.5".parse().unwrap()));
        assert_eq!(left[0].to_string(), "10.1.0.6-10.1.4.5");
        for pair in left.windows(2) {
            assert!(ipam::address::successor(pair[0].last()) == Some(pair[1].first()) || pair[1].first().is_ipv6());
        }
        assert_eq!(left.last().unwrap().last(), spans()[1].last());
        assert!(left.len() < 40, "{}", left.len());
        assert!(parts(spans(), Some("fd00::ffff:ffff:ffff:ffff".parse().unwrap())).is_empty());
        assert!(parts(everything(), Some("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff".parse().unwrap())).is_empty());
    }
}
