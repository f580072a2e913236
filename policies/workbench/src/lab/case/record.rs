//! A recorded decision as a case: the network, what was known of it, the one who asked, and the answer they got.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::{Map, Value};

use super::expect::Refused;
use super::format::{Case, CaseRequester, Expectation, Expected, Held, Kept, Metadata, Step};
use super::words::{Address, Lapse, Many, OwnerPath, PodPath};
use super::yaml::flow;
use ipam::{
    self, Assignment, Attachment, Decision, Holder, PodName, Refusal, Request, Snapshot, Span, VerdictOrFault, address,
};

/// In the order people read them in.
const KEYS: [&str; 9] = ["about", "name", "module", "network", "settings", "held", "kept", "lastClaimed", "steps"];

/// Where a record does not say until when an address is kept.
const KEPT: std::time::Duration = std::time::Duration::from_secs(60 * 60);

impl Case {
    /// The situation of a decision, as far as the policy was told of it, and its answer as what is expected.
    pub fn of(decision: &Decision) -> Self {
        let Decision { at, settings, request, snapshot, answer, .. } = decision;
        let network = serde_json::to_value(&request.range_sets).ok();
        let who = request.pod.as_ref().map_or_else(|| request.attachment.container.clone(), |pod| pod.name.to_string());
        let last: Vec<IpAddr> = (0..request.range_sets.len()).filter_map(|set| snapshot.last_claimed(set)).collect();
        Self {
            about: format!("What {who} was told in network {} at {at}", request.attachment.network),
            name: Some(request.attachment.network.clone()),
            network: network.and_then(|network| network.as_object().cloned()).unwrap_or_default(),
            settings: Some(settings.clone()).filter(|settings| !settings.is_empty()),
            module: None,
            held: held(request, snapshot),
            kept: kept(decision),
            last_claimed: (!last.is_empty()).then_some(Many(last)),
            steps: vec![Step {
                allocate: Some(requester(request)),
                expect: Some(Expected::One(Box::new(expectation(answer)))),
                ..Step::default()
            }],
        }
    }

    /// As a file.
    pub fn to_yaml(&self) -> String {
        let Ok(Value::Object(mut parts)) = serde_json::to_value(self) else { return String::new() };
        let mut text = String::new();
        for key in KEYS {
            match parts.remove(key) {
                None => {}
                Some(Value::Array(steps)) if key == "steps" => {
                    text.push_str("steps:\n");
                    steps.iter().filter_map(Value::as_object).for_each(|step| text.push_str(&step_text(step)));
                }
                Some(Value::Array(list)) if key == "held" => {
                    text.push_str("held:\n");
                    list.iter().for_each(|held| text.push_str(&format!("  - {}\n", flow(plain(held)))));
                }
                Some(value) => text.push_str(&format!("{key}: {}\n", flow(&value))),
            }
        }
        text
    }
}

/// What nobody in particular holds is told by its addresses alone.
fn plain(held: &Value) -> &Value {
    match held.as_object().map(Map::len) {
        Some(1) => &held["address"],
        _ => held,
    }
}

fn step_text(step: &Map<String, Value>) -> String {
    let lines = step.iter().enumerate().map(|(nth, (key, value))| {
        let mark = if nth == 0 { "-" } else { " " };
        format!("  {mark} {key}: {}\n", flow(value))
    });
    lines.collect()
}

