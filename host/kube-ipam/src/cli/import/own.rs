//! Moves a network's records within kube-ipam: from another domain, prefix or name of the network, or from the embedded
//! store that it used before.
//!
//! The options name what differs; the rest is as the network's configuration says. Claims and holds move as they are. Once
//! nothing of the network is left in the former place, the registry says that its addresses are kept here.

use std::path::Path;

use jiff::Timestamp;

use super::error::ImportError;
use super::options::ImportOptions;
use super::row::{CHANGED, ImportAction, ImportRow, describe};
use crate::cli::network::Opened;
use crate::journal::history::What;
use crate::verbs;
use ipam::RangeSets;
use store::embedded::Embedded;
use store::{EtcdConfig, StoreConfig};
use store::{Move, MoveOutcome, Store};

/// How often the former records are searched again while other nodes still write to them.
const ROUNDS: usize = 5;

/// A move of records: from where to where.
struct Moving<'a> {
    here: &'a Store,
    /// The network's name here.
    network: &'a str,
    range_sets: &'a RangeSets,
    former: Store,
    /// The network's name in the former records.
    former_network: &'a str,
    /// Whether both are domains of the same map, so that one transaction moves a claim.
    one_map: bool,
    /// Whether both are the same domain, where a hold stays as it is whatever the network is called.
    one_domain: bool,
    /// Whether both have the same registration, which then is changed and not removed.
    one_registration: bool,
    /// Whether the two names of the network are of one registry, which then knows the former one as such.
    is_renamed: bool,
    rehearse: bool,
}

/// Moves everything of the network from its former records. Returns a row about each address.
pub(super) async fn import(
    options: &ImportOptions,
    opened: &Opened,
    range_sets: &RangeSets,
) -> Result<Vec<ImportRow>, ImportError> {
    let moving = match &options.data_dir {
        Some(dir) if !is_own(&opened.base.store, dir) => Moving::from_dir(dir, options, opened, range_sets).await?,
        // In the directory that the network uses now, a domain or a name has to differ. LMDB would not open its file twice.
        _ => Moving::within_store(options, opened, range_sets).await?,
    };
    let rows = moving.run().await?;
    if rows.iter().any(|row| row.action == ImportAction::Imported) {
        let (former, network) = (moving.former_network, moving.network);
        let found = format!("from the records of network {former:?}, now network {network:?}");
        options.act.begin(opened).on_domain(What::Imported, &found);
    }
    Ok(rows)
}

/// Moves everything of a network from another domain of the same store, and nothing else. Returns how many addresses did not
/// move.
pub async fn import_domain(
    domain: &str,
    here: &Store,
    network: &str,
    range_sets: &RangeSets,
) -> Result<usize, verbs::Error> {
    let rows = Moving::from_domain(domain, here, network, range_sets).run().await?;
    Ok(rows
        .iter()
        .filter(|row| row.action == ImportAction::Skipped || row.action == ImportAction::HeldByAnother)
        .count())
}

fn prefix(store: &StoreConfig) -> &str {
    match store {
        StoreConfig::Etcd(etcd) => &etcd.prefix,
        StoreConfig::Embedded { .. } => EtcdConfig::DEFAULT_PREFIX,
    }
}

/// Whether a directory, by whatever path, is the one that the network keeps its addresses in.
fn is_own(store: &StoreConfig, dir: &Path) -> bool {
    let StoreConfig::Embedded { dir: own } = store else { return false };
    match (own.canonicalize(), dir.canonicalize()) {
        (Ok(own), Ok(dir)) => own == dir,
        _ => own == dir,
    }
}

/// The domain of a network's former records: as registered, or else where it has claims, or else its own name.
async fn domain_in(store: &Store, network: &str) -> Result<String, verbs::Error> {
    if let Some(registration) = store.registration(network).await? {
        return Ok(registration.domain);
    }
    match verbs::elsewhere::holder_in(store, network).await? {
        Some((domain, _)) => Ok(domain),
        None => Ok(network.to_owned()),
    }
}

impl<'a> Moving<'a> {
    /// From the embedded store in another directory.
    async fn from_dir(
        dir: &Path,
        options: &'a ImportOptions,
        opened: &'a Opened,
        range_sets: &'a RangeSets,
    ) -> Result<Self, ImportError> {
        if !Embedded::is_in(dir) {
            return Err(ImportError::NoStore { dir: dir.to_owned() });
        }
        let network = opened.base.network.as_str();
        let former_network = options.former_network.as_deref().unwrap_or(network);
        let whole = verbs::elsewhere::open(dir, None);
        let domain = match &options.domain {
            Some(domain) => domain.clone(),
            None => domain_in(&whole, former_network).await?,
        };
        Ok(Self {
            here: &opened.store,
            network,
            range_sets,
            former: whole.beside(&domain),
            former_network,
            one_map: false,
            one_domain: false,
            one_registration: false,
            is_renamed: false,
            rehearse: options.dry_run,
        })
    }

