//! Python: a module `policy.py` that runs in CPython. The compiler comes from PyPI, by the project's requirements.txt.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{GuestError, tool, wit};

/// Where requirements.txt is installed: inside the project, so that two projects do not need the same versions.
pub(super) const PACKAGES: &str = ".packages";
const COMPILER: &str = "componentize-py";
const HINT: &str = "apt-get install python3 python3-pip";

/// Install the compiler if it is absent, and run it. It imports the module and keeps the memory as it is then: what the
/// module does when it is imported happens once, in the build.
pub(super) fn build(directory: &Path, news: &dyn Fn(&str)) -> Result<Vec<u8>, GuestError> {
    let compiler = compiler(directory, news)?;
    let packages = directory.join(PACKAGES);
    let output = tool::target(directory)?.join("policy.wasm");
    let mut command = Command::new("python3");
    command.current_dir(directory).env("PYTHONPATH", &packages).arg(compiler);
    command.arg("--quiet").arg("--wit-path").arg(wit::folder(directory)?).args(["--world", wit::WORLD]);
    command.args(["componentize", "--stub-wasi", "--python-path", ".", "--python-path", PACKAGES]);
    command.arg("--output").arg(&output).arg("policy");
    match tool::run(COMPILER, &mut command, directory, HINT) {
        Err(GuestError::Build { tool, directory, said }) => {
            Err(GuestError::Build { tool, directory, said: essence(&said).to_owned() })
        }
        done => done.and_then(|_| tool::read(&output)),
    }
}

/// What Python said of the policy, without the trace of the compiler around it, which is a Python program itself.
fn essence(said: &str) -> &str {
    let inner = said.split_once("AssertionError: ").map_or(said, |(_, inner)| inner);
    inner.split_once("\n\nCaused by:").map_or(inner, |(said, _)| said).trim_end()
}

fn compiler(directory: &Path, news: &dyn Fn(&str)) -> Result<PathBuf, GuestError> {
    let compiler = directory.join(PACKAGES).join("bin").join(COMPILER);
    if !compiler.exists() {
        install(directory, news)?;
    }
    if !compiler.exists() {
        return Err(tool::missing(COMPILER, directory, "add componentize-py to requirements.txt"));
    }
    Ok(compiler)
}

/// Install what requirements.txt names.
pub(super) fn install(directory: &Path, news: &dyn Fn(&str)) -> Result<PathBuf, GuestError> {
    news(&format!("installing the packages in requirements.txt into {PACKAGES}/ (pip install)"));
    let mut command = Command::new("python3");
    command.current_dir(directory).args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    command.args(["--target", PACKAGES, "--upgrade", "--requirement", "requirements.txt"]);
    command.env("PIP_ROOT_USER_ACTION", "ignore");
    match tool::run("python3", &mut command, directory, HINT) {
        Err(GuestError::Build { said, .. }) if said.contains("No module named pip") => {
            Err(tool::missing("pip", directory, HINT))
        }
        done => done.map(|_| directory.join(PACKAGES)),
    }
}
