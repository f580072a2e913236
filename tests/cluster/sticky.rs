//! A StatefulSet under the policy `sticky`.

use std::collections::BTreeMap;
use std::path::Path;

use kube_ipam_tests::cluster::Network;
use serde_json::json;

use crate::objects::Workload;
use crate::scene::Scene;

/// While two of its pods are away, others take what is free.
pub(crate) fn scaled_down_and_up_again(scene: &mut Scene<'_>) {
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/policies/sticky.wasm").canonicalize();
    let module = module.expect("the policies are built: run `make policies`");
    scene.cluster.set_network(&Network::new().with("policy", json!({"module": module, "settings": {"keep": "1h"}})));
    scene.apply(&Workload::stateful_set("db").replicas(3).annotated("kube-ipam.sticky", "true"));
    scene.wait_for("db", 3);
    let before = addresses(scene);
    scene.step("three pods");

    scene.kubectl(&["scale", "statefulset/db", "--replicas=1"]);
    scene.wait("the end of two pods", || (scene.living("db").len() == 1).then_some(()));
    scene.apply(&Workload::deployment("others").replicas(4));
    for other in scene.wait_for("others", 4) {
        let kept = before.values().any(|addresses| *addresses == other.addresses);
        assert!(!kept, "{other} has an address that is kept for a pod of the StatefulSet");
    }
    scene.step("scaled down to one, and four others");

    scene.kubectl(&["scale", "statefulset/db", "--replicas=3"]);
    scene.wait_for("db", 3);
    assert_eq!(addresses(scene), before);
    scene.step("scaled up: the same addresses");
    scene.cluster.set_network(&Network::new());
}

fn addresses(scene: &Scene<'_>) -> BTreeMap<String, Vec<String>> {
    scene.living("db").into_iter().map(|living| (living.pod, living.addresses)).collect()
}
