//! What is told, each part from the functions that the commands of the same name print from.

mod addresses;
mod counts;
mod policies;
mod refusals;
mod search;

use std::rc::Rc;

use hyper::body::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use super::census::{Census, CensusBy};
use super::known::Known;
use super::library::{Library, Networks};
use super::query::Query;
use super::reply::{Failure, to_bytes};
use crate::cli::cache::CacheArgs;
use crate::cli::list::RowKind;
use crate::cli::metrics::{Exposition, MetricsPart};
use crate::cli::network::{NetworkArgs, Opened};
use limits::serve::COUNT_KNOWN;
use store::StoreConfig;

/// Everything that can be asked for, and what it takes.
const PARTS: [(&str, &[&str]); 11] = [
    ("networks", &[]),
    ("ranges", &[]),
    ("map", &["columns"]),
    ("addresses", addresses::PARAMETERS),
    ("holds", addresses::PARAMETERS),
    ("reservations", addresses::PARAMETERS),
    ("search", &["q"]),
    ("refusals", &[]),
    ("policies", &[]),
    ("nodes", &[]),
    ("namespaces", &[]),
];

/// The parts of the programming interface.
pub(super) struct Api {
    library: Library,
    /// Where libcni keeps what it knows of this node's containers.
    cache: CacheArgs,
    census: Rc<Census>,
    ranges: Known,
    maps: [Known; counts::COLUMNS.len()],
    policies: Known,
    refusals: Known,
    /// All metrics, those of the node, and those that nodes share.
    metrics: [Known; 3],
}

impl Api {
    pub(super) fn new(network: NetworkArgs, cache: CacheArgs) -> Self {
        Self {
            library: Library::new(network),
            cache,
            census: Rc::default(),
            ranges: Known::default(),
            maps: Default::default(),
            policies: Known::default(),
            refusals: Known::default(),
            metrics: Default::default(),
        }
    }

    /// What `kube-ipam metrics` prints, of the networks as they are opened here.
    pub(super) async fn metrics(&self, query: &Query) -> Result<Bytes, Failure> {
        query.refuse_others(&["only"])?;
        let (known, only) = match query.text("only") {
            None => (&self.metrics[0], None),
            Some("node") => (&self.metrics[1], Some(MetricsPart::Node)),
            Some("shared") => (&self.metrics[2], Some(MetricsPart::Shared)),
            Some(other) => return Err(Failure::bad_request(format!("only {other:?}: expected node or shared"))),
        };
        let networks = self.library.networks()?;
        let asked = self.library.wanted(None)?;
        let make = async || {
            let mut exposition = Exposition::begin(only, &self.cache);
            for opened in &networks.opened {
                exposition.add(opened).await;
            }
            for network in &networks.unusable {
                exposition.add_unusable(&network.found);
            }
            Ok(exposition.text(&asked).into())
        };
        known.or_make(COUNT_KNOWN, make).await
    }

    /// The answer about a part, as JSON.
    pub(super) async fn tell(&self, part: &str, query: &Query) -> Result<Bytes, Failure> {
        let Some((_, parameters)) = PARTS.iter().find(|(name, _)| *name == part) else {
            return Err(Failure::not_found(&format!("part {part:?}, but {}", PARTS.map(|(name, _)| name).join(", "))));
        };
        query.refuse_others(parameters)?;
        let networks = self.library.networks()?;
        match part {
            "networks" => to_bytes(&describe(&networks)),
            "ranges" => {
                let made = self.ranges.or_make(COUNT_KNOWN, async || to_bytes(&counts::ranges(&networks).await));
                made.await
            }
            "map" => {
                let nth = counts::columns(query)?;
                let columns = counts::COLUMNS[nth];
                let made =
                    self.maps[nth].or_make(COUNT_KNOWN, async || to_bytes(&counts::map(&networks, columns).await));
                made.await
            }
            "addresses" => self.list(&networks, query, &[]).await,
            "holds" => self.list(&networks, query, &[RowKind::Hold, RowKind::CoolDown]).await,
            "reservations" => self.list(&networks, query, &[RowKind::Reservation]).await,
            "search" => to_bytes(&search::search(&networks, query).await?),
            "refusals" => {
                self.refusals.or_make(COUNT_KNOWN, async || to_bytes(&refusals::refusals(&networks).await)).await
            }
            "policies" => {
                self.policies.or_make(COUNT_KNOWN, async || to_bytes(&policies::policies(&networks).await)).await
            }
            "nodes" => self.census.tell(CensusBy::Node, networks),
            _ => self.census.tell(CensusBy::Namespace, networks),
        }
    }

    async fn list(&self, networks: &Networks, query: &Query, kinds: &[RowKind]) -> Result<Bytes, Failure> {
        let network = self.library.wanted(query.text("network"))?;
        to_bytes(&addresses::page(networks, &network, query, kinds).await?)
    }
}

/// What a network is, and where it keeps its addresses.
#[derive(Serialize)]
struct NetworkJson<'a> {
    name: &'a str,
    file: &'a str,
    domain: &'a str,
    /// The node whose configuration is shown.
    node: &'a str,
    store: Value,
    /// What a pod can get, by range set.
    range_sets: Value,
}

fn describe(networks: &Networks) -> Value {
    let rows: Vec<NetworkJson> = networks.opened.iter().map(NetworkJson::of).collect();
    json!({"version": env!("CARGO_PKG_VERSION"), "networks": rows, "unusable": networks.unusable})
}

impl<'a> NetworkJson<'a> {
    fn of(opened: &'a Opened) -> Self {
        let range_sets = match opened.range_sets() {
            Ok(sets) => {
                let spans = sets.iter().map(|set| set.offered().map(|span| span.to_string()).collect());
                json!(spans.collect::<Vec<Vec<String>>>())
            }
            Err(error) => Failure::from(error).about(&opened.found.option).to_json(),
        };
        Self {
            name: &opened.base.network,
            file: &opened.found.file,
            domain: &opened.base.domain,
            node: &opened.base.node,
            store: describe_store(&opened.base.store),
            range_sets,
        }
    }
}

/// Without users and files of secrets, which are nobody's business here.
fn describe_store(config: &StoreConfig) -> Value {
    match config {
        StoreConfig::Embedded { dir } => json!({"kind": "embedded", "directory": dir}),
        StoreConfig::Etcd(config) => json!({"kind": "etcd", "endpoints": config.endpoints, "prefix": config.prefix}),
    }
}
