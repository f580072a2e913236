//! What the SDK's `export!` makes of a panic: its text and place reach the operator's error and the log.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use engine::Outcome;
use hostile::{Site, request, snapshot};
use ipam::{Pod, PodName, Request, Verdict};
use wit_component::ComponentEncoder;

#[test]
fn a_panic_is_told_with_its_text_and_place_and_spoils_no_later_call() {
    let site = Site::new();
    let policy = site.policy("broken", &module()).unwrap().recording();
    let settings = r#"{"fault": "panics-at-annotations"}"#;
    let error = policy.allocate(&wanting("nonsense"), settings, &snapshot()).unwrap_err().to_string();
    let said = error.strip_prefix("policy broken.wasm: allocate ").unwrap_or_else(|| panic!("{error}"));
    assert!(said.starts_with("panicked at tests/broken/src/lib.rs:"), "{error}");
    assert!(said.ends_with(": an address: AddrParseError(Ip)"), "{error}");
    let calls = policy.take_calls();
    assert_eq!(calls[0].lines.len(), 1, "{calls:?}");
    assert_eq!((calls[0].lines[0].level, calls[0].lines[0].text.as_str()), (tracing::Level::ERROR, said));

    let outcome = policy.allocate(&wanting("10.0.0.9"), settings, &snapshot()).unwrap();
    assert!(matches!(outcome, Outcome::Verdict(Verdict::Propose(_))), "{outcome:?}");
}

fn wanting(address: &str) -> Request {
    let name = PodName { namespace: "default".to_owned(), name: "web-0".to_owned(), uid: None, cluster: None };
    let annotations = BTreeMap::from([("kube-ipam.ip".to_owned(), address.to_owned())]);
    Request { pod: Some(Pod { name, annotations, labels: BTreeMap::new(), owner: None }), ..request() }
}

/// Built as an author builds it, in a target directory of its own: the one of this test may be locked.
fn module() -> Vec<u8> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guest");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--target", "wasm32-unknown-unknown", "-p", "broken", "--target-dir"])
        .arg(&target)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTFLAGS")
        .status();
    assert!(built.is_ok_and(|status| status.success()), "the policy does not build");
    let module = std::fs::read(target.join("wasm32-unknown-unknown/release/broken.wasm")).unwrap();
    ComponentEncoder::default().module(&module).unwrap().encode().unwrap()
}
