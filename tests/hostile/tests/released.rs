//! Modules built against every released version of the policy world keep working; one of a version this host does not
//! know is refused with both versions named.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use engine::{Outcome, Policy};
use hostile::{Site, range_sets, request, snapshot};
use ipam::{Metadata, Pod, PodName, Proposal, Refusal, Request, Snapshot, Verdict};
use kube_ipam_tests::guest::{Guest, component_of};
use serde::Deserialize;

/// What a module's sibling file says of it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    /// What it calls itself.
    name: String,
    runs: Vec<Run>,
}

/// One pod `default/web-0` in 10.0.0.0/24, and what becomes of it. One of `proposes` and `refuses`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct Run {
    case: String,
    annotations: BTreeMap<String, String>,
    settings: serde_json::Value,
    held: Vec<IpAddr>,
    last_claimed: Option<IpAddr>,
    /// The addresses of the proposals.
    proposes: Option<Vec<String>>,
    /// The kind of the refusal, and its text.
    refuses: Option<String>,
}

#[test]
fn every_released_module_still_works() {
    let modules = released();
    assert!(!modules.is_empty());
    for path in modules {
        let expected: Expected = serde_json::from_slice(&fs::read(path.with_extension("json")).unwrap()).unwrap();
        let site = Site::new();
        let policy = site.policy(&expected.name, &fs::read(&path).unwrap()).unwrap();
        assert_eq!(policy.describe().unwrap().name, expected.name, "{}", path.display());
        assert!(!expected.runs.is_empty(), "{}", path.display());
        for run in &expected.runs {
            run.hold_against(&policy, &path);
        }
    }
}

/// Every module of every version's directory.
fn released() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../released");
    let within = |folder: PathBuf| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let versions = within(folder).filter(|path| path.is_dir());
    versions.flat_map(within).filter(|path| path.extension().is_some_and(|end| end == "wasm")).collect()
}

impl Run {
    fn hold_against(&self, policy: &Policy, path: &Path) {
        let settings = if self.settings.is_null() { "{}".to_owned() } else { self.settings.to_string() };
        let outcome = policy.allocate(&self.request(), &settings, &self.snapshot()).unwrap();
        let Outcome::Verdict(verdict) = outcome else { panic!("{}: {outcome:?}", self.case) };
        let (proposes, refuses) = match verdict {
            Verdict::Propose(proposals) => (Some(proposals.iter().map(addresses).collect()), None),
            Verdict::Refuse(refusal) => (None, Some(described(&refusal))),
        };
        assert_eq!(
            (proposes, refuses),
            (self.proposes.clone(), self.refuses.clone()),
            "{} {}",
            path.display(),
            self.case
        );
    }

    fn request(&self) -> Request {
        let name =
            PodName { namespace: "default".into(), name: "web-0".into(), uid: Some("uid-1".into()), cluster: None };
        let metadata = || Some(Metadata { labels: BTreeMap::from([("a".into(), "b".into())]), ..Metadata::default() });
        let pod = Pod { name, annotations: self.annotations.clone(), labels: BTreeMap::new(), owner: None };
        Request { pod: Some(pod), namespace: metadata(), node_metadata: metadata(), ..request() }
    }

    fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::new(range_sets(), vec![self.last_claimed]);
        snapshot.learn_span("10.0.0.0/24".parse().unwrap(), self.held.iter().copied());
        snapshot.learn_usage(0, self.held.len() as u64);
        snapshot
    }
}

fn addresses(proposal: &Proposal) -> String {
    proposal.iter().map(|assignment| assignment.address.to_string()).collect::<Vec<_>>().join(" + ")
}

fn described(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Exhausted(why) => format!("exhausted: {why}"),
        Refusal::Taken(why) => format!("taken: {why}"),
        Refusal::Invalid(why) => format!("invalid: {why}"),
        Refusal::Denied(why) => format!("denied: {why}"),
    }
}

#[test]
fn a_module_of_an_unknown_version_is_refused_with_both_named() {
    let site = Site::new();
    for version in ["0.2.0", "0.1.1", "1.0.0", "0.1.0-rc.1"] {
        let module = component_of(&Guest::named("good"), version);
        let refused = site.policy("newer", &module).err().unwrap().to_string();
        let told = |interface: &str| {
            format!(
                "speaks kube-ipam:policy/{interface}@{version}, this kube-ipam speaks kube-ipam:policy/{interface}@0.1.0"
            )
        };
        let told = ["types", "pool", "allocator"].map(told);
        assert!(told.iter().any(|told| refused.contains(told)), "{version}: {refused}");
    }
}

/// It exports what this host speaks, but cannot run: it asks a pool nobody here has.
#[test]
fn a_module_that_speaks_two_versions_at_once_is_refused_for_the_unknown_one() {
    let module = wat::parse_str(
        r#"(component
            (import "kube-ipam:policy/pool@0.1.0" (instance))
            (import "kube-ipam:policy/pool@0.2.0" (instance))
            (instance $empty)
            (export "kube-ipam:policy/allocator@0.1.0" (instance $empty))
            (export "kube-ipam:policy/allocator@0.2.0" (instance $empty)))"#,
    );
    let refused = Site::new().policy("both", &module.unwrap()).err().unwrap().to_string();
    let both = "speaks kube-ipam:policy/pool@0.2.0, this kube-ipam speaks kube-ipam:policy/pool@0.1.0";
    assert!(refused.contains(both), "{refused}");
}

#[test]
fn the_same_guest_in_our_version_is_welcome() {
    let site = Site::new();
    let policy = site.policy("ours", &component_of(&Guest::named("good"), "0.1.0")).unwrap();
    let outcome = policy.allocate(&request(), "{}", &snapshot()).unwrap();
    assert!(matches!(outcome, Outcome::Verdict(Verdict::Propose(_))), "{outcome:?}");
}
