//! Words that other plugins and tools have for a key of ours, and that no likeness of letters would find.

/// The other word in lower case, and our key. The same word may mean different keys in different objects.
const SYNONYMS: [(&str, &str); 37] = [
    // Routes, as ip(8), netplan and the Kubernetes API write them.
    ("gateway", "gw"),
    ("via", "gw"),
    ("nexthop", "gw"),
    ("next_hop", "gw"),
    ("metric", "priority"),
    ("destination", "dst"),
    ("dest", "dst"),
    ("to", "dst"),
    // Ranges, as whereabouts, Calico, Cilium and DHCP servers write them.
    ("range", "subnet"),
    ("cidr", "subnet"),
    ("network", "subnet"),
    ("range_start", "rangeStart"),
    ("start", "rangeStart"),
    ("first", "rangeStart"),
    ("from", "rangeStart"),
    ("range_end", "rangeEnd"),
    ("end", "rangeEnd"),
    ("last", "rangeEnd"),
    ("router", "gateway"),
    ("gw", "gateway"),
    ("via", "gateway"),
    ("omit_ranges", "exclude"),
    ("reserved", "exclude"),
    // etcd, as etcdctl and the API server write it.
    ("endpoint", "etcdURL"),
    ("endpoints", "etcdURL"),
    ("cacert", "etcdTrustedCAFileFile"),
    ("cafile", "etcdTrustedCAFileFile"),
    ("user", "etcdUsername"),
    ("password", "etcdPasswordFile"),
    // Policies.
    ("file", "module"),
    ("path", "module"),
    ("wasm", "module"),
    ("digest", "sha256"),
    ("checksum", "sha256"),
    ("config", "settings"),
    ("memory", "memoryMiB"),
    ("timeout", "milliseconds"),
];

/// The key of ours that somebody meant by this word, among those that its object has.
pub(super) fn synonym(word: &str, is_known: impl Fn(&str) -> bool) -> Option<&'static str> {
    let word = word.to_lowercase();
    for (other, ours) in SYNONYMS {
        if other == word && is_known(ours) {
            return Some(ours);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::unknown::unknown_keys;

    #[test]
    fn a_word_means_what_its_object_knows() {
        let ipam = json!({
            "range": "10.0.0.0/24", "gw": "10.0.0.1",
            "ranges": [[{"cidr": "10.1.0.0/24", "via": "10.1.0.1", "Start": "10.1.0.9"}]],
            "routes": [{"to": "0.0.0.0/0", "via": "10.0.0.1", "gateway": "10.0.0.1", "metric": 5}],
            "policy": {"file": "/opt/site.wasm", "limits": {"memory": 32, "timeout": 5}},
        });
        let mut meant = Vec::new();
        for unknown in unknown_keys(&ipam) {
            meant.push(format!("{}.{}: {}", unknown.path, unknown.key, unknown.suggestion.unwrap_or_default()));
        }
        let expected = [
            "ipam.gw: did you mean \"gateway\"?",
            "ipam.policy.file: did you mean \"module\"?",
            "ipam.policy.limits.memory: did you mean \"memoryMiB\"?",
            "ipam.policy.limits.timeout: did you mean \"milliseconds\"?",
            "ipam.range: did you mean \"subnet\"?",
            "ipam.ranges[0][0].Start: did you mean \"rangeStart\"?",
            "ipam.ranges[0][0].cidr: did you mean \"subnet\"?",
            "ipam.ranges[0][0].via: did you mean \"gateway\"?",
            "ipam.routes[0].gateway: did you mean \"gw\"?",
            "ipam.routes[0].metric: did you mean \"priority\"?",
            "ipam.routes[0].to: did you mean \"dst\"?",
            "ipam.routes[0].via: did you mean \"gw\"?",
        ];
        assert_eq!(meant, expected);
    }

    #[test]
    fn a_word_is_found_in_any_case_and_only_where_its_key_is_known() {
        for (other, ours) in SYNONYMS {
            assert_eq!(other, other.to_lowercase());
            assert_eq!(synonym(&other.to_uppercase(), |key| key == ours), Some(ours));
        }
        assert_eq!(synonym("via", |_| false), None);
    }
}
