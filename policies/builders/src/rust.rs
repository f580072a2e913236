//! Rust: a crate of type `cdylib` on the SDK, for a target whose standard library imports nothing.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{GuestError, encode, tool};

/// What a Rust policy is compiled for. Its standard library imports nothing, unlike that of the WASI targets.
pub const TARGET: &str = "wasm32-unknown-unknown";

const WAY_OUT: &str = "https://rustup.rs installs cargo";

/// Build the policy that the node's program carries, of the repository with this root.
pub fn build_default(root: &Path, target_dir: &Path) -> Result<Vec<u8>, GuestError> {
    build(&root.join("policies/range-fixed"), target_dir)
}

/// Build the crate and encode its module as a component.
pub fn build(directory: &Path, target_dir: &Path) -> Result<Vec<u8>, GuestError> {
    let module = compile(directory, target_dir)?;
    encode(&tool::read(&module)?)
}

/// Run cargo for the guest, shielded from whatever cargo, clippy or a wrapper put into our own environment.
fn compile(directory: &Path, target_dir: &Path) -> Result<PathBuf, GuestError> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = Command::new(&cargo);
    command.current_dir(directory).args(["build", "--quiet", "--release", "--lib", "--target", TARGET]);
    command.args(["--message-format", "json-render-diagnostics"]).arg("--target-dir").arg(target_dir);
    for variable in ["RUSTFLAGS", "RUSTC_WORKSPACE_WRAPPER", "CARGO_BUILD_TARGET", "RUSTC"] {
        command.env_remove(variable);
    }
    command.env("CARGO_ENCODED_RUSTFLAGS", remapped_home());
    // A policy is loaded by every ADD: small matters more than clever.
    let profile =
        [("OPT_LEVEL", "s"), ("LTO", "fat"), ("CODEGEN_UNITS", "1"), ("PANIC", "abort"), ("STRIP", "debuginfo")];
    command.envs(profile.map(|(key, value)| (format!("CARGO_PROFILE_RELEASE_{key}"), value)));

    match tool::run("cargo", &mut command, directory, WAY_OUT) {
        Ok(output) => {
            produced_module(&output.stdout).ok_or_else(|| GuestError::NoModule(directory.display().to_string()))
        }
        Err(GuestError::Build { said, .. }) if said.contains("target may not be installed") => {
            Err(GuestError::NoTarget)
        }
        // Its standard output is for programs.
        Err(GuestError::Build { tool, directory, said }) => {
            let said: Vec<&str> = said.lines().filter(|line| !line.starts_with("{\"reason\":")).collect();
            Err(GuestError::Build { tool, directory, said: said.join("\n") })
        }
        Err(error) => Err(error),
    }
}

/// The same bytes, and so the same digest, whoever builds: panic messages name source files, and those of dependencies
/// lie in somebody's home.
fn remapped_home() -> OsString {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let Some(home) = home else { return OsString::new() };
    let mut flag = OsString::from("--remap-path-prefix=");
    flag.push(home.join("registry").join("src"));
    flag.push("=registry");
    flag
}

/// The last `.wasm` file among cargo's messages, one JSON object a line.
fn produced_module(messages: &[u8]) -> Option<PathBuf> {
    let messages = messages.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    let files = messages.filter_map(|message: serde_json::Value| message.get("filenames")?.as_array().cloned());
    let mut paths = files.flatten().filter_map(|file| file.as_str().map(PathBuf::from));
    paths.rfind(|path| path.extension().is_some_and(|extension| extension == "wasm"))
}
