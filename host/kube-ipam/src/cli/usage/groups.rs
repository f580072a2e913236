//! Who uses the addresses: allocations counted by what they have in common. One sum for each group is kept, and no record.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::UsageBy;
use crate::cli::list;
use crate::cli::network::{NetworkArgs, Opened};
use crate::cli::output::{CommandError, Format, table};
use crate::runtime;
use crate::verbs;
use cluster::{Home, Inventory};
use ipam::{Allocation, Kind, RangeSets};
use store::AllocationFilter;

/// The sums of every network and group.
pub(super) struct Groups {
    by: UsageBy,
    /// By network and group, which is `None` for allocations that have no such thing.
    sums: BTreeMap<(String, Option<String>), Sum>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    held: u64,
    /// How many of them were asked for by name.
    fixed: u64,
    /// How many of them no range of their network offers today.
    outside: u64,
}

/// The pods of a cluster, and which cluster that is.
struct Owners {
    inventory: Inventory,
    home: Home,
}

impl Groups {
    pub(super) fn read(by: UsageBy, network: &NetworkArgs, kubeconfig: Option<&Path>) -> Result<Self, CommandError> {
        // The ranges of every network, because one store may have the allocations of several.
        let mut ranges = BTreeMap::new();
        for opened in network.read_each()? {
            ranges.insert(opened.base.network.clone(), opened.range_sets()?);
        }
        let mut groups = Self { by, sums: BTreeMap::new() };
        for opened in network.read_books()? {
            let owners = match by {
                UsageBy::Owner => Some(Owners::ask(&opened, kubeconfig)?),
                _ => None,
            };
            runtime::block_on(groups.add_all(&opened, network, &ranges, owners.as_ref()))?;
        }
        Ok(groups)
    }

    async fn add_all(
        &mut self,
        opened: &Opened,
        network: &NetworkArgs,
        ranges: &BTreeMap<String, RangeSets>,
        owners: Option<&Owners>,
    ) -> Result<(), verbs::Error> {
        let filter = AllocationFilter::default();
        let mut pages = opened.store.search(&filter);
        while let Some(page) = list::next_page(&mut pages).await? {
            for held in page.iter().filter(|held| network.covers(&held.attachment)) {
                let group = (held.attachment.network.clone(), group_of(self.by, held, owners));
                let sum = self.sums.entry(group).or_default();
                sum.held += 1;
                sum.fixed += u64::from(held.kind == Kind::Fixed);
                // Of a network that this node does not have, the ranges are not known.
                let of_network = ranges.get(&held.attachment.network);
                sum.outside += u64::from(of_network.is_some_and(|sets| sets.offering(held.address).is_none()));
            }
        }
        Ok(())
    }

    /// The groups with the most addresses first.
    fn rows(&self) -> Vec<(&str, Option<&str>, Sum)> {
        let mut rows = Vec::new();
        for ((network, group), sum) in &self.sums {
            rows.push((network.as_str(), group.as_deref(), *sum));
        }
        rows.sort_by_key(|(_, _, sum)| std::cmp::Reverse(sum.held));
        rows
    }

    pub(super) fn render(&self, format: Format) -> Result<String, CommandError> {
        let mut rows = self.rows();
        if format == Format::Json {
            let rows: Vec<Value> = rows.into_iter().map(|row| self.json(row)).collect();
            return Ok(serde_json::to_string_pretty(&rows)?);
        }
        if rows.is_empty() {
            return Ok("no addresses are held".to_owned());
        }
        let mut total = Sum::default();
        for (_, _, sum) in &rows {
            total.held += sum.held;
            total.fixed += sum.fixed;
            total.outside += sum.outside;
        }
        rows.push(("total", Some(""), total));
        let header = ["NETWORK", &self.by.name().to_uppercase(), "HELD", "SHARE", "FIXED", "OUTSIDE RANGES"];
        Ok(table(&header, rows.into_iter().map(|(network, group, sum)| cells(network, group, sum, total.held))))
    }

    fn json(&self, (network, group, sum): (&str, Option<&str>, Sum)) -> Value {
        let mut row = Map::new();
        row.insert("network".to_owned(), json!(network));
        row.insert(self.by.name().to_owned(), json!(group));
        row.insert("held".to_owned(), json!(sum.held));
        row.insert("fixed".to_owned(), json!(sum.fixed));
        row.insert("outside".to_owned(), json!(sum.outside));
        Value::Object(row)
    }
}

fn cells(network: &str, group: Option<&str>, sum: Sum, total: u64) -> Vec<String> {
    let share = sum.held.saturating_mul(100).checked_div(total).unwrap_or_default();
    vec![
        network.to_owned(),
        group.unwrap_or("-").to_owned(),
        sum.held.to_string(),
        format!("{share}%"),
        sum.fixed.to_string(),
        sum.outside.to_string(),
    ]
}

fn group_of(by: UsageBy, held: &Allocation, owners: Option<&Owners>) -> Option<String> {
    match by {
        UsageBy::Namespace => held.pod.as_ref().map(|pod| pod.namespace.clone()),
        UsageBy::Policy => held.policy.as_ref().map(ToString::to_string),
        UsageBy::Owner => owners?.owner_of(held),
        UsageBy::Node | UsageBy::Range => Some(held.node.clone()),
    }
}

impl Owners {
    fn ask(opened: &Opened, kubeconfig: Option<&Path>) -> Result<Self, CommandError> {
        let server = opened.api_server(kubeconfig)?;
        let asked = async {
            let home = opened.home(&server).await?;
            Ok::<_, verbs::Error>(Self { inventory: server.inventory().await?, home })
        };
        Ok(runtime::block_on(asked)?)
    }

    /// What the pod belongs to, with its namespace; in brackets why it is not known.
    fn owner_of(&self, held: &Allocation) -> Option<String> {
        let pod = held.pod.as_ref()?;
        if self.home.foreign(pod).is_some() {
            return Some("(of another cluster)".to_owned());
        }
        if !self.inventory.has(pod) {
            return Some("(pods that are gone)".to_owned());
        }
        let owner = self.inventory.workload(pod).map_or_else(|| format!("Pod/{}", pod.name), |owner| owner.to_string());
        Some(format!("{}/{owner}", pod.namespace))
    }
}

impl UsageBy {
    fn name(self) -> &'static str {
        match self {
            Self::Range => "range",
            Self::Namespace => "namespace",
            Self::Node => "node",
            Self::Owner => "owner",
            Self::Policy => "policy",
        }
    }
}
