//! Every read of a view shows one moment: whatever is written meanwhile, and also where etcd forgets moments.

use crate::map::Map;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::*;
use crate::conformance::{MACHINE, range_sets};
use crate::ordered::{KeyRange, Page};
use crate::record::encode;
use crate::{AllocationFilter, InUse, Occupant, Rival};
use ipam::Claim;
use limits::store::READ_AGAIN;

#[test]
fn a_view_is_one_moment_whatever_is_written_meanwhile() {
    let servers = [Some(Server::start(&[])), Server::newer()];
    for server in servers.iter().flatten() {
        let (url, done) = (server.url(), AtomicBool::new(false));
        let keys: Vec<String> = (0..9).map(|nth| format!("/moment/{nth}")).collect();
        thread::scope(|scope| {
            for writer in 0..2 {
                let (url, keys, done) = (&url, &keys, &done);
                scope.spawn(move || block_on(write(url, keys, writer, done)));
            }
            block_on(look(&url, &keys));
            done.store(true, Ordering::Relaxed);
        });
    }
}

/// The same value to all keys, again and again.
async fn write(url: &str, keys: &[String], writer: u32, done: &AtomicBool) {
    let etcd = Etcd::new(at(&[url]), None);
    for nth in 0.. {
        if done.load(Ordering::Relaxed) {
            return;
        }
        let mut change = Change::default();
        for key in keys {
            change.put(key.clone(), format!("{writer}-{nth}"));
        }
        etcd.commit(&[change]).await.unwrap();
    }
}

async fn look(url: &str, keys: &[String]) {
    let reads: Vec<Read> = keys.iter().map(|key| Read::Get(key.clone())).collect();
    let all = KeyRange { from: "/moment/".into(), to: "/moment0".into() };
    let lasting = Etcd::new(at(&[url]), None);
    let (views, mut trips) = (300, 0);
    for _ in 0..views {
        // Whoever has read twice may know the member's version, and ask otherwise.
        let fresh = Etcd::new(at(&[url]), None);
        for etcd in [&fresh, &lasting] {
            let mut view = etcd.view().await.unwrap();
            let first = values(view.read(&reads).await.unwrap());
            assert!(first.windows(2).all(|pair| pair[0] == pair[1]), "{first:?}");
            let again = [Read::Count(all.clone()), Read::scan(all.clone(), 100)];
            assert_eq!(values(view.read(&again).await.unwrap()), first, "the view has moved on");
        }
        trips += fresh.round_trips();
    }
    // Where nobody wrote between its ranges a view takes two answers; here it has to have happened.
    assert!(trips > 2 * views, "nothing was written amid a read");
}

#[test]
fn only_a_member_that_outlives_killed_callers_is_sent_a_transaction_of_reads() {
    block_on(async {
        let old = Server::start(&[]);
        let newer = Server::newer();
        for (server, is_sturdy) in [(Some(&old), true), (newer.as_ref(), false)] {
            let Some(server) = server else { continue };
            let etcd = Etcd::new(at(&[&server.url()]), None);
            for nth in 0..3 {
                // The second read finds out.
                assert_eq!(etcd.cluster.is_sturdy(), is_sturdy && nth > 1, "after {nth} reads of {}", server.url());
                let mut view = etcd.view().await.unwrap();
                let pages = view.read(&[Read::Get("/one".into()), Read::Get("/two".into())]).await.unwrap();
                assert_eq!(pages.len(), 2);
            }
            assert_eq!(etcd.round_trips(), 3, "a version is asked for beside a read");
        }
    });
}

fn values(pages: Vec<Page>) -> Vec<Vec<u8>> {
    pages.into_iter().flat_map(|page| page.entries).map(|entry| entry.value).collect()
}

#[test]
fn however_much_is_read_first_it_is_one_moment() {
    block_on(async {
        let (etcd, ()) = shared();
        let reads: Vec<Read> = (0..250).map(|nth| Read::Get(format!("/many/{nth}"))).collect();
        let mut change = Change::default();
        change.put("/many/0".into(), "0").put("/many/249".into(), "249");
        etcd.commit(&[change]).await.unwrap();
        let before = etcd.round_trips();
        let pages = etcd.view().await.unwrap().read(&reads).await.unwrap();
        assert_eq!(pages.len(), 250);
        assert_eq!((pages[0].entries.len(), pages[1].entries.len(), pages[249].entries.len()), (1, 0, 1));
        assert!(etcd.round_trips() - before >= 3);
    });
}

/// etcd, compacted after the first read of a view as long as there is `left`.
struct Forgetful {
    etcd: Etcd,
    url: String,
    left: Cell<u32>,
}

struct ForgetfulView {
    moment: EtcdView,
    map: Rc<Forgetful>,
    is_begun: bool,
}

impl OrderedMap for Rc<Forgetful> {
    type View = ForgetfulView;

    async fn view(&self) -> Result<Self::View, StoreError> {
        Ok(ForgetfulView { moment: self.etcd.view().await?, map: self.clone(), is_begun: false })
    }

    async fn commit(&self, alternatives: &[Change]) -> Result<Commit, StoreError> {
        self.etcd.commit(alternatives).await
    }

    async fn confirm_absent(&self, key: &str) -> Result<bool, StoreError> {
        self.etcd.confirm_absent(key).await
    }

    async fn ping(&self, key: &str) -> Result<(), StoreError> {
        self.etcd.ping(key).await
    }

