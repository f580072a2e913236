//! Why a part could not be installed, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use cni::Fail;
use limits::INSTALL_TURN;

#[derive(Debug, thiserror::Error)]
pub(crate) enum InstallError {
    #[error("cannot read {path}", path = .path.display())]
    Unreadable { path: PathBuf, hint: &'static str, source: io::Error },
    #[error("{path} {fault}", path = .path.display())]
    Unusable { path: PathBuf, fault: &'static str },
    #[error("cannot install into {path}", path = .path.display())]
    NoDirectory { path: PathBuf, option: &'static str, source: io::Error },
    #[error("cannot install {path}", path = .path.display())]
    Unwritable { path: PathBuf, source: io::Error },
    #[error("{path} is not the name of a file", path = .path.display())]
    NoFileName { path: PathBuf },
    #[error("cannot find the API server: {variable} is not set")]
    NoServer { variable: &'static str },
    #[error("{server:?} is not the URL of an API server")]
    NotAServer { server: String },
    #[error(
        "network {network:?} pins {pinned} and uses this very file, {path}: with the new one (sha256 {found}) no pod \
         would get an address",
        path = .path.display()
    )]
    Pinned { network: String, path: PathBuf, pinned: String, found: String },
    #[error("another installation has kept {path} locked for longer than {INSTALL_TURN:?}", path = .path.display())]
    Locked { path: PathBuf },
    #[error("cannot remove {path}", path = .path.display())]
    NotRemoved { path: PathBuf, source: io::Error },
    #[error("cannot write what is in the way to {path}", path = .path.display())]
    NoState { path: PathBuf, source: io::Error },
    #[error("cannot receive signals")]
    NoSignals { source: io::Error },
}

impl InstallError {
    pub(super) fn unreadable(path: &Path, hint: &'static str, source: io::Error) -> Self {
        Self::Unreadable { path: path.to_owned(), hint, source }
    }
}

impl Fail for InstallError {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Unreadable { hint, .. } => (*hint).to_owned(),
            Self::Unusable { .. } => {
                "a pod's service account is mounted by kubelet; --service-account names another directory".to_owned()
            }
            Self::NoDirectory { option, .. } => {
                format!("mount the node's directory there, or name another with {option}")
            }
            Self::Unwritable { path, .. } => {
                let directory = path.parent().unwrap_or(path).display();
                format!("check write permission and free space in {directory}")
            }
            Self::NotRemoved { path, .. } => {
                let directory = path.parent().unwrap_or(path).display();
                format!("check write permission in {directory}, and whether its file system is mounted read-only")
            }
            Self::NoState { .. } => "mount a volume of the pod there, such as an emptyDir".to_owned(),
            Self::NoFileName { .. } => "for example --kubeconfig /etc/cni/net.d/kube-ipam.kubeconfig".to_owned(),
            Self::NoServer { .. } => {
                "Kubernetes sets it in every pod; elsewhere name the API server with --server https://HOST:PORT"
                    .to_owned()
            }
            Self::NotAServer { .. } => "a token travels over TLS only: --server https://HOST:PORT".to_owned(),
            Self::Pinned { found, .. } => {
                format!("install it under another name, then change policy.module and policy.sha256 ({found}) together")
            }
            Self::Locked { path } => {
                format!("`fuser -v {}` on the node shows which one, such as a process that was stopped", path.display())
            }
            Self::NoSignals { .. } => "run it without --watch".to_owned(),
        };
        Some(text)
    }
}
