//! What operators run on a full store: how long until the first output and the last, and how much memory it takes.

use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use kube_ipam_tests::program;
use nix::sys::resource::{UsageWho, getrusage};
use serde_json::{Value, json};

use super::figures::{CommandFigures, Latency};
use super::flat::add;
use super::pods::{BenchPod, OUR_NODE};
use super::site::Site;

/// The argument by which this program is asked to measure a command: the kernel tells the peak memory of all children of a
/// process, so each is measured by a process that has no other.
pub(crate) const MEASURE_COMMAND: &str = "measure-command";

/// ADDs that are timed at most beside a command.
const MOST_BESIDE: usize = 2_000;

pub(super) fn measure(site: &Site, nodes: usize) -> Vec<CommandFigures> {
    let conf = site.conf().display().to_string();
    // Half of all come before it, in whatever order.
    let pod = BenchPod::held(site.held / 2, nodes);
    let named = format!("{}/{}", pod.namespace, pod.name);
    let commands: [&[&str]; 10] = [
        &["list"],
        &["list", "-o", "json"],
        &["list", "--sort-by", "pod"],
        &["usage"],
        &["usage", "--by", "namespace"],
        &["map"],
        &["show", &named],
        &["show", &pod.container],
        &["doctor"],
        &["fsck"],
    ];
    let mut figures = Vec::new();
    for command in commands {
        let told = run(&[command, &["--conf", &conf]].concat());
        let number = |key: &str| told[key].as_f64().unwrap();
        // A machine that is no node has faults of its own, which `doctor` finds.
        let succeeded = told["succeeded"] == true || command[0] == "doctor";
        assert!(succeeded && number("bytes") > 0.0, "{command:?} does not succeed with {} held: {told}", site.held);
        let is_list = command[0] == "list";
        assert!(!is_list || number("bytes") >= site.held as f64, "{command:?} does not list what is held: {told}");
        let shown = command.join(" ").replace(&named, "NAMESPACE/POD").replace(&pod.container, "CONTAINER");
        figures.push(CommandFigures {
            store: site.name.to_owned(),
            held: site.held,
            command: shown,
            seconds: number("seconds"),
            first_output_seconds: number("first"),
            peak_mb: number("peak"),
        });
    }
    figures
}

/// An ADD elsewhere while `fsck` reads everything.
pub(super) fn add_beside_fsck(site: &Site) -> Latency {
    let conf = site.conf();
    let network = site.network(OUR_NODE, &json!({}));
    let mut times = Vec::new();
    thread::scope(|scope| {
        let fsck = scope.spawn(|| Command::new(program()).arg("fsck").arg("--conf").arg(conf).output().unwrap());
        // The first one is always counted, so that a fast command is not beside none.
        while times.len() < MOST_BESIDE {
            let pod = BenchPod::new("beside", times.len(), OUR_NODE);
            times.push(add(&pod, &network).0);
            pod.call("DEL", &network).run().success();
            if fsck.is_finished() {
                break;
            }
        }
    });
    Latency::of(&mut times)
}

/// Have a process of its own measure a command of ours.
fn run(arguments: &[&str]) -> Value {
    let this = std::env::current_exe().unwrap();
    let output = Command::new(this).arg(MEASURE_COMMAND).arg(program()).args(arguments).output().unwrap();
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{arguments:?}: {error}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// Run a command and print what it took, as JSON.
#[allow(clippy::print_stdout, reason = "read by the process above")]
pub(crate) fn measure_command(command: &[String]) {
    let start = Instant::now();
    let mut child = Command::new(&command[0])
        .args(&command[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut first, mut bytes, mut buffer) = (None, 0, vec![0; 1 << 16]);
    let mut output = child.stdout.take().unwrap();
    loop {
        let read = output.read(&mut buffer).unwrap();
        if read == 0 {
            break;
        }
        first.get_or_insert(start.elapsed());
        bytes += read;
    }
    let succeeded = child.wait().unwrap().success();
    let (took, peak) = (start.elapsed(), getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss());
    let seconds = |time: Duration| (time.as_secs_f64() * 1e3).round() / 1e3;
    let peak = (peak as f64 / 1024.0 * 10.0).round() / 10.0;
    let told = json!({
        "seconds": seconds(took),
        "first": seconds(first.unwrap_or(took)),
        "peak": peak,
        "bytes": bytes,
        "succeeded": succeeded,
    });
    println!("{told}");
}
