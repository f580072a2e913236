//! What it costs to know who asks: annotations that the runtime passes, and those that the API server has to be asked for.

use std::time::{Duration, Instant};

use kube_ipam_tests::Call;
use kube_ipam_tests::apiserver::{ApiServer, Rule};
use kube_ipam_tests::program::network;
use serde_json::{Value, json};

use crate::sample::{Pairs, ROUNDS, header, median, milliseconds, time};

const NODE: [Rule; 1] = [Rule { verbs: &["get"], resources: &["pods", "namespaces"] }];
const ANNOTATIONS: &str = "io.kubernetes.cri.pod-annotations";

pub(crate) fn print() {
    let server = ApiServer::double();
    server.create("namespaces", "", &json!({"metadata": {"name": "shop"}}));
    let uid = server.pod("shop", "web").annotated("kube-ipam.ip", "10.4.200.1").create();
    let token = server.user("system:serviceaccount:kube-system:kube-ipam", &NODE);
    let directory = tempfile::tempdir().unwrap();
    let kubeconfig = json!({"subnet": "10.4.0.0/16", "kubeConfig": server.kubeconfig(&token)});
    let asks = network(directory.path(), &kubeconfig);
    let told = |annotations: Value| {
        let mut network = asks.clone();
        network["runtimeConfig"] = json!({ANNOTATIONS: annotations});
        network
    };
    let (dynamic, fixed) = (told(Value::Null), told(json!({"kube-ipam.ip": "10.4.200.1"})));

    header("dynamic");
    let add = |network: &Value| {
        let call = |verb| Call::new(verb, "bench", network).for_pod("shop", "web", &uid);
        let elapsed = time(&call("ADD"));
        call("DEL").run().success();
        elapsed
    };
    let (mut from_runtime, mut from_server) = (Pairs::default(), Pairs::default());
    let (mut extra, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        from_runtime.push(add(&fixed), add(&dynamic));
        let (asking, plain) = (add(&asks), add(&dynamic));
        from_server.push(asking, plain);
        extra.push(asking.saturating_sub(plain));
        bare.push(request(&server, &token));
    }
    from_runtime.print("ADD, fixed, told by runtime");
    from_server.print("ADD, fixed, one GET");
    println!("\nthe GET adds {}", milliseconds(median(&mut extra)).trim());
    println!("a TLS connection and one GET, by themselves {}", milliseconds(median(&mut bare)).trim());
}

/// The same GET, without a Kubernetes client.
fn request(server: &ApiServer, token: &str) -> Duration {
    let start = Instant::now();
    server.request("GET", "/api/v1/namespaces/shop/pods/web").by(token).send();
    start.elapsed()
}
