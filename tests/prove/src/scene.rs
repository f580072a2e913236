//! Nodes that call the verbs of production, as a runtime and an operator do.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::clock;
use crate::map::SimulatedMap;
use crate::sim::{self, Asked, Killable, Told, ask, broken, say, with};
use cluster::ApiServer;
use cni::attachments::Entry;
use cni::{Args, Container, NetConf, ValidAttachments};
use engine::{Policy, Source};
use ipam::{Attachment, Pod, PodName, Refusal};
use kube_ipam::cli::import::import_domain;
use kube_ipam::cli::operator::ActArgs;
use kube_ipam::cli::reclaim::{ReclaimOptions, reclaim_in};
use kube_ipam::config::{Base, KnownPod, Network};
use kube_ipam::verbs::add::{Advisers, add_advised};
use kube_ipam::verbs::{self, Deadline, Error};
use store::{EtcdConfig, Map, Store};

/// A network as one node has it configured.
pub struct Site {
    pub base: Base,
    network: Network,
    pub store: Store,
    policy: Policy,
    server: Option<ApiServer>,
    /// What a pod may be refused for, beside a full network.
    pub may_refuse: fn(&Error) -> bool,
}

/// A container that asks, and its pod.
pub struct PodRequest {
    pub container: String,
    network: Network,
}

/// A pod, by what the runtime tells of it.
#[derive(Clone, Default)]
pub struct PodSpec {
    pub name: &'static str,
    pub uid: Option<&'static str>,
    pub cluster: Option<&'static str>,
    pub annotations: &'static [(&'static str, &'static str)],
    pub namespace: Option<&'static str>,
}

impl Site {
    /// `ipam` is the section of the configuration; `module` a policy that this repository ships, instead of the default one.
    pub fn new(name: &str, node: &str, mut ipam: Value, module: Option<&str>) -> Self {
        ipam["type"] = json!("kube-ipam");
        ipam["nodeName"] = json!(node);
        ipam["dataDir"] = json!("/nonexistent/kube-ipam");
        ipam["logFile"] = json!("none");
        ipam["etcdConfig"] = json!({"etcdURL": "http://127.0.0.1:1"});
        let netconf = json!({"cniVersion": "1.1.0", "name": name, "ipam": ipam}).to_string();
        let netconf = NetConf::parse(netconf.as_bytes()).expect("a configuration");
        let base = Base::read(&netconf).expect("a configuration");
        let network = Network::read(&netconf, &Args::default()).expect("a network");
        let module = module.map(module_file);
        let cache = std::env::temp_dir().join("kube-ipam-prove");
        let source = Source { cache_dir: Some(&cache), ..Source::alone(module.as_deref()) };
        let policy = Policy::load(&source).expect("a policy that `make policies` has built");
        let store = Store::new(Map::other(SimulatedMap), EtcdConfig::DEFAULT_PREFIX, &base.domain)
            .with_cooldown(network.cooldown)
            .with_registry(base.domain_given);
        Self { base, network, store, policy, server: None, may_refuse: |_| false }
    }

    pub fn with_server(mut self, server: usize) -> Self {
        self.server = Some(ApiServer::of_client(crate::server::client(server)));
        self
    }

    pub fn that_may_refuse(mut self, may_refuse: fn(&Error) -> bool) -> Self {
        self.may_refuse = may_refuse;
        self
    }

    /// A container of a pod that will ask here.
    pub fn asking(&self, container: &str, pod: Option<PodSpec>) -> PodRequest {
        let mut network = self.network.clone();
        if let Some(PodSpec { name, uid, cluster, annotations, namespace }) = pod {
            let name = PodName {
                namespace: namespace.unwrap_or("shop").to_owned(),
                name: name.to_owned(),
                uid: uid.map(str::to_owned),
                cluster: cluster.map(str::to_owned),
            };
            let annotations: BTreeMap<String, String> =
                annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
            let pod = Pod { name, annotations, labels: BTreeMap::new(), owner: None };
            network.pod = Some(KnownPod { pod, annotations_known: true });
        }
        PodRequest { container: container.to_owned(), network }
    }

    fn attachment(&self, container: &str) -> Attachment {
        interface(container).attachment(&self.base.network)
    }