    async fn rehearse(&self, keys: &[String]) -> Result<(), StoreError> {
        self.etcd.rehearse(keys).await
    }
}

impl View for ForgetfulView {
    async fn read(&mut self, reads: &[Read]) -> Result<Vec<Page>, StoreError> {
        let left = self.map.left.get();
        if self.is_begun && left > 0 {
            self.map.left.set(left - 1);
            let mut something = Change::default();
            something.put("/compaction".into(), left.to_string());
            self.map.etcd.commit(&[something]).await?;
            compact(&self.map.url).await;
        }
        self.is_begun = true;
        self.moment.read(reads).await
    }
}

/// So many claims of one address each: with enough of them nothing fits on one page.
async fn fill(bench: &Bench, count: u16) {
    let keys = &bench.store.keys;
    for nths in (0..count).collect::<Vec<_>>().chunks(20) {
        let mut change = Change::default();
        for nth in nths {
            let [high, low] = nth.to_be_bytes();
            let who = requester(&format!("c{nth:05}"), "");
            let claim = Claim {
                attachment: who.attachment,
                node: who.node,
                machine: who.machine,
                pod: None,
                addresses: vec![dynamic(&format!("10.0.{high}.{low}"))],
                ceded: Vec::new(),
                former: BTreeMap::new(),
                policy: None,
                since: bench.now.get(),
            };
            change.put(keys.attachment(&claim.attachment), encode(&claim)).put(keys.node_of(&claim), "");
            for held in claim.allocations() {
                change.put(keys.address(held.address), encode(&held));
            }
        }
        assert_eq!(bench.store.map().commit(&[change]).await.unwrap(), Commit::Done(0));
    }
}

/// Who reads more than one answer of a view takes.
const READERS: [&str; 11] = [
    "doctor",
    "fsck",
    "fsck --containers",
    "show",
    "usage",
    "reclaim",
    "import --from kube-ipam",
    "import --from kube-ipam-v0",
    "doctor on machines",
    "GC",
    "ADD in another domain",
];

/// How much one of them finds.
async fn read(reader: &str, store: &Store, occupants: &[Occupant]) -> Result<usize, StoreError> {
    let sets = range_sets(&["10.0.0.0/16"]);
    let now = "2026-01-01T00:00:00Z".parse().unwrap();
    let container = AllocationFilter { container: Some("c".into()), ..AllocationFilter::default() };
    Ok(match reader {
        "doctor" => store.inspect().await?.len(),
        "fsck" => store.plan_repairs(&sets, &InUse::new()).await?.len(),
        "fsck --containers" => store.plan_restorations(occupants, |_, _| Rival::Stays, now).await?.len(),
        "show" => store.allocations(&container).all().await?.held.len(),
        "usage" => usize::try_from(store.occupancy(&sets, now).await?[0].held).unwrap(),
        "reclaim" => store.claims("blue").await?.len(),
        "import --from kube-ipam" => store.moves("blue", &sets, now).await?.moves.len(),
        "import --from kube-ipam-v0" => store.predecessor_bookings("blue").await?.len(),
        "doctor on machines" => store.strays("node-1", "another").await?.other_machines[MACHINE].count,
        "GC" => store.attachments_on("node-1", MACHINE, "blue").await?.len(),
        "ADD in another domain" => usize::from(store.any_of("absent").await?.is_some()),
        reader => panic!("{reader}"),
    })
}

/// Another container that has the address of a claim: whose claim that is has to be read.
fn occupant(claim: &Claim) -> Occupant {
    Occupant {
        attachment: requester(&format!("other-{}", claim.attachment.container), "").attachment,
        node: claim.node.clone(),
        machine: claim.machine.clone(),
        pod: None,
        addresses: claim.addresses.clone(),
    }
}

#[test]
fn what_reads_everything_comes_to_its_end_though_etcd_is_compacted_amid_it() {
    let server = Server::start(&[]);
    block_on(async {
        let etcd = Etcd::new(at(&[&server.url()]), None);
        let forgetful = Rc::new(Forgetful { etcd, url: server.url(), left: Cell::new(0) });
        let store = Store::new(Map::other(forgetful.clone()), "/kube-ipam", "blue");
        let bench = Bench::with_prefix(Map::other(forgetful.clone()), &["10.0.0.0/16"], "/kube-ipam".into());
        fill(&bench, 2_100).await;
        for nth in 0..2_100 {
            bench.scribble(&format!("/etcd-cni/networks/blue/used/{nth}"), b"c").await;
        }
        let claims = store.all_claims().await.unwrap();
        let occupants: Vec<Occupant> = claims.iter().map(|standing| occupant(standing.claim())).collect();
        for reader in READERS {
            let undisturbed = read(reader, &store, &occupants).await.unwrap();
            for times in [1, READ_AGAIN, READ_AGAIN + 1] {
                forgetful.left.set(times);
                let found = read(reader, &store, &occupants).await;
                let compactions = times - forgetful.left.take();
                assert_eq!(compactions, times, "{reader} takes one answer: nothing can be compacted amid it");
                if compactions <= READ_AGAIN {
                    assert_eq!(found.unwrap(), undisturbed, "{reader} after {compactions} compactions");
                } else {
                    let error = found.unwrap_err();
                    assert!(matches!(error, StoreError::Compacted), "{reader}: {error}");
                    assert!(error.hint().unwrap().contains("run a command again"), "{error}");
                }
            }
        }
    });
}
