//! Pods come and go on the embedded store, with a policy that has to be compiled, a journal and a shadow.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Mutex;
use std::thread;

use kube_ipam_tests::program::{NO_LOG, module, network, program};
use kube_ipam_tests::{Answer, Call};
use serde_json::{Value, json};

use super::Subject;
use super::disk::{Disk, Remains};

const WORKERS: usize = 3;
/// Of each worker; each is an ADD, and all but the last few are followed by a DEL.
const PODS: usize = 30;
/// In seconds, far more than any call takes: what has not ended by then hangs.
const PATIENCE: &str = "75";

/// An answer, and how many orders the disk had before the call began and after it was answered.
struct Told {
    attachment: String,
    /// The address of an ADD; `None` of a DEL.
    address: Option<String>,
    from: usize,
    until: usize,
}

/// All answers of a recording.
pub(super) struct Books(Vec<Told>);

/// What an attachment may hold after a cut.
#[derive(Debug)]
enum May<'a> {
    Hold(&'a str),
    HoldOrNot(&'a str),
    Not,
}

/// Some workers add and delete on the disk, side by side.
pub(super) fn record(disk: &Disk) -> Books {
    let told = Mutex::default();
    let network = network_on(&disk.node());
    thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (told, network) = (&told, &network);
            scope.spawn(move || work(worker, network, disk, told));
        }
    });
    Books(told.into_inner().unwrap())
}

fn work(worker: usize, network: &Value, disk: &Disk, told: &Mutex<Vec<Told>>) {
    for nth in 0..PODS {
        let attachment = format!("w{worker}-{nth}");
        tell("ADD", &attachment, network, disk, told);
        if nth >= 4 {
            tell("DEL", &format!("w{worker}-{}", nth - 4), network, disk, told);
        }
    }
}

fn tell(verb: &str, attachment: &str, network: &Value, disk: &Disk, told: &Mutex<Vec<Told>>) {
    let from = disk.log.len();
    let answer = call(verb, attachment, network);
    let until = disk.log.len();
    let address = (verb == "ADD").then(|| answer.addresses().remove(0));
    answer.success();
    told.lock().unwrap().push(Told { attachment: attachment.to_owned(), address, from, until });
}

/// The store, the compiled policy, the journal and the tally are all on the disk.
fn network_on(node: &Path) -> Value {
    let policy = json!({
        "module": module("quota"), "settings": {"namespaces": {"shop": 200}},
        "record": node.join("journal"), "shadow": module("sticky"),
    });
    network(&node.join("data"), &json!({"subnet": "10.1.0.0/24", "policy": policy, "timeout": "60s"}))
}

fn call(verb: &str, attachment: &str, network: &Value) -> Answer {
    let bounded = ["/usr/bin/timeout", "--signal=KILL", PATIENCE];
    Call::new(verb, attachment, network).for_pod("shop", attachment, attachment).by(&bounded).run()
}

impl Subject for Books {
    fn name(&self) -> &'static str {
        "allocations, module cache, journal, tally, counts of calls"
    }

    fn judge(&self, disk: &Disk, remains: &Remains, at: usize) {
        let network = network_on(&remains.node);
        let conf = disk.beside().join("blue.conf");
        fs::write(&conf, network.to_string()).unwrap();
        let rows: Value = serde_json::from_slice(&operate(&["list", "--held", "-o", "json"], &conf).stdout).unwrap();
        let mut held = BTreeMap::new();
        for row in rows.as_array().unwrap() {
            let text = |key: &str| row[key].as_str().unwrap().to_owned();
            let twice = held.insert(text("container"), text("address"));
            assert!(twice.is_none(), "{row}");
        }
        for (attachment, may) in self.expected(at) {
            let found = held.remove(attachment);
            let is_right = match (&may, &found) {
                (May::Hold(address), Some(found)) | (May::HoldOrNot(address), Some(found)) => found == address,
                (May::Not | May::HoldOrNot(_), None) => true,
                (May::Hold(_), None) | (May::Not, Some(_)) => false,
            };
            assert!(is_right, "{attachment}: {may:?}, and it holds {found:?}");
        }
        assert!(held.is_empty(), "nobody ever asked for {held:?}");
        operate(&["fsck"], &conf);
        life_goes_on(&remains.node, &network);
        operate(&["metrics"], &conf);
        operate(&["fsck"], &conf);
    }
}

impl Books {
    /// By attachment: what was answered before the cut, and what was under way then.
    fn expected(&self, at: usize) -> BTreeMap<&str, May<'_>> {
        let mut by_attachment: BTreeMap<&str, Vec<&Told>> = BTreeMap::new();
        for told in self.0.iter().filter(|told| told.from <= at) {
            by_attachment.entry(&told.attachment).or_default().push(told);
        }
        let mut expected = BTreeMap::new();
        for (attachment, mut calls) in by_attachment {
            calls.sort_by_key(|told| told.from);
            let added = calls[0].address.as_deref().expect("an ADD comes first");
            let last = calls[calls.len() - 1];
            let may = match (last.until <= at, &last.address) {
                (true, Some(_)) => May::Hold(added),
                (true, None) => May::Not,
                (false, _) => May::HoldOrNot(added),
            };
            expected.insert(attachment, may);
        }
        expected
    }
}

/// A pod comes and goes: the policy is compiled again where its code was lost, and the journal and the tally are written.
fn life_goes_on(node: &Path, network: &Value) {
    let added = call("ADD", "after", network);
    assert!(added.address().starts_with("10.1.0."), "{added:?}");
    let journal = fs::read_to_string(node.join("journal")).unwrap_or_default();
    let last: Value = serde_json::from_str(journal.lines().last().unwrap()).unwrap();
    assert_eq!(last["request"]["attachment"]["container"], "after", "{last}");
    let tally = fs::read(node.join("data/policies/shadow.json")).unwrap();
    let tally: Value = serde_json::from_slice(&tally).unwrap();
    assert!(tally[0]["asked"].as_u64().unwrap() > 0, "{tally}");
    call("DEL", "after", network).success();
}

/// A command, which has to succeed in time.
fn operate(command: &[&str], conf: &Path) -> Output {
    let mut bounded = Command::new("timeout");
    bounded.args(["--signal=KILL", PATIENCE]).arg(program()).envs([NO_LOG]);
    let output = bounded.args(command).arg("--conf").arg(conf).output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
    output
}
