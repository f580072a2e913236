//! What can go wrong between us and the API server. What is not known is an error, and is never taken for "absent".

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::connect::Connection;
use ipam::PodName;
use ipam::shown::joined;

/// Why a question to the API server has no answer. `verb` and `resource` are those of the request, such as `get` and
/// `pods`; `server` is the API server's URL.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file of `ipam.kubeConfig`, or a file that it names, cannot be used.
    #[error("cannot use the kubeconfig {}: {why}", .file.display())]
    Kubeconfig { file: PathBuf, why: String },
    /// There is no connection, or it broke.
    #[error("cannot reach the API server {server} ({verb} {resource}): {why}")]
    Unreachable { server: String, verb: &'static str, resource: &'static str, why: String },
    /// There was no answer in this time.
    #[error("the API server of {} did not answer ({verb} {resource}) within {within:?}", .kubeconfig.display())]
    Slow { kubeconfig: PathBuf, verb: &'static str, resource: &'static str, within: Duration },
    /// The answer was 401.
    #[error("the API server {server} does not accept the token of {}: {why}", .token.display())]
    Unauthorized {
        server: String,
        /// The file that the token is in.
        token: PathBuf,
        why: String,
    },
    /// The answer was 403. The server's words in `why` name the user.
    #[error("the API server {server} refuses to {verb} {resource}: {why}")]
    Forbidden { server: String, verb: &'static str, resource: &'static str, why: String },
    /// There was any other answer without an object.
    #[error("the API server {server} answers {code} to {verb} {resource}: {why}")]
    Refused { server: String, code: u16, verb: &'static str, resource: &'static str, why: String },
    /// The requester's pod does not exist, or no longer does.
    #[error("the API server has no pod {pod}")]
    NoPod { pod: Box<PodName> },
    /// There is a pod of that name, but not the requester's.
    #[error("pod {pod} now has UID {found} instead of {asked}: it was recreated")]
    OtherPod {
        pod: Box<PodName>,
        /// The uid that the runtime named.
        asked: Box<str>,
        /// The uid that the API server names.
        found: Box<str>,
    },
    /// A namespace or a node that the policy is to be told of does not exist.
    #[error("the API server has no {what} {name:?}")]
    Absent {
        /// The kind of the object, such as `node`.
        what: &'static str,
        name: String,
    },
}

impl Error {
    /// Whether the server only said that it has no time now.
    pub(super) fn is_busy(&self) -> bool {
        matches!(self, Self::Refused { code: 429 | 503 | 504, .. })
    }

    /// Whether the server has forgotten the state that a list began with.
    pub(super) fn is_outdated(&self) -> bool {
        matches!(self, Self::Refused { code: 410, .. })
    }

    pub(super) fn absent(what: &'static str, name: &str) -> Self {
        Self::Absent { what, name: name.to_owned() }
    }

    /// What the operator can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Kubeconfig { .. } => Some(
                "correct the file that ipam.kubeConfig names (`kube-ipam doctor --network NETWORK` tries it), or let the \
                 runtime pass the annotations: \"capabilities\": {\"io.kubernetes.cri.pod-annotations\": true} in the network"
                    .to_owned(),
            ),
            Self::Unauthorized { .. } => Some(
                "tokens expire: renew the token in this file regularly, as `kube-ipam install-node --watch` does, and compare this \
                 node's clock; `kube-ipam doctor --network NETWORK` shows whether it is accepted"
                    .to_owned(),
            ),
            // Of a command that lists; whoever answers puts in which one.
            Self::Forbidden { verb: "list", resource, .. } => Some(format!(
                "a node's account may not list {resource}: from a laptop, `kubectl kube-ipam COMMAND --network NETWORK` uses that \
                 of the reclaim, which may; here, name one that may with --kubeconfig FILE"
            )),
            Self::Forbidden { verb, resource, .. } => Some(format!(
                "the ClusterRole needs {}; `kube-ipam doctor --network NETWORK` tries each right",
                rule(verb, resource)
            )),
            Self::Absent { what: "node", .. } => {
                Some("set ipam.nodeName to the name of the node in Kubernetes: `kubectl get nodes`".to_owned())
            }
            Self::NoPod { .. } | Self::OtherPod { .. } => {
                Some("the pod was deleted while its sandbox started; the runtime takes the sandbox down".to_owned())
            }
            Self::Unreachable { why, .. } if is_of_a_clock(why) => Some(
                "a certificate is not valid at this node's time: compare the clock, `date -u`, with that of the control plane; \
                 `kube-ipam doctor --network NETWORK` does"
                    .to_owned(),
            ),
            Self::Unreachable { .. } | Self::Slow { .. } | Self::Refused { .. } => Some(
                "the runtime tries again; no other address is given meanwhile; `kube-ipam doctor --network NETWORK` on that \
                 node tries the kubeconfig, \"capabilities\": {\"io.kubernetes.cri.pod-annotations\": true} saves the question"
                    .to_owned(),
            ),
            Self::Absent { what, .. } => Some(format!(
                "it was deleted, or the file of ipam.kubeConfig leads to another cluster; it is read because \
                 ipam.kubernetes.include names the {what}"
            )),
        }
    }
}

/// Whether TLS refused a certificate for the time that this node believes it is.
fn is_of_a_clock(why: &str) -> bool {
    ["not valid yet", "NotValidYet", "certificate expired", "Expired"].iter().any(|word| why.contains(word))
}

/// The rule of a ClusterRole that grants a verb on a resource that is asked for.
pub(super) fn rule(verb: &str, resource: &str) -> String {
    let group = if resource == "replicasets" { "apps" } else { "" };
    format!("{{apiGroups: [\"{group}\"], resources: [\"{resource}\"], verbs: [\"{verb}\"]}}")
}

/// Turn an error of the client into what it means here.
pub(super) fn explain(
    error: kube::Error,
    connection: &Connection,
    verb: &'static str,
    resource: &'static str,
    kubeconfig: &Path,
) -> Error {
    let server = connection.server.clone();
    match error {
        kube::Error::Api(status) => {
            let why = status.message.trim().to_owned();
            match status.code {
                401 => Error::Unauthorized { server, token: connection.token.clone(), why },
                403 => Error::Forbidden { server, verb, resource, why },
                code => Error::Refused { server, code, verb, resource, why },
            }
        }
        kube::Error::Auth(error) => Error::Kubeconfig { file: kubeconfig.to_owned(), why: joined(&error) },
        error => Error::Unreachable { server, verb, resource, why: joined(&error) },
    }
}
