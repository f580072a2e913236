//! Two clusters that share a domain, whose pods have the same names, and reclaim in both.

use std::rc::Rc;

use serde_json::json;

use super::{Cast, Scenario, offer, play, ranges};
use crate::scene::{PodRequest, PodSpec, Site, pause};
use crate::sim::{Fault, with};

struct Clusters {
    alpha: Site,
    beta: Site,
    /// Of each cluster one container whose pod lives, and one whose pod is gone and whose DEL was lost.
    living: [PodRequest; 2],
    lost: [PodRequest; 2],
    /// Of a pod that is made while the others are judged.
    newcomer: PodRequest,
}

/// The uids of the pods, by container.
const UIDS: [(&str, &str); 5] = [
    ("a1", "00000000-0000-4000-8000-0000000000a1"),
    ("a2", "00000000-0000-4000-8000-0000000000a2"),
    ("a3", "00000000-0000-4000-8000-0000000000a3"),
    ("b1", "00000000-0000-4000-8000-0000000000b1"),
    ("b2", "00000000-0000-4000-8000-0000000000b2"),
];

fn uid(container: &str) -> &'static str {
    UIDS.iter().find(|(known, _)| *known == container).map_or("", |(_, uid)| uid)
}

fn pod(name: &'static str, container: &str) -> Option<PodSpec> {
    Some(PodSpec { name, uid: Some(uid(container)), ..PodSpec::default() })
}

fn cluster(name: &str, node: &str, server: usize) -> Site {
    let mut ipam = ranges(2, 7);
    ipam["cluster"] = json!(name);
    ipam["domain"] = json!("shared");
    Site::new("blue", node, ipam, None).with_server(server)
}

/// A pod is there, by the word of this API server.
fn create(server: usize, name: &str, container: &str, node: &str) {
    with(|state| {
        let server = &mut state.servers[server];
        server.before = Some(server.objects.clone());
        let object = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "shop", "uid": uid(container)},
            "spec": {"nodeName": node, "containers": [{"name": "main", "image": "pause"}]},
            "status": {"phase": "Running"},
        });
        Rc::make_mut(&mut server.objects).insert(format!("/api/v1/namespaces/shop/pods/{name}"), object);
        let node_object = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}});
        Rc::make_mut(&mut server.objects).insert(format!("/api/v1/nodes/{node}"), node_object);
    });
}

pub(super) fn scenario() -> Scenario {
    let (alpha, beta) = (cluster("alpha", "node-1", 0), cluster("beta", "node-2", 1));
    let living = [alpha.asking("a1", pod("web-0", "a1")), beta.asking("b1", pod("web-0", "b1"))];
    let lost = [alpha.asking("a2", pod("web-1", "a2")), beta.asking("b2", pod("web-1", "b2"))];
    let newcomer = alpha.asking("a3", pod("web-2", "a3"));
    let cast = Cast::new(Clusters { alpha, beta, living, lost, newcomer });
    Scenario {
        name: "clusters",
        what: "two clusters in one domain: reclaim in both, an ADD of a new pod, a DEL",
        possible: Fault::ALL.to_vec(),
        begin: cast.piece(|cast: Rc<Clusters>| async move {
            offer(2, 7);
            create(0, "web-0", "a1", "node-1");
            // Twice: to an API server that shows the past, what lives is there, and only what is made now is not.
            for _ in 0..2 {
                create(1, "web-0", "b1", "node-2");
            }
            for (site, nth) in [(&cast.alpha, 0), (&cast.beta, 1)] {
                site.add(&cast.living[nth]).await;
                site.add(&cast.lost[nth]).await;
                with(|state| state.judge.ends(&cast.lost[nth].container));
            }
        }),
        processes: cast.processes(vec![
            play(|cast: Rc<Clusters>| async move { cast.alpha.reclaim(Some("alpha")).await }),
            play(|cast: Rc<Clusters>| async move { cast.beta.reclaim(Some("beta")).await }),
            play(|cast: Rc<Clusters>| async move {
                create(0, "web-2", "a3", "node-1");
                super::churn::live(&cast.alpha, &cast.newcomer).await;
            }),
            play(|cast: Rc<Clusters>| async move {
                pause().await;
                cast.beta.del_until_done("b1").await;
            }),
        ]),
        end: cast.piece(|cast: Rc<Clusters>| async move {
            let of_alpha = [&cast.living[0], &cast.lost[0], &cast.newcomer];
            let of_beta = [&cast.living[1], &cast.lost[1]];
            cast.alpha.judge_end(&of_alpha).await;
            cast.beta.judge_end(&of_beta).await;
            cast.alpha.empty(&of_alpha).await;
            cast.beta.judge_emptiness(&of_beta).await;
        }),
    }
}
