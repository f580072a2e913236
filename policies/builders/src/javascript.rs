//! JavaScript: an ES module that runs in QuickJS. The compiler comes from npm, by the project's own package.json.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{GuestError, tool, wit};

const COMPILER: &str = "componentize-qjs";
const ENTRY: &str = "policy.js";

/// Install the compiler if it is absent, and run it: the interpreter without a system or threads, optimised for size.
pub(super) fn build(directory: &Path, news: &dyn Fn(&str)) -> Result<Vec<u8>, GuestError> {
    let output = tool::target(directory)?.join("policy.wasm");
    let mut command = Command::new(compiler(directory, news)?);
    command.current_dir(directory).args(["--stub-wasi", "--sync", "--opt-size", "--world", wit::WORLD]);
    command.arg("--wit").arg(wit::folder(directory)?);
    command.arg("--js").arg(entry(directory)?).arg("--output").arg(&output);
    tool::run(COMPILER, &mut command, directory, "npm install")?;
    tool::read(&output)
}

/// The file that `main` of package.json names.
fn entry(directory: &Path) -> Result<PathBuf, GuestError> {
    let manifest = directory.join("package.json");
    let package: serde_json::Value = serde_json::from_slice(&tool::read(&manifest)?)
        .map_err(|error| GuestError::file(&manifest)(std::io::Error::other(error)))?;
    Ok(directory.join(package.get("main").and_then(serde_json::Value::as_str).unwrap_or(ENTRY)))
}

fn compiler(directory: &Path, news: &dyn Fn(&str)) -> Result<PathBuf, GuestError> {
    let compiler = directory.join("node_modules/.bin").join(COMPILER);
    if !compiler.exists() {
        news("installing the packages in package.json into node_modules/ (npm install)");
        let mut command = Command::new("npm");
        command.current_dir(directory).args(["install", "--no-audit", "--no-fund", "--loglevel", "error"]);
        tool::run(
            "npm",
            &mut command,
            directory,
            "apt-get install npm, or Node.js 18 or later from https://nodejs.org",
        )?;
    }
    if !compiler.exists() {
        return Err(tool::missing(COMPILER, directory, &format!("npm install --save-dev {COMPILER}")));
    }
    Ok(compiler)
}
