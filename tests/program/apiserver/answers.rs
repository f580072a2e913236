//! Answers to single requests, byte for byte where clients look at them.

use kube_ipam_tests::apiserver::{ApiServer, Reply, Rule};
use serde_json::{Value, json};

use super::{READ_ALL, READER, populated};

fn assert_status(reply: &Reply, expected: &Value) {
    assert_eq!(reply.json(), *expected);
    assert_eq!(reply.status, expected["code"], "{reply:?}");
    assert_eq!(reply.header("content-type"), "application/json");
}

fn failure(code: u16, reason: &str, message: &str, details: Option<Value>) -> Value {
    let mut status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code});
    if let Some(details) = details {
        status["details"] = details;
    }
    status
}

#[test]
fn who_asks_is_told_apart() {
    let server = populated();
    let get = |path: &str| server.request("GET", path);
    let unauthorized = failure(401, "Unauthorized", "Unauthorized", None);
    assert_status(&get("/api/v1/pods").by("nobody").send(), &unauthorized);
    assert_status(&get("/version").by("nobody").send(), &unauthorized);

    let forbidden = |what: &str, verb: &str, resource: &str, scope: &str| {
        format!(
            "{what} is forbidden: User \"system:anonymous\" cannot {verb} resource \"{resource}\" in API group \"\" {scope}"
        )
    };
    let message = forbidden("pods", "list", "pods", "at the cluster scope");
    let expected = failure(403, "Forbidden", &message, Some(json!({"kind": "pods"})));
    assert_status(&get("/api/v1/pods").send(), &expected);
    let message = forbidden("pods \"a\"", "get", "pods", "in the namespace \"blue\"");
    let named = failure(403, "Forbidden", &message, Some(json!({"name": "a", "kind": "pods"})));
    assert_status(&get("/api/v1/namespaces/blue/pods/a").send(), &named);
    let message = forbidden("pods \"a\"", "list", "pods", "in the namespace \"blue\"");
    let selected = failure(403, "Forbidden", &message, Some(json!({"name": "a", "kind": "pods"})));
    assert_status(&get("/api/v1/namespaces/blue/pods?fieldSelector=metadata.name%3Da").send(), &selected);
    let message = forbidden("namespaces \"blue\"", "get", "namespaces", "in the namespace \"blue\"");
    let namespace = failure(403, "Forbidden", &message, Some(json!({"name": "blue", "kind": "namespaces"})));
    assert_status(&get("/api/v1/namespaces/blue").send(), &namespace);

    let message = "forbidden: User \"system:anonymous\" cannot get path \"/api\"";
    assert_status(&get("/api").send(), &failure(403, "Forbidden", message, Some(json!({}))));
    assert_eq!(get("/version").send().status, 200);
}

#[test]
fn what_does_not_exist() {
    let server = populated();
    let everything = Rule { verbs: &["*"], resources: &["*"] };
    let reader = server.user(READER, &[everything]);
    let ask = |method: &str, path: &str| server.request(method, path).by(&reader).send();

    let missing = failure(404, "NotFound", "pods \"z\" not found", Some(json!({"name": "z", "kind": "pods"})));
    assert_status(&ask("GET", "/api/v1/namespaces/blue/pods/z"), &missing);
    assert_status(&ask("GET", "/api/v1/namespaces/absent/pods/z"), &missing);
    let nowhere = failure(404, "NotFound", "the server could not find the requested resource", Some(json!({})));
    for path in
        ["/api/v1/colours", "/api/v1/pods/a", "/api/v1/namespaces/blue/nodes", "/api/v1/namespaces/blue/colours/a"]
    {
        assert_status(&ask("GET", path), &nowhere);
    }
    let message = "the server does not allow this method on the requested resource";
    let unlawful = failure(405, "MethodNotAllowed", message, Some(json!({})));
    for (method, path) in
        [("POST", "/api/v1/pods"), ("PUT", "/api/v1/namespaces/blue/pods"), ("DELETE", "/api/v1/pods")]
    {
        assert_status(&ask(method, path), &unlawful);
    }
    let list = ask("GET", "/api/v1/namespaces/absent/pods").json();
    assert_eq!(list["items"], json!([]), "{list}");
}

