//! Names as long as those of real clusters, for messages that have to fit.

use std::net::IpAddr;
use std::path::PathBuf;

use jiff::Timestamp;

use crate::config::Base;
use cni::NetConf;
use ipam::{Allocation, Assignment, Attachment, Ceded, Holder, Kind, Party, PodName, RangeSets, Reservation};

pub(super) const NETWORK: &str = "production-blue";
pub(super) const NODE: &str = "ip-10-188-64-12.eu-central-1.compute.internal";
pub(super) const ENDPOINT: &str = "https://etcd-0.kube-system.example.org:2379";
pub(super) const SERVER: &str = "https://api.production.example.org:6443";

pub(super) fn base() -> Base {
    let text = format!(r#"{{"name": "{NETWORK}", "ipam": {{"nodeName": "{NODE}"}}}}"#);
    Base::read(&NetConf::parse(text.as_bytes()).unwrap()).unwrap()
}

pub(super) fn file() -> PathBuf {
    "/var/lib/cni/kube-ipam/ipam.mdb".into()
}

pub(super) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(super) fn addresses(count: u8) -> Vec<IpAddr> {
    (0..count).map(|nth| ip(&format!("fd00:188:ffff:ffff::{nth:x}"))).collect()
}

pub(super) fn attachment() -> Attachment {
    Attachment { network: NETWORK.into(), container: "c".repeat(64), interface: "eth0".into() }
}

pub(super) fn pod() -> PodName {
    let uid = Some("0f1c7a0e-2b43-4d6e-9b0e-8a5c0c3c9d11".to_owned());
    PodName { namespace: "shop-production".into(), name: "frontend-7c9d8b6f5d-x2x9q".into(), uid, cluster: None }
}

pub(super) fn party() -> Party {
    Party { attachment: attachment(), node: NODE.into(), pod: Some(pod()), since: Timestamp::UNIX_EPOCH }
}

pub(super) fn ceded() -> Ceded {
    Ceded { assignment: Assignment::in_range_of(&RangeSets::default(), ip("10.188.0.216")), to: party() }
}

pub(super) fn holder() -> Holder {
    Holder::Attachment(Box::new(Allocation {
        address: ip("10.188.0.216"),
        kind: Kind::Fixed,
        attachment: attachment(),
        node: NODE.into(),
        machine: String::new(),
        pod: Some(pod()),
        policy: None,
        since: Timestamp::UNIX_EPOCH,
        hold: None,
        slot: None,
        why: None,
        former: None,
    }))
}

/// With as long a reason as an operator may give.
pub(super) fn reservation() -> Reservation {
    Reservation {
        reason: "r".repeat(limits::store::REASON_BYTES),
        by: "o".repeat(limits::store::RESERVED_BY_BYTES),
        since: Timestamp::UNIX_EPOCH,
        list: Some("l".repeat(limits::store::RESERVED_BY_BYTES)),
    }
}
