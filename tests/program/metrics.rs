//! `kube-ipam metrics`: what calls came to, after processes that lived for two milliseconds each, and how the stores are.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use kube_ipam_tests::etcd::Setup;
use kube_ipam_tests::listing::operate;
use kube_ipam_tests::metrics::{exposition, promtool, samples, sum_of};
use kube_ipam_tests::node::Node;
use kube_ipam_tests::program::wait;
use kube_ipam_tests::{Call, is_root};
use serde_json::{Value, json};

/// The sum of the metrics of a network that have this name and these labels.
fn told(network: &Value, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    sum_of(&samples(&exposition(network, &[])), name, labels)
}

#[test]
fn calls_decisions_and_phases_are_counted_after_their_processes() {
    let node = Node::new();
    let mut network = node.network(json!({}));
    network["ipam"]["subnet"] = json!("10.0.0.0/30");
    network["ipam"]["cooldown"] = json!("1h");
    node.call("ADD", "c1", &network).success();
    assert_eq!(node.call("ADD", "c2", &network).failure().0, 101);
    node.call("ADD", "c1", &network).success();
    node.call("STATUS", "", &network).success();
    node.call("DEL", "c1", &network).success();
    let mut faulty = network.clone();
    faulty["ipam"]["policy"] = json!({"module": node.guest("unreachable")});
    assert_eq!(node.call("ADD", "c3", &faulty).failure().0, 105);
    faulty["ipam"]["policy"]["onFault"] = json!("default");
    assert_eq!(node.call("ADD", "c3", &faulty).failure().0, 101);
    faulty["ipam"]["policy"] = json!({"module": node.path("missing.wasm")});
    assert_eq!(node.call("STATUS", "", &faulty).failure().0, 50);

    let text = exposition(&network, &[]);
    promtool(&["check", "metrics"], &text).unwrap();
    let samples = samples(&text);
    let sum = |name: &str, labels: &[(&str, &str)]| sum_of(&samples, name, labels);
    let calls =
        |verb: &str, code: &str| sum("kube_ipam_calls_total", &[("network", "blue"), ("verb", verb), ("code", code)]);
    assert_eq!([calls("ADD", "0"), calls("ADD", "101"), calls("ADD", "105")], [Some(2.0), Some(2.0), Some(1.0)]);
    assert_eq!(
        [calls("DEL", "0"), calls("STATUS", "0"), calls("STATUS", "50")],
        [Some(1.0), None, Some(1.0)],
        "{text}"
    );
    let decisions = |policy: &str, verdict: &str| {
        sum("kube_ipam_decisions_total", &[("network", "blue"), ("policy", policy), ("verdict", verdict)])
    };
    assert_eq!([decisions("range-fixed", "proposed"), decisions("range-fixed", "exhausted")], [Some(1.0), Some(1.0)]);
    assert_eq!([decisions("unreachable", "fault"), decisions("unreachable.wasm", "fault")], [Some(1.0), Some(1.0)]);
    assert_eq!(decisions("range-fixed (for unreachable.wasm)", "exhausted"), Some(1.0), "{text}");

    let adds = |le: &str| sum("kube_ipam_add_duration_seconds_bucket", &[("le", le)]).unwrap();
    assert_eq!((adds("10"), adds("+Inf"), sum("kube_ipam_add_duration_seconds_count", &[])), (5.0, 5.0, Some(5.0)));
    assert!(adds("0.001") <= adds("0.01") && adds("0.01") <= adds("0.5"));
    let whole = sum("kube_ipam_add_duration_seconds_sum", &[]).unwrap();
    let phase =
        |phase: &str, part: &str| sum(&format!("kube_ipam_add_phase_duration_seconds_{part}"), &[("phase", phase)]);
    assert_eq!(
        (phase("look_up", "count"), phase("commit", "count"), phase("decide", "count")),
        (Some(5.0), Some(1.0), Some(4.0))
    );
    assert!(phase("decide", "sum").unwrap() < whole && whole < 60.0);

    let addresses =
        |state: &str| sum("kube_ipam_addresses", &[("network", "blue"), ("range_set", "0"), ("state", state)]);
    let states = ["free", "held", "on_hold", "reserved"].map(|state| addresses(state).unwrap());
    assert_eq!(states, [0.0, 0.0, 1.0, 0.0]);
    assert!(
        text.contains("kube_ipam_range_set_info{network=\"blue\",range_set=\"0\",ranges=\"10.0.0.2\"} 1\n"),
        "{text}"
    );
    assert_eq!(sum("kube_ipam_store_up", &[("network", "blue")]), Some(1.0));
    assert_eq!(sum("kube_ipam_counts_unreadable_total", &[]), Some(0.0));
    assert_eq!(sum("kube_ipam_build_info", &[]), Some(1.0));
}

