//! kube-apiserver on real etcd, changed through its REST API by an administrator.
//!
//! No controllers run beside it: a marked pod stays until it is deleted for good, as on a node that is gone.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::{Reply, Request};
use super::{Cluster, Rule, group_of, uuid};
use crate::authority::Authority;
use crate::etcd::{Etcd, Setup, free_port, spawn};

const ACCOUNT: &str = "system:serviceaccount:";

/// How long it may take until it serves, or until what was written counts, on a busy machine.
const READY: Duration = Duration::from_secs(120);

/// Who may ask, beside the authority's files: one line for each token, as `--token-auth-file` wants it.
pub(crate) const TOKENS: &str = "tokens.csv";

/// What the server says, in the same place.
const LOG: &str = "kube-apiserver.log";

#[derive(Debug)]
pub(super) struct Real {
    port: u16,
    authority: PathBuf,
    administrator: String,
    child: Child,
    etcd: Etcd,
}

impl Real {
    pub(super) fn start(program: &Path, authority: &Authority) -> Self {
        let (etcd, port, administrator) = (Setup::single().start(), free_port(), uuid());
        std::fs::write(authority.path(TOKENS), format!("{administrator},administrator,0,system:masters\n")).unwrap();
        let command = server(program, authority, &etcd, ("127.0.0.1", port));
        let log = authority.path(LOG);
        let child = spawn(command);
        let mut real = Self { port, authority: authority.certificate(), administrator, child, etcd };
        let said = || std::fs::read_to_string(&log).unwrap_or_default();
        let ready = || {
            assert!(real.child.try_wait().unwrap().is_none(), "kube-apiserver ended:\n{}", said());
            real.request("GET", "/readyz").try_send().is_ok_and(|reply| reply.status == 200)
        };
        wait_until(ready, || format!("it does not serve:\n{}", said()));
        real
    }

    fn request(&self, method: &str, path: &str) -> Request {
        Request::new(self.port, &self.authority, method, path).by(&self.administrator)
    }

    fn post(&self, path: &str, object: &Value) -> Value {
        expect(&[201], &self.request("POST", path).body("application/json", object).send())
    }

    /// Create what has a name of its own, unless it is there.
    fn ensure(&self, path: &str, name: &str) {
        let object = json!({"metadata": {"name": name}});
        expect(&[201, 409], &self.request("POST", path).body("application/json", &object).send());
    }

    fn grant(&self, user: &str, rules: &[Rule]) {
        const ACCESS: &str = "/apis/rbac.authorization.k8s.io/v1";
        let role = uuid();
        let groups = |rule: &Rule| rule.resources.iter().map(|resource| group_of(resource)).collect::<BTreeSet<_>>();
        let rule = |rule: &Rule| json!({"apiGroups": groups(rule), "verbs": rule.verbs, "resources": rule.resources});
        let rules: Vec<Value> = rules.iter().map(rule).collect();
        self.post(&format!("{ACCESS}/clusterroles"), &json!({"metadata": {"name": role}, "rules": rules}));
        let group = "rbac.authorization.k8s.io";
        let binding = json!({
            "metadata": {"name": role},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
        });
        self.post(&format!("{ACCESS}/clusterrolebindings"), &binding);
    }

    /// It reads its own rules and accounts a moment later than it writes them.
    fn counts(&self, token: &str, rules: &[Rule]) -> bool {
        let last = rules.last().map(
            |rule| json!({"verb": rule.verbs[0], "resource": rule.resources[0], "group": group_of(rule.resources[0])}),
        );
        let review = json!({"spec": {"resourceAttributes": last.clone().unwrap_or_else(|| json!({"verb": "get"}))}});
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let reply = Request::new(self.port, &self.authority, "POST", path).by(token);
        let reply = reply.body("application/json", &review).send();
        reply.status == 201 && (last.is_none() || reply.json()["status"]["allowed"] == true)
    }
}

impl Cluster for Real {
    fn port(&self) -> u16 {
        self.port
    }

    fn create(&self, resource: &str, namespace: &str, object: &Value) -> String {
        if !namespace.is_empty() {
            self.ensure("/api/v1/namespaces", namespace);
        }
        let created = self.post(&path(resource, namespace, ""), object);
        created["metadata"]["uid"].as_str().unwrap().to_owned()
    }

