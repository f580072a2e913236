//! The store forgets everything while pods live.

use std::collections::BTreeSet;

use crate::objects::Workload;
use crate::scene::Scene;

const ADDRESS: &str = "10.188.0.224";

pub(crate) fn deleted_under_living_pods_and_rebuilt(scene: &mut Scene<'_>) {
    scene.apply(&Workload::deployment("fixed").fixed(ADDRESS));
    scene.apply(&Workload::deployment("old").replicas(8));
    let fixed = scene.wait_for_another("fixed", None, ADDRESS);
    let old = scene.wait_for("old", 8);
    scene.step("nine pods");

    scene.cluster.books().control(&["del", "--prefix", ""]);
    for node in scene.cluster.nodes() {
        let repaired = node.operate(&["fsck", "--containers", "--repair", "--yes"]);
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        println!("{}{}", said(&repaired.stdout), said(&repaired.stderr));
        assert!(repaired.status.success(), "fsck fails on {}", node.name());
    }
    scene.step("the store is emptied, and rebuilt by fsck on both nodes");

    scene.apply(&Workload::deployment("new").replicas(16));
    let new = scene.wait_for("new", 16);
    scene.assert_nobody_else_gets(&fixed);
    let mut addresses = BTreeSet::new();
    for pod in old.iter().chain(&new).chain([&fixed]) {
        scene.assert_untouched(pod);
        assert!(addresses.insert(pod.addresses.clone()), "{pod} has another's address");
    }
    scene.step("sixteen new pods have addresses of their own");
}
