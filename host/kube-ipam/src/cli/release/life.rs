//! Whether somebody who holds an address lives, as far as this node and the API server know.

use std::fmt;

use serde::Serialize;

use super::super::fsck::is_gone_by_libcni;
use super::super::network::Opened;
use crate::containers::Containers;
use cluster::{self, ApiServer};
use cni::Fail;
use ipam::shown::joined;
use ipam::{Claim, PodName};

/// What is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub(super) enum Life {
    /// Somebody says that it lives.
    Lives { why: String },
    /// Somebody says that it is gone, and nobody that it lives.
    Gone { why: String },
    /// Nobody can tell, for these reasons.
    Unknown { why: Vec<String> },
}

/// Ask the node first, then the API server. Either's word that it lives counts.
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
    let unknown = |why: String| Life::Unknown { why: vec![why] };
    let (server, pod) = match (server, pod) {
        (_, None) => return unknown("it is not a pod".to_owned()),
        (None, _) => return unknown("ipam.kubeConfig is not set, so the API server is not asked".to_owned()),
        (Some(server), Some(pod)) => (server, pod),
    };
    match opened.home(server).await.map(|home| home.foreign(pod)) {
        Ok(None) => {}
        Ok(Some(why)) => return unknown(why),
        Err(error) => return unknown(error.message()),
    }
    match server.pod(pod).await {
        Ok(_) => Life::Lives { why: format!("it still exists: the API server has pod {pod}") },
        // A static pod has a hash in the place of a UUID, and its mirror may be kept out of the API forever.
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

impl fmt::Display for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lives { why } | Self::Gone { why } => f.write_str(why),
            Self::Unknown { why } => write!(f, "cannot tell whether it still exists: {}", why.join("; ")),
        }
    }
}
