//! ADD and DEL on etcd, beside a program that makes the same two requests and nothing else; and what etcd keeps of them.

use kube_ipam_tests::Call;
use serde_json::json;

use crate::bytes;
use crate::sample::{Pairs, ROUNDS, header, peak_memory_mb, time};
use crate::server::Server;

pub(crate) fn print() {
    header("floor");
    let ratios = [("etcd", Server::plain()), ("etcd mTLS", Server::mutual_tls())].map(|(name, server)| {
        let [add, del] = add_and_del(name, &server);
        let call = Call::new("ADD", "peak", &server.network("/peak", &json!({"subnet": "10.4.0.0/16"})));
        (name, add, del, peak_memory_mb(&call))
    });
    println!();
    for (name, add, del, peak) in ratios {
        println!("{name} ADD / floor: {add:.2}");
        println!("{name} DEL / floor: {del:.2}");
        println!("{name}: peak memory of an ADD: {peak:.1} MB");
    }
    bytes::print();
}

fn add_and_del(name: &str, server: &Server) -> [f64; 2] {
    let network = server.network("/bench", &json!({"subnet": "10.4.0.0/16"}));
    let floor = server.floor();
    let mut add = Pairs::default();
    let mut del = Pairs::default();
    for n in 0..ROUNDS {
        let call = |verb| Call::new(verb, &format!("bench-{n}"), &network);
        add.push(time(&call("ADD")), time(&floor));
        del.push(time(&call("DEL")), time(&floor));
    }
    [add.print(&format!("{name} ADD")), del.print(&format!("{name} DEL"))]
}
