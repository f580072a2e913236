//! Hands the target that this is compiled for on to the code.
#![allow(clippy::print_stdout, reason = "this is how a build script talks to cargo")]
#![allow(clippy::unwrap_used, reason = "a build script has nobody to return an error to")]

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-env=KUBE_IPAM_TARGET={}", std::env::var("TARGET").unwrap());
}
