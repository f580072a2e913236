//! Whether the network's addresses are kept here and nowhere else.

use super::check::{Check, Verdict};
use crate::cli::network::Opened;
use crate::config::Base;
use crate::verbs::{self, Deadline};
use ipam::RangeSets;
use store::{EtcdConfig, StoreConfig};
use store::{Registered, Search, StoreError};

/// Reports places for which an ADD would be refused, places that no ADD can know of, and networks that share a subnet.
pub(super) async fn books(opened: &Opened, range_sets: &RangeSets) -> Vec<Check> {
    let network = &opened.base.network;
    let mut checks = Vec::new();
    if let Err(error) = opened.store.check_registration(network, range_sets, Search::Whole).await {
        checks.push(Check::failed("books", &error.into()));
    }
    let deadline = Deadline::after(opened.base.timeout);
    if let Err(error) = verbs::elsewhere::refuse_earlier_stores(&opened.base, &deadline).await {
        checks.push(Check::failed("books", &error));
    }
    checks.extend(default_prefix(opened).await);
    match opened.store.registry().await {
        Ok(registry) => {
            checks.extend(overlaps(&registry));
            if checks.is_empty() {
                let detail = listed(&registry, &opened.base.domain) + &deserted(&opened.base).await;
                checks.push(Check::good("books", detail));
            }
        }
        Err(error) => checks.push(Check::failed("books", &error.into())),
    }
    checks
}

/// Warns where a network whose etcdPrefix is not the default one has addresses under the default prefix: the prefix may
/// have been changed while they were in use. No ADD can be refused for that, because the addresses may as well be those of
/// another cluster: prefixes are how clusters share an etcd.
async fn default_prefix(opened: &Opened) -> Option<Check> {
    let StoreConfig::Etcd(etcd) = &opened.base.store else { return None };
    if etcd.prefix == EtcdConfig::DEFAULT_PREFIX {
        return None;
    }
    let network = &opened.base.network;
    let prefix = EtcdConfig::DEFAULT_PREFIX;
    let (domain, holder) = match verbs::elsewhere::holder_in(&opened.store.under(prefix, network), network).await {
        Ok(found) => found?,
        // A role that can read only our own keys is a good role.
        Err(StoreError::Refused { .. }) => return None,
        Err(error) => return Some(Check::failed("books", &error.into())),
    };
    Some(Check {
        name: "books",
        verdict: Verdict::Warning,
        detail: format!(
            "containers of a network {network:?} hold addresses under the default prefix {prefix}, domain {domain:?} (for \
             example container {})",
            holder.container
        ),
        hint: Some(format!(
            "if they are this network's, `{}` moves them; if they are another cluster's, there is nothing to do",
            opened.command(&format!("import --from kube-ipam --etcd-prefix {prefix} --domain {domain}"))
        )),
    })
}

/// Warns of networks in different domains that may give out one address twice. Where an operator chose one of the domains,
/// that is taken to be meant.
fn overlaps(registry: &[Registered]) -> Vec<Check> {
    let mut checks = Vec::new();
    for (nth, one) in registry.iter().enumerate() {
        for two in &registry[nth + 1..] {
            let is_meant = one.registration.explicit || two.registration.explicit;
            if is_meant || one.registration.domain == two.registration.domain {
                continue;
            }
            let Some(span) = one.registration.overlaps(&two.registration).next() else { continue };
            checks.push(Check {
                name: "books",
                verdict: Verdict::Warning,
                detail: format!(
                    "networks {:?} and {:?} have both given out addresses of {span}, each in a domain of its own",
                    one.network, two.network
                ),
                hint: Some(
                    "set ipam.domain: the same one in both to share the addresses, different ones where both may give out \
                     the same address; `kube-ipam rename FORMER NEW` moves those of a renamed one"
                        .to_owned(),
                ),
            });
        }
    }
    checks
}

/// Names the former stores that are empty by now. As long as such a file is there, every ADD has to look into it.
async fn deserted(base: &Base) -> String {
    let mut text = String::new();
    for dir in verbs::elsewhere::earlier_dirs(base) {
        if verbs::elsewhere::open(dir, None).is_deserted().await.unwrap_or_default() {
            text.push_str(&format!("; {}/ipam.mdb is not needed any more", dir.display()));
        }
    }
    text
}

fn listed(registry: &[Registered], domain: &str) -> String {
    if registry.is_empty() {
        return format!("in domain {domain}; no network is registered yet");
    }
    let mut networks = Vec::new();
    for Registered { network, registration } in registry {
        networks.push(format!("network {network} in domain {}", registration.domain));
    }
    networks.join(", ")
}