    /// ADD, as a runtime calls it. The address, if the container was told one.
    pub async fn add(&self, asking: &PodRequest) -> Option<IpAddr> {
        let container = asking.container.as_str();
        let process = with(|state| {
            let process = sim::process(state);
            state.judge.add_begins(process, container);
            process
        });
        clock::advance(1);
        say(|| format!("{process}: ADD {container}"));
        let deadline = Deadline::after(self.base.timeout);
        let (asks, advisers) =
            (interface(container), Advisers { server: self.server.as_ref(), policy: Some(&self.policy) });
        let call = add_advised(&asks, &self.base, &asking.network, &self.store, &deadline, advisers);
        let ended = Killable::new(call).await;
        let free = with(|state| state.judge.add_ends(process));
        match ended {
            None => {
                say(|| format!("{process}: ADD {container} is killed"));
                None
            }
            Some(Ok(success)) => {
                let Some(address) = success.ips.first().map(|ip| ip.address) else {
                    broken(|| format!("ADD of {container} succeeds without an address"));
                    return None;
                };
                say(|| format!("{process}: ADD {container} is told {address}"));
                let wrong = with(|state| state.judge.told(container, address, &state.memory));
                if let Some(wrong) = wrong {
                    broken(|| wrong);
                }
                Some(address)
            }
            Some(Err(error)) => {
                say(|| format!("{process}: ADD {container} fails: {error}"));
                self.judge_refusal(process, container, &error, &free.into_iter().collect::<Vec<_>>());
                None
            }
        }
    }

    /// No pod is refused wrongly: not as long as something was free throughout, and not for nothing.
    fn judge_refusal(&self, process: usize, container: &str, error: &Error, free: &[IpAddr]) {
        let is_disturbed = with(|state| state.disturbed.contains(&process));
        // It waited for longer than it may: others let time pass.
        let is_late = matches!(error, Error::Late { .. });
        if is_disturbed || is_late || (self.may_refuse)(error) {
            return;
        }
        let is_full = matches!(error, Error::Exhausted { .. } | Error::Refused { refusal: Refusal::Exhausted(_) });
        if is_full && free.is_empty() {
            return;
        }
        broken(|| format!("{container} was refused although nothing was wrong; free throughout: {free:?}: {error}"));
    }

    /// DEL, as a runtime calls it once the container uses its address no longer. Whether it succeeded.
    pub async fn del(&self, container: &str) -> bool {
        let process = with(|state| {
            state.judge.ends(container);
            sim::process(state)
        });
        clock::advance(1);
        say(|| format!("{process}: DEL {container}"));
        let deadline = Deadline::after(self.base.timeout);
        let attachment = self.attachment(container);
        let ended = Killable::new(verbs::del(&attachment, &self.base, &self.store, &deadline)).await;
        let is_done = matches!(ended, Some(Ok(())));
        if is_done {
            say(|| format!("{process}: DEL {container} is done"));
            with(|state| state.judge.released.insert(container.to_owned()));
        }
        self.judge_failure(process, "DEL", ended);
        is_done
    }

    /// DEL until it succeeds, as runtimes do.
    pub async fn del_until_done(&self, container: &str) {
        while !self.del(container).await {
            if with(|state| state.broken.is_some()) {
                return;
            }
            pause().await;
        }
    }

    /// GC with the runtime's list, as it is right now.
    pub async fn gc(&self, containers: &[&str]) {
        let (process, valid) = with(|state| {
            let known = containers.iter().filter(|container| state.judge.known.contains(**container));
            let valid = known.map(|container| {
                let Container { id, interface } = interface(container);
                Entry { container: id, interface }
            });
            (sim::process(state), ValidAttachments::Only(valid.collect()))
        });
        clock::advance(1);
        say(|| format!("{process}: GC, valid are {valid:?}"));
        let deadline = Deadline::after(self.base.timeout);
        let ended = Killable::new(verbs::gc(&self.base, &valid, &self.store, &deadline)).await;
        self.judge_failure(process, "GC", ended);
    }

    /// CHECK of a container that has this address.
    pub async fn check(&self, container: &str, address: IpAddr) {
        let process = sim::running();
        let attachment = self.attachment(container);
        let call = verbs::check(&attachment, std::slice::from_ref(&address), &self.network.range_sets, &self.store);
        let ended = Killable::new(call).await;
        if matches!(ended, Some(Err(Error::NotHeld { .. }))) && !with(|state| state.disturbed.contains(&process)) {
            broken(|| format!("CHECK does not find {address} of {container}"));
        }
        self.judge_failure(process, "CHECK", ended);
    }

    /// `kube-ipam reclaim --yes`, which looks twice.
    pub async fn reclaim(&self, cluster: Option<&str>) {
        let Some(server) = &self.server else { return };
        let process = sim::running();
        say(|| format!("{process}: reclaim"));
        let options = ReclaimOptions {
            yes: true,
            dry_run: false,
            grace: jiff::SignedDuration::ZERO,
            pause: jiff::SignedDuration::from_millis(100),
            node: None,
            kubeconfig: None,
            force: true,
            act: ActArgs::default(),
        };
        let ended = Killable::new(reclaim_in(&options, &self.base, &self.store, cluster, server)).await;
        self.judge_failure(process, "reclaim", ended.map(|ended| ended.map(|_| ())));
    }

