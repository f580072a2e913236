//! A storm in two clusters that share one flat network: one etcd, one domain, nodes and pods of the same names.
//!
//! ```text
//!   plan     which pods come, go, restart or are lost this round; roll-outs and their undoing     plan.rs
//!   rage     every pod's calls, GC and reclaims, on several threads at once                       deed.rs
//!   judge    what every living pod was told, against each other at once and against the books
//!            when all is quiet                                                                    judge.rs
//! ```
//! The judge knows only what pods were told and when they ended. It never asks the store who lives.

mod deed;
mod judge;
mod plan;
mod scene;

use std::time::Instant;

use deed::Deed;
use plan::Plan;
use scene::Scene;

use super::alone;
use crate::draw::seed;

const CALLS: usize = 1_200;
const THREADS: usize = 6;
/// What a storm is not over without; where the seed keeps it away so long, it is missing.
const SEEN: [&str; 9] =
    ["ADD", "refused", "handed over", "given back", "lost DEL", "killed", "reclaimed", "restarts", "GC"];

#[test]
fn clusters_on_one_network_never_share_an_address_in_a_storm() {
    let _alone = alone();
    let (scene, start) = (Scene::new(), Instant::now());
    let mut plan = Plan::new(seed());
    let mut rounds = 0;
    let all_seen = || SEEN.iter().all(|what| scene.counts.of(what) > 0);
    while scene.counts.of("calls") < CALLS || !all_seen() {
        assert!(scene.counts.of("calls") < 3 * CALLS, "not all of {SEEN:?} is in {:?}", scene.counts);
        let deeds = plan.round(&scene);
        plan.pods = scene.rage(deeds, THREADS);
        scene.judge_the_books();
        rounds += 1;
    }
    eprintln!("{rounds} rounds in {:.1?}: {:?}", start.elapsed(), scene.counts);
    let ends = plan.pods.drain(..).map(Deed::Stop).collect();
    scene.rage(ends, THREADS);
    scene.nothing_is_left();
}
