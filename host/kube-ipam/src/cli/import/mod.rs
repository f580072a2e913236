//! `kube-ipam import`: takes over the addresses that another plugin has given out, with their containers.
//!
//! The other plugin must have stopped giving out addresses of the network before. Entries that were imported are moved
//! aside in its records (the keys from `used/` to `imported/`, the files from `<network>/` to `<network>.imported/`), so
//! that nothing imports them again when their containers are gone.
//!
//! kube-ipam 0.x knew containers only, not interfaces. Its entries are imported for one interface, `eth0` unless told
//! otherwise, and the DEL, CHECK and repeated ADD of that interface find them. It did not know nodes either: without
//! `--node` only their DEL releases them, no node's GC does. Entries that cannot be imported can be set aside.
//!
//! The records of this program itself move as a whole: see `own`.

mod error;
mod exported;
mod host_local;
mod options;
mod own;
mod row;
mod whereabouts;

use std::net::IpAddr;

use jiff::Timestamp;

use super::agree::agreed_to;
use super::network::{NetworkArgs, Opened};
use super::operator::Act;
use super::output::{Done, Format, Output};
use crate::journal::history::What;
use crate::runtime;
use crate::verbs;
use cni::is_name;
use error::ImportError;
use ipam::address::parse_address;
use ipam::{Assignment, Attachment, RangeSets};
use options::ImportSource;
use row::{ImportAction, ImportRow, table};
use store::StoreConfig;
use store::{Booking, Import, Imported};

pub(crate) use options::ImportOptions;
pub use own::import_domain;

/// The exit code is 1 where another attachment holds an address than the imported records say, or where an address of
/// former records of kube-ipam did not move with them.
pub(crate) fn import(options: &ImportOptions, network: &NetworkArgs, format: Format) -> Done {
    options.check()?;
    if options.from == ImportSource::Export {
        return exported::import(options, &network.one_book()?, format);
    }
    let mut rows = Vec::new();
    for opened in network.write_each()? {
        rows.extend(import_into(options, &opened)?);
    }
    // Other plugins may have entries that mean nothing here; of our own records nothing may stay behind unnoticed.
    let may_skip = options.from != ImportSource::Own;
    let exit = u8::from(rows.iter().any(|row| match row.action {
        ImportAction::HeldByAnother => true,
        ImportAction::Skipped => !may_skip,
        ImportAction::WouldImport | ImportAction::WouldSetAside => !options.dry_run,
        _ => false,
    }));
    let text = match format {
        Format::Json => serde_json::to_string_pretty(&rows)?,
        Format::Table if rows.is_empty() => options.nothing().to_owned(),
        Format::Table if is_needed(&rows) && !options.dry_run => {
            let (done, does) = options.words();
            format!("{}\nnothing was {done}; --yes {does} it", table(&rows, done))
        }
        Format::Table => table(&rows, options.words().0),
    };
    Ok(Output { text, exit })
}

/// Whether something is still to be done.
fn is_needed(rows: &[ImportRow]) -> bool {
    rows.iter().any(|row| matches!(row.action, ImportAction::WouldImport | ImportAction::WouldSetAside))
}

/// The plan, the question, and what has become of each entry.
fn import_into(options: &ImportOptions, opened: &Opened) -> Result<Vec<ImportRow>, ImportError> {
    let range_sets = opened.range_sets()?;
    let mut planned = Vec::new();
    if options.dry_run || !options.yes {
        planned = import_rows(&ImportOptions { dry_run: true, ..options.clone() }, opened, &range_sets)?;
    }
    let is_agreed =
        options.yes || (!options.dry_run && is_needed(&planned) && agreed_to(&table(&planned, options.words().0)));
    if options.dry_run || !is_agreed {
        return Ok(planned);
    }
    import_rows(options, opened, &range_sets)
}

fn import_rows(
    options: &ImportOptions,
    opened: &Opened,
    range_sets: &RangeSets,
) -> Result<Vec<ImportRow>, ImportError> {
    if options.from == ImportSource::Own {
        return runtime::block_on(own::import(options, opened, range_sets));
    }
    import_bookings(options, opened, range_sets)
}

