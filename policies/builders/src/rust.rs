//! Rust: a crate of type `cdylib` on the SDK, for a target whose standard library imports nothing.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{GuestError, encode, tool};

/// The target that a Rust policy is compiled for. Its standard library imports nothing, unlike that of the WASI targets.
pub const TARGET: &str = "wasm32-unknown-unknown";

const HINT: &str = "install cargo with https://rustup.rs";

/// Build the policy that the node's program carries, from the repository with this root.
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
    // Every ADD loads the policy, so that its size matters more than the speed of its code. Set here, so that it holds for
    // every project, also for a member of a workspace, which cannot have a profile of its own.
    for (key, value) in
        [("OPT_LEVEL", "s"), ("LTO", "fat"), ("CODEGEN_UNITS", "1"), ("PANIC", "abort"), ("STRIP", "debuginfo")]
    {
        command.env(format!("CARGO_PROFILE_RELEASE_{key}"), value);
    }

    match tool::run("cargo", &mut command, directory, HINT) {
        Ok(output) => {
            produced_module(&output.stdout).ok_or_else(|| GuestError::NoModule(directory.display().to_string()))
        }
        Err(GuestError::Build { said, .. }) if said.contains("target may not be installed") => {
            Err(GuestError::NoTarget)
        }
        // Among what cargo said are its messages for programs, which were asked for above.
        Err(GuestError::Build { tool, directory, said }) => {
            let said: Vec<&str> = said.lines().filter(|line| !line.starts_with("{\"reason\":")).collect();
            Err(GuestError::Build { tool, directory, said: said.join("\n") })
        }
        Err(error) => Err(error),
    }
}

/// A flag that takes the builder's home out of the module: panic messages name source files, and those of dependencies
/// are below it. Without it, the same sources would have another digest on every machine.
fn remapped_home() -> OsString {
    let home = match (std::env::var_os("CARGO_HOME"), std::env::var_os("HOME")) {
        (Some(cargo_home), _) => PathBuf::from(cargo_home),
        (None, Some(home)) => PathBuf::from(home).join(".cargo"),
        (None, None) => return OsString::new(),
    };
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
