//! Fill a network on etcd: one attachment for each address, claimed as an ADD claims, sixty-four at a time.
//!
//! `fill URL PREFIX DOMAIN SUBNET FROM TO`: the addresses FROM up to but without TO, counted from the first offered.
#![allow(clippy::unwrap_used, reason = "a tool for the benchmark")]

use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;

use ipam::address::number;
use ipam::{Assignment, Attachment, Family, Kind, RangeSets, RangeSpec};
use ipnetwork::IpNetwork;
use jiff::Timestamp;
use store::etcd::Etcd;
use store::{Claimed, EtcdConfig, Requester, Store};

const AT_A_TIME: usize = 64;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, prefix, domain, subnet, from, to] = arguments.try_into().expect("URL PREFIX DOMAIN SUBNET FROM TO");
    let etcd = Etcd::new(EtcdConfig { endpoints: vec![url], ..EtcdConfig::default() }, None);
    let store = Rc::new(Store::new(etcd, &prefix, &domain));
    let subnet: IpNetwork = subnet.parse().unwrap();
    let (next, to): (Rc<Cell<u128>>, u128) = (Rc::new(Cell::new(from.parse().unwrap())), to.parse().unwrap());

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        // The last one is claimed last, and through the whole range set: it moves the cursor.
        let workers = [(); AT_A_TIME].map(|()| {
            let (store, next) = (store.clone(), next.clone());
            tokio::task::spawn_local(async move {
                while next.get() < to - 1 {
                    let offset = next.replace(next.get() + 1);
                    claim(&store, subnet, offset, &only(subnet, address(subnet, offset))).await;
                }
            })
        });
        for worker in workers {
            worker.await.unwrap();
        }
        let whole = RangeSets::new(vec![vec![RangeSpec::of_subnet(subnet)]], &[]).unwrap();
        claim(&store, subnet, to - 1, &whole).await;
    });
}

/// `.1` is the gateway.
fn address(subnet: IpNetwork, offset: u128) -> IpAddr {
    Family::of(subnet.network()).address(number(subnet.network()) + 2 + offset)
}

/// A range set of one address: little to read.
fn only(subnet: IpNetwork, address: IpAddr) -> RangeSets {
    let spec = RangeSpec { first: Some(address), last: Some(address), ..RangeSpec::of_subnet(subnet) };
    RangeSets::new(vec![vec![spec]], &[]).unwrap()
}

async fn claim(store: &Store, subnet: IpNetwork, offset: u128, range_sets: &RangeSets) {
    let container = format!("held-{offset}");
    let attachment = Attachment { network: "blue".into(), container, interface: "eth0".into() };
    let requester = Requester { attachment, node: format!("node-{}", offset % 250), machine: String::new(), pod: None };
    let assignment = Assignment {
        address: address(subnet, offset),
        prefix_length: subnet.prefix(),
        gateway: None,
        kind: Kind::Dynamic,
        hold: None,
        slot: None,
    };
    let look = store.look_up(&requester, range_sets, &[], Timestamp::now()).await.unwrap();
    let claimed = store.claim(look, &[vec![assignment]], None, &[]).await.unwrap();
    assert!(matches!(claimed, Claimed::Done(_)), "{offset}: {claimed:?}");
}
