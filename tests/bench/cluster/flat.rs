//! Every verb as a whole process, in turn on a store with addresses held and on one with none: how far from flat it is.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kube_ipam_tests::Call;
use kube_ipam_tests::program::wait;
use serde_json::{Value, json};

use super::figures::{FlatFigures, Latency};
use super::pods::{BenchPod, OUR_NODE};
use super::site::Site;
use crate::sample::time;

/// In the life of a pod, but for the floor: a process that makes two requests of etcd and nothing else.
const CALLS: [&str; 6] = ["floor", "ADD", "CHECK", "STATUS", "GC", "DEL"];

/// The samples of one call, on the filled store and on the empty one.
type Sides = [Vec<Duration>; 2];

pub(super) fn measure(filled: &Site, empty: &Site, rounds: usize) -> Vec<FlatFigures> {
    let mut samples: BTreeMap<&str, Sides> = BTreeMap::new();
    let networks = [filled, empty].map(|site| site.network(OUR_NODE, &json!({})));
    for round in 0..rounds {
        let pod = BenchPod::new("flat", round, OUR_NODE);
        let mut answers = [Value::Null, Value::Null];
        for call in CALLS {
            // Whichever comes first finds the colder caches.
            for side in if round.is_multiple_of(2) { [0, 1] } else { [1, 0] } {
                let (site, network) = ([filled, empty][side], &networks[side]);
                let took = match call {
                    "floor" => match floor(site) {
                        Some(floor) => time(&floor),
                        None => continue,
                    },
                    "ADD" => {
                        let (took, answer) = add(&pod, network);
                        answers[side] = answer;
                        took
                    }
                    _ => time(&later(call, &pod, site, network, &answers[side])),
                };
                samples.entry(call).or_default()[side].push(took);
            }
        }
    }
    let mut figures = Vec::new();
    for call in CALLS {
        let Some(sides) = samples.get_mut(call) else { continue };
        let [of_filled, of_empty] = sides.each_mut().map(|samples| Latency::of(samples));
        let (store, call, held) = (filled.name.to_owned(), call.to_owned(), filled.held);
        figures.push(FlatFigures { store, held, call, filled: of_filled, empty: of_empty });
    }
    figures
}

/// The program that only connects, reads a range and commits a transaction; none for a store without a protocol.
fn floor(site: &Site) -> Option<Call> {
    let program = std::env::current_exe().unwrap().with_file_name("floor");
    let url = site.etcd()?.endpoints().swap_remove(0);
    Some(Call::new("ADD", "floor", &Value::Null).of(program).stdin("").with("FLOOR_URL", &url))
}

pub(super) fn add(pod: &BenchPod, network: &Value) -> (Duration, Value) {
    let call = pod.call("ADD", network);
    let start = Instant::now();
    let answer = wait(call.start());
    let took = start.elapsed();
    (took, answer.success())
}

/// A call after the ADD, which answered this.
fn later(verb: &str, pod: &BenchPod, site: &Site, network: &Value, answer: &Value) -> Call {
    let mut network = network.clone();
    match verb {
        "CHECK" => network["prevResult"] = answer.clone(),
        "GC" => {
            // All that this node has: nothing is garbage, and everything is looked at.
            let mut attachments = site.attachments();
            attachments.push(json!({"containerID": pod.container, "ifname": "eth0"}));
            network["cni.dev/valid-attachments"] = json!(attachments);
        }
        _ => {}
    }
    pod.call(verb, &network)
}
