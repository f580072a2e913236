//! Callers that are killed. etcd 3.5.0 to 3.5.4 end with them where they were amid a transaction that only reads.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use kube_ipam_tests::etcd::{Release, Setup};
use kube_ipam_tests::listing::held;
use kube_ipam_tests::program::{program, wait};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::{add, all_at_once, assert_empty, assert_sound, del, release_all};

/// What is held before, so that there is something to read.
const HELD: usize = 200;

const KILLED: u32 = 1_000;

const KILLERS: u32 = 4;

#[test]
fn a_thousand_callers_that_are_killed_leave_etcd_alive() {
    for release in Release::all() {
        let etcd = Setup::single().of(&release).start();
        let network = etcd.network(&json!({"subnet": "10.1.0.0/22"}));
        for batch in 0..HELD / 20 {
            all_at_once((0..20).map(|nth| add(&format!("c{}", batch * 20 + nth), &network)))
                .iter()
                .for_each(|answer| drop(answer.success()));
        }
        let mut file = tempfile::Builder::new().suffix(".conf").tempfile().unwrap();
        file.write_all(network.to_string().as_bytes()).unwrap();

        thread::scope(|scope| {
            for first in 0..KILLERS {
                let (network, file) = (&network, &file);
                scope.spawn(move || kill(first, network, file));
            }
        });
        let answers = etcd.ask(&[0], &["get", "/"]).status.success();
        assert!(answers, "etcd {} is dead after {KILLED} killed callers", release.version);
        assert_sound(&network);
        for holder in held(&network).into_values() {
            del(&holder, &network).run().success();
        }
        release_all(HELD, &network);
        assert_empty(&etcd, "/kube-ipam/");
    }
}

/// A part of the callers, each killed at another moment of its short life. Those that were done by then do not count.
fn kill(first: u32, network: &Value, file: &NamedTempFile) {
    let begun = Instant::now();
    wait(start(first, network, file));
    let life = u32::try_from(begun.elapsed().as_micros()).unwrap();
    let mut killed = 0;
    for nth in (first..).step_by(KILLERS as usize) {
        let mut child = start(nth, network, file);
        thread::sleep(Duration::from_micros(u64::from(nth.wrapping_mul(7_919) % life)));
        child.kill().unwrap();
        killed += u32::from(wait(child).status.is_none());
        if killed >= KILLED / KILLERS {
            return;
        }
        assert!(nth < 10 * KILLED, "callers are done before they can be killed");
    }
}

fn start(nth: u32, network: &Value, file: &NamedTempFile) -> Child {
    match nth % 3 {
        0 => add(&format!("k{nth}"), network).start(),
        1 => del(&format!("c{}", nth as usize % HELD), network).start(),
        _ => {
            let mut command = Command::new(program());
            command.args(["list", "-o", "json", "--conf"]).arg(file.path());
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        }
    }
}
