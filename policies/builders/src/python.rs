//! Python: a module `policy.py` that runs in CPython. The compiler comes from PyPI, by the project's requirements.txt.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{GuestError, tool, wit};

/// Where requirements.txt is installed: inside the project, so that no two of them are in each other's way.
pub(super) const PACKAGES: &str = ".packages";
const COMPILER: &str = "componentize-py";
const WAY_OUT: &str = "apt-get install python3 python3-pip";

/// Install the compiler if it is absent, and run it. What the module does when it is imported happens now, once.
pub(super) fn build(directory: &Path, news: &dyn Fn(&str)) -> Result<Vec<u8>, GuestError> {
    let compiler = compiler(directory, news)?;
    let packages = directory.join(PACKAGES);
    let output = tool::target(directory)?.join("policy.wasm");
    let mut command = Command::new("python3");
    command.current_dir(directory).env("PYTHONPATH", &packages).arg(compiler);
    command.arg("--quiet").arg("--wit-path").arg(wit::folder(directory)?).args(["--world", wit::WORLD]);
    command.args(["componentize", "--stub-wasi", "--python-path", ".", "--python-path", PACKAGES]);
    command.arg("--output").arg(&output).arg("policy");
    match tool::run(COMPILER, &mut command, directory, WAY_OUT) {
        Err(GuestError::Build { tool, directory, said }) => {
            Err(GuestError::Build { tool, directory, said: essence(&said).to_owned() })
        }
        done => done.and_then(|_| tool::read(&output)),
    }
}

/// What Python said: the compiler, itself a Python program, wraps it in a trace of its own.
fn essence(said: &str) -> &str {
    let inner = said.split_once("AssertionError: ").map_or(said, |(_, inner)| inner);
    inner.split_once("\n\nCaused by:").map_or(inner, |(said, _)| said).trim_end()
}

fn compiler(directory: &Path, news: &dyn Fn(&str)) -> Result<PathBuf, GuestError> {
    let compiler = directory.join(PACKAGES).join("bin").join(COMPILER);
    if !compiler.exists() {
        install(directory, news)?;
    }
    match compiler.exists() {
        true => Ok(compiler),
        false => Err(tool::missing(COMPILER, directory, "add componentize-py to requirements.txt")),
    }
}

/// Install what requirements.txt names.
pub(super) fn install(directory: &Path, news: &dyn Fn(&str)) -> Result<PathBuf, GuestError> {
    news(&format!("installing what requirements.txt names into {PACKAGES}/ (pip install)"));
    let mut command = Command::new("python3");
    command.current_dir(directory).args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    command.args(["--target", PACKAGES, "--upgrade", "--requirement", "requirements.txt"]);
    command.env("PIP_ROOT_USER_ACTION", "ignore");
    match tool::run("python3", &mut command, directory, WAY_OUT) {
        Err(GuestError::Build { said, .. }) if said.contains("No module named pip") => {
            Err(tool::missing("pip", directory, WAY_OUT))
        }
        done => done.map(|_| directory.join(PACKAGES)),
    }
}
