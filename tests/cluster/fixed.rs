//! A Deployment of one pod with a fixed address.

use crate::objects::Workload;
use crate::scene::Scene;

const ADDRESS: &str = "10.188.0.216";

/// How long after the DEL of the old pod the new one may take to have its address.
const SOON: f64 = 1.0;

/// The predecessor's own example. The pod takes its time to end, so that the new one comes long before it has gone.
pub(crate) fn the_new_pod_has_the_address_of_the_deleted_one(scene: &mut Scene<'_>) {
    scene.apply(&Workload::deployment("fixed").fixed(ADDRESS).ending_slowly(6));
    let old = scene.wait_for_another("fixed", None, ADDRESS);
    scene.step("Running with its address");

    let name = old.pod.rsplit('/').next().unwrap();
    scene.kubectl(&["delete", "pod", name, "--wait=false"]);
    let new = scene.wait_for_another("fixed", Some(&old), ADDRESS);
    scene.step("from the deletion until the new pod is Running with the same address");
    let between = scene.between(&old, &new);
    println!("  {between:6.2} s  of them from the old pod's DEL to the new pod's address");
    assert!(between < SOON, "the new pod waited {between:.2} s for an address that was free");
}

pub(crate) fn a_second_deployment_waits_for_the_first_to_go(scene: &mut Scene<'_>) {
    scene.apply(&Workload::deployment("first").fixed(ADDRESS));
    let first = scene.wait_for_another("first", None, ADDRESS);
    scene.apply(&Workload::deployment("second").fixed(ADDRESS));
    scene.wait_for_refusal("second", &[ADDRESS, &first.pod]);
    scene.step("refused, the holder named");

    scene.assert_untouched(&first);
    scene.kubectl(&["delete", "deployment", "first", "--wait=false"]);
    scene.wait_for_another("second", None, ADDRESS);
    scene.step("from the deletion of the first until the second is Running");
}
