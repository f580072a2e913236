//! A network whose domain was changed: its addresses are imported while nodes of either configuration go on.

use std::rc::Rc;

use serde_json::json;

use super::{Cast, Scenario, offer, play, ranges};
use crate::scene::{PodRequest, Site, pause};
use crate::sim::Fault;
use kube_ipam::verbs::Error;
use store::StoreError;

struct Books {
    former: Site,
    here: Site,
    /// What a node with the former configuration has made, and makes.
    kept: PodRequest,
    late: PodRequest,
    /// What a node with the new one makes.
    new: PodRequest,
}

fn in_domain(domain: &str, node: &str) -> Site {
    let mut ipam = ranges(2, 4);
    ipam["domain"] = json!(domain);
    Site::new("blue", node, ipam, None).that_may_refuse(is_moved)
}

/// As long as containers have addresses in the other books, none is given out here.
fn is_moved(error: &Error) -> bool {
    matches!(error, Error::Store(StoreError::Moved(_)))
}

/// That nobody is in the former domain is read and cannot be compared: a store that shows the past there is believed.
fn faults() -> Vec<Fault> {
    Fault::OF_STORE.into_iter().filter(|fault| *fault != Fault::StaleView).collect()
}

/// The first claims of a network whose nodes do not agree on its domain.
pub(super) fn birth() -> Scenario {
    let (former, here) = (in_domain("former", "node-1"), in_domain("here", "node-2"));
    let (kept, late) = (former.asking("c1", None), former.asking("c2", None));
    let new = here.asking("c3", None);
    let cast = Cast::new(Books { former, here, kept, late, new });
    Scenario {
        name: "birth",
        what: "the first ADDs of a network whose nodes have two domains configured, a DEL",
        possible: faults(),
        begin: cast.piece(|_: Rc<Books>| async move { offer(2, 4) }),
        processes: cast.processes(vec![
            play(|cast: Rc<Books>| async move { super::churn::live(&cast.here, &cast.new).await }),
            play(|cast: Rc<Books>| async move { super::churn::live(&cast.former, &cast.late).await }),
            play(|cast: Rc<Books>| async move {
                super::churn::live(&cast.former, &cast.kept).await;
                pause().await;
                cast.former.del_until_done("c1").await;
            }),
        ]),
        end: cast.piece(|cast: Rc<Books>| async move {
            cast.former.inspect("in the one domain").await;
            cast.here.inspect("in the other domain").await;
            let all = [&cast.kept, &cast.late, &cast.new];
            cast.here.empty(&all).await;
            cast.former.judge_emptiness(&all).await;
        }),
    }
}

pub(super) fn scenario() -> Scenario {
    let (former, here) = (in_domain("former", "node-1"), in_domain("here", "node-2"));
    let (kept, late) = (former.asking("c1", None), former.asking("c2", None));
    let new = here.asking("c3", None);
    let cast = Cast::new(Books { former, here, kept, late, new });
    Scenario {
        name: "books",
        what: "import from another domain, an ADD in either, a DEL of what is moving",
        possible: faults(),
        begin: cast.piece(|cast: Rc<Books>| async move {
            offer(2, 4);
            cast.former.add(&cast.kept).await;
        }),
        processes: cast.processes(vec![
            play(|cast: Rc<Books>| async move { cast.here.import("former").await }),
            play(|cast: Rc<Books>| async move { super::churn::live(&cast.here, &cast.new).await }),
            play(|cast: Rc<Books>| async move { super::churn::live(&cast.former, &cast.late).await }),
            play(|cast: Rc<Books>| async move {
                pause().await;
                cast.here.del_until_done("c1").await;
            }),
        ]),
        end: cast.piece(|cast: Rc<Books>| async move {
            cast.former.inspect("in the former domain").await;
            // Whatever was cut off is completed by running it again.
            cast.here.import("former").await;
            cast.here.inspect("after an import").await;
            let all = [&cast.kept, &cast.late, &cast.new];
            cast.here.judge_end(&[&cast.new]).await;
            cast.former.inspect("in the former domain, at the end").await;
            cast.here.empty(&all).await;
            cast.former.judge_emptiness(&all).await;
        }),
    }
}
