//! Keys are written and read back, and no name leaves its part.

use super::*;

fn attachment(network: &str, container: &str, interface: &str) -> Attachment {
    Attachment { network: network.into(), container: container.into(), interface: interface.into() }
}

#[test]
fn numbers_sort_as_they_count() {
    let keys = Keys::new("/kube-ipam", "blue");
    let [low, high] = ["10.188.0.2", "10.188.1.0"].map(|text| keys.address(text.parse().unwrap()));
    assert_eq!(low, "/kube-ipam/v2/blue/a/4/0abc0002");
    assert!(low < high);
    assert_eq!(keys.hold("fd00::2".parse().unwrap()).len(), "/kube-ipam/v2/blue/h/6/".len() + 32);
}

#[test]
fn no_part_can_escape_its_place() {
    let keys = Keys::new("", "a/b%");
    for name in ["../../x", "a/b", "%2f", "ü", "", "a b", "~"] {
        let attachment = attachment(name, "c", name);
        let key = keys.node_at(&node_digest(name), name, &attachment);
        assert_eq!(key.matches('/').count(), 8, "{key}");
        let named = Named::Node { node: node_digest(name), machine: name.into(), attachment: attachment.clone() };
        assert_eq!(keys.named(&key), Some(named), "{key}");
        let key = keys.attachment(&attachment);
        assert_eq!(key.matches('/').count(), 6, "{key}");
        assert_eq!(keys.named(&key), Some(Named::Attachment(attachment)), "{key}");
    }
    assert_ne!(Keys::new("", "a/b").everything(), Keys::new("", "a%2fb").everything());
}

#[test]
fn a_network_that_is_called_like_its_domain_is_left_out() {
    let keys = Keys::new("/k", "a/b");
    let pod = PodName { namespace: "web".into(), name: "front-0".into(), uid: None, cluster: Some("6c1f".into()) };
    for (network, tail, under_node) in [("a/b", "", "~"), ("blue", "/blue", "blue"), ("a%2fb", "/a%252fb", "a%252fb")] {
        let attachment = attachment(network, "c1", "eth0");
        assert_eq!(keys.attachment(&attachment), format!("/k/v2/a%2fb/c/c1/eth0{tail}"));
        assert_eq!(keys.named(&keys.attachment(&attachment)), Some(Named::Attachment(attachment.clone())));
        let node = keys.node_at(&node_digest("node-1"), "m", &attachment);
        assert_eq!(node, format!("/k/v2/a%2fb/n/{}/m/{under_node}/c1/eth0", node_digest("node-1")));
        let named = Named::Node { node: node_digest("node-1"), machine: "m".into(), attachment: attachment.clone() };
        assert_eq!(keys.named(&node), Some(named));
        let key = keys.pod(&pod, &attachment);
        assert_eq!(key, format!("/k/v2/a%2fb/p/{}/eth0{tail}", pod_digest(&pod)));
        let named = Named::Pod { pod: pod_digest(&pod), interface: "eth0".into(), network: network.into() };
        assert_eq!(keys.named(&key), Some(named));
    }
    // A second spelling of one name would be a second key of one thing.
    assert_eq!(keys.named("/k/v2/a%2fb/c/c1/eth0/a%2fb"), None);
}

#[test]
fn a_shell_makes_the_digests() {
    // printf %s … | sha256sum | cut -c1-…
    assert_eq!(node_digest("node-1"), "35971be6e9bb");
    let pod = PodName { namespace: "web".into(), name: "front-0".into(), uid: None, cluster: Some("6c1f".into()) };
    assert_eq!(pod_digest(&pod), "8631f7de311f38cf/8c347329");
    for cluster in [None, Some(String::new())] {
        assert!(pod_digest(&PodName { cluster, ..pod.clone() }).ends_with("/-"));
    }
    let keys = Keys::new("", "blue");
    let (range, key) = (keys.pods_named("web", "front-0"), keys.pod(&pod, &attachment("blue", "c1", "eth0")));
    assert!(range.from < key && key < range.to, "{key}");
}

#[test]
fn a_range_has_what_begins_with_it_and_no_neighbour() {
    let keys = Keys::new("", "blue");
    let range = keys.attachments_on("node-1", "m", "blue");
    let within = |node: &str, machine: &str, network: &str| {
        let key = keys.node_at(&node_digest(node), machine, &attachment(network, "c", "eth0"));
        range.from <= key && key < range.to
    };
    assert!(within("node-1", "m", "blue"));
    assert!(!within("node-10", "m", "blue"));
    assert!(!within("node-1", "m2", "blue"));
    assert!(!within("node-1", "", "blue"));
    assert!(!within("node-1", "m", "blue2"));
    assert!(!within("node-1", "m", "blue-2"));
}

#[test]
fn what_is_over_comes_first() {
    let keys = Keys::new("", "blue");
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let address = "10.0.0.2".parse().unwrap();
    let over = keys.expired(at("2026-01-01T00:00:10.5Z"));
    let is_over = |until: &str| {
        let key = keys.expiry(at(until), address);
        assert!(matches!(keys.named(&key), Some(Named::Expiry { .. })), "{key}");
        over.from <= key && key < over.to
    };
    assert!(is_over("2026-01-01T00:00:09.1Z") && is_over("2026-01-01T00:00:10Z"));
    assert!(!is_over("2026-01-01T00:00:10.2Z"), "it is over, but counted by whole seconds");
    assert!(!is_over("2026-01-01T00:00:10.7Z") && !is_over("9999-12-30T22:00:00Z"));
}

#[test]
fn registrations_lie_beside_all_domains() {
    for (prefix, domain) in [("/kube-ipam", "blue"), ("", "a/b%"), ("/v2/v2", "v2"), ("/a/", "ü")] {
        let keys = Keys::new(prefix, domain);
        assert_eq!((keys.domain().as_str(), keys.prefix()), (domain, prefix.trim_end_matches('/')));
        assert_eq!(keys.beside("red").everything(), Keys::new(prefix, "red").everything());
        let key = keys.registration("x/y");
        assert!(keys.registrations().from < key && key < keys.registrations().to, "{key}");
        assert_eq!(keys.registered_in(&key).as_deref(), Some("x/y"));
        let first = keys.address("10.0.0.2".parse().unwrap());
        assert_eq!(keys.domain_of(&first).as_deref(), Some(domain));
        assert!(keys.all_domains().from < first && first < keys.beside(domain).everything().to);
        assert!(keys.beside(domain).everything().to <= keys.all_domains().to);
    }
}
