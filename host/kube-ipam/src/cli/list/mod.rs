//! `kube-ipam list`: what keeps addresses from new pods, which is who holds them and what is on hold. Rows are printed page by
//! page, so that half a million take no more memory than a thousand, and the first ones appear at once.
//!
//! ```text
//!   store::AddressRecords ──► wanted ──► print        in the order of addresses
//!                               └─► sort ──► print    in another order: only what is sorted by is kept
//! ```

mod print;
mod row;
mod sort;
mod wanted;

use clap::Args;
use jiff::Timestamp;

use super::network::NetworkArgs;
use super::output::{self, Done, Output};
use crate::runtime;
use crate::verbs;
use ipam::Allocation;
use print::{ListFormat, Printed};
pub(super) use row::RowJson;
use sort::SortKey;
use store::{AddressListing, Allocations, Store, StoreError};
pub(super) use wanted::RowKind;
use wanted::{Wanted, WantedArgs};

#[derive(Args, Debug)]
pub(crate) struct ListOptions {
    #[command(flatten)]
    wanted: WantedArgs,
    /// Order of the rows. Every order but the one by address reads everything before it prints
    #[arg(long, value_enum, default_value_t = SortKey::Address)]
    sort_by: SortKey,
    /// Output format
    #[arg(short, long, value_enum, default_value_t = ListFormat::Table)]
    output: ListFormat,
    /// Leave out the line that names the columns
    #[arg(long)]
    no_headers: bool,
}

pub(crate) fn list(options: &ListOptions, network: &NetworkArgs) -> Done {
    let wanted = Wanted::new(&options.wanted, network);
    let mut printed = Printed::new(options.output, !options.no_headers);
    if options.sort_by != SortKey::Address {
        sort::list_sorted(options.sort_by, network, &wanted, printed)?;
        return Ok(Output::text(""));
    }
    // One store after the other: two may be domains of one file, which LMDB lets a process open only once.
    for opened in network.read_books()? {
        let is_read = runtime::block_on(print_all(&opened.store, &wanted, &mut printed))?;
        if !is_read {
            return Ok(Output::text(""));
        }
    }
    output::print(&printed.end(wanted.is_everything()));
    Ok(Output::text(""))
}

/// Returns false where the reader has gone (`| head`), so that the rest need not be read.
async fn print_all(store: &Store, wanted: &Wanted, printed: &mut Printed) -> Result<bool, verbs::Error> {
    let filter = wanted.filter();
    let mut pages = store.address_records(&filter);
    while let Some(AddressListing { mut records, damaged }) = pages.next().await? {
        tell_damaged(&damaged);
        let now = Timestamp::now();
        records.retain(|record| wanted.fits(record, now));
        if !output::print(&printed.rows(&records, now)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The next allocations. Damaged records are reported on stderr, so that they do not keep the others from being listed.
pub(crate) async fn next_page(pages: &mut Allocations<'_>) -> Result<Option<Vec<Allocation>>, verbs::Error> {
    let Some(listing) = pages.next().await? else { return Ok(None) };
    tell_damaged(&listing.damaged);
    Ok(Some(listing.held))
}

/// How many allocations are left, and the first of them; `None` where there is none. Kept in memory is one page.
pub(crate) async fn count_rest(mut pages: Allocations<'_>) -> Result<Option<(usize, Allocation)>, verbs::Error> {
    let (mut count, mut first) = (0, None);
    while let Some(held) = next_page(&mut pages).await? {
        count += held.len();
        if first.is_none() {
            first = held.into_iter().next();
        }
    }
    Ok(first.map(|first| (count, first)))
}

pub(crate) fn tell_damaged(damaged: &[StoreError]) {
    for damaged in damaged {
        tracing::warn!("{damaged}");
    }
}
