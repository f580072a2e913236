//! A list in another order than that of the addresses, which is the only one that the store has.
//!
//! Half a million rows do not fit into memory, what they are sorted by does: it is kept with the address alone, and the rows
//! are read again, a page at a time. A row that has changed in between is shown as it is then, in the place that it had.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::rc::Rc;

use clap::ValueEnum;
use jiff::Timestamp;

use super::print::Printed;
use super::tell_damaged;
use super::wanted::{RowKind, Wanted};
use crate::cli::network::{FoundNetwork, NetworkArgs, Opened};
use crate::cli::output::{self, CommandError};
use crate::runtime;
use crate::verbs;
use cni::Fail;
use limits::store::{PAGE, ROWS_SORTED};
use store::{AddressListing, AddressRecord};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum SortKey {
    Address,
    /// Oldest first; what nobody holds comes last
    Age,
    Namespace,
    Pod,
    Node,
    Container,
    Kind,
    Network,
    Policy,
}

/// Why a list is not sorted.
#[derive(Debug, thiserror::Error)]
#[error("there are more than {ROWS_SORTED} rows, too many to sort them here")]
struct TooManyRows;

impl Fail for TooManyRows {
    fn hint(&self) -> Option<String> {
        Some(
            "list fewer with --namespace, --node or --range; or sort elsewhere what `kube-ipam list -o csv` prints"
                .into(),
        )
    }
}

/// What a row is sorted by. What has none comes last.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Value {
    Time(Timestamp),
    Text(Rc<str>),
    None,
}

/// A row's place in the order, and where it is read again.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    value: Value,
    /// Which of the stores has it.
    book: u16,
    address: IpAddr,
}

pub(super) fn list_sorted(
    by: SortKey,
    network: &NetworkArgs,
    wanted: &Wanted,
    mut printed: Printed,
) -> Result<(), CommandError> {
    let (mut places, mut known) = (Vec::new(), HashSet::new());
    let mut books: Vec<FoundNetwork> = Vec::new();
    for (book, opened) in (0..).zip(network.read_books()?) {
        runtime::block_on(collect(by, &opened, wanted, book, &mut known, &mut places))?;
        books.push(opened.found);
    }
    drop(known);
    places.sort_unstable();
    let mut opened: Option<(u16, Opened)> = None;
    for page in places.chunks(PAGE) {
        let rows = read_again(page, &books, &mut opened)?;
        let now = Timestamp::now();
        let rows: Vec<AddressRecord> = rows.into_iter().filter(|row| wanted.fits(row, now)).collect();
        if !output::print(&printed.rows(&rows, now)) {
            return Ok(());
        }
    }
    output::print(&printed.end(wanted.is_everything()));
    Ok(())
}

/// The place of every row of one store.
async fn collect(
    by: SortKey,
    opened: &Opened,
    wanted: &Wanted,
    book: u16,
    known: &mut HashSet<Rc<str>>,
    places: &mut Vec<Place>,
) -> Result<(), CommandError> {
    let filter = wanted.filter();
    let mut pages = opened.store.address_records(&filter);
    while let Some(AddressListing { records, damaged }) = pages.next().await.map_err(verbs::Error::from)? {
        tell_damaged(&damaged);
        let now = Timestamp::now();
        for record in records.iter().filter(|record| wanted.fits(record, now)) {
            if places.len() == ROWS_SORTED {
                return Err(TooManyRows.into());
            }
            places.push(Place { value: by.value(record, known), book, address: record.address() });
        }
    }
    Ok(())
}

/// The rows of a page, in its order. Of its stores one after the other is open.
fn read_again(
    page: &[Place],
    books: &[FoundNetwork],
    opened: &mut Option<(u16, Opened)>,
) -> Result<Vec<AddressRecord>, CommandError> {
    let mut by_book: BTreeMap<u16, Vec<IpAddr>> = BTreeMap::new();
    for place in page {
        by_book.entry(place.book).or_default().push(place.address);
    }
    let mut rows = BTreeMap::new();
    for (book, addresses) in by_book {
        if opened.as_ref().is_none_or(|(nth, _)| *nth != book) {
            // Closed before the next is opened: the two may be domains of one file.
            *opened = None;
            *opened = Some((book, books[usize::from(book)].open()?));
        }
        let Some((_, of_book)) = opened.as_ref() else { continue };
        let listing = runtime::block_on(async { Ok::<_, verbs::Error>(of_book.store.records_of(&addresses).await?) })?;
        // Damaged ones were reported when they were read first, and have no place.
        for record in listing.records {
            rows.insert((book, record.address()), record);
        }
    }
    Ok(page.iter().filter_map(|place| rows.remove(&(place.book, place.address))).collect())
}

impl SortKey {
    fn value(self, record: &AddressRecord, known: &mut HashSet<Rc<str>>) -> Value {
        let AddressRecord::Allocation(held) = record else {
            return match self {
                Self::Kind => Value::Text(RowKind::of(record).name().into()),
                _ => Value::None,
            };
        };
        let text = match self {
            Self::Age => return Value::Time(held.since),
            Self::Address => return Value::None,
            Self::Namespace => held.pod.as_ref().map(|pod| pod.namespace.clone()),
            Self::Pod => held.pod.as_ref().map(ToString::to_string),
            Self::Node => Some(held.node.clone()),
            Self::Container => Some(held.attachment.container.clone()),
            Self::Kind => Some(RowKind::of(record).name().to_owned()),
            Self::Network => Some(held.attachment.network.clone()),
            Self::Policy => held.policy.as_ref().map(ToString::to_string),
        };
        let Some(text) = text else { return Value::None };
        if matches!(self, Self::Pod | Self::Container) {
            return Value::Text(text.into());
        }
        // A node or a namespace has many rows, and its name is kept once.
        if let Some(text) = known.get(text.as_str()) {
            return Value::Text(text.clone());
        }
        let text: Rc<str> = text.into();
        known.insert(text.clone());
        Value::Text(text)
    }
}
