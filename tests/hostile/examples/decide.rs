//! The policy step of an ADD and nothing else: load a module as an ADD does, ask it once for an address of an empty
//! network, and leave. Standard input names the cache's directory and the module, a line each; no module is the built-in
//! one. For the benchmark.
#![allow(clippy::unwrap_used, clippy::exit, reason = "a tool for the benchmark")]

use std::path::Path;

use engine::{Compiler, Outcome, Policy, Source};
use ipam::{RangeSets, RangeSpec, Request, Snapshot, Verdict};
use kube_ipam::arena::Arena;
use limits::Limits;

#[global_allocator]
static MEMORY: Arena = Arena::new();

fn main() {
    MEMORY.warm_up();
    let named = std::io::read_to_string(std::io::stdin()).unwrap();
    let (cache_dir, module) = named.split_once('\n').unwrap();
    let source = Source {
        module: Some(module.trim()).filter(|module| !module.is_empty()).map(Path::new),
        sha256: None,
        cache_dir: Some(Path::new(cache_dir)),
        limits: Limits::default(),
        compiler: Compiler::default(),
        deadline: None,
    };
    let subnet = "10.4.0.0/14";
    let range_sets = RangeSets::new(vec![vec![RangeSpec::of_subnet(subnet.parse().unwrap())]], &[]).unwrap();
    let mut snapshot = Snapshot::new(range_sets.clone(), vec![None]);
    snapshot.learn_span(subnet.parse().unwrap(), []);
    let request = Request { range_sets, ..hostile::request() };
    let outcome = Policy::load(&source).unwrap().allocate(&request, "{}", &snapshot).unwrap();
    assert!(matches!(outcome, Outcome::Verdict(Verdict::Propose(_))), "{outcome:?}");
    // As the program does: nothing that is left in memory is worth the time to drop it.
    std::process::exit(0);
}
