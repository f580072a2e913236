//! The commands for policy authors are in another program, which nodes have no use for and do not carry.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use crate::cli::output::Done;
use cni::Fail;

const PROGRAM: &str = "kube-ipam-policy";

/// Why the author's program did not take over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthorError {
    /// It is neither beside this program nor on PATH.
    #[error("`kube-ipam policy {verb}` needs the program {PROGRAM}, which is not installed", verb = .0.display())]
    Missing(OsString),
    /// It is there, but cannot be started.
    #[error("cannot start {}", .0.display())]
    NotStarted(PathBuf, #[source] io::Error),
}

impl Fail for AuthorError {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Missing(_) => {
                "put kube-ipam-policy beside kube-ipam or on PATH (`make install-policy` builds and installs it); \
                 on a node, `kube-ipam policy` knows install, ls and inspect"
            }
            Self::NotStarted(..) => "check that the file is executable and built for this machine",
        };
        Some(text.to_owned())
    }
}

/// Replaces this process by the author's program, with these arguments. Returns only where that fails.
pub(super) fn hand_over(arguments: &[OsString]) -> Done {
    let Some(program) = find_program(PROGRAM) else {
        let verb = arguments.first().cloned().unwrap_or_default();
        return Err(AuthorError::Missing(verb).into());
    };
    let error = Command::new(&program).args(arguments).exec();
    Err(AuthorError::NotStarted(program, error).into())
}

/// Finds one of our programs: beside this one, where one installation puts both, or else the first one on PATH.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let mut files = Vec::new();
    if let Ok(own) = std::env::current_exe() {
        files.push(own.with_file_name(name));
    }
    for directory in std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()) {
        files.push(directory.join(name));
    }
    files.into_iter().find(|file| file.is_file())
}
