//! Keys of ours that stand beside `ipam`, where nobody reads them.
//!
//! The main plugin hands its whole configuration on, so what stands beside `ipam` is the main plugin's first, and most
//! of it we have never heard of. A key of ours there is a mistake unless the main plugin has a key of that name:
//! [`MAIN_PLUGINS`] has those. The main plugins of containernetworking (bridge, macvlan, ipvlan, ptp, host-device, vlan,
//! dummy, tap) have none of our names but `type`, `name`, `dns` and `args`, which are the protocol's.
//!
//! An ADD refuses only where an address would come out of the wrong store, or by the wrong rule: there it is given twice, or
//! to the wrong pod. Everything else `config check` warns of. A network with a main plugin that is not in the table can set
//! the key in `ipam` itself: what is said there is not left to a key beside it.

use serde_json::{Map, Value};

use super::error::Error;
use super::unknown::schema;
use cni::netconf::Ipam;
use cni::{IgnoredKey, NetConf};
use spelling::is_same;
use spelling::schema::properties;

/// What decides the store, the policy, and whether a fixed address is found out about.
const DECIDING: [&str; 6] = ["etcdConfig", "etcdURL", "dataDir", "domain", "policy", "kubeConfig"];

/// Keys of the protocol that a plugin has beside `ipam` as well.
const PROTOCOL: [&str; 4] = ["type", "name", "dns", "args"];

/// Main plugins that have a key of one of our names, and mean something else by it.
const MAIN_PLUGINS: [(&str, &[&str]); 8] = [
    ("policy", &["calico"]), // {"type": "k8s"}: the network policies of Kubernetes
    ("kubernetes", &["calico"]),
    ("nodeName", &["calico"]),                                                      // nodename
    ("kubeConfig", &["multus", "multus-shim", "userspace", "ovn-k8s-cni-overlay"]), // kubeconfig
    ("dataDir", &["flannel", "tuning"]), // where they keep what they need again at a DEL
    ("logFile", &["multus", "multus-shim", "sriov", "ib-sriov", "userspace", "cilium-cni", "ovn-k8s-cni-overlay"]),
    (
        "logLevel",
        &["multus", "multus-shim", "sriov", "ib-sriov", "userspace", "calico", "azure-vnet", "ovn-k8s-cni-overlay"],
    ),
    ("cluster", &["ovn-k8s-cni-overlay"]),
];

/// Refuse the first key beside `ipam` that would decide the store or the policy inside it.
pub(super) fn refuse(netconf: &NetConf) -> Result<(), Error> {
    match errors(netconf).into_iter().next() {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

pub fn errors(netconf: &NetConf) -> Vec<Error> {
    let mut errors = Vec::new();
    for IgnoredKey { object, key } in netconf.ignored().iter() {
        if !object.is_empty() {
            continue;
        }
        if let Some(ours) = decides(key)
            && is_refused(netconf, ours)
        {
            errors.push(error(key, ours));
        }
    }
    errors
}

/// Every other key of ours beside `ipam`: an ADD works, and passes over it.
pub fn ignored(netconf: &NetConf) -> Vec<String> {
    let schema = schema();
    let mut ignored = Vec::new();
    for IgnoredKey { key, .. } in netconf.ignored().iter().filter(|key| key.object.is_empty()) {
        let Some(ours) = key_of_ours(key, &schema) else { continue };
        let is_told = decides(key).is_some() && is_refused(netconf, ours);
        if !is_told && !is_main_plugins(ours, netconf.main_plugin()) {
            ignored.push(key.clone());
        }
    }
    ignored
}

/// Whether this key of ours is missing in `ipam`, and nobody but us can have been meant.
fn is_refused(netconf: &NetConf, ours: &str) -> bool {
    let is_said = netconf.ipam().is_ok_and(|ipam| says(ipam, ours));
    !is_said && !is_main_plugins(ours, netconf.main_plugin())
}

/// The keys of an object outside `ipam` that are ours by their names.
pub fn keys_of_ours(object: &Map<String, Value>) -> Vec<&String> {
    let schema = schema();
    object.keys().filter(|key| key_of_ours(key, &schema).is_some()).collect()
}

/// Which key of `ipam` this one outside of it is, in whatever spelling.
fn key_of_ours<'a>(key: &str, schema: &'a Value) -> Option<&'a str> {
    if PROTOCOL.contains(&key) {
        return None;
    }
    let mut of_ipam = properties(schema)?.keys().map(String::as_str);
    of_ipam.find(|ours| is_same(key, ours)).or_else(|| decides(key))
}

/// Which of the deciding keys this one is. Nobody but us has a key that is spelt like etcd's, in whatever case.
fn decides(key: &str) -> Option<&'static str> {
    DECIDING.into_iter().find(|ours| *ours == key || (ours.starts_with("etcd") && ours.eq_ignore_ascii_case(key)))
}

fn is_main_plugins(ours: &str, main_plugin: Option<&str>) -> bool {
    let Some(main_plugin) = main_plugin else { return false };
    MAIN_PLUGINS.iter().any(|(key, plugins)| *key == ours && plugins.contains(&main_plugin))
}

/// Whether `ipam` has the key itself. One that is `null` there is refused as such.
fn says(ipam: &Ipam, ours: &str) -> bool {
    match ours {
        "dataDir" => !ipam.data_dir.is_absent(),
        "domain" => !ipam.domain.is_absent(),
        "policy" => !ipam.policy.is_absent(),
        "kubeConfig" => ipam.kube_config.is_some(),
        _ => !ipam.etcd_config.is_absent(),
    }
}