#[test]
fn sixteen_processes_at_once_lose_no_count_and_names_of_pods_are_nowhere() {
    let node = Node::new();
    let network = node.network(json!({}));
    for round in 0..5 {
        let calls = (0..16).map(|nth| {
            let (container, uid) = (format!("secret-{round}-{nth}"), format!("u{round}-{nth}"));
            Call::new("ADD", &container, &network).for_pod("secret", &container, &uid).start()
        });
        for call in calls.collect::<Vec<_>>() {
            wait(call).success();
        }
    }
    let text = exposition(&network, &[]);
    assert_eq!(sum_of(&samples(&text), "kube_ipam_calls_total", &[("verb", "ADD"), ("code", "0")]), Some(80.0));
    assert_eq!(sum_of(&samples(&text), "kube_ipam_add_duration_seconds_count", &[]), Some(80.0));
    assert!(!text.contains("secret"), "{text}");
}

#[test]
fn a_file_is_replaced_whole_and_readable_for_a_collector() {
    let node = Node::new();
    let network = node.network(json!({}));
    node.call("ADD", "c1", &network).success();
    let file = node.path("kube-ipam.prom");
    let output = operate(&["metrics", "--output", file.to_str().unwrap()], &network);
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
    assert_eq!(fs::read_to_string(&file).unwrap(), exposition(&network, &[]));
    assert!(!node.names("").iter().any(|name| name.contains("partial")));
    let output = operate(&["metrics", "--output", node.path("absent/kube-ipam.prom").to_str().unwrap()], &network);
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code() == Some(1)
            && told.contains("absent/kube-ipam.prom: No such file")
            && told.contains("hint: "),
        "{told}"
    );
}

#[test]
fn nothing_is_counted_where_it_is_switched_off_or_cannot_be_written() {
    let node = Node::new();
    let mut network = node.network(json!({}));
    network["ipam"]["metrics"] = json!("off");
    node.call("ADD", "c1", &network).success();
    assert!(!node.names("data").iter().any(|name| name.starts_with("calls.")), "{:?}", node.names("data"));
    network["ipam"]["metrics"] = json!("often");
    let (code, says) = node.call("ADD", "c2", &network).failure();
    assert!(code == 7 && says.contains("ipam.metrics") && says.contains("on or off"), "{says}");
    network["ipam"]["metrics"] = json!("on");
    node.call("ADD", "c2", &network).success();
    assert_eq!(told(&network, "kube_ipam_calls_total", &[("code", "0")]), Some(1.0));

    // Neither a disk without room nor a file of somebody else's is a call's business.
    for unwritable in ["rm -f FILE; ln -s /dev/full FILE", "rm -f FILE; mkdir FILE", "rm -rf FILE; mkfifo FILE"] {
        let script = unwritable.replace("FILE", &node.path("data/calls.0").display().to_string());
        assert!(std::process::Command::new("sh").args(["-c", &script]).status().unwrap().success());
        let added = node.call("ADD", "c2", &network);
        assert_eq!((added.status, added.stderr.as_str()), (Some(0), ""), "{unwritable}");
        let (_, doctor) = node.run(&["doctor", "--conf", &node.conf(&network)]);
        assert!(doctor.contains("metrics") && doctor.contains("calls are not counted"), "{unwritable}: {doctor}");
    }
}

/// The addresses are elsewhere, so that the disk of the node has no other part in the call.
#[test]
fn neither_a_full_nor_a_read_only_disk_fails_a_call() {
    if !is_root("a full disk") {
        return;
    }
    let etcd = Setup::single().start();
    let network = etcd.network(&json!({"subnet": "10.1.0.0/24"}));
    Call::new("ADD", "c0", &network).run().success();
    let directory = network["ipam"]["dataDir"].as_str().unwrap();
    let full =
        format!("mount -t tmpfs -o size=64k none {directory} && (cat /dev/zero >{directory}/fill 2>/dev/null; true)");
    let read_only = format!("mount --bind {directory} {directory} && mount -o remount,bind,ro {directory}");
    for (container, disk) in [("c1", full), ("c2", read_only)] {
        let added = Call::new("ADD", container, &network).after(&disk).run();
        assert_eq!((added.status, added.stderr.as_str()), (Some(0), ""), "{disk}");
    }
    assert_eq!(told(&network, "kube_ipam_calls_total", &[("verb", "ADD")]), Some(1.0));
}

