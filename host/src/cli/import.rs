//! `kube-ipam import`: addresses that another plugin has given out become ours, with their containers.
//!
//! Every other plugin must have stopped giving out addresses of the network before. Entries that were imported are
//! moved aside in the other plugin's books (the keys from `used/` to `imported/`, the files from `<network>/` to
//! `<network>.imported/`): once their containers are gone, nothing imports them again.
//!
//! The predecessor knew containers only, not interfaces. Its entries are imported for one interface, `eth0` unless
//! told otherwise, and that interface's DEL, CHECK and repeated ADD find them. It did not know nodes either: without
//! `--node` no node's GC releases them, their DEL does.

mod host_local;

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde::Serialize;

use super::network::Opened;
use super::output::{self, Done, Output};
use super::{Format, NetworkArgs};
use crate::cni::is_name;
use crate::config::StoreConfig;
use crate::ipam::{Assignment, Attachment, Holder, RangeSets};
use crate::plugin;
use crate::store::{Booking, Import, Imported};
use crate::verbs;

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Whose books
    #[arg(long, value_enum)]
    from: Source,
    /// The data directory of host-local
    #[arg(value_name = "DIR", default_value = "/var/lib/cni/networks")]
    dir: PathBuf,
    /// Show what would be imported, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// The interface of the containers, where the books do not know it
    #[arg(long, value_name = "NAME", default_value = "eth0")]
    interface: String,
    /// The node of the containers, where the books do not know it
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Source {
    /// kube-ipam 0.x: its keys in the network's etcd
    #[value(name = "kube-ipam-v0")]
    Predecessor,
    /// The files of the host-local plugin on this node
    HostLocal,
}

/// Why nothing could be imported.
#[derive(Debug, thiserror::Error)]
enum ImportError {
    #[error(
        "network {network:?} keeps its addresses on this node: kube-ipam-v0 needs the etcdConfig that kube-ipam 0.x used"
    )]
    NotInEtcd { network: String },
    #[error("cannot read {path}", path = .path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
}

/// One entry of the books, and what became of it.
#[derive(Debug, Serialize)]
struct Row {
    address: String,
    container: String,
    interface: String,
    action: Action,
    #[serde(skip_serializing_if = "String::is_empty")]
    detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Action {
    Imported,
    WouldImport,
    AlreadyHeld,
    /// By somebody else: two containers may be using the address.
    HeldByAnother,
    Skipped,
}

/// The exit code is 1 when an address is held by somebody else than the books say.
pub(crate) fn import(options: &Options, network: &NetworkArgs, format: Format) -> Done {
    let opened = network.open()?;
    let range_sets = opened.range_sets()?;
    let network = &opened.base.network;
    let files = match (options.from, &opened.base.store) {
        (Source::HostLocal, _) => Some(host_local::read(&options.dir, network)?),
        (Source::Predecessor, StoreConfig::Etcd(_)) => None,
        (Source::Predecessor, StoreConfig::Embedded { .. }) => {
            return Err(ImportError::NotInEtcd { network: network.clone() }.into());
        }
    };
    let rows = plugin::block_on(async {
        let mut bookings = match files {
            Some(bookings) => bookings,
            None => opened.store.predecessor_bookings(network).await?,
        };
        bookings.sort_by_cached_key(|booking| (booking.address.parse::<IpAddr>().ok(), booking.address.clone()));
        let mut rows = Vec::with_capacity(bookings.len());
        for booking in &bookings {
            rows.push(import_one(options, &opened, &range_sets, booking).await?);
        }
        Ok(rows)
    })?;
    let exit = u8::from(rows.iter().any(|row| row.action == Action::HeldByAnother));
    let text = match format {
        Format::Json => serde_json::to_string_pretty(&rows)?,
        Format::Table if rows.is_empty() => "nothing to import".to_owned(),
        Format::Table => table(&rows),
    };
    Ok(Output { text, exit })
}

async fn import_one(
    options: &Options,
    opened: &Opened,
    range_sets: &RangeSets,
    booking: &Booking,
) -> Result<Row, verbs::Error> {
    let interface = booking.interface.clone().unwrap_or_else(|| options.interface.clone());
    let row = |action, detail| Row {
        address: booking.address.clone(),
        container: booking.container.clone(),
        interface: interface.clone(),
        action,
        detail,
    };
    let address = match importable(booking, range_sets) {
        Ok(address) => address,
        Err(reason) => return Ok(row(Action::Skipped, reason.to_owned())),
    };
    let import = Import {
        attachment: Attachment {
            network: opened.base.network.clone(),
            container: booking.container.clone(),
            interface: interface.clone(),
        },
        node: node(options, opened),
        machine: machine(options, opened),
        assignment: Assignment::in_range_of(range_sets, address),
        predecessor: (options.from == Source::Predecessor).then(|| booking.clone()),
    };
    let imported = opened.store.import(&import, Timestamp::now(), options.dry_run).await?;
    let moves = matches!(imported, Imported::Done | Imported::Already) && !options.dry_run;
    let detail = match options.from {
        Source::HostLocal if moves => host_local::move_aside(&options.dir, &opened.base.network, &booking.address),
        _ => String::new(),
    };
    Ok(match imported {
        Imported::Done if options.dry_run => row(Action::WouldImport, detail),
        Imported::Done => row(Action::Imported, detail),
        Imported::Already => row(Action::AlreadyHeld, detail),
        Imported::Taken(holder) => row(Action::HeldByAnother, describe(&holder)),
        Imported::Changed => row(Action::Skipped, "its records changed meanwhile: run it again".to_owned()),
    })
}

/// The address of an entry that can become a claim.
fn importable(booking: &Booking, range_sets: &RangeSets) -> Result<IpAddr, &'static str> {
    let address: IpAddr = booking.address.parse().map_err(|_| "not an address")?;
    if !range_sets.is_inside(address) {
        return Err("outside the configured subnets");
    }
    if !is_name(&booking.container) {
        return Err("not a container ID");
    }
    Ok(address)
}

fn node(options: &Options, opened: &Opened) -> String {
    match (&options.node, options.from) {
        (Some(node), _) => node.clone(),
        (None, Source::HostLocal) => opened.base.node.clone(),
        (None, Source::Predecessor) => Import::UNKNOWN_NODE.to_owned(),
    }
}

/// What is imported from this node's own files runs on this machine.
fn machine(options: &Options, opened: &Opened) -> String {
    match (&options.node, options.from) {
        (None, Source::HostLocal) => opened.base.machine.clone(),
        _ => String::new(),
    }
}

fn describe(holder: &Holder) -> String {
    match holder {
        Holder::Attachment(held) => format!("{} on node {}", held.attachment, held.node),
        Holder::Hold { identity, until } => format!("kept for {identity:?} until {until}"),
    }
}

fn table(rows: &[Row]) -> String {
    let header = ["ADDRESS", "CONTAINER", "INTERFACE", "ACTION", "DETAIL"];
    output::table(
        &header,
        rows.iter().map(|row| {
            let container = row.container.chars().take(13).collect();
            vec![
                row.address.clone(),
                container,
                row.interface.clone(),
                words(row.action).to_owned(),
                row.detail.clone(),
            ]
        }),
    )
}

fn words(action: Action) -> &'static str {
    match action {
        Action::Imported => "imported",
        Action::WouldImport => "would be imported",
        Action::AlreadyHeld => "already held by it",
        Action::HeldByAnother => "held by another",
        Action::Skipped => "skipped",
    }
}
