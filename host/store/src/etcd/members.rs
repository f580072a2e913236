//! The members of a cluster and the versions they run: for `doctor`, which warns of those that others can bring down.

use futures_util::future::join_all;

use super::Etcd;
use crate::error::StoreError;

/// One member, by the endpoint that the configuration names.
#[derive(Debug)]
pub struct Member {
    pub endpoint: String,
    /// As the member tells it: `3.5.1`.
    pub version: Result<String, StoreError>,
}

impl Etcd {
    /// Ask every member for its version, all at once.
    pub async fn members(&self) -> Vec<Member> {
        let asked = self.cluster.endpoints().iter().map(async |endpoint| {
            let alone = self.cluster.alone(endpoint);
            let status = alone.ask("tell its version", async |client| client.maintenance_client().status().await);
            let version = status.await.map(|status| status.version().to_owned());
            Member { endpoint: endpoint.clone(), version }
        });
        join_all(asked).await
    }
}

impl Member {
    /// Whether any client that is killed while a transaction of reads is on its way may end this member.
    pub fn is_ended_by_killed_clients(&self) -> bool {
        self.version.as_ref().is_ok_and(|version| is_fragile(version))
    }
}

/// 3.5.0 to 3.5.4 panic and, where the read took long, 3.5.5 and 3.5.6 run into a nil pointer.
pub(super) fn is_fragile(version: &str) -> bool {
    let Some(rest) = version.strip_prefix("3.5.") else { return false };
    let patch = rest.split(['-', '+']).next().unwrap_or_default();
    patch.parse().is_ok_and(|patch: u32| patch < 7)
}

/// Whether the version is known, and known to outlive a client that is killed while it reads.
pub(super) fn is_sturdy(version: &str) -> bool {
    let numbers: Vec<&str> = version.split(['.', '-', '+']).take(3).collect();
    let is_known = numbers.len() == 3 && numbers.iter().all(|number| number.parse::<u32>().is_ok());
    is_known && !is_fragile(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_that_a_killed_client_ends() {
        let is_ended = |version: &str| {
            let member = Member { endpoint: String::new(), version: Ok(version.to_owned()) };
            member.is_ended_by_killed_clients()
        };
        for bad in ["3.5.0", "3.5.1", "3.5.4", "3.5.5", "3.5.6", "3.5.0-rc.1", "3.5.4+suffix"] {
            assert!(is_ended(bad) && !is_sturdy(bad), "{bad}");
        }
        for good in ["3.4.23", "3.5.7", "3.5.10", "3.5.27", "3.6.0", "3.5", "", "v3.5.1x"] {
            assert!(!is_ended(good), "{good}");
        }
        for known in ["3.4.23", "3.5.7", "3.5.27", "3.6.0", "3.6.0-rc.1"] {
            assert!(is_sturdy(known), "{known}");
        }
        for unknown in ["3.5", "", "v3.5.1x", "dev"] {
            assert!(!is_sturdy(unknown), "{unknown}");
        }
    }
}