/// First by pods that are known, then whatever else is known to be taken.
fn held(request: &Request, snapshot: &Snapshot) -> Vec<Held> {
    let by = |pod: Option<&PodName>| pod.map(|pod| PodPath(PodName { uid: None, ..pod.clone() }));
    let single = |address: IpAddr, pod, interface: &str| {
        let interface = (interface != "eth0").then(|| interface.to_owned());
        Held { by: by(pod), interface, ..Held::by_nobody(Span::single(address).into()) }
    };
    let mut told: BTreeSet<IpAddr> = snapshot.kept().map(|(_, address)| address).collect();
    let mut held = Vec::new();
    for address in &request.previous {
        if told.insert(*address) {
            let pod = request.pod.as_ref().map(|pod| &pod.name);
            held.push(single(*address, pod, &request.attachment.interface));
        }
    }
    for (address, holder) in snapshot.holders() {
        match holder {
            _ if !told.insert(address) => {}
            Holder::Attachment(of) => held.push(single(address, of.pod.as_ref(), &of.attachment.interface)),
            Holder::Hold { .. } => {}
        }
    }
    let full: Vec<Span> = snapshot.full().iter().flat_map(|span| request.range_sets.usable_within(*span)).collect();
    let full = full.into_iter().flat_map(|span| told.iter().fold(vec![span], |spans, told| without(&spans, *told)));
    let full: Vec<Span> = full.collect();
    let rest =
        snapshot.taken().filter(|address| !told.contains(address) && !full.iter().any(|one| one.contains(*address)));
    let spans = runs(rest).into_iter().chain(full.iter().copied());
    held.extend(spans.map(|span| Held::by_nobody(span.into())));
    held
}

fn without(spans: &[Span], address: IpAddr) -> Vec<Span> {
    spans.iter().flat_map(|span| span.without(&Span::single(address))).collect()
}

/// Neighbours as one.
fn runs(addresses: impl Iterator<Item = IpAddr>) -> Vec<Span> {
    let mut runs: Vec<Span> = Vec::new();
    for next in addresses {
        match runs.last_mut().filter(|run| address::successor(run.last()) == Some(next)) {
            Some(run) => *run = Span::new(run.first(), next).unwrap_or(*run),
            None => runs.push(Span::single(next)),
        }
    }
    runs
}

fn kept(decision: &Decision) -> Vec<Kept> {
    let snapshot = &decision.snapshot;
    let for_known = snapshot.holders().filter_map(|(address, holder)| match holder {
        Holder::Hold { identity, until } => {
            let left = until.duration_since(decision.at);
            let lapse = Lapse(left.try_into().unwrap_or_default());
            Some(Kept { address, identity: identity.clone(), lapse })
        }
        Holder::Attachment(_) => None,
    });
    let mut kept: Vec<Kept> = for_known.collect();
    for (identity, address) in snapshot.kept() {
        if !kept.iter().any(|known| known.address == address) && !decision.request.previous.contains(&address) {
            kept.push(Kept { address, identity: identity.to_owned(), lapse: Lapse(KEPT) });
        }
    }
    kept
}

fn requester(request: &Request) -> CaseRequester {
    let Request { attachment, node, pod, annotations, requested, namespace, node_metadata, .. } = request;
    let Attachment { container, interface, .. } = attachment.clone();
    let name = pod.as_ref().map(|pod| pod.name.clone());
    CaseRequester {
        uid: name.as_ref().and_then(|name| name.uid.clone()),
        pod: name.map(|name| PodPath(PodName { uid: None, ..name })),
        annotations: pod.as_ref().map_or(annotations, |pod| &pod.annotations).clone(),
        labels: pod.as_ref().map(|pod| pod.labels.clone()).unwrap_or_default(),
        owner: pod.as_ref().and_then(|pod| pod.owner.clone()).map(OwnerPath),
        namespace: namespace.clone().map(Metadata::from),
        node: Some(node.clone()).filter(|node| !node.is_empty()),
        node_metadata: node_metadata.clone().map(Metadata::from),
        container: Some(container),
        interface: Some(interface),
        requested: (!requested.is_empty()).then(|| Many(requested.clone())),
    }
}

fn expectation(answer: &VerdictOrFault) -> Expectation {
    let refused = |refused, text: &str| Expectation {
        refused: Some(refused),
        says: Some(Many(vec![text.to_owned()])),
        ..Expectation::default()
    };
    match answer {
        VerdictOrFault::Proposals(proposals) => {
            let best = proposals.first().map(Vec::as_slice).unwrap_or_default();
            let address = |one: &Assignment| Address { address: one.address, prefix_length: Some(one.prefix_length) };
            let gateways: Vec<IpAddr> = best.iter().filter_map(|one| one.gateway).collect();
            Expectation {
                addresses: Some(Many(best.iter().map(address).collect())),
                gateways: (!gateways.is_empty()).then_some(Many(gateways)),
                ..Expectation::default()
            }
        }
        VerdictOrFault::Refusal(refusal) => match refusal {
            Refusal::Exhausted(text) => refused(Refused::Exhausted, text),
            Refusal::Taken(text) => refused(Refused::Taken, text),
            Refusal::Invalid(text) => refused(Refused::Invalid, text),
            Refusal::Denied(text) => refused(Refused::Denied, text),
        },
        VerdictOrFault::Fault(text) => refused(Refused::Fault, text),
    }
}

