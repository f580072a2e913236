//! The map underneath a store: on this node's disk, in a cluster, or whatever else keeps the contract.

use std::rc::Rc;
use std::time::Instant;

use super::Store;
use super::config::{EtcdConfig, StoreConfig};
use super::embedded::{self, Embedded};
use super::error::StoreError;
use super::etcd::{self, Etcd, Member};
use super::memory::Memory;
use super::ordered::{Change, Commit, Guard, OrderedMap, Page, Read, View};
use super::other;

/// An ordered map, chosen at run time.
///
/// A call that waits for a network makes a large future, which is boxed: a call to the disk carries none of it about.
pub enum Map {
    Embedded(Embedded),
    Etcd(Etcd),
    /// One of the others, to which nothing is written, whoever asks.
    ReadOnly(Box<Self>),
    /// Policies are tried on one in memory; tests bring their own.
    Other(Box<dyn other::OtherMap>),
    /// Another map, of which a commit only says how it would end.
    Rehearsing(Rc<Map>),
}

/// A map at one moment; each kind of map has a kind of view.
pub enum MapView {
    Embedded(embedded::EmbeddedView),
    Etcd(etcd::EtcdView),
    Other(Box<dyn other::OtherView>),
}

impl Map {
    /// Whether a commit only says how it would end.
    pub(crate) fn is_rehearsing(&self) -> bool {
        matches!(self, Self::Rehearsing(_))
    }

    /// How a commit would end now: the first change whose guards all hold. Nothing is written.
    async fn would_commit(&self, alternatives: &[Change]) -> Result<Commit, StoreError> {
        let mut view = self.view().await?;
        for (index, change) in alternatives.iter().enumerate() {
            let reads: Vec<Read> = change.guards().iter().map(|guard| Read::Get(guard.key().to_owned())).collect();
            let mut holds = true;
            for (guard, page) in change.guards().iter().zip(view.read(&reads).await?) {
                let entry = page.into_entry();
                holds &= match guard {
                    Guard::Absent(_) => entry.is_none(),
                    Guard::Is(_, value) => entry.is_some_and(|entry| entry.value == *value),
                };
            }
            if holds {
                return Ok(Commit::Done(index));
            }
        }
        Ok(Commit::Lost)
    }

    /// How the members of etcd are; `None` where the map is not in etcd.
    pub async fn etcd_members(&self) -> Option<Vec<Member>> {
        match self {
            Self::Etcd(map) => Some(map.members().await),
            Self::ReadOnly(map) => Box::pin(map.etcd_members()).await,
            Self::Rehearsing(map) => Box::pin(map.etcd_members()).await,
            Self::Embedded(_) | Self::Other(_) => None,
        }
    }

    /// A map that is neither embedded nor etcd.
    pub fn other(map: impl OrderedMap<View: 'static> + 'static) -> Self {
        Self::Other(Box::new(map))
    }
}

impl From<Embedded> for Map {
    fn from(map: Embedded) -> Self {
        Self::Embedded(map)
    }
}

impl From<Etcd> for Map {
    fn from(map: Etcd) -> Self {
        Self::Etcd(map)
    }
}

impl From<Memory> for Map {
    fn from(map: Memory) -> Self {
        Self::other(map)
    }
}

impl Store {
    /// The allocations of a domain, where the configuration says. Nothing is committed after the deadline.
    pub fn configured(config: &StoreConfig, domain: &str, deadline: Option<Instant>) -> Self {
        match config {
            StoreConfig::Embedded { dir } => {
                Self::new(Embedded::new(dir, deadline), EtcdConfig::DEFAULT_PREFIX, domain)
            }
            StoreConfig::Etcd(config) => {
                let store = Self::new(Etcd::new(config.clone(), deadline), &config.prefix, domain);
                store.noting_in(config.notes.clone())
            }
        }
    }
}

impl Store {
    /// The same allocations, for a program that only reads. Whatever would write fails with [`StoreError::ReadOnly`] before
    /// the map is asked, and the file of an embedded store is opened for reading. Nothing is noted on the node.
    pub fn configured_to_read(config: &StoreConfig, domain: &str) -> Self {
        let (map, prefix): (Map, &str) = match config {
            StoreConfig::Embedded { dir } => (Embedded::read_only(dir).into(), EtcdConfig::DEFAULT_PREFIX),
            StoreConfig::Etcd(config) => {
                (Etcd::new(EtcdConfig { notes: None, ..config.clone() }, None).into(), config.prefix.as_str())
            }
        };
        Self::new(Map::ReadOnly(Box::new(map)), prefix, domain)
    }
}

impl OrderedMap for Map {
    type View = MapView;

    async fn view(&self) -> Result<MapView, StoreError> {
        Ok(match self {
            Self::Embedded(map) => MapView::Embedded(map.view().await?),
            Self::Etcd(map) => MapView::Etcd(map.view().await?),
            Self::ReadOnly(map) => Box::pin(map.view()).await?,
            Self::Other(map) => MapView::Other(map.view().await?),
            Self::Rehearsing(map) => Box::pin(map.view()).await?,
        })
    }

    async fn commit(&self, alternatives: &[Change]) -> Result<Commit, StoreError> {
        match self {
            Self::Embedded(map) => map.commit(alternatives).await,
            // Tens of kilobytes: boxed, so that they are no part of the future of a commit to the disk.
            Self::Etcd(map) => Box::pin(map.commit(alternatives)).await,
            Self::ReadOnly(_) => Err(StoreError::ReadOnly),
            Self::Other(map) => map.commit(alternatives).await,
            Self::Rehearsing(map) => Box::pin(map.would_commit(alternatives)).await,
        }
    }

    async fn confirm_absent(&self, key: &str) -> Result<bool, StoreError> {
        match self {
            Self::Embedded(map) => map.confirm_absent(key).await,
            Self::Etcd(map) => Box::pin(map.confirm_absent(key)).await,
            Self::ReadOnly(_) => Err(StoreError::ReadOnly),
            Self::Other(map) => map.confirm_absent(key).await,
            Self::Rehearsing(map) => Box::pin(map.confirm_absent(key)).await,
        }
    }

    async fn ping(&self, key: &str) -> Result<(), StoreError> {
        match self {
            Self::Embedded(map) => map.ping(key).await,
            Self::Etcd(map) => Box::pin(map.ping(key)).await,
            Self::ReadOnly(_) => Err(StoreError::ReadOnly),
            Self::Other(map) => map.ping(key).await,
            Self::Rehearsing(map) => Box::pin(map.ping(key)).await,
        }
    }

    async fn rehearse(&self, keys: &[String]) -> Result<(), StoreError> {
        match self {
            Self::Embedded(map) => map.rehearse(keys).await,
            Self::Etcd(map) => Box::pin(map.rehearse(keys)).await,
            Self::ReadOnly(_) => Err(StoreError::ReadOnly),
            Self::Other(map) => map.rehearse(keys).await,
            Self::Rehearsing(map) => Box::pin(map.rehearse(keys)).await,
        }
    }
}

impl View for MapView {
    async fn read(&mut self, reads: &[Read]) -> Result<Vec<Page>, StoreError> {
        match self {
            Self::Embedded(view) => view.read(reads).await,
            Self::Etcd(view) => Box::pin(view.read(reads)).await,
            Self::Other(view) => view.read(reads).await,
        }
    }
}
