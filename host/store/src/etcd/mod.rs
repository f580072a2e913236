//! The shared store: one etcd cluster for all nodes.
//!
//! ```text
//!   look     ranges at one revision, no vote, no flush                          → fixes the revision
//!   answer   ranges at that revision                                            (`moment.rs`)
//!   claim    one transaction:  if guards 1 then writes 1
//!                              else if guards 2 then writes 2   (nested, to 40 deep)
//!                              else …
//!   release  one transaction; where there is nothing to release, one that waits behind claims still on their way
//! ```
//!
//! So an ADD costs two round trips and a DEL two; one more where the cursor is not where this node expected it
//! (`cursors.rs`), one more for contenders that lose their first proposals, and one to log in where etcd tells users apart. There is no lock, no
//! lease and no watch. Members are asked one after the other until one answers; what a broken connection left open is
//! read back.

mod aside;
mod connection;
mod credentials;
mod members;
mod moment;
mod notes;
mod transaction;
mod validity;
mod versions;

use std::rc::Rc;
use std::time::Instant;

use super::config::EtcdConfig;
use super::error::StoreError;
use super::ordered::{Change, Commit, Guard, OrderedMap, Read, View};
use connection::{Cluster, Failure};
use limits::store::ETCD_RESENDS;

pub use aside::Aside;
pub use credentials::{DatedCertificate, dated_certificates};
pub use members::{History, Member, MemberStatus};
pub use moment::EtcdView;
pub use versions::{FaultKind, VersionFault, faults_of, is_outdated};

/// What is wrong with the files that say who we are to etcd, and whom to trust. Connects to nobody.
pub fn check_credentials(config: &EtcdConfig) -> Vec<StoreError> {
    let mut errors = Vec::new();
    if config.endpoints.iter().any(|endpoint| endpoint.starts_with("https://")) {
        errors.extend(credentials::tls(config).err());
    }
    errors.extend(credentials::user(config).err());
    errors
}

/// An ordered map in an etcd cluster. Connects when it is first used. Copies share the connection.
#[derive(Clone)]
pub struct Etcd {
    cluster: Rc<Cluster>,
}

impl Etcd {
    /// The map in this cluster. After the deadline no request is sent, and no answer is waited for.
    pub fn new(config: EtcdConfig, deadline: Option<Instant>) -> Self {
        Self { cluster: Rc::new(Cluster::new(config, deadline)) }
    }

    /// How often an answer was waited for so far. Requests that are sent side by side are one.
    pub fn round_trips(&self) -> u32 {
        self.cluster.round_trips()
    }

    async fn commit_nested(&self, alternatives: &[Change]) -> Result<Commit, StoreError> {
        let mut failures = Vec::new();
        for attempt in 0..=ETCD_RESENDS {
            let txn = transaction::nested(alternatives);
            // Sent, not asked: a transaction must not go to a second member before it is known that the first did not do it.
            match self.cluster.send("commit", async |client| client.kv_client().txn(txn.clone()).await).await {
                Ok(response) => match transaction::outcome(response) {
                    // Lost, perhaps, to the attempt before, of which nothing was heard.
                    Commit::Lost if attempt > 0 => return self.read_back(alternatives).await,
                    outcome => return Ok(outcome),
                },
                // What was sent before and not answered may still happen.
                Err(Failure::Final(StoreError::TooLate)) if attempt > 0 => break,
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Silence(failure)) => failures.push(failure),
            }
            // Nothing was heard. It may have happened, and sending it again would lose to itself: so first see what is there.
            match self.read_back(alternatives).await {
                Ok(Commit::Lost) => {}
                Ok(done) => return Ok(done),
                Err(StoreError::Unreachable { failures: more }) => {
                    failures.extend(more);
                    break;
                }
                Err(StoreError::TooLate) => break,
                Err(error) => return Err(error),
            }
        }
        // Members that are all down say the same.
        failures.dedup();
        Err(StoreError::OutcomeUnknown { failures })
    }

    /// Find out which change was applied by reading the subjects: `Lost` when none was so far.
    async fn read_back(&self, alternatives: &[Change]) -> Result<Commit, StoreError> {
        let (mut expected, mut reads) = (Vec::new(), Vec::new());
        for (index, change) in alternatives.iter().enumerate() {
            let Some((subject, value)) = change.outcome() else { continue };
            expected.push((index, value));
            reads.push(Read::Get(subject.to_owned()));
        }
        let pages = self.view().await?.read(&reads).await?;
        for ((index, value), page) in expected.into_iter().zip(pages) {
            if page.into_entry().map(|entry| entry.value).as_deref() == value {
                return Ok(Commit::Done(index));
            }
        }
        Ok(Commit::Lost)
    }
}

impl OrderedMap for Etcd {
    type View = EtcdView;

    async fn view(&self) -> Result<EtcdView, StoreError> {
        Ok(EtcdView::new(self.cluster.clone()))
    }

    async fn commit(&self, alternatives: &[Change]) -> Result<Commit, StoreError> {
        // A part that loses writes nothing: so the parts together are still one choice of the first change that holds.
        let mut first = 0;
        for part in transaction::parts(alternatives) {
            if let Commit::Done(index) = self.commit_nested(part).await? {
                return Ok(Commit::Done(first + index));
            }
            first += part.len();
        }
        Ok(Commit::Lost)
    }

    /// A read sees what is applied; a claim whose caller was cut off may be in the leader's log already and not yet
    /// applied. A write waits its turn behind it. This one changes nothing, and may be asked twice. It waits for nothing
    /// that is still on its way to the leader, as in a member that was cut off: such a claim is left to GC.
    async fn confirm_absent(&self, key: &str) -> Result<bool, StoreError> {
        let mut nothing = Change::default();
        nothing.require(Guard::Absent(key.to_owned())).delete(key.to_owned());
        let txn = transaction::nested(&[nothing]);
        let response = self.cluster.ask("commit", async |client| client.kv_client().txn(txn.clone()).await).await?;
        Ok(response.succeeded())
    }

    async fn ping(&self, key: &str) -> Result<(), StoreError> {
        self.view().await?.read(&[Read::Get(key.to_owned())]).await?;
        self.cluster.refuse_alarms().await
    }

    /// etcd asks the role, and the quota, about every operation of a transaction, whichever of its branches is taken. So
    /// the puts stand where an absent key's value would have to be something, and only deletions of nothing are carried
    /// out: there is no moment at which a killed process leaves anything behind.
    async fn rehearse(&self, keys: &[String]) -> Result<(), StoreError> {
        let (mut written, mut deleted) = (Change::default(), Change::default());
        for key in keys {
            written.require(Guard::Is(key.clone(), b"never".to_vec())).put(key.clone(), "");
            deleted.require(Guard::Absent(key.clone())).delete(key.clone());
        }
        let txn = transaction::nested(&[written, deleted]);
        self.cluster.ask("write", async |client| client.kv_client().txn(txn.clone()).await).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
