//! The pools of the whereabouts plugin, as `kubectl get ippools.whereabouts.cni.cncf.io -A -o json` prints them.
//!
//! A pool has its addresses by their distance from the address that its range begins with, each with the container's ID, its
//! pod and, since version 0.7, its interface.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::error::ImportError;
use ipam::address::{number, parse_subnet};
use ipam::{Family, PodName};
use limits::store::WHEREABOUTS_POOLS;
use store::Booking;

/// What stands in place of a container where an address is a virtual machine's, whichever pod runs it.
pub(super) const IPAM_CLAIM: &str = "IPAMClaim ";

/// A list of pools, or a single one.
#[derive(Deserialize)]
#[serde(untagged)]
enum Pools {
    List { items: Vec<Pool> },
    Single(Pool),
}

#[derive(Deserialize)]
struct Pool {
    spec: PoolSpec,
}

#[derive(Deserialize)]
struct PoolSpec {
    range: String,
    #[serde(default)]
    allocations: BTreeMap<String, PoolAllocation>,
}

#[derive(Deserialize)]
struct PoolAllocation {
    id: String,
    #[serde(default)]
    podref: String,
    #[serde(default)]
    ifname: String,
    /// The claim of a virtual machine, which outlives its pods.
    #[serde(default)]
    ipamclaimref: String,
}

/// Every allocation of every pool. `cluster`: that of the pods.
pub(super) fn read(file: &Path, cluster: Option<&String>) -> Result<Vec<Booking>, ImportError> {
    let bytes = files::read_regular(file, WHEREABOUTS_POOLS)
        .map_err(|source| ImportError::Unreadable { path: file.to_owned(), source })?;
    let pools: Pools = serde_json::from_slice(&bytes).map_err(|_| ImportError::NoPools { path: file.to_owned() })?;
    let pools = match pools {
        Pools::List { items } => items,
        Pools::Single(pool) => vec![pool],
    };
    let mut bookings = Vec::new();
    for Pool { spec } in pools {
        for (offset, allocation) in &spec.allocations {
            bookings.push(booking(&spec.range, offset, allocation, cluster));
        }
    }
    Ok(bookings)
}

fn booking(range: &str, offset: &str, allocation: &PoolAllocation, cluster: Option<&String>) -> Booking {
    // What cannot be told is shown as it is written, and skipped.
    let address = address(range, offset).unwrap_or_else(|| format!("{range} + {offset}"));
    let pod = allocation.podref.split_once('/').map(|(namespace, name)| PodName {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        uid: None,
        cluster: cluster.cloned(),
    });
    // No container's ID has a slash: it is skipped, because no DEL would ever release it.
    let container = if allocation.ipamclaimref.is_empty() {
        allocation.id.clone()
    } else {
        format!("{IPAM_CLAIM}{}", allocation.ipamclaimref)
    };
    let interface = if allocation.ifname.is_empty() { None } else { Some(allocation.ifname.clone()) };
    Booking { address, container, interface, pod }
}

fn address(range: &str, offset: &str) -> Option<String> {
    let begin = parse_subnet(range)?.ip();
    let number = number(begin).checked_add(offset.parse().ok()?)?;
    let family = Family::of(begin);
    let is_within = family == Family::V6 || number <= u128::from(u32::MAX);
    is_within.then(|| family.address(number).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bookings(text: &str) -> Vec<String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let mut shown = Vec::new();
        for Booking { address, container, interface, pod } in read(file.path(), None).unwrap() {
            let pod = pod.map_or_else(|| "-".to_owned(), |pod| pod.to_string());
            shown.push(format!("{address} {container} {} {pod}", interface.as_deref().unwrap_or("-")));
        }
        shown
    }

    #[test]
    fn pools_of_both_families_are_read() {
        let text = r#"{"apiVersion": "v1", "kind": "List", "items": [
            {"kind": "IPPool", "metadata": {"name": "10.10.0.0-16"}, "spec": {"range": "10.10.0.0/16", "allocations": {
                "1": {"id": "c1", "podref": "shop/web-0", "ifname": "net1"}, "257": {"id": "c2", "podref": "shop/web-1"}}}},
            {"kind": "IPPool", "spec": {"range": "fd00:10::/64", "allocations": {"7": {"id": "c3", "podref": "", "ifname": "net2"}}}},
            {"kind": "IPPool", "spec": {"range": "10.11.0.0/16"}}]}"#;
        assert_eq!(
            bookings(text),
            ["10.10.0.1 c1 net1 shop/web-0", "10.10.1.1 c2 - shop/web-1", "fd00:10::7 c3 net2 -"]
        );
    }

    #[test]
    fn what_cannot_be_told_is_shown_as_it_stands() {
        let pool = |range: &str, offset: &str| {
            format!(
                r#"{{"spec": {{"range": "{range}", "allocations": {{"{offset}": {{"id": "c", "podref": "a/b"}}}}}}}}"#
            )
        };
        assert_eq!(bookings(&pool("10.10.0.9/16", "2")), ["10.10.0.11 c - a/b"], "from the address that is written");
        for (range, offset) in
            [("10.10.0.0/16", "x"), ("somewhere", "1"), ("255.255.255.254/31", "2"), ("10.0.0.0/8", "-1")]
        {
            assert_eq!(bookings(&pool(range, offset)), [format!("{range} + {offset} c - a/b")]);
        }
        let owned = r#"{"spec": {"range": "10.10.0.0/16", "allocations": {"3": {"id": "c", "podref": "a/b", "ipamclaimref": "a/vm"}}}}"#;
        assert_eq!(bookings(owned), ["10.10.0.3 IPAMClaim a/vm - a/b"]);
    }
}
