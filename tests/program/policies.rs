//! The cases of the policies shipped, run by the program against the components that are shipped.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kube_ipam_tests::program;

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

fn policy_test(arguments: &[&str]) -> Output {
    Command::new(program()).args(["policy", "test"]).args(arguments).current_dir(project()).output().unwrap()
}

/// All of them pass, and there are some.
fn cases_of(policy: &str) {
    let module = project().join(format!("target/policies/{policy}.wasm"));
    assert!(module.exists(), "{} is missing: run `make policies` first", module.display());
    let output = policy_test(&[&format!("policies/{policy}"), "--module", module.to_str().unwrap()]);
    let text = String::from_utf8_lossy(&output.stdout);
    let passed = text.matches("✓").count();
    let last = text.lines().last().unwrap_or_default();
    assert!(output.status.success() && passed > 1, "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(last, format!("{passed} passed, 0 failed"));
}

#[test]
fn range_fixed() {
    cases_of("range-fixed");
    let builtin = policy_test(&["policies/range-fixed", "--module", "builtin"]);
    assert!(builtin.status.success(), "{}", String::from_utf8_lossy(&builtin.stdout));
}

#[test]
fn by_namespace() {
    cases_of("by-namespace");
}

#[test]
fn sticky() {
    cases_of("sticky");
}

#[test]
fn another_policy_does_not_pass_them() {
    let output = policy_test(&["policies/by-namespace", "--module", "target/policies/range-fixed.wasm"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("settings"), "{output:?}");
}
