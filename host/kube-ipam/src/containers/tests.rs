//! Files as libcni's versions leave them.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use ipam::{Kind, RangeSpec};

struct Cache {
    directory: tempfile::TempDir,
}

impl Cache {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("results")).unwrap();
        Self { directory }
    }

    fn write(&self, name: &str, content: &Value) -> PathBuf {
        let file = self.directory.path().join("results").join(name);
        fs::write(&file, content.to_string()).unwrap();
        file
    }

    fn read(&self) -> Containers {
        Containers::read([self.directory.path()]).unwrap()
    }
}

fn attachment(network: &str, container: &str, interface: &str) -> Attachment {
    Attachment { network: network.into(), container: container.into(), interface: interface.into() }
}

fn entry(container: &str, address: &str) -> Value {
    json!({
        "kind": "cniCacheV1", "containerId": container, "config": "e30=", "ifName": "eth0", "networkName": "blue",
        "result": {"cniVersion": "1.0.0", "ips": [{"address": address, "gateway": "10.1.0.1", "interface": 2}], "dns": {}},
    })
}

fn range_sets() -> RangeSets {
    let specs = ["10.1.0.0/24", "fd00::/64"].map(|subnet| vec![RangeSpec::of_subnet(subnet.parse().unwrap())]);
    RangeSets::new(specs.into(), &[]).unwrap()
}

fn text(assignment: &Assignment) -> String {
    let Assignment { address, prefix_length, gateway, kind, .. } = assignment;
    let gateway = gateway.map_or("-".to_owned(), |gateway| gateway.to_string());
    format!("{address}/{prefix_length} via {gateway} {kind:?}")
}

/// As containerd 1.7 writes it: arguments, annotations, a namespace.
#[test]
fn a_result_says_who_has_which_address_and_how() {
    let cache = Cache::new();
    let mut whole = entry("c1", "10.1.0.7/24");
    whole["result"]["ips"].as_array_mut().unwrap().push(json!({"address": "fd00::7/64"}));
    whole["result"]["ips"].as_array_mut().unwrap().push(json!({"address": "192.168.9.9/24"}));
    whole["cniArgs"] = json!([
        ["K8S_POD_NAMESPACE", "shop"],
        ["K8S_POD_NAME", "web-1"],
        ["K8S_POD_UID", "u1"],
        ["K8S_POD_INFRA_CONTAINER_ID", "c1"],
        ["IgnoreUnknown", "1"],
        ["TELEPHONE", "5"]
    ]);
    whole["capabilityArgs"] = json!({"io.kubernetes.cri.pod-annotations": {"kube-ipam.ip": "10.1.0.7/24, 10.1.0.8"}});
    cache.write("blue-c1-eth0", &whole);
    let containers = cache.read();
    let living = containers.living("blue", &[], &range_sets());
    assert_eq!(living.len(), 1);
    assert_eq!(living[0].attachment, attachment("blue", "c1", "eth0"));
    let pod = living[0].pod.as_ref().unwrap();
    assert_eq!((pod.to_string(), pod.uid.as_deref()), ("shop/web-1".to_owned(), Some("u1")));
    let addresses: Vec<String> = living[0].addresses.iter().map(text).collect();
    assert_eq!(addresses, ["10.1.0.7/24 via 10.1.0.1 Fixed", "fd00::7/64 via - Dynamic"], "those inside the ranges");
    assert_eq!(containers.in_use()[&living[0].attachment].len(), 3);
    assert!(containers.living("green", &[], &range_sets()).is_empty());
}

#[test]
fn the_address_named_for_the_interface_is_the_fixed_one() {
    let cache = Cache::new();
    let annotations =
        json!({"kube-ipam.ip": "10.1.0.7", "kube-ipam.ip.blue": "10.1.0.8", "kube-ipam.ip.blue.eth0": "10.1.0.9"});
    for (container, address) in [("c1", "10.1.0.8/24"), ("c2", "10.1.0.9/24")] {
        let mut whole = entry(container, address);
        whole["capabilityArgs"] = json!({"io.kubernetes.cri.pod-annotations": annotations});
        cache.write(&format!("blue-{container}-eth0"), &whole);
    }
    let living = cache.read();
    let kinds: Vec<Kind> = living.living("blue", &[], &range_sets()).iter().map(|one| one.addresses[0].kind).collect();
    assert_eq!(kinds, [Kind::Dynamic, Kind::Fixed]);
}

