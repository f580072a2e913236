//! Whether every member of etcd answers, and whether one runs a version that clients can crash.

use super::check::{Check, Verdict};
use crate::cli::network::Opened;
use crate::verbs;
use store::etcd::Member;
use store::{Map, StoreError};

/// A member that does not answer is a warning, because the others serve pods. Where none answers, the check of the store
/// says why, and there is no check here; neither is there for the embedded store.
pub(super) async fn members(opened: &Opened) -> Vec<Check> {
    let Map::Etcd(etcd) = opened.store.map() else { return Vec::new() };
    let (mut answering, mut fragile, mut silent) = (Vec::new(), Vec::new(), Vec::new());
    for member in etcd.members().await {
        if member.is_ended_by_killed_clients() {
            fragile.push(warn_of_fragile(&member));
            continue;
        }
        let Member { endpoint, version } = member;
        match version {
            Ok(version) => answering.push(format!("{endpoint} {version}")),
            // With authentication on, not every user may ask for it. The member answered all the same.
            Err(StoreError::Refused { .. }) => {
                answering.push(format!("{endpoint} (this user may not read its version)"));
            }
            Err(error) => {
                let failed = Check::failed("etcd", &verbs::Error::from(error));
                silent.push(Check { verdict: Verdict::Warning, ..failed });
            }
        }
    }
    let mut checks = Vec::new();
    if !answering.is_empty() {
        checks.push(Check::good("etcd", answering.join(", ")));
    }
    checks.extend(fragile);
    if !checks.is_empty() {
        checks.extend(silent);
    }
    checks
}

fn warn_of_fragile(member: &Member) -> Check {
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
