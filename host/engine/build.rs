//! Puts the default policy into the crate: as a component, and, where the build prepared it, as machine code, so that the
//! shipped binary starts without a compiler, a cache or a file. `make build` prepares it with `precompile`; a plain
//! `cargo build` does not, and its binary compiles the default policy at its first use and keeps it in the cache.
#![allow(clippy::unwrap_used, reason = "a build script has nobody to return an error to")]
#![allow(clippy::exit, clippy::print_stdout, reason = "this is how a build script talks to cargo")]

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::{env, fs};

use sha2::{Digest, Sha256};

/// The directory that `precompile` left the default policy in.
const PREPARED: &str = "KUBE_IPAM_DEFAULT_POLICY";

/// Whatever the default policy is made of; not the whole directories, in which builds leave their results.
const INPUTS: [&str; 10] = [
    "policies/range-fixed/src",
    "policies/range-fixed/settings.schema.json",
    "policies/range-fixed/Cargo.toml",
    "policies/sdk/src",
    "policies/sdk/Cargo.toml",
    "host/addresses/src",
    "host/addresses/Cargo.toml",
    "wit",
    "Cargo.toml",
    "Cargo.lock",
];

/// The description of the engine: code that was compiled under another one is not taken from the cache.
const ENGINE: &str = "host/compiler/src/lib.rs";

fn main() {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").unwrap()).join("../..");
    let out = PathBuf::from(env::var("OUT_DIR").unwrap());
    println!("cargo::rerun-if-env-changed={PREPARED}");
    println!("cargo::rerun-if-changed={}", root.join(ENGINE).display());
    println!("cargo::rerun-if-changed={}", root.join("Cargo.lock").display());

    let component = match env::var_os(PREPARED) {
        Some(prepared) => copy_prepared(Path::new(&prepared), &out),
        None => build(&root, &out),
    };
    println!("cargo::rustc-env=KUBE_IPAM_DEFAULT_POLICY_SHA256={:x}", Sha256::digest(&component));
    println!("cargo::rustc-env=KUBE_IPAM_TARGET={}", env::var("TARGET").unwrap());
    println!("cargo::rustc-env=KUBE_IPAM_ENGINE={}", engine_tag(&root));
}

/// What `precompile` left. Gives the component.
fn copy_prepared(prepared: &Path, out: &Path) -> Vec<u8> {
    for name in ["default.wasm", "default.cwasm"] {
        let file = prepared.join(name);
        println!("cargo::rerun-if-changed={}", file.display());
        write(&out.join(name), &read(&file));
    }
    read(&out.join("default.wasm"))
}

/// The component, and no machine code.
fn build(root: &Path, out: &Path) -> Vec<u8> {
    for input in INPUTS {
        println!("cargo::rerun-if-changed={}", root.join(input).display());
    }
    let component = match builders::rust::build_default(root, &out.join("guest")) {
        Ok(component) => component,
        Err(error) => fail(&format!("the default policy: {error}")),
    };
    write(&out.join("default.wasm"), &component);
    write(&out.join("default.cwasm"), &[]);
    component
}

/// Changes whenever compiled code of one engine would not run in the other: with wasmtime's version and its settings.
/// Should it ever not change, wasmtime refuses the code, and it is compiled again.
fn engine_tag(root: &Path) -> String {
    let lock = fs::read_to_string(root.join("Cargo.lock")).unwrap();
    let wasmtime = lock.split("[[package]]").find(|package| package.contains("name = \"wasmtime\"\n")).unwrap();
    let mut hasher = DefaultHasher::new();
    (wasmtime, read(&root.join(ENGINE))).hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|error| fail(&format!("{}: {error}", path.display())))
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
