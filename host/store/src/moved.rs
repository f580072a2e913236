//! Books that moved: a network whose containers have their addresses elsewhere gives out no others here.

use std::net::IpAddr;
use std::path::PathBuf;

use super::error::StoreError;

/// Where the addresses of a network are instead of where its configuration says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Moved {
    /// In another domain of the same map.
    #[error(
        "network {network:?} is configured to keep its addresses in domain {domain:?}, but its containers still hold \
         addresses in domain {former:?} (for example container {container}): some would be given out twice"
    )]
    Domain {
        network: String,
        /// The domain of the configuration.
        domain: String,
        /// The domain of the registry.
        former: String,
        /// One that holds an address there.
        container: String,
    },
    /// Under another network's name.
    #[error(
        "network {network:?} is new here, and containers of network {former:?} hold addresses of its subnets (for example \
         {address}): some would be given out twice"
    )]
    Network {
        /// The network that asks.
        network: String,
        /// The one that holds addresses.
        former: String,
        address: IpAddr,
    },
    /// Under the name that the network has by now.
    #[error(
        "network {network:?} was renamed to {now:?}, and its containers hold addresses under that name (for example container \
         {container}): some would be given out twice"
    )]
    Renamed {
        /// The network that asks.
        network: String,
        /// Its name by now.
        now: String,
        /// One that holds an address there.
        container: String,
    },
    /// In an embedded store of this node.
    #[error(
        "containers of network {network:?} still hold addresses in the embedded store in {} (domain {former:?}; for \
         example container {container}): some would be given out twice", .dir.display()
    )]
    Dir {
        network: String,
        dir: PathBuf,
        /// The domain in there.
        former: String,
        /// One that holds an address there.
        container: String,
    },
}

impl Moved {
    /// The command that moves them, and what else may have been meant.
    pub fn hint(&self) -> String {
        match self {
            Self::Domain { network, former, .. } => format!(
                "`kube-ipam import --from kube-ipam --domain {former} --network {network}` moves them (see --dry-run); or \
                 set ipam.domain back to {former:?}; another network of the same name needs another name or etcdPrefix"
            ),
            Self::Network { network, former, .. } => format!(
                "if {former:?} was renamed, `kube-ipam import --from kube-ipam --former-network {former} --network \
                 {network}` moves them (see --dry-run); if both exist, set ipam.domain: the same one in both to share the addresses, different ones \
                 where both may give out the same address"
            ),
            Self::Renamed { network, now, .. } => format!(
                "this node's file of the network still has the former name: set \"name\" to {now:?}; or `kube-ipam rename \
                 {now} {network}` moves them back"
            ),
            Self::Dir { network, dir, former, .. } => format!(
                "`kube-ipam import --from kube-ipam --data-dir {} --domain {former} --network {network}` on this node moves \
                 them (see --dry-run)",
                dir.display()
            ),
        }
    }
}

impl From<Moved> for StoreError {
    fn from(moved: Moved) -> Self {
        Self::Moved(Box::new(moved))
    }
}
