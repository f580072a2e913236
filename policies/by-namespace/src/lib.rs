//! Every namespace gets addresses only from its own spans: a pod cannot leave them, not even by annotation.
//!
//! A pod names addresses as it does under `range-fixed`; here they must be its namespace's.

use std::collections::BTreeMap;

use kube_ipam_policy::{Description, Policy, Pool, Proposal, ProposalCount, Refusal, Request, Share, Spans, Strategy};
use serde::Deserialize;

#[derive(Debug)]
pub struct ByNamespace;

/// `policy.settings` of the network's configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What each namespace may use.
    pub namespaces: BTreeMap<String, Spans>,
    /// What every other namespace, and an attachment without a pod, may use; absent: nothing.
    pub default: Option<Spans>,
    /// Where the search for a dynamic address starts. The last claimed address of a range set is rarely one of the
    /// same namespace, so that round-robin would mostly begin at its first.
    #[serde(default = "by_hash")]
    pub strategy: Strategy,
    /// How many proposals to bring.
    #[serde(default)]
    pub proposals: ProposalCount,
}

fn by_hash() -> Strategy {
    Strategy::Hash
}

impl Policy for ByNamespace {
    type Settings = Settings;

    fn describe() -> Description {
        Description {
            name: "by-namespace",
            version: env!("CARGO_PKG_VERSION"),
            summary: "Every namespace gets addresses only from its own spans",
            settings_schema: include_str!("../settings.schema.json"),
        }
    }

    fn allocate(request: &Request, settings: &Settings, pool: &dyn Pool) -> Result<Vec<Proposal>, Refusal> {
        share(request, settings)?.propose(request, settings.strategy, settings.proposals, pool)
    }
}

fn share<'a>(request: &Request, settings: &'a Settings) -> Result<Share<'a>, Refusal> {
    let whom = match &request.pod {
        Some(pod) => format!("namespace {:?}", pod.namespace),
        None => "an attachment without a pod".to_owned(),
    };
    if let Some(pod) = &request.pod
        && let Some(spans) = settings.namespaces.get(&pod.namespace)
    {
        let setting = format!("policy.settings.namespaces.{}", pod.namespace);
        return Ok(Share { whom, setting, spans });
    }
    match &settings.default {
        Some(spans) => Ok(Share { whom, setting: "policy.settings.default".to_owned(), spans }),
        None => Err(Refusal::Denied(format!(
            "{whom} has no addresses in network {:?}: policy.settings.namespaces does not name it and there is no \
             policy.settings.default",
            request.network
        ))),
    }
}

kube_ipam_policy::export!(ByNamespace);
