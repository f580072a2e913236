//! Settings of the store, its connection and the log that are not what they seem.

use super::Doubt;
use crate::config::{Base, kubernetes};
use ::store::{EtcdConfig, StoreConfig};
use cni::NetConf;

pub(super) fn doubts(netconf: &NetConf) -> Vec<Doubt> {
    let Ok(base) = Base::read(netconf) else { return Vec::new() };
    let mut doubts = Vec::new();
    match &base.store {
        StoreConfig::Embedded { .. } => doubts.extend(unshared(netconf)),
        StoreConfig::Etcd(etcd) => doubts.extend(in_plain_text(etcd)),
    }
    let level = netconf.ipam().ok().and_then(|ipam| ipam.log_level.as_ref()?.read("ipam.logLevel").ok());
    let level = level.unwrap_or_default();
    if base.log.file.is_none() && !level.is_empty() {
        let message = format!("ipam.logLevel is {level:?}, but ipam.logFile is \"none\": nothing is logged");
        doubts.push(Doubt::new(message, "set ipam.logFile to a file, or remove ipam.logLevel"));
    }
    doubts
}

/// A cluster's pods on stores that do not know of each other. The kubeconfig that is used because it happens to be there
/// says nothing.
fn unshared(netconf: &NetConf) -> Option<Doubt> {
    kubernetes::kubeconfig(netconf).ok().flatten()?;
    Some(Doubt::new(
        "ipam.kubeConfig names a cluster, but without ipam.etcdConfig every node keeps the addresses of its own pods only: \
         two nodes give out the same address",
        "set ipam.etcdConfig, which all nodes share; a single node needs none, nor do nodes with subnets of their own",
    ))
}

/// Certificates that no connection shows or checks.
fn in_plain_text(etcd: &EtcdConfig) -> Option<Doubt> {
    if etcd.trusted_ca.is_none() && etcd.client.is_none() {
        return None;
    }
    let plain = etcd.endpoints.iter().find(|endpoint| endpoint.starts_with("http://"))?;
    let message =
        format!("ipam.etcdConfig.etcdURL has {plain}: the certificates are not used there, nor is anything encrypted");
    Some(Doubt::new(message, "write https://, or remove the certificates"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::doubts_of;

    #[test]
    fn a_cluster_on_stores_of_single_nodes_is_told() {
        let config = "/etc/cni/net.d/kube-ipam.kubeconfig";
        let alone = doubts_of(json!({"subnet": "10.0.0.0/24", "kubeConfig": config}));
        assert!(alone.len() == 1 && alone[0].ends_with("two nodes give out the same address"), "{alone:?}");
        let etcd = json!({"etcdURL": "https://10.0.0.1:2379"});
        assert_eq!(doubts_of(json!({"subnet": "10.0.0.0/24", "kubeConfig": config, "etcdConfig": etcd})), [""; 0]);
        assert_eq!(doubts_of(json!({"subnet": "10.0.0.0/24"})), [""; 0]);
    }

    #[test]
    fn what_is_configured_and_not_used_is_told() {
        let etcd =
            json!({"etcdURL": "https://10.0.0.1:2379,http://10.0.0.2:2379", "etcdTrustedCAFileFile": "/pki/ca.pem"});
        let doubts =
            doubts_of(json!({"subnet": "10.0.0.0/24", "etcdConfig": etcd, "logLevel": "debug", "logFile": "none"}));
        let expected = [
            "ipam.etcdConfig.etcdURL has http://10.0.0.2:2379: the certificates are not used there, nor is anything encrypted",
            "ipam.logLevel is \"debug\", but ipam.logFile is \"none\": nothing is logged",
        ];
        assert_eq!(doubts, expected);
        assert_eq!(doubts_of(json!({"subnet": "10.0.0.0/24", "logLevel": "debug", "logFile": "/var/log/x"})), [""; 0]);
    }
}
