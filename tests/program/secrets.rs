//! Planted secrets: whatever happens, a password, a token and a private key stand in no answer, error, log, journal, export,
//! archive or record. Each is where a configuration says, and in addition where people put it by mistake.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kube_ipam_tests::apiserver::{ApiServer, Rule};
use kube_ipam_tests::etcd::{Etcd, Setup};
use kube_ipam_tests::{Answer, Call, program};
use serde_json::{Value, json};
use tempfile::TempDir;

const PASSWORD: &str = "planted-password-4711";
const WRONG_PASSWORD: &str = "planted-mistake-4712";
const INLINE: &str = "planted-inline-4713";
const WRONG_TOKEN: &str = "planted-token-4714";

/// A node that looks pods up, on an etcd with users and certificates, and that writes down all it can: log and journal.
struct Site {
    etcd: Etcd,
    server: ApiServer,
    node: TempDir,
    /// The password's file and kubeconfig: the only files of the node that may have what is planted.
    sources: TempDir,
    token: String,
    network: Value,
}

impl Site {
    fn new() -> Self {
        let etcd = Setup::single().with_certificates().with(&["--bcrypt-cost", "4"]).start();
        let user = format!("user add ipam:{PASSWORD}");
        for command in [
            "user add root:planted-root-4710",
            "user grant-role root root",
            "role add ipam",
            "role grant-permission ipam readwrite /kube-ipam/ --prefix",
            &user,
            "user grant-role ipam ipam",
            "auth enable",
        ] {
            etcd.control(&command.split(' ').collect::<Vec<_>>());
        }
        let server = ApiServer::double();
        server.node("node-1");
        let rules = [Rule { verbs: &["get", "list"], resources: &["pods", "nodes", "namespaces"] }];
        let token = server.user("system:serviceaccount:kube-system:kube-ipam", &rules);
        let (node, sources) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut network = etcd.network(&json!({
            "subnet": "10.1.0.0/29",
            "dataDir": node.path().join("data"),
            "logFile": node.path().join("kube-ipam.log"),
            "logLevel": "debug",
            "timeout": "3s",
            "kubeConfig": server.kubeconfig(&token),
            "policy": {"cacheDir": node.path().join("cache"), "record": node.path().join("decisions.jsonl")},
        }));
        let password = sources.path().join("password");
        fs::write(&password, format!("{PASSWORD}\n")).unwrap();
        network["ipam"]["etcdConfig"]["etcdUsername"] = json!("ipam");
        network["ipam"]["etcdConfig"]["etcdPasswordFile"] = json!(password);
        server.pod("shop", "web-0").on("node-1").create();
        Self { etcd, server, node, sources, token, network }
    }

    /// The network with this in the place of a field of `ipam`.
    fn with(&self, pointer: &str, value: Value) -> Value {
        let mut network = self.network.clone();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        network["ipam"].pointer_mut(parent).unwrap()[field] = value;
        network
    }

