//! What a store tells: how full the ranges are, and how the members of etcd are.

use jiff::Timestamp;

use super::families::{
    ADDRESSES, CERTIFICATE, ETCD_IN_USE, ETCD_QUOTA, ETCD_SIZE, ETCD_UP, Families, RANGE_SET_INFO, STORE_UP,
};
use crate::cli::doctor::quota;
use crate::cli::network::Opened;
use crate::verbs;
use ipam::RangeSets;
use ipam::shown::first_of;
use store::Occupancy;
use store::etcd::Member;

/// How many spans of a range set its label names.
const SPANS_NAMED: usize = 4;

pub(super) fn add_down(families: &mut Families, network: &str) {
    families.put(&STORE_UP, &[network], 0.0);
}

/// How many addresses of each range set are in which state.
pub(super) async fn add_ranges(families: &mut Families, opened: &Opened) {
    let network = opened.base.network.as_str();
    let read = async {
        let range_sets = opened.range_sets()?;
        let occupancies = opened.store.occupancy(&range_sets, Timestamp::now()).await?;
        Ok::<_, verbs::Error>((range_sets, occupancies))
    };
    let (range_sets, occupancies) = match read.await {
        Ok(read) => read,
        Err(error) => {
            tracing::warn!("the addresses of network {network:?} cannot be read: {error}");
            add_down(families, network);
            return;
        }
    };
    families.put(&STORE_UP, &[network], 1.0);
    add_occupancies(families, network, &range_sets, &occupancies);
}

fn add_occupancies(families: &mut Families, network: &str, range_sets: &RangeSets, occupancies: &[Occupancy]) {
    for (nth, (set, occupancy)) in range_sets.iter().zip(occupancies).enumerate() {
        let nth = nth.to_string();
        let Occupancy { held, kept, reserved, free, .. } = *occupancy;
        let states =
            [("free", free as f64), ("held", held as f64), ("on_hold", kept as f64), ("reserved", reserved as f64)];
        for (state, count) in states {
            families.put(&ADDRESSES, &[network, &nth, state], count);
        }
        let spans: Vec<String> = set.offered().map(|span| span.to_string()).collect();
        let ranges = first_of(&spans, SPANS_NAMED, ", ", String::clone);
        families.put(&RANGE_SET_INFO, &[network, &nth, &ranges], 1.0);
    }
}

/// How full the members of etcd are, and until when their certificates are valid.
pub(super) async fn add_etcd(families: &mut Families, opened: &Opened) {
    let Some(members) = opened.store.map().etcd_members().await else { return };
    for Member { endpoint, status, aside } in &members {
        families.put(&ETCD_UP, &[endpoint], f64::from(u8::from(status.is_ok())));
        if let Ok(status) = status {
            let (quota, _) = quota(status, &members);
            families.put(&ETCD_SIZE, &[endpoint], status.size as f64);
            families.put(&ETCD_IN_USE, &[endpoint], status.in_use as f64);
            families.put(&ETCD_QUOTA, &[endpoint], quota as f64);
        }
        if let Ok(aside) = aside
            && let Some(until) = aside.certificate
        {
            families.put(&CERTIFICATE, &[endpoint], until.as_second() as f64);
        }
    }
}
