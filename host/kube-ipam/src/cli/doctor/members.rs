//! Whether every member of etcd answers, and whether one runs a version that others can bring down.

use super::{Check, Verdict};
use crate::cli::network::Opened;
use crate::verbs;
use store::etcd::Member;
use store::{Map, StoreError};

/// Nothing for the embedded store. One member that is gone keeps no pod from its address, and so is a warning; where none
/// answers, the check of the store says why.
pub(super) async fn members(opened: &Opened) -> Vec<Check> {
    let Map::Etcd(etcd) = opened.store.map() else { return Vec::new() };
    let (mut checks, mut well, mut silent) = (Vec::new(), Vec::new(), Vec::new());
    for member in etcd.members().await {
        if member.is_ended_by_killed_clients() {
            checks.push(fragile(&member));
            continue;
        }
        let Member { endpoint, version } = member;
        match version {
            Ok(version) => well.push(format!("{endpoint} {version}")),
            // Where users are told apart, only some may ask. The member answered all the same.
            Err(StoreError::Refused { .. }) => well.push(format!("{endpoint} (this user may not read its version)")),
            Err(error) => {
                let failed = Check::failed("etcd", &verbs::Error::from(error));
                silent.push(Check { verdict: Verdict::Warning, ..failed });
            }
        }
    }
    if !well.is_empty() {
        checks.insert(0, Check::good("etcd", well.join(", ")));
    }
    if !checks.is_empty() {
        checks.extend(silent);
    }
    checks
}

fn fragile(member: &Member) -> Check {
    let version = member.version.as_deref().unwrap_or_default();
    Check {
        name: "etcd",
        verdict: Verdict::Warning,
        detail: format!(
            "{} runs {version}: 3.5.0 to 3.5.6 may crash when a client is killed amid a read-only transaction",
            member.endpoint
        ),
        hint: Some(
            "upgrade etcd to 3.5.7 or later; kube-ipam sends it no such transactions, but other clients may".to_owned(),
        ),
    }
}
