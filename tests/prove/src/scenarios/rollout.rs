//! A fixed address in a rolling update: handed over while its holder lives, and back when the update is undone.

use std::rc::Rc;

use serde_json::{Value, json};

use super::{Cast, Scenario, offer, play, ranges, site};
use crate::scene::{PodRequest, PodSpec, Site, pause};
use crate::sim::{Fault, with};
use kube_ipam::verbs::Error;

/// Who has the address first, and who wants it.
struct Rollout {
    site: Site,
    old: PodRequest,
    new: PodRequest,
}

const OLD: &str = "00000000-0000-4000-8000-000000000001";
const NEW: &str = "00000000-0000-4000-8000-000000000002";
const FIXED: [(&str, &str); 2] = [("kube-ipam.ip", "10.0.0.2"), ("kube-ipam.hand-over", "rolling-update")];

fn pod(name: &'static str, uid: &'static str) -> Option<PodSpec> {
    Some(PodSpec { name, uid: Some(uid), cluster: None, annotations: &FIXED, namespace: None })
}

fn cast() -> Cast<Rollout> {
    let mut ipam = ranges(2, 4);
    ipam["cluster"] = json!("alpha");
    ipam["handOverWait"] = json!("300ms");
    let site = site(ipam).with_server(0).that_may_refuse(may_refuse);
    let (old, new) = (site.asking("old", pod("web-old", OLD)), site.asking("new", pod("web-new", NEW)));
    Cast::new(Rollout { site, old, new })
}

/// The address may be the living holder's own, or on its way.
fn may_refuse(error: &Error) -> bool {
    matches!(error, Error::Taken { .. } | Error::Ceded { .. })
}

/// The API server's objects: a Deployment's two ReplicaSets, and the pods that are there.
fn objects(old: bool, new: bool) {
    with(|state| {
        let server = &mut state.servers[0];
        server.before = Some(server.objects.clone());
        let objects = Rc::make_mut(&mut server.objects);
        let mut put = |path: &str, object: Value| objects.insert(path.to_owned(), object);
        put("/api/v1/nodes/node-1", json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-1"}}));
        for (name, revision) in [("web-1", "1"), ("web-2", "2")] {
            put(&format!("/apis/apps/v1/namespaces/shop/replicasets/{name}"), replica_set(name, revision));
        }
        for (name, set, uid, is_there) in [("web-old", "web-1", OLD, old), ("web-new", "web-2", NEW, new)] {
            let path = format!("/api/v1/namespaces/shop/pods/{name}");
            if is_there {
                objects.insert(path, pod_object(name, set, uid));
            } else {
                objects.remove(&path);
            }
        }
    });
}

fn replica_set(name: &str, revision: &str) -> Value {
    let owner = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "d", "controller": true});
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {
            "name": name, "namespace": "shop", "uid": format!("uid-of-{name}"), "ownerReferences": [owner],
            "annotations": {"deployment.kubernetes.io/revision": revision},
        },
        "spec": {"selector": {"matchLabels": {"app": "web"}}},
    })
}

fn pod_object(name: &str, set: &str, uid: &str) -> Value {
    let owner = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": set, "uid": format!("uid-of-{set}"), "controller": true,
    });
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name, "namespace": "shop", "uid": uid, "ownerReferences": [owner],
            "annotations": {"kube-ipam.ip": "10.0.0.2", "kube-ipam.hand-over": "rolling-update"},
        },
        "spec": {"nodeName": "node-1", "containers": [{"name": "main", "image": "pause"}]},
        "status": {"phase": "Running"},
    })
}

fn faults() -> Vec<Fault> {
    Fault::ALL.to_vec()
}

/// The old pod lives on; the new one comes, gets its address, and is undone.
pub(super) fn scenario() -> Scenario {
    let cast = cast();
    Scenario {
        name: "rollout",
        what: "a fixed address handed over in a rolling update, the update undone, reclaim beside it",
        possible: faults(),
        begin: cast.piece(|cast: Rc<Rollout>| async move {
            offer(2, 4);
            // An API server that shows the past does not know the new pod.
            objects(true, false);
            objects(true, true);
            with(|state| state.judge.cedes.insert(("old".to_owned(), "new".to_owned())));
            cast.site.add(&cast.old).await;
        }),
        processes: cast.processes(vec![
            play(|cast: Rc<Rollout>| async move {
                cast.site.add(&cast.new).await;
                pause().await;
                // The update is undone: the pod goes, and then its container.
                with(|state| state.judge.ends("new"));
                objects(true, false);
                pause().await;
                cast.site.del_until_done("new").await;
            }),
            play(|cast: Rc<Rollout>| async move {
                pause().await;
                cast.site.reclaim(Some("alpha")).await;
            }),
            // Its runtime did not hear the answer to the first one.
            play(|cast: Rc<Rollout>| async move {
                pause().await;
                cast.site.add(&cast.old).await;
            }),
        ]),
        end: cast.piece(|cast: Rc<Rollout>| async move {
            // The old pod lives and has its address to itself again.
            with(|state| state.judge.cedes.clear());
            let all = [&cast.old, &cast.new];
            cast.site.judge_end(&all).await;
            cast.site.judge_emptiness(&all).await;
        }),
    }
}

/// The old pod is deleted while the new one asks: it waits, takes over, or is refused and asks again.
pub(super) fn succession() -> Scenario {
    let cast = cast();
    Scenario {
        name: "fixed",
        what: "a fixed address, its holder deleted while the next pod asks for it, GC",
        possible: faults(),
        begin: cast.piece(|cast: Rc<Rollout>| async move {
            offer(2, 4);
            // An API server that shows the past does not know the new pod.
            objects(true, false);
            objects(true, true);
            with(|state| state.judge.cedes.insert(("old".to_owned(), "new".to_owned())));
            cast.site.add(&cast.old).await;
        }),
        processes: cast.processes(vec![
            play(|cast: Rc<Rollout>| async move { super::churn::live(&cast.site, &cast.new).await }),
            play(|cast: Rc<Rollout>| async move {
                with(|state| state.judge.ends("old"));
                objects(false, true);
                pause().await;
                cast.site.del_until_done("old").await;
            }),
            play(|cast: Rc<Rollout>| async move {
                pause().await;
                cast.site.gc(&["old", "new"]).await;
            }),
        ]),
        end: cast.piece(|cast: Rc<Rollout>| async move {
            let all = [&cast.old, &cast.new];
            cast.site.judge_end(&all).await;
            cast.site.judge_emptiness(&all).await;
        }),
    }
}
