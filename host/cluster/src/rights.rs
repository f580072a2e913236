//! What an API server allows, and what time it is there: for `doctor`.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod as PodObject};
use kube::client::Body;
use kube::{Api, Client};

use super::ApiServer;
use super::error::{Error, rule};
use limits::KUBERNETES_ANSWER;

/// Something that kube-ipam asks an API server for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Right {
    pub verb: &'static str,
    pub resource: &'static str,
    /// What fails without it.
    pub used_for: &'static str,
}

impl Right {
    /// The rule that its ClusterRole needs.
    pub fn rule(&self) -> String {
        rule(self.verb, self.resource)
    }
}

/// What the plugin asks for on a node; `reclaim` lists besides, with rights of its own.
pub const RIGHTS: [Right; 4] = [
    Right { verb: "get", resource: "pods", used_for: "annotations of pods, and addresses of pods that are gone" },
    Right { verb: "get", resource: "nodes", used_for: "addresses of pods whose node is out of service" },
    Right { verb: "get", resource: "namespaces", used_for: "telling clusters apart" },
    Right { verb: "get", resource: "replicasets", used_for: "addresses that a rolling update hands over" },
];

/// An object that is asked for, and that nobody has.
const NOBODYS: &str = "kube-ipam-doctor";

impl ApiServer {
    /// Whether this right is granted. Tried with an object that does not exist: a server that grants it says that there is none.
    pub async fn has_right(&self, right: Right) -> Result<bool, Error> {
        let tried = match right.resource {
            "pods" => self.get(in_default::<PodObject>, "pods", NOBODYS).await.map(drop),
            "nodes" => self.get(Api::<Node>::all, "nodes", NOBODYS).await.map(drop),
            "namespaces" => self.get(Api::<Namespace>::all, "namespaces", NOBODYS).await.map(drop),
            _ => self.get(in_default::<ReplicaSet>, "replicasets", NOBODYS).await.map(drop),
        };
        match tried {
            Ok(()) => Ok(true),
            Err(Error::Forbidden { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// How far the server's clock is ahead of this node's; `None` where the answer has no date. It has whole seconds.
    pub async fn clock(&self) -> Result<Option<SignedDuration>, Error> {
        let asked = self.ask("get", "version", KUBERNETES_ANSWER, async |client: Client| {
            let request = http::Request::get("/version").body(Body::empty()).map_err(kube::Error::HttpError)?;
            client.send(request).await
        });
        let response = asked.await?;
        let date = response.headers().get(http::header::DATE).and_then(|date| date.to_str().ok());
        let Some(date) = date.and_then(|text| jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok())
        else {
            return Ok(None);
        };
        Ok(Some(date.duration_since(Timestamp::now()) + SignedDuration::from_millis(500)))
    }
}

/// The objects of a kind in namespace `default`, which every cluster has.
fn in_default<K>(client: Client) -> Api<K>
where
    K: kube::Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    Api::namespaced(client, "default")
}
