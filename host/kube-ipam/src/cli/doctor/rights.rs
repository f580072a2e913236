//! The API server: whether it answers, knows the node, grants what is asked of it, and has the same time.

use super::check::{Check, Verdict};
use super::clock;
use crate::cli::network::Opened;
use crate::config::{KubernetesConfig, Network};
use cluster::{self, ApiServer, RIGHTS, Right};

/// The detail says which kubeconfig is used and why that one. Where the server does not answer, nothing else is asked.
pub(super) async fn api_server(opened: &Opened, network: &Network) -> Vec<Check> {
    let name = "API server";
    let Some(kubernetes) = &network.kubernetes else { return Vec::new() };
    let why = KubernetesConfig::reason(&opened.netconf).unwrap_or_default();
    let file = format!("{} ({why})", kubernetes.kubeconfig.display());
    let server = ApiServer::of_kubeconfig(&kubernetes.kubeconfig);
    let answered = match server.node(&opened.base.node).await {
        Ok(_) => Check::good(name, format!("reachable with {file}; the node exists")),
        Err(error) => {
            let verdict = match error {
                cluster::Error::Absent { .. } | cluster::Error::Forbidden { .. } => Verdict::Warning,
                _ => Verdict::Bad,
            };
            let failed = Check::failed(name, &error.into());
            Check { verdict, detail: format!("with {file}: {}", failed.detail), ..failed }
        }
    };
    let is_reachable = answered.verdict != Verdict::Bad;
    let mut checks = vec![answered];
    if is_reachable {
        checks.extend(rights(&server).await);
        if let Ok(Some(ahead)) = server.clock().await {
            checks.push(clock::compared("the API server", ahead));
        }
    }
    checks
}

/// Pods are what an ADD cannot do without; the other rights serve single pods.
async fn rights(server: &ApiServer) -> Vec<Check> {
    let name = "rights";
    let (mut checks, mut granted) = (Vec::new(), Vec::new());
    for right in RIGHTS {
        let Right { verb, resource, used_for } = right;
        match server.has_right(right).await {
            Ok(true) => granted.push(format!("{verb} {resource}")),
            Ok(false) => {
                let detail =
                    format!("the API server does not let this node {verb} {resource}, which serves {used_for}");
                let hint = Some(format!("add {} to its ClusterRole", right.rule()));
                checks.push(if resource == "pods" {
                    Check::bad(name, detail, hint)
                } else {
                    Check::warning(name, detail, hint)
                });
            }
            // A server that does not answer this question answers the others when they are asked.
            Err(error) => {
                return vec![Check::warning(
                    name,
                    format!("cannot tell which rights this node has: {error}"),
                    error.hint(),
                )];
            }
        }
    }
    if checks.is_empty() {
        checks.push(Check::good(name, granted.join(", ")));
    }
    checks
}
