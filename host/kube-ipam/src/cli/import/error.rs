//! Why nothing could be imported.

use std::path::PathBuf;

use crate::cli::export::ExportFileError;
use crate::verbs;
use cni::Fail;

#[derive(Debug, thiserror::Error)]
pub(super) enum ImportError {
    #[error(
        "network {network:?} keeps its addresses on this node: {what} needs the etcdConfig of the etcd that has the records"
    )]
    NotInEtcd { network: String, what: &'static str },
    #[error("cannot read {path}", path = .path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("--from {source_name} needs --file FILE")]
    NoFile { source_name: &'static str },
    #[error("{path} has no pools of whereabouts", path = .path.display())]
    NoPools { path: PathBuf },
    #[error(transparent)]
    Export(#[from] ExportFileError),
    #[error("{option} is only for --from {source_name}")]
    WrongSource { option: &'static str, source_name: &'static str },
    #[error("{dir} has no embedded store of kube-ipam", dir = .dir.display())]
    NoStore { dir: PathBuf },
    #[error(
        "network {network:?} already uses these records: select the former ones with --domain, --etcd-prefix, \
         --data-dir or --former-network"
    )]
    OwnBooks { network: String },
    #[error(transparent)]
    Verb(#[from] verbs::Error),
    #[error(transparent)]
    Store(#[from] store::StoreError),
}

impl Fail for ImportError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Verb(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Export(error) => error.hint(),
            Self::NoFile { source_name: "export" } => Some("name a file that `kube-ipam export` wrote".to_owned()),
            Self::NoFile { .. } | Self::NoPools { .. } => {
                Some("kubectl get ippools.whereabouts.cni.cncf.io -A -o json > ippools.json".to_owned())
            }
            _ => None,
        }
    }
}
