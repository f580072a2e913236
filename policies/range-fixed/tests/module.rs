//! The module as it is shipped: builds, encodes as a component of the world, and imports nothing else.

use std::path::{Path, PathBuf};
use std::process::Command;

use wit_component::{ComponentEncoder, DecodedWasm, decode};

/// What the policy world gives a module, and nothing more.
const ALLOWED: [&str; 3] =
    ["kube-ipam:policy/types@0.1.0", "kube-ipam:policy/pool@0.1.0", "kube-ipam:policy/log@0.1.0"];

/// An upper bound that notices a dependency too many, in bytes.
const LARGEST: usize = 272 * 1024;

#[test]
fn it_imports_the_world_alone_and_exports_the_allocator() {
    let module = std::fs::read(build("range-fixed")).unwrap();
    let component = ComponentEncoder::default().module(&module).unwrap().validate(true).encode().unwrap();
    assert!(component.len() < LARGEST, "{} bytes", component.len());

    let DecodedWasm::Component(resolve, world) = decode(&component).unwrap() else { panic!("not a component") };
    let world = &resolve.worlds[world];
    let imports: Vec<String> = world.imports.keys().map(|key| resolve.name_world_key(key)).collect();
    assert!(imports.iter().all(|import| ALLOWED.contains(&import.as_str())), "{imports:?}");
    let exports: Vec<String> = world.exports.keys().map(|key| resolve.name_world_key(key)).collect();
    assert_eq!(exports, ["kube-ipam:policy/allocator@0.1.0"]);
}

/// In a target directory of its own: the one of this test may be locked.
fn build(policy: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guest");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--target", "wasm32-unknown-unknown", "-p", policy, "--target-dir"])
        .arg(&target)
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("RUSTFLAGS")
        .status();
    assert!(built.is_ok_and(|status| status.success()), "policy {policy} does not build");
    target.join("wasm32-unknown-unknown/release").join(policy.replace('-', "_")).with_extension("wasm")
}
