//! `ctr run --cni`: no pod at all, a network namespace under /proc, one DEL without a namespace.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};

use kube_ipam_tests::image;
use kube_ipam_tests::machine::Machine;
use serde_json::Value;

use super::containerd::Containerd;
use super::networks;

/// A container whose client `ctr` waits for its end.
struct Running {
    client: Child,
    told: String,
}

impl Running {
    /// It tells its addresses and lives until its standard input ends.
    fn start(containerd: &Containerd, name: &str) -> Self {
        let cgroup = format!("{}/{name}", containerd.machine.cgroup());
        let script = "ip -o addr show dev eth0; echo told; cat";
        let mut client = containerd
            .ctr_command(&["run", "--rm", "--cni", "--snapshotter", "native", "--cgroup", &cgroup])
            .args([image::NAME, name, "sh", "-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut told = String::new();
        let mut output = BufReader::new(client.stdout.take().unwrap());
        while !told.contains("told") && output.read_line(&mut told).unwrap() > 0 {}
        Self { client, told }
    }

    /// Let it end; what `ctr` complained about, if it was not content to the last.
    fn end(mut self) -> Result<(), String> {
        drop(self.client.stdin.take());
        let mut complaint = String::new();
        self.client.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
        if self.client.wait().unwrap().success() { Ok(()) } else { Err(complaint) }
    }
}

fn life_of_a_container(name: &str, plugins: fn(&Machine) -> Vec<Value>) {
    let Some(containerd) = Containerd::start(name, plugins) else { return };
    let machine = &containerd.machine;
    let held = || machine.held("blue", &networks::dual_stack(machine));

    let web = Running::start(&containerd, "web");
    assert!(web.told.contains("10.88.0.2/24"), "{}\n{}", web.told, containerd.log());
    assert!(web.told.contains("fd88::2/64"), "{}", web.told);
    let pair = |address: &str| (address.to_owned(), "default-web".to_owned());
    assert_eq!(held(), [pair("10.88.0.2"), pair("fd88::2")]);

    web.end().unwrap();
    assert_eq!(held(), []);
    let calls = machine.calls();
    assert_eq!(calls.iter().map(|call| call.verb.as_str()).collect::<Vec<_>>(), ["ADD", "DEL"], "{calls:?}");
    assert!(calls.iter().all(|call| call.args.is_empty()), "{calls:?}");
    assert!(calls[1].netns.is_empty(), "{calls:?}");
}

#[test]
fn bridge() {
    life_of_a_container("ctr-bridge", networks::bridge);
}

#[test]
fn ptp() {
    life_of_a_container("ctr-ptp", networks::ptp);
}

#[test]
fn macvlan() {
    life_of_a_container("ctr-macvlan", networks::macvlan);
}

#[test]
fn a_full_range_stops_the_third_container_only() {
    let Some(containerd) = Containerd::start("ctr-full", networks::small) else { return };
    let machine = &containerd.machine;
    let held = || machine.held("blue", &networks::small_ipam(machine)).len();
    let (one, two) = (Running::start(&containerd, "one"), Running::start(&containerd, "two"));
    assert!(one.told.contains("10.89.0.2/") && two.told.contains("10.89.0.3/"), "{}{}", one.told, two.told);

    let three = Running::start(&containerd, "three");
    assert!(three.told.is_empty(), "{}", three.told);
    let complaint = three.end().unwrap_err();
    assert!(complaint.contains("2 of 2 addresses"), "{complaint}");
    assert_eq!(held(), 2);

    two.end().unwrap();
    let four = Running::start(&containerd, "four");
    assert!(four.told.contains("10.89.0.3/"), "{}", four.told);
    one.end().unwrap();
    four.end().unwrap();
    assert_eq!(held(), 0);
}