#[test]
fn what_nodes_share_is_told_apart_from_what_is_a_nodes_own() {
    let etcd = Setup::single().with_certificates().start();
    let network = etcd.network(&json!({"subnet": "10.1.0.0/24", "timeout": "2s"}));
    Call::new("ADD", "c1", &network).run().success();
    let reserved = operate(&["reserve", "10.1.0.9", "--reason", "printer", "--yes"], &network);
    assert!(reserved.status.success(), "{reserved:?}");
    let all = exposition(&network, &[]);
    promtool(&["check", "metrics"], &all).unwrap();
    let (node, shared) = (exposition(&network, &["--only", "node"]), exposition(&network, &["--only", "shared"]));
    let of = |text: &str, name: &str, labels: &[(&str, &str)]| sum_of(&samples(text), name, labels);
    let endpoint = etcd.endpoints().remove(0);

    assert_eq!(of(&node, "kube_ipam_calls_total", &[("verb", "ADD")]), Some(1.0));
    assert_eq!(of(&shared, "kube_ipam_calls_total", &[]), None);
    for (state, count) in [("free", 251.0), ("held", 1.0), ("on_hold", 0.0), ("reserved", 1.0)] {
        assert_eq!(of(&shared, "kube_ipam_addresses", &[("state", state)]), Some(count), "{state}");
    }
    assert_eq!(of(&node, "kube_ipam_addresses", &[]), None);
    let member = [("member", endpoint.as_str())];
    let size = of(&shared, "kube_ipam_etcd_database_bytes", &member).unwrap();
    assert!(size > 0.0 && of(&shared, "kube_ipam_etcd_quota_bytes", &member).unwrap() > size, "{shared}");
    assert_eq!(of(&shared, "kube_ipam_etcd_member_up", &member), Some(1.0));
    let client = etcd.authority().path("client.pem").display().to_string();
    let year_2999 = 32_482_000_000.0..32_483_000_000.0;
    for (text, certificate) in [(&node, client), (&shared, endpoint)] {
        let until = of(text, "kube_ipam_certificate_expiry_timestamp_seconds", &[("certificate", &certificate)]);
        assert!(year_2999.contains(&until.unwrap()), "{certificate}: {until:?}");
    }

    // A store that does not answer hides nothing of the node, and is a metric itself.
    etcd.kill(0);
    assert_eq!(Call::new("ADD", "c2", &network).run().failure().0, 11);
    let output = operate(&["metrics"], &network);
    let (text, warned) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success() && warned.contains("the addresses of network \"blue\" cannot be read"), "{warned}");
    assert_eq!(of(&text, "kube_ipam_store_up", &[("network", "blue")]), Some(0.0));
    assert_eq!(of(&text, "kube_ipam_etcd_member_up", &[]), Some(0.0));
    assert_eq!(of(&text, "kube_ipam_calls_total", &[("code", "11")]), Some(1.0));
    promtool(&["check", "metrics"], &text).unwrap();
}

#[test]
fn a_shadow_is_counted_by_whether_it_agrees() {
    let node = Node::new();
    let network = node.network(json!({"shadow": {"module": node.guest("unreachable")}}));
    node.call("ADD", "c1", &network).success();
    let shadow = |outcome: &str| {
        let labels = [("policy", "range-fixed"), ("shadow", "unreachable"), ("outcome", outcome)];
        told(&network, "kube_ipam_shadow_decisions_total", &labels)
    };
    assert_eq!([shadow("same"), shadow("different"), shadow("fault")], [Some(0.0), Some(0.0), Some(1.0)]);
}

#[test]
fn addresses_of_containers_that_libcni_no_longer_knows_have_leaked() {
    let node = Node::new();
    let network = node.network(json!({}));
    for container in ["c1", "c2"] {
        node.call("ADD", container, &network).success();
    }
    fs::create_dir_all(node.path("cache/results")).unwrap();
    let cache = node.path("cache").display().to_string();
    let leaked = |options: &[&str]| {
        let options = [options, &["--cache-dir", &cache]].concat();
        sum_of(&samples(&exposition(&network, &options)), "kube_ipam_leaked_addresses", &[("network", "blue")])
    };
    assert_eq!(leaked(&[]), Some(0.0), "their ADDs may still be running");
    assert_eq!(leaked(&["--grace", "0s"]), Some(2.0));
    node.call("DEL", "c2", &network).success();
    assert_eq!(leaked(&["--grace", "0s", "--only", "node"]), Some(1.0));
    assert_eq!(leaked(&["--only", "shared"]), None);
    fs::remove_dir_all(node.path("cache")).unwrap();
    assert_eq!(leaked(&["--grace", "0s"]), None, "nothing is known where no runtime uses libcni");
}
