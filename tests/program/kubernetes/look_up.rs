//! Who asks? The runtime's word where it has one, otherwise one GET; and no address on no answer.

use std::time::{Duration, Instant};

use kube_ipam_tests::Call;
use kube_ipam_tests::apiserver::{ApiServer, Fault, Rule};
use kube_ipam_tests::listing::{held, operate};
use serde_json::{Value, json};

use super::{KUBE_SYSTEM, NODE, Site, add};

const POD: &str = "/api/v1/namespaces/shop/pods/web-0";

#[test]
fn a_pod_is_looked_up_once_and_gets_the_address_it_names() {
    let site = Site::double();
    let uid = site.fixed_pod("web-0", "10.188.0.216");
    let network = site.network(&json!({}));
    assert_eq!(add(&network, "c1", "web-0", &uid).addresses(), ["10.188.0.216"]);
    // Which cluster this is, the first ADD of a node has to ask, and no other.
    assert_eq!(site.asked(), [KUBE_SYSTEM, POD]);
    super::del(&network, "c1");
    assert_eq!(add(&network, "c2", "web-0", &uid).addresses(), ["10.188.0.216"]);
    assert_eq!(site.asked(), [KUBE_SYSTEM, POD, POD]);
}

/// A role of before does not allow it: no pod fails for that, and not every ADD asks again.
#[test]
fn a_cluster_that_may_not_be_asked_for_stays_unknown() {
    let site = Site::double();
    let uid = site.fixed_pod("web-0", "10.188.0.216");
    let pods = Rule { verbs: &["get"], resources: &["pods"] };
    let token = site.server.user("system:serviceaccount:kube-system:limited", &[pods]);
    let network = site.network(&json!({"kubeConfig": site.server.kubeconfig(&token)}));
    for _ in 0..2 {
        assert_eq!(add(&network, "c1", "web-0", &uid).addresses(), ["10.188.0.216"]);
        super::del(&network, "c1");
    }
    assert_eq!(site.asked(), [KUBE_SYSTEM, POD, POD]);
}

/// A runtime's proxy is there for images.
#[test]
fn only_the_kubeconfigs_own_proxy_counts() {
    let site = Site::new();
    let uid = site.fixed_pod("web-0", "10.188.0.216");
    let network = site.network(&json!({}));
    for (nth, proxy) in ["http://127.0.0.1:1", "socks5://127.0.0.1:1", ":::", "http://"].into_iter().enumerate() {
        let container = format!("c{nth}");
        let call = Call::new("ADD", &container, &network).for_pod("shop", "web-0", &uid);
        let call =
            call.with("HTTPS_PROXY", proxy).with("https_proxy", proxy).with("NO_PROXY", "[").with("ALL_PROXY", proxy);
        assert_eq!(call.run().addresses(), ["10.188.0.216"], "{proxy}");
        super::del(&network, &container);
    }
    let proxied = std::fs::read_to_string(&site.kubeconfig).unwrap();
    let proxied =
        proxied.replace("  cluster:\n    server:", "  cluster:\n    proxy-url: http://127.0.0.1:1\n    server:");
    let file = site.directory().join("proxied");
    std::fs::write(&file, proxied).unwrap();
    let (code, text) = add(&site.network(&json!({"kubeConfig": file})), "c9", "web-0", &uid).failure();
    assert!([7, 11].contains(&code) && text.contains("proxy"), "{code} {text}");
}

#[test]
fn a_word_on_hand_overs_that_nobody_understands_is_refused() {
    let site = Site::new();
    let network = site.network(&json!({}));
    for (nth, value) in ["rolling-update", "never", "Never", "always", ""].into_iter().enumerate() {
        let name = format!("web-{nth}");
        let uid = site.pod(&name).annotated("kube-ipam.hand-over", value).create();
        let answer = add(&network, &name, &name, &uid);
        if nth < 2 {
            answer.success();
            continue;
        }
        let (code, text) = answer.failure();
        assert_eq!(code, 103, "{text}");
        for word in ["kube-ipam.hand-over", &name, &format!("{value:?}"), "rolling-update", "never"] {
            assert!(text.contains(word), "{word:?} is missing in {text}");
        }
    }
    assert_eq!(held(&network).len(), 2);
    // As well where the runtime tells the annotations.
    let mut told = network.clone();
    told["runtimeConfig"] = json!({"io.kubernetes.cri.pod-annotations": {"kube-ipam.hand-over": "yes"}});
    assert_eq!(add(&told, "c-told", "web-9", "uid-9").failure().0, 103);
}

