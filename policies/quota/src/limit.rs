//! How many addresses a namespace may hold, and where that is written.

use kube_ipam_policy::{Family, MOST_SLOTS, Refusal, Request};
use serde::Deserialize;

use crate::Settings;

/// A number of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u64")]
pub struct Limit(u32);

impl TryFrom<u64> for Limit {
    type Error = String;

    fn try_from(addresses: u64) -> Result<Self, String> {
        match u32::try_from(addresses) {
            Ok(addresses @ 0..=MOST_SLOTS) => Ok(Self(addresses)),
            _ => Err(format!("{addresses}: expected a whole number from 0 to {MOST_SLOTS}")),
        }
    }
}

/// The limit of the namespace that asks.
pub(crate) struct Quota<'a> {
    request: &'a Request,
    namespace: &'a str,
    limit: Limit,
    setting: String,
}

impl<'a> Quota<'a> {
    /// `None` where there is no limit: for other namespaces without a default, and for an attachment without a pod.
    pub(crate) fn of(request: &'a Request, settings: &Settings) -> Option<Self> {
        let namespace = request.pod.as_ref()?.namespace.as_str();
        let (limit, setting) = match (settings.namespaces.get(namespace), settings.default) {
            (Some(own), _) => (*own, format!("policy.settings.namespaces.{namespace}")),
            (None, Some(default)) => (default, "policy.settings.default".to_owned()),
            (None, None) => return None,
        };
        Some(Self { request, namespace, limit, setting })
    }

    pub(crate) fn request(&self) -> &'a Request {
        self.request
    }

    pub(crate) fn limit(&self) -> u32 {
        self.limit.0
    }

    /// Each family is counted for itself: a pod of a dual-stack network has one address of either.
    pub(crate) fn list(&self, family: Family) -> String {
        format!("namespace/{}/{family}", self.namespace)
    }

    pub(crate) fn refusal(&self, family: Family, wanted: usize, taken: usize) -> Refusal {
        let Self { request, namespace, limit: Limit(limit), setting } = self;
        let more = if wanted == 1 { String::new() } else { format!(", and this pod needs {wanted}") };
        Refusal::Denied(format!(
            "namespace {namespace:?} holds {taken} of the {limit} {family} addresses it may have in network {:?}{more}: \
             delete pods of it or raise {setting}",
            request.network
        ))
    }
}
