//! Builds the default policy, makes it a component, and compiles it ahead of time for the target, so that the shipped
//! binary starts without a compiler, a cache or a file.
#![allow(unreachable_pub, dead_code, reason = "two of the modules below are shared with the library")]
#![allow(clippy::unwrap_used, reason = "a build script has nobody to return an error to")]
#![allow(clippy::exit, clippy::print_stdout, reason = "this is how a build script talks to cargo")]

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::{env, fs};

use sha2::{Digest, Sha256};

#[path = "build/carried.rs"]
mod carried;
#[path = "src/policy/engine.rs"]
mod engine;
#[path = "src/policy/guest/mod.rs"]
mod guest;

const DEFAULT_POLICY: &str = "policies/range-fixed";

/// Whatever the default policy is made of; not the whole directories, in which builds leave their results.
const INPUTS: [&str; 8] = [
    "policies/range-fixed/src",
    "policies/range-fixed/settings.schema.json",
    "policies/range-fixed/Cargo.toml",
    "policies/sdk/src",
    "policies/sdk/Cargo.toml",
    "wit",
    "Cargo.toml",
    "Cargo.lock",
];

fn main() {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").unwrap()).join("..");
    let out = PathBuf::from(env::var("OUT_DIR").unwrap());
    let target = env::var("TARGET").unwrap();
    for input in INPUTS {
        println!("cargo::rerun-if-changed={}", root.join(input).display());
    }
    for input in carried::write(&root, &out) {
        println!("cargo::rerun-if-changed={}", input.display());
    }
    println!("cargo::rerun-if-changed=src/policy/engine.rs");
    println!("cargo::rerun-if-changed=src/policy/guest");

    let component = match guest::rust::build(&root.join(DEFAULT_POLICY), &out.join("guest")) {
        Ok(component) => component,
        Err(error) => fail(&format!("the default policy: {error}")),
    };
    let engine = match engine::compiling(&target) {
        Ok(engine) => engine,
        Err(error) => fail(&format!("no engine for {target}: {error:#}")),
    };
    let artifact = match engine.precompile_component(&component) {
        Ok(artifact) => artifact,
        Err(error) => fail(&format!("the default policy does not compile for {target}: {error:#}")),
    };
    write(&out.join("default.wasm"), &component);
    write(&out.join("default.cwasm"), &artifact);

    let digest: String = Sha256::digest(&component).iter().map(|byte| format!("{byte:02x}")).collect();
    println!("cargo::rustc-env=KUBE_IPAM_DEFAULT_POLICY_SHA256={digest}");
    println!("cargo::rustc-env=KUBE_IPAM_TARGET={target}");
    println!("cargo::rustc-env=KUBE_IPAM_ENGINE={}", engine_tag(&engine));
}

/// Changes whenever compiled code of one engine would not run in the other: wasmtime's version, target, settings.
fn engine_tag(engine: &wasmtime::Engine) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn write(path: &Path, bytes: &[u8]) {
    if let Err(error) = fs::write(path, bytes) {
        fail(&format!("{}: {error}", path.display()));
    }
}

fn fail(reason: &str) -> ! {
    println!("cargo::error={}", reason.replace('\n', " "));
    std::process::exit(1)
}
