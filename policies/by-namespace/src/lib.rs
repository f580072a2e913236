//! Every namespace gets addresses of its own spans and of no other: a pod cannot leave them, by annotation neither.
//!
//! A pod names addresses as it does under `range-fixed`; here they must be its namespace's.

use std::collections::BTreeMap;

use kube_ipam_policy::{
    Description, Draw, Policy, Pool, Proposal, ProposalCount, Refusal, Request, Ring, Strategy, Wish, list,
};
use serde::Deserialize;

mod spans;

use spans::Spans;

/// The policy.
#[derive(Debug)]
pub struct ByNamespace;

/// `policy.settings`.
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
            summary: "Every namespace gets addresses of its own spans and of no other",
            settings_schema: include_str!("../settings.schema.json"),
        }
    }

    fn allocate(request: &Request, settings: &Settings, pool: &dyn Pool) -> Result<Vec<Proposal>, Refusal> {
        let tenant = Tenant::of(request, settings)?;
        let wish = Wish::read(request)?;
        tenant.refuse_foreign(&wish)?;
        let mut draws = Draw::of_choice(&wish);
        for range_set in wish.unnamed() {
            draws.push(tenant.draw(request, range_set, settings.strategy)?);
        }
        kube_ipam_policy::propose(&wish, &draws, settings.proposals, pool)
    }
}

/// Who may use which spans.
struct Tenant<'a> {
    /// For a refusal: `namespace "team-a"`.
    who: String,
    /// Where the spans stand in the configuration.
    setting: String,
    spans: &'a Spans,
}

impl<'a> Tenant<'a> {
    fn of(request: &Request, settings: &'a Settings) -> Result<Self, Refusal> {
        let namespace = request.pod.as_ref().map(|pod| &pod.namespace);
        if let Some((namespace, spans)) = namespace.and_then(|namespace| settings.namespaces.get_key_value(namespace)) {
            let setting = format!("policy.settings.namespaces.{namespace}");
            return Ok(Self { who: format!("namespace {namespace:?}"), setting, spans });
        }
        let who = match namespace {
            Some(namespace) => format!("namespace {namespace:?}"),
            None => "an attachment without a pod".to_owned(),
        };
        match &settings.default {
            Some(spans) => Ok(Self { who, setting: "policy.settings.default".to_owned(), spans }),
            None => Err(Refusal::Denied(format!(
                "{who} has no addresses in network {:?}: policy.settings.namespaces does not name it and there is no \
                 policy.settings.default",
                request.network
            ))),
        }
    }

    /// Of a pool every part must be the tenant's: to pass over some of it would be to follow another annotation.
    fn refuse_foreign(&self, wish: &Wish<'_>) -> Result<(), Refusal> {
        let address = wish.fixed().iter().map(|assignment| assignment.address).find(|one| !self.spans.has(*one));
        let span = wish.choice().iter().find(|span| !self.spans.covers(span));
        let foreign = address.map(|address| address.to_string()).or(span.map(ToString::to_string));
        match foreign {
            None => Ok(()),
            Some(foreign) => Err(Refusal::Denied(format!(
                "{}: {} may not use {foreign}, it has {} ({})",
                wish.origin(),
                self.who,
                list(self.spans.iter()),
                self.setting
            ))),
        }
    }

    fn draw(&self, request: &Request, range_set: usize, strategy: Strategy) -> Result<Draw, Refusal> {
        let dynamic = request.range_sets.dynamic(range_set);
        let own = dynamic.iter().flat_map(|offered| self.spans.iter().filter_map(|span| span.intersection(offered)));
        let ring = Ring::new(own);
        let (who, network) = (&self.who, &request.network);
        if ring.is_empty() {
            return Err(Refusal::Denied(format!(
                "{who} has no addresses in range set {range_set} of network {network:?} ({}): add some to {}",
                list(dynamic),
                self.setting
            )));
        }
        Ok(Draw { ring, range_set: Some(range_set), strategy, whom: who.clone(), kept: None })
    }
}

kube_ipam_policy::export!(ByNamespace);
