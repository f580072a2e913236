//! What the SDK's `export!` makes of a panic: its text and place reach the operator's error and the log.
#![allow(clippy::unwrap_used, missing_docs, reason = "a test")]

mod guests;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use guests::{Site, request, snapshot};
use kube_ipam::ipam::{Pod, PodName, Refusal, Request, Verdict};
use kube_ipam::policy::Outcome;
use wit_component::ComponentEncoder;

#[test]
fn a_panic_is_told_with_its_text_and_place_and_spoils_no_later_call() {
    let site = Site::new();
    let policy = site.policy("panics", &module()).unwrap().recording();
    let error = policy.allocate(&of_namespace("other"), "{}", &snapshot()).unwrap_err().to_string();
    let place = "panicked at policies/sdk/examples/panics.rs:19: no rule for Some(\"other\")";
    assert_eq!(error, format!("policy panics.wasm: allocate {place}"));
    let calls = policy.take_calls();
    assert_eq!(calls[0].lines.len(), 1, "{calls:?}");
    assert_eq!((calls[0].lines[0].level, calls[0].lines[0].text.as_str()), (tracing::Level::ERROR, place));

    let outcome = policy.allocate(&of_namespace("known"), "{}", &snapshot()).unwrap();
    let denied = Refusal::Denied("known, and denied".to_owned());
    assert_eq!(outcome, Outcome::Verdict(Verdict::Refuse(denied)));
}

fn of_namespace(namespace: &str) -> Request {
    let name = PodName { namespace: namespace.to_owned(), name: "web-0".to_owned(), uid: None };
    let pod = Pod { name, annotations: BTreeMap::new(), labels: BTreeMap::new(), owner: None };
    Request { pod: Some(pod), ..request() }
}

/// Built as an author builds it, in a target directory of its own: the one of this test may be locked.
fn module() -> Vec<u8> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guest");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--target", "wasm32-unknown-unknown", "-p", "kube-ipam-policy"])
        .args(["--example", "panics", "--target-dir"])
        .arg(&target)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTFLAGS")
        .status();
    assert!(built.is_ok_and(|status| status.success()), "the example does not build");
    let module = std::fs::read(target.join("wasm32-unknown-unknown/release/examples/panics.wasm")).unwrap();
    ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
}
