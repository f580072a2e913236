//! Lays the node's program out in the order in which an ADD runs through it. Its code is mapped in pieces of 64 KiB, each
//! at the price of a page fault; what an ADD needs of it fits into two dozen of them, once it lies together.
//!
//! `make build` names a directory: the order of the functions is read from there, and a map of what was linked is left
//! there, which the next order is made of. A plain `cargo build` links in any order.
#![allow(clippy::unwrap_used, reason = "a build script has nobody to return an error to")]
#![allow(clippy::print_stdout, reason = "this is how a build script talks to cargo")]

use std::env;
use std::process::Command;

const LAYOUT: &str = "KUBE_IPAM_LAYOUT";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={LAYOUT}");
    let Ok(layout) = env::var(LAYOUT) else { return };
    let sysroot = Command::new(env::var_os("RUSTC").unwrap()).args(["--print", "sysroot"]).output().unwrap().stdout;
    let sysroot = String::from_utf8(sysroot).unwrap();
    // The linker that comes with Rust takes an order of functions; the one of many systems does not.
    let tools = format!("{}/lib/rustlib/{}/bin/gcc-ld", sysroot.trim(), env::var("HOST").unwrap());
    for argument in [
        "-fuse-ld=lld".to_owned(),
        format!("-B{tools}"),
        format!("-Wl,--symbol-ordering-file={layout}/kube-ipam.order"),
        "-Wl,--no-warn-symbol-ordering".to_owned(),
        "-Wl,--no-demangle".to_owned(),
        // Functions that came out alike, most of them the destructors of futures, are kept once.
        "-Wl,--icf=all".to_owned(),
        format!("-Wl,-Map={layout}/kube-ipam.map"),
    ] {
        println!("cargo::rustc-link-arg-bin=kube-ipam={argument}");
    }
}
