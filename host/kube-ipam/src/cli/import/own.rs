//! Former books of kube-ipam itself: another domain, prefix or name of the network, or the embedded store of before.
//!
//! They are named by what differs; the rest is as the network's configuration says. Claims and holds move as they are.
//! Once nothing of the network is left there, the registry says that its books are here.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::{Action, ImportError, Options, Row, describe};
use crate::cli::network::Opened;
use crate::verbs;
use ipam::{Attachment, RangeSets};
use store::embedded::Embedded;
use store::{EtcdConfig, StoreConfig};
use store::{Move, MoveOutcome, Store};

/// How often books are looked through that others still write to.
const ROUNDS: usize = 5;

/// Where from, and where to.
struct Moving<'a> {
    here: &'a Store,
    /// The network's name here.
    network: &'a str,
    range_sets: &'a RangeSets,
    former: &'a Store,
    /// The network's name there.
    former_network: &'a str,
    /// Whether both are domains of the same map.
    one_map: bool,
    /// Whether both have the same registration.
    one_registration: bool,
    rehearse: bool,
}

/// Everything of the network in its former books, and what became of it.
pub(super) async fn import(
    options: &Options,
    opened: &Opened,
    range_sets: &RangeSets,
) -> Result<Vec<Row>, ImportError> {
    let (base, here) = (&opened.base, &opened.store);
    let network = base.network.as_str();
    let former_network = options.network.as_deref().unwrap_or(network);
    if let Some(dir) = options.data_dir.as_deref().filter(|dir| !is_own(&base.store, dir)) {
        if !Embedded::is_in(dir) {
            return Err(ImportError::NoStore { dir: dir.to_owned() });
        }
        let whole = verbs::elsewhere::open(dir, None);
        let domain = match &options.domain {
            Some(domain) => domain.clone(),
            None => domain_in(&whole, former_network).await?,
        };
        let former = &whole.beside(&domain);
        let (one_map, one_registration, rehearse) = (false, false, options.dry_run);
        let moving = Moving { here, network, range_sets, former, former_network, one_map, one_registration, rehearse };
        return Ok(moving.run().await?);
    }
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
    if prefix == own_prefix && domain == base.domain && former_network == network {
        return Err(ImportError::OwnBooks { network: network.to_owned() });
    }
    let former = &here.under(prefix, &domain);
    let one_registration = prefix == own_prefix && former_network == network;
    let (one_map, rehearse) = (true, options.dry_run);
    let moving = Moving { here, network, range_sets, former, former_network, one_map, one_registration, rehearse };
    Ok(moving.run().await?)
}

fn prefix(store: &StoreConfig) -> &str {
    match store {
        StoreConfig::Etcd(etcd) => &etcd.prefix,
        StoreConfig::Embedded { .. } => EtcdConfig::DEFAULT_PREFIX,
    }
}

/// Whether a directory is the one that the network keeps its addresses in: LMDB opens a file once.
fn is_own(store: &StoreConfig, dir: &Path) -> bool {
    let StoreConfig::Embedded { dir: own } = store else { return false };
    let whole = |dir: &Path| -> PathBuf { dir.canonicalize().unwrap_or_else(|_| dir.to_owned()) };
    whole(own) == whole(dir)
}

/// The domain that a network had its books in: as registered, or else where it has claims, or else its own name.
async fn domain_in(store: &Store, network: &str) -> Result<String, verbs::Error> {
    if let Some(registration) = store.registration(network).await? {
        return Ok(registration.domain);
    }
    for domain in store.domains().await? {
        if store.beside(&domain).any_of(network).await?.is_some() {
            return Ok(domain);
        }
    }
    Ok(network.to_owned())
}

impl Moving<'_> {
    async fn run(&self) -> Result<Vec<Row>, verbs::Error> {
        let mut rows = self.round().await?;
        if self.rehearse {
            return Ok(rows);
        }
        // Nodes that have not heard of the change go on claiming there until the registry says otherwise: what they
        // claimed between our look and that is fetched by another round.
        for _ in 0..ROUNDS {
            if self.former.any_of(self.former_network).await?.is_some() {
                break;
            }
            self.here.register(self.network, self.range_sets).await?;
            if !self.one_registration {
                self.former.deregister(self.former_network).await?;
            }
            if self.former.any_of(self.former_network).await?.is_none() {
                break;
            }
            rows.extend(self.round().await?);
        }
        Ok(rows)
    }

    /// Move everything that stands there now.
    async fn round(&self) -> Result<Vec<Row>, verbs::Error> {
        let now = Timestamp::now();
        let all = self.former.moves(self.former_network, self.range_sets, now).await?;
        let mut rows = Vec::new();
        for moving in &all.moves {
            let outcome = self.here.take_over(self.former, self.one_map, moving, self.network, now, self.rehearse);
            rows.extend(self.rows(moving, &outcome.await?));
        }
        for error in &all.damaged {
            let detail = format!("{error}: kube-ipam fsck with the former configuration");
            rows.push(Row { action: Action::Skipped, detail, ..Row::default() });
        }
        Ok(rows)
    }

    /// A line for each address.
    fn rows(&self, moving: &Move, outcome: &MoveOutcome) -> Vec<Row> {
        let (action, detail) = self.describe(outcome);
        match moving {
            Move::Hold(hold) => {
                let kept = hold.hold();
                let identity = kept.identity.as_deref().unwrap_or("nobody");
                let told = format!("reserved for {identity} until {}", kept.until);
                let detail = if detail.is_empty() { told } else { format!("{told}; {detail}") };
                vec![Row { address: kept.address.to_string(), action, detail, ..Row::default() }]
            }
            Move::Claims(claims) => {
                let mut rows = Vec::new();
                for claim in claims.iter().map(|moving| moving.claim()) {
                    let Attachment { container, interface, .. } = &claim.attachment;
                    for address in claim.addresses() {
                        let (container, interface) = (container.clone(), interface.clone());
                        let (address, detail) = (address.to_string(), detail.clone());
                        rows.push(Row { address, container, interface, action, detail });
                    }
                }
                rows
            }
        }
    }

    fn describe(&self, outcome: &MoveOutcome) -> (Action, String) {
        match outcome {
            MoveOutcome::Done if self.rehearse => (Action::WouldImport, String::new()),
            MoveOutcome::Done => (Action::Imported, String::new()),
            MoveOutcome::Already => (Action::AlreadyHeld, String::new()),
            MoveOutcome::Taken(address, holder) => (Action::HeldByAnother, format!("{address}: {}", describe(holder))),
            MoveOutcome::Differs(why) => (Action::Skipped, why.clone()),
            MoveOutcome::Changed => (Action::Skipped, "its records changed meanwhile: run it again".to_owned()),
        }
    }
}
