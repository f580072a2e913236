//! A policy with a bug: a module to see what becomes of a panic. `host/tests/panic.rs` runs it.

use kube_ipam_policy::{Description, NoSettings, Policy, Pool, Proposal, Refusal, Request};

/// It has a rule for pods of the namespace `known` and believes that there are no others.
#[derive(Debug)]
pub struct Panics;

impl Policy for Panics {
    type Settings = NoSettings;

    fn describe() -> Description {
        Description { name: "panics", version: "1.0.0", summary: "Has a bug", settings_schema: "" }
    }

    fn allocate(request: &Request, _: &NoSettings, _: &dyn Pool) -> Result<Vec<Proposal>, Refusal> {
        match request.pod.as_ref().map(|pod| pod.namespace.as_str()) {
            Some("known") => Err(Refusal::Denied("known, and denied".to_owned())),
            namespace => panic!("no rule for {namespace:?}"),
        }
    }
}

kube_ipam_policy::export!(Panics);
