//! What a node tells of itself: its version, the calls that it has counted, its shadow policies, and its certificates.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::families::{
    ADD_DURATION, BUILD_INFO, CALLS, CERTIFICATE, DECISIONS, Families, LEAKED, PHASE_DURATION, SHADOW_DECISIONS,
    UNREADABLE,
};
use crate::cli::fsck::is_gone_by_libcni;
use crate::cli::network::{NetworkArgs, Opened};
use crate::config::{Base, Network};
use crate::containers::Containers;
use crate::journal::counts::OTHERS;
use crate::journal::{Counts, calls, tally};
use store::StoreConfig;
use store::etcd::dated_certificates;

pub(super) fn add_build(families: &mut Families) {
    families.put(&BUILD_INFO, &[env!("CARGO_PKG_VERSION")], 1.0);
}

/// The calls that were counted in these directories, each of which may have those of several networks.
pub(super) fn add_calls(families: &mut Families, asked: &NetworkArgs, directories: &BTreeSet<PathBuf>) {
    let mut sum = Counts::default();
    for directory in directories {
        match calls::read(directory) {
            Ok(counts) => sum.add(counts),
            Err(error) => tracing::warn!("the calls counted in {} cannot be read: {error}", directory.display()),
        }
    }
    let is_wanted = |network: &str| network == OTHERS || asked.is_asked_for(network);
    for ((network, verb, code), count) in sum.calls.iter().filter(|((network, ..), _)| is_wanted(network)) {
        families.put(&CALLS, &[network, verb, &code.to_string()], *count as f64);
    }
    for ((network, policy, verdict), count) in sum.decisions.iter().filter(|((network, ..), _)| is_wanted(network)) {
        families.put(&DECISIONS, &[network, policy, verdict], *count as f64);
    }
    families.put_durations(&ADD_DURATION, &[], &sum.adds);
    for (phase, durations) in &sum.phases {
        families.put_durations(&PHASE_DURATION, &[phase], durations);
    }
    families.put(&UNREADABLE, &[], sum.unreadable as f64);
}

/// How often shadow policies of this network were asked, and what came of it.
pub(super) fn add_shadows(families: &mut Families, opened: &Opened) {
    let Ok(policy) = Network::policy(&opened.netconf) else { return };
    let mut sums: Vec<([String; 2], [u64; 3])> = Vec::new();
    for tally in tally::read(&policy.cache_dir).unwrap_or_default() {
        if tally.pair.network != opened.base.network {
            continue;
        }
        // Modules of one name with other content are one series: digests would make a new one at each change.
        let pair = [tally.pair.policy.to_string(), tally.pair.shadow.to_string()];
        let counts = [tally.asked.saturating_sub(tally.differed + tally.faulted), tally.differed, tally.faulted];
        match sums.iter_mut().find(|(known, _)| *known == pair) {
            Some((_, sum)) => sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count),
            None => sums.push((pair, counts)),
        }
    }
    for ([policy, shadow], counts) in sums {
        for (outcome, count) in ["same", "different", "fault"].into_iter().zip(counts) {
            families.put(&SHADOW_DECISIONS, &[&opened.base.network, &policy, &shadow, outcome], count as f64);
        }
    }
}

/// How many addresses of this node are held for containers that libcni no longer knows. Nothing where no runtime has used libcni, or
/// the store does not answer.
pub(super) async fn add_leaks(families: &mut Families, opened: &Opened, containers: &Containers) {
    if !containers.is_known() {
        return;
    }
    let Base { node, machine, network, .. } = &opened.base;
    let Ok(claims) = opened.store.claims_on(node, machine, network).await else { return };
    let mut leaked = 0;
    for standing in claims {
        if is_gone_by_libcni(opened, containers, standing.claim()) {
            leaked += standing.claim().addresses.len();
        }
    }
    families.put(&LEAKED, &[network], leaked as f64);
}

/// Until when the certificates are valid that this node shows to etcd, or judges it by.
pub(super) fn add_certificates(families: &mut Families, opened: &Opened) {
    let StoreConfig::Etcd(config) = &opened.base.store else { return };
    for certificate in dated_certificates(config) {
        let file = certificate.path.display().to_string();
        families.put(&CERTIFICATE, &[&file], certificate.until.as_second() as f64);
    }
}
