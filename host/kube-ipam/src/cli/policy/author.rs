//! An author's verbs are another program's: nodes have no use for it, and do not carry it.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
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

/// Become the author's program, with these arguments. Returns only where that fails.
pub(super) fn hand_over(arguments: &[OsString]) -> Done {
    let Some(program) = find_program(PROGRAM) else {
        let verb = arguments.first().cloned().unwrap_or_default();
        return Err(AuthorError::Missing(verb).into());
    };
    let error = Command::new(&program).args(arguments).exec();
    Err(AuthorError::NotStarted(program, error).into())
}

/// A program of ours: beside this one, where one installation puts both; otherwise the first one on PATH.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let own = std::env::current_exe().ok();
    let beside = own.as_deref().and_then(Path::parent).map(Path::to_owned);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = beside.into_iter().chain(std::env::split_paths(&path));
    directories.map(|directory| directory.join(name)).find(|file| file.is_file())
}
