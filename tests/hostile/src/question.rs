//! What every guest is asked.

use std::collections::BTreeMap;

use ipam::{Attachment, RangeSets, RangeSpec, Request, Snapshot};

/// `10.0.0.0/24` with 10.0.0.64/28 excluded.
pub fn range_sets() -> RangeSets {
    let spec = RangeSpec::of_subnet("10.0.0.0/24".parse().unwrap());
    RangeSets::new(vec![vec![spec]], &["10.0.0.64/28".parse().unwrap()]).unwrap()
}

/// Nobody holds anything, and that is known.
pub fn snapshot() -> Snapshot {
    let mut snapshot = unread_snapshot();
    snapshot.learn_span("10.0.0.0/24".parse().unwrap(), []);
    snapshot
}

/// Nothing is known.
pub fn unread_snapshot() -> Snapshot {
    Snapshot::new(range_sets(), vec![None])
}

/// A request without a pod.
pub fn request() -> Request {
    Request {
        attachment: Attachment { network: "blue".into(), container: "c1".into(), interface: "eth0".into() },
        node: "node-1".into(),
        pod: None,
        annotations: BTreeMap::new(),
        requested: Vec::new(),
        previous: Vec::new(),
        range_sets: range_sets(),
        attempt: 0,
        namespace: None,
        node_metadata: None,
    }
}
