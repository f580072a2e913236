//! From a guest crate to a component: what `kube-ipam policy build` does for authors and the build script does for the
//! default policy.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a Rust policy is compiled for. Its standard library imports nothing, unlike that of the WASI targets.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// Why a guest crate did not become a component.
#[derive(Debug, thiserror::Error)]
pub enum GuestError {
    /// Cargo could not be started.
    #[error("cannot run {cargo} to build {crate_dir}")]
    Cargo {
        /// The program.
        cargo: String,
        /// The crate.
        crate_dir: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The standard library for the guest's target is not installed.
    #[error("the Rust target {TARGET} is not installed: run `rustup target add {TARGET}`")]
    NoTarget,
    /// Cargo failed, and said why.
    #[error("cargo could not build {crate_dir}:\n{said}")]
    Build {
        /// The crate.
        crate_dir: String,
        /// The end of its standard error.
        said: String,
    },
    /// Cargo was content, but there is no module.
    #[error("cargo built {crate_dir} but left no {TARGET} module: Cargo.toml needs `[lib] crate-type = [\"cdylib\"]`")]
    NoModule {
        /// The crate.
        crate_dir: String,
    },
    /// The module is not one of the policy world.
    #[error("{0} is not a policy: was it built with the kube-ipam-policy crate?")]
    Encode(String),
    /// A file could not be read or written.
    #[error("{path}")]
    File {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Build the crate and encode its module as a component.
pub fn build(crate_dir: &Path, target_dir: &Path) -> Result<Vec<u8>, GuestError> {
    let module = compile_crate(crate_dir, target_dir)?;
    let core =
        std::fs::read(&module).map_err(|source| GuestError::File { path: module.display().to_string(), source })?;
    encode(&core)
}

/// Wrap a core module, which carries its component type in a custom section, into a component.
pub fn encode(core: &[u8]) -> Result<Vec<u8>, GuestError> {
    let mut encoder = wit_component::ComponentEncoder::default();
    encoder
        .validate(true)
        .module(core)
        .and_then(|encoder| encoder.encode())
        .map_err(|error| GuestError::Encode(format!("the module ({error:#})")))
}

/// Run cargo for the guest, shielded from whatever cargo, clippy or a wrapper put into our own environment.
fn compile_crate(crate_dir: &Path, target_dir: &Path) -> Result<PathBuf, GuestError> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = Command::new(&cargo);
    command.current_dir(crate_dir).args(["build", "--release", "--lib", "--target", TARGET]);
    command.args(["--message-format", "json-render-diagnostics"]).arg("--target-dir").arg(target_dir);
    for variable in ["RUSTFLAGS", "RUSTC_WORKSPACE_WRAPPER", "CARGO_BUILD_TARGET", "RUSTC"] {
        command.env_remove(variable);
    }
    command.env("CARGO_ENCODED_RUSTFLAGS", remapped_home());
    // A policy is loaded by every ADD: small matters more than clever.
    let profile =
        [("OPT_LEVEL", "s"), ("LTO", "fat"), ("CODEGEN_UNITS", "1"), ("PANIC", "abort"), ("STRIP", "debuginfo")];
    command.envs(profile.map(|(key, value)| (format!("CARGO_PROFILE_RELEASE_{key}"), value)));

    let crate_dir = crate_dir.display().to_string();
    let output =
        command.output().map_err(|source| GuestError::Cargo { cargo, crate_dir: crate_dir.clone(), source })?;
    let said = String::from_utf8_lossy(&output.stderr);
    match output.status.success() {
        true => produced_module(&output.stdout).ok_or(GuestError::NoModule { crate_dir }),
        false if said.contains("target may not be installed") => Err(GuestError::NoTarget),
        false => Err(GuestError::Build { crate_dir, said: said.into_owned() }),
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