    fn source(&self, name: &str, text: &str) -> PathBuf {
        let path = self.sources.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// All that must not be seen. The key is looked for by its lines: none is too short to be told from other text.
    fn planted(&self) -> Vec<String> {
        let key = fs::read_to_string(self.etcd.authority().path("client.key")).unwrap();
        let lines = key.lines().filter(|line| line.len() > 20 && !line.starts_with('-')).map(str::to_owned);
        let words = [PASSWORD, WRONG_PASSWORD, INLINE, WRONG_TOKEN, &self.token].map(str::to_owned);
        words.into_iter().chain(lines).collect()
    }

    fn assert_unseen(&self, what: &str, text: &str) {
        for secret in self.planted() {
            assert!(!text.contains(&secret), "{what} shows {secret}:\n{text}");
        }
    }

    /// What a runtime and its operator get to see of every verb.
    fn call_all(&self, network: &Value) -> Vec<Answer> {
        let mut answers = Vec::new();
        for verb in ["STATUS", "ADD", "CHECK", "GC", "DEL"] {
            let answer = Call::new(verb, "c1", network).for_pod("shop", "web-0", "").run();
            self.assert_unseen(verb, &format!("{answer:?}"));
            answers.push(answer);
        }
        answers
    }

    /// What a command shows that is given the network in a file.
    fn operate(&self, command: &[&str], network: &str) -> Output {
        let file = self.node.path().join("blue.conf");
        fs::write(&file, network).unwrap();
        let output = Command::new(program()).args(command).arg("--conf").arg(&file).output().unwrap();
        let shown = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        self.assert_unseen(&command.join(" "), &shown);
        fs::remove_file(file).unwrap();
        output
    }

    fn operate_all(&self, network: &str) {
        let archive = self.node.path().join("bundle.tar");
        let archive = archive.to_str().unwrap();
        for command in [
            &["doctor"][..],
            &["doctor", "-o", "json"],
            &["doctor", "--bundle", archive],
            &["config", "check"],
            &["list"],
            &["usage"],
            &["fsck", "--pods"],
            &["reclaim", "--dry-run"],
            &["show", "shop/web-0"],
        ] {
            self.operate(command, network);
            if let Ok(bundle) = fs::read(archive) {
                self.assert_unseen("the archive", &String::from_utf8_lossy(&bundle));
                fs::remove_file(archive).unwrap();
            }
        }
    }

    /// Every file that the program has left on the node, and all that it has written to etcd.
    fn assert_nothing_left(&self) {
        let mut seen = 0;
        for file in files(self.node.path()) {
            let content = fs::read(&file).unwrap();
            self.assert_unseen(&file.display().to_string(), &String::from_utf8_lossy(&content));
            seen += 1;
        }
        assert!(seen > 0, "the log at least");
        let everything = self.etcd.control(&["--user", "root:planted-root-4710", "get", "--prefix", "/"]);
        self.assert_unseen("etcd", &everything);
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[test]
fn what_works_shows_no_secret() {
    let site = Site::new();
    let add = Call::new("ADD", "held", &site.network).for_pod("shop", "web-0", "").run();
    assert_eq!(add.addresses(), ["10.1.0.2"], "all credentials serve");
    site.operate_all(&site.network.to_string());
    let export = site.node.path().join("export.jsonl");
    let exported = site.operate(&["export", "--to", export.to_str().unwrap()], &site.network.to_string());
    assert!(exported.status.success(), "{}", String::from_utf8_lossy(&exported.stderr));
    let answers = site.call_all(&site.network);
    // CHECK wants the former result, and GC the attachments that live: both are refused, and shown likewise.
    for nth in [0, 1, 4] {
        answers[nth].success();
    }
    site.assert_nothing_left();
}

#[test]
fn a_credential_that_is_refused_is_not_shown() {
    let site = Site::new();
    let wrong_password = site.source("wrong", WRONG_PASSWORD);
    let wrong_token = site.server.kubeconfig(WRONG_TOKEN);
    for network in
        [site.with("/etcdConfig/etcdPasswordFile", json!(wrong_password)), site.with("/kubeConfig", json!(wrong_token))]
    {
        let add = Call::new("ADD", "c1", &network).for_pod("shop", "web-0", "").run();
        add.failure();
        site.assert_unseen("ADD", &format!("{add:?}"));
        site.call_all(&network);
        site.operate_all(&network.to_string());
    }
    site.assert_nothing_left();
}

#[test]
fn a_secret_in_the_wrong_place_is_not_shown() {
    let site = Site::new();
    let key = site.etcd.authority().path("client.key");
    let good = fs::read_to_string(site.server.kubeconfig(&site.token)).unwrap();
    let token = format!("token: {}", site.token);
    let broken: [(&str, String); 3] = [
        ("as-text", good.replace(&format!("user:\n    {token}"), &format!("user: {}", site.token))),
        ("as-list", good.replace(&token, &format!("token: [{}]", site.token))),
        ("unclosed", good.replace(&token, &format!("token: \"{}", site.token))),
    ];
    let mut networks = vec![
        // The key where a certificate is expected, and the password where a file is.
        site.with("/etcdConfig/etcdCertFile", json!(key)),
        site.with("/etcdConfig/etcdTrustedCAFileFile", json!(key)),
        site.with("/etcdConfig/etcdKeyFile", json!(site.source("password-as-key", PASSWORD))),
    ];
    for (name, text) in &broken {
        assert_ne!(*text, good, "{name} breaks it");
        networks.push(site.with("/kubeConfig", json!(site.source(name, text))));
    }
    for network in networks {
        let add = Call::new("ADD", "c1", &network).for_pod("shop", "web-0", "").run();
        assert_ne!(add.status, Some(0), "{add:?}\n{network}");
        site.call_all(&network);
        site.operate_all(&network.to_string());
    }
    site.assert_nothing_left();
}

/// A password in the configuration itself: no field takes one, and whoever tries is told so without it.
#[test]
fn a_password_in_the_configuration_is_refused_and_not_repeated() {
    let site = Site::new();
    for (pointer, value) in [
        ("/etcdConfig/etcdPassword", json!(INLINE)),
        ("/etcdConfig/password", json!(INLINE)),
        ("/etcdConfig/etcdPasswordFile", json!({"password": INLINE})),
        ("/kubernetes", json!({"token": INLINE})),
    ] {
        let network = site.with(pointer, value);
        let (code, text) = Call::new("ADD", "c1", &network).run().failure();
        assert!(code == 6 || code == 7, "{pointer}: {code} {text}");
        site.call_all(&network);
        site.operate_all(&network.to_string());
    }
    let mut with_user = site.network.clone();
    let address = site.etcd.endpoints()[0].replace("://", &format!("://ipam:{INLINE}@"));
    with_user["ipam"]["etcdConfig"]["etcdURL"] = json!(address);
    let cut = site.with("/etcdConfig/etcdPassword", json!(INLINE)).to_string();
    let cut = &cut[..cut.len() - 1];
    let add = Call::new("ADD", "c1", &with_user).for_pod("shop", "web-0", "").run();
    site.assert_unseen("ADD", &format!("{add:?}"));
    site.call_all(&with_user);
    site.operate_all(&with_user.to_string());
    let add = Call::new("ADD", "c1", &with_user).stdin(cut).run();
    add.failure();
    site.assert_unseen("ADD", &format!("{add:?}"));
    site.operate_all(cut);
    site.assert_nothing_left();
}
