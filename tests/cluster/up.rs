//! The tests' cluster for a person: started, left alone until it is told to end, and removed without a trace.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::PathBuf;

use kube_ipam_tests::cluster::{Cluster, IMAGES};
use nix::sys::signal::{SigSet, Signal};

fn main() {
    // Before any thread starts, so that none of them is ended by a signal in the midst of its work.
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGINT);
    signals.add(Signal::SIGTERM);
    signals.thread_block().unwrap();

    let programs = std::env::var_os("KUBE_IPAM_CLUSTER").map(PathBuf::from);
    let programs = programs.expect("KUBE_IPAM_CLUSTER names the directory of Kubernetes' programs: run `make cluster`");
    let cluster = Cluster::start(&programs);
    println!("A cluster of {} nodes is up.\n", cluster.nodes().len());
    println!("  export KUBECONFIG={}", cluster.kubeconfig().display());
    println!("  kubectl get nodes\n");
    println!("Images for pods, with imagePullPolicy Never: {}", IMAGES.join(", "));
    for node in cluster.nodes() {
        println!("Logs of {}, and its network: {}", node.name(), node.machine().directory().display());
        println!("  a shell on it: nsenter --target {} --mount --net --pid", node.machine().pid());
    }
    println!("\nCtrl-C ends it.");
    signals.wait().unwrap();
    println!("\nIt ends.");
}