#[test]
fn annotations_from_the_runtime_cost_no_request() {
    let site = Site::double();
    let mut network = site.network(&json!({}));
    network["runtimeConfig"] = json!({"io.kubernetes.cri.pod-annotations": {"kube-ipam.ip": "10.188.0.216"}});
    assert_eq!(add(&network, "c1", "web-0", "uid-1").addresses(), ["10.188.0.216"]);
    network["runtimeConfig"]["io.kubernetes.cri.pod-annotations"] = Value::Null;
    assert_eq!(add(&network, "c2", "web-1", "uid-2").addresses(), ["10.188.0.2"]);
    assert_eq!(site.asked(), [KUBE_SYSTEM], "asked by the first ADD of a node");
}

#[test]
fn whoever_is_no_pod_is_not_looked_up() {
    let mut site = Site::double();
    site.server.stop();
    let network = site.network(&json!({}));
    assert_eq!(Call::new("ADD", "c1", &network).run().addresses(), ["10.188.0.2"]);
}

#[test]
fn a_repeated_add_and_a_del_need_no_api_server() {
    let mut site = Site::double();
    let uid = site.fixed_pod("web-0", "10.188.0.216");
    let network = site.network(&json!({}));
    add(&network, "c1", "web-0", &uid).success();
    site.server.stop();
    assert_eq!(add(&network, "c1", "web-0", &uid).addresses(), ["10.188.0.216"]);
    super::del(&network, "c1");
    assert!(held(&network).is_empty());
}

/// ADD has to fail with this code and these words; nothing is held afterwards.
fn refused(network: &Value, uid: &str, code: u64, words: &[&str]) {
    let (found, text) = add(network, "c1", "web-0", uid).failure();
    assert_eq!(found, code, "{text}");
    for word in words {
        assert!(text.contains(word), "{word:?} is missing in {text}");
    }
    assert!(held(network).is_empty());
}

#[test]
fn whatever_is_wrong_with_the_api_server_no_other_address_is_given() {
    let mut site = Site::double();
    let uid = site.fixed_pod("web-0", "10.188.0.216");
    let network = site.network(&json!({"timeout": "20s"}));
    let url = site.server.url();
    for (fault, word) in [
        (Fault::Cut, "cannot reach"),
        (Fault::Garbage, "cannot reach"),
        (Fault::InternalError, "500"),
        (Fault::Stall, "did not answer"),
        (Fault::Slow(Duration::from_secs(30)), "did not answer"),
    ] {
        site.server.fail(fault, 100);
        let start = Instant::now();
        refused(&network, &uid, 11, &[word]);
        assert!(start.elapsed() < Duration::from_secs(15), "{fault:?}");
        site.server.heal();
    }
    site.server.present_foreign_certificate();
    refused(&network, &uid, 11, &[&url, "certificate"]);
    site.server.stop();
    refused(&network, &uid, 11, &[&url, "refused"]);
    site.server.resume();
    assert_eq!(add(&network, "c1", "web-0", &uid).addresses(), ["10.188.0.216"]);
}

#[test]
fn a_busy_api_server_is_asked_again_within_the_bound() {
    let site = Site::double();
    let uid = site.fixed_pod("web-0", "10.188.0.216");
    let network = site.network(&json!({}));
    site.server.fail(Fault::TooManyRequests { retry_after: 1 }, 1);
    assert_eq!(add(&network, "c1", "web-0", &uid).addresses(), ["10.188.0.216"]);
}

