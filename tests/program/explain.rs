//! What an ADD would come to: the same as the ADD then comes to, and nothing has changed by asking.

use std::fs;

use kube_ipam_tests::etcd::{Etcd, Setup};
use kube_ipam_tests::node::Node;
use kube_ipam_tests::program::network;
use kube_ipam_tests::{Call, program};
use serde_json::{Value, json};

struct Site {
    node: Node,
    network: Value,
    etcd: Option<Etcd>,
}

impl Site {
    fn embedded(ipam: &Value) -> Self {
        let node = Node::new();
        Self { network: network(&node.path("data"), ipam), node, etcd: None }
    }

    fn on_etcd(ipam: &Value) -> Self {
        let etcd = Setup::single().start();
        let mut site = Self::embedded(ipam);
        site.network["ipam"]["etcdConfig"] = etcd.section();
        Self { etcd: Some(etcd), ..site }
    }

    fn add(&self, container: &str, pod: &str) -> program::Answer {
        self.call(container, pod, None).run()
    }

    fn call(&self, container: &str, pod: &str, annotations: Option<Value>) -> Call {
        let mut network = self.network.clone();
        if let Some(annotations) = annotations {
            network["runtimeConfig"]["io.kubernetes.cri.pod-annotations"] = annotations;
        }
        Call::new("ADD", container, &network).for_pod("shop", pod, &format!("uid-of-{pod}"))
    }

    fn run(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let conf = self.node.conf(&self.network);
        self.node.run(&[&["explain"], arguments, &["--conf", &conf]].concat())
    }

    fn explained(&self, arguments: &[&str]) -> Value {
        let (_, printed) = self.run(&[arguments, &["-o", "json"]].concat());
        let mut explained: Value = serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"));
        explained[0].take()
    }

    /// All that the store is made of, to the byte, and etcd's revision, which every write moves on.
    fn store(&self) -> Vec<u8> {
        match &self.etcd {
            Some(etcd) => {
                let everything: Value =
                    serde_json::from_str(&etcd.control(&["get", "", "--prefix", "--write-out", "json"])).unwrap();
                format!("{} {}", everything["header"]["revision"], everything["kvs"]).into_bytes()
            }
            None => fs::read(self.node.path("data/ipam.mdb")).unwrap(),
        }
    }

    /// The files of the node, but for LMDB's table of readers.
    fn files(&self) -> Vec<String> {
        let mut files = self.node.names("data");
        files.retain(|name| !name.contains("lock"));
        files
    }
}

fn sites(ipam: &Value) -> [Site; 2] {
    [Site::embedded(ipam), Site::on_etcd(ipam)]
}

#[test]
fn an_add_comes_to_what_was_explained_and_asking_changes_nothing() {
    for site in sites(&json!({"ranges": [[{"subnet": "10.1.0.0/28"}], [{"subnet": "fd00::/64"}]], "cooldown": "1h"})) {
        site.add("c1", "db").success();
        site.add("c2", "web").success();
        let (before, files) = (site.store(), site.files());
        let explained = site.explained(&["shop/cache"]);
        let claims = explained["outcome"]["claims"].as_array().unwrap();
        let addresses: Vec<&str> = claims.iter().map(|one| one["address"].as_str().unwrap()).collect();
        assert_eq!(explained["policy"]["name"], "range-fixed");
        let asked = explained["decisions"][0]["asked"].to_string();
        assert!(asked.contains("the next free address "), "{asked}");
        // Of a pod that holds addresses: why these, and that a new container takes them over.
        let held = site.explained(&["shop/web"]);
        assert_eq!(held["held"][0]["container"], "c2");
        assert_eq!(held["previous"]["container"], "c2");
        assert_eq!(held["outcome"]["claims"][0]["why"], "previous");
        let (status, text) = site.run(&["shop/web", "--annotation", "kube-ipam.ip=10.1.0.9,fd00::9"]);
        assert!(status == Some(0) && text.contains("would claim  10.1.0.9/28 (fixed"), "{text}");
        assert!(text.contains("annotated    kube-ipam.ip=10.1.0.9,fd00::9; from the command line"), "{text}");
        assert!(text.contains("verified") && text.contains("an annotation names it"), "{text}");
        assert!(site.store() == before && site.files() == files, "explain has written something");
        assert_eq!(site.add("c3", "cache").addresses(), addresses, "{explained}");
    }
}

#[test]
fn a_refusal_is_the_one_that_the_add_answers() {
    for site in sites(&json!({"subnet": "10.1.0.0/30"})) {
        let wanted = json!({"kube-ipam.ip": "10.1.0.2"});
        let nonsense = json!({"kube-ipam.ips": "10.1.0.2"});
        site.add("c1", "db").success();
        let before = site.store();
        for (annotations, code) in [(None, 101), (Some(wanted), 102), (Some(nonsense), 103)] {
            let mut arguments = vec!["shop/web".to_owned(), "--uid".to_owned(), "uid-of-web".to_owned()];
            for (name, value) in annotations.iter().flat_map(|all| all.as_object().unwrap()) {
                arguments.extend(["--annotation".to_owned(), format!("{name}={}", value.as_str().unwrap())]);
            }
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let failed = site.explained(&arguments)["outcome"]["fails"].clone();
            let answer = site.call("c2", "web", annotations).run();
            assert_eq!(answer.failure().0, code, "{answer:?}");
            let (answered, same) = (answer.json(), |field: &str| failed[field].as_str().unwrap().to_owned());
            assert_eq!((&answered["code"], answered["msg"].as_str()), (&failed["code"], Some(&*same("message"))));
            assert_eq!(answered["details"].as_str().unwrap(), same("hint"), "{failed}");
            let (status, text) = site.run(&arguments);
            assert!(status == Some(1) && text.contains(&format!("would fail   code {code}: ")), "{text}");
        }
        assert!(site.store() == before);
    }
}

#[test]
fn a_request_in_a_file_and_another_node() {
    let site = Site::embedded(&json!({"subnet": "10.1.0.0/28"}));
    let record = site.node.path("decisions");
    let mut recorded = site.network.clone();
    recorded["ipam"]["policy"] = json!({"record": record});
    Call::new("ADD", "c1", &recorded).for_pod("shop", "web", "u1").run().success();
    let before = fs::read(&record).unwrap();
    let file = record.display().to_string();
    let explained = site.explained(&["--request", &file, "--ip", "10.1.0.7", "--node", "node-9"]);
    assert_eq!((&explained["node"], &explained["pod"]["name"]), (&json!("node-9"), &json!("web")));
    assert_eq!(explained["outcome"]["claims"][0]["why"], "request", "{explained}");
    let site = Site { network: recorded, ..site };
    site.run(&["shop/other"]);
    assert_eq!(fs::read(&record).unwrap(), before, "no decision is recorded");
    let (status, printed) = site.run(&["--request", "/nonexistent"]);
    assert!(
        status == Some(1) && printed.contains("/nonexistent: ") && printed.contains("hint: name a file"),
        "{printed}"
    );
}
