//! Whether the holder of an address still exists, as far as this node and the API server know.

use std::fmt;

use serde::Serialize;

use crate::cli::fsck::is_gone_by_libcni;
use crate::cli::network::Opened;
use crate::containers::Containers;
use cluster::{self, ApiServer};
use cni::Fail;
use ipam::shown::joined;
use ipam::{Claim, PodName};

/// What is known of the life of a container or its pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub(super) enum Life {
    /// The node or the API server has it.
    Lives { why: String },
    /// One of them says that it is gone, and the other does not have it.
    Gone { why: String },
    /// Neither can tell, for these reasons.
    Unknown { why: Vec<String> },
}

/// Asks the node first, then the API server. If either says that it lives, it lives: an address that is given out twice is
/// worse than one that is held too long.
pub(super) async fn of(opened: &Opened, containers: &Containers, server: Option<&ApiServer>, claim: &Claim) -> Life {
    let by_node = by_libcni(opened, containers, claim);
    if matches!(by_node, Life::Lives { .. }) {
        return by_node;
    }
    match (by_node, by_api_server(opened, server, claim.pod.as_ref()).await) {
        (_, lives @ Life::Lives { .. }) => lives,
        (gone @ Life::Gone { .. }, _) | (_, gone @ Life::Gone { .. }) => gone,
        (Life::Unknown { why }, Life::Unknown { why: more }) => Life::Unknown { why: [why, more].concat() },
        (other, _) => other,
    }
}

fn by_libcni(opened: &Opened, containers: &Containers, claim: &Claim) -> Life {
    if is_gone_by_libcni(opened, containers, claim) {
        return Life::Gone { why: "libcni on this node has no running container for it".to_owned() };
    }
    if containers.has(&claim.attachment) {
        return Life::Lives {
            why: "it is running: libcni on this node has the result of its ADD, and no DEL followed".to_owned(),
        };
    }
    let here = claim.node == opened.base.node && claim.machine == opened.base.machine;
    let why = match (here, containers.is_known()) {
        (false, _) => format!("it belongs to node {}", claim.node),
        (true, false) => "this node has no libcni cache".to_owned(),
        (true, true) => "its ADD may still be running".to_owned(),
    };
    Life::Unknown { why: vec![why] }
}

async fn by_api_server(opened: &Opened, server: Option<&ApiServer>, pod: Option<&PodName>) -> Life {
    let Some(pod) = pod else { return unknown("it is not a pod".to_owned()) };
    let Some(server) = server else {
        return unknown("ipam.kubeConfig is not set, so the API server is not asked".to_owned());
    };
    match opened.home(server).await.map(|home| home.foreign(pod)) {
        Ok(None) => {}
        Ok(Some(why)) => return unknown(why),
        Err(error) => return unknown(error.message()),
    }
    match server.pod(pod).await {
        Ok(_) => Life::Lives { why: format!("it still exists: the API server has pod {pod}") },
        // A static pod has a hash in place of a UUID. It may run although the API server never accepts its mirror.
        Err(cluster::Error::NoPod { .. } | cluster::Error::OtherPod { .. }) if !pod.has_uuid() => {
            unknown(format!("pod {pod} may be one that the API server does not know"))
        }
        Err(cluster::Error::NoPod { .. }) => Life::Gone { why: format!("the API server has no pod {pod}") },
        Err(cluster::Error::OtherPod { .. }) => {
            Life::Gone { why: format!("the API server now has a different pod {pod}") }
        }
        Err(error) => unknown(joined(&error)),
    }
}

fn unknown(why: String) -> Life {
    Life::Unknown { why: vec![why] }
}

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lives { why } | Self::Gone { why } => f.write_str(why),
            Self::Unknown { why } => write!(f, "cannot tell whether it still exists: {}", why.join("; ")),
        }
    }
}