fn error(key: &str, ours: &'static str) -> Error {
    let hint = match ours {
        "etcdConfig" => "move it into ipam: otherwise the node's embedded store is used".to_owned(),
        "etcdURL" => "move it into ipam.etcdConfig: otherwise the node's embedded store is used".to_owned(),
        ours => format!("move it into ipam; where the main plugin has a key of that name, set ipam.{ours} as well"),
    };
    Error::Misplaced { path: key.to_owned(), which: "beside ipam", hint }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::Network;
    use cni::Args;

    /// What an ADD refuses, and what is passed over.
    fn judged(beside: &Value, ipam: &Value) -> (Vec<String>, Vec<String>) {
        let mut configuration = json!({"cniVersion": "1.1.0", "name": "blue", "type": "bridge"});
        let object = configuration.as_object_mut().unwrap();
        object.extend(beside.as_object().unwrap().clone());
        let mut whole = json!({"type": "kube-ipam", "subnet": "10.1.0.0/24"});
        whole.as_object_mut().unwrap().extend(ipam.as_object().unwrap().clone());
        object.insert("ipam".to_owned(), whole);

        let netconf = NetConf::parse(configuration.to_string().as_bytes()).unwrap();
        let of_file: Vec<String> = errors(&netconf).iter().map(ToString::to_string).collect();
        let ignored = ignored(&netconf);
        let of_add = Network::read(&netconf, &Args::default()).err().map(|error| error.to_string());
        assert_eq!(of_add.as_ref(), of_file.first(), "`config check` says what an ADD says");
        (of_file, ignored)
    }

    #[test]
    fn what_decides_the_store_or_the_policy_is_refused() {
        for key in ["etcdConfig", "etcdconfig", "etcdURL", "dataDir", "domain", "policy", "kubeConfig"] {
            for value in [json!({}), json!("/x"), json!(null)] {
                let expected = format!("{key} has no effect beside ipam");
                assert_eq!(judged(&json!({ key: value }), &json!({})), (vec![expected], vec![]));
            }
        }
    }

    #[test]
    fn what_decides_less_is_told() {
        let beside = json!({"subnet": "10.0.0.0/8", "range_start": "10.0.0.9", "routes": [], "gateway": "10.0.0.1", "exclude": []});
        let told = ["exclude", "gateway", "range_start", "routes", "subnet"].map(str::to_owned).to_vec();
        assert_eq!(judged(&beside, &json!({})), (vec![], told));
    }

    #[test]
    fn what_ipam_says_itself_it_has_not_left_to_a_key_beside_it() {
        let beside = json!({"policy": {"acl": "deny"}, "dataDir": "/x", "domain": "d", "kubeConfig": "/k"});
        let inside = json!({"policy": {}, "dataDir": "/data", "domain": "d", "kubeConfig": "/k"});
        let told = ["dataDir", "domain", "kubeConfig", "policy"].map(str::to_owned).to_vec();
        assert_eq!(judged(&beside, &inside), (vec![], told));
        let etcd = json!({"etcdConfig": {"etcdURL": "http://10.0.0.1:2379"}});
        assert_eq!(judged(&json!({"etcdURL": "x"}), &etcd), (vec![], vec!["etcdURL".to_owned()]));
    }

    /// Every key that these main plugins have in their own configuration, from their sources.
    #[test]
    fn the_configurations_of_main_plugins_are_theirs() {
        let of_all =
            "cniVersion name type capabilities dns args prevResult runtimeConfig disableCheck disableGC cniVersions";
        let main_plugins = [
            (
                "bridge",
                "bridge isGateway isDefaultGateway forceAddress ipMasq ipMasqBackend mtu hairpinMode promiscMode vlan \
              preserveDefaultVlan macspoofchk enabledad disableContainerInterface portIsolation vlanTrunk mac",
            ),
            ("macvlan", "master mode mtu mac linkInContainer bcqueuelen"),
            ("ipvlan", "master mode mtu linkInContainer"),
            ("ptp", "ipMasq ipMasqBackend mtu"),
            ("host-device", "device hwaddr kernelpath pciBusID deviceID auxDevice"),
            ("vlan", "master vlanId mtu linkInContainer"),
            ("tap", "multiQueue mtu mac owner group selinuxContext bridge"),
            ("tuning", "sysctl mac promisc mtu allmulti txQLen dataDir"),
            ("flannel", "subnetFile dataDir delegate"),
            (
                "multus",
                "confDir cniDir binDir delegates clusterNetwork defaultNetworks kubeconfig logFile logLevel logToStderr \
              logOptions readinessindicatorfile namespaceIsolation globalNamespaces systemNamespaces multusNamespace",
            ),
            (
                "sriov",
                "vlan vlanQoS vlanProto deviceID min_tx_rate max_tx_rate spoofchk trust link_state logFile logLevel",
            ),
            (
                "calico",
                "mode mtu num_queues nodename nodename_file datastore_type etcd_endpoints etcd_key_file log_level \
              log_file_path policy kubernetes feature_control container_settings include_default_routes hostname",
            ),
        ];
        for (main_plugin, keys) in main_plugins {
            let mut beside = Map::new();
            for key in keys.split_whitespace().chain(of_all.split_whitespace()) {
                beside.insert(key.to_owned(), json!({}));
            }
            for (key, value) in [("name", json!("blue")), ("type", json!(main_plugin)), ("cniVersion", json!("1.1.0"))]
            {
                beside.insert(key.to_owned(), value);
            }
            assert_eq!(judged(&beside.into(), &json!({})), (vec![], vec![]), "{main_plugin}");
        }
    }
}
