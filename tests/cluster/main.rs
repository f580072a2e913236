//! A real cluster of two nodes, driven with `kubectl` alone. After every step no two living pods share an address, asked
//! of the pods' interfaces; between the steps they are watched, too.
//!
//! `make test-cluster` runs it: `KUBE_IPAM_CLUSTER` names the directory of Kubernetes' programs, without it nothing is
//! tested here. One cluster serves all scenarios, one after the other; each has a namespace of its own.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

mod crowds;
mod drained;
mod fixed;
mod lost_node;
mod objects;
mod rollout;
mod scene;
mod static_pod;
mod sticky;
mod store;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use kube_ipam_tests::cluster::Cluster;
use libtest_mimic::{Arguments, Trial};

use scene::Scene;

type Scenario = fn(&mut Scene<'_>);

const SCENARIOS: [(&str, Scenario); 16] = [
    ("fixed-deleted", fixed::the_new_pod_has_the_address_of_the_deleted_one),
    ("fixed-taken", fixed::a_second_deployment_waits_for_the_first_to_go),
    ("rollout-default", rollout::by_default_a_living_pod_keeps_its_address),
    ("rollout-recreate", rollout::recreate_hands_the_address_on),
    ("rollout-no-surge", rollout::without_a_surge_the_address_is_handed_on),
    ("rollout-annotated", rollout::the_annotation_hands_the_address_over),
    ("rollout-undone", rollout::undone_half_way_the_old_pod_has_the_address),
    ("drained", drained::the_address_moves_to_the_other_node),
    ("drained-old-revision", drained::a_pod_of_the_old_revision_does_not_take_the_address_back),
    ("sticky", sticky::scaled_down_and_up_again),
    ("pool", crowds::twelve_replicas_over_a_pool_of_ten),
    ("static-pod", static_pod::without_a_mirror_it_keeps_its_address),
    ("lost-node", lost_node::what_lives_on_it_keeps_its_address),
    ("off-node", lost_node::out_of_service_hands_the_address_over),
    ("store", store::deleted_under_living_pods_and_rebuilt),
    ("crowd", crowds::sixty_pods_at_once),
];

fn main() {
    let mut arguments = Arguments::from_args();
    let Some(programs) = std::env::var_os("KUBE_IPAM_CLUSTER").map(PathBuf::from) else {
        println!("the real cluster is not tested: `make test-cluster` does it");
        return;
    };
    // They share the cluster.
    arguments.test_threads = Some(1);
    // It is started by the first scenario that is asked for.
    let shared: Arc<Mutex<Option<Cluster>>> = Arc::default();
    let mut trials = Vec::new();
    for (name, scenario) in SCENARIOS {
        let (shared, programs) = (Arc::clone(&shared), programs.clone());
        trials.push(Trial::test(name, move || {
            let mut cluster = shared.lock().unwrap_or_else(PoisonError::into_inner);
            let cluster = cluster.get_or_insert_with(|| start(&programs));
            let mut scene = Scene::open(cluster, name);
            scenario(&mut scene);
            scene.step("done");
            Ok(())
        }));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    // `exit` ends this process without going back to what is still in scope.
    drop(shared.lock().unwrap_or_else(PoisonError::into_inner).take());
    conclusion.exit();
}

fn start(programs: &std::path::Path) -> Cluster {
    let begun = std::time::Instant::now();
    let cluster = Cluster::start(programs);
    println!("the cluster is ready after {:.1} s", begun.elapsed().as_secs_f64());
    cluster
}
