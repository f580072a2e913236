//! What is known of one address, pod or container, found by its own keys: as `kube-ipam show` finds it.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::Serialize;

use crate::cli::list::RowJson;
use crate::cli::network::Opened;
use crate::cli::serve::library::Networks;
use crate::cli::serve::query::Query;
use crate::cli::serve::reply::Failure;
use crate::cli::subject::Subject;
use ipam::Allocation;
use limits::serve::SEARCHED;
use store::AddressRecord;

#[derive(Serialize)]
pub(super) struct FoundJson {
    /// How the question was understood.
    kind: &'static str,
    held: Vec<Allocation>,
    /// What the pod or container has ceded, and another holds for the time being.
    lent: Vec<Allocation>,
    /// Why nobody gets the address that was asked for, where nobody holds it.
    kept: Vec<KeptJson>,
    /// The range sets that offer the address that was asked for.
    offered: Vec<OfferedJson>,
}

#[derive(Serialize)]
struct OfferedJson {
    network: String,
    range_set: usize,
}

/// The record of a hold or a reservation, with the place where it is kept.
#[derive(Serialize)]
struct KeptJson {
    domain: String,
    #[serde(flatten)]
    row: serde_json::Value,
}

/// A pod is found by its whole name, and a container by the beginning of its ID, of which there may be any number.
pub(super) async fn search(networks: &Networks, query: &Query) -> Result<FoundJson, Failure> {
    let subject: Subject = query.text("q").unwrap_or_default().parse().map_err(Failure::bad_request)?;
    let kind = match &subject {
        Subject::Address(_) => "address",
        Subject::Pod { .. } => "pod",
        Subject::Container(_) => "container",
    };
    let mut found = FoundJson { kind, held: Vec::new(), lent: Vec::new(), kept: Vec::new(), offered: Vec::new() };
    for book in networks.books() {
        found.look_in(book, &subject).await.map_err(|error| error.about(&book.found.option))?;
    }
    subject.prefer_whole(&mut found.held, |held| &held.attachment);
    if let Subject::Address(address) = subject {
        found.offered = offering(networks, address);
    }
    Ok(found)
}

impl FoundJson {
    async fn look_in(&mut self, book: &Opened, subject: &Subject) -> Result<(), Failure> {
        let mut pages = book.store.allocations(&subject.filter()).of_claims(SEARCHED);
        while let Some(listing) = pages.next().await? {
            self.held.extend(listing.held);
            self.lent.extend(listing.lent);
        }
        let Subject::Address(address) = subject else { return Ok(()) };
        let now = Timestamp::now();
        for record in book.store.records_of(&[*address]).await?.records {
            if let AddressRecord::Hold(hold) = &record
                && hold.is_standing(now)
            {
                let row = serde_json::to_value(RowJson::from(&record)).unwrap_or_default();
                self.kept.push(KeptJson { domain: book.base.domain.clone(), row });
            }
        }
        Ok(())
    }
}

fn offering(networks: &Networks, address: IpAddr) -> Vec<OfferedJson> {
    let mut offered = Vec::new();
    for opened in &networks.opened {
        // What is wrong with the ranges is told where they are shown.
        let range_set = opened.range_sets().ok().and_then(|sets| sets.offering(address));
        offered.extend(range_set.map(|range_set| OfferedJson { network: opened.base.network.clone(), range_set }));
    }
    offered
}