#[test]
fn an_api_server_that_stays_busy_is_told_as_busy_within_the_bound() {
    let site = Site::double();
    let uid = site.fixed_pod("web-0", "10.188.0.216");
    let network = site.network(&json!({"timeout": "20s"}));
    for (fault, word) in [
        (Fault::TooManyRequests { retry_after: 1 }, "answers 429 to get pods"),
        (Fault::TooManyRequests { retry_after: 600 }, "answers 429 to get pods"),
        (Fault::Overloaded, "answers 429 to get pods"),
        (Fault::Unavailable, "answers 503 to get pods"),
    ] {
        let before = site.asked().len();
        site.server.fail(fault, usize::MAX);
        let start = Instant::now();
        refused(&network, &uid, 11, &[word]);
        assert!(start.elapsed() < Duration::from_secs(15), "{fault:?}");
        assert!(site.asked().len() > before + 1, "it was asked again");
        site.server.heal();
    }
    assert_eq!(add(&network, "c1", "web-0", &uid).addresses(), ["10.188.0.216"]);
}

#[test]
fn rights_that_are_missing_are_named_as_the_cluster_role_spells_them() {
    let site = Site::new();
    let uid = site.fixed_pod("web-0", "10.188.0.216");
    let token = site.server.user("system:serviceaccount:kube-system:nobody", &[]);
    let nobody = site.server.kubeconfig(&token).display().to_string();
    let network = site.network(&json!({"kubeConfig": nobody}));
    let rule = r#"{apiGroups: [""], resources: ["pods"], verbs: ["get"]}"#;
    refused(&network, &uid, 11, &["system:serviceaccount:kube-system:nobody", rule]);
}

#[test]
fn a_token_that_expired_is_told_with_its_file_and_a_new_one_is_read_at_the_next_call() {
    let site = Site::double();
    let uid = site.fixed_pod("web-0", "10.188.0.216");
    let tokens = site.directory().join("token");
    let old = site.server.user("system:serviceaccount:kube-system:old", &NODE);
    std::fs::write(&tokens, &old).unwrap();
    let kubeconfig = site.server.kubeconfig_with_token_file(&tokens).display().to_string();
    let network = site.network(&json!({"kubeConfig": kubeconfig}));
    site.server.expire(&old);
    refused(&network, &uid, 11, &[&tokens.display().to_string(), "Unauthorized", "expire"]);
    let new = site.server.user("system:serviceaccount:kube-system:new", &NODE);
    std::fs::write(&tokens, &new).unwrap();
    assert_eq!(add(&network, "c1", "web-0", &uid).addresses(), ["10.188.0.216"]);
}

#[test]
fn a_kubeconfig_that_cannot_be_used_is_told_by_name() {
    let site = Site::new();
    let uid = site.fixed_pod("web-0", "10.188.0.216");
    let file = site.directory().join("kubeconfig");
    let network = site.network(&json!({"kubeConfig": file}));
    let name = file.display().to_string();
    refused(&network, &uid, 7, &[&name]);
    for text in ["", "{{{", "apiVersion: v1\nkind: Config\n", "apiVersion: v1\nkind: Config\ncurrent-context: gone\n"] {
        std::fs::write(&file, text).unwrap();
        refused(&network, &uid, 7, &[&name]);
    }
}

#[test]
fn a_pod_that_is_gone_or_another_is_refused() {
    let site = Site::new();
    let network = site.network(&json!({}));
    refused(&network, "uid-1", 11, &["shop/web-0"]);
    let uid = site.fixed_pod("web-0", "10.188.0.216");
    refused(&network, "uid-1", 11, &["shop/web-0", "uid-1", &uid]);
}

#[test]
fn a_static_pod_is_known_by_the_uid_of_its_file() {
    let site = Site::new();
    let pod = site.pod("web-0").annotated("kube-ipam.ip", "10.188.0.216");
    pod.annotated("kubernetes.io/config.hash", "of-the-file").create();
    assert_eq!(add(&site.network(&json!({})), "c1", "web-0", "of-the-file").addresses(), ["10.188.0.216"]);
}

