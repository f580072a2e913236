//! What can go wrong between us and the API server. What is not known is an error, never "absent".

use std::error::Error as StdError;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::connect::Connection;
use ipam::PodName;

/// A question to the API server without an answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kubeconfig file, or a file it names.
    #[error("cannot use the kubeconfig {}: {why}", .file.display())]
    Kubeconfig {
        /// `ipam.kubeConfig`.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// No connection, or one that broke.
    #[error("cannot reach the API server {server} ({verb} {resource}): {why}")]
    Unreachable {
        /// Its URL.
        server: String,
        /// For example `get`.
        verb: &'static str,
        /// For example `pods`.
        resource: &'static str,
        /// What the connection said.
        why: String,
    },
    /// No answer in time.
    #[error("the API server of {} did not answer ({verb} {resource}) within {within:?}", .kubeconfig.display())]
    Slow {
        /// The file that names the server.
        kubeconfig: PathBuf,
        /// For example `get`.
        verb: &'static str,
        /// For example `pods`.
        resource: &'static str,
        /// How long it was waited for.
        within: Duration,
    },
    /// 401.
    #[error("the API server {server} does not accept the token of {}: {why}", .token.display())]
    Unauthorized {
        /// Its URL.
        server: String,
        /// The file the token is in.
        token: PathBuf,
        /// What the server said.
        why: String,
    },
    /// 403.
    #[error("the API server {server} refuses to {verb} {resource}: {why}")]
    Forbidden {
        /// Its URL.
        server: String,
        /// For example `get`.
        verb: &'static str,
        /// For example `pods`.
        resource: &'static str,
        /// What the server said: it names the user.
        why: String,
    },
    /// Any other answer that is not an object.
    #[error("the API server {server} answers {code} to {verb} {resource}: {why}")]
    Refused {
        /// Its URL.
        server: String,
        /// The HTTP status.
        code: u16,
        /// For example `get`.
        verb: &'static str,
        /// For example `pods`.
        resource: &'static str,
        /// What the server said.
        why: String,
    },
    /// The pod that asks is not there (any more).
    #[error("the API server has no pod {pod}")]
    NoPod {
        /// The pod.
        pod: Box<PodName>,
    },
    /// A pod of that name, but not the one that asks.
    #[error("pod {pod} now has UID {found} instead of {asked}: it was recreated")]
    OtherPod {
        /// The pod.
        pod: Box<PodName>,
        /// The uid the runtime named.
        asked: Box<str>,
        /// The uid the API server names.
        found: Box<str>,
    },
    /// The namespace or node that the policy shall be told of.
    #[error("the API server has no {what} {name:?}")]
    Absent {
        /// For example `node`.
        what: &'static str,
        /// Its name.
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
                "correct the file that ipam.kubeConfig names, or let the runtime pass the annotations: \
                 \"capabilities\": {\"io.kubernetes.cri.pod-annotations\": true} in the network"
                    .to_owned(),
            ),
            Self::Unauthorized { .. } => Some(
                "tokens expire: renew the token in this file regularly, as `kube-ipam install-node --watch` does"
                    .to_owned(),
            ),
            Self::Forbidden { verb, resource, .. } => Some(format!(
                "the ClusterRole needs {{apiGroups: [\"{}\"], resources: [\"{resource}\"], verbs: [\"{verb}\"]}}",
                group_of(resource)
            )),
            Self::Absent { what: "node", .. } => {
                Some("set ipam.nodeName to the name of the node in Kubernetes".to_owned())
            }
            Self::NoPod { .. } | Self::OtherPod { .. } => {
                Some("the pod was deleted while its sandbox started; the runtime takes the sandbox down".to_owned())
            }
            Self::Unreachable { .. } | Self::Slow { .. } | Self::Refused { .. } => {
                Some("the runtime tries again; no other address is given meanwhile".to_owned())
            }
            Self::Absent { what, .. } => Some(format!(
                "it was deleted, or ipam.kubeConfig points to another cluster; the {what} is read because \
                 ipam.kubernetes.include asks for it"
            )),
        }
    }
}

/// The API group of a resource that is asked for.
fn group_of(resource: &str) -> &'static str {
    if resource == "replicasets" { "apps" } else { "" }
}

/// Say what an error of the client means.
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
        kube::Error::Auth(error) => Error::Kubeconfig { file: kubeconfig.to_owned(), why: chain(&error) },
        error => Error::Unreachable { server, verb, resource, why: chain(&error) },
    }
}

/// An error and what caused it; links that only repeat the next one are left out.
pub(super) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let link = error.to_string();
        if !text.contains(&link) {
            text = format!("{text}: {link}");
        }
        next = error.source();
    }
    text
}
