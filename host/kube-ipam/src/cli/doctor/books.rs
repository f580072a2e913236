//! Where the network's addresses are: registered here, and nowhere else.

use super::{Check, Verdict};
use crate::cli::network::Opened;
use crate::config::Base;
use crate::verbs::{self, Deadline};
use ipam::RangeSets;
use store::{EtcdConfig, StoreConfig};
use store::{Registered, Search, StoreError};

/// What an ADD would be refused for, what it could not know of, and which networks share a subnet.
pub(super) async fn books(opened: &Opened, range_sets: &RangeSets) -> Vec<Check> {
    let network = &opened.base.network;
    let mut checks = Vec::new();
    if let Err(error) = opened.store.check_registration(network, range_sets, Search::Whole).await {
        checks.push(Check::failed("books", &error.into()));
    }
    if let Err(error) =
        verbs::elsewhere::refuse_earlier_stores(&opened.base, &Deadline::after(opened.base.timeout)).await
    {
        checks.push(Check::failed("books", &error));
    }
    checks.extend(default_prefix(opened).await);
    match opened.store.registry().await {
        Ok(registry) => {
            checks.extend(overlaps(&registry));
            if checks.is_empty() {
                let deserted = deserted(&opened.base).await;
                checks.push(Check::good("books", listed(&registry, &opened.base.domain) + &deserted));
            }
        }
        Err(error) => checks.push(Check::failed("books", &error.into())),
    }
    checks
}

/// Another prefix than the default one may have been given to a network that has its addresses there. No ADD can know:
/// a prefix is how clusters keep apart.
async fn default_prefix(opened: &Opened) -> Option<Check> {
    let StoreConfig::Etcd(etcd) = &opened.base.store else { return None };
    if etcd.prefix == EtcdConfig::DEFAULT_PREFIX {
        return None;
    }
    let network = &opened.base.network;
    let (domain, container) = match under_default(opened, network).await {
        Ok(found) => found?,
        // A role that lets us see our own keys only is a good role.
        Err(StoreError::Refused { .. }) => return None,
        Err(error) => return Some(Check::failed("books", &error.into())),
    };
    let prefix = EtcdConfig::DEFAULT_PREFIX;
    Some(Check {
        name: "books",
        verdict: Verdict::Warning,
        detail: format!(
            "containers of a network {network:?} hold addresses under the default prefix {prefix}, domain {domain:?} (for \
             example container {container})"
        ),
        hint: Some(format!(
            "if they are this network's, kube-ipam import --from kube-ipam --etcd-prefix {prefix} --domain {domain} moves \
             them; if they are another cluster's, there is nothing to do"
        )),
    })
}

async fn under_default(opened: &Opened, network: &str) -> Result<Option<(String, String)>, StoreError> {
    let whole = opened.store.under(EtcdConfig::DEFAULT_PREFIX, network);
    for domain in whole.domains().await? {
        if let Some(attachment) = whole.beside(&domain).any_of(network).await? {
            return Ok(Some((domain, attachment.container)));
        }
    }
    Ok(None)
}

/// Networks that may give out one address twice: meant so only where somebody chose their domains.
fn overlaps(registry: &[Registered]) -> Vec<Check> {
    let mut checks = Vec::new();
    for (nth, one) in registry.iter().enumerate() {
        for two in &registry[nth + 1..] {
            let chosen = one.registration.explicit || two.registration.explicit;
            if chosen || one.registration.domain == two.registration.domain {
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
                     the same address; kube-ipam import --from kube-ipam --network moves those of a renamed one"
                        .to_owned(),
                ),
            });
        }
    }
    checks
}

/// A store of before costs every ADD a look into it as long as its file is there.
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
    let one = |one: &Registered| format!("network {} in domain {}", one.network, one.registration.domain);
    registry.iter().map(one).collect::<Vec<_>>().join(", ")
}