#[test]
fn more_is_fetched_when_the_configuration_includes_it() {
    let site = Site::double();
    let uid = site.pod("web-0").create();
    let mut network = site.network(&json!({"kubernetes": {"include": ["labels", "namespace", "node"]}}));
    network["runtimeConfig"] = json!({"io.kubernetes.cri.pod-annotations": {"kube-ipam.ip": "10.188.0.216"}});
    assert_eq!(add(&network, "c1", "web-0", &uid).addresses(), ["10.188.0.216"]);
    let mut asked = site.asked();
    asked.sort();
    assert_eq!(asked, [KUBE_SYSTEM, "/api/v1/namespaces/shop", POD, "/api/v1/nodes/node-1"]);
}

#[test]
fn a_node_by_another_name_is_told() {
    let site = Site::new();
    let uid = site.pod("web-0").create();
    let network = site.network(&json!({"nodeName": "elsewhere", "kubernetes": {"include": ["node"]}}));
    refused(&network, &uid, 11, &["elsewhere", "ipam.nodeName"]);
}

#[test]
fn what_only_the_api_server_knows_needs_a_kubeconfig() {
    let site = Site::new();
    let mut network = site.network(&json!({"kubernetes": {"include": ["labels"]}}));
    network["ipam"].as_object_mut().unwrap().remove("kubeConfig");
    refused(&network, "uid-1", 7, &["ipam.kubeConfig", "ipam.kubernetes.include"]);
    let network = site.network(&json!({"kubernetes": {"include": ["annotation"]}}));
    refused(&network, "uid-1", 7, &["ipam.kubernetes.include[0]", "labels, namespace or node"]);
}

#[test]
fn the_doctor_says_what_is_wrong_with_the_api_server() {
    let mut site = Site::double();
    let network = site.network(&json!({}));
    let doctor = |network: &Value| {
        let output = operate(&["doctor"], network);
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, text) = doctor(&network);
    // The test's network has its addresses on one node, and its kubeconfig is for everybody to read.
    assert!(code == Some(1) && text.contains("✓ API server") && text.contains("✓ rights"), "{text}");
    assert!(text.contains("✓ clock          as that of the API server"), "{text}");
    assert!(text.contains(&format!("reachable with {} (ipam.kubeConfig); the node exists", site.kubeconfig)), "{text}");
    let (code, text) = doctor(&site.network(&json!({"nodeName": "elsewhere"})));
    assert!(code == Some(1) && text.contains("elsewhere") && text.contains("ipam.nodeName"), "{text}");
    site.server.stop();
    let (code, text) = doctor(&network);
    assert!(code == Some(2) && text.contains("✗ API server"), "{text}");
    assert!(text.contains(&format!("with {} (ipam.kubeConfig): cannot reach", site.kubeconfig)), "{text}");
}

/// In mounts of its own, so that the file is there; nothing is configured.
#[test]
fn the_doctor_says_when_it_is_the_predecessors_kubeconfig_that_is_used() {
    let site = Site::double();
    let mut network = site.network(&json!({}));
    network["ipam"].as_object_mut().unwrap().remove("kubeConfig");
    let file = site.directory().join("unconfigured.conf");
    std::fs::write(&file, network.to_string()).unwrap();
    let pki = "/etc/kubernetes/pki";
    let script = format!(
        "mount -t tmpfs none /etc && mkdir -p {pki} && cp \"$1\" {pki}/kubectl.kubeconfig && exec \"$0\" doctor --conf \"$2\""
    );
    let mut command = std::process::Command::new("unshare");
    command.args(["--mount", "sh", "-c", &script]).arg(kube_ipam_tests::program()).arg(&site.kubeconfig).arg(&file);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    let says = format!(
        "✓ API server     reachable with {pki}/kubectl.kubeconfig (the default of kube-ipam 0.x, used because the file is there)"
    );
    assert!(output.status.code() < Some(2) && text.contains(&says), "{text}");
}

#[test]
fn another_server_under_the_same_name_is_not_believed() {
    let (site, other) = (Site::double(), ApiServer::double());
    let uid = site.fixed_pod("web-0", "10.188.0.216");
    let text = std::fs::read_to_string(&site.kubeconfig).unwrap().replace(&site.server.url(), &other.url());
    let file = site.directory().join("misled");
    std::fs::write(&file, text).unwrap();
    refused(&site.network(&json!({"kubeConfig": file})), &uid, 11, &["certificate"]);
    assert!(other.requests().is_empty());
}
