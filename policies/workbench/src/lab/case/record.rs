//! A recorded decision as a case: the network, what was known of it, the requester, and the answer it got.

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

/// The keys of a case in the order people read them in.
const KEYS: [&str; 9] = ["about", "name", "module", "network", "settings", "held", "kept", "lastClaimed", "steps"];

/// How long an address is kept in a case, where the journal does not say until when.
const KEPT: std::time::Duration = std::time::Duration::from_secs(60 * 60);

impl Case {
    /// The situation of a decision, as far as the policy was told of it, with the policy's answer as what is expected.
    pub fn of(decision: &Decision) -> Self {
        let Decision { at, settings, request, snapshot, answer, .. } = decision;
        let network = serde_json::to_value(&request.range_sets).ok();
        let who = match &request.pod {
            Some(pod) => pod.name.to_string(),
            None => request.attachment.container.clone(),
        };
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

    /// The text of a file with this case, in the style that people write them in: an entry of `held` and a key of a step
    /// a line, everything else on one line.
    pub fn to_yaml(&self) -> String {
        let Ok(Value::Object(mut parts)) = serde_json::to_value(self) else { return String::new() };
        let mut text = String::new();
        for key in KEYS {
            match parts.remove(key) {
                None => {}
                Some(Value::Array(steps)) if key == "steps" => {
                    text.push_str("steps:\n");
                    for step in steps.iter().filter_map(Value::as_object) {
                        push_step(&mut text, step);
                    }
                }
                Some(Value::Array(list)) if key == "held" => {
                    text.push_str("held:\n");
                    for held in &list {
                        text.push_str(&format!("  - {}\n", flow(plain(held))));
                    }
                }
                Some(value) => text.push_str(&format!("{key}: {}\n", flow(&value))),
            }
        }
        text
    }
}

/// An entry that says nothing but its addresses is written as them alone.
fn plain(held: &Value) -> &Value {
    match held.as_object().map(Map::len) {
        Some(1) => &held["address"],
        _ => held,
    }
}

fn push_step(text: &mut String, step: &Map<String, Value>) {
    for (nth, (key, value)) in step.iter().enumerate() {
        let mark = if nth == 0 { "-" } else { " " };
        text.push_str(&format!("  {mark} {key}: {}\n", flow(value)));
    }
}

/// What others hold: first the addresses whose holders are known, then whatever else is known to be in use.
fn held(request: &Request, snapshot: &Snapshot) -> Vec<Held> {
    // What is kept has a key of its own in a case. Nothing may be told twice, or the world could not be made.
    let mut told: BTreeSet<IpAddr> = snapshot.kept().map(|(_, address)| address).collect();
    let mut held = Vec::new();
    for address in &request.previous {
        if told.insert(*address) {
            let pod = request.pod.as_ref().map(|pod| &pod.name);
            held.push(held_by(*address, pod, &request.attachment.interface));
        }
    }
    for (address, holder) in snapshot.holders() {
        if told.insert(address)
            && let Holder::Attachment(of) = holder
        {
            held.push(held_by(address, of.pod.as_ref(), &of.attachment.interface));
        }
    }
    let mut full = Vec::new();
    for span in snapshot.full() {
        full.extend(request.range_sets.usable_within(*span));
    }
    for address in &told {
        full = without(&full, *address);
    }
    let mut rest = Vec::new();
    for address in snapshot.taken() {
        if !told.contains(&address) && !full.iter().any(|span| span.contains(address)) {
            rest.push(address);
        }
    }
    for span in runs(rest).into_iter().chain(full) {
        held.push(Held::by_nobody(span.into()));
    }
    held
}

fn held_by(address: IpAddr, pod: Option<&PodName>, interface: &str) -> Held {
    let mut held = Held::by_nobody(Span::single(address).into());
    held.by = pod.map(|pod| PodPath(PodName { uid: None, ..pod.clone() }));
    if interface != "eth0" {
        held.interface = Some(interface.to_owned());
    }
    held
}

fn without(spans: &[Span], address: IpAddr) -> Vec<Span> {
    spans.iter().flat_map(|span| span.without(&Span::single(address))).collect()
}

/// These addresses as spans, each as long as the next address is a neighbour.
fn runs(addresses: Vec<IpAddr>) -> Vec<Span> {
    let mut runs: Vec<Span> = Vec::new();
    for next in addresses {
        match runs.last_mut().filter(|run| address::successor(run.last()) == Some(next)) {
            Some(run) => *run = Span::new(run.first(), next).unwrap_or(*run),
            None => runs.push(Span::single(next)),
        }
    }
    runs
}

/// What is kept, first where the time is known, then where only the identity is.
fn kept(decision: &Decision) -> Vec<Kept> {
    let snapshot = &decision.snapshot;
    let mut kept: Vec<Kept> = Vec::new();
    for (address, holder) in snapshot.holders() {
        match holder {
            Holder::Hold { identity, until } => {
                let lapse = Lapse(until.duration_since(decision.at).try_into().unwrap_or_default());
                kept.push(Kept { address, identity: identity.clone(), lapse });
            }
            // For no identity that a policy could name: in a case an hour is as good as forever.
            Holder::Reservation(reservation) => {
                kept.push(Kept { address, identity: reservation.as_identity(), lapse: Lapse(KEPT) });
            }
            Holder::Attachment(_) => {}
        }
    }
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
    match answer {
        VerdictOrFault::Proposals(proposals) => {
            // In the world of the case nobody else asks, so that the best proposal is the one that is claimed.
            let best = proposals.first().map(Vec::as_slice).unwrap_or_default();
            let (mut addresses, mut gateways) = (Vec::new(), Vec::new());
            for Assignment { address, prefix_length, gateway, .. } in best {
                addresses.push(Address { address: *address, prefix_length: Some(*prefix_length) });
                gateways.extend(*gateway);
            }
            Expectation {
                addresses: Some(Many(addresses)),
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

fn refused(refused: Refused, text: &str) -> Expectation {
    Expectation { refused: Some(refused), says: Some(Many(vec![text.to_owned()])), ..Expectation::default() }
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

    use super::super::{CaseFile, CaseRun};
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

    fn rerun(decision: &Decision) -> (String, CaseRun) {
        let text = Case::of(decision).to_yaml();
        let file =
            CaseFile::parse(Path::new("case.yaml"), text.clone()).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let source = Source::alone(None);
        (text, CaseRun::run(&file, Policy::load(&source).unwrap()).unwrap())
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
