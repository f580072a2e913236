//! What the double can do besides answering.

use std::time::{Duration, Instant};

use kube_ipam_tests::apiserver::{ApiServer, Fault, Recorded, Reply};
use serde_json::json;

use super::{READ_ALL, READER};

const PODS: &str = "/api/v1/pods?limit=5";

fn ask(server: &ApiServer, token: &str) -> Result<Reply, String> {
    server.request("GET", PODS).by(token).try_send()
}

#[test]
fn requests_are_recorded() {
    let server = ApiServer::double();
    let reader = server.user(READER, &[READ_ALL]);
    ask(&server, &reader).unwrap();
    ask(&server, "nobody").unwrap();
    server.request("GET", "/version").send();
    let recorded = |path: &str, user: Option<&str>| Recorded {
        method: "GET".into(),
        path_and_query: path.into(),
        user: user.map(str::to_owned),
    };
    let expected = [recorded(PODS, Some(READER)), recorded(PODS, None), recorded("/version", Some("system:anonymous"))];
    assert_eq!(server.requests(), expected);
}

#[test]
fn answers_that_refuse() {
    let server = ApiServer::double();
    let reader = server.user(READER, &[READ_ALL]);
    for (fault, code, reason) in [
        (Fault::TooManyRequests { retry_after: 7 }, 429, "TooManyRequests"),
        (Fault::InternalError, 500, "InternalError"),
        (Fault::Unavailable, 503, "ServiceUnavailable"),
    ] {
        server.fail(fault, 1);
        let reply = ask(&server, &reader).unwrap();
        assert_eq!(
            (reply.status, &reply.json()["reason"], &reply.json()["code"]),
            (code, &json!(reason), &json!(code))
        );
    }
    server.fail(Fault::TooManyRequests { retry_after: 7 }, 2);
    for _ in 0..2 {
        let reply = ask(&server, &reader).unwrap();
        assert_eq!(reply.header("retry-after"), "7");
        assert_eq!(reply.json()["details"], json!({"retryAfterSeconds": 7}));
    }
    assert_eq!(ask(&server, &reader).unwrap().status, 200, "as often as was said");

    server.fail(Fault::Overloaded, usize::MAX);
    let reply = ask(&server, &reader).unwrap();
    assert_eq!((reply.status, reply.header("retry-after")), (429, "1"));
    assert_eq!(reply.text, "Too many requests, please try again later.\n");
    server.heal();
    assert_eq!(ask(&server, &reader).unwrap().status, 200);
}

#[test]
fn answers_that_are_none() {
    let server = ApiServer::double();
    let reader = server.user(READER, &[READ_ALL]);
    server.fail(Fault::Garbage, 1);
    let reply = ask(&server, &reader).unwrap();
    assert_eq!((reply.status, reply.header("content-type")), (200, "application/json"));
    assert!(serde_json::from_str::<serde_json::Value>(&reply.text).is_err(), "{reply:?}");

    server.fail(Fault::Cut, 1);
    assert!(ask(&server, &reader).is_err());

    server.fail(Fault::Slow(Duration::from_millis(300)), 1);
    let start = Instant::now();
    assert_eq!(ask(&server, &reader).unwrap().status, 200);
    assert!(start.elapsed() >= Duration::from_millis(300));

    server.fail(Fault::Stall, 1);
    let (sender, answer) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let mut server = server;
        let request = server.request("GET", PODS).by(&reader);
        scope.spawn(move || sender.send(request.try_send()).unwrap());
        assert!(answer.recv_timeout(Duration::from_millis(300)).is_err(), "it does not end");
        server.stop();
        assert!(answer.recv().unwrap().is_err(), "until the server does");
    });
}

#[test]
fn connections_that_fail() {
    let mut server = ApiServer::double();
    let reader = server.user(READER, &[READ_ALL]);
    server.stop();
    let said = ask(&server, &reader).unwrap_err();
    assert!(said.contains("refused"), "{said}");
    server.resume();
    assert_eq!(ask(&server, &reader).unwrap().status, 200);

    server.present_foreign_certificate();
    let said = ask(&server, &reader).unwrap_err();
    assert!(said.contains("certificate"), "{said}");
    server.stop();
    server.resume();
    server.expire(&reader);
    assert_eq!(ask(&server, &reader).unwrap().status, 401);
}