#[test]
fn old_forms_are_read_and_names_tell_what_they_do_not() {
    let cache = Cache::new();
    let bare = json!({"cniVersion": "0.3.1", "ips": [{"version": "4", "address": "10.1.0.5/24"}], "dns": {}});
    cache.write("my-blue-abc123-eth0", &bare);
    cache.write(
        "blue-def456-net1",
        &json!({"cniVersion": "0.2.0", "ip4": {"ip": "10.1.0.6/24", "gateway": "10.1.0.1"},
        "ip6": {"ip": "fd00::6/64"}, "dns": {}}),
    );
    // IPv4 written as IPv6, and an address that is alone in its subnet.
    let ips = json!([{"address": "::ffff:10.1.0.8/120", "gateway": "::ffff:10.1.0.1"}, {"address": "10.1.0.9"}]);
    cache.write("blue-789abc-eth0", &json!({"cniVersion": "1.0.0", "ips": ips}));
    let containers = cache.read();
    assert_eq!(containers.unreadable, []);
    let found = |attachment: &Attachment| -> Vec<String> {
        containers.get(attachment).unwrap().addresses.iter().map(text).collect()
    };
    assert_eq!(found(&attachment("my-blue", "abc123", "eth0")), ["10.1.0.5/24 via - Dynamic"]);
    let old = found(&attachment("blue", "def456", "net1"));
    assert_eq!(old, ["10.1.0.6/24 via 10.1.0.1 Dynamic", "fd00::6/64 via - Dynamic"]);
    let mapped = found(&attachment("blue", "789abc", "eth0"));
    assert_eq!(mapped, ["10.1.0.8/24 via 10.1.0.1 Dynamic", "10.1.0.9/32 via - Dynamic"]);
}

#[test]
fn what_cannot_be_read_is_named_and_still_counts_as_there() {
    let cache = Cache::new();
    fs::create_dir(cache.directory.path().join("results/folder")).unwrap();
    let half = cache.directory.path().join("results/blue-c1-eth0");
    fs::write(&half, r#"{"kind": "cniCacheV1", "contai"#).unwrap();
    cache.write("blue-c2-eth0", &json!({"kind": "cniCacheV9"}));
    cache.write("blue-c3-eth0", &entry("c3", "10.1.0"));
    cache.write("blue-c4-eth0", &json!({"something": "else"}));
    let containers = cache.read();
    let mut names: Vec<_> =
        containers.unreadable.iter().map(|(file, _)| file.file_name().unwrap().to_owned()).collect();
    names.sort();
    assert_eq!(names, ["blue-c1-eth0", "blue-c2-eth0", "blue-c3-eth0", "blue-c4-eth0"]);
    assert!(containers.has(&attachment("blue", "c1", "eth0")) && !containers.has(&attachment("blue", "c9", "eth0")));
}

#[test]
fn an_absent_cache_is_none_and_one_that_is_named_twice_is_one() {
    let directory = tempfile::tempdir().unwrap();
    assert!(!Containers::read([directory.path().join("absent")]).unwrap().is_known());
    let cache = Cache::new();
    cache.write("blue-c1-eth0", &entry("c1", "10.1.0.7/24"));
    let results = cache.directory.path().join("results");
    let containers = Containers::read([cache.directory.path(), &results]).unwrap();
    assert_eq!((containers.directories.len(), containers.living("blue", &[], &range_sets()).len()), (1, 1));
}

#[test]
fn a_container_without_its_namespace_is_gone_where_others_are_seen() {
    let cache = Cache::new();
    let namespaces = tempfile::tempdir().unwrap();
    let with = |container: &str, netns: &str| {
        let mut whole = entry(container, "10.1.0.7/24");
        whole["netns"] = json!(namespaces.path().join(netns));
        cache.write(&format!("blue-{container}-eth0"), &whole)
    };
    with("c1", "gone");
    let alone = cache.read();
    assert_eq!(alone.get(&attachment("blue", "c1", "eth0")).unwrap().life, Life::Unsure, "perhaps we see none at all");

    fs::write(namespaces.path().join("there"), "").unwrap();
    with("c2", "there");
    let both = cache.read();
    assert!(matches!(both.get(&attachment("blue", "c1", "eth0")).unwrap().life, Life::Gone(_)));
    let living = both.living("blue", &[], &range_sets());
    assert_eq!(living.iter().map(|living| living.attachment.container.as_str()).collect::<Vec<_>>(), ["c2"]);
    assert!(!both.in_use().contains_key(&attachment("blue", "c1", "eth0")));
}

#[test]
fn what_was_started_before_the_machine_is_gone() {
    let cache = Cache::new();
    let mut whole = entry("c1", "10.1.0.7/24");
    whole["netns"] = json!("/absent/netns/c1");
    let file = cache.write("blue-c1-eth0", &whole);
    let file = fs::File::options().write(true).open(file).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1)).unwrap();
    assert!(matches!(cache.read().get(&attachment("blue", "c1", "eth0")).unwrap().life, Life::Gone(_)));
}

/// The one that is surest to live comes first, then the youngest: where two claim one address, it is that one's.
#[test]
fn the_surest_and_the_youngest_come_first() {
    let cache = Cache::new();
    for (container, seconds) in [("old", 10), ("young", 30), ("middle", 20)] {
        let file = cache.write(&format!("blue-{container}-eth0"), &entry(container, "10.1.0.7/24"));
        let file = fs::File::options().write(true).open(file).unwrap();
        file.set_modified(SystemTime::now() + Duration::from_secs(seconds)).unwrap();
    }
    let namespace = tempfile::NamedTempFile::new().unwrap();
    let mut sure = entry("sure", "10.1.0.7/24");
    sure["netns"] = json!(namespace.path());
    cache.write("blue-sure-eth0", &sure);
    let living = cache.read().living("blue", &[], &range_sets());
    let order: Vec<&str> = living.iter().map(|living| living.attachment.container.as_str()).collect();
    assert_eq!(order, ["sure", "young", "middle", "old"]);
    assert!(living.iter().all(|living| living.addresses[0].kind == Kind::Dynamic));
}