    /// `kube-ipam import --from kube-ipam --domain DOMAIN`.
    pub async fn import(&self, domain: &str) {
        let process = sim::running();
        say(|| format!("{process}: import from {domain}"));
        let call = import_domain(domain, &self.store, &self.base.network, &self.network.range_sets);
        let ended = Killable::new(call).await;
        self.judge_failure(process, "import", ended.map(|ended| ended.map(|_| ())));
    }

    fn judge_failure(&self, process: usize, verb: &str, ended: Option<Result<(), Error>>) {
        let Some(Err(error)) = ended else { return };
        say(|| format!("{process}: {verb} fails: {error}"));
        let is_disturbed = with(|state| state.disturbed.contains(&process));
        if !is_disturbed && !(self.may_refuse)(&error) {
            broken(|| format!("{verb} failed although nothing was wrong: {error}"));
        }
    }

    /// What must hold when all is quiet: the records agree, the living have what they were told, the dead have nothing.
    pub async fn judge_end(&self, all: &[&PodRequest]) {
        self.inspect("at the end").await;
        let (living, released, is_astray) =
            with(|state| (state.judge.living.clone(), state.judge.released.clone(), state.judge.is_anything_astray));
        for container in released.iter().filter(|_| !is_astray) {
            expect_nothing_of(container, "its DEL");
        }
        let containers: Vec<&str> = all.iter().map(|asking| asking.container.as_str()).collect();
        with(|state| state.judge.known = state.judge.living.keys().cloned().collect());
        self.gc(&containers).await;
        let dead: Vec<&&str> = containers.iter().filter(|container| !living.contains_key(**container)).collect();
        for container in dead {
            expect_nothing_of(container, "a GC of its node");
        }
        // Only now: a claim that was astray may have borrowed the address of one that lives.
        for asking in all {
            let Some(address) = living.get(&asking.container) else { continue };
            let is_ceded = with(|state| state.judge.cedes.iter().any(|(former, _)| *former == asking.container));
            if !is_ceded {
                self.judge_repetition(asking, *address).await;
            }
        }
        self.inspect("after a GC").await;
    }

    async fn judge_repetition(&self, asking: &PodRequest, address: IpAddr) {
        let again = self.add(asking).await;
        if again != Some(address) {
            broken(|| format!("ADD of {} again answers {again:?} instead of {address}", asking.container));
        }
        self.check(&asking.container, address).await;
    }

    /// DEL of everything, twice: the second one changes nothing.
    pub async fn empty(&self, all: &[&PodRequest]) {
        for PodRequest { container, .. } in all {
            self.del(container).await;
            let once = with(|state| state.memory.entries());
            self.del(container).await;
            if with(|state| state.memory.entries()) != once {
                broken(|| format!("a second DEL of {container} changed something"));
            }
        }
    }

    /// After a DEL of everything nothing is left.
    pub async fn judge_emptiness(&self, all: &[&PodRequest]) {
        self.empty(all).await;
        clock::jump(100 * 24 * 3_600_000);
        self.gc(&[]).await;
        let left = with(|state| state.memory.entries());
        for (key, _) in left {
            // Cursors, hints and the registry stay.
            let is_of_somebody = ["/a/", "/c/", "/n/", "/p/", "/s/", "/h/", "/i/", "/e/"].iter();
            if is_of_somebody.clone().any(|part| key.contains(part)) {
                broken(|| format!("{key} is left after everything was released"));
            }
        }
    }

    pub async fn inspect(&self, when: &str) {
        match self.store.inspect().await {
            Ok(found) if found.is_empty() => {}
            Ok(found) => broken(|| format!("fsck finds {when}: {}", found[0])),
            Err(error) => broken(|| format!("fsck fails {when}: {error}")),
        }
    }
}

fn expect_nothing_of(container: &str, after: &str) {
    let Container { id, interface } = interface(container);
    let part = format!("/c/{id}/{interface}");
    if with(|state| state.memory.entries()).iter().any(|(key, _)| key.contains(&part)) {
        broken(|| format!("{container} still holds an address after {after}"));
    }
}

/// A container's interface: `eth0`, or what its name says behind an `@`.
fn interface(container: &str) -> Container {
    let (id, interface) = container.split_once('@').unwrap_or((container, "eth0"));
    Container { id: id.to_owned(), interface: interface.to_owned() }
}

/// A moment between two calls: whoever is next may go on.
pub async fn pause() {
    let Told::Nothing = ask(Asked::Pause).await else { return };
}

fn module_file(name: &str) -> PathBuf {
    let root = std::env::var_os("KUBE_IPAM_POLICIES").map(PathBuf::from);
    let root = root.unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/policies")));
    root.join(format!("{name}.wasm"))
}
