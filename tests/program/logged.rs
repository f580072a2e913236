//! The log of a node: what each call leaves in it, that it is written by default, and that no call depends on it.

use std::fs;
use std::path::{Path, PathBuf};

use kube_ipam_tests::Call;
use kube_ipam_tests::node::Node;
use kube_ipam_tests::program::NO_LOG;
use serde_json::{Value, json};
use untested::is_root;

/// A node whose network logs into a file of its own.
fn logging() -> (Node, Value, PathBuf) {
    let node = Node::new();
    let mut network = node.network(json!({}));
    network["ipam"]["subnet"] = json!("10.0.0.0/30");
    let log = node.path("kube-ipam.log");
    network["ipam"]["logFile"] = json!(log);
    (node, network, log)
}

fn lines(log: &Path) -> Vec<String> {
    fs::read_to_string(log).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// The one line that a call added.
fn added(log: &Path, seen: &mut usize) -> String {
    let lines = lines(log);
    assert_eq!(lines.len(), *seen + 1, "{lines:#?}");
    *seen = lines.len();
    lines[lines.len() - 1].clone()
}

fn assert_has(line: &str, parts: &[&str]) {
    for part in parts {
        assert!(line.contains(part), "{part} is not in {line}");
    }
}

#[test]
fn each_call_is_one_line() {
    let (_node, network, log) = logging();
    let call = |verb: &str, container: &str| Call::new(verb, container, &network).for_pod("shop", "web-0", "u1");
    let mut seen = 0;
    call("ADD", "c1").run().success();
    let who = " verb=ADD network=blue container=c1 interface=eth0 pod=shop/web-0 node=node-1 ";
    let line = added(&log, &mut seen);
    assert_has(&line, &[" INFO", who, "policy=range-fixed", "attempt=0", "outcome=claimed", "addresses=10.0.0.2 "]);
    assert_has(&line, &[" code=0 ", " ms=", " look_up=", " load=", " decide=", " commit="]);
    call("ADD", "c1").run().success();
    assert_has(&added(&log, &mut seen), &["outcome=\"held already\"", "addresses=10.0.0.2 ", " code=0 "]);

    // The call that fails says all that it told, and what stands in the way is a line of its own.
    Call::new("ADD", "c2", &network).for_pod("shop", "web-1", "u2").run().failure();
    let told = lines(&log)[seen..].to_vec();
    seen += 2;
    assert_eq!(told.len(), 2, "{told:#?}");
    assert_has(&told[0], &[" WARN", "container=c2", "range_set=0"]);
    assert_has(
        &told[1],
        &[" ERROR", "container=c2", "policy=range-fixed", " code=101 ", "outcome=failed", "error=\"network "],
    );
    assert_has(&told[1], &["hint=\"range set 0 has 1 addresses: 1 held", "kube-ipam list --network blue", " ms="]);

    // A DEL is not told the pod. The claim knows it.
    Call::new("DEL", "c1", &network).with("CNI_ARGS", "").run().success();
    let line = added(&log, &mut seen);
    assert_has(&line, &["verb=DEL", "container=c1", "pod=shop/web-0", "outcome=released", "addresses=10.0.0.2 "]);
    call("DEL", "c1").run().success();
    assert_has(&added(&log, &mut seen), &["outcome=\"nothing to release\"", " code=0 "]);

    call("ADD", "c3").run().success();
    seen += 1;
    let mut gc = network.clone();
    gc["cni.dev/valid-attachments"] = json!([]);
    Call::new("GC", "", &gc).run().success();
    let told = lines(&log)[seen..].to_vec();
    seen += 2;
    assert_has(&told[0], &["verb=GC", "container=c3", "pod=shop/web-0", "addresses=10.0.0.2", "message=released"]);
    assert_has(&told[1], &["verb=GC", "outcome=collected", "released=1", " code=0 "]);
    assert_eq!(told.len(), 2, "{told:#?}");

    // Runtimes poll the one, and ask the other of each program before anything else.
    call("STATUS", "").run().success();
    call("VERSION", "").run().success();
    assert_eq!(lines(&log).len(), seen);
}

#[test]
fn a_status_that_fails_is_logged_and_one_that_succeeds_at_debug() {
    let (node, mut network, log) = logging();
    network["ipam"]["logLevel"] = json!("debug");
    node.call("STATUS", "", &network).success();
    assert_has(&lines(&log).pop().unwrap(), &["DEBUG", "verb=STATUS", "code=0"]);
    network["ipam"]["policy"] = json!({"module": node.path("missing.wasm")});
    node.call("STATUS", "", &network).failure();
    assert_has(&lines(&log).pop().unwrap(), &["ERROR", "verb=STATUS", "code=50", "missing.wasm does not exist"]);
}

#[test]
fn the_log_is_on_by_default_and_can_be_switched_off() {
    if !is_root("the log in its default place") {
        return;
    }
    let (node, mut network, _) = logging();
    network["ipam"].as_object_mut().unwrap().remove("logFile");
    let log = node.path("var-log/kube-ipam.log");
    fs::create_dir(node.path("var-log")).unwrap();
    let mount = format!("mount --bind {} /var/log", node.path("var-log").display());
    let call = |network: &Value| Call::new("ADD", "c1", network).with(NO_LOG.0, "").after(&mount).run();
    call(&network).success();
    assert_has(&lines(&log)[0], &["verb=ADD", "outcome=claimed"]);
    // A configuration that cannot even be read leaves a line, too: the node's operator looks here first.
    Call::new("ADD", "c1", &network).with(NO_LOG.0, "").after(&mount).stdin("{\"name\": 5").run().failure();
    assert_has(&lines(&log)[1], &["ERROR", "code=6"]);
    network["ipam"]["logFile"] = json!("none");
    call(&network).success();
    // Nor does a call that fails before its configuration is looked at.
    Call::new("ADD", "", &network).with(NO_LOG.0, "").after(&mount).run().failure();
    assert_eq!(lines(&log).len(), 2);
}

#[test]
fn no_call_fails_for_want_of_its_log_and_a_default_is_not_missed() {
    let (_node, mut network, _) = logging();
    network["ipam"].as_object_mut().unwrap().remove("logFile");
    let nowhere = Call::new("ADD", "c1", &network).with(NO_LOG.0, "/nonexistent/log").run();
    assert_eq!((nowhere.status, nowhere.stderr.as_str()), (Some(0), ""));
    network["ipam"]["logFile"] = json!("/nonexistent/log");
    let named = Call::new("ADD", "c1", &network).run();
    assert!(named.status == Some(0) && named.stderr.contains("cannot log to /nonexistent/log"), "{named:?}");
}

#[test]
fn a_full_log_is_put_aside_once() {
    let (_node, network, log) = logging();
    fs::write(&log, vec![b'x'; 16 << 20]).unwrap();
    let calls: Vec<_> = (0..16).map(|nth| Call::new("ADD", &format!("c{nth}"), &network).start()).collect();
    for call in calls {
        kube_ipam_tests::program::wait(call);
    }
    let older = log.with_extension("log.1");
    assert!(fs::metadata(&older).unwrap().len() >= 16 << 20);
    let all = fs::read(&older).unwrap()[16 << 20..].to_vec();
    let all = String::from_utf8(all).unwrap() + &lines(&log).join("\n");
    assert_eq!(all.matches(" ms=").count(), 16, "{all}");
}
