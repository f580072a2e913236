//! Two clusters with two nodes each, one etcd, and what is done with them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, RwLock};

use kube_ipam_tests::Call;
use kube_ipam_tests::apiserver::{ApiServer, PodBuilder, ReplicaSet, Rule};
use kube_ipam_tests::etcd::{Etcd, Setup};
use kube_ipam_tests::listing::operate;
use kube_ipam_tests::program::has_machines;
use serde_json::{Value, json};

use super::judge::Judge;

pub(crate) const SIDES: [&str; 2] = ["east", "west"];
pub(crate) const NODES: [&str; 2] = ["node-1", "node-2"];
/// Wanted by pods of both clusters. The last two are among those that are given to anybody.
pub(crate) const FIXED: [&str; 6] =
    ["10.188.0.24", "10.188.0.25", "10.188.0.26", "10.188.0.27", "10.188.0.20", "10.188.0.21"];

/// What the nodes' ClusterRole grants, and the reclaim's.
const NODE: [Rule; 1] = [Rule { verbs: &["get"], resources: &["pods", "nodes", "namespaces", "replicasets"] }];
const RECLAIM: [Rule; 2] =
    [Rule { verbs: &["list"], resources: &["pods", "nodes"] }, Rule { verbs: &["get"], resources: &["namespaces"] }];

pub(crate) struct Scene {
    etcd: Etcd,
    pub(crate) sides: [Side; 2],
    pub(crate) judge: Judge,
    pub(crate) counts: Counts,
}

/// One cluster.
pub(crate) struct Side {
    pub(crate) server: ApiServer,
    networks: [Value; 2],
    reclaim: PathBuf,
    /// A runtime adds nothing to a node while it collects garbage there, as the specification has it.
    pub(crate) collecting: [RwLock<()>; 2],
}

/// A pod that the API server of its cluster has.
#[derive(Clone, Debug)]
pub(crate) struct Pod {
    pub(crate) side: usize,
    pub(crate) node: usize,
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) wants: Option<&'static str>,
    /// Its annotation lets a newer revision have its address.
    pub(crate) cedes: bool,
    /// Its Deployment and ReplicaSet, by uid.
    pub(crate) owner: Option<(String, ReplicaSet)>,
    /// Its sandbox, where that has its address.
    pub(crate) container: Option<String>,
    /// What a sandbox of it that died may still hold.
    pub(crate) died: Option<String>,
}

