//! A pipe in the place of any file or directory that a configuration names: nobody opens its other end, and no call waits for
//! that.

use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use kube_ipam_tests::node::Node;
use kube_ipam_tests::program::wait;
use kube_ipam_tests::{Answer, Call};
use serde_json::{Value, json};

/// Far more than a call takes that waits for nothing, and less than its `timeout`.
const PATIENCE: Duration = Duration::from_secs(8);

fn with(network: &Value, pointer: &str, value: Value) -> Value {
    let mut network = network.clone();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    network.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(key.to_owned(), value);
    network
}

/// A call by a pod, so that the API server is asked where there is one.
fn call(verb: &str, network: &Value, what: &str) -> Answer {
    let pod = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web";
    let mut child = Call::new(verb, "c1", network).with("CNI_ARGS", pod).start();
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if began.elapsed() > PATIENCE {
            child.kill().unwrap();
            panic!("{verb} waits for {what}");
        }
        sleep(Duration::from_millis(5));
    }
    wait(child)
}

fn pipe(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn no_call_waits_for_the_other_end_of_a_pipe() {
    let node = Node::new();
    pipe(&node.path("pipe"));
    let pipe = json!(node.path("pipe"));
    let network = node.network(json!({}));
    let etcd = with(&network, "/ipam/etcdConfig", json!({"etcdURL": "https://127.0.0.1:1", "etcdUsername": "root"}));
    let certificate = rcgen::generate_simple_self_signed(vec!["node".to_owned()]).unwrap();
    let file = node.write("file", certificate.cert.pem().as_bytes());
    let cases = [
        (&network, "/ipam/logFile"),
        (&network, "/ipam/dataDir"),
        (&network, "/ipam/resolvConf"),
        (&network, "/ipam/kubeConfig"),
        (&network, "/ipam/policy/module"),
        (&network, "/ipam/policy/shadow"),
        (&network, "/ipam/policy/record"),
        (&network, "/ipam/policy/cacheDir"),
        (&etcd, "/ipam/etcdConfig/etcdTrustedCAFileFile"),
        (&etcd, "/ipam/etcdConfig/etcdCertFile"),
        (&etcd, "/ipam/etcdConfig/etcdKeyFile"),
        (&etcd, "/ipam/etcdConfig/etcdPasswordFile"),
    ];
    for (network, pointer) in cases {
        let mut network = network.clone();
        if pointer.ends_with("etcdCertFile") || pointer.ends_with("etcdKeyFile") {
            network = with(&network, "/ipam/etcdConfig/etcdCertFile", json!(file));
            network = with(&network, "/ipam/etcdConfig/etcdKeyFile", json!(file));
        }
        if !pointer.ends_with("etcdPasswordFile") {
            // By its pointer: an index would put a null where there is none.
            network
                .pointer_mut("/ipam/etcdConfig")
                .and_then(Value::as_object_mut)
                .map(|etcd| etcd.remove("etcdUsername"));
        }
        let network = with(&network, pointer, pipe.clone());
        for verb in ["ADD", "STATUS", "DEL"] {
            let answer = call(verb, &network, pointer);
            let told = format!("{} {}", answer.json(), answer.stderr);
            let is_named = told.contains(&node.path("pipe").display().to_string());
            assert!(answer.status == Some(0) || is_named, "{verb} with {pointer}: {answer:?}");
        }
    }
    // No pod fails for want of a log.
    let logged = with(&network, "/ipam/logFile", pipe);
    let added = call("ADD", &logged, "the log");
    assert_eq!(added.status, Some(0));
    assert!(added.stderr.contains("cannot log to") && added.stderr.contains("not a regular file"), "{}", added.stderr);
}
