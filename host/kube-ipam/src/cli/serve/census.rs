//! Sums by node and by namespace, for which every allocation is read: page by page, in the background, with pauses. What is
//! told is the last sum, and how old it is.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Serialize;
use tokio::task::spawn_local;
use tokio::time::sleep;

use super::library::Networks;
use super::reply::Failure;
use ipam::{Allocation, Kind};
use limits::serve::{CENSUS_KNOWN, CENSUS_NAMES, CENSUS_ROWS};
use store::{AddressRecord, RecordFilter};

/// What a sum may cost: it is made again only after so many times as long as it took.
const TIMES_ITS_COST: u32 = 20;

/// The sums of all networks.
#[derive(Default)]
pub(super) struct Census {
    counted: RefCell<Option<Rc<Counted>>>,
    is_running: Cell<bool>,
    failure: RefCell<Option<serde_json::Value>>,
}

struct Counted {
    at: Timestamp,
    until: Instant,
    nodes: Sums,
    namespaces: Sums,
}

/// By what the sums are.
#[derive(Clone, Copy)]
pub(super) enum CensusBy {
    Node,
    Namespace,
}

/// By network and name.
#[derive(Default)]
struct Sums {
    by_name: BTreeMap<(String, String), Sum>,
    /// Of names beyond those that are counted by themselves.
    others: Sum,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Sum {
    held: u64,
    /// How many of them were asked for by name.
    fixed: u64,
    /// When the newest of them was given out.
    newest: Option<Timestamp>,
}

#[derive(Serialize)]
struct SumRow<'a> {
    network: &'a str,
    name: &'a str,
    #[serde(flatten)]
    sum: Sum,
}

/// What is told: the rows with the most addresses.
#[derive(Serialize)]
struct SumsJson<'a> {
    /// Absent while the first count is on its way.
    at: Option<Timestamp>,
    counting: bool,
    /// Why the last count came to nothing.
    failure: Option<serde_json::Value>,
    rows: Vec<SumRow<'a>>,
    /// Names that are left out.
    more: usize,
    others: Sum,
}

impl Census {
    /// The last sums. Where there are none or they are old, a count begins, and the next who asks may have it.
    pub(super) fn tell(self: &Rc<Self>, by: CensusBy, networks: Rc<Networks>) -> Result<hyper::body::Bytes, Failure> {
        let counted = self.counted.borrow().clone();
        let is_old = counted.as_ref().is_none_or(|counted| counted.until <= Instant::now());
        if is_old && !self.is_running.replace(true) {
            spawn_local(self.clone().count(networks));
        }
        let none = Sums::default();
        let sums = match (&counted, by) {
            (None, _) => &none,
            (Some(counted), CensusBy::Node) => &counted.nodes,
            (Some(counted), CensusBy::Namespace) => &counted.namespaces,
        };
        let rows = sums.rows();
        super::reply::to_bytes(&SumsJson {
            at: counted.as_ref().map(|counted| counted.at),
            counting: self.is_running.get(),
            failure: self.failure.borrow().clone(),
            more: rows.len().saturating_sub(CENSUS_ROWS),
            rows: rows.into_iter().take(CENSUS_ROWS).collect(),
            others: sums.others,
        })
    }

    async fn count(self: Rc<Self>, networks: Rc<Networks>) {
        let began = Instant::now();
        match count(&networks).await {
            Ok((nodes, namespaces)) => {
                let lasts = CENSUS_KNOWN.max(began.elapsed() * TIMES_ITS_COST);
                let counted = Counted { at: Timestamp::now(), until: Instant::now() + lasts, nodes, namespaces };
                self.counted.replace(Some(Rc::new(counted)));
                self.failure.replace(None);
            }
            Err(failure) => drop(self.failure.replace(Some(failure.to_json()))),
        }
        self.is_running.set(false);
    }
}

async fn count(networks: &Networks) -> Result<(Sums, Sums), Failure> {
    let (mut nodes, mut namespaces) = (Sums::default(), Sums::default());
    let filter = RecordFilter { allocations: true, holds: false, spans: Vec::new() };
    for book in networks.books() {
        let mut pages = book.store.address_records(&filter);
        loop {
            let began = Instant::now();
            let Some(page) = pages.next().await? else { break };
            for record in page.records {
                let AddressRecord::Allocation(held) = record else { continue };
                nodes.add(&held, held.node.clone());
                namespaces.add(&held, held.pod.as_ref().map(|pod| pod.namespace.clone()).unwrap_or_default());
            }
            // As long as a page took: those who wait for an answer, and pods that start, come between.
            sleep(began.elapsed().max(Duration::from_millis(1))).await;
        }
    }
    Ok((nodes, namespaces))
}

impl Sums {
    fn add(&mut self, held: &Allocation, name: String) {
        let key = (held.attachment.network.clone(), name);
        let is_full = self.by_name.len() >= CENSUS_NAMES;
        let sum = if is_full && !self.by_name.contains_key(&key) {
            &mut self.others
        } else {
            self.by_name.entry(key).or_default()
        };
        sum.held += 1;
        sum.fixed += u64::from(held.kind == Kind::Fixed);
        sum.newest = sum.newest.max(Some(held.since));
    }

    /// Those with the most addresses first.
    fn rows(&self) -> Vec<SumRow<'_>> {
        let rows = self.by_name.iter().map(|((network, name), sum)| SumRow { network, name, sum: *sum });
        let mut rows: Vec<SumRow<'_>> = rows.collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.sum.held));
        rows
    }
}
