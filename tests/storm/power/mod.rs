//! The power fails, a thousand times, while pods come and go and while a node is installed.
//!
//! ```text
//!   record   the built program works on an ext4 whose disk remembers every write and every flush      disk.rs
//!   cut      up to the last flush all is kept; of what came after, whole writes or sectors at random   cut.rs
//!   judge    the file system is mounted again, and what was answered before the cut is asked for        books.rs, node.rs
//! ```
//! One recording is cut at many places, so that a cut costs a tenth of a second. `KUBE_IPAM_CUTS` says how many.

mod books;
mod cut;
mod disk;
mod node;

use std::time::Instant;

use super::alone;
use crate::draw::{Draw, asked, seed};
use crate::report::Report;
use disk::{Disk, Kind, Order};
use serde_json::json;

/// In a run of all tests, for each kind of file system. Of an installation a quarter of that: it compiles policies.
const CUTS: usize = 10;

/// What a recording is of, and how the remains are judged.
trait Subject {
    fn name(&self) -> &'static str;

    fn judge(&self, disk: &Disk, remains: &disk::Remains, at: usize);
}

#[test]
fn every_answer_outlives_a_power_cut() {
    let _alone = alone();
    let mut report = Report::new("power-cuts");
    for kind in [Kind::Journal, Kind::NoJournal] {
        let Some(disk) = Disk::create(kind, 48) else { return };
        let books = books::record(&disk);
        cut_off(&disk, kind, asked("KUBE_IPAM_CUTS", CUTS), &books, &mut report);
    }
    report.write();
}

#[test]
fn a_node_is_installed_whole_or_not_at_all_when_the_power_fails() {
    let _alone = alone();
    let mut report = Report::new("power-cuts-node");
    for kind in [Kind::Journal, Kind::NoJournal] {
        let Some(disk) = Disk::create(kind, 192) else { return };
        let installed = node::record(&disk);
        cut_off(&disk, kind, asked("KUBE_IPAM_CUTS", CUTS) / 4, &installed, &mut report);
    }
    report.write();
}

/// Cut a recording at places that a seed draws, and judge what each leaves.
fn cut_off(disk: &Disk, kind: Kind, cuts: usize, subject: &impl Subject, report: &mut Report) {
    let orders = disk.log.take();
    let flushes = orders.iter().filter(|order| matches!(order, Order::Flush)).count();
    assert!(flushes > 4, "{flushes} flushes of {} orders: nothing was made durable", orders.len());
    let (seed, began) = (seed(), Instant::now());
    let mut draw = Draw(seed);
    for nth in 0..cuts {
        let at = draw.index(orders.len() + 1);
        eprintln!("{kind:?}: cut {nth} behind {at} of {} orders", orders.len());
        let image = cut::cut(&disk.empty, &orders, at, kind, &mut draw);
        subject.judge(disk, &disk.restart(kind, &image), at);
    }
    let seconds = began.elapsed().as_secs();
    report.add(json!({
        "cut off": subject.name(), "file system": kind.told(), "orders": orders.len(), "flushes": flushes,
        "cuts": cuts, "seconds": seconds, "seed": seed,
    }));
}
