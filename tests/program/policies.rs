//! The components that are shipped: what is in them, and the cases of their policies, run by the program.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kube_ipam_tests::program::{module, program};
use wit_component::{DecodedWasm, decode};

/// What the policy world gives a module, and nothing more.
const ALLOWED: [&str; 3] =
    ["kube-ipam:policy/types@0.1.0", "kube-ipam:policy/pool@0.1.0", "kube-ipam:policy/log@0.1.0"];

/// An upper bound that notices a dependency too many, in bytes.
const LARGEST: usize = 272 * 1024;

fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

fn policy_test(arguments: &[&str]) -> Output {
    Command::new(program()).args(["policy", "test"]).args(arguments).current_dir(project()).output().unwrap()
}

/// All of them pass, and there are some.
fn cases_of(policy: &str) {
    let module = module(policy);
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

#[test]
fn it_imports_the_world_alone_and_exports_the_allocator() {
    let component = std::fs::read(module("range-fixed")).unwrap();
    assert!(component.len() < LARGEST, "{} bytes", component.len());

    let DecodedWasm::Component(resolve, world) = decode(&component).unwrap() else { panic!("not a component") };
    let world = &resolve.worlds[world];
    let imports: Vec<String> = world.imports.keys().map(|key| resolve.name_world_key(key)).collect();
    assert!(imports.iter().all(|import| ALLOWED.contains(&import.as_str())), "{imports:?}");
    let exports: Vec<String> = world.exports.keys().map(|key| resolve.name_world_key(key)).collect();
    assert_eq!(exports, ["kube-ipam:policy/allocator@0.1.0"]);
}
