//! What can go wrong between us and the API server.

use std::time::Duration;

use super::people::{NODE, SERVER, pod};
use cluster::Error;

pub(super) fn examples() -> Vec<Error> {
    let (verb, resource, server) = ("get", "pods", SERVER.to_owned());
    let why = "pods \"frontend-7c9d8b6f5d-x2x9q\" is forbidden: User \"system:serviceaccount:kube-system:kube-ipam\" cannot get \
               resource \"pods\" in API group \"\" in the namespace \"shop-production\""
        .to_owned();
    every!(Error {
        Error::Kubeconfig { .. } => [Error::Kubeconfig {
            file: "/etc/cni/net.d/kube-ipam.kubeconfig".into(),
            why: "cannot read it: No such file or directory (os error 2)".to_owned(),
        }],
        Error::Unreachable { .. } => [Error::Unreachable {
            server: server.clone(),
            verb,
            resource,
            why: "client error (Connect): tcp connect error: Connection refused (os error 111)".to_owned(),
        }],
        Error::Slow { .. } => [Error::Slow {
            kubeconfig: "/etc/cni/net.d/kube-ipam.kubeconfig".into(),
            verb,
            resource,
            within: Duration::from_secs(3),
        }],
        Error::Unauthorized { .. } => [Error::Unauthorized {
            server: server.clone(),
            token: "/etc/cni/net.d/kube-ipam.kubeconfig".into(),
            why: "Unauthorized".to_owned(),
        }],
        Error::Forbidden { .. } => [
            Error::Forbidden { server: server.clone(), verb, resource, why: why.clone() },
            Error::Forbidden { server: server.clone(), verb, resource: "replicasets", why: why.clone() },
            Error::Forbidden { server: server.clone(), verb: "list", resource, why: why.clone() },
        ],
        Error::Refused { .. } => [Error::Refused { server, code: 500, verb, resource, why }],
        Error::NoPod { .. } => [Error::NoPod { pod: Box::new(pod()) }],
        Error::OtherPod { .. } => [Error::OtherPod {
            pod: Box::new(pod()),
            asked: "0f1c7a0e-2b43-4d6e-9b0e-8a5c0c3c9d11".into(),
            found: "1f1c7a0e-2b43-4d6e-9b0e-8a5c0c3c9d11".into(),
        }],
        Error::Absent { .. } => [
            Error::Absent { what: "node", name: NODE.to_owned() },
            Error::Absent { what: "namespace", name: pod().namespace },
        ],
    })
}
