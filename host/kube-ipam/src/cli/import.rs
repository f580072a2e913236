//! `kube-ipam import`: addresses that another plugin has given out become ours, with their containers.
//!
//! Every other plugin must have stopped giving out addresses of the network before. Entries that were imported are
//! moved aside in the other plugin's books (the keys from `used/` to `imported/`, the files from `<network>/` to
//! `<network>.imported/`): once their containers are gone, nothing imports them again.
//!
//! The predecessor knew containers only, not interfaces. Its entries are imported for one interface, `eth0` unless
//! told otherwise, and that interface's DEL, CHECK and repeated ADD find them. It did not know nodes either: without
//! `--node` no node's GC releases them, their DEL does. What of its books cannot be imported can be set aside.
//!
//! Books of this program itself move as a whole: see `own`.

mod host_local;
mod own;

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde::Serialize;

use super::network::Opened;
use super::output::{self, Done, Output};
use super::{Format, NetworkArgs};
use crate::plugin;
use crate::verbs;
use cni::Fail;
use cni::is_name;
use ipam::address::parse_address;
use ipam::{Assignment, Attachment, Holder, RangeSets};
use store::StoreConfig;
use store::{Booking, Import, Imported};

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Which plugin's records to import
    #[arg(long, value_enum)]
    from: Source,
    /// The data directory of host-local
    #[arg(value_name = "DIR", default_value = "/var/lib/cni/networks")]
    dir: PathBuf,
    /// Show what would be imported, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Interface name to assume where the records have none
    #[arg(long, value_name = "NAME", default_value = "eth0")]
    interface: String,
    /// Node name to assume where the records have none
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// From kube-ipam-v0: move entries that cannot be imported out of the way, to …/set-aside/
    #[arg(long)]
    set_aside: bool,
    /// From kube-ipam: the data directory of the embedded store that kept the addresses
    #[arg(long, value_name = "DIR", conflicts_with = "etcd_prefix")]
    data_dir: Option<PathBuf>,
    /// From kube-ipam: the etcdPrefix that kept the addresses, in the same etcd
    #[arg(long, value_name = "PREFIX")]
    etcd_prefix: Option<String>,
    /// From kube-ipam: the domain that kept the addresses
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
    /// From kube-ipam: the name that the network had
    #[arg(long, value_name = "NAME")]
    network: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Source {
    /// kube-ipam: another domain, prefix or data directory, or another name of the network
    #[value(name = "kube-ipam")]
    Own,
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
        "network {network:?} keeps its addresses on this node: {what} needs the etcdConfig of the etcd that has the records"
    )]
    NotInEtcd { network: String, what: &'static str },
    #[error("cannot read {path}", path = .path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{option} is only for --from {source_name}")]
    WrongSource { option: &'static str, source_name: &'static str },
    #[error("{dir} has no embedded store of kube-ipam", dir = .dir.display())]
    NoStore { dir: PathBuf },
    #[error(
        "network {network:?} already uses these records: select the former ones with --domain, --etcd-prefix, \
         --data-dir or --network"
    )]
    OwnBooks { network: String },
    #[error(transparent)]
    Verb(#[from] verbs::Error),
    #[error(transparent)]
    Store(#[from] store::StoreError),
}

impl Fail for ImportError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Verb(error) => error.hint(),
            Self::Store(error) => error.hint(),
            _ => None,
        }
    }
}

