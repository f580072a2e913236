//! An ADD by each strategy of the default policy and by each policy that is shipped, on a filled store and on an empty one.

use std::time::Duration;

use kube_ipam_tests::apiserver::{ApiServer, Rule};
use kube_ipam_tests::program::module;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::figures::{Latency, PolicyFigures};
use super::flat::add;
use super::pods::{BenchPod, OUR_NODE, QUOTA_NAMESPACE};
use super::site::Site;

/// A module file becomes known to the cache once it is this old.
const SETTLED: Duration = Duration::from_secs(3);

/// How few rounds a policy gets where it is slow.
const FEWEST: usize = 5;

/// How long a policy may take for all its rounds.
const LONGEST: Duration = Duration::from_secs(20);

const NODE: [Rule; 1] = [Rule { verbs: &["get"], resources: &["pods", "nodes", "namespaces"] }];

/// The policies, compiled, and an API server that knows our node.
pub(super) struct Policies {
    /// Answers as long as it is here.
    _server: ApiServer,
    kubeconfig: String,
    directory: TempDir,
}

impl Policies {
    pub(super) fn prepare(sites: [&Site; 2]) -> Self {
        let server = ApiServer::double();
        server.node(OUR_NODE);
        server.patch(
            "nodes",
            "",
            OUR_NODE,
            &json!({"metadata": {"labels": {"topology.kubernetes.io/zone": "zone-a"}}}),
        );
        let token = server.user("system:serviceaccount:kube-system:kube-ipam", &NODE);
        let kubeconfig = server.kubeconfig(&token).display().to_string();
        let policies = Self { _server: server, kubeconfig, directory: tempfile::tempdir().unwrap() };
        policies.warm_up(sites);
        std::thread::sleep(SETTLED);
        policies.warm_up(sites);
        policies
    }

    /// Each is compiled by its first ADD, read whole by another once its file has settled, and known from then on.
    fn warm_up(&self, sites: [&Site; 2]) {
        let pod = BenchPod::new("warm-up", 0, OUR_NODE);
        for (name, _) in self.sections(sites[0].subnet) {
            for site in sites {
                let network = self.network(site, &name);
                add(&pod, &network);
                pod.call("DEL", &network).run().success();
            }
        }
    }

    pub(super) fn measure(&self, filled: &Site, empty: &Site, rounds: usize) -> Vec<PolicyFigures> {
        let mut figures = Vec::new();
        for (policy, _) in self.sections(filled.subnet) {
            let networks = [filled, empty].map(|site| self.network(site, &policy));
            let mut samples = [Vec::new(), Vec::new()];
            for round in 0..rounds {
                let spent: Duration = samples[0].iter().sum();
                if round >= FEWEST && spent > LONGEST {
                    break;
                }
                // The same pod each time, in a new container: a policy may remember it.
                let pod = BenchPod::new("policy", 0, OUR_NODE).restarted(round);
                for side in if round.is_multiple_of(2) { [0, 1] } else { [1, 0] } {
                    samples[side].push(add(&pod, &networks[side]).0);
                }
                for network in &networks {
                    pod.call("DEL", network).run().success();
                }
            }
            let [of_filled, of_empty] = samples.each_mut().map(|samples| Latency::of(samples));
            figures.push(PolicyFigures { policy, held: filled.held, filled: of_filled, empty: of_empty });
        }
        figures
    }

    fn network(&self, site: &Site, policy: &str) -> Value {
        let (_, section) = self.sections(site.subnet).into_iter().find(|(name, _)| name == policy).unwrap();
        let mut network = site.network(OUR_NODE, &section);
        // As a runtime passes the annotations of a pod that has none.
        network["runtimeConfig"] = json!({"io.kubernetes.cri.pod-annotations": null});
        network
    }

    /// What is measured: a name, and this much of an `ipam` section.
    fn sections(&self, subnet: &str) -> Vec<(String, Value)> {
        let mut sections = Vec::new();
        for strategy in ["round-robin", "hash", "lowest"] {
            let policy = json!({"settings": {"strategy": strategy}});
            sections.push((format!("range-fixed, {strategy}"), json!({"policy": policy})));
        }
        let shipped = [
            ("by-namespace", json!({"namespaces": {QUOTA_NAMESPACE: [subnet]}, "strategy": "round-robin"})),
            ("by-topology", json!({"places": {"zone-a": [subnet]}, "strategy": "round-robin"})),
            ("quota", json!({"namespaces": {QUOTA_NAMESPACE: 8_192}, "strategy": "round-robin"})),
            ("sticky", json!({"pods": "all"})),
        ];
        // Made by the program, which trusts no directory that others may look into.
        let cache = self.directory.path().join("cache");
        for (name, settings) in shipped {
            let policy = json!({"module": module(name), "settings": settings, "cacheDir": cache});
            let mut section = json!({"policy": policy});
            if name == "by-topology" {
                section["kubernetes"] = json!({"include": ["node"]});
                section["kubeConfig"] = json!(self.kubeconfig);
            }
            sections.push((name.to_owned(), section));
        }
        sections
    }
}
