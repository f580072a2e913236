//! A member cut off from the others that clients still reach. Afterwards: no address twice, none lost.

use kube_ipam_tests::Call;
use kube_ipam_tests::etcd::Setup;
use kube_ipam_tests::listing::held;
use kube_ipam_tests::program::wait;
use serde_json::json;

use super::{add, all_at_once, answered, assert_empty, assert_sound, release_all};

#[test]
fn an_isolated_follower_is_passed_over_while_the_others_go_on() {
    let Some(etcd) = Setup::cluster().start_apart() else { return };
    let network = etcd.network(&json!({"subnet": "10.1.0.0/24", "timeout": "20s"}));
    let follower = (etcd.leader() + 1) % 3;
    etcd.isolate(follower);
    // Processes begin with different members.
    let answers = all_at_once((0..12).map(|nth| add(&format!("c{nth}"), &network)));
    answers.iter().for_each(|answer| drop(answer.success()));
    assert_eq!(held(&network), answered(&answers));
    Call::new("STATUS", "", &network).run().success();
    etcd.rejoin(follower);
    (0..3).for_each(|nth| etcd.wait_for(nth));
    assert_sound(&network);
    assert_eq!(held(&network), answered(&answers));
    release_all(12, &network);
    assert_empty(&etcd, "/kube-ipam/");
}

#[test]
fn a_leader_isolated_amid_a_burst_doubles_nothing_and_a_del_releases_what_is_open() {
    let Some(etcd) = Setup::cluster().start_apart() else { return };
    let network = etcd.network(&json!({"subnet": "10.1.0.0/24", "timeout": "20s"}));
    let leader = etcd.leader();
    let mut children: Vec<_> = (0..24).map(|nth| add(&format!("c{nth}"), &network).start()).collect();
    etcd.isolate(leader);
    children.extend((24..48).map(|nth| add(&format!("c{nth}"), &network).start()));
    let answers: Vec<_> = children.into_iter().map(wait).collect();
    let given = answered(&answers);
    assert!(given.len() >= 24, "the others go on: {answers:?}");
    etcd.rejoin(leader);
    (0..3).for_each(|nth| etcd.wait_for(nth));
    assert_sound(&network);
    let listed = held(&network);
    for (address, holder) in &given {
        assert_eq!(listed.get(address), Some(holder), "{address} was lost");
    }
    answers.iter().filter(|answer| answer.status != Some(0)).for_each(|answer| assert_eq!(answer.failure().0, 11));
    release_all(48, &network);
    assert_empty(&etcd, "/kube-ipam/");
}
