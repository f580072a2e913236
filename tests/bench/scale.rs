//! ADD on etcd by how many addresses are held already. Two servers, one filled and one empty, asked in turn.

use kube_ipam_tests::Call;
use serde_json::{Value, json};

use crate::cluster;
use crate::sample::{Pairs, ROUNDS, header, time};
use crate::server::Server;

pub(crate) fn print() {
    header("none held");
    let empty = Server::plain();
    for subnet in ["10.4.0.0/16", "fd00:4::/64"] {
        let server = Server::plain();
        let mut filled = 0;
        for held in [0, 250, 5_000, 60_000] {
            fill(&server, subnet, filled, held);
            filled = held;
            pair(&format!("{held} of {subnet}"), &server, &empty, &json!({"subnet": subnet}));
        }
        if subnet.ends_with("/16") {
            fill(&server, subnet, filled, 65_000);
            pair("65000, round robin", &server, &empty, &json!({"subnet": subnet}));
            // Every ADD looks for the first gap again, behind 65,000 held addresses.
            let lowest = json!({"subnet": subnet, "policy": {"settings": {"strategy": "lowest"}}});
            pair("65000, lowest first", &server, &empty, &lowest);
        }
    }
}

fn pair(what: &str, server: &Server, empty: &Server, ipam: &Value) {
    let (network, beside) = (server.network(PREFIX, ipam), empty.network(PREFIX, ipam));
    let mut add = Pairs::default();
    for n in 0..ROUNDS / 2 {
        let name = format!("bench-{n}");
        let call = |verb| Call::new(verb, &name, &network);
        let call_beside = |verb| Call::new(verb, &name, &beside);
        add.push(time(&call("ADD")), time(&call_beside("ADD")));
        call("DEL").run().success();
        call_beside("DEL").run().success();
    }
    add.print(what);
}

/// Where the plugin has its keys unless it is told otherwise.
const PREFIX: &str = "/kube-ipam";

/// Have the addresses with these numbers held, one attachment each.
fn fill(server: &Server, subnet: &str, from: usize, to: usize) {
    if from < to {
        cluster::claim(server.url(), subnet, from..to);
    }
}