fn import_bookings(
    options: &ImportOptions,
    opened: &Opened,
    range_sets: &RangeSets,
) -> Result<Vec<ImportRow>, ImportError> {
    let network = &opened.base.network;
    if options.from == ImportSource::Predecessor && matches!(opened.base.store, StoreConfig::Embedded { .. }) {
        return Err(ImportError::NotInEtcd { network: network.clone(), what: "--from kube-ipam-v0" });
    }
    runtime::block_on(async {
        let mut bookings = match options.from {
            ImportSource::HostLocal => host_local::read(&options.dir, network)?,
            ImportSource::Whereabouts => {
                let file = options.file.as_deref().ok_or(ImportError::NoFile { source_name: "whereabouts" })?;
                whereabouts::read(file, opened.cluster().await?.as_ref())?
            }
            ImportSource::Predecessor | ImportSource::Own | ImportSource::Export => {
                opened.store.predecessor_bookings(network).await?
            }
        };
        bookings.sort_by_cached_key(|booking| (parse_address(&booking.address), booking.address.clone()));
        let mut rows = Vec::with_capacity(bookings.len());
        let mut act = options.act.begin(opened);
        for booking in &bookings {
            rows.push(import_one(options, opened, range_sets, booking, &mut act).await?);
        }
        Ok(rows)
    })
}

async fn import_one(
    options: &ImportOptions,
    opened: &Opened,
    range_sets: &RangeSets,
    booking: &Booking,
    act: &mut Act<'_>,
) -> Result<ImportRow, verbs::Error> {
    let interface = booking.interface.as_ref().unwrap_or(&options.interface);
    let mut row = ImportRow {
        address: booking.address.clone(),
        container: booking.container.clone(),
        interface: interface.clone(),
        ..ImportRow::default()
    };
    let address = match importable(booking, range_sets) {
        Ok(address) => address,
        Err(reason) => {
            row.action = set_aside(options, opened, booking).await?;
            row.detail = reason.to_owned();
            return Ok(row);
        }
    };
    let (network, container) = (opened.base.network.clone(), booking.container.clone());
    let import = Import {
        attachment: Attachment { network, container, interface: interface.clone() },
        node: node(options, opened),
        machine: machine(options, opened),
        pod: booking.pod.clone(),
        assignment: Assignment::in_range_of(range_sets, address),
        predecessor: if options.from == ImportSource::Predecessor { Some(booking.clone()) } else { None },
    };
    let now = Timestamp::now();
    let imported = opened.store.import(&import, now, options.dry_run).await?;
    if imported == Imported::Done && !options.dry_run {
        act.on_claim(What::Imported, &import.claim(now), None);
    }
    let is_ours = matches!(imported, Imported::Done | Imported::Already);
    // The store moves the keys of kube-ipam 0.x itself, in the transaction that claims the address. A file can only be moved
    // afterwards: where that fails, the next import finds the address held already and moves it then.
    if is_ours && options.from == ImportSource::HostLocal && !options.dry_run {
        row.detail = host_local::move_aside(&options.dir, &opened.base.network, &booking.address);
    }
    row.say(&imported, options.dry_run);
    Ok(row)
}

/// Moves an entry that cannot be imported out of the way, if the operator wants that.
async fn set_aside(options: &ImportOptions, opened: &Opened, booking: &Booking) -> Result<ImportAction, verbs::Error> {
    if !options.set_aside {
        return Ok(ImportAction::Skipped);
    }
    if options.dry_run {
        return Ok(ImportAction::WouldSetAside);
    }
    let moved = opened.store.set_aside(&opened.base.network, booking).await?;
    Ok(if moved { ImportAction::SetAside } else { ImportAction::Skipped })
}

/// The address of an entry, or why it cannot become a claim.
fn importable(booking: &Booking, range_sets: &RangeSets) -> Result<IpAddr, &'static str> {
    let address = parse_address(&booking.address).ok_or("not an address")?;
    if !range_sets.is_inside(address) {
        return Err("outside the configured subnets");
    }
    if booking.container.starts_with(whereabouts::IPAM_CLAIM) {
        return Err("it belongs to an IPAMClaim and to no container: `kube-ipam reserve` keeps it");
    }
    if !is_name(&booking.container) {
        return Err("not a container ID");
    }
    Ok(address)
}

fn node(options: &ImportOptions, opened: &Opened) -> String {
    match (&options.node, options.from) {
        (Some(node), _) => node.clone(),
        (None, ImportSource::HostLocal) => opened.base.node.clone(),
        (None, _) => Import::UNKNOWN_NODE.to_owned(),
    }
}

/// Containers of this node run on this machine. GC releases only claims that have both names.
fn machine(options: &ImportOptions, opened: &Opened) -> String {
    if node(options, opened) == opened.base.node { opened.base.machine.clone() } else { String::new() }
}
