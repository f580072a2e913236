//! GC told of no attachments, in the ways that runtimes write it.

use kube_ipam_tests::node::Node;
use serde_json::{Value, json};

/// libcni writes its list as Go writes one without entries: `null`. That is a list, and says that nothing is attached; only
/// a configuration without the key says nothing.
#[test]
fn null_is_a_list_without_entries_and_no_key_is_no_list() {
    let node = Node::new();
    for (key, list, remain) in [
        ("cni.dev/valid-attachments", json!(null), 0),
        ("cni.dev/attachments", json!(null), 0),
        ("cni.dev/valid-attachments", json!([]), 0),
        ("x-nothing", json!(null), 2),
    ] {
        let network = node.network(json!({}));
        for container in ["c1", "c2"] {
            node.call("ADD", container, &network).address();
        }
        let mut collecting = network.clone();
        collecting[key] = list.clone();
        assert_eq!(node.call("GC", "", &collecting).status, Some(0), "{key} {list}");
        let (_, told) = node.run(&["list", "--conf", &node.conf(&network), "-o", "json"]);
        let held: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(held.as_array().unwrap().len(), remain, "{key} {list}");
    }
}
