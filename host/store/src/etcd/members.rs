//! How the members of a cluster are: for `doctor`, which asks each of them alone.
//!
//! ```text
//!   status     gRPC    version, size, leader                    of every member that answers
//!   aside      HTTP    its clock, its certificate, its quota    on the same port; not every site lets it through
//!   history    gRPC    how old a revision can still be read     whether anybody compacts it
//! ```

use std::time::{Duration, Instant};

use etcd_client::{AlarmAction, AlarmType, GetOptions};
use futures_util::future::{join, join_all};

use super::Etcd;
use super::aside::{self, Aside};
use crate::error::StoreError;

/// One member, by the endpoint that the configuration names.
#[derive(Debug)]
pub struct Member {
    pub endpoint: String,
    pub status: Result<MemberStatus, StoreError>,
    /// What it told by plain HTTP, or why not.
    pub aside: Result<Aside, String>,
}

/// What a member says of itself.
#[derive(Clone, Debug)]
pub struct MemberStatus {
    /// As the member tells it: `3.5.1`.
    pub version: String,
    /// How long the answer took, with connecting.
    pub took: Duration,
    /// The ID of its cluster.
    pub cluster: u64,
    pub is_leader: bool,
    /// Whether it knows of a leader.
    pub has_leader: bool,
    /// A member that does not vote yet.
    pub is_learner: bool,
    /// Bytes of its database on disk.
    pub size: u64,
    /// Those of them that would be left by defragmenting.
    pub in_use: u64,
    /// `--quota-backend-bytes`, which members tell since 3.6.
    pub quota: Option<u64>,
    pub revision: i64,
}

/// How far back etcd keeps what was overwritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum History {
    /// Everything since the cluster was created: nobody ever compacted it.
    Whole {
        revisions: i64,
    },
    /// More than these many revisions.
    Long {
        kept: i64,
    },
    Compacted,
}

/// Revisions that a cluster which is compacted regularly does not keep: at ten writes a second they are a day.
const LONG: i64 = 1_000_000;

impl Etcd {
    /// Asks every member how it is, all at once.
    pub async fn members(&self) -> Vec<Member> {
        let asked = self.cluster.endpoints().iter().map(async |endpoint| {
            let began = Instant::now();
            let alone = self.cluster.alone(endpoint);
            let status = alone.ask("tell its status", async |client| client.maintenance_client().status().await);
            let (status, aside) = join(status, aside::ask(self.cluster.config(), endpoint)).await;
            let status = status.map(|status| MemberStatus {
                version: status.version().to_owned(),
                took: began.elapsed(),
                cluster: status.header().map_or(0, etcd_client::ResponseHeader::cluster_id),
                is_leader: status.header().is_some_and(|header| header.member_id() == status.leader()),
                has_leader: status.leader() != 0,
                is_learner: status.is_learner(),
                size: status.db_size().unsigned_abs(),
                in_use: status.raft_used_db_size().unsigned_abs(),
                quota: Some(status.db_size_quota().unsigned_abs()).filter(|quota| *quota > 0),
                revision: status.header().map_or(0, etcd_client::ResponseHeader::revision),
            });
            Member { endpoint: endpoint.clone(), status, aside }
        });
        join_all(asked).await
    }

    /// How far back a key of ours can be read. etcd does not tell how it is compacted, but what it forgot it refuses.
    pub async fn history(&self, key: &str) -> Result<History, StoreError> {
        let options = || GetOptions::new().with_keys_only().with_limit(1);
        let now = self.cluster.ask("read", async |client| client.kv_client().get(key, Some(options())).await).await?;
        let revisions = now.header().map_or(0, etcd_client::ResponseHeader::revision);
        for (revision, history) in
            [(1, History::Whole { revisions }), (revisions.saturating_sub(LONG), History::Long { kept: LONG })]
        {
            if revision < 1 {
                continue;
            }
            let at = async |client: std::rc::Rc<etcd_client::Client>| {
                client.kv_client().get(key, Some(options().with_revision(revision))).await
            };
            match self.cluster.ask("read an old revision", at).await {
                Ok(_) => return Ok(history),
                Err(StoreError::Compacted) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(History::Compacted)
    }

    /// The alarms that stand, by the name that etcdctl has for them. Only etcd's root may ask where users are told apart.
    pub async fn alarms(&self) -> Result<Vec<&'static str>, StoreError> {
        let alarms = self.cluster.ask("read alarms", async |client| {
            client.maintenance_client().alarm(AlarmAction::Get, AlarmType::None, None).await
        });
        let mut names = Vec::new();
        for alarm in alarms.await?.alarms() {
            match alarm.alarm() {
                AlarmType::Nospace => names.push("NOSPACE"),
                AlarmType::Corrupt => names.push("CORRUPT"),
                AlarmType::None => {}
            }
        }
        names.dedup();
        Ok(names)
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
        for bad in ["3.5.0", "3.5.1", "3.5.4", "3.5.5", "3.5.6", "3.5.0-rc.1", "3.5.4+suffix"] {
            assert!(is_fragile(bad) && !is_sturdy(bad), "{bad}");
        }
        for good in ["3.4.23", "3.5.7", "3.5.10", "3.5.27", "3.6.0", "3.5", "", "v3.5.1x"] {
            assert!(!is_fragile(good), "{good}");
        }
        for known in ["3.4.23", "3.5.7", "3.5.27", "3.6.0", "3.6.0-rc.1"] {
            assert!(is_sturdy(known), "{known}");
        }
        for unknown in ["3.5", "", "v3.5.1x", "dev"] {
            assert!(!is_sturdy(unknown), "{unknown}");
        }
    }
}