/// How often everything happened.
#[derive(Debug, Default)]
pub(crate) struct Counts(Mutex<BTreeMap<&'static str, usize>>);

impl Counts {
    pub(crate) fn add(&self, what: &'static str, number: usize) {
        *self.0.lock().unwrap().entry(what).or_default() += number;
    }

    pub(crate) fn of(&self, what: &str) -> usize {
        self.0.lock().unwrap().get(what).copied().unwrap_or_default()
    }
}

impl Scene {
    pub(crate) fn new() -> Self {
        let etcd = Setup::single().start();
        let sides = [0, 1].map(|side| Side::new(side, &etcd));
        Self { etcd, sides, judge: Judge::default(), counts: Counts::default() }
    }

    pub(crate) fn network(&self, side: usize, node: usize) -> Value {
        self.sides[side].networks[node].clone()
    }

    /// A call of the pod's node, yet to be made.
    pub(crate) fn call(&self, verb: &str, pod: &Pod, container: &str) -> Call {
        self.call_on(verb, pod.side, pod.node, container, &self.network(pod.side, pod.node))
            .for_pod("shop", &pod.name, &pod.uid)
    }

    /// The same for no pod, with another configuration.
    pub(crate) fn call_on(&self, verb: &str, side: usize, node: usize, container: &str, network: &Value) -> Call {
        self.counts.add("calls", 1);
        self.counts.add(
            match verb {
                "ADD" => "ADD",
                "DEL" => "DEL",
                "GC" => "GC",
                _ => "CHECK",
            },
            1,
        );
        let call = Call::new(verb, container, network);
        if has_machines() { call.on_machine(&format!("{side}{node}").repeat(16)) } else { call }
    }

    /// Release in one cluster what its API server no longer knows.
    pub(crate) fn reclaim(&self, side: usize) {
        self.counts.add("calls", 1);
        let kubeconfig = self.sides[side].reclaim.display().to_string();
        let options = ["--grace", "0s", "--pause", "0s", "--force", "-o", "json"];
        let command = [&["reclaim", "--yes", "--kubeconfig", &kubeconfig], &options[..]].concat();
        let report: Value = serde_json::from_str(&self.operate(&command)).unwrap();
        for leak in report["leaks"].as_array().unwrap() {
            assert_eq!(leak["pod"]["cluster"], json!(self.sides[side].server.cluster_uid()), "{leak}");
            self.counts.add("reclaimed", usize::from(leak["outcome"] == "released"));
        }
    }

    pub(crate) fn judge_the_books(&self) {
        let rows: Value = serde_json::from_str(&self.operate(&["list", "-o", "json"])).unwrap();
        let comparison = self.judge.compare(rows.as_array().unwrap());
        self.counts.add("given back", comparison.given_back);
        for (address, former) in comparison.ceded {
            let shown = self.operate(&["show", &address]);
            assert!(shown.contains("ceded by") && shown.contains(&former), "{address} of {former}: {shown}");
        }
        self.operate(&["fsck"]);
    }

    /// After the end of all pods, with whatever garbage there is collected.
    pub(crate) fn nothing_is_left(&self) {
        for side in 0..SIDES.len() {
            self.reclaim(side);
            for node in 0..NODES.len() {
                self.collect(side, node);
            }
        }
        self.judge.forget_the_dead();
        self.judge_the_books();
        let keys = self.etcd.keys("/kube-ipam/");
        let stays = |key: &String| key.contains("/l/") || key.contains("/networks/");
        assert!(keys.iter().all(stays), "left behind: {keys:?}");
    }

    /// What a command prints; it has to succeed.
    fn operate(&self, command: &[&str]) -> String {
        let output = operate(command, &self.network(0, 0));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{command:?}: {text}{}", String::from_utf8_lossy(&output.stderr));
        text
    }
}

impl Side {
    /// Nodes of both clusters have the same names. Where calls cannot be made on several machines, only the name tells
    /// whose garbage it is, and names differ.
    fn new(side: usize, etcd: &Etcd) -> Self {
        let server = ApiServer::double();
        let nodes = NODES.map(|node| node_name(side, node));
        nodes.iter().for_each(|node| drop(server.node(node)));
        let kubeconfig = server.kubeconfig(&server.user("system:serviceaccount:kube-system:kube-ipam", &NODE));
        let reclaim = server.kubeconfig(&server.user("system:serviceaccount:kube-system:kube-ipam-reclaim", &RECLAIM));
        let networks = nodes.map(|node| {
            let data_dir = etcd.directory().join(format!("{}-{node}", SIDES[side]));
            etcd.network(&json!({
                "subnet": "10.188.0.0/27", "fixedStart": FIXED[0], "fixedEnd": FIXED[3], "domain": "flat",
                "nodeName": node, "dataDir": data_dir, "kubeConfig": kubeconfig,
                "timeout": "30s", "handOverWait": "200ms",
            }))
        });
        Self { server, networks, reclaim, collecting: Default::default() }
    }

    /// The pod as its cluster has it, yet to be created.
    pub(crate) fn build(&self, pod: &Pod) -> PodBuilder<'_> {
        let mut built = self.server.pod("shop", &pod.name).on(&node_name(pod.side, NODES[pod.node])).phase("Running");
        if let Some(address) = pod.wants {
            built = built.annotated("kube-ipam.ip", address);
        }
        if pod.cedes {
            built = built.annotated("kube-ipam.hand-over", "rolling-update");
        }
        match &pod.owner {
            Some((_, set)) => built.of(set),
            None => built,
        }
    }
}

fn node_name(side: usize, node: &str) -> String {
    if has_machines() { node.to_owned() } else { format!("{}-{node}", SIDES[side]) }
}