    fn patch(&self, resource: &str, namespace: &str, name: &str, patch: &Value) {
        let path = path(resource, namespace, name);
        let (status, rest): (Vec<_>, Vec<_>) =
            patch.as_object().unwrap().clone().into_iter().partition(|(field, _)| field == "status");
        for (path, fields) in [(format!("{path}/status"), status), (path, rest)] {
            if !fields.is_empty() {
                let patch: Value = fields.into_iter().collect();
                expect(&[200], &self.request("PATCH", &path).body("application/merge-patch+json", &patch).send());
            }
        }
    }

    fn delete(&self, resource: &str, namespace: &str, name: &str, gracefully: bool) {
        let options = if gracefully { json!({}) } else { json!({"gracePeriodSeconds": 0}) };
        let request = self.request("DELETE", &path(resource, namespace, name));
        expect(&[200], &request.body("application/json", &options).send());
    }

    fn uid(&self, resource: &str, namespace: &str, name: &str) -> String {
        let found = || self.request("GET", &path(resource, namespace, name)).send();
        // What it makes by itself is there a moment after it serves.
        wait_until(|| found().status == 200, || format!("there is no {resource} {name}"));
        found().json()["metadata"]["uid"].as_str().unwrap().to_owned()
    }

    fn compact(&self) {
        // A write of its own, so that a list read just now is of the past.
        let written = self.etcd.control(&["put", "/compacted", "", "--write-out", "json"]);
        let written: Value = serde_json::from_str(&written).unwrap();
        self.etcd.control(&["compact", &written["header"]["revision"].to_string()]);
    }

    fn user(&self, name: &str, rules: &[Rule]) -> String {
        let account = name.strip_prefix(ACCOUNT).and_then(|account| account.split_once(':'));
        let (namespace, account) = account.unwrap_or_else(|| panic!("the real server has no user but {ACCOUNT}…"));
        self.ensure("/api/v1/namespaces", namespace);
        self.ensure(&path("serviceaccounts", namespace, ""), account);
        self.grant(name, rules);
        let request = self.post(&path("serviceaccounts", namespace, &format!("{account}/token")), &json!({"spec": {}}));
        let token = request["status"]["token"].as_str().unwrap().to_owned();
        wait_until(|| self.counts(&token, rules), || format!("the rules of {name} do not count"));
        token
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// kube-apiserver on this etcd at this place, with the authority's certificate `server`. It dies with this process.
pub(crate) fn server(program: &Path, authority: &Authority, etcd: &Etcd, (address, port): (&str, u16)) -> Command {
    let file = |name: &str| authority.path(name).display().to_string();
    let (certificate, key) = (file("server.pem"), file("server.key"));
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--"])
        .arg(program)
        .args([format!("--bind-address={address}"), format!("--secure-port={port}")])
        .args([format!("--tls-cert-file={certificate}"), format!("--tls-private-key-file={key}")])
        .arg(format!("--etcd-servers={}", etcd.endpoints().join(",")))
        .args(["--authorization-mode=RBAC", &format!("--token-auth-file={}", file(TOKENS))])
        .arg("--service-account-issuer=https://kubernetes.default.svc")
        .args([
            format!("--service-account-signing-key-file={key}"),
            format!("--service-account-key-file={certificate}"),
        ])
        // What they add is of controllers and nodes that tests do without.
        .arg("--disable-admission-plugins=ServiceAccount,TaintNodesByCondition")
        .args(["--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.0.0.0/24"])
        .arg(format!("--cert-dir={}", file("generated")))
        .stderr(std::fs::File::create(file(LOG)).unwrap());
    command
}

fn path(resource: &str, namespace: &str, name: &str) -> String {
    let scope = if namespace.is_empty() { String::new() } else { format!("namespaces/{namespace}/") };
    let name = if name.is_empty() { String::new() } else { format!("/{name}") };
    match group_of(resource) {
        "" | "*" => format!("/api/v1/{scope}{resource}{name}"),
        group => format!("/apis/{group}/v1/{scope}{resource}{name}"),
    }
}

fn expect(codes: &[u16], reply: &Reply) -> Value {
    assert!(codes.contains(&reply.status), "kube-apiserver refuses: {}", reply.text);
    reply.json()
}

fn wait_until(mut holds: impl FnMut() -> bool, complaint: impl Fn() -> String) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < READY, "kube-apiserver: {}", complaint());
        std::thread::sleep(Duration::from_millis(50));
    }
}
