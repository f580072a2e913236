//! The store a network's configuration names: one of the two, chosen at run time.

use std::time::Instant;

use super::Store;
use super::config::{EtcdConfig, StoreConfig};
use super::embedded::{self, Embedded};
use super::error::StoreError;
use super::etcd::{self, Etcd};
use super::ordered::{Change, Commit, OrderedMap, Page, Read, View};

/// Either map.
pub enum AnyMap {
    /// On this node's disk.
    Embedded(Embedded),
    /// In a cluster.
    Etcd(Etcd),
}

/// Either view.
pub enum AnyView {
    /// Of this node's disk.
    Embedded(embedded::Moment),
    /// Of a cluster.
    Etcd(etcd::Moment),
}

impl Store<AnyMap> {
    /// The allocations of a domain, where the configuration says. Nothing is committed after the deadline.
    pub fn configured(config: &StoreConfig, domain: &str, deadline: Option<Instant>) -> Self {
        match config {
            StoreConfig::Embedded { dir } => {
                Self::new(AnyMap::Embedded(Embedded::new(dir, deadline)), EtcdConfig::DEFAULT_PREFIX, domain)
            }
            StoreConfig::Etcd(config) => {
                Self::new(AnyMap::Etcd(Etcd::new(options(config, deadline))), &config.prefix, domain)
            }
        }
    }
}

/// What is wrong with the files that say who we are to etcd, and whom to trust. Connects to nobody.
pub fn check_credentials(config: &EtcdConfig) -> Vec<StoreError> {
    etcd::check_credentials(&options(config, None))
}

fn options(config: &EtcdConfig, deadline: Option<Instant>) -> etcd::Options {
    let (client, user) = (config.client.as_ref(), config.user.as_ref());
    etcd::Options {
        endpoints: config.endpoints.clone(),
        cert: client.map(|client| client.cert.clone()),
        key: client.map(|client| client.key.clone()),
        ca: config.trusted_ca.clone(),
        username: user.map(|user| user.name.clone()),
        password_file: user.map(|user| user.password_file.clone()),
        notes: config.notes.clone(),
        deadline,
    }
}

/// What waits for a network is large and boxed: a call to the disk carries none of it about.
impl OrderedMap for AnyMap {
    type View = AnyView;

    async fn view(&self) -> Result<AnyView, StoreError> {
        Ok(match self {
            Self::Embedded(map) => AnyView::Embedded(map.view().await?),
            Self::Etcd(map) => AnyView::Etcd(map.view().await?),
        })
    }

    async fn commit(&self, alternatives: &[Change]) -> Result<Commit, StoreError> {
        match self {
            Self::Embedded(map) => map.commit(alternatives).await,
            Self::Etcd(map) => Box::pin(map.commit(alternatives)).await,
        }
    }

    async fn confirm_absent(&self, key: &str) -> Result<bool, StoreError> {
        match self {
            Self::Embedded(map) => map.confirm_absent(key).await,
            Self::Etcd(map) => Box::pin(map.confirm_absent(key)).await,
        }
    }

    async fn ping(&self, key: &str) -> Result<(), StoreError> {
        match self {
            Self::Embedded(map) => map.ping(key).await,
            Self::Etcd(map) => Box::pin(map.ping(key)).await,
        }
    }

    async fn rehearse(&self, keys: &[String]) -> Result<(), StoreError> {
        match self {
            Self::Embedded(map) => map.rehearse(keys).await,
            Self::Etcd(map) => Box::pin(map.rehearse(keys)).await,
        }
    }
}

impl View for AnyView {
    async fn read(&mut self, reads: &[Read]) -> Result<Vec<Page>, StoreError> {
        match self {
            Self::Embedded(view) => view.read(reads).await,
            Self::Etcd(view) => Box::pin(view.read(reads)).await,
        }
    }
}