#[test]
fn objects_carry_their_identity() {
    let server = ApiServer::start();
    let reader = server.user(READER, &[READ_ALL]);
    let get = || server.request("GET", "/api/v1/namespaces/blue/pods/a?").by(&reader).send();
    let revision = |pod: &Value| pod["metadata"]["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap();

    let first = server.pod("blue", "a").on("node-1").create();
    let created = get().json();
    assert_eq!(created["metadata"]["uid"], json!(first));
    assert_eq!(created["metadata"]["namespace"], "blue");
    let groups: Vec<usize> = first.split('-').map(str::len).collect();
    assert_eq!(groups, [8, 4, 4, 4, 12], "{first}");
    assert_eq!(&first[14..15], "4", "{first}");
    let time = created["metadata"]["creationTimestamp"].as_str().unwrap();
    assert!(time.len() == 20 && time.ends_with('Z') && time.starts_with("20"), "{time}");
    assert_eq!(created["status"]["phase"], "Pending");

    server.set_phase("blue", "a", "Running");
    let running = get().json();
    assert_eq!(running["status"]["phase"], "Running");
    assert_eq!(running["metadata"]["uid"], json!(first));
    assert!(revision(&running) > revision(&created));
    server.patch("pods", "blue", "a", &json!({"metadata": {"annotations": {"colour": "red"}}}));
    assert_eq!(get().json()["metadata"]["annotations"]["colour"], "red");

    server.terminate_pod("blue", "a");
    let ending = get().json();
    assert!(ending["metadata"]["deletionTimestamp"].as_str().unwrap() > time);
    assert_eq!(ending["metadata"]["deletionGracePeriodSeconds"], 30);
    server.delete_pod("blue", "a");
    assert_eq!(get().status, 404);

    let second = server.pod("blue", "a").create();
    assert_ne!(first, second);
    assert!(revision(&get().json()) > revision(&running));
    server.terminate_pod("blue", "a");
    assert_eq!(get().status, 404, "one that is on no node has nobody to end it");
    server.pod("blue", "a").on("node-1").phase("Succeeded").create();
    server.terminate_pod("blue", "a");
    assert_eq!(get().status, 404, "one that has ended is not waited for");
}

#[test]
fn workloads_are_of_another_group() {
    const PATH: &str = "/apis/apps/v1/namespaces/shop/replicasets/web-1";
    let server = ApiServer::start();
    let deployment = server.deployment("shop", "web");
    let set = server.replica_set("shop", "web-1", ("web", &deployment), 7);
    let sets = Rule { verbs: &["get", "list"], resources: &["replicasets"] };
    let reader = server.user(READER, &[READ_ALL, sets]);
    let get = |path: &str| server.request("GET", path).by(&reader).send();

    let found = get(PATH).json();
    assert_eq!([&found["kind"], &found["apiVersion"]], ["ReplicaSet", "apps/v1"]);
    assert_eq!(found["metadata"]["uid"], json!(set.uid));
    assert_eq!(found["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "7");
    let owner =
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": deployment, "controller": true});
    assert_eq!(found["metadata"]["ownerReferences"], json!([owner]));
    server.set_revision("shop", &set, 8);
    assert_eq!(get(PATH).json()["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "8");
    let list = get("/apis/apps/v1/namespaces/shop/replicasets").json();
    assert_eq!([&list["kind"], &list["apiVersion"]], ["ReplicaSetList", "apps/v1"]);

    let details = json!({"name": "z", "group": "apps", "kind": "replicasets"});
    let missing = failure(404, "NotFound", "replicasets.apps \"z\" not found", Some(details));
    assert_status(&get("/apis/apps/v1/namespaces/shop/replicasets/z"), &missing);
    let message = format!(
        "deployments.apps \"web\" is forbidden: User \"{READER}\" cannot get resource \"deployments\" in API group \
         \"apps\" in the namespace \"shop\""
    );
    let details = json!({"name": "web", "group": "apps", "kind": "deployments"});
    let expected = failure(403, "Forbidden", &message, Some(details));
    assert_status(&get("/apis/apps/v1/namespaces/shop/deployments/web"), &expected);
    assert_eq!(get("/api/v1/namespaces/shop/replicasets/web-1").status, 403, "the core group has none");
}

#[test]
fn every_cluster_has_a_uid_of_its_own() {
    let (one, two) = (ApiServer::start(), ApiServer::start());
    assert_ne!(one.cluster_uid(), two.cluster_uid());
    let reader = one.user(READER, &[READ_ALL]);
    let found = one.request("GET", "/api/v1/namespaces/kube-system").by(&reader).send().json();
    assert_eq!(found["metadata"]["uid"], json!(one.cluster_uid()));
}

#[test]
fn nodes_come_and_go() {
    let server = ApiServer::start();
    let reader = server.user(READER, &[READ_ALL]);
    let get = || server.request("GET", "/api/v1/nodes/node-1").by(&reader).send();
    assert_eq!(get().status, 404);
    let uid = server.node("node-1");
    assert_eq!(get().json()["metadata"]["uid"], json!(uid));
    server.delete_node("node-1");
    assert_eq!(get().status, 404);
}

#[test]
fn only_metadata_where_only_that_is_wanted() {
    let server = populated();
    let reader = server.user(READER, &[READ_ALL]);
    let get = |path: &str, accept: &str| server.request("GET", path).by(&reader).with("accept", accept).send();
    let form = |kind: &str| format!("application/json;as={kind};g=meta.k8s.io;v=v1");

    let list = get("/api/v1/namespaces/blue/pods", &form("PartialObjectMetadataList")).json();
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert_eq!(list["apiVersion"], "meta.k8s.io/v1");
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    assert_eq!(list["items"][0]["metadata"]["name"], "a");
    assert_eq!(list["items"][0]["spec"], Value::Null);
    let pod = get("/api/v1/namespaces/blue/pods/a", &form("PartialObjectMetadata")).json();
    assert_eq!([&pod["kind"], &pod["apiVersion"]], ["PartialObjectMetadata", "meta.k8s.io/v1"]);
    assert_eq!(pod["metadata"]["labels"], json!({"app": "web"}));

    let either = format!("{}, application/json", form("Sculpture"));
    assert_eq!(get("/api/v1/namespaces/blue/pods/a", &either).json()["kind"], "Pod");
    let neither = get("/api/v1/namespaces/blue/pods/a", "image/png");
    assert_eq!((neither.status, neither.json()["reason"].as_str()), (406, Some("NotAcceptable")));
}