    /// From another prefix, domain or name in the store that the network uses now.
    async fn within_store(
        options: &'a ImportOptions,
        opened: &'a Opened,
        range_sets: &'a RangeSets,
    ) -> Result<Self, ImportError> {
        let (base, here) = (&opened.base, &opened.store);
        let network = base.network.as_str();
        let former_network = options.former_network.as_deref().unwrap_or(network);
        let own_prefix = prefix(&base.store);
        let prefix = match (&options.etcd_prefix, &base.store) {
            (Some(prefix), StoreConfig::Etcd(_)) => prefix.trim_end_matches('/'),
            (Some(_), StoreConfig::Embedded { .. }) => {
                return Err(ImportError::NotInEtcd { network: network.to_owned(), what: "--etcd-prefix" });
            }
            (None, _) => own_prefix,
        };
        let domain = match &options.domain {
            Some(domain) => domain.clone(),
            None => domain_in(&here.under(prefix, former_network), former_network).await?,
        };
        let one_registration = prefix == own_prefix && former_network == network;
        if one_registration && domain == base.domain {
            return Err(ImportError::OwnBooks { network: network.to_owned() });
        }
        Ok(Self {
            here,
            network,
            range_sets,
            former: here.under(prefix, &domain),
            former_network,
            one_map: true,
            one_domain: prefix == own_prefix && domain == base.domain,
            one_registration,
            is_renamed: prefix == own_prefix && former_network != network,
            rehearse: options.dry_run,
        })
    }

    /// From another domain of the map, to which the registry of the map leads.
    fn from_domain(domain: &str, here: &'a Store, network: &'a str, range_sets: &'a RangeSets) -> Self {
        Self {
            here,
            network,
            range_sets,
            former: here.beside(domain),
            former_network: network,
            one_map: true,
            one_domain: false,
            one_registration: true,
            is_renamed: false,
            rehearse: false,
        }
    }

    async fn run(&self) -> Result<Vec<ImportRow>, verbs::Error> {
        let mut rows = self.round().await?;
        if self.rehearse {
            return Ok(rows);
        }
        // A node with the former configuration claims there until the registry tells it not to. What it claimed between the
        // last look and the change of the registry is moved by another round. While some could not
        // be moved the registry stays as it is.
        for _ in 0..ROUNDS {
            if self.former.any_of(self.former_network).await?.is_some() {
                break;
            }
            self.here.register(self.network, self.range_sets).await?;
            if self.is_renamed {
                let (former, network) = (self.former_network, self.network);
                self.former.register_renamed(former, network, &self.here.domain()).await?;
            } else if !self.one_registration {
                self.former.deregister(self.former_network).await?;
            }
            if self.former.any_of(self.former_network).await?.is_none() {
                break;
            }
            rows.extend(self.round().await?);
        }
        Ok(rows)
    }

    /// Moves everything that the former records have now.
    async fn round(&self) -> Result<Vec<ImportRow>, verbs::Error> {
        let now = Timestamp::now();
        let all = self.former.moves(self.former_network, self.range_sets, now).await?;
        let mut rows = Vec::new();
        for moving in &all.moves {
            if self.one_domain && matches!(moving, Move::Hold(_)) {
                continue;
            }
            let outcome = self.here.take_over(&self.former, self.one_map, moving, self.network, now, self.rehearse);
            rows.extend(self.rows(moving, &outcome.await?));
        }
        for error in &all.damaged {
            let detail = format!("{error}: kube-ipam fsck with the former configuration");
            rows.push(ImportRow { action: ImportAction::Skipped, detail, ..ImportRow::default() });
        }
        Ok(rows)
    }

    /// A row for each address of what was moved together.
    fn rows(&self, moving: &Move, outcome: &MoveOutcome) -> Vec<ImportRow> {
        let (action, detail) = self.describe(outcome);
        match moving {
            Move::Hold(hold) => {
                let hold = hold.hold();
                let mut description = hold.to_string();
                if !detail.is_empty() {
                    description.push_str(&format!("; {detail}"));
                }
                let (address, detail) = (hold.address.to_string(), description);
                vec![ImportRow { address, action, detail, ..ImportRow::default() }]
            }
            Move::Claims(claims) => {
                let mut rows = Vec::new();
                for standing in claims {
                    let claim = standing.claim();
                    for address in claim.addresses() {
                        rows.push(ImportRow {
                            address: address.to_string(),
                            container: claim.attachment.container.clone(),
                            interface: claim.attachment.interface.clone(),
                            action,
                            detail: detail.clone(),
                        });
                    }
                }
                rows
            }
        }
    }

    fn describe(&self, outcome: &MoveOutcome) -> (ImportAction, String) {
        match outcome {
            MoveOutcome::Done if self.rehearse => (ImportAction::WouldImport, String::new()),
            MoveOutcome::Done => (ImportAction::Imported, String::new()),
            MoveOutcome::Already => (ImportAction::AlreadyHeld, String::new()),
            MoveOutcome::Taken(address, holder) => {
                (ImportAction::HeldByAnother, format!("{address}: {}", describe(holder)))
            }
            MoveOutcome::Differs(why) => (ImportAction::Skipped, why.clone()),
            MoveOutcome::Changed => (ImportAction::Skipped, CHANGED.to_owned()),
        }
    }
}
