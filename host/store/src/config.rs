//! Which store keeps the allocations, and how to reach it.

use std::path::PathBuf;

/// Which store keeps the allocations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreConfig {
    /// In a directory of this node.
    Embedded {
        /// `dataDir`, which holds `ipam.mdb`.
        dir: PathBuf,
    },
    /// In etcd, for all nodes.
    Etcd(EtcdConfig),
}

/// How to reach etcd. Files are only named here; they are read at every connection, because certificates are renewed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EtcdConfig {
    /// At least one, each with its scheme.
    pub endpoints: Vec<String>,
    /// The certificate of the authority that signed the members'.
    pub trusted_ca: Option<PathBuf>,
    /// Our own certificate, where the members ask for one.
    pub client: Option<ClientCertificate>,
    /// Who we are, where etcd has authentication enabled.
    pub user: Option<User>,
    /// A directory of this node for what is learnt of members and cursors; `None` where `dataDir` cannot be used.
    pub notes: Option<PathBuf>,
    /// Under which all keys lie; begins with a slash and does not end with one.
    pub prefix: String,
}

/// A certificate and its key, which belong together: two PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    pub cert: PathBuf,
    pub key: PathBuf,
}

/// A user of etcd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub name: String,
    /// The file with the password.
    pub password_file: PathBuf,
}

impl EtcdConfig {
    /// `etcdPrefix` unless told otherwise; the embedded store's keys begin with it, too.
    pub const DEFAULT_PREFIX: &str = "/kube-ipam";
}