/// One entry of the books, and what became of it.
#[derive(Debug, Default, Serialize)]
struct Row {
    address: String,
    container: String,
    interface: String,
    action: Action,
    #[serde(skip_serializing_if = "String::is_empty")]
    detail: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Action {
    Imported,
    WouldImport,
    AlreadyHeld,
    /// By somebody else: two containers may be using the address.
    HeldByAnother,
    #[default]
    Skipped,
    SetAside,
    WouldSetAside,
}

/// The exit code is 1 when an address is held by somebody else than the books say, or did not move with its books.
pub(crate) fn import(options: &Options, network: &NetworkArgs, format: Format) -> Done {
    options.check()?;
    let opened = network.open()?;
    let range_sets = opened.range_sets()?;
    let rows = match options.from {
        Source::Own => block_on(own::import(options, &opened, &range_sets))?,
        Source::Predecessor | Source::HostLocal => import_bookings(options, &opened, &range_sets)?,
    };
    let left = |row: &Row| {
        row.action == Action::HeldByAnother || (options.from == Source::Own && row.action == Action::Skipped)
    };
    let exit = u8::from(rows.iter().any(left));
    let text = match format {
        Format::Json => serde_json::to_string_pretty(&rows)?,
        Format::Table if rows.is_empty() => "nothing to import".to_owned(),
        Format::Table => table(&rows),
    };
    Ok(Output { text, exit })
}

fn block_on<T>(work: impl Future<Output = Result<T, ImportError>>) -> Result<T, ImportError> {
    plugin::block_on(async { Ok(work.await) })?
}

impl Options {
    /// Every option says which source it is for; nothing is ignored.
    fn check(&self) -> Result<(), ImportError> {
        let own = [
            ("--data-dir", self.data_dir.is_some()),
            ("--etcd-prefix", self.etcd_prefix.is_some()),
            ("--domain", self.domain.is_some()),
            ("--network", self.network.is_some()),
        ];
        let given = own.into_iter().find(|(_, given)| *given);
        if let Some((option, _)) = given.filter(|_| self.from != Source::Own) {
            return Err(ImportError::WrongSource { option, source_name: "kube-ipam" });
        }
        if self.set_aside && self.from != Source::Predecessor {
            return Err(ImportError::WrongSource { option: "--set-aside", source_name: "kube-ipam-v0" });
        }
        Ok(())
    }
}

fn import_bookings(options: &Options, opened: &Opened, range_sets: &RangeSets) -> Result<Vec<Row>, ImportError> {
    let network = &opened.base.network;
    let files = match (options.from, &opened.base.store) {
        (Source::HostLocal, _) => Some(host_local::read(&options.dir, network)?),
        (_, StoreConfig::Etcd(_)) => None,
        (_, StoreConfig::Embedded { .. }) => {
            return Err(ImportError::NotInEtcd { network: network.clone(), what: "--from kube-ipam-v0" });
        }
    };
    block_on(async {
        let mut bookings = match files {
            Some(bookings) => bookings,
            None => opened.store.predecessor_bookings(network).await?,
        };
        bookings.sort_by_cached_key(|booking| (parse_address(&booking.address), booking.address.clone()));
        let mut rows = Vec::with_capacity(bookings.len());
        for booking in &bookings {
            rows.push(import_one(options, opened, range_sets, booking).await?);
        }
        Ok(rows)
    })
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
        Err(reason) => {
            let action = set_aside(options, opened, booking).await?;
            return Ok(row(action, reason.to_owned()));
        }
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

/// Move an entry that cannot be imported out of the way, if that is wanted.
async fn set_aside(options: &Options, opened: &Opened, booking: &Booking) -> Result<Action, verbs::Error> {
    if !options.set_aside {
        return Ok(Action::Skipped);
    }
    if options.dry_run {
        return Ok(Action::WouldSetAside);
    }
    let moved = opened.store.set_aside(&opened.base.network, booking).await?;
    Ok(if moved { Action::SetAside } else { Action::Skipped })
}

/// The address of an entry that can become a claim.
fn importable(booking: &Booking, range_sets: &RangeSets) -> Result<IpAddr, &'static str> {
    let address = parse_address(&booking.address).ok_or("not an address")?;
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
        (None, Source::Predecessor | Source::Own) => Import::UNKNOWN_NODE.to_owned(),
    }
}

/// What is imported for this node runs on this machine: its GC finds it then.
fn machine(options: &Options, opened: &Opened) -> String {
    if node(options, opened) == opened.base.node { opened.base.machine.clone() } else { String::new() }
}

fn describe(holder: &Holder) -> String {
    match holder {
        Holder::Attachment(held) => format!("{} on node {}", held.attachment, held.node),
        Holder::Hold { identity, until } => format!("reserved for {identity:?} until {until}"),
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
        Action::SetAside => "set aside",
        Action::WouldSetAside => "would be set aside",
    }
}