impl From<ipam::Metadata> for Metadata {
    fn from(ipam::Metadata { labels, annotations }: ipam::Metadata) -> Self {
        Self { labels, annotations }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::json;

    use super::super::{CaseFile, Trial};
    use super::*;
    use engine::{Policy, Source};

    /// Not far from the end of a range that is nearly full.
    fn decision(asks: Value, answer: Value) -> Decision {
        let mut request = json!({
            "attachment": {"network": "blue", "container": "c1", "interface": "net1"},
            "node": "node-7",
            "pod": {"namespace": "shop", "name": "web-0", "uid": "u1", "annotations": {}, "labels": {"a": "b"}},
            "rangeSets": {"ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00::/64"}]], "exclude": ["10.1.0.64/28"]}
        });
        request.as_object_mut().unwrap().extend(asks.as_object().unwrap().clone());
        serde_json::from_value(json!({
            "at": "2026-01-01T00:00:00Z",
            "policy": {"name": "range-fixed", "sha256": "ab"},
            "settings": {"proposals": 1},
            "request": request,
            "snapshot": {
                "known": ["10.1.0.2-10.1.0.9"],
                "held": ["10.1.0.2-10.1.0.4", "10.1.0.6", "10.1.0.200"],
                "full": ["10.1.0.10-10.1.0.100"],
                "lastClaimed": ["10.1.0.5", "fd00::7"]
            },
            "answer": answer
        }))
        .unwrap()
    }

    fn rerun(decision: &Decision) -> (String, Trial) {
        let text = Case::of(decision).to_yaml();
        let file =
            CaseFile::parse(Path::new("case.yaml"), text.clone()).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let source = Source::alone(None);
        (text, Trial::run(&file, Policy::load(&source).unwrap()).unwrap())
    }

    #[test]
    fn the_same_is_answered_in_a_world_made_of_what_was_known() {
        let address = |text: &str, length: u8, gateway: &str| json!({"address": text, "prefixLength": length, "gateway": gateway, "kind": "dynamic"});
        let both = [address("10.1.0.7", 24, "10.1.0.1"), address("fd00::8", 64, "fd00::1")];
        let (text, trial) = rerun(&decision(json!({}), json!({"proposals": [both]})));
        assert!(trial.is_passed(), "{text}{:?}", trial.requests[0].checks);
        let mut settings = insta::Settings::clone_current();
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!("recorded", text));
    }

    #[test]
    fn the_same_pod_asks_again_and_others_are_refused() {
        let previous = json!({"previous": ["10.1.0.6", "fd00::6"]});
        let address = |text: &str, length: u8| json!({"address": text, "prefixLength": length, "kind": "dynamic"});
        let both = [address("10.1.0.6", 24), address("fd00::6", 64)];
        let (text, trial) = rerun(&decision(previous, json!({"proposals": [both]})));
        assert!(trial.is_passed(), "{text}{:?}", trial.requests[0].checks);
        let pod = json!({"namespace": "shop", "name": "db", "annotations": {"kube-ipam.ip": "ten"}});
        let refusal = json!({"refusal": {"kind": "invalid", "text": "annotation kube-ipam.ip \"ten\""}});
        let (text, trial) = rerun(&decision(json!({"pod": pod}), refusal.clone()));
        assert!(trial.is_passed(), "{text}{:?}", trial.requests[0].checks);
        let without_a_pod = json!({"pod": null, "annotations": {"kube-ipam.ip": "ten"}});
        let (text, trial) = rerun(&decision(without_a_pod, refusal));
        assert!(trial.is_passed(), "{text}{:?}", trial.requests[0].checks);
    }
}
