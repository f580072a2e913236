//! What to import, and from where.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::error::ImportError;
use crate::cli::operator::ActArgs;

#[derive(Args, Clone, Debug)]
pub(crate) struct ImportOptions {
    /// Which plugin's records to import
    #[arg(long, value_enum)]
    pub(super) from: ImportSource,
    /// The data directory of host-local
    #[arg(value_name = "DIR", default_value = "/var/lib/cni/networks")]
    pub(super) dir: PathBuf,
    /// From export: the file that `kube-ipam export` wrote. From whereabouts: its IPPools as kubectl prints them with -o json
    #[arg(long, value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// Import without asking
    #[arg(long)]
    pub(super) yes: bool,
    /// Show what would be imported, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Interface name to assume where the records have none
    #[arg(long, value_name = "NAME", default_value = "eth0")]
    pub(super) interface: String,
    /// Node name to assume where the records have none
    #[arg(long, value_name = "NAME")]
    pub(super) node: Option<String>,
    /// From kube-ipam-v0: move entries that cannot be imported out of the way, to …/set-aside/
    #[arg(long)]
    pub(super) set_aside: bool,
    /// From kube-ipam: the data directory of the embedded store that kept the addresses
    #[arg(long, value_name = "DIR", conflicts_with = "etcd_prefix")]
    pub(super) data_dir: Option<PathBuf>,
    /// From kube-ipam: the etcdPrefix that kept the addresses, in the same etcd
    #[arg(long, value_name = "PREFIX")]
    pub(super) etcd_prefix: Option<String>,
    /// From kube-ipam: the domain that kept the addresses
    #[arg(long, value_name = "NAME")]
    pub(super) domain: Option<String>,
    /// From kube-ipam: the name that the network had
    #[arg(long, value_name = "NAME")]
    pub(super) former_network: Option<String>,
    #[command(flatten)]
    pub(super) act: ActArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ImportSource {
    /// kube-ipam: another domain, prefix or data directory, or another name of the network
    #[value(name = "kube-ipam")]
    Own,
    /// kube-ipam 0.x: its keys in the network's etcd
    #[value(name = "kube-ipam-v0")]
    Predecessor,
    /// The files of the host-local plugin on this node
    HostLocal,
    /// The IPPools of the whereabouts plugin
    Whereabouts,
    /// A domain that `kube-ipam export` wrote, from whichever store
    Export,
}

impl ImportOptions {
    /// From the records that the network has under its former name.
    pub(crate) fn of_former_network(
        network: &str,
        domain: Option<String>,
        act: ActArgs,
        yes: bool,
        dry_run: bool,
    ) -> Self {
        Self {
            from: ImportSource::Own,
            dir: PathBuf::new(),
            file: None,
            yes,
            dry_run,
            interface: String::new(),
            node: None,
            set_aside: false,
            data_dir: None,
            etcd_prefix: None,
            domain,
            former_network: Some(network.to_owned()),
            act,
        }
    }

    /// What is done to an entry, and what does it, in one word each.
    pub(super) fn words(&self) -> (&'static str, &'static str) {
        if self.former_network.is_some() { ("renamed", "renames") } else { ("imported", "imports") }
    }

    /// What is said where there is no entry.
    pub(super) fn nothing(&self) -> &'static str {
        if self.former_network.is_some() { "nothing is left under the former name" } else { "nothing to import" }
    }

    /// Refuses options that are for another source, rather than ignore them.
    pub(super) fn check(&self) -> Result<(), ImportError> {
        let for_own = [
            ("--data-dir", self.data_dir.is_some()),
            ("--etcd-prefix", self.etcd_prefix.is_some()),
            ("--domain", self.domain.is_some()),
            ("--former-network", self.former_network.is_some()),
        ];
        for (option, is_given) in for_own {
            if is_given && self.from != ImportSource::Own {
                return Err(ImportError::WrongSource { option, source_name: "kube-ipam" });
            }
        }
        if self.file.is_some() && !matches!(self.from, ImportSource::Whereabouts | ImportSource::Export) {
            return Err(ImportError::WrongSource { option: "--file", source_name: "export or whereabouts" });
        }
        if self.set_aside && self.from != ImportSource::Predecessor {
            return Err(ImportError::WrongSource { option: "--set-aside", source_name: "kube-ipam-v0" });
        }
        Ok(())
    }
}
