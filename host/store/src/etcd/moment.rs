//! The cluster at one revision, read with plain ranges: one request each, side by side on one connection.
//!
//! ```text
//!   first read   range 1     linearisable                     → its revision is that of the view
//!                range 2 …   what the member has, unasked     → the same revision as a rule; else asked once more
//!   further      ranges at the revision of the view
//! ```
//!
//! Why not one transaction of ranges, which is a single revision by itself: etcd 3.5.0 to 3.5.4 end with a panic when the
//! caller of a transaction that only reads is gone before it is answered (etcd-io/etcd#14110), and a runtime that gives
//! up a pod kills its plugin. A range whose caller is gone is dropped. So only a member whose version is known to be another
//! is sent a transaction, for all ranges of a read at once: the node has a note of it (`notes.rs`).
//!
//! Why not one range first and the others at its revision: every ADD would wait for one answer more. Why not a
//! transaction that pretends to write: it would cost every ADD a vote and a flush to disk.
//!
//! So a first read takes one round trip, as a transaction would, and only where somebody wrote to etcd between two of its
//! ranges one more. All but the first range leave the cluster alone: the member answers what it has, and whether that is
//! of the same revision as the range that the cluster has agreed on is seen in the answer.
//!
//! What that costs beside a transaction, measured: an ADD of one range set sends six ranges, for 0.25 ms more of its
//! processor time; of two range sets nine, for 0.5 ms. With every range linearisable no ADD is faster, and three members
//! spend 1 ms more.

use std::rc::Rc;

use etcd_client::{GetOptions, GetResponse, Txn, TxnOp, TxnOpResponse, TxnResponse};
use futures_util::future::{join, try_join_all};

use super::connection::Cluster;
use super::members::is_sturdy;
use crate::error::StoreError;
use crate::ordered::{Entry, Page, Read, View};
use limits::store::ETCD_RANGES;

/// The cluster at one revision: that of the first read.
pub struct EtcdView {
    cluster: Rc<Cluster>,
    revision: Option<i64>,
}

impl EtcdView {
    pub(super) fn new(cluster: Rc<Cluster>) -> Self {
        Self { cluster, revision: None }
    }
}

impl View for EtcdView {
    async fn read(&mut self, reads: &[Read]) -> Result<Vec<Page>, StoreError> {
        let mut pages = Vec::with_capacity(reads.len());
        for reads in reads.chunks(ETCD_RANGES) {
            let answers = match self.revision {
                None => self.read_first(reads).await?,
                Some(revision) => self.read_at(revision, reads).await?,
            };
            pages.extend(answers.into_iter().map(page));
        }
        Ok(pages)
    }
}

impl EtcdView {
    async fn read_first(&mut self, reads: &[Read]) -> Result<Vec<GetResponse>, StoreError> {
        let mut ranges = Vec::with_capacity(reads.len());
        for read in reads {
            let options = GetOptions::new();
            // Only the first one is agreed on by the cluster; the others are what the member has, and are compared to it.
            ranges.push(range(read, if ranges.is_empty() { options } else { options.with_serializable() }));
        }
        let mut answers = self.ask(&ranges).await?;
        let Some(revision) = answers.first().map(revision_of) else { return Ok(answers) };
        self.revision = Some(revision);
        // Somebody wrote between two of them: what is of another revision is asked for once more, of this one.
        let (mut places, mut again) = (Vec::new(), Vec::new());
        for (place, answer) in answers.iter().enumerate() {
            if revision_of(answer) != revision {
                places.push(place);
                again.push(reads[place].clone());
            }
        }
        if !again.is_empty() {
            for (place, answer) in places.into_iter().zip(self.read_at(revision, &again).await?) {
                answers[place] = answer;
            }
        }
        Ok(answers)
    }

    /// Linearisable, so that a member that lags behind waits until it has the revision.
    async fn read_at(&self, revision: i64, reads: &[Read]) -> Result<Vec<GetResponse>, StoreError> {
        let at = GetOptions::new().with_revision(revision);
        let ranges: Vec<_> = reads.iter().map(|read| range(read, at.clone())).collect();
        self.ask(&ranges).await
    }

    /// One answer for each range, all from one member. One transaction costs least, and may be sent to a member of which
    /// is known that it outlives a caller that is killed. Where nothing is noted of it, its version is asked for beside the
    /// read.
    async fn ask(&self, ranges: &[(&str, GetOptions)]) -> Result<Vec<GetResponse>, StoreError> {
        let asked = self.cluster.ask("read", async |client| {
            if ranges.len() > 1 && self.cluster.is_sturdy() {
                let operations: Vec<TxnOp> =
                    ranges.iter().map(|(from, options)| TxnOp::get(*from, Some(options.clone()))).collect();
                let response = client.kv_client().txn(Txn::new().and_then(operations)).await?;
                return Ok(answers_in(response));
            }
            let mut answers = Vec::with_capacity(ranges.len());
            for (from, options) in ranges {
                let mut client = client.kv_client();
                answers.push(async move { client.get(*from, Some(options.clone())).await });
            }
            if self.cluster.is_curious() {
                // Beside the read, so that no ADD waits for it.
                let mut member = client.maintenance_client();
                let (answers, status) = join(try_join_all(answers), member.status()).await;
                // Where users are told apart only some may ask.
                self.cluster.learn(status.is_ok_and(|status| is_sturdy(status.version())));
                return answers;
            }
            try_join_all(answers).await
        });
        asked.await
    }
}

fn answers_in(response: TxnResponse) -> Vec<GetResponse> {
    let mut answers = Vec::new();
    for response in response.op_responses() {
        if let TxnOpResponse::Get(answer) = response {
            answers.push(answer);
        }
    }
    answers
}

/// Where a range begins, and what is asked of it.
fn range(read: &Read, options: GetOptions) -> (&str, GetOptions) {
    match read {
        Read::Get(key) => (key, options),
        Read::Count(range) => (&range.from, options.with_range(range.to.as_str()).with_count_only()),
        Read::Scan { range, limit, keys_only } => {
            let limit = i64::try_from(*limit).unwrap_or(i64::MAX);
            let options = options.with_range(range.to.as_str()).with_limit(limit);
            (&range.from, if *keys_only { options.with_keys_only() } else { options })
        }
    }
}

/// The revision of the whole store that an answer is of.
fn revision_of(answer: &GetResponse) -> i64 {
    answer.header().map(etcd_client::ResponseHeader::revision).unwrap_or_default()
}

fn page(mut answer: GetResponse) -> Page {
    let (more, count) = (answer.more(), answer.count().unsigned_abs());
    let entries = answer.take_kvs().into_iter().map(|kv| {
        let (key, value) = kv.into_key_value();
        Entry { key: String::from_utf8_lossy(&key).into_owned(), value }
    });
    Page { entries: entries.collect(), more, count }
}
