//! What the server tells of itself: the documents clients like kubectl read before they ask for objects.

use serde_json::{Value, json};

use super::kind::Kind;

/// The document at a path; `None` where there is none.
pub(super) fn document(path: &str, host: &str) -> Option<Value> {
    match path.trim_end_matches('/') {
        "/api" => {
            let address = json!([{"clientCIDR": "0.0.0.0/0", "serverAddress": host}]);
            Some(json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": address}))
        }
        "/api/v1" => Some(json!({"kind": "APIResourceList", "groupVersion": "v1", "resources": resources("")})),
        "/apis" => Some(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": [apps()]})),
        "/apis/apps" => {
            let mut group = apps();
            group["kind"] = json!("APIGroup");
            group["apiVersion"] = json!("v1");
            Some(group)
        }
        "/apis/apps/v1" => {
            let resources = resources("apps");
            Some(
                json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "apps/v1", "resources": resources}),
            )
        }
        "/version" => Some(json!({
            "major": "1", "minor": "33", "gitVersion": "v1.33.0", "gitCommit": "", "gitTreeState": "clean",
            "buildDate": "2025-01-01T00:00:00Z", "goVersion": "", "compiler": "", "platform": "linux/amd64",
        })),
        _ => None,
    }
}

fn apps() -> Value {
    let version = json!({"groupVersion": "apps/v1", "version": "v1"});
    json!({"name": "apps", "versions": [version], "preferredVersion": version})
}

fn resources(group: &str) -> Vec<Value> {
    let entry = |kind: &&Kind| {
        json!({"name": kind.resource, "singularName": "", "namespaced": kind.namespaced, "kind": kind.name,
            "verbs": ["get", "list"], "shortNames": [kind.short]})
    };
    Kind::ALL.iter().filter(|kind| kind.group == group).map(entry).collect()
}
