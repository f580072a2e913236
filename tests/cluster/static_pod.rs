//! A pod that a kubelet runs by itself, and of which the API server never hears.

use crate::objects::Workload;
use crate::scene::Scene;

const ADDRESS: &str = "10.188.0.222";

/// A namespace that does not exist: the kubelet cannot make a mirror of the pod there.
const NOWHERE: &str = "nowhere";

pub(crate) fn without_a_mirror_it_keeps_its_address(scene: &mut Scene<'_>) {
    let pod = Workload::pod("ghost").fixed(ADDRESS).object(NOWHERE);
    scene.cluster.node("node-1").add_static_pod(&pod);
    let ghost = scene.wait("the static pod", || {
        let living = scene.cluster.census().living();
        living.into_iter().find(|living| living.pod == "nowhere/ghost-node-1" && living.addresses == [ADDRESS])
    });
    scene.step("it runs with its address, unknown to the API server");

    scene.apply(&Workload::pod("thief").fixed(ADDRESS));
    scene.wait_for_refusal("thief", &[ADDRESS, &ghost.pod]);
    scene.assert_untouched(&ghost);
    scene.step("another pod that wants the address is refused");

    scene.cluster.node("node-1").remove_static_pods();
    scene.wait_for_another("thief", None, ADDRESS);
    scene.step("from the end of the static pod until the other has the address");
}
