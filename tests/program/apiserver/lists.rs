//! Lists: their pages are of one instant, and can become too old.

use kube_ipam_tests::apiserver::ApiServer;
use serde_json::{Value, json};

use super::{READ_ALL, READER, names, populated};

fn list(server: &ApiServer, token: &str, query: &str) -> Value {
    let reply = server.request("GET", &format!("/api/v1/pods?{query}")).by(token).send();
    assert_eq!(reply.status, 200, "{query}: {reply:?}");
    reply.json()
}

fn continuation(page: &Value) -> String {
    page["metadata"]["continue"].as_str().unwrap_or_else(|| panic!("the last page: {page}")).to_owned()
}

#[test]
fn a_list_has_items_without_kind() {
    let server = populated();
    let reader = server.user(READER, &[READ_ALL]);
    let all = list(&server, &reader, "");
    assert_eq!([&all["kind"], &all["apiVersion"]], ["PodList", "v1"]);
    assert_eq!(names(&all), ["a", "b", "c"]);
    assert_eq!([&all["items"][0]["kind"], &all["items"][0]["apiVersion"]], [&Value::Null, &Value::Null]);
    let revision = |object: &Value| object["metadata"]["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap();
    assert!(all["items"].as_array().unwrap().iter().all(|pod| revision(pod) <= revision(&all)));
    assert_eq!(all["metadata"]["continue"], Value::Null);
}

#[test]
fn pages_are_of_one_instant() {
    let server = populated();
    let reader = server.user(READER, &[READ_ALL]);
    let first = list(&server, &reader, "limit=1");
    assert_eq!(names(&first), ["a"]);
    assert_eq!(first["metadata"]["remainingItemCount"], 2);
    server.delete_pod("blue", "b");
    server.pod("blue", "b2").create();

    let second = list(&server, &reader, &format!("limit=1&continue={}", continuation(&first)));
    assert_eq!(names(&second), ["b"], "as it was");
    assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    assert_eq!(second["metadata"]["remainingItemCount"], 1);
    let last = list(&server, &reader, &format!("limit=1&continue={}", continuation(&second)));
    assert_eq!(names(&last), ["c"]);
    assert_eq!(last["metadata"]["continue"], Value::Null);
    assert_eq!(names(&list(&server, &reader, "")), ["a", "b2", "c"], "as it is");
}

#[test]
fn a_page_of_a_selection_may_be_empty() {
    let server = populated();
    let reader = server.user(READER, &[READ_ALL]);
    let first = list(&server, &reader, "limit=1&labelSelector=app%3Ddb");
    assert_eq!(names(&first), ["b"]);
    assert_eq!(first["metadata"]["remainingItemCount"], Value::Null);
    let query = format!("limit=1&labelSelector=app%3Ddb&continue={}", continuation(&first));
    let second = list(&server, &reader, &query);
    assert_eq!(second["items"], json!([]));
    assert_eq!(second["metadata"]["continue"], Value::Null);
}

#[test]
fn the_cache_knows_no_pages() {
    let server = populated();
    let reader = server.user(READER, &[READ_ALL]);
    assert_eq!(list(&server, &reader, "limit=1&resourceVersion=0")["items"].as_array().unwrap().len(), 3);
}

#[test]
fn a_page_can_come_too_late() {
    let server = populated();
    let reader = server.user(READER, &[READ_ALL]);
    let first = list(&server, &reader, "limit=1");
    server.delete_pod("blue", "b");
    server.compact();

    let path = format!("/api/v1/pods?limit=1&continue={}", continuation(&first));
    let reply = server.request("GET", &path).by(&reader).send();
    let status = reply.json();
    assert_eq!((reply.status, &status["code"], status["reason"].as_str()), (410, &json!(410), Some("Expired")));
    assert!(status["message"].as_str().unwrap().starts_with("The provided continue parameter is too old"), "{status}");
    let rest = list(&server, &reader, &format!("continue={}", continuation(&status)));
    assert_eq!(names(&rest), ["c"]);
}

#[test]
fn what_cannot_be_understood() {
    let server = populated();
    let reader = server.user(READER, &[READ_ALL]);
    for (query, message) in [
        ("limit=many", "strconv.ParseInt: parsing \"many\": invalid syntax"),
        ("fieldSelector=spec.colour%3Dred", "field label not supported: spec.colour"),
        ("fieldSelector=spec.nodeName", "invalid selector: 'spec.nodeName'; can't understand 'spec.nodeName'"),
        ("continue=%21", "continue key is not valid"),
    ] {
        let reply = server.request("GET", &format!("/api/v1/pods?{query}")).by(&reader).send();
        let status = reply.json();
        assert_eq!((reply.status, status["reason"].as_str()), (400, Some("BadRequest")), "{query}: {status}");
        assert!(status["message"].as_str().unwrap().contains(message), "{query}: {status}");
    }
}
